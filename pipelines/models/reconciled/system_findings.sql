/* +++
kind = "view"
description = "各系统之间查出的问题合在一起,一行是一个问题;规则名称见 codes.finding_rule"
+++ */
select '联动办理' as area, rule, subject, found from reconciled.linked_findings
union all
select '垂建系统' as area, rule, subject, found from reconciled.vertical_findings
union all
select '实体大厅' as area, rule, subject, found from reconciled.hall_findings
union all
select '微门户' as area, rule, subject, found from reconciled.micro_findings
union all
select '电子监察' as area, rule, subject, found from reconciled.supervision_findings
union all
select '结果寄递' as area, rule, subject, found from reconciled.ems_findings
union all
select '并联审批' as area, rule, subject, found from reconciled.parallel_findings
union all
select '事项上报' as area, rule, subject, found from reconciled.item_copies

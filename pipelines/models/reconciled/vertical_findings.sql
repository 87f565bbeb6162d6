/* +++
kind = "view"
description = "省直垂建业务系统与市平台的差异,一行是一个差异"
key = ["rule", "subject"]
+++ */
-- 规则一览:
--   vertical_outside  垂建系统办了,市平台没有
--   vertical_result   两边结果不同
select
    case when c.project_no is null then 'vertical_outside' else 'vertical_result' end as rule,
    v.sblsh as subject,
    v.system,
    v.org_name,
    case
        when v.project_no is null then '没有平台办件编号'
        when c.project_no is null then concat('平台上没有 ', v.project_no)
        else concat('垂建系统 ', v.status, ',市平台 ', c.status)
    end as found
from standard.vertical_cases as v
left join standard.city_cases as c on c.project_no = v.project_no
where c.project_no is null or v.status is distinct from c.status

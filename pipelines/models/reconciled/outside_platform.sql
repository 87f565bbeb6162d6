/* +++
kind = "table"
description = "平台之外办件:部门自建系统办了,而市平台、省平台都没有的办件"
key = ["system", "internal_no"]
+++ */
select
    l.system,
    l.owner,
    l.internal_no,
    -- 填了编号而平台上没有的,多半是编号抄错;没有编号的,多半是没有在平台受理。
    case when l.project_no is null then '没有办件编号' else '办件编号在平台上不存在' end as reason,
    l.project_no,
    l.org_code,
    l.org_name,
    l.task_code,
    l.task_name,
    l.accept_time,
    cast(l.accept_time as date) as accept_date,
    l.result_time,
    l.state_word,
    l.status
from standard.department_lines as l
inner join standard.department_matches as m
    on m.system = l.system and m.internal_no = l.internal_no
where m.matched_by = 'outside'

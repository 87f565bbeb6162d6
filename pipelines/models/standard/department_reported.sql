/* +++
kind = "view"
description = "部门报送的办件,供核对用:认得出办件编号的一件一行,平台上没有的没有编号"
+++ */
select
    project_no,
    system,
    internal_no,
    received_run,
    status,
    accept_time,
    org_code,
    org_name,
    task_code,
    task_name
from standard.department_cases
union all
-- 没有编号、平台上也找不到的,核对时归入“没有键”,就是平台之外办件。
select
    cast(null as varchar) as project_no,
    l.system,
    l.internal_no,
    l.received_run,
    l.status,
    l.accept_time,
    l.org_code,
    l.org_name,
    l.task_code,
    l.task_name
from standard.department_lines as l
inner join standard.department_matches as m
    on m.system = l.system and m.internal_no = l.internal_no
where m.project_no is null

/* +++
kind = "table"
description = "办理结果公示:最近七天办结的办件,姓名已脱敏,不含证件号码"
key = ["project_no"]
+++ */
with as_of as (
    -- 以市平台最新一件的受理时间为“现在”,与电子监察一致。
    select max(accept_time) as now
    from standard.city_cases
)

select
    c.project_no,
    c.task_name,
    c.org_name,
    mask_name(a.applyer_name) as applicant,
    code_map('case_status', c.status) as result,
    to_char(c.result_time, '%Y-%m-%d') as result_date
from standard.city_cases as c
inner join current.city_cases_accepted as a on a.row_guid = c.row_guid
cross join as_of as n
where
    c.status in ('50', '51', '52', '55')
    and cast(c.result_time as date) > cast(n.now as date) - interval '7 days'

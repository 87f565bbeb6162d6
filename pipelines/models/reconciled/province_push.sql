/* +++
kind = "table"
description = "待补报省平台的办件:市平台已受理并办结,省平台没有;列与省平台接收接口一致"
key = ["project_no"]
+++ */
-- 只补报已办结的:在办的办件还会按正常通道上报,现在补报会形成重复。
with missing as (
    select project_no, status
    from reconciled.cases
    where class = 'missing_in_province' and status in ('50', '51', '52', '55', '57')
)

select
    m.project_no,
    c.task_code,
    c.task_name,
    c.org_code,
    c.org_name,
    a.applyer_name as applicant_name,
    a.applyer_type as applicant_type,
    c.applicant_id_type as cert_type,
    c.applicant_id as cert_no,
    a.contact_mobile as mobile,
    -- 省平台只认这一种时间写法。
    to_char(c.accept_time, '%Y-%m-%d %H:%M:%S') as accept_date,
    to_char(c.promise_time, '%Y-%m-%d %H:%M:%S') as promise_date,
    -- 按省平台的结果代码报。57“其他办结”在省平台没有对应代码(那边的 6 是不予受理),
    -- 只报办结时间,结果留空,不能照抄市平台的 6。
    r.code as result_type,
    to_char(coalesce(c.result_time, d.result_time), '%Y-%m-%d %H:%M:%S') as result_date,
    concat(substr(c.org_code, 3, 6), '000000') as division_code
from missing as m
inner join standard.city_cases as c on c.project_no = m.project_no
inner join current.city_cases_accepted as a on a.row_guid = c.row_guid
left join standard.department_cases as d on d.project_no = m.project_no
left join codes.done_result_2020 as r on r.value = m.status

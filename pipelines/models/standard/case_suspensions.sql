/* +++
kind = "view"
description = "市平台办件的特别程序,一行是一次;还没有结束的,恢复时间为空"
key = ["row_guid"]
+++ */
select
    s.row_guid,
    s.project_no,
    s.special_type,
    s.special_name,
    s.special_time as suspend_time,
    -- 交换表要求结束时间必填,没有结束的填的是开始时间,不能当作已经结束。
    case when s.end_time > s.special_time then s.end_time end as resume_time,
    -- 法定时间按工作日算;没有规定时间的为空。
    cast(p.days as bigint) as legal_days
from current.city_cases_special_procedures as s
left join codes.special_procedure as p on p.code = s.special_type
where s.cd_operation <> 'D'

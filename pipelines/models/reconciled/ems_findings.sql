/* +++
kind = "view"
description = "寄递发现的问题,一行是一个问题"
key = ["rule", "subject"]
+++ */
-- 规则一览:
--   ems_unordered  办结超过一个工作日,EMS 还没有揽收
--   ems_returned   退回
--   ems_stuck      揽收三个工作日了,没有下一步
with as_of as (
    select max(accept_time) as now
    from standard.city_cases
)

select
    'ems_unordered' as rule,
    o.project_no as subject,
    concat('办结于 ', to_char(c.result_time, '%Y-%m-%d')) as found
from reconciled.ems_orders as o
inner join standard.city_cases as c on c.project_no = o.project_no
cross join as_of as n
where workdays_between(c.result_time, n.now) > 1

union all

select
    'ems_returned' as rule,
    waybill_no as subject,
    concat(project_no, ',', place) as found
from standard.deliveries
where last_code = '90'

union all

select
    'ems_stuck' as rule,
    d.waybill_no as subject,
    concat(d.project_no, ',揽收于 ', to_char(d.last_at, '%Y-%m-%d')) as found
from standard.deliveries as d
cross join as_of as n
where d.last_code = '10' and workdays_between(d.last_at, n.now) >= 3

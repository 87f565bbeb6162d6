/* +++
kind = "view"
description = "微门户与平台的差异,一行是一个差异"
key = ["rule", "subject"]
+++ */
-- 规则一览:
--   micro_lost    手机上申请五个工作日了,平台还没有受理
--   micro_visits  某天的访问人次与门户 mobile 渠道的不同
with as_of as (
    select max(apply_time) as now
    from current.micro_applications
),

days as (
    select visit_date, sum(visits) as visits
    from current.micro_visits
    group by visit_date
)

select
    'micro_lost' as rule,
    a.apply_no as subject,
    concat('申请于 ', to_char(a.apply_time, '%Y-%m-%d')) as found
from current.micro_applications as a
left join standard.city_cases as c on c.project_no = a.project_no
cross join as_of as n
where c.project_no is null and workdays_between(a.apply_time, n.now) > 5

union all

select
    'micro_visits' as rule,
    cast(d.visit_date as varchar) as subject,
    concat('微门户 ', d.visits, ',门户 ', coalesce(p.visits, 0)) as found
from days as d
left join current.portal_visits as p on p.visit_date = d.visit_date and p.channel = 'mobile'
where d.visits <> coalesce(p.visits, 0)

/* +++
kind = "view"
description = "门户每月访问人次,一行是一个月;还没有过完的月份另有标记"
key = ["month"]
+++ */
with newest as (
    select max(visit_date) as visit_date
    from current.portal_visits
)

select
    substr(cast(v.visit_date as varchar), 1, 7) as month,
    sum(v.visits) as visits,
    count(distinct v.visit_date) as days,
    -- 最后一天的次日已经是下个月的,这个月才算过完。
    substr(cast(v.visit_date as varchar), 1, 7)
    < substr(cast(max(n.visit_date) + interval '1 day' as varchar), 1, 7) as is_complete
from current.portal_visits as v
cross join newest as n
group by substr(cast(v.visit_date as varchar), 1, 7)

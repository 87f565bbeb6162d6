/* +++
kind = "view"
description = "企业开办用了几个工作日:从第 1 个工作日到最慢的一件办结,一行是一个工作日,写着到那时办结了多少"
key = ["day"]
+++ */
with finished as (
    select greatest(days, 1) as days
    from standard.enterprise_bundles
    where days is not null
),

-- 中间没有一件办结的那一天也要有一行,所以数到最大,而不是数有几种天数。
needed as (
    select unnest(generate_series(cast(1 as bigint), days)) as day
    from (select max(days) as days from finished)
)

select
    n.day,
    count(*) filter (where f.days <= n.day) as done,
    count(*) as finished
from needed as n
cross join finished as f
group by n.day

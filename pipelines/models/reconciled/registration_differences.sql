/* +++
kind = "view"
description = "省平台公布的本市注册量、访问量与门户自己的数字相比,一行是一次公布的一个数字"
key = ["stat_date", "kind"]
+++ */
with published as (
    select
        stat_date,
        'person' as kind,
        registered_persons as published
    from current.province_city_statistics
    where city_code = '340500'

    union all

    select
        stat_date,
        'legal_person' as kind,
        registered_legal_persons as published
    from current.province_city_statistics
    where city_code = '340500'
),

published_visits as (
    select
        stat_date,
        'visits' as kind,
        visits as published
    from current.province_city_statistics
    where city_code = '340500'
),

counted as (
    select
        p.stat_date,
        p.kind,
        p.published,
        count(a.account_id) as counted
    from published as p
    -- 公布那天在用的账号:当时已注册、还没有注销,重复注册的只算一个。
    left join standard.portal_accounts as a
        on
            a.user_type = case p.kind when 'person' then '1' else '2' end
            and a.registered_on <= p.stat_date
            and (a.cancelled_on is null or a.cancelled_on > p.stat_date)
            and not a.is_duplicate
    group by p.stat_date, p.kind, p.published
),

counted_visits as (
    select
        p.stat_date,
        p.kind,
        p.published,
        coalesce(sum(v.visits), 0) as counted
    from published_visits as p
    left join current.portal_visits as v on v.visit_date <= p.stat_date
    group by p.stat_date, p.kind, p.published
)

select
    stat_date,
    kind,
    published,
    counted,
    counted - published as difference
from counted

union all

select
    stat_date,
    kind,
    published,
    counted,
    counted - published as difference
from counted_visits

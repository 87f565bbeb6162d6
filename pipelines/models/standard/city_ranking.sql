/* +++
kind = "view"
description = "16 市的注册量、访问量、APP 活跃度和人口、法人数,一行是一个市;own_ 开头的是本市的数字,供排名比较"
key = ["city_code"]
+++ */
with newest as (
    select max(stat_date) as stat_date
    from current.province_city_statistics
),

-- 没有过完的月份各市报送时间不一,不能比。
activity as (
    select
        city_code,
        sum(active_users) as app_users
    from current.app_activity
    where is_complete = 1
    group by city_code
),

cities as (
    select
        s.city_code,
        s.city_name,
        s.stat_date,
        s.population,
        s.legal_persons,
        s.registered_persons,
        s.registered_legal_persons,
        s.visits,
        coalesce(a.app_users, 0) as app_users
    from current.province_city_statistics as s
    inner join newest as n on n.stat_date = s.stat_date
    left join activity as a on a.city_code = s.city_code
),

own as (
    select *
    from cities
    where city_code = '340500'
)

select
    c.city_code,
    c.city_name,
    c.stat_date,
    c.population,
    c.legal_persons,
    c.registered_persons,
    c.registered_legal_persons,
    c.visits,
    c.app_users,
    o.population as own_population,
    o.legal_persons as own_legal_persons,
    o.registered_persons as own_registered_persons,
    o.registered_legal_persons as own_registered_legal_persons,
    o.visits as own_visits,
    o.app_users as own_app_users
from cities as c
cross join own as o

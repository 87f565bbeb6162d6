/* +++
kind = "table"
description = "政务服务事项,一行是一个业务办理项(没有业务办理项的,是一个实施事项)的最新版本"
key = ["item_id"]
audits = ["item_versions_unique"]
+++ */
-- 事项按业务办理项编码计数;没有业务办理项的事项才用实施编码,否则同一事项会数两遍。
with ranked as (
    select
        row_guid,
        coalesce(nullif(trim(task_handle_item), ''), task_code) as item_id,
        -- 先取最新版本再看是否在用:新版本已取消的事项,旧版本写着“在用”也不算。
        row_number() over (
            partition by coalesce(nullif(trim(task_handle_item), ''), task_code)
            order by task_version desc, cd_time desc, row_guid desc
        ) as age
    from current.city_items_items
),

ranked_extensions as (
    select
        row_guid,
        task_guid,
        row_number() over (partition by task_guid order by cd_time desc, row_guid desc) as age
    from current.city_items_extensions
),

latest as (
    select
        r.item_id,
        v.row_guid,
        x.row_guid as extension_guid,
        v.task_code,
        v.catalog_code,
        v.task_name,
        v.task_type,
        v.task_state,
        v.task_version,
        v.use_level,
        v.dept_code,
        v.dept_name,
        v.project_type,
        v.promise_day,
        v.handle_type,
        v.limit_scene_num,
        v.cd_time,
        e.is_online,
        e.online_handle_depth,
        e.town_code,
        e.town_name,
        e.village_code,
        e.village_name,
        -- 统一社会信用代码第 3 至 8 位是登记地的区划,县(区)和园区由此得出。
        concat(substr(v.dept_code, 3, 6), '000000') as county_code,
        v.task_state = '1' and v.cd_operation <> 'D' as in_use
    from ranked as r
    inner join current.city_items_items as v on v.row_guid = r.row_guid
    left join ranked_extensions as x on x.task_guid = r.row_guid and x.age = 1
    left join current.city_items_extensions as e on e.row_guid = x.row_guid
    where r.age = 1
),

placed as (
    select
        l.*,
        -- 园区和县(区)的行使层级都是 4,只有区划表分得开。
        case l.use_level
            when '3' then 'city'
            when '4' then case when d.kind = 'development_park' then 'park' else 'county' end
            when '5' then 'township'
            when '6' then 'village'
        end as level,
        -- 乡镇区划有 9 位的写法,补齐到 12 位。
        case l.use_level
            when '3' then '340500000000'
            when '4' then l.county_code
            when '5' then rpad(l.town_code, 12, '0')
            when '6' then l.village_code
        end as unit_code,
        case l.use_level
            when '3' then '马鞍山市'
            when '4' then d.value
            when '5' then l.town_name
            when '6' then l.village_name
        end as unit_name,
        -- 网上可办:能在网上收件以上,或者办理形式含网上办理。只有“咨询”(1)不算。
        coalesce(
            (l.is_online = '1' and multi_has(l.online_handle_depth, '2', '3', '4', '5', '6', '7'))
            or multi_has(l.handle_type, '2'),
            false
        ) as reachable_online
    from latest as l
    left join codes.divisions as d on d.code = l.county_code
)

select
    item_id,
    -- 取其他各列时按这两个编号回原表。
    row_guid,
    extension_guid,
    task_code,
    catalog_code,
    task_name,
    task_type,
    task_state,
    task_version,
    coalesce(in_use, false) as in_use,
    -- 处罚、强制、征收、检查没有申请人,谈不上网上办理,不进分子也不进分母。
    coalesce(task_type in ('01', '05', '07', '08', '09', '10', '20'), false) as application_type,
    project_type,
    promise_day,
    handle_type,
    is_online,
    online_handle_depth,
    limit_scene_num,
    coalesce(in_use and reachable_online, false) as online_able,
    -- 深度写到“办理”以上却仍要到现场的是填报错误,不算全程网办。
    coalesce(
        in_use and reachable_online and limit_scene_num = 0
        and multi_has(online_handle_depth, '5', '6', '7'),
        false
    ) as fully_online,
    use_level,
    level,
    county_code,
    unit_code,
    unit_name,
    dept_code,
    dept_name,
    cd_time as changed_at
from placed

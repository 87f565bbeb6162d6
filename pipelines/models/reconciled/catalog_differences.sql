/* +++
kind = "view"
description = "目录清单(市编办)与实施清单(各单位)的差异,一行是一个事项或一个基本编码的一处差异"
+++ */
with items as (
    select * from standard.items where in_use
),

entries as (
    select * from standard.catalog_items where in_use
),

-- 类型或名称不同的,先看是不是填错了编码,所以一个事项只报一处。
compared as (
    select
        i.*,
        c.task_name as catalog_name,
        c.task_type as catalog_type,
        case
            when c.catalog_code is null then 'catalog_unknown'
            when c.task_type <> i.task_type then 'catalog_type'
            -- 业务办理项可以在目录的名称后面加上情形。
            when not starts_with(i.task_name, c.task_name) then 'catalog_name'
        end as rule
    from items as i
    left join entries as c on c.catalog_code = i.catalog_code
)

select
    rule,
    item_id as subject,
    item_id,
    task_name,
    dept_name as owner,
    county_code,
    case rule
        when 'catalog_unknown' then concat('基本编码 ', coalesce(catalog_code, '未填'))
        when 'catalog_type' then concat('事项类型 ', task_type)
        else concat('事项名称 ', task_name)
    end as found,
    case rule
        when 'catalog_unknown' then '基本编码在目录清单中,且在用'
        when 'catalog_type' then concat('目录清单的类型 ', catalog_type)
        else concat('目录清单的名称 ', catalog_name, ',后面可以加情形')
    end as expected
from compared
where rule is not null

union all

select
    'catalog_unused' as rule,
    c.catalog_code as subject,
    cast(null as varchar) as item_id,
    c.task_name,
    '市编办' as owner,
    '340500000000' as county_code,
    '没有一个在用的实施事项' as found,
    '目录清单在用的,至少有一个单位实施' as expected
from entries as c
left join (select distinct catalog_code from items) as i on i.catalog_code = c.catalog_code
where i.catalog_code is null

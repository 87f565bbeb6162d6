/* +++
kind = "view"
description = "联动办理发现的问题,一行是一个问题:三统一(编码、条件、材料)、根办件与子办件"
key = ["rule", "subject", "found"]
+++ */
-- 规则一览:
--   linked_code          各级基本编码不统一
--   linked_condition     各级受理条件不统一
--   linked_material      某份材料不是各级都要
--   linked_missing_sub   子办件少于派发数,仍然计数
--   linked_same_level    步骤都在同一级,不算联动
--   linked_unknown_item  事项不在登记册里,不算联动
--   linked_endless_wait  已办结而挂起没有恢复时间,不扣除
with implementations as (
    select
        n.item_no,
        i.item_name,
        count(distinct n.use_level) as levels,
        count(distinct n.catalog_code) as codes,
        count(distinct to_halfwidth(trim(n.accept_condition))) as conditions
    from current.linked_implementations as n
    inner join current.linked_items as i on i.item_no = n.item_no
    where i.state = '1'
    group by n.item_no, i.item_name
),

materials as (
    select
        item_no,
        to_halfwidth(trim(material_name)) as material_name,
        count(distinct use_level) as levels
    from current.linked_materials
    group by item_no, to_halfwidth(trim(material_name))
)

select
    'linked_code' as rule,
    item_no as subject,
    item_name,
    concat('各级共有 ', codes, ' 个基本编码') as found
from implementations
where codes > 1

union all

select
    'linked_condition' as rule,
    item_no as subject,
    item_name,
    concat('各级共有 ', conditions, ' 种受理条件') as found
from implementations
where conditions > 1

union all

select
    'linked_material' as rule,
    n.item_no as subject,
    n.item_name,
    concat(m.material_name, ':', n.levels, ' 级中有 ', m.levels, ' 级要') as found
from implementations as n
inner join materials as m on m.item_no = n.item_no
where m.levels < n.levels

union all

select
    'linked_missing_sub' as rule,
    root_no as subject,
    item_name,
    concat('派发 ', sub_count, ' 个子办件,找到 ', steps, ' 个') as found
from standard.linked_roots
where is_linked and steps < sub_count

union all

select
    'linked_same_level' as rule,
    root_no as subject,
    item_name,
    concat(steps, ' 个步骤都在同一级') as found
from standard.linked_roots
where is_registered and levels = 1 and state <> '作废'

union all

select
    'linked_unknown_item' as rule,
    root_no as subject,
    item_name,
    concat('登记册里没有 ', item_no) as found
from standard.linked_roots
where not is_registered

union all

select
    'linked_endless_wait' as rule,
    root_no as subject,
    item_name,
    concat(open_suspensions, ' 次挂起没有恢复时间') as found
from standard.linked_roots
where finish_date is not null and open_suspensions > 0

/* +++
kind = "view"
description = "省平台上的事项与市里的不同之处,一行是一个事项的差异"
key = ["rule", "subject"]
+++ */
-- 规则一览:
--   item_missing_at_province  市里在用,省平台没有
--   item_older_at_province    省平台的版本较旧
--   item_left_at_province     市里已取消或没有,省平台还在用
select
    case
        when p.item_id is null then 'item_missing_at_province'
        when coalesce(i.in_use, false) then 'item_older_at_province'
        else 'item_left_at_province'
    end as rule,
    coalesce(i.item_id, p.item_id) as subject,
    concat('市 ', coalesce(cast(i.task_version as varchar), '无'), ',省 ',
        coalesce(cast(p.task_version as varchar), '无')) as found
from standard.items as i
full join current.province_items as p on p.item_id = i.item_id
where
    (i.in_use and p.item_id is null)
    or (i.in_use and p.task_version < i.task_version)
    or (p.task_state = '1' and not coalesce(i.in_use, false))

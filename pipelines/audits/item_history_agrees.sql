/* +++
description = "编制台账里在用的事项与实施清单里在用的事项要逐项一致,否则存量和新增对不上"
owner = "市政务服务中心"
severity = "warn"
key = ["item_id", "in_log", "in_items"]
+++ */
with logged as (
    select item_id
    from standard.item_history
    where valid_to is null and in_use and application_type
),

present as (
    select item_id
    from standard.items
    where in_use and application_type
)

select
    coalesce(l.item_id, p.item_id) as item_id,
    l.item_id is not null as in_log,
    p.item_id is not null as in_items
from logged as l
full outer join present as p on p.item_id = l.item_id
where l.item_id is null or p.item_id is null

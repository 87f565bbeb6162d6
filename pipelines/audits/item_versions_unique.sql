/* +++
description = "同一事项的同一版本、同一同步时间不得有两行,否则分不出哪一行是最新的,各项比例都不可信"
owner = "市政务服务中心"
key = ["item_id", "task_version"]
+++ */
select
    coalesce(nullif(trim(task_handle_item), ''), task_code) as item_id,
    task_version,
    cd_time,
    count(*) as copies
from current.city_items_items
group by coalesce(nullif(trim(task_handle_item), ''), task_code), task_version, cd_time
having count(*) > 1

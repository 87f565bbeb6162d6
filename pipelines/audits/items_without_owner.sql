/* +++
description = "在用的事项要有实施主体,没有的不知道由谁更正"
owner = "市政务服务中心"
severity = "warn"
key = ["item_id"]
+++ */
select item_id, task_name, dept_code, dept_name
from standard.items
where
    in_use
    and (coalesce(trim(dept_code), '') = '' or coalesce(trim(dept_name), '') = '')

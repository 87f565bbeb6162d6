/* +++
kind = "table"
description = "待报省平台的事项:省平台没有的、版本较旧的、市里已取消的;列与接收接口一致"
key = ["item_id"]
+++ */
select
    i.item_id,
    i.task_code,
    i.catalog_code,
    i.task_name,
    i.task_version,
    case when i.in_use then '1' else '3' end as task_state,
    i.dept_code as org_code
from standard.items as i
inner join reconciled.item_copies as d on d.subject = i.item_id

/* +++
kind = "view"
description = "市平台的办件及其受理时有效的事项版本;受理时没有有效版本的,版本各列为空"
+++ */
select
    c.project_no,
    c.accept_time,
    c.status,
    c.org_code,
    c.org_name,
    c.item_id,
    c.task_name,
    v.task_version,
    v.task_state,
    v.in_use,
    v.valid_from,
    v.valid_to
from standard.city_cases as c
left join standard.item_versions as v
    on v.item_id = c.item_id
    and c.accept_time >= v.valid_from
    and (v.valid_to is null or c.accept_time < v.valid_to)

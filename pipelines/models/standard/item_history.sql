/* +++
kind = "table"
description = "事项的编制经过,一行是台账的一条:从那天起事项是什么样,到哪天为止;失效日期为空的是现状"
key = ["log_id"]
+++ */
select
    log_id,
    item_id,
    task_type,
    dept_code,
    dept_name,
    action,
    action_date as valid_from,
    lead(action_date) over (partition by item_id order by logged_at, log_id) as valid_to,
    -- 合并、取消、暂停以后不在用。
    action in ('新增', '变更') as in_use,
    -- 与 standard.items 相同:没有申请人的四类不算。
    coalesce(task_type in ('01', '05', '07', '08', '09', '10', '20'), false) as application_type,
    coalesce(
        (is_online = '1' and multi_has(online_handle_depth, '2', '3', '4', '5', '6', '7'))
        or multi_has(handle_type, '2'),
        false
    ) as online_able
from current.city_items_compile_log

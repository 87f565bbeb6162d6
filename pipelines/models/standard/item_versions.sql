/* +++
kind = "view"
description = "事项的各个版本及其生效、失效时间;失效时间为空的是现行版本"
+++ */
with versions as (
    select
        coalesce(nullif(trim(task_handle_item), ''), task_code) as item_id,
        task_code,
        task_name,
        dept_code,
        dept_name,
        task_version,
        task_state,
        coalesce(task_state = '1' and cd_operation <> 'D', false) as in_use,
        -- 没有填计划生效日期的,同步过来就算生效。
        coalesce(plan_effective_date, cd_time) as valid_from,
        plan_cancel_date,
        cd_time
    from current.city_items_items
),

followed as (
    select
        *,
        lead(valid_from) over (partition by item_id order by task_version, cd_time) as next_from
    from versions
)

select
    item_id,
    task_code,
    task_name,
    dept_code,
    dept_name,
    task_version,
    task_state,
    in_use,
    valid_from,
    -- 有计划取消日期的到那一天为止,没有的到下一个版本生效为止。
    case
        when plan_cancel_date is null then next_from
        when next_from is null then plan_cancel_date
        else least(plan_cancel_date, next_from)
    end as valid_to
from followed

/* +++
kind = "table"
description = "在用事项的填报内容,一行是一个事项,供填报规范核对"
key = ["item_id"]
+++ */
with questions as (
    select task_guid, count(*) as questions
    from current.city_items_questions
    where cd_operation <> 'D'
    group by task_guid
),

fees as (
    select task_guid, count(*) as fees
    from current.city_items_fees
    where cd_operation <> 'D'
    group by task_guid
)

select
    i.item_id,
    i.task_code,
    nullif(trim(b.task_handle_item), '') as handle_code,
    i.catalog_code,
    i.task_name,
    i.task_type,
    i.application_type,
    i.use_level,
    i.county_code,
    i.dept_name,
    i.project_type,
    i.promise_day,
    i.limit_scene_num as visits,
    coalesce(trim(e.limit_scene_explain), '') as visit_reason,
    coalesce(i.is_online = '1', false) as is_online,
    i.online_handle_depth,
    i.handle_type,
    coalesce(b.is_fee = '1', false) as has_fee,
    coalesce(trim(b.fee_basis), '') as fee_basis,
    coalesce(e.is_pay_online, '') as pays_online,
    coalesce(f.fees, 0) as fees,
    -- 单位的办公电话;有的单位用全角数字填。
    coalesce(to_halfwidth(trim(b.link_way)), '') as link_way,
    coalesce(to_halfwidth(trim(b.supervise_way)), '') as supervise_way,
    b.server_type,
    coalesce(trim(e.user_topic_type), '') as person_topics,
    coalesce(trim(e.corp_topic_type), '') as legal_topics,
    coalesce(q.questions, 0) as questions,
    -- 流程各环节以 ^ 分隔。
    length(b.handle_flow) - length(replace(b.handle_flow, '^', '')) + 1 as steps,
    e.result_type,
    coalesce(trim(e.result_name), '') as result_name,
    coalesce(trim(e.result_guid), '') as result_sample
from standard.items as i
inner join current.city_items_items as b on b.row_guid = i.row_guid
left join current.city_items_extensions as e on e.row_guid = i.extension_guid
left join questions as q on q.task_guid = i.row_guid
left join fees as f on f.task_guid = i.row_guid
where i.in_use

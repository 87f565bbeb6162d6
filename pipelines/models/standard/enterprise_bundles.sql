/* +++
kind = "view"
description = "企业开办,一行是一次申请;四个环节都办完才算办结"
key = ["bundle_id"]
+++ */
with steps as (
    select
        bundle_id,
        count(finish_time) as steps_done,
        max(finish_time) as finish_time
    from current.enterprise_steps
    group by bundle_id
),

bundles as (
    select
        b.bundle_id,
        b.state,
        b.accept_time,
        coalesce(s.steps_done, 0) as steps_done,
        -- 平台标着“办结”而环节没有办完的不算;申请人撤回的不算。
        case when b.state = 'finished' and s.steps_done = 4 then s.finish_time end as finish_time
    from current.enterprise_bundles as b
    left join steps as s on s.bundle_id = b.bundle_id
)

select
    bundle_id,
    state,
    steps_done,
    cast(accept_time as date) as accept_date,
    cast(finish_time as date) as finish_date,
    -- 受理当天不算。
    workdays_between(accept_time, finish_time) as days
from bundles

/* +++
kind = "view"
description = "EMS 运单,一行是一张运单的最新轨迹"
key = ["waybill_no"]
+++ */
with ranked as (
    select
        *,
        min(trace_time) over (partition by waybill_no) as picked_up_at,
        row_number() over (partition by waybill_no order by trace_time desc, trace_code desc) as age
    from current.ems_traces
)

select
    waybill_no,
    project_no,
    picked_up_at,
    trace_time as last_at,
    trace_code as last_code,
    place
from ranked
where age = 1

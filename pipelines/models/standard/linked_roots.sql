/* +++
kind = "table"
description = "联动办理的根办件,一行是一个一事一码"
key = ["root_no"]
+++ */
with steps as (
    select
        root_no,
        count(*) as steps,
        count(distinct use_level) as levels
    from current.linked_steps
    group by root_no
),

-- 挂起可以重叠,重叠的时间只扣一次;办结以后的不扣。
parts as (
    select
        s.root_no,
        s.resume_time,
        greatest(
            s.suspend_time,
            max(s.resume_time) over (
                partition by s.root_no
                order by s.suspend_time, s.resume_time
                rows between unbounded preceding and 1 preceding
            )
        ) as from_time,
        least(s.resume_time, coalesce(r.finish_time, s.resume_time)) as to_time
    from current.linked_suspensions as s
    inner join current.linked_roots as r on r.root_no = s.root_no
),

-- 没有恢复时间的挂起不扣除,另行列出。
spans as (
    select
        root_no,
        sum(workdays_between(from_time, to_time))
            filter (where resume_time is not null and to_time > from_time) as suspended_days,
        count(*) filter (where resume_time is null) as open_suspensions
    from parts
    group by root_no
)

select
    r.root_no,
    r.item_no,
    i.category,
    i.item_name,
    i.item_no is not null as is_registered,
    r.state,
    cast(r.accept_time as date) as accept_date,
    cast(r.finish_time as date) as finish_date,
    i.baseline_days,
    coalesce(s.steps, 0) as steps,
    coalesce(s.levels, 0) as levels,
    r.sub_count,
    coalesce(p.suspended_days, 0) as suspended_days,
    coalesce(p.open_suspensions, 0) as open_suspensions,
    -- 受理当天不算,特别程序的时间按工作日扣除。
    workdays_between(r.accept_time, r.finish_time) - coalesce(p.suspended_days, 0) as actual_days,
    -- 登记册里在用的事项,步骤跨两级以上,没有作废。
    coalesce(i.state = '1' and s.levels >= 2 and r.state <> '作废', false) as is_linked
from current.linked_roots as r
left join current.linked_items as i on i.item_no = r.item_no
left join steps as s on s.root_no = r.root_no
left join spans as p on p.root_no = r.root_no

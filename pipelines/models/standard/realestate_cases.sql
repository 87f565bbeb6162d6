/* +++
kind = "view"
description = "不动产登记,一行是一个内部编号的最新版本"
key = ["internal_no"]
+++ */
with applications as (
    select
        internal_no,
        accept_date,
        row_number() over (partition by internal_no order by update_date desc, "no" desc) as age
    from current.realestate_applications
),

results as (
    select
        internal_no,
        result_code,
        result_date,
        row_number() over (partition by internal_no order by update_date desc, "no" desc) as age
    from current.realestate_results
),

-- 公告期不计入办理时间;没有结束时间的不扣除,另行列出。
waits as (
    select
        internal_no,
        sum(workdays_between(start_time, end_time)) as waited_days,
        count(*) filter (where end_time is null) as open_waits
    from current.realestate_processes
    where event_code = 'S'
    group by internal_no
)

select
    a.internal_no,
    cast(a.accept_date as date) as accept_date,
    cast(r.result_date as date) as result_date,
    r.result_code,
    coalesce(w.waited_days, 0) as waited_days,
    coalesce(w.open_waits, 0) as open_waits,
    -- 只看登簿出证(0)的;作废的用了多久没有意义。
    case
        when r.result_code = '0'
            then workdays_between(a.accept_date, r.result_date) - coalesce(w.waited_days, 0)
    end as days
from applications as a
left join results as r on r.internal_no = a.internal_no and r.age = 1
left join waits as w on w.internal_no = a.internal_no
where a.age = 1

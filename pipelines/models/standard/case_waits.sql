/* +++
kind = "view"
description = "市平台办件停止计时的时段,来自特别程序;重叠的只算一次,一行是一段"
+++ */
with as_of as (
    -- 受理时间比写入时间还晚的是填错的,不能拿来当“现在”。
    select max(accept_time) as now
    from standard.city_cases
    where accept_time <= update_time
),

ended as (
    select
        s.project_no,
        greatest(s.suspend_time, c.accept_time) as from_time,
        -- 在办的件,还没有结束的特别程序算到现在;挂得太久的当作没有人恢复,不再停表。
        coalesce(
            s.resume_time,
            case
                when
                    c.result_time is null
                    and date_part('epoch', n.now) - date_part('epoch', s.suspend_time)
                    < cast(r.least as bigint) * 86400
                    then n.now
            end
        ) as to_time,
        -- 办结以后的不扣。
        coalesce(c.result_time, n.now) as until_time,
        s.resume_time is null as is_running
    from standard.case_suspensions as s
    inner join standard.city_cases as c on c.project_no = s.project_no
    cross join as_of as n
    inner join codes.supervision_rules as r on r.code = 'suspend_too_long'
),

bounded as (
    select
        project_no,
        from_time,
        least(to_time, until_time) as to_time,
        is_running
    from ended
    where to_time is not null
),

parts as (
    select
        project_no,
        greatest(
            from_time,
            max(to_time) over (
                partition by project_no
                order by from_time, to_time
                rows between unbounded preceding and 1 preceding
            )
        ) as from_time,
        to_time,
        is_running
    from bounded
)

select
    project_no,
    from_time,
    to_time,
    is_running
from parts
where to_time > from_time

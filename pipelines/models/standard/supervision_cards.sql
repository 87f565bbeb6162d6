/* +++
kind = "table"
description = "电子监察信号:提示、预警、黄牌、红牌,一行是一个办件的一条规则"
key = ["subject", "rule"]
keep = true
first = ["found_on"]
+++ */
-- 十一条规则的级别和门限在 config/codes/supervision_rules.csv,环节时限在 process_step.csv,
-- 特别程序的法定时间在 special_procedure.csv:各市不同,改表即可。
-- 发出的信号保留:后来补填了办结时间,黄牌也不收回。又查出一次的,发现日期仍是第一次的。
with as_of as (
    -- 与 standard.case_times 一致。
    select max(accept_time) as now
    from standard.city_cases
    where accept_time <= update_time
),

-- 提示和黄牌:都在法定期限以内。
late as (
    select
        t.project_no as subject,
        r.code as rule,
        t.item_id,
        t.org_code,
        t.org_name,
        t.area,
        t.late as workdays,
        add_workdays(
            cast(t.promise_time as date), t.suspended_days + cast(r.least as bigint)
        ) as found_on
    from standard.case_times as t
    inner join codes.supervision_rules as r
        on r.code in ('remind', 'overdue_promise')
            and t.late >= cast(r.least as bigint)
            and t.late <= cast(r.most as bigint)
    where
        not t.is_past_legal
        -- 已办结的、停着表的不提示。
        and (r.code <> 'remind' or (t.result_time is null and not t.is_paused))
),

serious as (
    select
        t.project_no as subject,
        r.code as rule,
        t.item_id,
        t.org_code,
        t.org_name,
        t.area,
        t.late as workdays,
        least(
            add_workdays(
                cast(t.promise_time as date),
                case
                    when t.late >= cast(r.least as bigint)
                        then t.suspended_days + cast(r.least as bigint)
                end
            ),
            t.legal_passed_on
        ) as found_on
    from standard.case_times as t
    inner join codes.supervision_rules as r
        on r.code = 'overdue_serious'
            and (t.late >= cast(r.least as bigint) or t.is_past_legal)
),

-- 环节。
numbered as (
    select
        row_guid,
        project_no,
        event_name,
        event_start_time,
        event_end_time,
        cd_time,
        max(event_start_time) over (partition by project_no) as last_start
    from current.city_cases_process
    where cd_operation <> 'D'
),

steps as (
    select
        p.row_guid,
        p.project_no,
        p.event_start_time as start_time,
        case
            when p.event_end_time > p.event_start_time then p.event_end_time
            -- 还没有结束的最后一个环节,结束时间填的是开始时间,算到现在。
            when t.result_time is null and p.event_start_time = p.last_start then n.now
            else p.event_start_time
        end as end_time,
        cast(l.days as bigint) as days
    from numbered as p
    inner join standard.case_times as t on t.project_no = p.project_no
    inner join codes.process_step as l on l.code = p.event_name
    cross join as_of as n
    -- 办件本身超期的另发黄牌、红牌。
    where t.late <= 0
),

taken as (
    select
        s.row_guid,
        s.project_no,
        s.start_time,
        s.days,
        workdays_between(s.start_time, s.end_time)
        - coalesce(
            sum(
                case
                    when w.project_no is not null
                        then workdays_between(
                            greatest(w.from_time, s.start_time), least(w.to_time, s.end_time)
                        )
                end
            ),
            0
        ) as workdays
    from steps as s
    left join standard.case_waits as w
        on w.project_no = s.project_no
            and w.from_time < s.end_time
            and w.to_time > s.start_time
    group by s.row_guid, s.project_no, s.start_time, s.end_time, s.days
),

slow as (
    select
        project_no,
        max(workdays) as workdays,
        min(add_workdays(cast(start_time as date), days + 1)) as found_on
    from taken
    where workdays > days
    group by project_no
),

bulk as (
    select
        p.project_no,
        min(p.event_start_time) as first_time
    from numbered as p
    inner join codes.supervision_rules as r on r.code = 'backfill'
    group by p.project_no, r.most
    having
        count(*) > 1
        and date_part('epoch', max(p.event_end_time)) - date_part('epoch', min(p.event_start_time))
        <= cast(r.most as bigint)
),

-- 时间。写入以后才会发生的事,写入时还不知道。
travels as (
    select project_no
    from standard.city_cases
    where result_time < accept_time or accept_time > update_time

    union all

    select project_no
    from current.city_cases_results
    where cd_operation <> 'D' and result_date > cd_time

    union all

    select p.project_no
    from numbered as p
    inner join standard.city_cases as c on c.project_no = p.project_no
    where p.event_end_time > c.result_time or p.event_end_time > p.cd_time
),

-- 收费。标准写成“35元/件”;有一项看不出金额的,不判断是否超过。
standards as (
    select
        i.item_id,
        max(v.is_fee) as is_fee,
        case
            when
                count(f.row_guid) > 0
                and count(f.row_guid)
                = count(try_cast(split_part(f.fee_standard, '元', 1) as decimal(12, 2)))
                then sum(
                    cast(
                        try_cast(split_part(f.fee_standard, '元', 1) as decimal(12, 2)) * 100
                        as bigint
                    )
                )
        end as cents
    from standard.items as i
    inner join current.city_items_items as v on v.row_guid = i.row_guid
    left join current.city_items_fees as f
        on f.task_guid = i.row_guid and f.cd_operation <> 'D'
    group by i.item_id
),

charged as (
    select
        project_no,
        sum(amount) as cents,
        min(pay_time) as first_paid
    from current.city_cases_charges
    group by project_no
),

found as (
    select * from late

    union all

    select * from serious

    union all

    select
        t.project_no as subject,
        'step_overdue' as rule,
        t.item_id,
        t.org_code,
        t.org_name,
        t.area,
        s.workdays,
        s.found_on
    from slow as s
    inner join standard.case_times as t on t.project_no = s.project_no

    union all

    select
        t.project_no as subject,
        'backfill' as rule,
        t.item_id,
        t.org_code,
        t.org_name,
        t.area,
        cast(null as bigint) as workdays,
        cast(b.first_time as date) as found_on
    from bulk as b
    inner join standard.case_times as t on t.project_no = b.project_no
    where t.project_type = '2' and t.result_time is not null

    union all

    select
        t.project_no as subject,
        'time_travel' as rule,
        t.item_id,
        t.org_code,
        t.org_name,
        t.area,
        cast(null as bigint) as workdays,
        least(t.until_date, cast(n.now as date)) as found_on
    from standard.case_times as t
    cross join as_of as n
    where t.project_no in (select project_no from travels)

    union all

    select
        t.project_no as subject,
        'refuse_no_reason' as rule,
        t.item_id,
        t.org_code,
        t.org_name,
        t.area,
        cast(null as bigint) as workdays,
        t.until_date as found_on
    from standard.case_times as t
    where
        t.status in ('51', '52')
        and t.project_no in (
            select project_no
            from current.city_cases_results
            where nullif(trim(result_explain), '') is null
        )

    union all

    select
        t.project_no as subject,
        'illegal_fee' as rule,
        t.item_id,
        t.org_code,
        t.org_name,
        t.area,
        cast(null as bigint) as workdays,
        cast(c.first_paid as date) as found_on
    from charged as c
    inner join standard.case_times as t on t.project_no = c.project_no
    inner join standards as s on s.item_id = t.item_id
    where c.cents > 0 and (s.is_fee = '0' or c.cents > s.cents)

    union all

    -- 特别程序:没有结束的按自然日,超过法定时间的按工作日。
    select
        t.project_no as subject,
        'suspend_too_long' as rule,
        t.item_id,
        t.org_code,
        t.org_name,
        t.area,
        cast(null as bigint) as workdays,
        cast(min(s.suspend_time) as date) as found_on
    from standard.case_suspensions as s
    inner join standard.case_times as t on t.project_no = s.project_no
    cross join as_of as n
    inner join codes.supervision_rules as r on r.code = 'suspend_too_long'
    where
        (
            s.resume_time is null
            and date_part('epoch', n.now) - date_part('epoch', s.suspend_time)
            >= cast(r.least as bigint) * 86400
        )
        or workdays_between(s.suspend_time, coalesce(s.resume_time, t.result_time, n.now))
        > s.legal_days
    group by t.project_no, t.item_id, t.org_code, t.org_name, t.area

    union all

    -- 联动办理的根办件不在市平台的办件里;各级步骤都在同一个县(区),市级的一步除外。
    select
        s.root_no as subject,
        'suspend_too_long' as rule,
        min(l.item_no) as item_id,
        cast(null as varchar) as org_code,
        cast(null as varchar) as org_name,
        max(substr(p.division_code, 1, 6)) as area,
        cast(null as bigint) as workdays,
        cast(min(s.suspend_time) as date) as found_on
    from current.linked_suspensions as s
    inner join current.linked_roots as l on l.root_no = s.root_no
    left join current.linked_steps as p on p.root_no = s.root_no
    cross join as_of as n
    inner join codes.supervision_rules as r on r.code = 'suspend_too_long'
    where
        s.resume_time is null
        and date_part('epoch', n.now) - date_part('epoch', s.suspend_time)
        >= cast(r.least as bigint) * 86400
    group by s.root_no

    union all

    select
        concat(o.system, '|', o.internal_no) as subject,
        'not_online' as rule,
        o.task_code as item_id,
        o.org_code,
        o.org_name,
        substr(o.org_code, 3, 6) as area,
        cast(null as bigint) as workdays,
        o.accept_date as found_on
    from reconciled.outside_platform as o

    union all

    -- 还没有受理的申请没有部门,实施编码的前 18 位是实施单位。
    select
        m.apply_no as subject,
        'accept_late' as rule,
        m.task_code as item_id,
        item_code_part(m.task_code, 'uscc') as org_code,
        o.org_name,
        substr(item_code_part(m.task_code, 'uscc'), 3, 6) as area,
        workdays_between(cast(m.apply_time as date), cast(n.now as date)) as workdays,
        add_workdays(cast(m.apply_time as date), cast(r.least as bigint)) as found_on
    from current.micro_applications as m
    left join standard.city_cases as c on c.project_no = m.project_no
    left join (
        select dept_code, max(dept_name) as org_name from standard.items group by dept_code
    ) as o on o.dept_code = item_code_part(m.task_code, 'uscc')
    cross join as_of as n
    inner join codes.supervision_rules as r
        on r.code = 'accept_late'
            and workdays_between(cast(m.apply_time as date), cast(n.now as date))
            >= cast(r.least as bigint)
    where c.project_no is null
)

select
    f.subject,
    f.rule,
    r.value as rule_name,
    cast(r.level as bigint) as level,
    r.level_name,
    f.item_id,
    f.org_code,
    f.org_name,
    case when d.level = 'city' then '市本级' else coalesce(d.value, '未知') end as county,
    f.workdays,
    f.found_on
from found as f
inner join codes.supervision_rules as r on r.code = f.rule
left join codes.divisions as d on d.code = concat(f.area, '000000')

/* +++
kind = "view"
description = "业务还在联调的部门系统与市平台的差异,一行是一个差异;只供比对,不计入指标,不向它推送"
key = ["rule", "subject"]
+++ */
-- 规则一览:
--   trial_not_on_platform    联调系统有,市平台没有
--   trial_not_in_department  市平台有,联调系统没有(在它已送数据的时段以内)
--   trial_state              两边状态不同
--   trial_accept_time        两边受理时间相差一分钟以上
with lines as (
    -- 人社局只送办结的办件,结果代码是 2018 年的含义。
    select
        'dept_hrss' as system,
        trim(sblsh_short) as project_no,
        bjbmmc as org_name,
        slsj as accept_time,
        code_map('done_result_2018', bjjgdm) as status,
        true as is_finished,
        true as only_finished
    from current.dept_hrss_finished

    union all

    -- 公积金中心不送结果代码,只比是否办结。
    select
        'dept_fund' as system,
        trim(projid) as project_no,
        deptname as org_name,
        accept_time,
        cast(null as varchar) as status,
        handlestate = '办结' as is_finished,
        false as only_finished
    from current.dept_fund_cases

    union all

    -- 住建委只送受理登记,不比状态。
    select
        'dept_housing' as system,
        trim(projid) as project_no,
        acceptdeptname as org_name,
        occurtime as accept_time,
        cast(null as varchar) as status,
        cast(null as boolean) as is_finished,
        false as only_finished
    from current.dept_housing_cases
),

-- 各系统已经送到的单位和时段,之外的办件还没有轮到它送。
spans as (
    select
        system,
        org_name,
        bool_or(only_finished) as only_finished,
        min(accept_time) as first_time,
        max(accept_time) as last_time
    from lines
    group by system, org_name
)

select
    'trial_not_on_platform' as rule,
    concat(l.system, '|', l.project_no) as subject,
    l.system,
    concat('市平台上没有 ', l.project_no) as found
from lines as l
left join standard.city_cases as c on c.project_no = l.project_no
where c.project_no is null

union all

select
    'trial_not_in_department' as rule,
    concat(s.system, '|', c.project_no) as subject,
    s.system,
    concat(to_char(c.accept_time, '%Y-%m-%d %H:%M:%S'), ' 受理,状态 ', c.status) as found
from spans as s
inner join standard.city_cases as c
    on c.org_name = s.org_name
        and c.accept_time >= s.first_time
        and c.accept_time <= s.last_time
left join lines as l on l.system = s.system and l.project_no = c.project_no
where
    l.project_no is null
    -- 作废、删除的不必送;只送办结的系统没有在办的。
    and c.status not in ('53', '56')
    and not (s.only_finished and c.status = '30')

union all

select
    'trial_state' as rule,
    concat(l.system, '|', l.project_no) as subject,
    l.system,
    concat(
        '联调系统 ', coalesce(l.status, case when l.is_finished then '办结' else '在办' end),
        ',市平台 ', c.status
    ) as found
from lines as l
inner join standard.city_cases as c on c.project_no = l.project_no
where
    case
        when l.status is not null then l.status <> c.status
        else l.is_finished <> (c.status <> '30')
    end

union all

select
    'trial_accept_time' as rule,
    concat(l.system, '|', l.project_no) as subject,
    l.system,
    concat(
        '联调系统 ', to_char(l.accept_time, '%Y-%m-%d %H:%M:%S'),
        ',市平台 ', to_char(c.accept_time, '%Y-%m-%d %H:%M:%S')
    ) as found
from lines as l
inner join standard.city_cases as c on c.project_no = l.project_no
where
    date_part('epoch', l.accept_time) - date_part('epoch', c.accept_time) > 60
    or date_part('epoch', c.accept_time) - date_part('epoch', l.accept_time) > 60

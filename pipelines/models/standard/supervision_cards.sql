/* +++
kind = "table"
description = "电子监察信号:提示、预警、黄牌、红牌,一行是一个办件的一条规则"
key = ["subject", "rule"]
keep = true
+++ */
-- 门限在 config/codes/supervision_rules.csv,各市不同,改表即可。
-- 发出的信号保留:后来补填了办结时间,黄牌也不收回。
with as_of as (
    -- 以市平台最新一件的受理时间为“现在”,不用钟表:数据停了一天,不等于办件都超期了。
    select max(accept_time) as now
    from standard.city_cases
),

timed as (
    select
        c.project_no,
        c.item_id,
        c.org_code,
        c.org_name,
        c.accept_time,
        c.result_time,
        c.promise_time,
        cast(coalesce(c.result_time, a.now) as date) as until_date,
        -- 承诺期限之后的工作日数;期限之前为负。
        workdays_between(cast(c.promise_time as date), cast(coalesce(c.result_time, a.now) as date)) as late
    from standard.city_cases as c
    cross join as_of as a
    where c.status <> '56' and c.promise_time is not null
)

select
    t.project_no as subject,
    r.code as rule,
    r.value as rule_name,
    cast(r.level as bigint) as level,
    r.level_name,
    t.item_id,
    t.org_code,
    t.org_name,
    t.late as workdays,
    t.until_date as found_on
from timed as t
inner join codes.supervision_rules as r
    on r.code in ('remind', 'overdue_promise', 'overdue_serious')
        and t.late >= cast(r.least as bigint)
        and (nullif(r.most, '') is null or t.late <= cast(nullif(r.most, '') as bigint))
        -- 已办结的不再提示。
        and (r.code <> 'remind' or t.result_time is null)

union all

select
    t.project_no as subject,
    r.code as rule,
    r.value as rule_name,
    cast(r.level as bigint) as level,
    r.level_name,
    t.item_id,
    t.org_code,
    t.org_name,
    t.late as workdays,
    t.until_date as found_on
from timed as t
inner join codes.supervision_rules as r on r.code = 'time_travel'
where t.result_time < t.accept_time

union all

select
    concat(o.system, '|', o.internal_no) as subject,
    r.code as rule,
    r.value as rule_name,
    cast(r.level as bigint) as level,
    r.level_name,
    o.task_code as item_id,
    o.org_code,
    o.org_name,
    cast(null as bigint) as workdays,
    o.accept_date as found_on
from reconciled.outside_platform as o
inner join codes.supervision_rules as r on r.code = 'not_online'

union all

select distinct
    c.project_no as subject,
    r.code as rule,
    r.value as rule_name,
    cast(r.level as bigint) as level,
    r.level_name,
    c.item_id,
    c.org_code,
    c.org_name,
    cast(null as bigint) as workdays,
    cast(c.result_time as date) as found_on
from standard.city_cases as c
inner join current.city_cases_results as s on s.project_no = c.project_no
inner join codes.supervision_rules as r on r.code = 'refuse_no_reason'
where c.status in ('51', '52') and nullif(trim(s.result_explain), '') is null

union all

-- 天数是自然日。
select
    s.root_no as subject,
    r.code as rule,
    r.value as rule_name,
    cast(r.level as bigint) as level,
    r.level_name,
    min(l.item_no) as item_id,
    cast(null as varchar) as org_code,
    cast(null as varchar) as org_name,
    cast(null as bigint) as workdays,
    cast(min(s.suspend_time) as date) as found_on
from current.linked_suspensions as s
inner join current.linked_roots as l on l.root_no = s.root_no
cross join as_of as a
inner join codes.supervision_rules as r on r.code = 'suspend_too_long'
where
    s.resume_time is null
    and date_part('epoch', a.now) - date_part('epoch', s.suspend_time) >= cast(r.least as bigint) * 86400
group by s.root_no, r.code, r.value, r.level, r.level_name

union all

select
    m.apply_no as subject,
    r.code as rule,
    r.value as rule_name,
    cast(r.level as bigint) as level,
    r.level_name,
    m.task_code as item_id,
    cast(null as varchar) as org_code,
    cast(null as varchar) as org_name,
    workdays_between(cast(m.apply_time as date), cast(a.now as date)) as workdays,
    cast(m.apply_time as date) as found_on
from current.micro_applications as m
left join standard.city_cases as c on c.project_no = m.project_no
cross join as_of as a
inner join codes.supervision_rules as r
    on r.code = 'accept_late'
        and workdays_between(cast(m.apply_time as date), cast(a.now as date)) >= cast(r.least as bigint)
where c.project_no is null

/* +++
kind = "table"
description = "三方核对后的办件,一行是市平台、省平台、部门任何一方有的一个办件编号"
key = ["project_no"]
+++ */
-- 各方的最新状态已在 standard 层取好,这里只比较、归类和取定论。
with newest as (
    select max(accept_time) as accept_time from standard.city_cases
),

joined as (
    select
        coalesce(c.project_no, p.project_no, d.project_no) as project_no,
        c.project_no is not null as in_city,
        p.project_no is not null as in_province,
        d.project_no is not null as in_department,
        c.status as city_status,
        p.status as province_status,
        d.status as department_status,
        c.accept_time as city_accept_time,
        p.accept_time as province_accept_time,
        d.accept_time as department_accept_time,
        coalesce(c.copies, 0) as city_copies,
        coalesce(p.copies, 0) as province_copies,
        -- 办理状态以真正办理的部门为准,其次是市平台;省平台的是转报来的。
        case
            when d.project_no is not null and d.status is not null then d.status
            when c.project_no is not null and c.status is not null then c.status
            else p.status
        end as status,
        -- 受理时间以市平台为准:受理在平台上发生,部门的时间是事后导出的。
        coalesce(c.accept_time, p.accept_time, d.accept_time) as accept_time,
        coalesce(c.org_code, p.org_code, d.org_code) as org_code,
        coalesce(c.org_name, p.org_name, d.org_name) as org_name,
        coalesce(c.task_code, p.task_code, d.task_code) as task_code,
        coalesce(c.task_name, p.task_name, d.task_name) as task_name,
        d.system as department_system,
        d.internal_no
    from standard.city_cases as c
    full outer join standard.province_cases as p on p.project_no = c.project_no
    full outer join standard.department_cases as d
        on d.project_no = coalesce(c.project_no, p.project_no)
),

compared as (
    select
        j.*,
        o.org_code is not null as is_own_system,
        -- 市平台的办件两小时内报到省平台都属正常,不算漏报。
        j.accept_time > n.accept_time - interval '2 hours' as is_young,
        (j.in_city and j.in_province and j.city_status is distinct from j.province_status)
        or (j.in_city and j.in_department and j.city_status is distinct from j.department_status)
        or (
            j.in_province and j.in_department
            and j.province_status is distinct from j.department_status
        )
        as status_differs,
        -- 各系统的时钟相差几秒属正常,超过一分钟才算受理时间不一致。
        (j.in_city and j.in_province and not coalesce(
            j.province_accept_time between j.city_accept_time - interval '60 seconds'
            and j.city_accept_time + interval '60 seconds', false
        ))
        or (j.in_city and j.in_department and not coalesce(
            j.department_accept_time between j.city_accept_time - interval '60 seconds'
            and j.city_accept_time + interval '60 seconds', false
        )) as accept_time_differs
    from joined as j
    cross join newest as n
    left join standard.department_orgs as o on o.org_code = j.org_code
)

select
    c.project_no,
    -- 先后有讲究:重复的办件说不准哪一行对,比较没有意义;刚受理的不算漏报;
    -- 缺一方的先查缺在哪,齐了才比内容。
    case
        when c.city_copies > 1 or c.province_copies > 1 then 'duplicate_key'
        when not c.in_province and c.is_young then 'pending'
        when not c.in_city then 'missing_in_city'
        when not c.in_province then 'missing_in_province'
        when not c.in_department and c.is_own_system then 'missing_in_department'
        when c.status_differs or c.accept_time_differs then 'mismatch'
        else 'matched'
    end as class,
    c.in_city,
    c.in_province,
    c.in_department,
    c.status_differs,
    c.accept_time_differs,
    c.status,
    s.value as status_name,
    c.accept_time,
    cast(c.accept_time as date) as accept_date,
    -- 不予受理、作废、撤回、删除的不算办件;只有部门有的是“平台之外办件”,另行统计。
    coalesce(s.counts_as_case = '1' and (c.in_city or c.in_province), false) as countable,
    c.city_status,
    c.province_status,
    c.department_status,
    c.city_accept_time,
    c.province_accept_time,
    c.department_accept_time,
    c.city_copies,
    c.province_copies,
    c.org_code,
    c.org_name,
    c.task_code,
    c.task_name,
    c.department_system,
    c.internal_no
from compared as c
left join codes.case_status as s on s.code = c.status

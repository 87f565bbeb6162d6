/* +++
kind = "table"
description = "部门的每一件在平台上是哪一件,凭什么认定:number 办件编号,business_key 单位+事项+申请人+受理日;outside 平台上没有"
key = ["system", "internal_no"]
+++ */
with orgs as (
    select distinct org_code from standard.department_lines where project_no is null
),

-- 平台上这几个单位的办件。市平台有的以市平台为准;市平台没有的才看省平台,
-- 因为省平台的受理时间错了的话,会把别人的办件认成这一件。
platform as (
    select c.project_no, c.org_code, c.task_code, c.applicant_id, c.accept_time
    from standard.city_cases as c
    inner join orgs as o on o.org_code = c.org_code
    union all
    select p.project_no, p.org_code, p.task_code, p.applicant_id, p.accept_time
    from standard.province_cases as p
    inner join orgs as o on o.org_code = p.org_code
    left join standard.city_cases as c on c.project_no = p.project_no
    where c.project_no is null
),

-- 部门已用办件编号报过的办件,不能再认给没有编号的一行。
free as (
    select
        p.project_no,
        p.org_code,
        p.task_code,
        upper(to_halfwidth(trim(p.applicant_id))) as applicant_id,
        cast(p.accept_time as date) as accept_date,
        row_number() over (
            partition by
                p.org_code,
                p.task_code,
                upper(to_halfwidth(trim(p.applicant_id))),
                cast(p.accept_time as date)
            order by p.accept_time, p.project_no
        ) as place
    from platform as p
    left join standard.department_lines as d on d.project_no = p.project_no
    where d.internal_no is null
),

unnumbered as (
    select
        system,
        internal_no,
        org_code,
        task_code,
        applicant_id,
        cast(accept_time as date) as accept_date,
        -- 同一人同一天就同一事项办了两件的,按受理先后一件对一件。
        row_number() over (
            partition by org_code, task_code, applicant_id, cast(accept_time as date)
            order by accept_time, internal_no
        ) as place
    from standard.department_lines
    where project_no is null
),

by_key as (
    select u.system, u.internal_no, f.project_no
    from unnumbered as u
    left join free as f
        on f.org_code = u.org_code
        and f.task_code = u.task_code
        and f.applicant_id = u.applicant_id
        and f.accept_date = u.accept_date
        and f.place = u.place
),

-- 编号可以是平台上任何单位的办件,所以这里不限单位。
by_number as (
    select
        d.system,
        d.internal_no,
        d.project_no,
        c.project_no is not null or p.project_no is not null as is_known
    from standard.department_lines as d
    left join standard.city_cases as c on c.project_no = d.project_no
    left join standard.province_cases as p on p.project_no = d.project_no
    where d.project_no is not null
)

select
    system,
    internal_no,
    project_no,
    case when is_known then 'number' else 'outside' end as matched_by
from by_number
union all
select
    system,
    internal_no,
    project_no,
    case when project_no is not null then 'business_key' else 'outside' end as matched_by
from by_key

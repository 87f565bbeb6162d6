/* +++
kind = "view"
description = "四个已对接部门报送的办件,一行是部门的一个内部编号"
+++ */
-- 部门名单与 config/systems/dept_*.toml 一致;新接一个部门,在这里加一段。
with planning as (
    -- 更正后重报的办件以更新时间最晚的一行为准。
    select
        *,
        row_number() over (partition by project_no order by update_time desc, row_guid) as age
    from current.dept_planning_cases
),

planning_results as (
    select
        *,
        row_number() over (partition by project_no order by cd_time desc, row_guid) as age
    from current.dept_planning_results
),

land as (
    select
        *,
        row_number() over (partition by internal_no order by update_date desc, "no" desc) as age
    from current.dept_land_cases
),

-- 国土的申请表没有受理时间:第一个环节(受理;不予受理的是收件)的处理时间就是。
land_accepted as (
    select internal_no, min(process_date) as accept_time
    from current.dept_land_processes
    group by internal_no
),

land_results as (
    select
        *,
        row_number() over (partition by internal_no order by update_date desc, "no" desc) as age
    from current.dept_land_results
),

files as (
    select
        'dept_quality' as system, '市质监局' as owner, internal_no, project_no, task_code,
        task_name, applicant_id, accept_time, result_time, trim(state_word) as state_word,
        org_code, org_name, _run as received_run
    from current.dept_quality_cases
    union all
    select
        'dept_education' as system, '市教育局' as owner, internal_no, project_no, task_code,
        task_name, applicant_id, accept_time, result_time, trim(state_word) as state_word,
        org_code, org_name, _run as received_run
    from current.dept_education_cases
),

lines as (
    -- 规划用国家 2020 年的结果代码;标记删除的以删除标记为准,结果行被删除的等于没有结果。
    select
        'dept_planning' as system,
        '市规划局' as owner,
        p.project_no as internal_no,
        p.local_project_no as project_no,
        p.task_code,
        p.task_name,
        p.applyer_page_code as applicant_id,
        p.accept_date as accept_time,
        r.result_date as result_time,
        case
            when p.cd_operation = 'D' then '删除'
            when r.result_type is null then '受理'
            else k.name
        end as state_word,
        case
            when p.cd_operation = 'D' then '56'
            when r.result_type is null then '30'
            else code_map('done_result_2020', r.result_type)
        end as status,
        p.org_code,
        p.org_name,
        case when r._run > p._run then r._run else p._run end as received_run
    from planning as p
    left join planning_results as r
        on r.project_no = p.project_no and r.age = 1 and r.cd_operation <> 'D'
    left join codes.done_result_2020 as k on k.code = r.result_type
    where p.age = 1
    union all
    select
        'dept_land' as system,
        '市国土资源局' as owner,
        l.internal_no,
        l.project_no,
        l.item_id as task_code,
        l.dept_ql_name as task_name,
        l.applicant_paper_code as applicant_id,
        -- 环节还没有报来的,先用申请时间。
        coalesce(a.accept_time, l.apply_date) as accept_time,
        r.finish_date as result_time,
        coalesce(trim(r.status), '受理') as state_word,
        code_map('dept_case_state', coalesce(trim(r.status), '受理')) as status,
        l.org_id as org_code,
        l.org_name,
        case when r._run > l._run then r._run else l._run end as received_run
    from land as l
    left join land_accepted as a on a.internal_no = l.internal_no
    left join land_results as r on r.internal_no = l.internal_no and r.age = 1
    where l.age = 1
    union all
    select
        system, owner, internal_no, project_no, task_code, task_name, applicant_id, accept_time,
        result_time, state_word, code_map('dept_case_state', state_word) as status, org_code,
        org_name, received_run
    from files
)

select
    system,
    owner,
    internal_no,
    nullif(trim(project_no), '') as project_no,
    task_code,
    task_name,
    -- 部门手工录入,证件号码里有全角数字和小写 x。
    upper(to_halfwidth(trim(applicant_id))) as applicant_id,
    accept_time,
    result_time,
    state_word,
    status,
    org_code,
    org_name,
    received_run
from lines

/* +++
kind = "view"
description = "四个已对接部门报送的办件,一行是部门的一个内部编号"
+++ */
-- 部门名单与 config/systems/dept_*.toml 一致;新接一个部门,在这里加一段。
with lines as (
    select
        'dept_planning' as system, '市规划局' as owner, internal_no, project_no, task_code,
        task_name, applicant_id, accept_time, result_time, state_word, org_code, org_name,
        _run as received_run
    from current.dept_planning_cases
    union all
    select
        'dept_land' as system, '市国土资源局' as owner, internal_no, project_no, task_code,
        task_name, applicant_id, accept_time, result_time, state_word, org_code, org_name,
        _run as received_run
    from current.dept_land_cases
    union all
    select
        'dept_quality' as system, '市质监局' as owner, internal_no, project_no, task_code,
        task_name, applicant_id, accept_time, result_time, state_word, org_code, org_name,
        _run as received_run
    from current.dept_quality_cases
    union all
    select
        'dept_education' as system, '市教育局' as owner, internal_no, project_no, task_code,
        task_name, applicant_id, accept_time, result_time, state_word, org_code, org_name,
        _run as received_run
    from current.dept_education_cases
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
    code_map('dept_case_state', trim(state_word)) as status,
    org_code,
    org_name,
    received_run
from lines

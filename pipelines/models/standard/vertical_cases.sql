/* +++
kind = "view"
description = "五个省直垂建业务系统里办结的办件,一行是一个系统的一个流水号"
key = ["system", "sblsh"]
+++ */
with lines as (
    select 'vertical_1' as system, sblsh, project_no, task_code, task_name, org_name, result_code,
        accept_time, result_time
    from current.vertical_1_cases
    union all
    select 'vertical_2' as system, sblsh, project_no, task_code, task_name, org_name, result_code,
        accept_time, result_time
    from current.vertical_2_cases
    union all
    select 'vertical_3' as system, sblsh, project_no, task_code, task_name, org_name, result_code,
        accept_time, result_time
    from current.vertical_3_cases
    union all
    select 'vertical_4' as system, sblsh, project_no, task_code, task_name, org_name, result_code,
        accept_time, result_time
    from current.vertical_4_cases
    union all
    select 'vertical_5' as system, sblsh, project_no, task_code, task_name, org_name, result_code,
        accept_time, result_time
    from current.vertical_5_cases
)

select
    system,
    sblsh,
    nullif(trim(project_no), '') as project_no,
    task_code,
    task_name,
    org_name,
    accept_time,
    result_time,
    -- 与市平台一样仍用 2018 年的结果代码。
    code_map('done_result_2018', result_code) as status
from lines

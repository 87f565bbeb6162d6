/* +++
kind = "table"
description = "市平台的办件,一行是一个办件编号的最新版本"
key = ["project_no"]
+++ */
-- 姓名、电话、地址不进这张表:核对用不上,补报时再按 row_guid 回原表取。
with accepted as (
    select
        project_no,
        row_guid,
        task_code,
        task_name,
        org_code,
        org_name,
        applyer_page_type,
        applyer_page_code,
        project_type,
        apply_type,
        accept_date,
        promise_date,
        cd_operation,
        update_time,
        -- 更正后重报的办件以更新时间最晚的一行为准。
        row_number() over (partition by project_no order by update_time desc, row_guid) as age,
        -- 更新时间也相同,就分不出哪一行更新:是重复,不是更正。
        count(*) over (partition by project_no, update_time) as copies,
        count(*) over (partition by project_no) as versions
    from current.city_cases_accepted
),

results as (
    select
        project_no,
        result_type,
        result_date,
        cd_operation,
        row_number() over (partition by project_no order by cd_time desc, row_guid) as age
    from current.city_cases_results
)

select
    a.project_no,
    a.row_guid,
    a.task_code,
    a.task_name,
    a.org_code,
    a.org_name,
    a.applyer_page_type as applicant_id_type,
    a.applyer_page_code as applicant_id,
    a.project_type,
    a.apply_type,
    a.accept_date as accept_time,
    a.promise_date as promise_time,
    r.result_date as result_time,
    r.result_type as status_code,
    -- 市平台仍用 2018 年的结果代码:1 是退回,6 是其他办结,与省平台的含义不同。
    -- 标记删除的办件保留着删除前的结果行,以删除标记为准。
    case
        when a.cd_operation = 'D' then '56'
        when r.result_type is null then '30'
        else code_map('done_result_2018', r.result_type)
    end as status,
    a.copies,
    a.versions,
    a.update_time
from accepted as a
left join results as r
    on r.project_no = a.project_no and r.age = 1 and r.cd_operation <> 'D'
where a.age = 1

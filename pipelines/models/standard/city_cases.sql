/* +++
kind = "table"
description = "市平台的办件,一行是一个办件编号的最新版本"
key = ["project_no"]
+++ */
-- 姓名、电话、地址不进这张表:核对用不上,补报时再按 row_guid 回原表取。
-- 先用办件编号、时间、行号三列挑出要留的行,再去取其余各列:
-- 四十万行带着全部列排序,内存放不下。
with newest as (
    -- 更正后重报的办件以更新时间最晚的一行为准。
    select project_no, max(update_time) as update_time, count(*) as versions
    from current.city_cases_accepted
    group by project_no
),

picked as (
    select
        n.project_no,
        min(a.row_guid) as row_guid,
        -- 更新时间也相同,就分不出哪一行更新:是重复,不是更正。
        count(*) as copies,
        max(n.versions) as versions
    from newest as n
    inner join current.city_cases_accepted as a
        on a.project_no = n.project_no and a.update_time = n.update_time
    group by n.project_no
),

newest_results as (
    select project_no, max(cd_time) as cd_time
    from current.city_cases_results
    group by project_no
),

picked_results as (
    select n.project_no, min(r.row_guid) as row_guid
    from newest_results as n
    inner join current.city_cases_results as r
        on r.project_no = n.project_no and r.cd_time = n.cd_time
    group by n.project_no
),

-- 最后一次同步是删除的,等于没有结果。
results as (
    select p.project_no, r.result_type, r.result_date
    from picked_results as p
    inner join current.city_cases_results as r on r.row_guid = p.row_guid
    where r.cd_operation <> 'D'
)

select
    a.project_no,
    a.row_guid,
    a.task_code,
    -- 与事项一样:有业务办理项的按业务办理项,没有的按实施编码。
    coalesce(nullif(trim(a.task_handle_item), ''), a.task_code) as item_id,
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
    p.copies,
    p.versions,
    a.update_time,
    -- 受理行是哪一次运行收到的,核对时用来说明出处。
    a._run as received_run
from picked as p
inner join current.city_cases_accepted as a on a.row_guid = p.row_guid
left join results as r on r.project_no = p.project_no

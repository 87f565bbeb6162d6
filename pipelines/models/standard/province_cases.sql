/* +++
kind = "table"
description = "省平台的办件,一行是一个办件编号的最高数据版本"
key = ["project_no"]
+++ */
-- 与 standard.city_cases 一样,先挑行再取列。
with newest as (
    -- 重报的办件数据版本加一;更新时间是省平台的入库时间,不能用来排先后。
    select project_no, max(data_version) as data_version, count(*) as versions
    from current.province_cases
    group by project_no
),

picked as (
    select
        n.project_no,
        min(p.record_id) as record_id,
        count(*) as copies,
        max(n.versions) as versions
    from newest as n
    inner join current.province_cases as p
        on p.project_no = n.project_no and p.data_version = n.data_version
    group by n.project_no
)

select
    p.project_no,
    p.record_id,
    p.task_code,
    p.task_name,
    p.org_code,
    p.org_name,
    p.cert_type as applicant_id_type,
    p.cert_no as applicant_id,
    p.accept_date as accept_time,
    p.promise_date as promise_time,
    p.result_date as result_time,
    p.result_type as status_code,
    -- 省平台已换用新的结果代码:1 是不予许可,5 是退件,6 是不予受理。
    case
        when nullif(p.result_type, '') is null then '30'
        else code_map('done_result_2020', p.result_type)
    end as status,
    k.copies,
    k.versions,
    p.data_version,
    p.update_time,
    p._run as received_run
from picked as k
inner join current.province_cases as p on p.record_id = k.record_id

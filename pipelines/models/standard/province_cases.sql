/* +++
kind = "table"
description = "省平台的办件,一行是一个办件编号的最高数据版本"
key = ["project_no"]
+++ */
with records as (
    select
        project_no,
        record_id,
        task_code,
        task_name,
        org_code,
        org_name,
        cert_type,
        cert_no,
        accept_date,
        promise_date,
        result_type,
        result_date,
        data_version,
        update_time,
        -- 重报的办件数据版本加一;更新时间是省平台的入库时间,不能用来排先后。
        row_number() over (partition by project_no order by data_version desc, record_id) as age,
        count(*) over (partition by project_no, data_version) as copies,
        count(*) over (partition by project_no) as versions
    from current.province_cases
)

select
    project_no,
    record_id,
    task_code,
    task_name,
    org_code,
    org_name,
    cert_type as applicant_id_type,
    cert_no as applicant_id,
    accept_date as accept_time,
    promise_date as promise_time,
    result_date as result_time,
    result_type as status_code,
    -- 省平台已换用新的结果代码:1 是不予许可,5 是退件,6 是不予受理。
    case
        when nullif(result_type, '') is null then '30'
        else code_map('done_result_2020', result_type)
    end as status,
    copies,
    versions,
    data_version,
    update_time
from records
where age = 1

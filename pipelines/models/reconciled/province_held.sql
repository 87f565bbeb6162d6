/* +++
kind = "view"
description = "省平台现有的办件,列与其接收接口一致:更正之前的样子,撤销更正时照此发回"
+++ */
select
    k.project_no,
    p.task_code,
    p.task_name,
    p.org_code,
    p.org_name,
    p.applicant_name,
    p.applicant_type,
    p.cert_type,
    p.cert_no,
    p.mobile,
    to_char(p.accept_date, '%Y-%m-%d %H:%M:%S') as accept_date,
    to_char(p.promise_date, '%Y-%m-%d %H:%M:%S') as promise_date,
    nullif(p.result_type, '') as result_type,
    to_char(p.result_date, '%Y-%m-%d %H:%M:%S') as result_date,
    p.division_code
from standard.province_cases as k
inner join current.province_cases as p on p.record_id = k.record_id

/* +++
kind = "view"
description = "省平台办件更正后的样子:台账上未处理的差异按各字段的可信来源改正,其余照省平台现有的内容"
+++ */
-- 只在有人执行 `reconcile repair apply` 时发送,见 config/systems/province.toml。
with wrong as (
    select
        entity_key as project_no,
        bool_or(field = 'status') as wrong_status,
        bool_or(field = 'accept_time') as wrong_time
    from reconciled.case_repairs
    where system = 'province' and action = 'update'
    group by entity_key
)

select
    h.project_no,
    h.task_code,
    h.task_name,
    h.org_code,
    h.org_name,
    h.applicant_name,
    h.applicant_type,
    h.cert_type,
    h.cert_no,
    h.mobile,
    case
        when w.wrong_time then to_char(g.accept_time, '%Y-%m-%d %H:%M:%S') else h.accept_date
    end as accept_date,
    h.promise_date,
    case when w.wrong_status then r.code else h.result_type end as result_type,
    case
        when not w.wrong_status then h.result_date
        -- 在办的没有办结时间。
        when r.code is null then null
        else coalesce(
            h.result_date,
            to_char(coalesce(d.result_time, c.result_time), '%Y-%m-%d %H:%M:%S')
        )
    end as result_date,
    h.division_code
from wrong as w
inner join reconciled.province_held as h on h.project_no = w.project_no
inner join reconciled.cases as g on g.project_no = w.project_no
left join standard.city_cases as c on c.project_no = w.project_no
left join standard.department_cases as d on d.project_no = w.project_no
left join codes.done_result_2020 as r on r.value = g.status
-- 省平台的结果代码表达不了的状态(如 57“其他办结”)不能照实更正,留给人处理。
where not w.wrong_status or r.code is not null or g.status = '30'

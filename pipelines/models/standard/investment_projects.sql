/* +++
kind = "table"
description = "投资项目,一行是投资平台的一个项目"
key = ["invest_id"]
+++ */
with approvals as (
    select
        invest_id,
        count(*) as approvals,
        max(update_time) as last_approval_time
    from current.investment_approvals
    group by invest_id
)

select
    p.invest_id,
    p.project_name,
    p.project_code,
    -- 没有赋码的项目在代码一栏里写“审核中”“驳回”“作废”,不是代码。
    coalesce(project_code_valid(p.project_code), false) as code_valid,
    p.status as state,
    code_map('project_state', p.status) as state_name,
    p.division_code,
    p.invest_total,
    p.apply_date as apply_time,
    coalesce(a.approvals, 0) as approvals,
    a.last_approval_time,
    p.update_time
from current.investment_projects as p
left join approvals as a on a.invest_id = p.invest_id

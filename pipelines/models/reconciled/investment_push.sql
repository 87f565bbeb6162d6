/* +++
kind = "table"
description = "待报投资平台的审批结果:市里已办结,投资平台还写着受理;列与接收接口一致"
key = ["approval_id"]
+++ */
select
    a.approval_id,
    a.invest_id,
    a.project_code,
    a.project_no,
    code_map('case_status', c.status) as state,
    to_char(c.result_time, '%Y-%m-%d %H:%M:%S') as result_time
from current.investment_approvals as a
inner join standard.city_cases as c on c.project_no = a.project_no
where c.status <> '30' and code_map('dept_case_state', a.state) = '30'

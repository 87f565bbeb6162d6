/* +++
kind = "view"
description = "推送的审批结果处理得怎样,一行是一个审批事项:退回清单里最后一条,或者投资平台上已有结果"
key = ["approval_id"]
+++ */
-- 投资平台只列退回的,采用了的要看审批事项本身;收到的时间一并给出,早于推送的不算回执。
with said as (
    select
        approval_id,
        'rejected' as result,
        code,
        message,
        _received_at
    from current.investment_refused

    union all

    select
        approval_id,
        'accepted' as result,
        cast(null as varchar) as code,
        cast(null as varchar) as message,
        _received_at
    from current.investment_approvals
    where code_map('dept_case_state', state) is distinct from '30'
),

ranked as (
    select
        *,
        row_number() over (partition by approval_id order by _received_at desc, result) as age
    from said
)

select
    approval_id,
    result,
    code,
    message,
    _received_at
from ranked
where age = 1

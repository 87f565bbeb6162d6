/* +++
kind = "table"
description = "门户注册账号,一行是一个账号;同一证件重复注册的,只有最早的在用账号不算重复"
key = ["account_id"]
+++ */
-- 姓名、手机号不进这张表;证件号码只用来认重复,也不留下。
with accounts as (
    select
        account_id,
        user_type,
        cert_no,
        register_time,
        cancel_time,
        coalesce(status = '1' and cancel_time is null, false) as in_use
    from current.portal_accounts
),

ranked as (
    select
        *,
        row_number() over (
            partition by in_use, user_type, cert_no order by register_time, account_id
        ) as place
    from accounts
)

select
    account_id,
    user_type,
    cast(register_time as date) as registered_on,
    cast(cancel_time as date) as cancelled_on,
    in_use,
    in_use and place > 1 as is_duplicate
from ranked

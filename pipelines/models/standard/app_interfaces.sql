/* +++
kind = "view"
description = "皖事通便民服务接口,一行是一个接口的最新版本"
key = ["interface_id"]
+++ */
with ranked as (
    select
        *,
        row_number() over (partition by interface_id order by version desc) as age
    from current.app_interfaces
)

-- 最新版本已下架的,旧版本写着“已发布”也不算。
select
    interface_id,
    version,
    interface_name,
    provider,
    state,
    state_time
from ranked
where age = 1

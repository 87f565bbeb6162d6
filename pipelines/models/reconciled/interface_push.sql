/* +++
kind = "table"
description = "推送皖事通的便民服务接口:登记册里发布的现行版本"
key = ["interface_id", "version"]
+++ */
select
    interface_id,
    version,
    interface_name,
    provider,
    to_char(published_on, '%Y-%m-%d') as published_on
from current.steer_interfaces
where state = '发布'

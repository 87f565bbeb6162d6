/* +++
description = "省平台公布的本市注册量、访问量要与门户同一天的数字一致,否则排名用的不是本市的数字"
owner = "市政务服务中心"
severity = "warn"
key = ["stat_date", "kind", "published", "counted"]
+++ */
select stat_date, kind, published, counted
from reconciled.registration_differences
where difference <> 0

/* +++
description = "平台 2017 年 12 月 20 日上线,此前不得有受理的办件"
owner = "市政务服务中心"
severity = "warn"
key = ["project_no", "accept_time"]
+++ */
select project_no, accept_time
from reconciled.cases
where accept_time < timestamp '2017-12-20 00:00:00'

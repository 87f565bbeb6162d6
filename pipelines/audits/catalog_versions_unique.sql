/* +++
description = "同一基本编码的同一版本、同一同步时间不得有两行,否则分不出目录以哪一行为准"
owner = "市编办"
key = ["catalog_code", "task_version"]
+++ */
select catalog_code, task_version, cd_time, count(*) as copies
from current.city_catalog_directory
group by catalog_code, task_version, cd_time
having count(*) > 1

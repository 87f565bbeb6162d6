/* +++
kind = "table"
description = "基本目录(目录清单,市编办编制),一行是一个基本编码的最新版本"
key = ["catalog_code"]
audits = ["catalog_versions_unique"]
+++ */
with ranked as (
    select
        row_guid,
        row_number() over (
            partition by catalog_code
            order by task_version desc, cd_time desc, row_guid desc
        ) as age
    from current.city_catalog_directory
)

select
    d.catalog_code,
    d.task_name,
    d.task_type,
    d.use_level,
    d.task_state,
    d.task_version,
    coalesce(d.task_state = '1' and d.cd_operation <> 'D', false) as in_use,
    d.cd_time as changed_at
from ranked as r
inner join current.city_catalog_directory as d on d.row_guid = r.row_guid
where r.age = 1

/* +++
kind = "view"
description = "核对后的办件加上统计用的列:是否计数、受理日期、状态名称"
+++ */
-- 核对本身在 pipelines/reconcile/case.toml,这里只加统计口径。
select
    c.*,
    s.value as status_name,
    cast(c.accept_time as date) as accept_date,
    -- 不予受理、作废、撤回、删除的不算办件;只有部门有的是“平台之外办件”,另行统计。
    coalesce(s.counts_as_case = '1' and (c.in_city or c.in_province), false) as countable
from reconciled.cases as c
left join codes.case_status as s on s.code = c.status

/* +++
kind = "view"
description = "有自建系统且已对接的单位,一行是一个部门编码"
+++ */
-- 从部门自己报的数据里得出,不另列名单,免得机构改码后名单过时。
-- 占不到百分之一的编码多半是抄错的:认了它,别的单位的办件就全成了“部门缺失”。
with counted as (
    select system, org_code, count(*) as lines
    from standard.department_lines
    group by system, org_code
),

shares as (
    select system, org_code, lines, sum(lines) over (partition by system) as system_lines
    from counted
)

select distinct org_code
from shares
where lines * 100 >= system_lines

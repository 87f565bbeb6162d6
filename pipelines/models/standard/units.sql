/* +++
kind = "table"
description = "纳入平台运行管理的单位:市、县(区)、开发园区、乡镇(街道)、村(社区),至少有一个在用的申请类事项"
key = ["unit_code"]
+++ */
select
    unit_code,
    max(level) as level,
    max(unit_name) as name,
    -- 村的上级是乡镇,乡镇的上级是县(区)或园区,县(区)和园区的上级是市。
    max(case level
        when 'village' then concat(substr(unit_code, 1, 9), '000')
        when 'township' then county_code
        when 'county' then '340500000000'
        when 'park' then '340500000000'
    end) as parent_code,
    count(*) as items,
    count(*) filter (where online_able) as online_able_items
from standard.items
where in_use and application_type and unit_code is not null and level is not null
group by unit_code

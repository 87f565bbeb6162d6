/* +++
kind = "table"
description = "待报并联审批的状态:市里已办结,并联审批还写着受理;列与它的前置表一致"
key = ["xmdm", "spjdxh", "spsxslbm"]
+++ */
-- 与 parallel_findings 的 parallel_state 是同一批。
select distinct
    p.xmdm,
    p.spjdxh,
    p.spsxslbm,
    -- 并联审批没有更细的状态:作废、删除的写作废,其余写办结,市里的说法写进办理意见。
    case when c.status in ('53', '56') then '作废' else '办结' end as blzt,
    to_char(c.result_time, '%Y-%m-%d %H:%M:%S') as bjsj,
    concat('市平台', code_map('case_status', c.status)) as blyj
from current.parallel_cases as p
inner join standard.city_cases as c on c.project_no = p.spsxslbm
where p.blzt = '受理' and c.status <> '30'

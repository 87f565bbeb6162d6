/* +++
kind = "view"
description = "并联审批发现的问题,一行是一个问题"
key = ["rule", "subject"]
+++ */
-- 规则一览:
--   parallel_not_sent         上传没有成功,原因是系统写的
--   parallel_unknown_project  项目代码不在投资平台上
--   parallel_state            市里已办结,并联审批还写着受理
--   parallel_without_opinion  办结了没有办理意见
with codes as (
    select distinct project_code
    from current.investment_projects
),

opinions as (
    select distinct spsxslbm
    from current.parallel_opinions
)

select
    'parallel_not_sent' as rule,
    xmdm as subject,
    sbyy as found
from current.parallel_projects
where sjsczt = '-1'

union all

select
    'parallel_unknown_project' as rule,
    p.spsxslbm as subject,
    concat('项目代码 ', p.xmdm) as found
from current.parallel_cases as p
left join codes as k on k.project_code = p.xmdm
where k.project_code is null

union all

select
    'parallel_state' as rule,
    p.spsxslbm as subject,
    concat(code_map('project_stage', p.spjdxh), ',市平台 ', code_map('case_status', c.status)) as found
from current.parallel_cases as p
inner join standard.city_cases as c on c.project_no = p.spsxslbm
where p.blzt = '受理' and c.status <> '30'

union all

select
    'parallel_without_opinion' as rule,
    p.spsxslbm as subject,
    code_map('project_stage', p.spjdxh) as found
from current.parallel_cases as p
left join opinions as o on o.spsxslbm = p.spsxslbm
where p.blzt = '办结' and o.spsxslbm is null

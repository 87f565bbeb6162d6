/* +++
kind = "table"
description = "事项核对发现的问题,一行是一个问题:违反哪条规则、哪个事项或办件、谁负责、查到什么、应当怎样"
key = ["rule", "subject"]
+++ */
-- 规则一览:
--   rule_01 至 rule_10  填报规范十条,见 standard.item_checks
--   code_*              编码结构,见 standard.item_checks
--   catalog_*           目录清单与实施清单,见 reconciled.catalog_differences
--   case_*              办件与受理时的事项版本、平台之外办件,在下面
with cases as (
    select
        case
            when v.task_version is null then 'case_not_in_force'
            else 'case_cancelled'
        end as rule,
        v.project_no,
        v.item_id,
        v.task_name,
        v.org_name,
        v.org_code,
        v.accept_time,
        v.task_version,
        v.task_state
    from standard.case_versions as v
    inner join codes.case_status as s on s.code = v.status
    -- 不予受理、作废、撤回、删除的不算办件。
    where s.counts_as_case = '1' and not coalesce(v.in_use, false)
)

select
    rule,
    case when starts_with(rule, 'code_') then 'code' else 'form' end as area,
    item_id as subject,
    item_id,
    task_name,
    owner,
    county_code,
    found,
    expected
from standard.item_checks

union all

select
    rule,
    'catalog' as area,
    subject,
    item_id,
    task_name,
    owner,
    county_code,
    found,
    expected
from reconciled.catalog_differences

union all

select
    rule,
    'case' as area,
    project_no as subject,
    item_id,
    task_name,
    org_name as owner,
    concat(substr(org_code, 3, 6), '000000') as county_code,
    case rule
        when 'case_not_in_force' then
            concat(to_char(accept_time, '%Y-%m-%d %H:%M:%S'), ' 受理,当时没有生效的版本')
        else
            concat(
                to_char(accept_time, '%Y-%m-%d %H:%M:%S'), ' 受理,当时的版本 ', task_version,
                ' 状态为 ', coalesce(task_state, '未填')
            )
    end as found,
    '受理时事项有生效的、在用的版本' as expected
from cases

union all

-- 平台之外无办件。
select
    'case_outside_platform' as rule,
    'case' as area,
    concat(system, '/', internal_no) as subject,
    task_code as item_id,
    task_name,
    owner,
    concat(substr(org_code, 3, 6), '000000') as county_code,
    reason as found,
    '部门办理的件在市平台或省平台上都有' as expected
from reconciled.outside_platform

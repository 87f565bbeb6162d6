/* +++
kind = "view"
description = "事项填报和编码的核对结果,一行是一个事项违反的一条规则"
+++ */
-- rule_01 至 rule_10 是填报规范十条,只管有申请人的事项;code_ 开头的是编码规则,管全部在用事项。
with forms as (
    select * from standard.item_forms where application_type
),

-- 编码前面的部分错了,后面的多半跟着错,所以一个事项只报第一处。
codes as (
    select
        *,
        case
            when length(task_code) <> 31 or length(handle_code) <> 33 then 'code_length'
            when not uscc_valid(item_code_part(task_code, 'uscc')) then 'code_credit'
            when item_code_part(task_code, 'level') <> use_level then 'code_level'
            when item_code_part(task_code, 'catalog') <> catalog_code then 'code_catalog'
            when not starts_with(handle_code, task_code) then 'code_handle'
        end as rule
    from standard.item_forms
),

findings as (
    select
        'rule_01' as rule,
        item_id,
        concat(
            case project_type when '1' then '即办件' else '承诺件' end, ',承诺时限 ', promise_day
        ) as found,
        '承诺时限为 0(即办)的填即办件,其余的填承诺件' as expected
    from forms
    where (promise_day = 0) <> (project_type = '1')

    union all
    -- 结果类型:10 证照(出证办结),20 批文(出文办结、审批办结)。
    select
        'rule_02' as rule,
        item_id,
        concat('结果名称“', result_name, '”,结果类型 ', coalesce(result_type, '未填')) as found,
        '名称以“证”结尾的类型为 10 证照;以“文”“批复”结尾的类型为 20 批文' as expected
    from forms
    where
        (ends_with(result_name, '证') and not multi_has(result_type, '10'))
        or (
            (ends_with(result_name, '文') or ends_with(result_name, '批复'))
            and not multi_has(result_type, '20')
        )

    union all
    select
        'rule_03' as rule,
        item_id,
        concat(
            '到现场 ', visits, ' 次,原因“', case visit_reason when '' then '未填' else visit_reason end, '”'
        ) as found,
        '到现场次数不为 0 的写明原因,为 0 的原因填“无”' as expected
    from forms
    where
        (visits <> 0 and visit_reason in ('', '无'))
        or (visits = 0 and visit_reason <> '无')

    union all
    select
        'rule_04' as rule,
        item_id,
        concat('到现场 0 次,不能网办,办理形式 ', coalesce(handle_type, '未填')) as found,
        '到现场 0 次又不能网办的,办理形式要含 3 快递申请' as expected
    from forms
    where visits = 0 and not is_online and not multi_has(handle_type, '3')

    union all
    select
        'rule_05' as rule,
        item_id,
        concat('网办深度 ', online_handle_depth, ',到现场 ', visits, ' 次') as found,
        '全程网办(深度含 5、6 或 7)的到现场次数为 0' as expected
    from forms
    where is_online and multi_has(online_handle_depth, '5', '6', '7') and visits <> 0

    union all
    select
        'rule_06' as rule,
        item_id,
        case
            when not has_fee then '不收费,却支持网上支付'
            when fee_basis = '' then '收费,没有收费依据'
            when fees = 0 then '收费,没有收费项目'
            else '收费,没有填是否支持网上支付'
        end as found,
        '收费的填写依据、收费项目和是否网上支付;不收费的不支持网上支付' as expected
    from forms
    where
        (has_fee and (fee_basis = '' or fees = 0 or pays_online not in ('0', '1')))
        or (not has_fee and pays_online = '1')

    union all
    -- 只说哪里不对,不写出号码。
    select
        'rule_07' as rule,
        item_id,
        case
            when link_way = '' then '没有咨询电话'
            when supervise_way = '' then '没有投诉电话'
            when link_way = supervise_way then '咨询电话与投诉电话相同'
            else '电话没有区号'
        end as found,
        '咨询电话、投诉电话都要有,两者不同,带区号 0555' as expected
    from forms
    where
        link_way = supervise_way
        or not starts_with(ltrim(link_way, '('), '0555')
        or not starts_with(ltrim(supervise_way, '('), '0555')

    union all
    select
        'rule_08' as rule,
        item_id,
        concat(
            '服务对象 ',
            coalesce(server_type, '未填'),
            case when multi_has(server_type, '1') then ',有法人主题' else ',有自然人主题' end
        ) as found,
        '服务自然人(1)的才填自然人主题,服务法人和其他组织的才填法人主题' as expected
    from forms
    where
        (person_topics <> '' and not multi_has(server_type, '1'))
        or (legal_topics <> '' and not multi_has(server_type, '2', '3', '4', '5', '6', '9'))

    union all
    select
        'rule_09' as rule,
        item_id,
        concat('常见问题 ', questions, ' 条,流程 ', steps, ' 个环节') as found,
        '行政许可至少有 1 条常见问题,流程至少 5 个环节(受理、审核、审批、办结、送达)' as expected
    from forms
    where task_type = '01' and (questions = 0 or steps < 5)

    union all
    select
        'rule_10' as rule,
        item_id,
        concat('结果名称“', result_name, '”,没有样本') as found,
        '有结果名称的要有结果样本' as expected
    from forms
    where result_name <> '' and result_sample = ''

    union all
    select
        rule,
        item_id,
        case rule
            when 'code_length' then
                concat('实施编码 ', length(task_code), ' 位,业务办理项编码 ', coalesce(cast(length(handle_code) as varchar), '0'), ' 位')
            when 'code_credit' then concat('前 18 位 ', item_code_part(task_code, 'uscc'))
            when 'code_level' then
                concat('第 19 位 ', item_code_part(task_code, 'level'), ',行使层级 ', use_level)
            when 'code_catalog' then
                concat(
                    '后 12 位 ', item_code_part(task_code, 'catalog'), ',基本编码 ', catalog_code
                )
            else concat('业务办理项编码 ', handle_code)
        end as found,
        case rule
            when 'code_length' then '实施编码 31 位,业务办理项编码 33 位'
            when 'code_credit' then '前 18 位是有效的统一社会信用代码'
            when 'code_level' then '第 19 位与行使层级一致'
            when 'code_catalog' then '后 12 位与基本编码一致'
            else '业务办理项编码的前 31 位与实施编码一致'
        end as expected
    from codes
    where rule is not null
)

select
    c.rule,
    c.item_id,
    f.task_name,
    f.dept_name as owner,
    f.county_code,
    c.found,
    c.expected
from findings as c
inner join standard.item_forms as f on f.item_id = c.item_id

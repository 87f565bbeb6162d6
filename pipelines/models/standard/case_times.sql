/* +++
kind = "table"
description = "市平台办件的时限:扣除特别程序以后,比承诺期限晚几个工作日、是否过了法定期限,一行是一个没有删除的办件"
key = ["project_no"]
+++ */
with as_of as (
    -- 以市平台最新一件的受理时间为“现在”,不用钟表:数据停了一天,不等于办件都超期了。
    select max(accept_time) as now
    from standard.city_cases
    where accept_time <= update_time
),

-- 法定期限编制在事项上,取事项的最新版本;一个月按三十天。按小时、分钟规定的不判断。
limits as (
    select
        i.item_id,
        case when v.anticipate_type = '1' and v.anticipate_day >= 0 then v.anticipate_day end
            as legal_workdays,
        case
            when v.anticipate_type = '2' and v.anticipate_day >= 0 then v.anticipate_day
            when v.anticipate_type = '5' and v.anticipate_day >= 0 then v.anticipate_day * 30
        end as legal_days
    from standard.items as i
    inner join current.city_items_items as v on v.row_guid = i.row_guid
),

-- 停表的时间按工作日扣除。
waits as (
    select
        project_no,
        sum(workdays_between(from_time, to_time)) as days,
        bool_or(is_running) as is_paused
    from standard.case_waits
    group by project_no
),

timed as (
    select
        c.project_no,
        c.item_id,
        c.org_code,
        c.org_name,
        substr(c.org_code, 3, 6) as area,
        c.project_type,
        c.status,
        c.accept_time,
        c.promise_time,
        c.result_time,
        coalesce(w.days, 0) as suspended_days,
        -- 停着表的在办件不提示。
        coalesce(w.is_paused and c.result_time is null, false) as is_paused,
        cast(c.accept_time as date) as accept_date,
        cast(coalesce(c.result_time, n.now) as date) as until_date,
        l.legal_workdays,
        -- 自然日的期限没有过完的不往后推算:后面年度的节假日可能还没有公布。
        case
            when
                date_part('epoch', cast(coalesce(c.result_time, n.now) as date))
                - date_part('epoch', cast(c.accept_time as date)) > l.legal_days * 86400
                then l.legal_days
        end as passed_days
    from standard.city_cases as c
    cross join as_of as n
    left join limits as l on l.item_id = c.item_id
    left join waits as w on w.project_no = c.project_no
    where c.status <> '56'
),

judged as (
    select
        *,
        workdays_between(cast(promise_time as date), until_date) - suspended_days as late,
        -- 最后一天是节假日的顺延到下一个工作日。
        add_natural_days(accept_date, passed_days) as legal_date,
        case
            when legal_workdays is not null
                then workdays_between(accept_date, until_date) - legal_workdays - suspended_days
            else
                workdays_between(add_natural_days(accept_date, passed_days), until_date)
                - suspended_days
        end as legal_late
    from timed
)

select
    j.project_no,
    j.item_id,
    j.org_code,
    j.org_name,
    -- 统一社会信用代码第 3 至 8 位是登记地。
    j.area,
    case when d.level = 'city' then '市本级' else coalesce(d.value, '未知') end as county,
    j.project_type,
    j.status,
    j.accept_time,
    j.promise_time,
    j.result_time,
    j.until_date,
    j.suspended_days,
    j.is_paused,
    -- 承诺期限之后的工作日数;期限之前为负。
    j.late,
    coalesce(j.legal_late > 0, false) as is_past_legal,
    -- 过了法定期限的第一个工作日。
    case
        when j.legal_workdays is not null
            then add_workdays(
                j.accept_date,
                case when j.legal_late > 0 then j.legal_workdays + j.suspended_days + 1 end
            )
        else
            add_workdays(
                j.legal_date,
                case when j.legal_late > 0 then j.suspended_days + 1 end
            )
    end as legal_passed_on
from judged as j
left join codes.divisions as d on d.code = concat(j.area, '000000')

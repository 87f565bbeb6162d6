/* +++
kind = "table"
description = "推送电子监察平台的办件:在办的,和已经黄牌、红牌的;列与接收接口一致"
key = ["project_no"]
+++ */
with cards as (
    select subject as project_no, max(level) as level
    from standard.supervision_cards
    where level >= 3
    group by subject
)

select
    c.project_no,
    c.item_id,
    c.task_name,
    c.org_code,
    c.org_name,
    to_char(c.accept_time, '%Y-%m-%d %H:%M:%S') as accept_time,
    to_char(c.promise_time, '%Y-%m-%d %H:%M:%S') as promise_time,
    to_char(c.result_time, '%Y-%m-%d %H:%M:%S') as result_time,
    c.status,
    case k.level when 4 then '红牌' when 3 then '黄牌' end as card
from standard.city_cases as c
left join cards as k on k.project_no = c.project_no
where c.status = '30' or k.project_no is not null

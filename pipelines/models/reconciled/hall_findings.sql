/* +++
kind = "view"
description = "实体大厅与市平台的差异,一行是一个差异"
key = ["rule", "subject"]
+++ */
-- 规则一览:
--   hall_outside_platform  窗口收了件,平台上没有
--   hall_without_ticket    收件回执上的票号不在排队叫号里
--   hall_other_rating      现场评价与平台上的满意度不同
select
    'hall_outside_platform' as rule,
    r.receipt_no as subject,
    concat('办件编号 ', coalesce(r.project_no, '未填')) as found
from current.hall_receipts as r
left join standard.city_cases as c on c.project_no = r.project_no
where c.project_no is null

union all

select
    'hall_without_ticket' as rule,
    r.receipt_no as subject,
    concat('票号 ', coalesce(r.ticket_no, '未填')) as found
from current.hall_receipts as r
left join current.hall_tickets as t on t.ticket_no = r.ticket_no
where t.ticket_no is null

union all

select
    'hall_other_rating' as rule,
    e.project_no as subject,
    concat('大厅 ', e.satisfaction, ',平台 ', coalesce(r.satisfaction, '未填')) as found
from current.hall_evaluations as e
inner join current.city_cases_results as r on r.project_no = e.project_no
where r.satisfaction is distinct from e.satisfaction

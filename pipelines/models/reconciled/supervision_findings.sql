/* +++
kind = "view"
description = "我们算的黄牌、红牌与电子监察平台发的相比,一行是一个办件的差异"
key = ["rule", "subject"]
+++ */
-- 规则一览:
--   card_not_issued  该发的监察平台没有发
--   card_unfounded   监察平台发了,按工作日历没有超期
--   card_level       黄牌、红牌不同
with ours as (
    select subject as project_no, max(level) as level
    from standard.supervision_cards
    where rule in ('overdue_promise', 'overdue_serious')
    group by subject
),

theirs as (
    -- 由黄转红的两张都在,取重的。
    select project_no, max(case level when '红牌' then 4 when '黄牌' then 3 end) as level
    from current.supervision_alerts
    group by project_no
)

select
    case
        when t.project_no is null then 'card_not_issued'
        when o.project_no is null then 'card_unfounded'
        else 'card_level'
    end as rule,
    coalesce(o.project_no, t.project_no) as subject,
    concat(
        '枢纽 ', coalesce(case o.level when 4 then '红牌' when 3 then '黄牌' end, '无'),
        ',监察平台 ', coalesce(case t.level when 4 then '红牌' when 3 then '黄牌' end, '无')
    ) as found
from ours as o
full join theirs as t on t.project_no = o.project_no
where o.level is distinct from t.level

/* +++
kind = "view"
description = "督查台账的汇总数与逐件登记相比,一行是一个文种"
key = ["kind"]
+++ */
with listed as (
    select
        kind,
        count(*) as listed
    from standard.steer_documents
    where in_force and issued_on between date '2018-01-01' and date '2018-12-31'
    group by kind
),

stated as (
    select
        code_map('steer_kind', word) as kind,
        stated
    from current.steer_summary
)

select
    coalesce(l.kind, s.kind) as kind,
    coalesce(l.listed, 0) as listed,
    coalesce(s.stated, 0) as stated,
    coalesce(l.listed, 0) - coalesce(s.stated, 0) as difference
from listed as l
full outer join stated as s on s.kind = l.kind

/* +++
kind = "table"
description = "部门报送的办件,一行是一个办件编号;没有填编号的,用认定的编号"
key = ["project_no"]
+++ */
with ranked as (
    select
        m.project_no,
        l.system,
        l.internal_no,
        l.task_code,
        l.task_name,
        l.org_code,
        l.org_name,
        l.applicant_id,
        l.accept_time,
        l.result_time,
        l.state_word,
        l.status,
        l.received_run,
        m.matched_by,
        -- 部门会把平台的一件拆成内部几件办理,以最后办结的为准;拆件不算重复。
        row_number() over (
            partition by m.project_no
            order by l.result_time desc nulls last, l.accept_time desc, l.system, l.internal_no desc
        ) as age,
        count(*) over (partition by m.project_no) as lines
    from standard.department_lines as l
    inner join standard.department_matches as m
        on m.system = l.system and m.internal_no = l.internal_no
    where m.project_no is not null
)

select * exclude (age) from ranked where age = 1

/* +++
kind = "view"
description = "部门业务系统对接登记,一行是一个部门;`huiliu systems` 由此显示"
key = ["department"]
+++ */
-- 登记册在市政府办公室的台账里;哪个部门对应 config/systems 下的哪个文件,见 codes.register_systems。
select
    r.department,
    r.system as title,
    code_map('register_stage', r.stage) as stage,
    r.due_on as deadline,
    r.items,
    s.value as system
from current.steer_register as r
left join codes.register_systems as s on s.code = r.department

/* +++
kind = "view"
description = "督查文件,一行是一个文号"
key = ["document_no"]
+++ */
select
    document_no,
    word,
    code_map('steer_kind', word) as kind,
    title,
    issued_on,
    coalesce(state = '已印发', false) as in_force
from current.steer_documents

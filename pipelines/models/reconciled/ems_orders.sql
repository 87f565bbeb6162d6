/* +++
kind = "table"
description = "待下单寄递的办理结果:准予、要邮寄、EMS 还没有揽收;列与下单接口一致"
key = ["project_no"]
+++ */
-- 合同从 2018-12-03 起,以前的由原系统寄。
select
    c.project_no,
    a.applyer_name as receiver_name,
    a.contact_mobile as receiver_mobile,
    a.address as receiver_address,
    c.task_name as remark
from standard.city_cases as c
inner join current.city_cases_accepted as a on a.row_guid = c.row_guid
inner join current.city_cases_results as r on r.project_no = c.project_no
left join standard.deliveries as d on d.project_no = c.project_no
where
    c.status = '50' and c.result_time >= timestamp '2018-12-03 00:00:00'
    and r.is_delivery_results = '1' and d.waybill_no is null

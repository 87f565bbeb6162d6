//! The service: its jobs, what it watches, whom it tells.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[
    (
        "E-BACKFILL",
        "该数据流不能按时间段补读，或日期范围不对",
        "按时间段补读只适用于按游标增量读取、按主键更新的数据流",
    ),
    ("E-CHANNEL", "没有这个名称的告警通道", "核对 config/alerts.toml 中通道的 `name`"),
    ("E-CHANNEL-FILE", "告警文件无法写入", "检查数据目录的写入权限和磁盘空间"),
    (
        "E-CHANNEL-REFUSED",
        "群机器人拒收消息",
        "核对机器人的地址、关键词和加签密钥；每分钟最多发送 20 条",
    ),
    ("E-JOB-NAME", "没有这个名称的作业，或该作业未停放", "用 `huiliu jobs list` 查看各作业"),
    (
        "E-JOB-OVERDUE",
        "作业超过时限，已停止",
        "用 `huiliu runs show` 查看耗时的步骤，或调大该作业的 `timeout`",
    ),
    (
        "E-JOB-PARKED",
        "该作业已停放：进程多次在运行它的途中意外结束",
        "查看日志和本机内存，处理后执行 `huiliu jobs unpark 作业 --reason 原因`",
    ),
];

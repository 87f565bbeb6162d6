//! Files that are read and written.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[
    (
        "E-COLUMN-TYPE",
        "文件中有一列的类型（如列表）不能读入数据湖",
        "用 `fields` 只选其他列，或请数据提供单位改为普通的列",
    ),
    (
        "E-EXCEL-ERROR",
        "单元格中是公式的错误值，或公式没有保存结果，该行转入隔离区",
        "请数据提供单位更正公式，或以数值保存后重新发送",
    ),
    (
        "E-FILE-DAMAGED",
        "文件不完整、已损坏，或不是配置所说的格式",
        "核对该数据流的 `format`；设置无误的，请数据提供单位重新发送",
    ),
    (
        "E-FILE-EXISTS",
        "目录中已有同名文件，未覆盖",
        "在推送的 `file` 中加入 {time}，或改用 load = \"replace\"",
    ),
    (
        "E-FILE-LIMIT",
        "文件展开后或其中的内容超出限度，未读取",
        "核实文件是否正常；正常的，请数据提供单位分成多个较小的文件，或调高 `unpacked_mib`",
    ),
    (
        "E-FILE-RECORD",
        "文件中的记录不是可读的记录，或指定的位置没有记录",
        "核对 `record` 和 `fields` 的设置，或请数据提供单位更正",
    ),
    (
        "E-FILE-SYNTAX",
        "文件内容不是有效的 JSON 或 XML",
        "核对 `encoding`；设置无误的，请数据提供单位重新发送",
    ),
    (
        "E-FILE-VALUE",
        "要写出的值在该文件格式中无法表示",
        "在推送的查询中转换该值，或改用其他 `format`",
    ),
    (
        "E-PUSH-FILE",
        "逐条推送时每批写成一个新文件，但文件名是固定的",
        "在推送的 `file` 中加入 {time}，或用 `load` 推送整张表",
    ),
    ("E-SFTP-CLIENT", "本机没有 `ssh` 程序，不能连接 SFTP 服务器", "在本机安装 OpenSSH 客户端"),
    (
        "E-SFTP-HOST-KEY",
        "SFTP 服务器的公钥与配置的 `host_key` 不符，已拒绝连接",
        "向服务器管理单位核实是否更换了公钥，确认后再改配置",
    ),
    (
        "E-SHEET",
        "工作簿中没有所要的工作表，或有多个符合",
        "核对 `sheet` 的设置：工作表的名称、样式，或如 #2 的序号",
    ),
    (
        "E-SHEET-LIMIT",
        "要写的行、列或内容超出一张工作表的容量，未写出文件",
        "改用其他 `format`（如 xlsx、csv），或在推送的查询中减少行列",
    ),
    ("E-XML-NAME", "列名不能作为 XML 元素的名称", "在推送的查询中为该列另取名称"),
];

//! Databases behind ODBC drivers.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[
    (
        "E-ODBC",
        "ODBC 驱动程序报告错误",
        "按详情排查；涉及驱动程序的，联系其厂商；涉及对方数据库的，联系其运维人员",
    ),
    (
        "E-ODBC-COMPARE",
        "该列的类型或取值不能用于比较",
        "主键、`group` 和标志改用整数、小数、时间或文本类型的列；`flag_new`、`flag_done` 和 \
         `flag_claimed` 填写标志列能有的取值",
    ),
    ("E-ODBC-DATA", "数据库不接受所写的数据，本次未写入任何行", "核对数据与对方表的约束和列类型"),
    (
        "E-ODBC-DRIVER",
        "本机没有所需的 ODBC 驱动程序",
        "安装该驱动程序并在 unixODBC 中登记（`odbcinst -q -d` 列出已登记的）",
    ),
    (
        "E-ODBC-SQL",
        "数据库不接受所发的语句",
        "核对系统文件中的 `dialect`、表名和列名，可用 `huiliu discover` 查看",
    ),
    (
        "E-TRUNC",
        "驱动程序没有交出完整的值，本次未提交",
        "在 `connection` 中调大驱动程序对长值的限制",
    ),
];

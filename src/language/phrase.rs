//! Fixed English wordings and their Chinese forms; `{}` stands for the part that varies.

mod key;
mod reconcile;

/// What the checks of the configuration say. The first that fits is taken.
const FAULTS: &[(&str, &str)] = &[
    // Before all others, which would take its end for a part of a name.
    ("{} (preset `{}`)", "{}（预设 `{}`）"),
    ("unknown key `{}`", "未知的键 `{}`"),
    ("unknown value `{}`", "未知的取值 `{}`"),
    ("unknown type `{}`", "未知的类型 `{}`"),
    ("unknown column type `{}`", "未知的列类型 `{}`"),
    ("unknown {} `{}`", "未知的 {} `{}`"),
    ("unknown field `{}`, expected one of {}", "未知的键 `{}`，可用的有 {}"),
    ("unknown field `{}`, expected {}", "未知的键 `{}`，应为 {}"),
    ("unknown field `{}`, there are no fields", "未知的键 `{}`，此处没有可用的键"),
    ("unknown variant `{}`, expected one of {}", "未知的取值 `{}`，可用的有 {}"),
    ("unknown variant `{}`, expected {}", "未知的取值 `{}`，应为 {}"),
    ("missing field `{}`", "缺少键 `{}`"),
    ("the key `{}` is missing", "缺少键 `{}`"),
    ("known keys here: {}", "此处可用的键：{}"),
    ("did you mean `{}`?", "是否应为 `{}`？"),
    ("`{}` is not one of the values it can have", "`{}` 不在可用取值之内"),
    ("use one of: {}", "可用：{}"),
    ("expected `{}`", "应为 `{}`"),
    ("expected {} fields, found {}", "应有 {} 个字段，实有 {} 个"),
    ("expected {}, found {}", "应为{}，实为{}"),
    ("must be at least {}", "不得小于 {}"),
    ("the minimum is {}", "不得小于 {}"),
    ("the maximum is {}", "不得大于 {}"),
    ("is missing", "缺少此项"),
    ("is missing here and in the push", "此处和推送中均缺少此项"),
    ("is missing {}", "缺少此项（{}）"),
    ("is required", "此项必填"),
    ("is zero", "不得为零"),
    ("has the wrong type", "类型不符"),
    ("has a value that does not fit", "取值不符合要求"),
    ("is not what this connector understands", "此类系统不认识该内容"),
    ("must not be empty", "不得为空"),
    ("must not hold a NUL character", "不得含有 NUL 字符"),
    ("must not be the delimiter", "不得与分隔符相同"),
    ("this program reads version 1 of system files", "本程序只支持 version = 1 的系统文件"),
    ("the file name `{}` must be of a-z, 0-9 and _", "文件名 `{}` 只能由 a-z、0-9 和 _ 组成"),
    ("a stream's name must be of a-z, 0-9 and _", "数据流名称只能由 a-z、0-9 和 _ 组成"),
    ("a second stream is called `{}`", "数据流名称 `{}` 重复"),
    ("there is no preset `{}`", "没有名为 `{}` 的预设"),
    ("`huiliu presets` lists all", "`huiliu presets` 列出全部预设"),
    (
        "`{}` is a family, for the top of the file; here use one of: {}",
        "`{}` 是一整族表，只能写在文件开头；此处可用：{}",
    ),
    ("`{}` has no column `{}`", "`{}` 没有列 `{}`"),
    (
        "`{}` is a whole name, to which `suffix` adds nothing",
        "`{}` 已是完整表名，`suffix` 不起作用",
    ),
    ("leave one of the two out", "两者只保留一个"),
    ("rows of `{}` have no marks that could be read back", "`{}` 的行没有可回读的标志"),
    ("nothing is pushed into the table of `{}`", "`{}` 的表不接受推送"),
    ("must be text, a whole number, true or false", "只能是文本、整数或布尔值"),
    ("this program reads version 1 of preset files", "本程序只支持 version = 1 的预设文件"),
    ("`{}` is a preset of the family `{}` too", "`{}` 在预设族 `{}` 中已有"),
    ("give it another name", "另取名称"),
    ("`{}` names `{}`, which is no column of it", "`{}` 引用的 `{}` 不是该表的列"),
    ("there is no kind of system called `{}`", "没有名为 `{}` 的系统类型"),
    ("a system of kind {} cannot be read in mode {}", "类型为 {} 的系统不支持读取方式 {}"),
    (
        "reading a change log is not available; use `incremental` or `full`",
        "暂不支持读取变更日志；使用 `incremental` 或 `full`",
    ),
    (
        "`{}` needs a `key`; without one use `write = \"append\"`",
        "`{}` 须设置 `key`；没有主键的，使用 `write = \"append\"`",
    ),
    (
        "`{}` needs a `key` and `write = \"upsert\"` or `\"scd2\"`",
        "`{}` 须设置 `key`，且 `write` 为 `\"upsert\"` 或 `\"scd2\"`",
    ),
    (
        "`{}` needs `write = \"upsert\"` or `\"scd2\"`",
        "`{}` 须 `write` 为 `\"upsert\"` 或 `\"scd2\"`",
    ),
    ("`{}` needs `read = \"full\"`", "`{}` 须 `read = \"full\"`"),
    (
        "`soft` needs `deleted`, the column that marks deleted rows",
        "`soft` 须设置 `deleted`，即标记删除的列",
    ),
    (
        "`deleted` has a meaning only with `deletes = \"soft\"`",
        "`deleted` 只在 `deletes = \"soft\"` 时有意义",
    ),
    ("`{}` is named twice", "`{}` 重复"),
    (
        "`{}` is a float, by which rows cannot be told apart reliably",
        "`{}` 是浮点数，不能可靠区分各行",
    ),
    ("`rows` is `freeze` or `quarantine`", "`rows` 只能是 `freeze` 或 `quarantine`"),
    (
        "`freeze` sets no row aside; then `columns` and `types` cannot be `quarantine`",
        "`freeze` 不隔离任何行，此时 `columns` 和 `types` 不能是 `quarantine`",
    ),
    ("a system of kind {} takes no whole tables", "类型为 {} 的系统不支持整表写入"),
    ("a {} stream compares keys only when it is read whole", "{} 数据流只在全量读取时才能比对主键"),
    ("an incremental stream needs a cursor column", "增量读取须设置游标列"),
    ("name the column that only grows, such as {}", "填写只增不减的列，如 {}"),
    ("`{}` is no time zone; use a name such as {}", "`{}` 不是时区名称；应填写如 {}"),
    ("`{}` is no time zone", "`{}` 不是时区名称"),
    ("`{}` is not a time zone", "`{}` 不是时区名称"),
    ("is not a time zone", "不是时区名称"),
    ("no such time zone", "时区名称不存在"),
    ("the schema of the hub's database is not a plain name", "汇流自身数据库的模式名称不合规定"),
    ("use small letters, digits and _, such as huiliu", "使用小写字母、数字和下划线，如 huiliu"),
    (
        "the address of the hub's database is not one of Postgres",
        "汇流自身数据库的地址不是 Postgres 地址",
    ),
    (
        "write it as postgresql://user:password@host:5432/database",
        "写法为 postgresql://user:password@host:5432/database",
    ),
    ("use a name such as {}", "填写如 {} 的名称"),
    ("`{}` is not a stretch of the day", "`{}` 不是一天中的时段"),
    ("`{}` is not a duration", "`{}` 不是时长"),
    ("`{}` is not a length of time", "`{}` 不是时长"),
    ("is not a duration", "不是时长"),
    ("`{}` is not a size", "`{}` 不是容量"),
    ("is not a size", "不是容量"),
    ("is not a JSON pointer", "不是 JSON 指针"),
    ("is not a host", "不是主机名"),
    ("is not a known encoding", "不是已知的字符编码"),
    ("is not a format", "不是时间格式"),
    ("is not a format as in strftime", "不是 strftime 时间格式"),
    ("is no key for this algorithm", "不是该算法可用的密钥"),
    ("is no key for this cipher", "不是该密码算法可用的密钥"),
    ("is no block of 16 bytes, which cbc begins with", "须为 16 字节，作为 cbc 的初始向量"),
    ("is only for format = \"csv\"", "只用于 format = \"csv\""),
    ("is only for send = \"csv\"", "只用于 send = \"csv\""),
    ("must be one character and not the quote", "须为一个字符，且不同于引号"),
    (
        "must be one character, or text could not hold the delimiter",
        "须为一个字符，否则文本中不能出现分隔符",
    ),
    ("{} files are not packed again", "{} 文件不再压缩"),
    ("leave out .gz or .zip", "去掉 .gz 或 .zip"),
    ("is xml beside soap", "与 soap 并用时须为 xml"),
    ("there is no value `{}` here", "此处没有名为 `{}` 的取值"),
    ("a brace is open", "花括号没有成对"),
    ("cannot stand beside {}", "不能与 {} 并用"),
    ("has no place for {}", "没有放置 {} 的位置"),
    ("has a meaning already", "该名称已有含义"),
    ("the signature goes nowhere", "签名没有放入请求的任何位置"),
    ("exactly one place for the credential must be given", "凭证的位置须填且只填一处"),
    ("one of {} and {} must be given", "{} 与 {} 须填且只填一项"),
    ("`{}` is no stream that can be a parent", "`{}` 不是可以作为父流的数据流"),
    ("is not a header's name", "不是请求头名称"),
    ("does not start with a slash", "须以斜杠开头"),
    ("`{}` is not a column of this stream", "`{}` 不是该数据流的列"),
    ("name it under fields or columns", "在 fields 或 columns 中列出该列"),
    ("column `{}` is selected twice", "列 `{}` 重复选取"),
    ("column `{}` is not selected", "列 `{}` 未被选取"),
    ("add it to `{}`", "将其加入 `{}`"),
    ("job {}: {}", "作业 {}：{}"),
    ("schedule `{}`: {}", "时间表 `{}`：{}"),
    ("it never fires", "永远不会触发"),
    ("five fields: minute hour day-of-month month day-of-week", "应为五个字段：分 时 日 月 星期"),
    ("a file of SQL begins with its header", "SQL 文件须以文件头开始"),
    ("the header does not end", "文件头没有结束标记"),
    ("no audit is called `{}`", "没有名为 `{}` 的核验"),
    (
        "no stream, model or reconciliation makes the table `{}`",
        "没有数据流、模型或核对生成表 `{}`",
    ),
    (
        "the column `{}` holds personal data and cannot be shown",
        "列 `{}` 含个人信息，不能作为示例显示",
    ),
    ("take it out of `{}`", "将其从 `{}` 中去掉"),
    (
        "records are queued from this model before the audit `{}` is done",
        "该模型的记录在核验 `{}` 完成之前就已进入待发送队列",
    ),
    (
        "name the audit in a model that this one reads, or make it `severity = \"warn\"`",
        "在该模型所读的模型中指定此核验，或设为 `severity = \"warn\"`",
    ),
    (
        "begin with `/* +++`, then TOML such as `{}`, then `+++ */`",
        "以 `/* +++` 开始，其后为 TOML 内容，如 `{}`，以 `+++ */` 结束",
    ),
    ("a metric needs a [[definition]]", "指标须有 [[definition]] 口径定义"),
    ("`{}` is a date such as {}", "`{}` 须为日期，如 {}"),
    ("a ratio needs a `{}`", "比率指标须设置 `{}`"),
    ("`first` is of rows that are kept", "`first` 只用于保留的行"),
    ("add `keep = true`", "加上 `keep = true`"),
    ("`of` is of `figures`", "`of` 须与 `figures` 同用"),
    ("metric {} has no dimension `{}`", "指标 {} 没有维度 `{}`"),
    ("{} cannot be read: {}", "{} 无法读取：{}"),
    ("check who may read the file", "检查该文件的读取权限"),
    ("check the file", "检查该文件"),
    (
        "`huiliu init` writes a complete project; --project names its folder",
        "`huiliu init` 可生成完整的项目；用 --project 指定项目目录",
    ),
    ("write it such as {}", "写法如 {}"),
    ("write it like {}", "写法如 {}"),
    ("write it as text", "写为文本"),
    ("has no use with {}", "与 {} 不能同时设置"),
    ("remove one of the two", "删除其中一项"),
    ("is not the address of a database", "不是数据库地址"),
    ("write mysql://{}", "写作 mysql://{}"),
    ("takes no options", "不得带参数"),
    (
        "use the keys `tls` and `ca`, and write ? and # in a password as %3F and %23",
        "改用 `tls` 和 `ca`；口令中的 ? 和 # 写作 %3F 和 %23",
    ),
    ("names no database", "没有指明库名"),
    ("write it after the host: {}", "库名写在主机之后：{}"),
    ("deletes = \"key_scan\" needs a key", "deletes = \"key_scan\" 须设置主键"),
    (
        "a mysql stream is read full, incremental or flagged",
        "mysql 数据流只支持 full、incremental 和 flagged 读取方式",
    ),
    (
        "a sqlite stream is read full, incremental or flagged",
        "sqlite 数据流只支持 full、incremental 和 flagged 读取方式",
    ),
    ("a flagged stream needs a key", "按标志读取须设置主键"),
    ("name the columns that identify one row", "填写能唯一确定一行的列"),
    ("a flagged stream is never read whole", "按标志读取不会读取全表"),
    (
        "use `group`: a case that is sent again replaces its rows",
        "改用 `group`：重新报送的办件会整件替换",
    ),
    ("must differ from the other values of the flag", "不得与标志的其他取值相同"),
    ("no column is selected", "没有选取任何列"),
    ("`{}` is no name of a variable", "`{}` 不是环境变量名"),
    ("is no name of a program", "不是程序名"),
    ("write each argument as a text of its own: {}", "每个参数单独写为一个文本：{}"),
    (
        "is either a tap, which has streams, or a target, which has pushes",
        "或为采集程序（只有数据流），或为写入程序（只有推送）",
    ),
    ("write a second system file for the other one", "另一个写入单独的系统文件"),
    ("a second stream reads `{}` of the tap", "采集程序的数据流 `{}` 被重复读取"),
    (
        "a singer stream is read full or incremental",
        "singer 数据流只支持 full 和 incremental 读取方式",
    ),
    (
        "for a change log use read = \"incremental\" with replication = \"LOG_BASED\"",
        "读取变更日志的，设置 read = \"incremental\" 和 replication = \"LOG_BASED\"",
    ),
    ("does not go with read = \"full\"", "不能与 read = \"full\" 并用"),
    ("INCREMENTAL needs a cursor", "INCREMENTAL 须设置游标列"),
    (
        "name the column that only grows; the tap's own one stands in `huiliu discover`",
        "填写只增不减的列；采集程序自身的游标见 `huiliu discover`",
    ),
    ("a tap does not list the keys there are", "采集程序不会列出现有的主键"),
    ("a tap decides itself where it goes on", "从何处继续由采集程序自行决定"),
    (
        "remove it; look in the tap's manual for a setting of this kind",
        "删除此项；采集程序的手册中可能有类似的设置",
    ),
    ("needs a key", "须设置主键"),
    ("remove `select` to read all", "删除 `select` 即读取全部列"),
    ("use {}", "可用：{}"),
];

/// Parts of an error's hint that name something of the case at hand.
const PARTICULARS: &[(&str, &str)] = &[
    ("did you mean `{}`?", "是否应为 `{}`？"),
    ("there are: {}", "现有：{}"),
    ("use one of: {}", "可用：{}"),
    ("the lease runs out in {} s", "写入锁将在 {} 秒后到期"),
    ("run its SELECT with `{}` to see the rows", "在其 SELECT 后加 `{}` 可查看有关的行"),
    ("if it is right: `{}`", "确认无误后运行：`{}`"),
    ("if they were: `{}`", "已写入的，运行：`{}`"),
    ("if not: `{}`, which sends them again", "未写入的，运行：`{}`，将重新发送"),
    ("the rule: {}", "规则：{}"),
    ("{} answers for the audit {}", "责任单位：{}，核验：{}"),
    ("see the rows with {}", "查看这些行：{}"),
    ("{} answers for {} ({})", "责任单位：{}，系统：{}（{}）"),
];

/// Kinds of values, where they stand without quotes.
const WORDS: &[(&str, &str)] = &[
    ("nothing", "空值"),
    ("text", "文本"),
    ("a whole number", "整数"),
    ("a number", "数字"),
    ("true or false", "布尔值"),
    ("a list", "列表"),
    ("a table", "表"),
    ("something else", "其他类型"),
];

/// A message or hint of a configuration fault; unknown wordings stay as they are.
pub(super) fn fault(text: &str) -> String {
    translate(FAULTS, text)
        .or_else(|| translate(key::KEYS, text))
        .or_else(|| translate(reconcile::RECONCILE, text))
        .unwrap_or_else(|| text.to_owned())
}

/// What a hint says beyond the general advice for its code.
pub(super) fn particulars(hint: &str) -> String {
    let known: Vec<String> =
        hint.split("; ").filter_map(|part| translate(PARTICULARS, part)).collect();
    known.join("；")
}

fn translate(phrases: &[(&str, &str)], text: &str) -> Option<String> {
    if let Some((_, word)) = WORDS.iter().find(|(english, _)| *english == text) {
        return Some((*word).to_owned());
    }
    phrases.iter().find_map(|(english, chinese)| {
        let found = holes(english, text)?;
        let mut parts = chinese.split("{}");
        let mut out = parts.next().unwrap_or_default().to_owned();
        for (hole, part) in found.iter().zip(parts) {
            // What stands in quotes is a name from the files and is never translated.
            let known = if out.ends_with('`') { None } else { translate(phrases, hole) };
            out.push_str(known.as_deref().unwrap_or(hole));
            out.push_str(part);
        }
        Some(out)
    })
}

/// What stands at the holes of `pattern`, if `text` fits it.
fn holes<'t>(pattern: &str, text: &'t str) -> Option<Vec<&'t str>> {
    let mut pieces = pattern.split("{}");
    let mut rest = text.strip_prefix(pieces.next()?)?;
    let mut pieces = pieces.peekable();
    let mut found = Vec::new();
    while let Some(piece) = pieces.next() {
        let hole;
        if pieces.peek().is_none() {
            hole = rest.strip_suffix(piece)?;
            rest = "";
        } else {
            (hole, rest) = rest.split_once(piece)?;
        }
        if hole.is_empty() {
            return None;
        }
        found.push(hole);
    }
    rest.is_empty().then_some(found)
}

#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    FAULTS.iter().chain(PARTICULARS).chain(key::KEYS).chain(reconcile::RECONCILE).copied()
}

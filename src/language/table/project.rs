//! The project's files, the command line and the simulated city.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[
    ("E-ADDRESS", "监听地址的写法有误", "按“IP:端口”填写，如 127.0.0.1:15432"),
    (
        "E-CALENDAR",
        "节假日文件的内容有误",
        "按详情所指的行更正节假日文件；每个年度须列全法定节假日和调休上班日",
    ),
    (
        "E-CALENDAR-UNKNOWN",
        "计算涉及的年度没有节假日安排，无法确定工作日",
        "将该年度的法定节假日和调休上班日补入节假日文件",
    ),
    ("E-CASES", "没有找到流水线用例", "在 pipelines/tests 下编写 .slt 用例，或核对给出的文件名"),
    (
        "E-CITY-FILE",
        "模拟城市的说明文件 city.json 无法识别",
        "用 --data 另指定目录，或删除该城市目录后重新生成",
    ),
    ("E-CITY-FOLDER", "模拟城市的目录中已有其他内容", "用 --data 另指定目录，或清空该目录"),
    ("E-CITY-FORMAT", "模拟城市由格式不同的程序版本生成", "用 --data 另指定目录后重新生成"),
    ("E-CITY-NONE", "此处没有生成完毕的模拟城市", "先执行 `huiliu demo` 生成"),
    ("E-CITY-OTHER", "该目录中已有种子或规模不同的模拟城市", "用 --data 为另一个城市另指定目录"),
    (
        "E-CITY-PORT",
        "模拟城市无法在本机 127.0.0.1 上打开端口",
        "检查本机端口占用情况和安全策略后重试",
    ),
    ("E-CITY-ROWS", "要求修改的行数超过模拟城市现有的行数", "减少要修改的行数"),
    ("E-CITY-SCALE", "模拟城市的规模超出允许范围", "规模取 0.02 至 5"),
    (
        "E-CITY-SERVER",
        "模拟城市要使用的数据库服务器无法连接",
        "启动服务器，或用 HUILIU_DEMO_POSTGRES_URL、HUILIU_DEMO_MYSQL_URL 指明地址",
    ),
    ("E-CITY-STORE", "模拟城市的数据文件读写失败", "检查数据目录的磁盘空间和读写权限后重试"),
    (
        "E-CODE-TABLE",
        "代码表不存在、重复或内容有误",
        "检查 config/codes 下相应的 CSV 文件和引用它的名称",
    ),
    (
        "E-DATA",
        "数据目录或其中的文件无法创建、读取或写入",
        "检查目录权限和磁盘空间，或用 --data 指定可写的目录",
    ),
    ("E-DOUBLED", "该数据流以追加方式写入，重新读取会使数据重复", "确实需要的，加上 --yes"),
    ("E-DURATION", "时长的写法有误", "填写整数加单位 ms、s、m、h 或 d，如 `10m`"),
    (
        "E-GRAPH",
        "多个步骤生成同一张表，或步骤之间循环依赖",
        "将重名的一方改名，或从相关 SQL 中去掉造成循环的表",
    ),
    ("E-INIT", "无法在该目录中建立新项目", "指定一个可写的空目录：`huiliu init 目录`"),
    ("E-METRIC", "指标不存在，或没有口径定义", "核对指标名称和 pipelines/metrics 下的指标文件"),
    ("E-MOMENT", "无法识别的快照号或日期", "填写快照号，或形如 2018-12-13 的日期"),
    (
        "E-NETWORK",
        "config/hub.toml 中 [network] 的 `allow` 有一项不是地址、网段或主机名",
        "填写网段（如 10.0.0.0/8）、地址或主机名，不带协议和端口",
    ),
    (
        "E-NO-COMMIT",
        "没有与该快照相应的提交记录",
        "执行 `huiliu state show` 查看最近的提交，或用 --from-start 从头读取",
    ),
    (
        "E-NO-DATA",
        "数据目录中还没有数据",
        "先执行 `huiliu run` 或 `huiliu demo`，或用 --data 指定数据目录",
    ),
    ("E-NO-ROW", "隔离区中没有这一行", "执行 `huiliu quarantine list` 查看"),
    ("E-NO-RUN", "没有这一次运行的记录", "执行 `huiliu runs` 查看现有的运行记录"),
    ("E-NO-STATE", "该数据流尚未提交过数据，没有进度", "首次运行会从头读取"),
    (
        "E-PAIRS",
        "环境变量文件或密钥值文件中有一行不是“名称=值”的形式",
        "每行写一个“名称=值”，以 # 开头的行为注释",
    ),
    (
        "E-PG-ADDRESS",
        "Postgres 查询服务无法在该地址上监听",
        "未设置 [serve] 的 `tls` 时只能使用本机地址，如 127.0.0.1:15432；端口被占用的，换用其他端口",
    ),
    ("E-PLAN", "这不是计划的哈希", "完整复制 `huiliu plan` 打印的哈希"),
    (
        "E-PLAN-LIVE",
        "该数据流不能直接读来推演：读取会改动来源，或表里留有以前读到的内容",
        "换其他数据流；或先 `huiliu run`，再不带 --live 地 `huiliu plan`",
    ),
    (
        "E-PLAN-STALE",
        "该计划已不是当前计划：文件、数据或已生成的表有变化，未执行任何操作",
        "重新执行 `huiliu plan`，查看后按新的哈希执行",
    ),
    ("E-PRESET", "没有该预设，或该系统不使用预设", "执行 `huiliu presets` 查看全部预设"),
    (
        "E-PROJECT",
        "项目中的文件无法读取",
        "用 --project 指定项目目录并检查文件权限；`huiliu init` 可生成完整的项目",
    ),
    (
        "E-PUSH",
        "推送配置与其数据来源不符",
        "`from` 须为 pipelines/models 下类型为 table 的模型，`key` 的各列须存在且每行有值",
    ),
    (
        "E-PUSH-DECIDED",
        "所指的推送记录已有结果，无需人工处理",
        "用 `huiliu push show` 查看需要处理的记录及其编号",
    ),
    (
        "E-PUSH-DROPPED",
        "经人处理，这条推送记录不再发送",
        "原因见审计记录；仍需对方收到的，更正后会作为新记录推送",
    ),
    ("E-REASON", "没有写明原因", "用 --reason 简要写明原因，供审计查阅"),
    (
        "E-RECEIPT-COLUMN",
        "回执所在的表没有推送配置中写的列",
        "按详情列出的列名更正推送的 `receipts`",
    ),
    (
        "E-RECONCILE",
        "核对不存在、尚未运行，或参数有误",
        "核对 pipelines/reconcile 下的文件名；尚未运行的，先运行一次",
    ),
    (
        "E-RECONCILE-COLUMN",
        "参与核对的表没有配置中写的列",
        "更正列名，或在该系统的 `columns` 中写明对应的列名",
    ),
    ("E-RECONCILE-KEY", "没有与该键有关的记录", "核对键的写法；多列的键以 | 连接"),
    (
        "E-RECONCILE-TYPE",
        "列的类型不能按配置的方式比较",
        "在所读取的模型中转换该列的类型，或更改比较方式",
    ),
    (
        "E-REGISTER",
        "对接登记册读不出来",
        "核对 config/hub.toml 的 [register]：所指的模型要有规定的各列，并且已经生成",
    ),
    (
        "E-REPAIR",
        "没有这个更正计划，或它从未执行",
        "用 `huiliu reconcile repair plan` 生成计划，用 `repair list` 查看已有的",
    ),
    (
        "E-REPAIR-APPLIED",
        "这个更正计划已经执行过",
        "用 `huiliu reconcile repair list` 查看结果；仍有差异的，重新生成计划",
    ),
    (
        "E-REPAIR-COLUMNS",
        "更正前与更正后的记录列不一致，撤销时无法照原样发回",
        "让 `before` 与 `from` 两个模型的列相同",
    ),
    (
        "E-REPAIR-STALE",
        "更正计划已不是最新的，数据或差异状态在此之后有变化",
        "重新查看 `huiliu reconcile repair plan`，确认后按新的哈希执行",
    ),
    ("E-REPAIR-TWICE", "更正所用的模型对同一记录有多行", "更正模型，或更正推送的 `key`"),
    (
        "E-REPAIR-UNDO",
        "这次更正没有可以撤销的记录",
        "先重新读取目标系统；之后又有变化的记录不会被覆盖，须逐件处理",
    ),
    (
        "E-SCHEDULE",
        "作业的时间表写法有误",
        "依次填写分、时、日、月、星期五个字段，如 `30 6 * * 1-5`",
    ),
    ("E-SCHEMA-WRITE", "配置文件的 JSON Schema 无法写出", "检查目标目录的写入权限和磁盘空间"),
    ("E-SEAL", "没有这个封存的指标，或同时有另一项封存", "执行 `huiliu metric seals` 查看封存记录"),
    (
        "E-SECRET-INLINE",
        "地址中含有密码，不能写入配置文件",
        "用 `huiliu secret set` 保存地址，命令中改用 `--url-from secret:名称`",
    ),
    (
        "E-SECRET-MISSING",
        "系统配置引用的账号、密钥等没有取到值，该系统暂不可用",
        "`env:` 引用在环境变量或数据目录的 `env` 文件中设置，`secret:` 引用用 `huiliu secret set` 设置",
    ),
    (
        "E-SECRET-NAME",
        "没有这个名称的密钥，或名称的写法有误",
        "执行 `huiliu secret list` 查看已有名称；名称只能含字母、数字、下划线、连字符和点",
    ),
    (
        "E-SECRET-VALUE",
        "密钥的值为空或多于一行",
        "经标准输入给出一行，如 `printf %s \"$VALUE\" | huiliu secret set 名称 --reason …`",
    ),
    (
        "E-SELECTOR",
        "没有与所给名称相符的数据流、模型、指标或推送",
        "执行 `huiliu check` 查看可用的名称；数据流写作“系统.数据流”",
    ),
    (
        "E-SIZE",
        "容量的写法有误",
        "填写整数加单位 B、KB、MB、GB、TB、KiB、MiB、GiB 或 TiB，如 `1GiB`",
    ),
    (
        "E-STATE-JSON",
        "给出的读取位置不是有效的 JSON，或不是读取位置",
        "从 `huiliu state show` 复制后修改",
    ),
    ("E-SYSTEM", "没有配置这个系统", "核对系统名称，即 config/systems 下的文件名"),
    (
        "E-SYSTEM-FILE",
        "该系统已有配置文件，或配置文件无法写入",
        "补充已有系统的表时不要带 `--kind`；检查目录权限",
    ),
];

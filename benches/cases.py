"""Government-service cases for the benchmarks: 22 columns, about 320 bytes a row on the wire, keys
in no order. Everything follows from the row's number, so the data are the same every time."""

COLUMNS = """case_no varchar(28) not null, item_code varchar(31), item_name text,
  applicant_type varchar(2), applicant_id varchar(18), applicant_name text, phone varchar(20),
  division_code varchar(12), dept_code varchar(12), status varchar(4), channel varchar(2),
  online_depth smallint, accept_time timestamp, promise_due date, finish_time timestamp,
  result_code varchar(4), fee numeric(12,2), remark text, satisfaction smallint,
  created_at timestamptz, updated_at timestamptz, deleted boolean"""

ACTS = "设立 变更 注销 延续 补办 备案 核准 年检 登记 审批".split()
OBJECTS = """食品经营许可证 个体工商户营业执照 城镇职工基本养老保险关系 不动产权属证书 道路运输经营许可
 民办学校办学许可 医疗机构执业许可 建设工程规划许可 残疾人证 公共场所卫生许可 特种设备使用登记证 住房公积金提取""".split()
FAMILIES = list("王李张刘陈杨黄赵吴周徐孙马朱胡郭")
GIVEN = list("伟芳娜敏静丽强磊军洋勇艳杰娟涛明")
REMARKS = """材料齐全，符合法定形式，予以受理|申请人补正材料后重新提交|窗口代办|快递送达，注意查收；联系电话已核实
|容缺受理：缺身份证复印件一份|跨省通办|已评价|经核查申请信息与部门库不一致，已电话告知，请于5个工作日内补正""".replace("\n", "").split("|")


def rows(first, last, version=0, extra="", timed=False):
    """A query for the rows `first` to `last`; `version` changes what is not the key. Keys are in no
    order, or rise with time."""

    def pick(salt, below):
        return f"(abs(hashint8(n * 31 + {salt})::bigint) % {below})"

    def one_of(salt, words):
        return f"(array[{', '.join(repr(word) for word in words)}])[1 + {pick(salt, len(words))}]"

    v = version
    start = f"{pick(18, 126144000)} * interval '1 second'"
    done = f"{pick(21, 100)} >= 12"
    division = "lpad(((n * 7919) % 504)::text, 4, '0')"
    key = f"'CASE' || {division} || lpad(((n * 2654435761) % 100000000)::text, 8, '0') || lpad(n::text, 12, '0')"
    if timed:
        key = "to_char(timestamp '2020-01-01' + n * interval '25 seconds', 'YYYYMMDDHH24MISS') || lpad(n::text, 14, '0')"
    return f"""select
      {key},
      '3405' || lpad((7919::bigint * {pick(1, 240)} * 104729)::text, 27, '0'),
      {one_of(2, ACTS)} || {one_of(3, OBJECTS)}, '0' || {pick(4, 3)},
      '3405' || lpad({pick(5, 100)}::text, 2, '0') || (1950 + {pick(6, 55)})
        || lpad((1 + {pick(7, 12)})::text, 2, '0') || lpad((1 + {pick(8, 28)})::text, 2, '0')
        || lpad({pick(9 + v, 10000)}::text, 4, '0'),
      {one_of(10, FAMILIES)} || {one_of(11, GIVEN)} || {one_of(12, ['', *GIVEN[:8]])},
      '13' || lpad({pick(13, 1000000000)}::text, 9, '0'), '3405' || {division} || '0000',
      'D' || lpad({pick(14, 60)}::text, 11, '0'), 'S' || lpad({pick(15 + v, 10)}::text, 2, '0'),
      {pick(16, 5)}::text, {pick(17, 5)}::smallint,
      timestamp '2020-01-01' + {start} + {pick(19, 1000)} * interval '1 millisecond',
      date '2020-01-01' + {pick(20, 1490)}::int,
      case when {done} then timestamp '2020-01-09' + {pick(22, 126144000)} * interval '1 second' end,
      case when {done} then 'R' || {pick(23, 4)} end,
      case when {pick(24, 10)} < 6 then 0 else {pick(25, 2000000)} / 100.0 end,
      case when {pick(26, 100)} < 35 then {one_of(27, REMARKS)} end,
      case when {pick(28, 2)} = 0 then (1 + {pick(29, 5)})::smallint end,
      timestamptz '2020-01-01 00:00:00+00' + {start},
      timestamptz '2020-01-01 00:00:00+00' + {start} + ({pick(30, 90)} + 400 * {v}) * interval '1 day',
      {pick(31, 100)} = 0{extra}
    from generate_series({first}::bigint, {last}::bigint) as s(n)"""

use datafusion::arrow::array::{
    ArrayRef, Date32Array, LargeStringArray, RecordBatch, StringArray, StringViewArray,
    TimestampMicrosecondArray, TimestampSecondArray,
};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::execution::FunctionRegistry;

use super::*;

const HOLIDAYS: &str = include_str!("../../../../config/calendar/holidays.csv");

fn context() -> SessionContext {
    let files = vec![
        (
            "done_result_2018".to_owned(),
            include_str!("../../../../config/codes/done_result_2018.csv").to_owned(),
        ),
        ("use_level".to_owned(), include_str!("../../../../config/codes/use_level.csv").to_owned()),
    ];
    let functions = DomainFunctions {
        calendar: Arc::new(Calendar::parse(HOLIDAYS, "config/calendar/holidays.csv").unwrap()),
        codes: Arc::new(CodeTables::from_files(files).unwrap()),
    };
    let ctx = SessionContext::new();
    register(&ctx, &functions).unwrap();
    ctx
}

async fn run(ctx: &SessionContext, sql: &str) -> Result<Vec<String>> {
    let batches = ctx.sql(sql).await?.collect().await?;
    let text = pretty_format_batches(&batches)?.to_string();
    let rows = text.lines().skip(3).filter(|line| !line.starts_with('+'));
    let cells = |line: &str| {
        let inner: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        inner.join("|")
    };
    Ok(rows.map(cells).collect())
}

async fn one(sql: &str) -> String {
    let rows = run(&context(), sql).await.unwrap();
    assert_eq!(rows.len(), 1, "{sql}");
    rows[0].clone()
}

async fn failure(sql: &str) -> DataFusionError {
    run(&context(), sql).await.unwrap_err()
}

fn table(ctx: &SessionContext, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    ctx.register_batch("t", batch).unwrap();
}

#[tokio::test]
async fn working_days_are_computed_from_constants() {
    for (sql, expected) in [
        ("select is_workday(date '2018-02-11')", "true"),
        ("select is_workday('2018-02-15')", "false"),
        ("select add_workdays(date '2018-02-09', 5)", "2018-02-22"),
        ("select add_natural_days(date '2018-09-14', 10)", "2018-09-25"),
        ("select workdays_between(date '2018-01-01', date '2018-12-13')", "238"),
        ("select workdays_between(date '2018-02-22', date '2018-02-09')", "-5"),
        ("select is_workday(null) is null", "true"),
        ("select add_workdays(date '2018-02-09', null) is null", "true"),
    ] {
        assert_eq!(one(sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn timestamps_count_by_the_date_of_their_wall_time() {
    let ctx = context();
    // 2018-09-30T20:00Z is 04:00 on 1 October in Shanghai.
    let instant = 1_538_337_600;
    let plain = TimestampSecondArray::from(vec![Some(instant), None]);
    let zoned = TimestampMicrosecondArray::from(vec![Some(instant * 1_000_000), None]);
    let offset = zoned.clone().with_timezone("+08:00");
    let named = zoned.with_timezone("Asia/Shanghai");
    table(
        &ctx,
        vec![("plain", Arc::new(plain)), ("shifted", Arc::new(offset)), ("named", Arc::new(named))],
    );
    let rows = run(
        &ctx,
        "select is_workday(plain), is_workday(shifted), is_workday(named), \
         workdays_between(plain, date '2018-10-08'), add_workdays(named, 1) from t",
    )
    .await
    .unwrap();
    assert_eq!(rows, ["true|false|false|1|2018-10-08", "||||"]);
}

#[tokio::test]
async fn an_unknown_calendar_year_stops_the_query_and_is_named() {
    for sql in [
        "select is_workday(date '2027-01-04')",
        "select add_workdays(date '2026-12-30', 5)",
        "select workdays_between(date '2026-12-30', date '2027-02-01')",
    ] {
        let error = failure(sql).await;
        assert!(error.to_string().contains("2027"), "{error}");
    }
    let ctx = context();
    table(&ctx, vec![("d", Arc::new(Date32Array::from(vec![Some(18_000), None, Some(30_000)])))]);
    let error = run(&ctx, "select is_workday(d) from t").await.unwrap_err();
    let DataFusionError::External(cause) = error.find_root() else { panic!("{error}") };
    let cause = cause.downcast_ref::<huiliu_sdk::Error>().unwrap();
    assert_eq!(cause.code(), "E-CALENDAR-UNKNOWN");
    assert!(cause.message().contains("2052"));
}

#[tokio::test]
async fn text_is_read_in_every_arrow_layout() {
    let ctx = context();
    let numbers = [Some("11010519491231002X"), None, Some("110105194912310021")];
    table(
        &ctx,
        vec![
            ("a", Arc::new(StringArray::from(numbers.to_vec()))),
            ("b", Arc::new(LargeStringArray::from(numbers.to_vec()))),
            ("c", Arc::new(StringViewArray::from(numbers.to_vec()))),
        ],
    );
    let rows = run(
        &ctx,
        "select id_card_valid(a), id_card_valid(b), id_card_valid(c), mask_id(b), mask_id(c) from t",
    )
    .await
    .unwrap();
    assert_eq!(
        rows,
        [
            "true|true|true|110105********002X|110105********002X",
            "||||",
            "false|false|false|110105********0021|110105********0021"
        ]
    );
    let dictionary = "select mask_name(arrow_cast('张小明', 'Dictionary(Int32, Utf8)'))";
    assert_eq!(one(dictionary).await, "张**");
}

#[tokio::test]
async fn identifiers_and_masks_answer_in_sql() {
    for (sql, expected) in [
        ("select uscc_valid('91350100M000100Y43')", "true"),
        ("select org_code_valid('D2143569X')", "true"),
        ("select mobile_valid('+86 13800138000')", "true"),
        ("select project_code_valid('2018-340500-47-03-012345')", "true"),
        ("select project_code_valid('审核中')", "false"),
        ("select task_code_valid('11450000007565194H200011501500504')", "true"),
        ("select item_code_part('11450000007565194H200011501500504', 'level')", "2"),
        ("select item_code_part('11450000007565194H200011501500504', 'catalog')", "000115015005"),
        ("select item_code_part('11450000007565194H2000115015005', 'serial') is null", "true"),
        ("select item_code_part('123', 'uscc') is null", "true"),
        ("select division_level('340503001000')", "5"),
        ("select division_parent('340503')", "340500"),
        ("select division_parent('340000') is null", "true"),
        ("select mask_mobile('13800138000')", "138****8000"),
        ("select mask_landline('0555-2345678')", "0555-*****78"),
        ("select mask_address('安徽省马鞍山市花山区湖东路1号')", "安徽省马鞍山市花山区****"),
        ("select mask_account('6222021001112345678')", "***************5678"),
        ("select mask_uscc('91350100M000100Y43')", "91350100M000100Y43"),
        ("select to_halfwidth('３４０５')", "3405"),
        ("select mask_name(null) is null", "true"),
    ] {
        assert_eq!(one(sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn codes_map_by_table_and_unknown_codes_are_null() {
    let ctx = context();
    let codes = StringArray::from(vec![Some("0"), Some("5"), Some("9"), None]);
    table(&ctx, vec![("c", Arc::new(codes))]);
    let rows = run(&ctx, "select code_map('done_result_2018', c) from t").await.unwrap();
    assert_eq!(rows, ["50", "52", "", ""]);
    assert_eq!(one("select code_map('use_level', '3')").await, "市级");

    let error = ctx.sql("select code_map('done_result', c) from t").await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("done_result_2018, use_level"), "{text}");
    let error = ctx.sql("select code_map(c, c) from t").await.unwrap_err();
    assert!(error.to_string().contains("must be a constant"), "{error}");
    let error = ctx.sql("select item_code_part(c, 'town') from t").await.unwrap_err();
    assert!(error.to_string().contains("uscc, level, catalog, serial"), "{error}");
}

#[tokio::test]
async fn multi_values_hold_a_value_only_as_a_whole_part() {
    let ctx = context();
    let values = StringArray::from(vec![Some("1^2"), Some("12"), Some(" 2 ^3"), Some(""), None]);
    let wanted = StringViewArray::from(vec![Some("1"), Some("1"), Some("3"), Some("2"), Some("2")]);
    table(&ctx, vec![("v", Arc::new(values)), ("w", Arc::new(wanted))]);
    let rows =
        run(&ctx, "select multi_has(v, '2'), multi_has(v, '9', '1'), multi_has(v, w) from t")
            .await
            .unwrap();
    assert_eq!(
        rows,
        [
            "true|true|true",
            "false|false|false",
            "true|false|true",
            "false|false|false",
            "false|false|false"
        ]
    );
    assert_eq!(one("select multi_has('1^2', null)").await, "false");
}

#[tokio::test]
async fn wrong_arguments_are_refused_while_planning() {
    for (sql, expected) in [
        ("select is_workday()", "is_workday(date)"),
        ("select is_workday(1)", "argument 1 of is_workday is Int64"),
        ("select division_level(340503)", "argument 1 of division_level is Int64"),
        ("select add_workdays(date '2018-01-01', 'x')", "argument 2 of add_workdays"),
        ("select multi_has('1')", "multi_has(values text"),
        ("select uscc_valid('a', 'b')", "uscc_valid was given 2 arguments"),
    ] {
        let error = failure(sql).await.to_string();
        assert!(error.contains(expected), "{sql}: {error}");
    }
}

#[tokio::test]
async fn every_function_listed_is_registered() {
    let ctx = context();
    for definition in names() {
        assert!(ctx.udf(definition.name).is_ok(), "{}", definition.name);
        assert!(definition.call.starts_with(definition.name));
        assert!(!definition.about.is_empty());
    }
}

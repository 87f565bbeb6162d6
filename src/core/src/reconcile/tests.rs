use std::path::Path;

use super::*;

const GOOD: &str = r#"
version = 1
entity = "case"
title = "办件"
key = ["project_no"]
time = "accept_time"
as_of = "city"

[systems.province]
table = "standard.province_cases"
owner = "省数据资源主管部门"
lag = "2h"

[systems.city]
table = "standard.city_cases"
columns = { status = "state" }
copies = "copies"
expects = { field = "org_code", from = "standard.orgs" }

[fields.status]
compare = "code:case_status"
trust = ["city"]
normalise = ["width", "trim"]
codes = { city = "done_result_2018" }

[fields.accept_time]
compare = { within = "60s" }

[fields.fee]
compare = { within = 0.01 }

[fields.org_code]
compare = "none"

[warn]
mismatch = "0.5%"
duplicate_key = 3
"#;

fn parse(text: &str) -> Result<Reconciliation, Faults> {
    Reconciliation::parse(Path::new("case.toml"), text)
}

fn edited(from: &str, to: &str) -> Vec<(usize, String, Option<String>)> {
    assert!(GOOD.contains(from), "{from}");
    let faults = parse(&GOOD.replacen(from, to, 1)).err().unwrap_or_default();
    faults.0.into_iter().map(|fault| (fault.line, fault.message, fault.hint)).collect()
}

#[test]
fn a_file_is_read_in_its_own_order() {
    let read = parse(GOOD).unwrap();
    let systems: Vec<&str> = read.systems.iter().map(|system| system.name.as_str()).collect();
    let fields: Vec<&str> = read.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(systems, ["province", "city"]);
    assert_eq!(fields, ["status", "accept_time", "fee", "org_code"]);
    assert_eq!(read.table(), "reconciled.cases");
    assert_eq!(read.as_of, Some(1));
    assert_eq!(read.systems[0].lag_micros, Some(7_200_000_000));
    assert_eq!(read.systems[1].column("status"), "state");
    // Whom the file names, then the others in their order.
    assert_eq!(read.fields[0].trust, [1, 0]);
    assert_eq!(read.fields[1].trust, [0, 1]);
    assert_eq!(read.fields[0].compare, Comparison::Code("case_status".into()));
    assert_eq!(read.fields[1].compare, Comparison::Time(60_000_000));
    assert_eq!(read.fields[2].compare, Comparison::Value(100_000_000));
    assert_eq!(read.fields[0].normalise, [Normalise::Width, Normalise::Trim]);
    assert_eq!(read.reads(), ["standard.city_cases", "standard.orgs", "standard.province_cases"]);
    assert_eq!(
        read.classes(),
        [
            "duplicate_key",
            "pending",
            "missing_in_province",
            "missing_in_city",
            "mismatch",
            "matched"
        ]
    );
}

#[test]
fn comparisons_are_read_in_every_form() {
    for (text, expected) in [
        ("\"exact\"", Comparison::Exact),
        ("\"set\"", Comparison::Set("^".into())),
        ("{ set = \",\" }", Comparison::Set(",".into())),
        ("{ within = \"1.5\" }", Comparison::Value(15_000_000_000)),
        ("{ within = 2 }", Comparison::Value(20_000_000_000)),
        ("{ within = \"2d\" }", Comparison::Time(172_800_000_000)),
        ("{ workdays = 3 }", Comparison::Workdays(3)),
    ] {
        let read = parse(&GOOD.replacen("{ within = 0.01 }", text, 1)).unwrap();
        assert_eq!(read.fields[2].compare, expected, "{text}");
    }
}

#[test]
fn warn_levels_are_exact() {
    let read = parse(GOOD).unwrap();
    let share = read.warn["mismatch"];
    assert!(!share.is_passed(5, 1000) && share.is_passed(6, 1000) && share.is_passed(1, 0));
    let count = read.warn["duplicate_key"];
    assert!(!count.is_passed(3, 9) && count.is_passed(4, 9));
}

#[test]
fn faults_have_a_line_and_say_what_was_meant() {
    let line = |text: &str| 1 + GOOD.lines().position(|line| line.starts_with(text)).unwrap();
    let at = |at: &str, message: &str, hint: &str| {
        vec![(line(at), message.to_owned(), Some(hint.to_owned()))]
    };
    assert_eq!(
        edited("lag = \"2h\"", "lagg = \"2h\""),
        at("lag =", "unknown key `lagg`", "did you mean `lag`?")
    );
    assert_eq!(
        edited("trust = [\"city\"]", "trust = [\"citi\"]"),
        at("trust =", "no system is called `citi`", "did you mean `city`?")
    );
    assert_eq!(
        edited("as_of = \"city\"", "as_of = \"town\""),
        at("as_of =", "no system is called `town`", "use one of: province, city")
    );
    assert_eq!(
        edited("\"width\"", "\"widht\""),
        at("normalise =", "`widht` is not one of the values it can have", "did you mean `width`?")
    );
    assert_eq!(
        edited("compare = \"none\"", "compare = \"nome\""),
        at("compare = \"none\"", "`nome` is no way to compare", "did you mean `none`?")
    );
    assert_eq!(
        edited("duplicate_key = 3", "duplicate_keys = 3"),
        at(
            "duplicate_key =",
            "no class is called `duplicate_keys`",
            "did you mean `duplicate_key`?"
        )
    );
    assert_eq!(
        edited("columns = { status = \"state\" }", "columns = { stats = \"state\" }"),
        at("columns =", "no key column or field is called `stats`", "did you mean `status`?")
    );
    assert_eq!(
        edited("lag = \"2h\"", "lag = \"2 hours\""),
        at(
            "lag =",
            "`2 hours` is not a length of time",
            "write a whole number and one of ms, s, m, h, d, such as `10m`"
        )
    );
}

#[test]
fn all_faults_are_found_at_once() {
    let text = GOOD
        .replacen("key = [\"project_no\"]", "key = [\"status\", \"status\"]", 1)
        .replacen("time = \"accept_time\"", "", 1)
        .replacen("table = \"standard.city_cases\"", "table = \"city_cases\"", 1)
        .replacen("mismatch = \"0.5%\"", "mismatch = \"some\"", 1);
    let messages: Vec<String> =
        parse(&text).unwrap_err().0.into_iter().map(|fault| fault.message).collect();
    for expected in [
        "`status` is named twice",
        "`status` is in the key already",
        "`city_cases` is no table",
        "a system with a `lag` needs `time`",
        "this is no warn level",
    ] {
        assert!(messages.iter().any(|message| message == expected), "{expected}: {messages:?}");
    }
}

#[test]
fn columns_of_the_golden_table_do_not_collide() {
    let text = GOOD.replacen("[fields.fee]", "[fields.city_status]", 1);
    let faults = parse(&text).unwrap_err();
    assert_eq!(faults.0[0].message, "the golden table would have two columns `city_status`");
    let text = GOOD.replacen("[systems.city]", "[systems.other]", 1);
    assert!(!parse(&text).unwrap_err().is_empty());
    let text = GOOD.replacen("version = 1", "version = 2", 1);
    let faults = parse(&text).unwrap_err();
    assert_eq!(faults.0[0].message, "this program reads version 1 of reconcile files");
}

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use huiliu_core::config::Fault;

use super::*;

fn entries() -> impl Iterator<Item = &'static table::Entry> {
    table::TABLES.into_iter().flatten()
}

/// The codes that the program can give, read from its own sources.
fn codes_in(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        if matches!(stem, "tests" | "language") {
            continue;
        }
        if path.is_dir() {
            codes_in(&path, codes);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            for rest in text.split("\"E-").skip(1) {
                let code = rest.split('"').next().unwrap();
                let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-';
                if code.chars().all(plain) {
                    codes.insert(format!("E-{code}"));
                }
            }
        }
    }
}

fn has_han(text: &str) -> bool {
    text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
}

#[test]
fn every_code_of_the_sources_has_its_entry_and_no_entry_is_left_over() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut used = BTreeSet::new();
    codes_in(&root.join("src"), &mut used);
    codes_in(&root.join("connectors"), &mut used);
    assert!(used.len() > 100, "only {} codes were found", used.len());
    let known: BTreeSet<String> = entries().map(|entry| entry.0.to_owned()).collect();
    let missing: Vec<&String> = used.difference(&known).collect();
    let left_over: Vec<&String> = known.difference(&used).collect();
    assert!(
        missing.is_empty() && left_over.is_empty(),
        "missing {missing:?}, unused {left_over:?}"
    );
}

#[test]
fn entries_are_sorted_within_their_table_and_none_is_given_twice() {
    for table in table::TABLES {
        assert!(table.is_sorted_by_key(|entry| entry.0));
    }
    let mut seen = BTreeSet::new();
    for (code, ..) in entries() {
        assert!(seen.insert(code), "{code} is given twice");
    }
}

#[test]
fn every_chinese_text_is_chinese_and_ends_without_a_full_stop() {
    for (code, meaning, todo) in entries() {
        for text in [meaning, todo] {
            assert!(has_han(text), "{code}: {text}");
            assert!(!text.contains('。') && !text.ends_with(['.', '；', '，']), "{code}: {text}");
        }
    }
    for (english, chinese) in phrase::all() {
        assert!(has_han(chinese) && !chinese.ends_with('。'), "{english}: {chinese}");
        assert!(!has_han(english), "{english}");
    }
}

#[test]
fn fixed_wordings_are_translated_and_what_varies_is_kept() {
    for (english, chinese) in phrase::all() {
        assert!(english.matches("{}").count() >= chinese.matches("{}").count(), "{english}");
    }
    for (message, chinese) in [
        ("unknown key `tabel`", "未知的键 `tabel`"),
        ("the key `text` is missing", "缺少键 `text`"),
        ("expected text, found a number", "应为文本，实为数字"),
        ("expected a whole number, found true or false", "应为整数，实为布尔值"),
        ("did you mean `table`?", "是否应为 `table`？"),
        ("is missing", "缺少此项"),
        ("is missing beside body", "缺少此项（beside body）"),
        ("use a name such as Asia/Shanghai", "填写如 Asia/Shanghai 的名称"),
        ("use text, int", "可用：text, int"),
        ("job a: no such time zone", "作业 a：时区名称不存在"),
        (
            "job a: schedule `1`: expected 5 fields, found 1",
            "作业 a：时间表 `1`：应有 5 个字段，实有 1 个",
        ),
        ("The department that answers for it.", "填写负责该系统的单位"),
        ("The token, as `${secret:name}`.", "填写令牌的引用，写作 `${secret:name}`"),
        ("something quite new", "something quite new"),
    ] {
        assert_eq!(phrase::fault(message), chinese, "{message}");
    }
}

#[test]
fn a_fault_is_printed_in_chinese_and_the_line_of_the_file_is_not_touched() {
    let fault = Fault {
        file: PathBuf::from("config/systems/a.toml"),
        line: 6,
        column: 1,
        message: "unknown key `tabel`".into(),
        hint: Some("did you mean `table`?".into()),
        excerpt: Some(("tabel = \"error:   hint: \"".into(), 5)),
    };
    assert_eq!(
        faults(&Faults(vec![fault]), Language::Zh),
        "配置错误：config/systems/a.toml:6:1: 未知的键 `tabel`\n  \
         6 | tabel = \"error:   hint: \"\n    | ^^^^^\n  建议：是否应为 `table`？\n"
    );
}

#[test]
fn an_error_keeps_its_details_and_what_its_hint_says_of_the_case() {
    let hint = "check the url; 审批局 answers for 投资平台 (config/systems/a.toml)";
    assert_eq!(
        failure("E-LAKE-CONFLICT", "a.b: changed", Some(hint), Language::Zh),
        "错误[E-LAKE-CONFLICT]：提交期间数据湖中的表被其他进程改动，本次未提交\n  详情：a.b: changed\n  \
         建议：重新运行\n  补充：责任单位：审批局，系统：投资平台（config/systems/a.toml）\n"
    );
    assert_eq!(failure("E-NEW", "m", Some("h"), Language::Zh), "错误[E-NEW]：m\n  建议：h\n");
    assert_eq!(failure("E-NEW", "m", Some("h"), Language::En), "error[E-NEW]: m\n  hint: h\n");
    assert_eq!(failure("E-NEW", "m", None, Language::En), "error[E-NEW]: m\n");
}

//! `docs/cases.md` against the tree: every case has a row, and every test a row names exists.

use std::collections::{BTreeMap, BTreeSet};

use crate::hub::root;
use crate::structure::all_rust_files;

/// The sections and how many cases each has.
const SECTIONS: [(char, usize); 7] =
    [('A', 26), ('B', 18), ('C', 13), ('D', 12), ('E', 12), ('F', 12), ('G', 14)];
/// Sections whose rows are still to come, so that an empty table is no fault.
const TO_COME: [char; 0] = [];

/// A row of the table: case, what is asked, tests, what is not tested and why.
struct Case {
    id: String,
    tests: Vec<String>,
    remark: String,
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(root().join("docs/cases.md")).unwrap();
    let mut cases = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [id, _, tests, remark] = cells[..] else { panic!("four columns are expected: {line}") };
        let is_id = id.len() == 3 && id[1..].bytes().all(|byte| byte.is_ascii_digit());
        if !is_id {
            continue;
        }
        let tests = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        cases.push(Case { id: id.to_owned(), tests, remark: remark.to_owned() });
    }
    cases
}

#[test]
fn every_case_has_one_row_and_each_row_a_test_or_a_reason() {
    let cases = cases();
    let found: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    for (section, count) in SECTIONS {
        let expected: Vec<String> =
            (1..=count).map(|number| format!("{section}{number:02}")).collect();
        let rows: Vec<&str> = found.iter().copied().filter(|id| id.starts_with(section)).collect();
        assert!(
            rows == expected || TO_COME.contains(&section) && rows.is_empty(),
            "{section}: {rows:?}"
        );
    }
    for case in &cases {
        let says_something = !case.tests.is_empty() || case.remark.len() > 20;
        assert!(says_something, "{} has neither a test nor a reason", case.id);
    }
}

#[test]
fn every_test_that_a_case_names_is_in_the_tree() {
    let mut functions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in all_rust_files() {
        let shown = path.strip_prefix(root()).unwrap().display().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        let names = text.split("fn ").skip(1).map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            rest[..end.unwrap_or(rest.len())].to_owned()
        });
        functions.insert(shown, names.collect());
    }
    let mut checked = 0;
    for case in cases() {
        for test in &case.tests {
            let (file, name) = test.split_once("::").unwrap_or_else(|| {
                panic!("{}: `{test}` is no file::test", case.id);
            });
            let names = functions.get(file);
            let names = names.unwrap_or_else(|| panic!("{}: there is no {file}", case.id));
            assert!(names.contains(name), "{}: {file} has no test {name}", case.id);
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} tests are named");
}

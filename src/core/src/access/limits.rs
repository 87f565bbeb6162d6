//! To which rows an account is limited.

use std::fmt;

use huiliu_sdk::{Error, ErrorKind, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identifier::division_prefix;

/// The most divisions, and the most departments, of one account.
const MOST: usize = 100;
/// The longest name of a department, in characters.
const LONGEST: usize = 128;

/// The rows that somebody sees: those of these divisions and of these departments. Where both are
/// given, a row must be of both. Without any, all rows.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Codes of divisions, of 6, 9 or 12 digits, such as `340503`; each stands for all below it too.
    #[serde(default)]
    pub divisions: Vec<String>,
    /// Departments, as columns name them: by their code or their name.
    #[serde(default)]
    pub departments: Vec<String>,
}

impl Limits {
    /// Whether all rows are seen.
    pub fn is_open(&self) -> bool {
        self.divisions.is_empty() && self.departments.is_empty()
    }

    /// The same in one order and each once, or what is wrong with it.
    pub fn checked(mut self) -> Result<Self> {
        for list in [&mut self.divisions, &mut self.departments] {
            for word in list.iter_mut() {
                *word = word.trim().to_owned();
            }
            list.sort();
            list.dedup();
            if list.len() > MOST {
                return Err(wrong(format!("an account is limited to at most {MOST} of a kind")));
            }
        }
        if let Some(code) = self.divisions.iter().find(|code| division_prefix(code).is_none()) {
            return Err(wrong(format!("`{}` is no code of a division", shown(code))));
        }
        let fits = |name: &String| {
            !name.is_empty()
                && name.chars().count() <= LONGEST
                && !name.chars().any(char::is_control)
        };
        if let Some(name) = self.departments.iter().find(|name| !fits(name)) {
            return Err(wrong(format!("`{}` is no name of a department", shown(name))));
        }
        Ok(self)
    }

    /// How the codes of the divisions, and of all below them, begin.
    pub fn prefixes(&self) -> Vec<&str> {
        self.divisions.iter().filter_map(|code| division_prefix(code)).collect()
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<&str> =
            self.divisions.iter().chain(&self.departments).map(String::as_str).collect();
        f.write_str(&all.join(", "))
    }
}

fn shown(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(40).collect()
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Config, "E-USER", message).hint(
        "a division is its code, such as 340503 or 340503001000; a department is its code or name as \
         the tables have it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(divisions: &[&str], departments: &[&str]) -> Limits {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Limits { divisions: owned(divisions), departments: owned(departments) }
    }

    #[test]
    fn a_division_covers_what_begins_like_it() {
        let given = limits(&["340503000000", " 340521001", "340500", "340503000000"], &[]);
        let checked = given.checked().unwrap();
        assert_eq!(checked.divisions, ["340500", "340503000000", "340521001"]);
        assert_eq!(checked.prefixes(), ["3405", "340503", "340521001"]);
        assert!(!checked.is_open() && Limits::default().is_open());
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for given in [
            limits(&["34050"], &[]),
            limits(&["000000"], &[]),
            limits(&["花山区"], &[]),
            limits(&[""], &[]),
            limits(&[], &[" "]),
            limits(&[], &["a\nb"]),
            limits(&[], &[&"局".repeat(129)]),
        ] {
            assert_eq!(given.clone().checked().unwrap_err().code(), "E-USER", "{given:?}");
        }
        assert!(limits(&[], &["市公安局"]).checked().is_ok());
    }
}

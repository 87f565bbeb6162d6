//! What a password must be. Two profiles contradict each other, so the office chooses one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The fewest and the most characters of a password.
const LENGTH: std::ops::RangeInclusive<usize> = 12..=128;
/// The fewest characters of a name or word that a password must not hold.
const CONTEXT: usize = 3;

/// Which rules passwords follow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PasswordProfile {
    /// Classified protection, level three (等保三级): three kinds of characters, changed every 90
    /// days.
    #[default]
    #[serde(rename = "djbh-l3")]
    DjbhL3,
    /// OWASP ASVS: length and no known words, no composition, no forced change.
    #[serde(rename = "asvs")]
    Asvs,
}

/// What is wrong with a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PasswordFault {
    /// Fewer than 12 characters.
    TooShort,
    /// More than 128 characters.
    TooLong,
    /// Fewer than three of lower case, upper case, digits, other signs.
    TooPlain,
    /// Among the words that everybody tries first.
    Common,
    /// It holds the user's or the office's name.
    Context,
    /// A few characters over and over, or a run along the keyboard.
    Pattern,
}

/// Words that everybody tries first; a password that is one of them with digits and signs around
/// it, or in its place, is as easy to guess.
const COMMON: [&str; 60] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "letmein",
    "welcome",
    "admin",
    "administrator",
    "root",
    "guest",
    "default",
    "changeme",
    "change",
    "login",
    "master",
    "manager",
    "system",
    "server",
    "oracle",
    "postgres",
    "mysql",
    "database",
    "test",
    "tester",
    "testing",
    "demo",
    "user",
    "username",
    "iloveyou",
    "princess",
    "dragon",
    "monkey",
    "football",
    "baseball",
    "sunshine",
    "superman",
    "batman",
    "shadow",
    "michael",
    "jordan",
    "qwerty",
    "qwertyuiop",
    "asdfgh",
    "asdfghjkl",
    "zxcvbn",
    "zxcvbnm",
    "qazwsx",
    "qazwsxedc",
    "abc",
    "abcd",
    "abcdef",
    "china",
    "zhongguo",
    "beijing",
    "woaini",
    "mima",
    "guanliyuan",
    "zhengwu",
    "huiliu",
    "aaa",
];

/// Rows of keys, and the order of letters and digits.
const RUNS: [&str; 5] =
    ["01234567890", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm"];

impl PasswordProfile {
    /// After how many days a password must be changed; never without.
    pub fn max_age_days(self) -> Option<i64> {
        match self {
            Self::DjbhL3 => Some(90),
            Self::Asvs => None,
        }
    }

    /// Everything that is wrong with `password`. `context` are names it must not hold.
    pub fn faults(self, password: &str, context: &[&str]) -> Vec<PasswordFault> {
        let mut faults = Vec::new();
        let count = password.chars().count();
        if count < *LENGTH.start() {
            faults.push(PasswordFault::TooShort);
        }
        if count > *LENGTH.end() {
            faults.push(PasswordFault::TooLong);
        }
        if self == Self::DjbhL3 && kinds(password) < 3 {
            faults.push(PasswordFault::TooPlain);
        }
        let folded = fold(password);
        let bare: String = folded.chars().filter(|c| c.is_alphabetic()).collect();
        if COMMON.contains(&bare.as_str()) {
            faults.push(PasswordFault::Common);
        }
        let holds = |word: &&str| {
            let word = word.to_lowercase();
            word.chars().count() >= CONTEXT
                && (password.to_lowercase().contains(&word) || folded.contains(&fold(&word)))
        };
        if context.iter().any(holds) {
            faults.push(PasswordFault::Context);
        }
        if is_pattern(&password.to_lowercase()) {
            faults.push(PasswordFault::Pattern);
        }
        faults
    }
}

/// How many of the four kinds of characters it has.
fn kinds(password: &str) -> usize {
    let has = |test: fn(char) -> bool| usize::from(password.chars().any(test));
    has(char::is_lowercase)
        + has(char::is_uppercase)
        + has(char::is_numeric)
        + has(|c| !c.is_lowercase() && !c.is_uppercase() && !c.is_numeric())
}

/// In small letters, with the signs that stand for letters put back.
fn fold(text: &str) -> String {
    let plain = |c| match c {
        '@' | '4' => 'a',
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '$' | '5' => 's',
        '7' => 't',
        other => other,
    };
    // Digits and signs at the end are an ending, not letters.
    let trimmed = text.trim_end_matches(|c: char| !c.is_alphabetic());
    trimmed.to_lowercase().chars().map(plain).collect()
}

/// Whether at most four different characters make it up, or most of it runs along the keyboard.
fn is_pattern(text: &str) -> bool {
    let letters: Vec<char> = text.chars().collect();
    let different: std::collections::BTreeSet<char> = letters.iter().copied().collect();
    let follows = |pair: &&[char]| {
        let there: String = pair.iter().collect();
        let back: String = pair.iter().rev().collect();
        pair[0] == pair[1] || RUNS.iter().any(|run| run.contains(&there) || run.contains(&back))
    };
    let run = letters.windows(2).filter(follows).count();
    letters.len() > 1 && (different.len() <= 4 || run * 4 >= (letters.len() - 1) * 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use PasswordFault::{Common, Context, Pattern, TooLong, TooPlain, TooShort};

    #[test]
    fn each_profile_has_its_rules() {
        let phrase = "correct horse battery staple";
        assert_eq!(PasswordProfile::Asvs.faults(phrase, &[]), []);
        assert_eq!(PasswordProfile::DjbhL3.faults(phrase, &[]), [TooPlain]);
        assert_eq!(PasswordProfile::DjbhL3.faults("Correct horse battery", &[]), []);
        assert_eq!(PasswordProfile::DjbhL3.max_age_days(), Some(90));
        assert_eq!(PasswordProfile::Asvs.max_age_days(), None);
        assert_eq!(PasswordProfile::default(), PasswordProfile::DjbhL3);
    }

    #[test]
    fn what_is_easily_guessed_is_refused() {
        let asvs = |password: &str| PasswordProfile::Asvs.faults(password, &["zhangwei", "马鞍山"]);
        assert_eq!(asvs("Short1!"), [TooShort]);
        assert_eq!(asvs(&"aB3$eFgHi".repeat(20)), [TooLong]);
        assert_eq!(asvs("P@ssw0rd2018!!"), [Common]);
        assert_eq!(asvs("Administrator1"), [Common]);
        assert_eq!(asvs("ZhangWei#Office9"), [Context]);
        assert_eq!(asvs("Zh4ngWei#Office9"), [Context]);
        assert_eq!(asvs("我在马鞍山的办公室里工作呢"), [Context]);
        assert_eq!(asvs("abababababab1"), [Pattern]);
        assert_eq!(asvs("qwertyuiop12345"), [Common, Pattern]);
        assert_eq!(asvs("tide-Lantern-orbit-42"), []);
    }
}

//! Codes of investment projects, in the grammars before and after December 2020.

use super::{all_digits, number};

/// Which grammar a project code follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProjectCodeForm {
    /// Year, division, industry, type 01 approval, 02 verification or 03 filing, serial.
    ByYear,
    /// Year and month from 2020-11, division, guiding department, project type, serial: GB/T 40058.
    /// The type no longer tells approval from filing; the rule of its check digit is not known.
    ByMonth,
    /// A local variant: year, division, industry of four digits, type with a letter, serial.
    Local,
}

/// The grammar `text` follows, if any; words in the code's place (审核中) follow none.
pub fn project_code_form(text: &str) -> Option<ProjectCodeForm> {
    let mut parts = text.split('-');
    let (time, division, third, kind, serial) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let plain = |part: &str, length: usize| part.len() == length && all_digits(part);
    if parts.next().is_some() || !plain(time, 4) || !plain(division, 6) || !plain(serial, 6) {
        return None;
    }

    let year = number(time.as_bytes());
    let (short_year, month) = (year / 100, year % 100);
    let by_month = (1..=12).contains(&month) && (2011..=9912).contains(&year) && short_year >= 20;
    let by_year = (2013..=2020).contains(&year);
    if plain(third, 2) && plain(kind, 2) {
        if by_month {
            return Some(ProjectCodeForm::ByMonth);
        }
        let known_kind = matches!(kind, "01" | "02" | "03");
        return (by_year && known_kind).then_some(ProjectCodeForm::ByYear);
    }
    let letter_kind = kind.len() == 3
        && kind.starts_with(|first: char| first.is_ascii_uppercase())
        && all_digits(&kind[1..]);
    (by_year && plain(third, 4) && letter_kind).then_some(ProjectCodeForm::Local)
}

/// Whether `text` follows one of the two national grammars.
pub fn project_code_valid(text: &str) -> bool {
    matches!(project_code_form(text), Some(ProjectCodeForm::ByYear | ProjectCodeForm::ByMonth))
}

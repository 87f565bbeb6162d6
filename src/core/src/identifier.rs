//! Identifiers of people, organisations, items, projects and divisions: their check digits,
//! their parts, and how they are masked.
//!
//! Validators judge the text as it stands: no trimming and no full-width digits, so that a
//! finding is about what the source holds; [`to_halfwidth`] and trimming come before, if wanted.

mod certificate;
mod division;
mod item;
mod mask;
mod project;

use std::borrow::Cow;

use chrono::{Datelike, NaiveDate};

pub use certificate::certificate;
pub use division::{division_level, division_parent, division_prefix};
pub use item::{ItemCode, task_code_valid};
pub use mask::{
    mask_account, mask_address, mask_id, mask_landline, mask_mobile, mask_name, mask_tagged,
    mask_uscc,
};
pub use project::{ProjectCodeForm, project_code_form, project_code_valid};

const ID_WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const ID_CHECK: &[u8; 11] = b"10X98765432";
const USCC_ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
const USCC_WEIGHTS: [usize; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
const ORG_WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];

/// Whether `text` is a resident identity number of 18 characters (GB 11643): a real date of
/// birth and the right check digit, `x` in either case. The division prefix is not judged,
/// because abolished divisions live on in numbers.
pub fn id_card_valid(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() != 18 || !bytes[..17].iter().all(u8::is_ascii_digit) {
        return false;
    }
    id_check(bytes) == bytes[17].to_ascii_uppercase()
        && birth_date(number(&bytes[6..10]), &bytes[10..14])
}

/// The check character that belongs to the first 17 digits.
fn id_check(digits: &[u8]) -> u8 {
    let sum: u32 =
        digits.iter().zip(ID_WEIGHTS).map(|(byte, weight)| u32::from(byte - b'0') * weight).sum();
    ID_CHECK[(sum % 11) as usize]
}

/// Whether `text` is an identity number whose end a spreadsheet has rounded away: it keeps 15
/// digits of a number, so that 18 of them end in 000. Numbers with the right check digit, and credit
/// codes, which share columns with them, are none.
pub fn id_card_rounded(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 18
        && bytes.ends_with(b"000")
        && bytes.iter().all(u8::is_ascii_digit)
        && id_check(bytes) != b'0'
        && !uscc_valid(text)
}

/// Whether `text` is an identity number in the form of 15 digits used before 1999: it has no
/// check digit, only a date of birth in the 1900s.
pub fn id_card_old_form_valid(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 15
        && bytes.iter().all(u8::is_ascii_digit)
        && birth_date(1900 + number(&bytes[6..8]), &bytes[8..12])
}

/// Whether `text` is a unified social credit code (GB 32100) with the right check character.
pub fn uscc_valid(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() != 18 {
        return false;
    }
    let mut sum = 0;
    for (byte, weight) in bytes.iter().zip(USCC_WEIGHTS) {
        match USCC_ALPHABET.iter().position(|allowed| allowed == byte) {
            Some(value) => sum += value * weight,
            None => return false,
        }
    }
    USCC_ALPHABET[(31 - sum % 31) % 31] == bytes[17]
}

/// Whether `text` is an organisation code (GB 11714), with or without the hyphen before the
/// check character.
pub fn org_code_valid(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (body, check) = match bytes {
        [body @ .., b'-', check] if body.len() == 8 => (body, check),
        [body @ .., check] if body.len() == 8 => (body, check),
        _ => return false,
    };
    let mut sum = 0;
    for (byte, weight) in body.iter().zip(ORG_WEIGHTS) {
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            _ => return false,
        };
        sum += u32::from(value) * weight;
    }
    let expected = match 11 - sum % 11 {
        10 => b'X',
        11 => b'0',
        digit => b'0' + digit as u8,
    };
    *check == expected
}

/// Whether `text` is a mobile number, once `+86`, spaces and hyphens are taken away.
pub fn mobile_valid(text: &str) -> bool {
    let number = bare_mobile(text);
    let bytes = number.as_bytes();
    bytes.len() == 11
        && bytes.iter().all(u8::is_ascii_digit)
        && bytes[0] == b'1'
        && bytes[1] >= b'3'
}

/// Turns full-width letters, digits, signs and spaces into their ordinary forms.
pub fn to_halfwidth(text: &str) -> Cow<'_, str> {
    let is_wide = |letter: char| matches!(letter, '\u{ff01}'..='\u{ff5e}' | '\u{3000}');
    if !text.contains(is_wide) {
        return Cow::Borrowed(text);
    }
    let narrow = |letter: char| match letter {
        '\u{3000}' => ' ',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(letter as u32 - 0xfee0).unwrap_or(letter),
        other => other,
    };
    Cow::Owned(text.chars().map(narrow).collect())
}

fn bare_mobile(text: &str) -> String {
    let bare: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    match bare.strip_prefix("+86") {
        Some(rest) => rest.to_owned(),
        None => bare,
    }
}

fn birth_date(year: u32, month_and_day: &[u8]) -> bool {
    let (month, day) = (number(&month_and_day[..2]), number(&month_and_day[2..]));
    NaiveDate::from_ymd_opt(year as i32, month, day)
        .is_some_and(|date| (1800..2200).contains(&date.year()))
}

/// The value of a run of ASCII digits.
fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'))
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;

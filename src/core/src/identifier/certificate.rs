//! Numbers of certificates as they are compared: however a source wrote it, one number is one text.

use super::{
    all_digits, id_card_old_form_valid, id_card_valid, id_check, org_code_valid, to_halfwidth,
    uscc_valid,
};

/// 居民身份证.
const RESIDENT: &str = "111";
/// 统一社会信用代码.
const CREDIT_CODE: &str = "001";
/// 组织机构代码.
const ORGANISATION: &str = "002";
/// 其他证件.
const OTHER: &str = "990";

/// The kind of a certificate, told from the form of its number, and the number as it is compared.
///
/// Kinds are those of GA/T 517: `111` an identity card, `990` what cannot be told from its form; and of
/// the catalogues: `001` a credit code, `002` an organisation's code. The number is half-width, without
/// blanks and in capital letters; a code of an organisation has no hyphen, and an identity number of 15
/// digits is the one of 18 that took its place.
pub fn certificate(text: &str) -> (&'static str, String) {
    let number: String = to_halfwidth(text).chars().filter(|letter| !is_blank(*letter)).collect();
    let number = number.to_ascii_uppercase();
    if id_card_old_form_valid(&number) {
        return (RESIDENT, renewed(&number));
    }
    if id_card_valid(&number) {
        return (RESIDENT, number);
    }
    if uscc_valid(&number) {
        return (CREDIT_CODE, number);
    }
    if org_code_valid(&number) {
        return (ORGANISATION, number.replace('-', ""));
    }
    // Mistyped ones are numbers of identity cards still, and join with their like.
    let kind = if has_resident_form(&number) { RESIDENT } else { OTHER };
    (kind, number)
}

/// Spaces, and signs without width that come along when a number is copied from a page.
fn is_blank(letter: char) -> bool {
    letter.is_whitespace()
        || letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

fn has_resident_form(number: &str) -> bool {
    let body = number.strip_suffix('X').unwrap_or(number);
    number.len() == 18 && body.len() >= 17 && all_digits(body)
}

/// The number of 18 characters that took the place of one of 15 digits.
fn renewed(old: &str) -> String {
    let (division, rest) = old.split_at(6);
    let mut number = format!("{division}19{rest}");
    number.push(char::from(id_check(number.as_bytes())));
    number
}

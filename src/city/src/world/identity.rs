//! Identity numbers and organisation codes with their check digits.

use rand::Rng;
use rand::rngs::StdRng;

use super::moment::date_text;

const ID_WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const ID_CHECKS: &[u8; 11] = b"10X98765432";
const CREDIT_ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
const CREDIT_WEIGHTS: [u32; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
const ORGANISATION_WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];
/// Divisions in which people were registered, abolished ones among them.
const REGISTERED_IN: [&str; 16] = [
    "340503", "340503", "340504", "340504", "340506", "340521", "340521", "340522", "340523",
    "340502", "342626", "342625", "340102", "340203", "341122", "320114",
];

/// The check character of the first 17 characters of a resident's number (GB 11643).
fn resident_check(digits: &str) -> char {
    let sum: u32 =
        digits.bytes().zip(ID_WEIGHTS).map(|(byte, weight)| u32::from(byte - b'0') * weight).sum();
    char::from(ID_CHECKS[(sum % 11) as usize])
}

/// A resident's number; some 0.5 % are wrong, by their check character or by their date.
pub(crate) fn resident_number(rng: &mut StdRng) -> (String, bool) {
    let prefix = REGISTERED_IN[rng.random_range(0..REGISTERED_IN.len())];
    let day = date_text(rng.random_range(0..1095));
    let (_, month_day) = day.split_at(5);
    let month_day = if month_day == "02-29" { "02-28" } else { month_day };
    let year: u32 = rng.random_range(1938..2001);
    let serial: u32 = rng.random_range(1..1000);
    let wrong: f64 = rng.random();
    let month_day =
        if wrong < 0.0025 { "02-30".to_owned() } else { month_day.to_owned() }.replace('-', "");
    let digits = format!("{prefix}{year}{month_day}{serial:03}");
    let check = resident_check(&digits);
    let written =
        if (0.0025..0.005).contains(&wrong) { if check == '7' { '3' } else { '7' } } else { check };
    (format!("{digits}{written}"), wrong >= 0.005)
}

/// The check character of the first 8 characters of an organisation code (GB 11714).
fn organisation_check(code: &str) -> char {
    let sum: u32 = code
        .bytes()
        .zip(ORGANISATION_WEIGHTS)
        .map(|(byte, weight)| char::from(byte).to_digit(36).unwrap_or(0) * weight)
        .sum();
    match 11 - sum % 11 {
        10 => 'X',
        11 => '0',
        digit => char::from_digit(digit, 10).unwrap_or('0'),
    }
}

/// The check character of the first 17 characters of a credit code (GB 32100).
fn credit_check(code: &str) -> char {
    let sum: u32 = code
        .bytes()
        .zip(CREDIT_WEIGHTS)
        .map(|(byte, weight)| {
            let value = CREDIT_ALPHABET.iter().position(|known| *known == byte).unwrap_or(0);
            u32::try_from(value).unwrap_or(0) * weight
        })
        .sum();
    char::from(CREDIT_ALPHABET[((31 - sum % 31) % 31) as usize])
}

/// A valid credit code: 2 digits of class, 6 of division, an organisation code, a check.
pub(crate) fn credit_code(class: &str, division: &str, organisation: &str) -> String {
    let mut code = format!("{class}{division}{organisation}{}", organisation_check(organisation));
    let check = credit_check(&code);
    code.push(check);
    code
}

/// An enterprise's or institution's credit code; some 0.5 % have a wrong check character.
pub(crate) fn applicant_credit_code(rng: &mut StdRng) -> (String, bool) {
    const CLASSES: [&str; 6] = ["91", "91", "91", "92", "12", "52"];
    let class = CLASSES[rng.random_range(0..CLASSES.len())];
    let division = REGISTERED_IN[rng.random_range(0..9)];
    let mut organisation = String::from("MA");
    for _ in 0..6 {
        organisation.push(char::from(CREDIT_ALPHABET[rng.random_range(0..31)]));
    }
    let mut code = credit_code(class, division, &organisation);
    let valid = rng.random::<f64>() >= 0.005;
    if !valid {
        let wrong = if code.ends_with('7') { '3' } else { '7' };
        code.pop();
        code.push(wrong);
    }
    (code, valid)
}

/// A mobile number as text.
pub(crate) fn mobile(rng: &mut StdRng) -> String {
    const PREFIXES: [&str; 10] =
        ["130", "135", "136", "138", "139", "150", "152", "177", "181", "189"];
    let prefix = PREFIXES[rng.random_range(0..PREFIXES.len())];
    format!("{prefix}{:08}", rng.random_range(0..100_000_000_u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_characters_equal_the_published_examples() {
        assert_eq!(resident_check("11010519491231002"), 'X');
        assert_eq!(credit_check("91350100M000100Y4"), '3');
        assert_eq!(organisation_check("D2143569"), 'X');
        assert_eq!(credit_code("11", "340500", "MB000000"), "11340500MB0000000F");
        assert_eq!(credit_code("11", "340000", "MB000000"), "11340000MB0000000M");
    }
}

//! Identity numbers checked as their standards describe it, apart from the city's own code.

const CREDIT: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";

pub(crate) fn is_resident_number(text: &str) -> bool {
    if text.len() != 18 {
        return false;
    }
    // ISO 7064 MOD 11-2: the weighted sum of all 18 characters leaves 1.
    let mut sum = 0;
    for (position, character) in text.chars().enumerate() {
        let value = match character {
            'X' if position == 17 => 10,
            digit => match digit.to_digit(10) {
                Some(value) => value,
                None => return false,
            },
        };
        sum += value * (1 << (17 - position)) % 11;
    }
    let is_date = chrono::NaiveDate::parse_from_str(&text[6..14], "%Y%m%d").is_ok();
    sum % 11 == 1 && is_date
}

pub(crate) fn is_credit_code(text: &str) -> bool {
    if text.len() != 18 {
        return false;
    }
    let mut sum = 0;
    let mut weight = 1;
    for (position, character) in text.chars().enumerate() {
        let Some(value) = CREDIT.find(character) else { return false };
        // The check character itself has the weight 1.
        sum = (sum + value * if position == 17 { 1 } else { weight }) % 31;
        weight = weight * 3 % 31;
    }
    sum == 0
}

pub(crate) fn is_organisation_code(text: &str) -> bool {
    let weights = [3, 7, 9, 10, 5, 8, 4, 2, 1];
    let mut sum = 0;
    for (position, (character, weight)) in text.chars().zip(weights).enumerate() {
        // X is 10 as the check character and 33 elsewhere.
        let value =
            if position == 8 && character == 'X' { Some(10) } else { character.to_digit(36) };
        let Some(value) = value else { return false };
        sum += value * weight;
    }
    text.len() == 9 && sum % 11 == 0
}

#[test]
fn the_checks_accept_and_refuse_the_published_examples() {
    assert!(is_resident_number("11010519491231002X"));
    assert!(is_resident_number("342626196503120025"));
    assert!(!is_resident_number("110105194912310021"));
    assert!(!is_resident_number("11010519490231002X"));
    assert!(is_credit_code("91350100M000100Y43"));
    assert!(is_credit_code("11450000007565194H"));
    assert!(!is_credit_code("91350100M000100Y44"));
    assert!(is_organisation_code("D2143569X"));
}

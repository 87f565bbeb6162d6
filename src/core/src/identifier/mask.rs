//! Masks of personal data. What does not have the expected form is masked whole: a mask may
//! hide too much, never too little.

use super::{bare_mobile, mobile_valid};

/// A value as the mask of its tag shows it. An unknown kind of personal data shows nothing.
pub fn mask_tagged(tag: &str, text: &str) -> String {
    match tag {
        "id_number" => mask_id(text),
        "name" => mask_name(text),
        "mobile" => mask_mobile(text),
        "address" => mask_address(text),
        _ => "***".to_owned(),
    }
}

/// An identity number keeps its first 6 and last 4 characters; a shorter number keeps none.
pub fn mask_id(text: &str) -> String {
    let text = text.trim();
    if text.chars().count() < 15 {
        return stars(text);
    }
    keep_ends(text, 6, 4)
}

/// A name keeps its first character; a name of one character keeps none.
pub fn mask_name(text: &str) -> String {
    let text = text.trim();
    if text.chars().count() < 2 {
        return stars(text);
    }
    keep_ends(text, 1, 0)
}

/// A mobile number keeps its first 3 and last 4 digits; a landline in its place is masked as one.
pub fn mask_mobile(text: &str) -> String {
    if mobile_valid(text) {
        return keep_ends(&bare_mobile(text), 3, 4);
    }
    mask_landline(text)
}

/// A landline keeps its area code and last 2 digits; without an area code it is masked whole.
pub fn mask_landline(text: &str) -> String {
    let text = text.trim();
    let area = match text.split_once('-') {
        Some((area, _)) => area.len() + 1,
        None if text.starts_with("010") || text.starts_with("02") => 3,
        None => 4,
    };
    let plausible = text.is_ascii() && text.starts_with('0') && area <= 5 && text.len() >= area + 7;
    if !plausible {
        return stars(text);
    }
    keep_ends(text, area, 2)
}

/// A bank account keeps its last 4 digits.
pub fn mask_account(text: &str) -> String {
    let bare: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    if bare.chars().count() < 8 {
        return stars(&bare);
    }
    keep_ends(&bare, 0, 4)
}

/// A credit code is public, but one of a sole trader (92) stands for a person and keeps its
/// first 8 characters.
pub fn mask_uscc(text: &str) -> String {
    let text = text.trim();
    if text.starts_with("92") { keep_ends(text, 8, 0) } else { text.to_owned() }
}

/// An address keeps province, city and county, as far as they are written, and four stars.
pub fn mask_address(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() {
        return String::new();
    }
    let letters: Vec<char> = text.chars().collect();
    let mut kept: String = letters[..end_of_county(&letters)].iter().collect();
    kept.push_str("****");
    kept
}

/// No county's name is longer than this; development zones are the longest.
const LONGEST_SEGMENT: usize = 14;

/// How many characters lead up to the county, or to the last division above it that is written.
fn end_of_county(letters: &[char]) -> usize {
    let mut end = 0;
    let mut city_seen = false;
    for (i, letter) in letters.iter().enumerate() {
        let segment = &letters[end..i];
        if segment.len() > LONGEST_SEGMENT {
            break;
        }
        let previous = segment.last().copied();
        let next = letters.get(i + 1).copied();
        match letter {
            '省' => end = i + 1,
            '州' if previous == Some('治') => (end, city_seen) = (i + 1, true),
            '区' if segment.ends_with(&['自', '治']) || segment.ends_with(&['行', '政']) => {
                end = i + 1;
            }
            '区' if previous == Some('地') => (end, city_seen) = (i + 1, true),
            // A street may be called after a division or a flag (红旗路).
            '县' | '旗' | '区' if matches!(next, Some('路' | '街' | '巷' | '弄')) => break,
            // A market (市场) is not a city.
            '市' if next == Some('场') => break,
            '市' if city_seen && !segment.is_empty() => return i + 1,
            '市' if !segment.is_empty() => (end, city_seen) = (i + 1, true),
            '县' | '旗' if !segment.is_empty() => return i + 1,
            '区' if names_a_county(segment) => return i + 1,
            '区' => break,
            // A street or village begins here, unless the sign opens a name (路南区) or ends
            // the name of a city or county (景德镇市).
            '路' | '街' | '道' | '镇' | '乡' | '村' | '巷' | '弄' | '号' | '社'
                if !segment.is_empty() && !matches!(next, Some('市' | '县')) =>
            {
                break;
            }
            letter if letter.is_ascii_digit() => break,
            _ => {}
        }
    }
    end
}

/// Whether `区` after `segment` ends a county's name and not that of a housing estate, a
/// community or a plant.
fn names_a_county(segment: &[char]) -> bool {
    const NO_COUNTY: [char; 9] = ['小', '社', '园', '厂', '校', '院', '库', '宿', '舍'];
    segment.last().is_some_and(|last| !last.is_ascii() && !NO_COUNTY.contains(last))
}

fn keep_ends(text: &str, first: usize, last: usize) -> String {
    let count = text.chars().count();
    text.chars()
        .enumerate()
        .map(|(i, letter)| if i < first || i + last >= count { letter } else { '*' })
        .collect()
}

fn stars(text: &str) -> String {
    text.chars().map(|_| '*').collect()
}

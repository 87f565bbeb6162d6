//! Administrative division codes of 6, 9 or 12 digits.

use super::all_digits;

/// Where the groups of a code end: province, city, county, township, village.
const ENDS: [usize; 5] = [2, 4, 6, 9, 12];

/// The level of a division code, numbered as levels of use of a power are: 1 the nation,
/// 2 province, 3 city, 4 county, 5 township, 6 village. Nothing if it is not a division code.
pub fn division_level(code: &str) -> Option<u8> {
    if !matches!(code.len(), 6 | 9 | 12) || !all_digits(code) {
        return None;
    }
    Some(last_group(code).map_or(1, |group| group as u8 + 2))
}

/// The code of the division above, in the same length: nothing above a province.
///
/// A level that does not exist is passed over: a township right under a city has the city.
pub fn division_parent(code: &str) -> Option<String> {
    division_level(code)?;
    let start = group_start(last_group(code)?);
    last_group(&code[..start])?;
    let mut parent = code[..start].to_owned();
    parent.extend(std::iter::repeat_n('0', code.len() - start));
    Some(parent)
}

/// How all codes of a division and of those below it begin; nothing for the nation as a whole, or if
/// it is not a division code.
pub fn division_prefix(code: &str) -> Option<&str> {
    division_level(code)?;
    Some(&code[..ENDS[last_group(code)?]])
}

/// The last group that is not zero.
fn last_group(code: &str) -> Option<usize> {
    (0..ENDS.len())
        .filter(|group| ENDS[*group] <= code.len())
        .rfind(|group| code[group_start(*group)..ENDS[*group]].bytes().any(|digit| digit != b'0'))
}

fn group_start(group: usize) -> usize {
    if group == 0 { 0 } else { ENDS[group - 1] }
}

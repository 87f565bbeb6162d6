//! Patterns over file names: `*` is any run of characters, `?` is one.

/// Whether `name` as a whole fits `pattern`.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    // Where the last `*` stands, and what it has taken so far: only the last one ever has to
    // take more, so the work stays within the product of both lengths.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                p = at + 1;
                n = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_match_whole_names() {
        for (pattern, name) in [
            ("*.csv", "a.csv"),
            ("*", ""),
            ("办件_????.csv", "办件_2018.csv"),
            ("a*b*c", "aXbXbc"),
            ("**", "x"),
            ("?", "件"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.csv", "a.csv.tmp"),
            ("*.csv", "a.CSV"),
            ("?", ""),
            ("a?c", "ac"),
            ("", "a"),
            ("[a]", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        assert!(!matches(&"*a".repeat(30), &"a".repeat(29)));
    }
}

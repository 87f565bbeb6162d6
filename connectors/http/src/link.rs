//! The header `Link` (RFC 8288).

/// The target of the first link whose relation is `next`.
pub(crate) fn next<'h>(headers: impl Iterator<Item = &'h str>) -> Option<&'h str> {
    headers.flat_map(links).find_map(|(target, parameters)| {
        let is_next = split(parameters, ';').into_iter().any(|parameter| {
            let Some((name, value)) = parameter.split_once('=') else { return false };
            let value = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel")
                && value.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("next"))
        });
        is_next.then_some(target)
    })
}

/// Each link of a header: its target and what is said of it.
fn links(header: &str) -> Vec<(&str, &str)> {
    split(header, ',')
        .into_iter()
        .filter_map(|link| link.trim_start().strip_prefix('<')?.split_once('>'))
        .collect()
}

/// The parts of a text between separators that are neither quoted nor inside a target.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped, mut in_target) = (0, false, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if !in_target => quoted = !quoted,
            '<' if !quoted => in_target = true,
            '>' if !quoted => in_target = false,
            c if c == separator && !quoted && !in_target => {
                parts.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_link_is_found_among_others() {
        let find = |header| next(std::iter::once(header));
        assert_eq!(find(r#"</c?page=2&a=1,2>; rel="next""#), Some("/c?page=2&a=1,2"));
        let several =
            r#"<a>; rel=prev, <b>; title="x, <c>; rel=\"next\""; rel="last", <d>;REL="up Next""#;
        assert_eq!(find(several), Some("d"));
        assert_eq!(find(r#"<a>; rel="prev""#), None);
        assert_eq!(find("nonsense"), None);
        assert_eq!(next(["<a>; rel=prev", "<b>; rel=next"].into_iter()), Some("b"));
    }
}

//! Texts with named places: `{name}` stands for a value, `{{` and `}}` for braces.

use std::borrow::Cow;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(String),
}

/// A text with named places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

/// Why a text is no template.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A brace that is not closed or not opened.
    Brace,
    /// A name nobody knows.
    Unknown(String),
}

impl Template {
    /// Reads a text whose names are those that `knows` knows.
    pub(crate) fn parse(text: &str, knows: impl Fn(&str) -> bool) -> Result<Self, Fault> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let (name, after) =
                rest.split_once('}').filter(|_| brace == "{").ok_or(Fault::Brace)?;
            if !knows(name) {
                return Err(Fault::Unknown(name.to_owned()));
            }
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Name(name.to_owned()));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    /// A text without places.
    pub(crate) fn plain(text: &str) -> Self {
        Self(vec![Part::Text(text.to_owned())])
    }

    /// Whether the place `name` is in it.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Name(other) if other == name))
    }

    /// The text with a value in each place; a name without value stands for nothing.
    pub(crate) fn fill<'v>(&self, value: impl Fn(&str) -> Option<Cow<'v, str>>) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Name(name) => text.push_str(&value(name).unwrap_or_default()),
            }
        }
        text
    }
}

/// A value as it stands in XML; nothing if XML cannot hold it.
pub(crate) fn xml(value: &str) -> Option<String> {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&apos;"),
            // A reader would turn a plain one into a line feed.
            '\r' => text.push_str("&#13;"),
            '\t' | '\n' => text.push(c),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => return None,
            _ => text.push(c),
        }
    }
    Some(text)
}

/// A value as it stands in an address: only unreserved characters stay.
pub(crate) fn percent(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_and_faults_are_told_apart() {
        let template = Template::parse("a{x}-{{{x}}}", |name| name == "x").unwrap();
        assert_eq!(template.fill(|_| Some("1{y}".into())), "a1{y}-{1{y}}");
        assert!(template.has("x") && !template.has("y"));
        assert_eq!(Template::parse("{y}", |_| false), Err(Fault::Unknown("y".into())));
        for text in ["{x", "x}", "}{"] {
            assert_eq!(Template::parse(text, |_| true), Err(Fault::Brace), "{text}");
        }
    }

    #[test]
    fn values_cannot_leave_their_place() {
        assert_eq!(xml("a<b>&\"'\r").as_deref(), Some("a&lt;b&gt;&amp;&quot;&apos;&#13;"));
        assert_eq!(xml("\u{1}"), None);
        assert_eq!(percent("../a b?c=办"), "..%2Fa%20b%3Fc%3D%E5%8A%9E");
    }
}

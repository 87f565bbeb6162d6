//! What a program says, without secrets and personal data.
//!
//! Which values of a configuration are secret is known to nobody here, so all of them are taken
//! out. Personal data is told by its form: a number as long as a phone's, an address of mail, any
//! word that is not ASCII, and what stands where programs print records.

use serde_json::Value;

/// What stands in the place of what was taken out.
const GONE: &str = "…";
/// Shorter values would take half of every sentence with them, and are no secrets.
const SHORTEST: usize = 4;
/// A number of more digits may tell a person.
const DIGITS: usize = 6;

/// Behind these words the rest of a line is a record or a credential.
const RECORDS: [&str; 9] = [
    "parameters:",
    "values (",
    "contains (",
    ")=(",
    "authorization:",
    "authorization=",
    "cookie:",
    "bearer ",
    "basic ",
];

/// Behind these words and a sign of equality stands a secret.
const NAMES: [&str; 10] = [
    "password",
    "passwd",
    "pwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "access_key",
    "session",
    "credential",
];

/// Takes secrets and personal data out of what a program says.
pub(crate) struct Redactor {
    /// The longest first, so that none is hidden by a part of it.
    secrets: Vec<String>,
}

impl Redactor {
    /// Knows the values of a configuration and of an environment.
    pub(crate) fn new<'v>(
        config: impl IntoIterator<Item = &'v Value>,
        environment: impl IntoIterator<Item = &'v String>,
    ) -> Self {
        let mut secrets = Vec::new();
        for value in config {
            collect(value, &mut secrets);
        }
        for value in environment {
            add(value, &mut secrets);
        }
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Self { secrets }
    }

    /// One line, as it may be told.
    pub(crate) fn clean(&self, line: &str) -> String {
        let mut text: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        for secret in &self.secrets {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), GONE);
            }
        }
        without_people(&without_named(&without_records(&text)))
    }
}

fn collect(value: &Value, secrets: &mut Vec<String>) {
    match value {
        Value::String(text) => add(text, secrets),
        Value::Number(number) => add(&number.to_string(), secrets),
        Value::Array(items) => items.iter().for_each(|item| collect(item, secrets)),
        Value::Object(entries) => entries.values().for_each(|item| collect(item, secrets)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Adds a value in the forms in which it may be printed.
fn add(text: &str, secrets: &mut Vec<String>) {
    // A key of several lines is printed line by line.
    for part in text.lines().map(str::trim) {
        let quoted = Value::String(part.to_owned()).to_string();
        let escaped = quoted.trim_matches('"').to_owned();
        for form in [part.to_owned(), percent_encoded(part), escaped] {
            if form.len() >= SHORTEST {
                secrets.push(form);
            }
        }
    }
    // The password of an address is printed without the rest of it.
    if let Some((_, rest)) = text.split_once("://")
        && let Some((user, _)) = rest.rsplit_once('@')
        && let Some((_, password)) = user.split_once(':')
    {
        for form in [password.to_owned(), percent_decoded(password)] {
            if form.len() >= SHORTEST {
                secrets.push(form);
            }
        }
    }
}

fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        if let Some(byte) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Objects, and everything behind a word that begins a record.
fn without_records(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let ends = RECORDS.iter().filter_map(|word| Some(lower.find(word)? + word.len()));
    let mut text = match ends.min() {
        Some(end) => format!("{}{GONE}", &text[..end]),
        None => text.to_owned(),
    };
    if let Some(start) = text.find('{') {
        let end = text.rfind('}').filter(|end| *end > start).map_or(text.len(), |end| end + 1);
        text.replace_range(start..end, GONE);
    }
    text
}

/// The value behind `password=` and the like.
fn without_named(text: &str) -> String {
    let mut text = text.to_owned();
    for name in NAMES {
        let mut from = 0;
        while let Some(found) = text.to_ascii_lowercase()[from..].find(name) {
            let after = from + found + name.len();
            from = after;
            let rest = &text[after..];
            let value = rest.trim_start_matches(['"', '\'', ' ']);
            let Some(value) = value.strip_prefix(['=', ':']) else { continue };
            let value = value.trim_start_matches(['"', '\'', ' ']);
            let start = text.len() - value.len();
            let end = value.find([' ', '"', '\'', '&', ',', ';', ')']).unwrap_or(value.len());
            text.replace_range(start..start + end, GONE);
        }
    }
    text
}

/// Addresses of mail, long numbers, and words that are not ASCII.
fn without_people(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(' ') {
        if word.contains('@') {
            out.push_str(GONE);
            out.push_str(if word.ends_with(' ') { " " } else { "" });
            continue;
        }
        let chars: Vec<char> = word.chars().collect();
        let mut at = 0;
        while at < chars.len() {
            let digits = run(&chars[at..], |c| c.is_ascii_digit());
            let foreign = run(&chars[at..], |c| !c.is_ascii());
            if digits >= DIGITS || foreign > 0 {
                if !out.ends_with(GONE) {
                    out.push_str(GONE);
                }
                at += digits.max(foreign);
                // The check digit of an identity number may be an X.
                let is_check = digits >= DIGITS && chars.get(at).is_some_and(|c| "xX".contains(*c));
                at += usize::from(is_check);
            } else {
                let plain = digits.max(1);
                out.extend(&chars[at..at + plain]);
                at += plain;
            }
        }
    }
    out
}

fn run(chars: &[char], is_one: impl Fn(&char) -> bool) -> usize {
    chars.iter().take_while(|c| is_one(c)).count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redactor() -> Redactor {
        let config = json!({
            "password": "s3cret/word", "port": 5432, "nested": [{ "key": "line one\nline two" }],
            "url": "mysql://root:p%40ssword@db/x", "short": "abc"
        });
        Redactor::new(config.as_object().unwrap().values(), [&"proxy-word".to_owned()])
    }

    #[test]
    fn no_value_of_the_configuration_is_told_in_any_form() {
        let redactor = redactor();
        for (line, told) in [
            ("login with s3cret/word failed", "login with … failed"),
            ("GET /?p=s3cret%2Fword", "GET /?p=…"),
            ("key line two is bad", "key … is bad"),
            ("denied for p@ssword", "denied for …"),
            ("via proxy-word, port 5432", "via …, port …"),
            ("abc stays", "abc stays"),
        ] {
            assert_eq!(redactor.clean(line), told, "{line}");
        }
    }

    #[test]
    fn people_and_records_are_not_told() {
        let redactor = redactor();
        for (line, told) in [
            ("bad id 34050319900307123X here", "bad id … here"),
            ("KeyError: '王芳' at line 12", "KeyError: '…' at line 12"),
            ("mail to wang.fang@example.cn now", "mail to … now"),
            ("record {\"name\": \"Wang\"} is bad", "record … is bad"),
            ("Failing row contains (1, Wang, x).", "Failing row contains (…"),
            ("Key (name)=(Wang) exists", "Key (name)=(…"),
            ("[parameters: ('Wang',)]", "[parameters:…"),
            ("token: 'abcdef' used, pwd=xy&b=2", "token: '…' used, pwd=…&b=2"),
            ("Authorization: Basic d2FuZw==", "Authorization:…"),
            (
                "2026-11-30 06:17:43,321 INFO start\u{1b}[0m",
                "2026-11-30 06:17:43,321 INFO start [0m",
            ),
        ] {
            assert_eq!(redactor.clean(line), told, "{line}");
        }
    }
}

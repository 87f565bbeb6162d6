//! Answers of several parts: a document, and beside it what it only refers to (MTOM, XOP).

use std::collections::HashMap;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use huiliu_httpkit::Answer;
use huiliu_sdk::{Error, ErrorKind, Result};
use serde_json::Value;

/// Parts of one answer.
const MOST: usize = 10_000;

/// What stands beside a document, by its id.
pub(super) type Attachments = HashMap<String, Vec<u8>>;

/// Whether an answer has several parts.
pub(super) fn has_several(answer: &Answer) -> bool {
    answer.content_type().starts_with("multipart/")
}

/// The document of an answer of several parts as its body, and what stands beside it.
pub(super) fn opened(answer: Answer) -> Result<(Answer, Attachments)> {
    let kind = answer.header("content-type").unwrap_or_default().to_owned();
    let boundary = parameter(&kind, "boundary").ok_or_else(|| unfit(&answer))?;
    let root = parameter(&kind, "start").map(|id| id.trim_matches(['<', '>']).to_owned());
    let body = answer.body().clone();
    let places = split(&body, &boundary).ok_or_else(|| unfit(&answer))?;
    let (mut document, mut beside) = (None, Attachments::new());
    for place in places {
        let (head, content) = head(&body[place]).ok_or_else(|| unfit(&answer))?;
        let id = field(&head, "content-id").map(|id| id.trim_matches(['<', '>']).to_owned());
        // Without a word on which one it is, the document is the first.
        let is_root =
            document.is_none() && root.as_ref().is_none_or(|root| id.as_ref() == Some(root));
        let content = match field(&head, "content-transfer-encoding").as_deref() {
            None | Some("binary" | "8bit" | "7bit") => content.to_vec(),
            Some("base64") => {
                let plain: Vec<u8> =
                    content.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
                STANDARD.decode(plain).map_err(|_| unfit(&answer))?
            }
            Some(_) => return Err(unfit(&answer)),
        };
        if is_root {
            document = Some(content);
        } else if let Some(id) = id {
            beside.insert(id, content);
        }
    }
    let document = document.ok_or_else(|| unfit(&answer))?;
    Ok((answer.decoded(document), beside))
}

/// Puts what stands beside the document where it refers to it, as if it stood there: as base64.
pub(super) fn put_in(answer: &Answer, value: &mut Value, beside: &Attachments) -> Result<()> {
    match value {
        Value::Array(items) => {
            for item in items {
                put_in(answer, item, beside)?;
            }
        }
        Value::Object(fields) => {
            let href = fields.get("Include").and_then(|include| include.get("@href"));
            let href = href.and_then(Value::as_str).and_then(|href| href.strip_prefix("cid:"));
            if let Some(href) = href {
                let id = unescaped(href);
                let content = beside.get(&id).ok_or_else(|| missing(answer))?;
                let text = Value::from(STANDARD.encode(content));
                fields.remove("Include");
                if fields.is_empty() {
                    *value = text;
                } else {
                    fields.insert("#text".to_owned(), text);
                }
                return Ok(());
            }
            for (_, item) in fields.iter_mut() {
                put_in(answer, item, beside)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// A parameter of a content type.
fn parameter(kind: &str, name: &str) -> Option<String> {
    let mut rest = kind;
    while let Some((_, behind)) = rest.split_once(';') {
        let (key, value) = behind.split_once('=')?;
        let value = value.trim_start();
        let (found, behind) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => {
                let end = value.find(';').unwrap_or(value.len());
                (value[..end].trim_end(), &value[end..])
            }
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return (!found.is_empty()).then(|| found.to_owned());
        }
        rest = behind;
    }
    None
}

/// Where the parts are; nothing if they do not come to an end.
fn split(body: &[u8], boundary: &str) -> Option<Vec<Range<usize>>> {
    let mark = format!("--{boundary}").into_bytes();
    let mut parts = Vec::new();
    let mut start: Option<usize> = None;
    let mut at = 0;
    loop {
        let found = at + find(&body[at..], &mark)?;
        let behind = found + mark.len();
        at = behind;
        // It is one only where it is a line of its own.
        if (found > 0 && body[found - 1] != b'\n') || !is_end(&body[behind..]) {
            continue;
        }
        if let Some(start) = start {
            let line_end = if body[..found].ends_with(b"\r\n") { 2 } else { 1 };
            parts.push(start..found.saturating_sub(line_end).max(start));
        }
        if body[behind..].starts_with(b"--") {
            return Some(parts);
        }
        let line = find(&body[behind..], b"\n")?;
        at = behind + line + 1;
        start = Some(at);
        if parts.len() == MOST {
            return None;
        }
    }
}

/// Whether a line ends here, or the last boundary does.
fn is_end(rest: &[u8]) -> bool {
    let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let rest = &rest[blanks..];
    rest.starts_with(b"\n") || rest.starts_with(b"\r\n") || (blanks == 0 && rest.starts_with(b"--"))
}

fn find(body: &[u8], what: &[u8]) -> Option<usize> {
    let first = *what.first()?;
    let mut at = 0;
    loop {
        at += body.get(at..)?.iter().position(|byte| *byte == first)?;
        if body[at..].starts_with(what) {
            return Some(at);
        }
        at += 1;
    }
}

/// The head of a part as lines, and its content.
fn head(part: &[u8]) -> Option<(String, &[u8])> {
    if let Some(content) = part.strip_prefix(b"\r\n").or_else(|| part.strip_prefix(b"\n")) {
        return Some((String::new(), content));
    }
    for end in [&b"\r\n\r\n"[..], b"\n\n"] {
        if let Some(at) = find(part, end) {
            let head = std::str::from_utf8(&part[..at]).ok()?;
            return Some((head.to_owned(), &part[at + end.len()..]));
        }
    }
    None
}

/// The value of a header of a part, in small letters but for ids.
fn field(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        let value = value.trim();
        let is_id = name == "content-id";
        let value = if is_id { value.to_owned() } else { value.to_ascii_lowercase() };
        key.trim().eq_ignore_ascii_case(name).then_some(value)
    })
}

/// An id as it is, of one that was written for an address.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped.filter(|_| *byte == b'%') {
            Some(escaped) => {
                bytes.push(escaped);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*byte);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn unfit(answer: &Answer) -> Error {
    Error::new(
        ErrorKind::Schema,
        "E-CONTENT",
        format!("{}: an answer of several parts that cannot be told apart", answer.request()),
    )
    .hint("the answer is cut off, or no MTOM: ask the system's owner for attachments inline")
}

fn missing(answer: &Answer) -> Error {
    let message = format!("{}: an attachment that the answer names is not there", answer.request());
    Error::new(ErrorKind::Data, "E-XML", message)
        .hint("the answer is cut off: ask the system's owner, or for smaller pages")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart_by_their_boundary_alone() {
        let body =
            b"preamble\r\n--b\r\nContent-ID: <a>\r\n\r\none\r\n--bad\r\n--b \r\n\r\n\r\n--b--\r\n";
        let found = split(body, "b").unwrap();
        let texts: Vec<&[u8]> =
            found.into_iter().map(|place| head(&body[place]).unwrap().1).collect();
        assert_eq!(texts, [&b"one\r\n--bad"[..], b""]);
        assert!(split(b"--b\r\n\r\nx\r\n", "b").is_none(), "it does not end");
        let kind = "multipart/related; type=\"a;b\"; Boundary=\"x y\"; start=<r@h>";
        assert_eq!(parameter(kind, "boundary").as_deref(), Some("x y"));
        assert_eq!(parameter(kind, "start").as_deref(), Some("<r@h>"));
        assert_eq!(parameter(kind, "none"), None);
        assert_eq!(unescaped("a%40b%2"), "a@b%2");
    }
}

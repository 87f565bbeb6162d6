//! Bytes as text and back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::config::{KeyForm, TextForm};

/// Bytes as text.
pub(crate) fn write(bytes: &[u8], form: TextForm) -> String {
    match form {
        TextForm::Hex => hex(bytes),
        TextForm::HexUpper => hex(bytes).to_uppercase(),
        TextForm::Base64 => BASE64.encode(bytes),
        TextForm::Base64Hex => BASE64.encode(hex(bytes)),
    }
}

/// The bytes of a text; nothing if it is not of that form.
pub(crate) fn read(text: &str, form: TextForm) -> Option<Vec<u8>> {
    let text = text.trim();
    match form {
        TextForm::Hex | TextForm::HexUpper => unhex(text),
        TextForm::Base64 => BASE64.decode(text).ok(),
        TextForm::Base64Hex => unhex(std::str::from_utf8(&BASE64.decode(text).ok()?).ok()?),
    }
}

/// The bytes of a key; nothing if it is not of that form.
pub(crate) fn key(text: &str, form: KeyForm) -> Option<Vec<u8>> {
    match form {
        KeyForm::Text => Some(text.as_bytes().to_vec()),
        KeyForm::Hex => read(text, TextForm::Hex),
        KeyForm::Base64 => read(text, TextForm::Base64),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

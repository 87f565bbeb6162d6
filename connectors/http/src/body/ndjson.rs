//! One JSON value in each line.

use huiliu_httpkit::Answer;
use huiliu_sdk::Result;
use serde_json::value::RawValue;

/// The lines as one JSON list. A line that is no JSON fails the whole, since it may be cut.
pub(crate) fn to_json(answer: &Answer, text: &str) -> Result<String> {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('[');
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let value: &RawValue = serde_json::from_str(line).map_err(|e| answer.malformed(&e))?;
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(value.get());
    }
    json.push(']');
    Ok(json)
}

//! Guessing how the control files of a folder are laid out.

use std::io::Read;

use huiliu_sdk::Result;
use serde_json::{Value, json};

use crate::place::Place;

const SUFFIXES: [&str; 7] = [".ctl", ".ctrl", ".ok", ".chk", ".md5", ".sha256", ".control"];

const SAMPLE_BYTES: u64 = 16 << 10;

/// The option `control` for the control file that stands beside `data`; nothing if none does.
pub(super) fn control(place: &dyn Place, data: &str) -> Result<Option<Value>> {
    let stem = data.rsplit_once('.').map_or(data, |(stem, _)| stem);
    for suffix in SUFFIXES {
        for name in [format!("{data}{suffix}"), format!("{stem}{suffix}")] {
            let Some(file) = place.open(&name)? else { continue };
            let mut text = Vec::new();
            // One that cannot be read is told when the stream is run.
            drop(file.take(SAMPLE_BYTES).read_to_end(&mut text));
            return Ok(Some(options(suffix, String::from_utf8_lossy(&text).trim(), data)));
        }
    }
    Ok(None)
}

fn options(suffix: &str, text: &str, data: &str) -> Value {
    let mut options = json!({ "suffix": suffix });
    let pairs: Vec<(String, String)> = if let Ok(Value::Object(json)) = serde_json::from_str(text) {
        options["layout"] = json!("json");
        let plain = |value: Value| value.as_str().map_or(value.to_string(), str::to_owned);
        json.into_iter().map(|(key, value)| (key, plain(value))).collect()
    } else if let Some(separator) = ['|', ',', ';', '\t'].into_iter().find(|separator| {
        text.lines().any(|line| line.split(*separator).next().map(str::trim) == Some(data))
            && text.contains(*separator)
    }) {
        options["layout"] = json!("line");
        if separator != '|' {
            options["separator"] = json!(separator.to_string());
        }
        let line = text.lines().find(|line| line.starts_with(data)).unwrap_or_default();
        let digest = line.split(separator).nth(2).unwrap_or_default().trim().to_owned();
        vec![(String::new(), digest)]
    } else {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect()
    };
    let is_line = options["layout"] == "line";
    let rows = pairs.iter().find(|(_, value)| value.parse::<u64>().is_ok() && value.len() < 12);
    if !is_line {
        options["rows"] = json!(rows.map_or("rows", |(key, _)| key));
    }
    let digest = pairs.iter().find(|(_, value)| {
        matches!(value.len(), 32 | 40 | 64) && value.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    let algorithm = digest.map(|(_, value)| value.len());
    if !is_line {
        options["digest"] = json!(digest.map_or("sha256", |(key, _)| key));
    }
    match algorithm {
        Some(32) => options["algorithm"] = json!("md5"),
        Some(40) => options["algorithm"] = json!("sha1"),
        // Of 64 digits it may be SM3 too; the name of its key says so.
        Some(_) if digest.is_some_and(|(key, _)| key.to_lowercase().contains("sm3")) => {
            options["algorithm"] = json!("sm3");
        }
        _ => {}
    }
    options
}

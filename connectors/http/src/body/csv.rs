//! CSV with a header line.

use csv::{ReaderBuilder, StringRecord};
use huiliu_httpkit::Answer;
use huiliu_sdk::{Error, ErrorKind, Result};
use serde_json::{Map, Value};

/// The records as a JSON list of objects. A record that has not as many values as the header is
/// a list, which no record may be, so that it is set aside as it came.
pub(crate) fn to_json(answer: &Answer, text: &str, delimiter: u8) -> Result<String> {
    let fault = |code, what: &str, hint: &str| {
        let message = format!("{}: {what}", answer.request());
        Error::new(ErrorKind::Data, code, message).hint(hint)
    };
    // Quotes inside a quoted value are doubled, so that an odd one is open at the end.
    if text.bytes().filter(|byte| *byte == b'"').count() % 2 == 1 {
        return Err(fault(
            "E-QUOTE",
            "a quote in the answer is never closed",
            "the answer is cut off or holds a stray quote",
        ));
    }
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut record = StringRecord::new();
    let mut next = move |record: &mut StringRecord| reader.read_record(record);
    let unreadable = || fault("E-HEADER", "the answer is not CSV", "check format and delimiter");
    if !next(&mut record).map_err(|_| unreadable())? {
        return Err(fault("E-HEADER", "an empty answer instead of CSV", "check format and path"));
    }
    let header = record.clone();
    for (index, name) in header.iter().enumerate() {
        if name.trim().is_empty() || header.iter().take(index).any(|other| other == name) {
            return Err(fault(
                "E-HEADER",
                &format!("column {} of the header has no name of its own", index + 1),
                "the first line must name each column once",
            ));
        }
    }
    let mut records = Vec::new();
    while next(&mut record).map_err(|_| unreadable())? {
        let values = record.iter().map(Value::from);
        records.push(if record.len() == header.len() {
            let fields = header.iter().map(|name| name.trim().to_owned()).zip(values);
            Value::Object(fields.collect::<Map<_, _>>())
        } else {
            values.collect()
        });
    }
    Ok(Value::Array(records).to_string())
}

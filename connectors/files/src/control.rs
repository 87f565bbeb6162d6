//! Control files: what the sender says about a data file, and what the hub says of its own.

use std::io::Read;

use huiliu_sdk::{Error, ErrorKind, Result};
use quick_xml::events::Event;
use serde_json::Value;

use crate::config::{ControlOptions, Layout};
use crate::fault::broken;
use crate::place::Place;

/// More than any control file has any reason to be.
const MAX_BYTES: u64 = 1 << 20;

/// What a control file promises.
pub(crate) struct Control {
    name: String,
    rows: Option<u64>,
    digest: Option<String>,
}

/// The names that the control file of the data file `name` may have, the likelier first.
pub(crate) fn names_of(name: &str, options: &ControlOptions) -> [String; 2] {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    [format!("{name}{}", options.suffix), format!("{stem}{}", options.suffix)]
}

/// Reads the control file of `data`, or nothing if it is not there yet.
pub(crate) fn read(
    place: &dyn Place,
    data: &str,
    options: &ControlOptions,
) -> Result<Option<Control>> {
    for name in names_of(data, options) {
        let Some(file) = place.open(&name)? else { continue };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|cause| broken(&name, cause))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(wrong(format!("control file {name} is longer than {MAX_BYTES} bytes")));
        }
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_start_matches('\u{feff}');
        // Several data files may share one control file with a line each; one for which it has
        // none yet waits.
        let Some(found) = find(text, data, &name, options)? else { return Ok(None) };
        return check(found, name, options).map(Some);
    }
    Ok(None)
}

/// The rows and the digest as they are written.
type Found = (Option<String>, Option<String>);

fn find(text: &str, data: &str, name: &str, options: &ControlOptions) -> Result<Option<Found>> {
    let keys = [options.rows.as_str(), options.digest_key()];
    let each = |value: &dyn Fn(&str) -> Option<String>, what: &dyn Fn(&str) -> String| {
        let [rows, digest] = keys.map(|key| match key {
            "" => Ok(None),
            key => value(key)
                .map(Some)
                .ok_or_else(|| wrong(format!("control file {name} has no {}", what(key)))),
        });
        Ok(Some((rows?, digest?)))
    };
    match options.layout {
        Layout::Lines => each(
            &|key| {
                let pairs = text.lines().filter_map(|line| line.split_once('='));
                pairs.clone().find(|(found, _)| found.trim() == key).map(|(_, v)| v.trim().into())
            },
            &|key| format!("line `{key}=`"),
        ),
        Layout::Line => {
            let lines = text.lines().map(|line| {
                line.split(options.separator.as_str()).map(str::trim).collect::<Vec<_>>()
            });
            let Some(line) = lines.into_iter().find(|line| line[0] == data) else {
                return Ok(None);
            };
            let part = |place: usize| {
                line.get(place).filter(|part| !part.is_empty()).map(|part| (*part).to_owned())
            };
            let wanted = |place: usize, key: &str| match part(place) {
                None if !key.is_empty() => {
                    Err(wrong(format!("control file {name} has no part {} of the line", place + 1)))
                }
                part => Ok(part.filter(|_| !key.is_empty())),
            };
            Ok(Some((wanted(1, keys[0])?, wanted(2, keys[1])?)))
        }
        Layout::Json => {
            let json: Value = serde_json::from_str(text)
                .map_err(|_| wrong(format!("control file {name} is no valid JSON")))?;
            each(
                &|key| match json.get(key)? {
                    Value::String(text) => Some(text.trim().to_owned()),
                    Value::Number(number) => Some(number.to_string()),
                    _ => None,
                },
                &|key| format!("field `{key}`"),
            )
        }
        Layout::Xml => each(&|key| element(text, key), &|key| format!("element `{key}`")),
    }
}

/// The text of the first element of a name.
fn element(text: &str, name: &str) -> Option<String> {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut inside: Option<String> = None;
    loop {
        match (reader.read_event().ok()?, &mut inside) {
            (Event::DocType(_) | Event::Eof, _) => return None,
            (Event::Start(start), None) if start.local_name().as_ref() == name => {
                inside = Some(String::new());
            }
            (Event::Text(part), Some(text)) => text.push_str(&part.xml10_content()),
            (Event::End(end), Some(text)) if end.local_name().as_ref() == name => {
                return Some(text.trim().to_owned());
            }
            _ => {}
        }
    }
}

fn check((rows, digest): Found, name: String, options: &ControlOptions) -> Result<Control> {
    let rows = rows
        .map(|rows| {
            rows.parse().map_err(|_| {
                wrong(format!("`{}` of control file {name} is not a whole number", options.rows))
            })
        })
        .transpose()?;
    let digits = options.algorithm.digits();
    let digest = digest
        .map(|digest| digest.to_ascii_lowercase())
        .map(|digest| {
            let is_hex = digest.bytes().all(|byte| byte.is_ascii_hexdigit());
            (is_hex && digest.len() == digits).then_some(digest).ok_or_else(|| {
                wrong(format!(
                    "`{}` of control file {name} is not the {digits} hexadecimal digits of a {} \
                     digest",
                    options.digest_key(),
                    options.algorithm.name()
                ))
            })
        })
        .transpose()?;
    Ok(Control { name, rows, digest })
}

impl Control {
    /// Compares the promised digest with that of the data file.
    pub(crate) fn check_digest(
        &self,
        data: &str,
        found: &str,
        options: &ControlOptions,
    ) -> Result<()> {
        let Some(digest) = self.digest.as_deref().filter(|digest| *digest != found) else {
            return Ok(());
        };
        let (name, algorithm) = (&self.name, options.algorithm.name());
        Err(wrong(format!("file {data} has {algorithm} {found}, {name} says {digest}")))
    }

    /// Whether it promises a number of rows.
    pub(crate) fn promises_rows(&self) -> bool {
        self.rows.is_some()
    }

    /// Compares the promised number of rows with that of the data file.
    pub(crate) fn check_rows(&self, data: &str, found: u64) -> Result<()> {
        let Some(rows) = self.rows.filter(|rows| *rows != found) else { return Ok(()) };
        Err(wrong(format!("file {data} has {found} rows, {} says {rows}", self.name)))
    }
}

/// The text of the control file of a data file.
pub(crate) fn write(data: &str, rows: u64, digest: &str, options: &ControlOptions) -> String {
    let (rows_key, digest_key) = (options.rows.as_str(), options.digest_key());
    let rows = rows.to_string();
    if options.layout == Layout::Line {
        let separator = &options.separator;
        let part =
            |key: &str, value: &str| if key.is_empty() { String::new() } else { value.into() };
        let (rows, digest) = (part(rows_key, &rows), part(digest_key, digest));
        return format!("{data}{separator}{rows}{separator}{digest}\n");
    }
    let pairs = [("file", data), (rows_key, rows.as_str()), (digest_key, digest)];
    note(&pairs.map(|(key, value)| (key, value.to_owned())), options.layout)
}

/// Values under their keys in a layout of keys; keys that are empty are left out.
pub(crate) fn note(pairs: &[(&str, String)], layout: Layout) -> String {
    let pairs = pairs.iter().filter(|(key, _)| !key.is_empty());
    match layout {
        Layout::Json => {
            let fields = pairs.map(|(key, value)| {
                let number =
                    value.parse::<u64>().ok().filter(|number| number.to_string() == *value);
                let value = number.map_or_else(|| Value::from(value.as_str()), Value::from);
                ((*key).to_owned(), value)
            });
            Value::Object(fields.collect()).to_string() + "\n"
        }
        Layout::Xml => {
            let elements = pairs.map(|(key, value)| {
                format!("<{key}>{}</{key}>", quick_xml::escape::escape(value.as_str()))
            });
            let elements: String = elements.collect();
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<file>{elements}</file>\n")
        }
        Layout::Line => {
            let values: Vec<&str> = pairs.map(|(_, value)| value.as_str()).collect();
            values.join("|") + "\n"
        }
        Layout::Lines => pairs.map(|(key, value)| format!("{key}={value}\n")).collect(),
    }
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Data, "E-CONTROL", message)
        .hint("ask the sender to deliver the data file and its control file again")
}

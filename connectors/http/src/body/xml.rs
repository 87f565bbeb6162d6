//! XML as JSON: without document types, external entities, or depth and width that could hurt.

use huiliu_httpkit::Answer;
use huiliu_sdk::{Error, ErrorKind, Result};
use quick_xml::NsReader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;
use serde_json::{Map, Value};

/// Elements inside one another.
const DEEPEST: usize = 128;
/// Elements of one document.
const MOST_ELEMENTS: usize = 1_000_000;
/// Attributes of one element.
const MOST_ATTRIBUTES: usize = 256;

/// A document that was read.
pub(crate) struct Document {
    /// The root element under its name.
    pub(crate) content: Value,
    /// The root element's namespace.
    pub(crate) namespace: Option<String>,
}

/// An element that is open.
struct Open {
    name: String,
    nil: bool,
    fields: Map<String, Value>,
    text: String,
}

impl Open {
    fn close(self) -> (String, Value) {
        let Self { name, nil, mut fields, text } = self;
        let value = match (fields.is_empty(), text.is_empty()) {
            _ if nil => Value::Null,
            (true, true) => Value::Null,
            (true, false) => text.into(),
            (false, _) => {
                let text = text.trim();
                if !text.is_empty() {
                    fields.insert("#text".to_owned(), text.into());
                }
                Value::Object(fields)
            }
        };
        (name, value)
    }

    /// Takes a child in; children of one name become a list.
    fn take(&mut self, name: String, value: Value) {
        match self.fields.get_mut(&name) {
            Some(Value::Array(items)) => items.push(value),
            Some(first) => {
                let first = first.take();
                self.fields.insert(name, Value::Array(vec![first, value]));
            }
            None => {
                self.fields.insert(name, value);
            }
        }
    }
}

/// Reads a document.
pub(crate) fn read(answer: &Answer, text: &str) -> Result<Document> {
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    let mut namespace = None;
    let mut elements = 0;
    loop {
        let (resolved, event) = reader.read_resolved_event().map_err(|_| malformed(answer))?;
        match event {
            Event::Start(start) => {
                elements += 1;
                if open.len() == DEEPEST || elements > MOST_ELEMENTS {
                    return Err(hostile(answer, "more elements, or deeper ones, than are read"));
                }
                let element = opened(answer, &start)?;
                if open.is_empty() {
                    if root.is_some() {
                        return Err(malformed(answer));
                    }
                    if element.name.eq_ignore_ascii_case("html") {
                        return Err(web_page(answer));
                    }
                    if let ResolveResult::Bound(bound) = resolved {
                        namespace = Some(AsRef::<str>::as_ref(&bound).to_owned());
                    }
                }
                open.push(element);
            }
            Event::End(_) => {
                let (name, value) = open.pop().ok_or_else(|| malformed(answer))?.close();
                match open.last_mut() {
                    Some(parent) => parent.take(name, value),
                    None => root = Some(Value::Object(Map::from_iter([(name, value)]))),
                }
            }
            Event::Text(part) => {
                add(answer, &mut open, &part.xml10_content())?;
            }
            Event::CData(part) => {
                add(answer, &mut open, &part.xml10_content())?;
            }
            Event::GeneralRef(reference) => {
                let part = referred(answer, &reference)?;
                add(answer, &mut open, part.encode_utf8(&mut [0; 4]))?;
            }
            Event::DocType(kind) => {
                let word = kind.trim_start().get(..4);
                let is_page = word.is_some_and(|word| word.eq_ignore_ascii_case("html"));
                return Err(if is_page {
                    web_page(answer)
                } else {
                    hostile(answer, "a document type, which could define entities")
                });
            }
            Event::Eof => break,
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    match root {
        Some(content) if open.is_empty() => Ok(Document { content, namespace }),
        _ => Err(malformed(answer)),
    }
}

fn opened(answer: &Answer, start: &BytesStart<'_>) -> Result<Open> {
    let name = start.local_name().as_ref().to_owned();
    let mut element = Open { name, nil: false, fields: Map::new(), text: String::new() };
    let mut attributes = start.attributes();
    attributes.with_checks(false);
    for (index, attribute) in attributes.enumerate() {
        if index == MOST_ATTRIBUTES {
            return Err(hostile(answer, "an element with more attributes than are read"));
        }
        let attribute = attribute.map_err(|_| malformed(answer))?;
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let value = attribute
            .normalized_value(XmlVersion::Explicit1_0)
            .map_err(|_| malformed(answer))?
            .into_owned();
        let name = attribute.key.local_name().as_ref().to_owned();
        if name == "nil" && attribute.key.prefix().is_some() {
            element.nil = matches!(value.as_str(), "true" | "1");
            continue;
        }
        element.fields.insert(format!("@{name}"), value.into());
    }
    Ok(element)
}

fn add(answer: &Answer, open: &mut [Open], part: &str) -> Result<()> {
    match open.last_mut() {
        Some(element) => element.text.push_str(part),
        None if part.trim().is_empty() => {}
        None => return Err(malformed(answer)),
    }
    Ok(())
}

/// The character of a reference; entities of documents do not exist here.
fn referred(answer: &Answer, reference: &BytesRef<'_>) -> Result<char> {
    if reference.is_char_ref() {
        let found = reference.resolve_char_ref().map_err(|_| malformed(answer))?;
        return found.ok_or_else(|| malformed(answer));
    }
    match &**reference {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err(hostile(answer, "an entity that XML itself does not know")),
    }
}

fn malformed(answer: &Answer) -> Error {
    let message = format!("{}: not valid XML", answer.request());
    Error::new(ErrorKind::Data, "E-XML", message)
        .hint("the answer is cut off or no XML: check format and path")
}

fn hostile(answer: &Answer, what: &str) -> Error {
    Error::new(ErrorKind::Data, "E-XML", format!("{}: the XML holds {what}", answer.request()))
        .hint("ask the system's owner, or for smaller pages")
}

fn web_page(answer: &Answer) -> Error {
    let message = format!("{}: a web page instead of XML", answer.request());
    Error::new(ErrorKind::Schema, "E-CONTENT", message).hint(
        "the address answers with a web page: check the url, a login page or proxy may be in between",
    )
}

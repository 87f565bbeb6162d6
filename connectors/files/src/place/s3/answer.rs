//! What a store answers, as XML.

use chrono::{DateTime, Utc};
use quick_xml::Reader;
use quick_xml::events::Event;

use crate::place::Entry;

/// One page of a listing.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Page {
    /// The objects by their whole names.
    pub(super) entries: Vec<Entry>,
    /// Where the next page begins, if there is one.
    pub(super) next: Option<String>,
}

/// Reads a page of a listing; nothing if it is none.
pub(super) fn page(text: &str) -> Option<Page> {
    let mut page = Page::default();
    let (mut is_listing, mut is_cut, mut is_encoded) = (false, false, false);
    let mut object = Object::default();
    let is_whole = each(text, |path, text| {
        is_listing |= path[0] == "ListBucketResult";
        match &path[1..] {
            [contents, what] if contents == "Contents" => match what.as_str() {
                "Key" => object.name = Some(text.to_owned()),
                "Size" => object.size = text.parse().ok(),
                "LastModified" => {
                    object.changed = DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc());
                }
                _ => {}
            },
            [contents] if contents == "Contents" => {
                let Object { name, size, changed } = std::mem::take(&mut object);
                if let (Some(name), Some(size)) = (name, size) {
                    page.entries.push(Entry { name, size, changed });
                }
            }
            [what] if what == "EncodingType" => is_encoded = text == "url",
            [what] if what == "IsTruncated" => is_cut = text == "true",
            [what] if what == "NextContinuationToken" => page.next = Some(text.to_owned()),
            _ => {}
        }
    });
    // A page that says there are more and not where would end the listing too early.
    let is_listing = is_whole && is_listing && (page.next.is_some() || !is_cut);
    page.next = page.next.filter(|_| is_cut);
    if is_encoded {
        for entry in &mut page.entries {
            entry.name = decoded(&entry.name)?;
        }
    }
    is_listing.then_some(page)
}

#[derive(Default)]
struct Object {
    name: Option<String>,
    size: Option<u64>,
    changed: Option<DateTime<Utc>>,
}

/// The text of the first element called `name`.
pub(super) fn element(text: &str, name: &str) -> Option<String> {
    let mut found = None;
    each(text, |path, text| {
        if found.is_none() && path.last().is_some_and(|last| last == name) {
            found = Some(text.to_owned());
        }
    });
    found
}

/// Gives every element at its end: the names from the root on, and its text. False if the document
/// breaks off.
fn each(text: &str, mut each: impl FnMut(&[String], &str)) -> bool {
    let mut reader = Reader::from_str(text);
    let (mut path, mut content): (Vec<String>, String) = (Vec::new(), String::new());
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                path.push(start.local_name().as_ref().to_owned());
                content.clear();
            }
            Ok(Event::Text(part)) => content.push_str(&part.xml10_content()),
            Ok(Event::GeneralRef(of)) => content.push_str(meant(&of)),
            Ok(Event::End(_)) => {
                each(&path, content.trim());
                path.pop();
                content.clear();
            }
            Ok(Event::Eof) => return path.is_empty(),
            Ok(Event::DocType(_)) | Err(_) => return false,
            Ok(_) => {}
        }
    }
}

/// The character of an entity that XML itself has.
fn meant(name: &str) -> &'static str {
    match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" | "#34" | "#x22" => "\"",
        "apos" | "#39" | "#x27" => "'",
        _ => "",
    }
}

/// A name as it is, of one that was encoded for an address.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_a_listing_is_read() {
        let text = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"x\"><Name>b</Name>\
            <EncodingType>url</EncodingType>\
            <Contents><Key>p/%E5%8A%9E+a%2Bb.csv</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>\
            <ETag>&quot;e&quot;</ETag><Size>7</Size></Contents>\
            <IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b==</NextContinuationToken>\
            </ListBucketResult>";
        let found = page(text).unwrap();
        assert_eq!(found.next.as_deref(), Some("a&b=="));
        assert_eq!((found.entries[0].name.as_str(), found.entries[0].size), ("p/办 a+b.csv", 7));
        assert_eq!(found.entries[0].changed.unwrap().timestamp(), 1_767_323_045);
        assert_eq!(element(text, "ETag").as_deref(), Some("\"e\""));
        let plain = text.replace("<EncodingType>url</EncodingType>", "");
        assert_eq!(page(&plain).unwrap().entries[0].name, "p/%E5%8A%9E+a%2Bb.csv");
        let cut = text.replace("<NextContinuationToken>a&amp;b==</NextContinuationToken>", "");
        assert_eq!(page(&cut), None, "more without where is no listing");
        assert_eq!(page(&text[..200]), None);
        assert_eq!(page("<html><body>login</body></html>"), None);
    }
}

//! JSON: a list of objects somewhere in a document, or one object per line.

use std::cell::RefCell;
use std::fmt;
use std::io::BufReader;
use std::ops::ControlFlow;

use huiliu_sdk::{Error, ErrorKind, ROW_BYTES, Result};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::keyed::{self, Entries};
use super::{Flow, Receiver};
use crate::config::Stream;
use crate::content::Content;
use crate::encoding::{self, Transcoder};
use crate::fault::broken;
use crate::limit::Budget;

/// The key under which the parser gives a number that it keeps as it is written.
const NUMBER: &str = "$serde_json::private::Number";

/// What may stand around the records; it is passed over.
const OUTSIDE: usize = 1 << 30;

/// Reads the list of records at the path `record` of a document.
pub(super) fn read(content: &Content<'_>, stream: &Stream, receiver: &mut dyn Receiver) -> Flow {
    let path: Vec<&str> = (stream.record.as_deref().unwrap_or_default())
        .split(['.', '/'])
        .filter(|step| !step.is_empty())
        .collect();
    let name = content.name();
    let scan = |each: &mut dyn FnMut(u64, Entries) -> Flow| {
        content.read(|input| {
            let input = Transcoder::text(input, stream.text_encoding(), name)?;
            let (input, budget) = Budget::new(input, OUTSIDE);
            let state =
                RefCell::new(State { each, budget, position: 0, ended: None, found: false });
            let mut parser = serde_json::Deserializer::from_reader(BufReader::new(input));
            let parsed = Walk { path: &path, state: &state }
                .deserialize(&mut parser)
                .and_then(|()| parser.end());
            let state = state.into_inner();
            match (state.ended, parsed) {
                (Some(ended), _) => ended,
                (None, Err(cause)) => Err(unfit(name, cause)),
                (None, Ok(())) if !state.found => Err(no_list(name, stream)),
                (None, Ok(())) => Ok(ControlFlow::Continue(())),
            }
        })
    };
    keyed::read(&scan, name, stream.text_encoding(), stream, receiver)
}

fn no_list(name: &str, stream: &Stream) -> Error {
    let place = match stream.record.as_deref() {
        Some(path) if !path.is_empty() => format!("at `{path}`"),
        _ => "as its content".to_owned(),
    };
    Error::new(ErrorKind::Schema, "E-FILE-RECORD", format!("file {name} has no list {place}"))
        .hint("let `record` name the path to the list of records, such as data.rows")
}

/// What is wrong with a document, without its values.
fn unfit(name: &str, cause: serde_json::Error) -> Error {
    if cause.is_io() {
        return broken(name, cause.into());
    }
    let (line, column) = (cause.line(), cause.column());
    let what = if cause.is_eof() { "ends too early" } else { "is no valid JSON" };
    Error::new(
        ErrorKind::Data,
        "E-FILE-SYNTAX",
        format!("file {name} {what} at line {line}, column {column}"),
    )
    .hint("ask the sender to deliver the file again; check `encoding`")
}

struct State<'a> {
    each: &'a mut dyn FnMut(u64, Entries) -> Flow,
    budget: Budget,
    position: u64,
    /// Set when the records are to end before the document does.
    ended: Option<Flow>,
    found: bool,
}

/// Goes down the path, and through the list at its end.
#[derive(Clone, Copy)]
struct Walk<'a, 's> {
    path: &'a [&'a str],
    state: &'a RefCell<State<'s>>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match self.path.split_first() {
                Some((step, path)) if *step == key => {
                    map.next_value_seed(Walk { path, ..self })?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if !self.path.is_empty() {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        self.state.borrow_mut().found = true;
        self.state.borrow().budget.renew(ROW_BYTES);
        while let Some(Fields(record)) = list.next_element()? {
            let mut state = self.state.borrow_mut();
            let state = &mut *state;
            state.budget.renew(ROW_BYTES);
            state.position += 1;
            let record = record.map_err(|reason| (("E-FILE-RECORD", reason), Vec::new()));
            let flow = (state.each)(state.position, record);
            if !matches!(flow, Ok(ControlFlow::Continue(()))) {
                state.ended = Some(flow);
                return Err(serde::de::Error::custom("ended"));
            }
        }
        self.state.borrow().budget.renew(OUTSIDE);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

/// The fields of an object in their order, or what is wrong with it.
struct Fields(Result<Vec<(String, Value)>, String>);

impl<'de> serde::Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields: Vec<(String, Value)> = Vec::new();
                let mut twice = None;
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if key == NUMBER {
                        return Ok(none("a number"));
                    }
                    // JSON allows it, and readers disagree on which one counts.
                    if twice.is_none() && fields.iter().any(|(known, _)| *known == key) {
                        twice = Some(format!("the field `{key}` is there twice"));
                    }
                    fields.push((key, value));
                }
                Ok(Fields(twice.map_or(Ok(fields), Err)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Fields, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(none("a list"))
            }

            fn visit_unit<E>(self) -> Result<Fields, E> {
                Ok(none("nothing"))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Fields, E> {
                Ok(none("a truth value"))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Fields, E> {
                Ok(none("a number"))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Fields, E> {
                Ok(none("a number"))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Fields, E> {
                Ok(none("a number"))
            }

            fn visit_str<E>(self, _: &str) -> Result<Fields, E> {
                Ok(none("a text"))
            }
        }
        fn none(found: &str) -> Fields {
            Fields(Err(format!("{found} where a record should be")))
        }
        deserializer.deserialize_any(Object)
    }
}

/// Reads one object per line.
pub(super) fn read_lines(
    content: &Content<'_>,
    stream: &Stream,
    receiver: &mut dyn Receiver,
) -> Flow {
    let name = content.name();
    let scan = |each: &mut dyn FnMut(u64, Entries) -> Flow| {
        content.read(|input| {
            let encoding = stream.text_encoding();
            let input = encoding::unmarked(input, encoding, name)?;
            let mut input = BufReader::with_capacity(64 << 10, input);
            let mut line = Vec::new();
            for position in 1_u64.. {
                let most = ROW_BYTES + 2;
                let read = encoding::line(&mut input, encoding, most, &mut line);
                read.map_err(|cause| broken(name, cause))?;
                if line.is_empty() {
                    break;
                }
                if line.len() >= most {
                    return Err(Error::new(
                        ErrorKind::Data,
                        "E-ROW-SIZE",
                        format!("line {position} of file {name} is longer than 64 MiB"),
                    )
                    .hint("check whether the file has one record per line"));
                }
                let text = encoding::decoded(&line, encoding);
                if text.as_ref().is_some_and(|text| text.trim_ascii().is_empty()) {
                    continue;
                }
                let record = text.as_deref().map(serde_json::from_str::<Fields>);
                let record = match record {
                    Some(Ok(Fields(Ok(record)))) => Ok(record),
                    Some(Ok(Fields(Err(reason)))) => Err(("E-FILE-RECORD", reason)),
                    Some(Err(cause)) => {
                        let reason = format!("no valid JSON at column {}", cause.column());
                        Err(("E-FILE-SYNTAX", reason))
                    }
                    None => {
                        let reason = "text that is not in the file's encoding".to_owned();
                        Err(("E-ENCODING", reason))
                    }
                };
                // What is set aside is kept as it stands in the file.
                let record = record
                    .map_err(|refusal| (refusal, encoding::unended(&line, encoding).to_vec()));
                if each(position, record)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    };
    keyed::read(&scan, name, stream.text_encoding(), stream, receiver)
}

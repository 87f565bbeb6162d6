//! Where the keys of a stream that was put together come from.

use serde_json::Value;

use crate::config::{Document, Fault};

/// One stream or push: where the operator speaks of it, what he wrote, and which preset is under it.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// `streams[0]`, or nothing for a stream that only the top of the file asks for.
    pub(super) place: String,
    pub(super) own: Value,
    pub(super) preset: Option<String>,
}

/// The origins of all streams and pushes of a system file, in their order.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    pub(super) streams: Vec<Origin>,
    pub(super) pushes: Vec<Origin>,
}

impl Origins {
    /// A fault at `path` of the system with its presets put in, as one at the place in the
    /// operator's file that brought it about.
    pub fn fault(
        &self,
        document: &Document,
        path: &str,
        message: String,
        hint: Option<String>,
    ) -> Fault {
        let Some((origin, rest)) = self.find(path) else {
            return document.fault(path, message, hint);
        };
        let place = join(&origin.place, rest);
        let Some(preset) = origin.preset.as_ref().filter(|_| !holds(&origin.own, rest)) else {
            return document.fault(&place, message, hint);
        };
        let place = join(&origin.place, "preset");
        document.fault(&place, format!("{message} (preset `{preset}`)"), hint)
    }

    fn find<'a>(&self, path: &'a str) -> Option<(&Origin, &'a str)> {
        let (list, rest) = if let Some(rest) = path.strip_prefix("streams[") {
            (&self.streams, rest)
        } else {
            (&self.pushes, path.strip_prefix("pushes[")?)
        };
        let (index, rest) = rest.split_once(']')?;
        let origin = list.get(index.parse::<usize>().ok()?)?;
        Some((origin, rest.strip_prefix('.').unwrap_or(rest)))
    }
}

fn join(place: &str, rest: &str) -> String {
    match (place, rest) {
        ("", rest) => rest.to_owned(),
        (place, "") => place.to_owned(),
        (place, rest) => format!("{place}.{rest}"),
    }
}

/// Whether what the operator wrote holds the value at `path`.
fn holds(own: &Value, path: &str) -> bool {
    let mut value = own;
    for part in path.split(['.', '[']).filter(|part| !part.is_empty()) {
        let found = match part.strip_suffix(']') {
            Some(index) => index.parse::<usize>().ok().and_then(|index| value.get(index)),
            None => value.get(part),
        };
        match found {
            Some(found) => value = found,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_is_held_where_all_its_parts_are() {
        let own = json!({ "key": ["a"], "columns": { "a": { "tag": "x" } } });
        for path in ["", "key", "key[0]", "columns.a.tag"] {
            assert!(holds(&own, path), "{path}");
        }
        for path in ["key[1]", "columns.b", "columns.a.type", "cursor"] {
            assert!(!holds(&own, path), "{path}");
        }
    }
}

//! The sorted parameters that many gateways sign.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::call::{Body, Draft};
use crate::config::ParameterOptions;
use crate::pointer::scalar;
use crate::template::percent;

/// The parameters of address and body, sorted by name; `own` are those that take the signature.
pub(crate) fn written(draft: &Draft, options: &ParameterOptions, own: &[String]) -> String {
    let mut parameters: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in draft.url.query_pairs() {
        parameters.insert(name.into_owned(), value.into_owned());
    }
    match &draft.body {
        Body::Form(fields) => parameters.extend(fields.iter().cloned()),
        Body::Json(Value::Object(table)) => {
            for (name, value) in table {
                let text = match value {
                    Value::Null => String::new(),
                    value => scalar(value).unwrap_or_else(|| value.to_string()),
                };
                parameters.insert(name.clone(), text);
            }
        }
        Body::Json(_) | Body::None | Body::Text { .. } => {}
    }
    let wanted = |name: &String| {
        (options.only.is_empty() || options.only.contains(name))
            && !options.skip.contains(name)
            && !own.contains(name)
    };
    let written: Vec<String> = parameters
        .iter()
        .filter(|(name, value)| wanted(name) && !(options.skip_empty && value.is_empty()))
        .map(|(name, value)| {
            let value = if options.encode { percent(value) } else { value.clone() };
            format!("{name}{}{value}", options.assign)
        })
        .collect();
    written.join(&options.join)
}

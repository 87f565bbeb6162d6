//! The keys of a system file, as they are written. Their comments become the editor's help.

mod answer;
mod auth;
mod push;
mod receipt;
mod sign;
mod stream;
mod system;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub(crate) use answer::{AnswerOptions, Condition, Format, Nested, SoapOptions, SoapVersion};
pub(crate) use auth::{AuthOptions, ClientCredentials};
pub(crate) use push::{LookupOptions, OutcomeOptions, PushOptions, SendFormat, Shape};
pub(crate) use receipt::ReceiptOptions;
pub(crate) use sign::{
    Algorithm, CipherAlgorithm, CipherOptions, EncryptOptions, ExchangeOptions, KeyForm, Mode,
    ParameterOptions, SignOptions, TextForm,
};
pub(crate) use stream::{JobOptions, PaginationOptions, ParentOptions, StreamOptions};
pub(crate) use system::SystemOptions;

/// A credential. It never prints.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Secret(pub(crate) String);

/// How a request is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
pub(crate) enum Verb {
    /// Parameters in the address.
    #[default]
    #[serde(rename = "GET")]
    Get,
    /// With a body.
    #[serde(rename = "POST")]
    Post,
    /// With a body that replaces.
    #[serde(rename = "PUT")]
    Put,
}

impl Verb {
    pub(crate) fn method(self) -> huiliu_httpkit::Method {
        match self {
            Self::Get => huiliu_httpkit::Method::GET,
            Self::Post => huiliu_httpkit::Method::POST,
            Self::Put => huiliu_httpkit::Method::PUT,
        }
    }
}

/// The JSON Schema of `T` in one piece, without references. A key that may be left out and has
/// no default of its own is nothing then, which is said as well; so is what a `type` is for.
pub(crate) fn schema<T: JsonSchema>() -> Value {
    let mut schema = schemars::generate::SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value();
    complete(&mut schema);
    schema
}

fn complete(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(complete),
        Value::Object(table) => {
            let required = table.get("required").cloned().unwrap_or_default();
            let is_required = |key: &str| {
                required.as_array().is_some_and(|keys| keys.iter().any(|other| other == key))
            };
            let properties = table.get_mut("properties").and_then(Value::as_object_mut);
            for (key, property) in properties.into_iter().flatten() {
                let Value::Object(property) = property else { continue };
                if property.get("const").is_some_and(Value::is_string) {
                    property.entry("description").or_insert("Which of several kinds it is.".into());
                } else if !is_required(key) {
                    property.entry("default").or_insert(Value::Null);
                }
            }
            table.values_mut().for_each(complete);
        }
        _ => {}
    }
}

//! Signatures as configured: what is signed, by what, and where the result goes.

pub(crate) mod cipher;
pub(crate) mod digest;
pub(crate) mod encrypt;
pub(crate) mod exchange;
mod parameters;
pub(crate) mod text_form;

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use huiliu_httpkit::{HeaderName, HeaderValue, Url};
use huiliu_sdk::{ConfigErrors, Error, ErrorKind, Result};

use crate::call::{Draft, template};
use crate::config::{Algorithm, KeyForm, ParameterOptions, SignOptions, TextForm};
use crate::faults::under;
use crate::pointer::Pointer;
use crate::sign::digest::Digester;
use crate::sign::exchange::Exchange;
use crate::template::Template;

/// The values that every signature can use.
const NAMES: [&str; 12] = [
    "timestamp",
    "timestamp_ms",
    "time",
    "nonce",
    "key",
    "token",
    "method",
    "path",
    "query",
    "body",
    "plain",
    "parameters",
];

/// The key in use: as text, and ready to sign.
#[derive(Clone)]
pub(crate) struct Key {
    text: String,
    digester: Digester,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// How requests are signed. Not `Debug`, because it holds secrets.
pub(crate) struct SignPlan {
    algorithm: Algorithm,
    user: String,
    key_form: KeyForm,
    pub(crate) key: Key,
    text: Template,
    form: TextForm,
    parameters: Option<ParameterOptions>,
    values: BTreeMap<String, String>,
    time_format: String,
    zone: Tz,
    headers: Vec<(HeaderName, Template)>,
    query: Vec<(String, Template)>,
    body: Vec<(String, Template)>,
    /// The parameters that take the signature.
    own: Vec<String>,
    pub(crate) exchange: Option<Exchange>,
}

impl SignPlan {
    /// Checks the options. Keys and values are added to `secrets`.
    pub(crate) fn new(
        options: SignOptions,
        base: &Url,
        zone: Tz,
        secrets: &mut Vec<String>,
        errors: &mut ConfigErrors,
    ) -> Option<Self> {
        let before = errors.0.len();
        let at = "sign";
        let values: BTreeMap<String, String> =
            options.values.into_iter().map(|(name, value)| (name, value.0)).collect();
        for name in values.keys() {
            if NAMES.contains(&name.as_str()) || name == "signature" {
                errors.push(under(at, &format!("values.{name}")), "has a meaning already");
            }
        }
        let knows = |name: &str| NAMES.contains(&name) || values.contains_key(name);
        let mut read = |text: &str, key: &str, signed: bool| {
            let knows = |name: &str| knows(name) || signed && name == "signature";
            template(text, &under(at, key), knows, errors)
        };
        let text = read(&options.text, "text", false);
        let mut table = |texts: BTreeMap<String, String>, key: &str| -> Vec<(String, Template)> {
            let one = |(name, text): (String, String)| {
                let read = read(&text, &format!("{key}.{name}"), true);
                (name, read)
            };
            texts.into_iter().map(one).collect()
        };
        let query = table(options.query, "query");
        let body = table(options.body, "body");
        let named = table(options.headers, "headers");
        let mut headers = Vec::new();
        for (name, text) in named {
            match HeaderName::from_bytes(name.as_bytes()) {
                Ok(name) => headers.push((name, text)),
                Err(_) => {
                    errors.push(under(at, &format!("headers.{name}")), "is not a header's name")
                }
            }
        }
        let signed = |(_, text): &&(String, Template)| text.has("signature");
        let own: Vec<String> = query
            .iter()
            .chain(&body)
            .filter(signed)
            .filter_map(|(name, _)| Pointer::field(name)?.0.into_iter().next())
            .collect();
        if own.is_empty() && !headers.iter().any(|(_, text)| text.has("signature")) {
            errors.push_with_hint(
                at,
                "the signature goes nowhere",
                "put {signature} under headers, query or body",
            );
        }
        if text.has("parameters") && options.parameters.is_none() {
            errors.push(under(at, "parameters"), "is missing for {parameters}");
        }
        let key_text = options.key.map(|key| key.0);
        let keyed = !matches!(
            options.algorithm,
            Algorithm::Md5 | Algorithm::Sha1 | Algorithm::Sha256 | Algorithm::Sm3
        );
        if key_text.is_none() && (keyed || text.has("key")) {
            errors.push(under(at, "key"), "is missing for this signature");
        }
        let key_text = key_text.unwrap_or_default();
        secrets.extend([key_text.clone()].into_iter().filter(|key| key.len() >= 4));
        secrets.extend(values.values().filter(|value| value.len() >= 8).cloned());
        let key = made(options.algorithm, &key_text, options.key_form, &options.user_id);
        if key.is_none() && !key_text.is_empty() {
            errors.push_with_hint(
                under(at, "key"),
                "is no key for this algorithm",
                "sm2 takes 32 bytes: check key_form",
            );
        }
        if !fits_time(&options.time_format) {
            errors.push(under(at, "time_format"), "is not a format as in strftime");
        }
        let exchange =
            options.exchange.and_then(|options| Exchange::new(options, base, zone, errors));
        if errors.0.len() > before {
            return None;
        }
        Some(Self {
            algorithm: options.algorithm,
            user: options.user_id,
            key_form: options.key_form,
            key: key?,
            text,
            form: options.form,
            parameters: options.parameters,
            values,
            time_format: options.time_format,
            zone,
            headers,
            query,
            body,
            own,
            exchange,
        })
    }

    /// A key like the configured one.
    pub(crate) fn key_of(&self, text: &str) -> Option<Key> {
        made(self.algorithm, text, self.key_form, &self.user)
    }

    /// Signs a request: values first, then what holds the signature of the whole.
    pub(crate) fn sign(
        &self,
        draft: &mut Draft,
        key: &Key,
        plain: &str,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let time = now.with_timezone(&self.zone).format(&self.time_format).to_string();
        let fixed: BTreeMap<&str, String> = BTreeMap::from([
            ("timestamp", now.timestamp().to_string()),
            ("timestamp_ms", now.timestamp_millis().to_string()),
            ("time", time),
            ("nonce", uuid::Uuid::new_v4().simple().to_string()),
            ("key", key.text.clone()),
            ("token", token.to_owned()),
            ("method", draft.method.to_string()),
            ("path", draft.url.path().to_owned()),
            ("plain", plain.to_owned()),
        ]);
        let find = |name: &str| fixed.get(name).or_else(|| self.values.get(name)).cloned();
        self.place(draft, false, &|name| find(name).map(Cow::Owned))?;
        let of_request = |name: &str, draft: &Draft| match name {
            "query" => Some(draft.url.query().unwrap_or_default().to_owned()),
            "body" => Some(draft.text().into_owned()),
            "parameters" => {
                let options = self.parameters.as_ref();
                options.map(|options| parameters::written(draft, options, &self.own))
            }
            name => find(name),
        };
        let text = self.text.fill(|name| of_request(name, draft).map(Cow::Owned));
        let signed = key.digester.sign(text.as_bytes());
        let signed = signed.ok_or_else(|| Error::internal("the checked key does not sign"))?;
        let signature = text_form::write(&signed, self.form);
        let signed = draft.clone();
        self.place(draft, true, &|name| match name {
            "signature" => Some(Cow::Borrowed(signature.as_str())),
            name => of_request(name, &signed).map(Cow::Owned),
        })
    }

    /// Puts values into their places: those that hold the signature, or those that do not.
    fn place<'v>(
        &self,
        draft: &mut Draft,
        signed: bool,
        value: &dyn Fn(&str) -> Option<Cow<'v, str>>,
    ) -> Result<()> {
        for (name, template) in
            self.headers.iter().filter(|(_, text)| text.has("signature") == signed)
        {
            let value = HeaderValue::from_str(&template.fill(value)).map_err(|_| unfit())?;
            draft.headers.push((name.clone(), value));
        }
        for (name, template) in
            self.query.iter().filter(|(_, text)| text.has("signature") == signed)
        {
            draft.query(name, &template.fill(value));
        }
        for (name, template) in self.body.iter().filter(|(_, text)| text.has("signature") == signed)
        {
            // A request without a body, such as a GET, has no place for it.
            draft.put(name, template.fill(value).into());
        }
        Ok(())
    }
}

fn made(algorithm: Algorithm, text: &str, form: KeyForm, user: &str) -> Option<Key> {
    let bytes = text_form::key(text, form)?;
    let digester = Digester::new(algorithm, &bytes, user)?;
    Some(Key { text: text.to_owned(), digester })
}

/// Whether a format can be written; one that cannot would panic.
pub(crate) fn fits_time(format: &str) -> bool {
    use chrono::format::{Item, StrftimeItems};
    !StrftimeItems::new(format).any(|item| matches!(item, Item::Error))
}

fn unfit() -> Error {
    Error::new(ErrorKind::Config, "E-SIGN", "a value of the signature does not fit into a header")
        .hint("check sign.headers and sign.values")
}

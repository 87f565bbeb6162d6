//! A first call that yields the key by which all others are signed.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use huiliu_httpkit::{Answer, Method, Url};
use huiliu_sdk::{ConfigErrors, Error, ErrorKind, Result};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::call::{Body, Draft, address};
use crate::config::{ExchangeOptions, TextForm, Verb};
use crate::moment::instant;
use crate::plan::place;
use crate::pointer::Pointer;
use crate::sign::cipher::Cipher;
use crate::sign::{Key, text_form};

/// How much earlier than said a key counts as old, so that none runs out on its way.
const EARLY: TimeDelta = TimeDelta::seconds(30);

/// How the key is fetched, and the one in use.
pub(crate) struct Exchange {
    pub(crate) request: Draft,
    secret: Pointer,
    cipher: Option<Cipher>,
    form: TextForm,
    ends: Option<Pointer>,
    zone: Tz,
    pub(crate) held: Mutex<Option<Held>>,
}

/// A key and how long it is used.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) key: Key,
    ends: Option<DateTime<Utc>>,
}

impl Held {
    /// Whether it can still be used.
    pub(crate) fn is_young(&self, now: DateTime<Utc>) -> bool {
        self.ends.is_none_or(|ends| now + EARLY < ends)
    }
}

impl Exchange {
    /// Checks the options.
    pub(crate) fn new(
        options: ExchangeOptions,
        base: &Url,
        zone: Tz,
        errors: &mut ConfigErrors,
    ) -> Option<Self> {
        let at = "sign.exchange";
        let url = address(base, &options.path, at, errors);
        if options.method == Verb::Put {
            errors.push("sign.exchange.method", "a key is asked for with GET or POST");
        }
        let secret = place(&options.secret, "sign.exchange.secret", errors);
        let ends = options.ends.map(|text| place(&text, "sign.exchange.ends", errors));
        let cipher = match &options.cipher {
            Some(cipher) => Some(Cipher::new(cipher, "sign.exchange.cipher", errors)?),
            None => None,
        };
        let mut request = Draft::new(options.method.method(), url?);
        if request.method == Method::POST {
            request.body = Body::Json(Value::Object(serde_json::Map::new()));
        }
        let held = Mutex::new(None);
        Some(Self { request, secret, cipher, form: options.form, ends, zone, held })
    }

    /// The key in an answer.
    pub(crate) fn read(
        &self,
        answer: &Answer,
        key: impl Fn(&str) -> Option<Key>,
    ) -> Result<(Held, String)> {
        let fault = |what: &str| {
            Error::new(ErrorKind::Auth, "E-SIGN", format!("{}: {what}", answer.request()))
                .hint("check sign.exchange and the key it is asked with")
        };
        let content: Value = answer.json()?;
        let text = self.secret.text(&content).filter(|text| !text.is_empty());
        let mut text = text.ok_or_else(|| fault("the answer holds no key"))?;
        if let Some(cipher) = &self.cipher {
            let plain = text_form::read(&text, self.form).and_then(|data| cipher.decrypt(&data));
            text = plain
                .and_then(|plain| String::from_utf8(plain).ok())
                .ok_or_else(|| fault("the key cannot be decrypted"))?;
        }
        let ends = match &self.ends {
            Some(place) => Some(
                place
                    .text(&content)
                    .and_then(|text| instant(&text, self.zone))
                    .ok_or_else(|| fault("the answer does not say how long the key is valid"))?,
            ),
            None => None,
        };
        let key = key(&text).ok_or_else(|| fault("the key does not fit the algorithm"))?;
        Ok((Held { key, ends }, text))
    }
}

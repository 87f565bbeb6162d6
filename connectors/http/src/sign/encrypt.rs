//! Encrypted bodies: envelopes around what is sent, and what is inside those received.

use huiliu_httpkit::Answer;
use huiliu_sdk::{ConfigErrors, Error, ErrorKind, Result};
use serde_json::Value;

use crate::call::{Body, Draft};
use crate::config::{EncryptOptions, TextForm};
use crate::plan::place;
use crate::pointer::Pointer;
use crate::sign::cipher::Cipher;
use crate::sign::text_form;

/// How bodies are encrypted. Not `Debug`, because it holds the key.
pub(crate) struct EncryptPlan {
    cipher: Cipher,
    form: TextForm,
    request: Pointer,
    answer: Option<Pointer>,
}

impl EncryptPlan {
    /// Checks the options. Keys are added to `secrets`.
    pub(crate) fn new(
        options: &EncryptOptions,
        secrets: &mut Vec<String>,
        errors: &mut ConfigErrors,
    ) -> Option<Self> {
        let cipher = Cipher::new(&options.cipher, "encrypt.cipher", errors);
        secrets.push(options.cipher.key.0.clone());
        let request = place(&options.request, "encrypt.request", errors);
        let mut read = |text: &String| place(text, "encrypt.answer", errors);
        let answer = options.answer.as_ref().map(&mut read);
        Some(Self { cipher: cipher?, form: options.form, request, answer })
    }

    /// Puts the body into an envelope. A request without body stays as it is.
    pub(crate) fn close(&self, draft: &mut Draft) -> Result<()> {
        if matches!(draft.body, Body::None) {
            return Ok(());
        }
        let encrypted = self.cipher.encrypt(draft.text().as_bytes());
        let encrypted =
            encrypted.ok_or_else(|| Error::internal("the checked cipher does not encrypt"))?;
        let mut envelope = Value::Object(serde_json::Map::new());
        self.request.put(&mut envelope, text_form::write(&encrypted, self.form).into());
        draft.body = Body::Json(envelope);
        Ok(())
    }

    /// Opens the envelope of an answer. One without ciphertext, such as a refusal, stays as it is.
    pub(crate) fn open(&self, answer: Answer) -> Result<Answer> {
        let Some(place) = &self.answer else { return Ok(answer) };
        let mut document: Value = answer.json()?;
        let Some(Value::String(text)) = place.get(&document) else { return Ok(answer) };
        if text.is_empty() {
            return Ok(answer);
        }
        let plain = text_form::read(text, self.form)
            .and_then(|bytes| self.cipher.decrypt(&bytes))
            .ok_or_else(|| {
                let place = place.0.join("/");
                let message = format!("{}: /{place} cannot be decrypted", answer.request());
                Error::new(ErrorKind::Data, "E-CIPHER", message)
                    .hint("check encrypt.cipher and encrypt.form")
            })?;
        let inner: Value =
            serde_json::from_slice(&plain).map_err(|error| answer.malformed(&error))?;
        place.put(&mut document, inner);
        Ok(answer.converted(document.to_string()))
    }
}

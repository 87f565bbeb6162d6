//! The last cursor as a parameter of an incremental read.

use chrono::TimeDelta;
use chrono_tz::Tz;
use huiliu_sdk::{ConfigErrors, Error, ErrorKind, Overlap, Result};
use serde_json::Value;

use crate::config::StreamOptions;
use crate::cursor::earlier;
use crate::faults::under;
use crate::moment::instant;
use crate::sign::fits_time;

/// How a cursor is written.
#[derive(Clone)]
enum Form {
    Text,
    Unix,
    UnixMs,
    Strftime(String),
}

/// The last cursor as a parameter.
#[derive(Clone)]
pub(crate) struct Since {
    pub(crate) name: String,
    form: Form,
    /// The zone of the stream, and that of the parameter.
    zones: (Tz, Tz),
    inclusive: bool,
    first: Option<String>,
}

impl Since {
    /// Checks the options; nothing if there is no such parameter.
    pub(crate) fn new(
        options: &StreamOptions,
        zone: Tz,
        at: &str,
        errors: &mut ConfigErrors,
    ) -> Option<Self> {
        let form = match options.since_format.0.as_str() {
            "text" => Form::Text,
            "unix" => Form::Unix,
            "unix_ms" => Form::UnixMs,
            format => {
                if !format.contains('%') || !fits_time(format) {
                    errors.push_with_hint(
                        under(at, "since_format"),
                        "is not a format",
                        "use text, unix, unix_ms or a format as in strftime",
                    );
                }
                Form::Strftime(format.to_owned())
            }
        };
        let to = match options.since_zone.as_deref().map(str::parse::<Tz>) {
            None => zone,
            Some(Ok(to)) => to,
            Some(Err(_)) => {
                errors.push_with_hint(
                    under(at, "since_zone"),
                    "is not a time zone",
                    "use a name such as Asia/Shanghai",
                );
                zone
            }
        };
        if options.since_zone.is_some() && !matches!(form, Form::Strftime(_)) {
            errors.push(under(at, "since_format"), "must be as in strftime beside since_zone");
        }
        let name = options.since.clone()?;
        let first = options.since_first.clone();
        Some(Self { name, form, zones: (zone, to), inclusive: options.since_inclusive, first })
    }

    /// The parameter for a read from `cursor` on; nothing for a first read that asks for all.
    pub(crate) fn value(&self, cursor: Option<&str>, overlap: Overlap) -> Result<Option<Value>> {
        let Some(cursor) = cursor else {
            return self.first.as_deref().map(|first| self.written(first)).transpose();
        };
        let mut from = earlier(cursor, overlap)?;
        if !self.inclusive {
            let is_number = from.parse::<i128>().is_ok() && from.len() != 14;
            let one = Overlap::Time(TimeDelta::seconds(1));
            from = earlier(&from, if is_number { Overlap::Count(1) } else { one })?;
        }
        self.written(&from).map(Some)
    }

    fn written(&self, text: &str) -> Result<Value> {
        if matches!(self.form, Form::Text) {
            return Ok(text.into());
        }
        let moment = instant(text, self.zones.0).ok_or_else(|| {
            let message = "the last cursor is no time, so since_format does not apply";
            Error::new(ErrorKind::Data, "E-CURSOR", message).hint("set since_format = \"text\"")
        })?;
        Ok(match &self.form {
            Form::Unix => moment.timestamp().into(),
            Form::UnixMs => moment.timestamp_millis().into(),
            Form::Strftime(format) => {
                moment.with_timezone(&self.zones.1).format(format).to_string().into()
            }
            Form::Text => text.into(),
        })
    }
}

//! The configuration: what an operator writes, checked without opening anything.

use std::path::PathBuf;

use chrono_tz::Tz;
use huiliu_sdk::{ConfigErrors, Cx, RawConfig, Result};
use schemars::JsonSchema;
use serde::Deserialize;

mod control;
mod keys;
mod push;
mod s3;
mod sftp;
mod stream;
mod words;

pub use control::{ControlOptions, ReceiptOptions};
pub use push::PushOptions;
pub use s3::{Addressing, S3Options};
pub use sftp::SftpOptions;
pub use stream::StreamOptions;
pub use words::{Algorithm, Encoding, Format, Formulas, Layout, Twins};

pub(crate) use push::{Packing, Push};
pub(crate) use s3::S3;
pub(crate) use sftp::Sftp;
pub(crate) use stream::Stream;

use keys::Keys;

use crate::place::{Bucket, Folder, Place, Remote};

/// Keys of a system file with `kind = "files"`.
#[derive(Clone, Deserialize, JsonSchema)]
pub struct SystemOptions {
    /// The folder that holds the files, relative to the folder of the project's configuration. In a
    /// bucket it is the part of the objects' names before the last `/`, and `/` the bucket itself.
    #[schemars(example = &"${env:CITY_FOLDER}/drops/land")]
    pub path: String,
    /// The server that holds the folder. Without it the folder is one of this machine; with it
    /// `path` is read from the user's own folder there.
    #[serde(default)]
    #[schemars(example = serde_json::json!({
        "host": "10.1.2.3", "user": "huiliu", "key": "keys/land", "host_key": ["ssh-ed25519 AAAA..."]
    }), extend("default" = serde_json::Value::Null))]
    pub sftp: Option<SftpOptions>,
    /// The bucket that holds the files as objects, in a store that speaks the protocol of S3.
    #[serde(default)]
    #[schemars(example = serde_json::json!({
        "endpoint": "https://minio.city.local:9000", "bucket": "exchange", "access_key": "huiliu",
        "secret_key": "${secret:exchange_store}"
    }), extend("default" = serde_json::Value::Null))]
    pub s3: Option<S3Options>,
}

/// A checked system file.
pub(crate) struct Settings {
    base: PathBuf,
    path: String,
    sftp: Option<Sftp>,
    s3: Option<S3>,
    pub(crate) hub_zone: Tz,
    pub(crate) streams: Vec<Stream>,
    pub(crate) pushes: Vec<Push>,
}

impl Settings {
    /// Where the files are.
    pub(crate) fn place(&self, cx: &Cx) -> Result<Box<dyn Place>> {
        match (&self.sftp, &self.s3) {
            (Some(sftp), _) => Ok(Box::new(Remote::open(sftp, &self.path)?)),
            (None, Some(s3)) => Ok(Box::new(Bucket::open(s3, &self.path, cx))),
            (None, None) => Ok(Box::new(Folder::open(&self.base.join(&self.path))?)),
        }
    }
}

/// Checks a whole system file and names every fault.
pub(crate) fn settings(raw: &RawConfig) -> Result<Settings, ConfigErrors> {
    let mut faults = ConfigErrors::default();
    let mut keys = Keys::new(&raw.options, "", &mut faults);
    let path = keys.required("path");
    if path.as_deref() == Some("") {
        keys.fault("path", "must not be empty");
    }
    let sftp = sftp::read(&mut keys, &raw.base_dir);
    let s3 = s3::read(&mut keys, path.as_deref(), &raw.base_dir);
    if sftp.is_some() && s3.is_some() {
        keys.fault_with_hint("s3", "does not go with `sftp`", "write a system file for each");
    }
    let mut streams = Vec::with_capacity(raw.streams.len());
    for (index, stream) in raw.streams.iter().enumerate() {
        let at = format!("streams[{index}]");
        streams.extend(stream::read(stream, &at, raw.hub_zone, &mut faults));
    }
    let mut pushes = Vec::with_capacity(raw.pushes.len());
    for (index, push) in raw.pushes.iter().enumerate() {
        pushes.extend(push::read(push, &format!("pushes[{index}]"), &mut faults));
    }
    faults.into_result(Settings {
        base: raw.base_dir.clone(),
        path: path.unwrap_or_default(),
        sftp,
        s3,
        hub_zone: raw.hub_zone,
        streams,
        pushes,
    })
}

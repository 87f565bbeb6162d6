//! The store that holds the objects.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use huiliu_httpkit::{Client, Url, base_url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keys::Keys;

/// A bucket of a store that speaks the protocol of S3.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct S3Options {
    /// The store's address, without the bucket.
    #[schemars(example = &"https://minio.city.local:9000")]
    pub endpoint: String,
    /// The bucket.
    #[schemars(example = &"exchange")]
    pub bucket: String,
    /// The region that signatures name. Default: `us-east-1`, which most stores take that have none.
    #[serde(default = "default_region")]
    #[schemars(example = &"cn-north-1")]
    pub region: String,
    /// The id of the access key.
    #[schemars(example = &"huiliu")]
    pub access_key: String,
    /// The secret of the access key. Keep it out of the file with `${secret:name}`.
    #[schemars(example = &"${secret:exchange_store}")]
    pub secret_key: String,
    /// File with the certificates (PEM) of who signed the store's, relative to the folder of the
    /// configuration. Default: those the operating system trusts.
    #[serde(default)]
    #[schemars(example = &"certificates/city.pem")]
    pub ca: Option<String>,
    /// Where the bucket's name stands: in the `path` of addresses, or before the name of the `host`.
    /// Default: `path`.
    #[serde(default)]
    #[schemars(example = &"host")]
    pub addressing: Addressing,
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

/// Where the name of a bucket stands in an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Addressing {
    /// `https://store/bucket/object`.
    #[default]
    Path,
    /// `https://bucket.store/object`.
    Host,
}

/// A checked store. It holds the secret, so it never prints.
#[derive(Clone)]
pub(crate) struct S3 {
    /// The address of the bucket, with a `/` at its end.
    pub(crate) base: Url,
    pub(crate) bucket: String,
    pub(crate) region: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) ca: Option<PathBuf>,
    /// Made once, so that connections are kept.
    pub(crate) client: Arc<OnceLock<Client>>,
}

/// Reads `s3`; `folder` is the start of the objects' names, `base_dir` where files of certificates are.
pub(super) fn read(keys: &mut Keys<'_>, folder: Option<&str>, base_dir: &Path) -> Option<S3> {
    let hint = "give endpoint, bucket, region, access_key and secret_key as text";
    let options: S3Options = keys.optional("s3", hint)?;
    let is_odd =
        folder.is_some_and(|folder| folder.split('/').any(|step| step == "." || step == ".."));
    if is_odd {
        keys.fault("path", "has a step that leads elsewhere");
    }
    let mut keys = keys.table("s3", hint)?;
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
    let bucket = options.bucket.as_str();
    let is_bucket = bucket.len() >= 3 && bucket.chars().all(is_name) && !bucket.contains("..");
    if !is_bucket || bucket.starts_with('.') {
        let hint = "it has small letters, digits, points and hyphens, three at least";
        keys.fault_with_hint("bucket", "is no name of a bucket", hint);
    }
    for (key, value) in [("region", &options.region), ("access_key", &options.access_key)] {
        if value.is_empty() || !value.chars().all(|c| c.is_ascii_graphic() && c != '/') {
            keys.fault(key, "has a value that is none");
        }
    }
    if options.secret_key.is_empty() {
        keys.fault("secret_key", "must not be empty");
    }
    let mut base = match base_url(&options.endpoint) {
        Ok(base) if base.path() == "/" => base,
        Ok(_) => {
            keys.fault_with_hint(
                "endpoint",
                "has a path",
                "write bucket and path under their keys",
            );
            return None;
        }
        Err(error) => {
            keys.fault_with_hint(
                "endpoint",
                error.message(),
                error.hint_text().unwrap_or_default(),
            );
            return None;
        }
    };
    match options.addressing {
        Addressing::Path => base.set_path(&format!("/{bucket}/")),
        Addressing::Host => {
            let host = base.host_str().unwrap_or_default().to_owned();
            let is_address = host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok();
            if is_address || base.set_host(Some(&format!("{bucket}.{host}"))).is_err() {
                let hint = "a store without a name is reached with addressing = \"path\"";
                keys.fault_with_hint("addressing", "needs an endpoint with a name", hint);
            }
        }
    }
    if options.ca.is_some() && base.scheme() != "https" {
        let hint = "write https in `endpoint`, or remove `ca`";
        keys.fault_with_hint("ca", "has no use without https", hint);
    }
    Some(S3 {
        base,
        bucket: options.bucket,
        region: options.region,
        access_key: options.access_key,
        secret_key: options.secret_key,
        ca: options.ca.map(|file| base_dir.join(file)),
        client: Arc::new(OnceLock::new()),
    })
}

//! What an HTTP system adds to its file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{AuthOptions, EncryptOptions, Secret, SignOptions};

/// What an HTTP system adds to its file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SystemOptions {
    /// Base address, such as `https://host/api`; paths of streams and pushes are added to it.
    #[schemars(example = &"https://gateway.city.example/api")]
    pub(crate) url: String,
    /// Other hosts to which next links, redirects and downloads may lead, as `host` or
    /// `host:port`. Credentials and signatures are never sent there.
    #[serde(default)]
    #[schemars(extend("examples" = [["files.city.example"]]))]
    pub(crate) hosts: Vec<String>,
    /// File with the certificates (PEM) of who signed the system's, relative to the folder of the
    /// configuration. Default: those the operating system trusts.
    #[schemars(example = &"certificates/city.pem")]
    pub(crate) ca: Option<String>,
    /// Longest time for one request, such as `30s`. Default: 60s.
    #[schemars(example = &"30s", extend("default" = "60s"))]
    pub(crate) timeout: Option<String>,
    /// Largest answer accepted, unpacked, such as `64MB`. Default: 64MB.
    #[schemars(example = &"16MB", extend("default" = "64MB"))]
    pub(crate) max_response: Option<String>,
    /// Most requests sent in a minute. Default: no limit.
    #[schemars(range(min = 1), example = 600)]
    pub(crate) requests_per_minute: Option<u32>,
    /// How often a request is sent before it counts as failed. Default: 4.
    #[schemars(range(min = 1, max = 20), example = 3, extend("default" = 4))]
    pub(crate) attempts: Option<u32>,
    /// Headers of every request, with their values. A secret goes here as `${secret:name}`.
    #[serde(default)]
    #[schemars(extend("examples" = [{"X-Region": "340500"}]))]
    pub(crate) headers: BTreeMap<String, Secret>,
    /// How the system lets us in. Default: none.
    #[serde(default)]
    pub(crate) auth: AuthOptions,
    /// How each request is signed. Default: not at all.
    pub(crate) sign: Option<SignOptions>,
    /// How bodies are encrypted. Default: not at all.
    pub(crate) encrypt: Option<EncryptOptions>,
}

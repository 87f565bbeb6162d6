//! The server that holds the folder.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::keys::Keys;

/// A server that is reached by SFTP with a key.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SftpOptions {
    /// Its name or address.
    #[schemars(example = &"10.1.2.3")]
    pub host: String,
    /// Its port. Default: 22.
    #[serde(default = "default_port")]
    #[schemars(example = 2222)]
    pub port: u16,
    /// The user there.
    #[schemars(example = &"huiliu")]
    pub user: String,
    /// The file with the private key, relative to the folder of the project's configuration. It
    /// must be readable by its owner alone and have no passphrase.
    #[schemars(example = &"${env:LAND_KEY_FILE}")]
    pub key: String,
    /// The server's own public keys, one of which it has to have, as `ssh-keyscan` shows them
    /// without the name.
    #[schemars(example = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA..."])]
    pub host_key: Vec<String>,
}

fn default_port() -> u16 {
    22
}

/// A checked server.
#[derive(Debug, Clone)]
pub(crate) struct Sftp {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) key: PathBuf,
    pub(crate) host_keys: Vec<String>,
}

/// Reads `sftp`.
pub(super) fn read(keys: &mut Keys<'_>, base: &Path) -> Option<Sftp> {
    let hint = "give host, user, key as text, and host_key as a list of texts";
    let options: SftpOptions = keys.optional("sftp", hint)?;
    let mut keys = keys.table("sftp", hint)?;
    // They become arguments of a program.
    for (key, value) in [("host", &options.host), ("user", &options.user), ("key", &options.key)] {
        let is_odd = |c: char| c.is_control() || (key != "key" && c.is_whitespace());
        if value.is_empty() || value.starts_with('-') || value.contains(is_odd) {
            keys.fault(key, "has a value that is none");
        }
    }
    let is_key = |key: &String| {
        let words: Vec<&str> = key.split_ascii_whitespace().collect();
        words.len() >= 2 && !key.contains(['\n', '\r', '@', ',']) && !key.starts_with('#')
    };
    if options.host_key.is_empty() || !options.host_key.iter().all(is_key) {
        let hint = "write them as `ssh-keyscan HOST` shows them, without the name in front";
        keys.fault_with_hint("host_key", "must hold public keys", hint);
    }
    Some(Sftp {
        host: options.host,
        port: options.port,
        user: options.user,
        key: base.join(options.key),
        host_keys: options.host_key,
    })
}

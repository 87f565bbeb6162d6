//! The data folder's `secrets`: what `${secret:name}` stands for, encrypted at rest.
//!
//! A sealed value says for which name it was sealed, so that nobody can put one in another's
//! place. Lines that an operator wrote by hand are read as they are, until they are sealed.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::Subcommand;
use huiliu_core::policy::exit;
use huiliu_runner::{Deed, load_key, open_key};
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::SealKey;
use serde_json::json;

use crate::operate::stated;
use crate::pairs;
use crate::setup::{Failure, Setup};

/// How a sealed value begins.
const SEALED: &str = "sealed:";
/// There is no database yet, or what opens it is being set right.
const NO_AUDIT: [&str; 3] = ["E-NO-DATA", "E-SECRET-MISSING", "E-KEY"];
/// Why secrets are sealed, for the audit.
const SEAL_REASON: &str = "stood in the file as they are";
/// The most bytes that are read as a secret.
const MAX_INPUT: u64 = 64 << 10;

#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// The names of all secrets, and whether they are encrypted.
    List,
    /// Keep a secret, encrypted. Its value is read from stdin, without the line end.
    Set {
        /// Its name, as configuration has it in `${secret:NAME}`.
        name: String,
        /// Why, for the audit.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Forget a secret.
    Remove {
        /// Its name.
        name: String,
        /// Why, for the audit.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Encrypt the secrets that stand in the file as they are.
    Seal,
}

/// The file and its key.
pub(crate) struct Secrets {
    file: PathBuf,
    key: PathBuf,
}

impl Secrets {
    pub(crate) fn new(file: PathBuf, key: PathBuf) -> Self {
        Self { file, key }
    }

    /// All values.
    pub(crate) fn read(&self) -> Result<BTreeMap<String, String>> {
        let mut key = None;
        let mut values = BTreeMap::new();
        for (name, value) in pairs::read(&self.file)? {
            let value = match value.strip_prefix(SEALED) {
                None => value,
                Some(sealed) => {
                    if key.is_none() {
                        key = Some(open_key(&self.key)?);
                    }
                    key.as_ref().and_then(|key| open(key, &name, sealed)).ok_or_else(|| {
                        let message = format!(
                            "the secret {name} in {} does not open with the key {}",
                            self.file.display(),
                            self.key.display()
                        );
                        Error::new(ErrorKind::Auth, "E-KEY", message).hint(
                            "point HUILIU_KEY_FILE at the key it was sealed with, or set it again \
                             with `huiliu secret set`",
                        )
                    })?
                }
            };
            values.insert(name, value);
        }
        Ok(values)
    }

    /// Keeps values, sealed. `head` is a comment before them.
    pub(crate) fn put(&self, head: Option<&str>, values: &[(String, String)]) -> Result<()> {
        self.make_folder()?;
        pairs::change(&self.file, |lines| {
            pairs::set(lines, head, &self.sealed(values)?);
            Ok(())
        })
    }

    /// Seals those that anybody who has the file can read, and says how many they were.
    fn seal(&self) -> Result<usize> {
        pairs::change(&self.file, |lines| {
            let plain = only_plain(pairs::parse(&self.file, lines)?);
            pairs::set(lines, None, &self.sealed(&plain)?);
            Ok(plain.len())
        })
    }

    /// Values as they are kept. Called in turn with others, who may be about to make the key too.
    fn sealed(&self, values: &[(String, String)]) -> Result<Vec<(String, String)>> {
        let key = load_key(&self.key)?;
        let sealed = values.iter().map(|(name, value)| {
            let sealed = key.seal(format!("{name}\0{value}").as_bytes())?;
            Ok((name.clone(), format!("{SEALED}{}", BASE64.encode(sealed))))
        });
        sealed.collect()
    }

    /// A secret may be the first thing that a data folder gets.
    fn make_folder(&self) -> Result<()> {
        let folder = self.file.parent().unwrap_or(&self.file);
        std::fs::create_dir_all(folder).map_err(|error| {
            let message = format!("the data folder {} cannot be made", folder.display());
            Error::new(ErrorKind::Permission, "E-DATA", message)
                .hint("name a folder that may be written with --data")
                .cause(error)
        })
    }

    /// Those that anybody who has the file can read.
    pub(crate) fn plain(&self) -> Result<Vec<(String, String)>> {
        Ok(only_plain(pairs::read(&self.file)?))
    }
}

fn only_plain(mut pairs: Vec<(String, String)>) -> Vec<(String, String)> {
    pairs.retain(|(_, value)| !value.starts_with(SEALED));
    pairs
}

fn open(key: &SealKey, name: &str, sealed: &str) -> Option<String> {
    let plain = String::from_utf8(key.open(&BASE64.decode(sealed).ok()?).ok()?).ok()?;
    let (sealed_for, value) = plain.split_once('\0')?;
    (sealed_for == name).then(|| value.to_owned())
}

/// Shows or changes secrets.
pub(crate) async fn secret(setup: &Setup, command: SecretCommand) -> Result<u8, Failure> {
    let (secrets, printer) = (setup.secrets(), setup.printer);
    match command {
        SecretCommand::List => {
            let plain = secrets.plain()?;
            let is_plain = |name: &str| plain.iter().any(|(plain, _)| plain == name);
            let names = pairs::read(&secrets.file)?.into_iter().map(|(name, _)| name);
            let names: Vec<(String, bool)> =
                names.map(|name| (name.clone(), !is_plain(&name))).collect();
            if printer.is_json() {
                let secrets = names
                    .iter()
                    .map(|(name, is_sealed)| json!({ "name": name, "encrypted": is_sealed }));
                printer.json(&json!({ "secrets": secrets.collect::<Vec<_>>() }));
            } else {
                for (name, is_sealed) in names {
                    let state = if is_sealed {
                        printer.pick("encrypted", "已加密")
                    } else {
                        printer.pick(
                            "readable: run `huiliu secret seal`",
                            "明文，请执行 `huiliu secret seal`",
                        )
                    };
                    printer.line(&format!("{name:<32} {state}"));
                }
            }
        }
        SecretCommand::Set { name, reason } => {
            check(&name)?;
            let value = value_from_stdin()?;
            note(setup, "secret.set", &name, &reason).await?;
            secrets.put(None, &[(name, value)])?;
        }
        SecretCommand::Remove { name, reason } => {
            if !pairs::read(&secrets.file)?.iter().any(|pair| pair.0 == name) {
                let message = format!("there is no secret {name}");
                return Err(Error::new(ErrorKind::Config, "E-SECRET-NAME", message)
                    .hint("`huiliu secret list` shows all names")
                    .into());
            }
            note(setup, "secret.remove", &name, &reason).await?;
            pairs::remove(&secrets.file, &name)?;
        }
        SecretCommand::Seal => {
            let names: Vec<String> = secrets.plain()?.into_iter().map(|(name, _)| name).collect();
            let count = if names.is_empty() {
                0
            } else {
                note(setup, "secret.seal", &names.join(" "), SEAL_REASON).await?;
                secrets.seal()?
            };
            if printer.is_json() {
                printer.json(&json!({ "encrypted": count }));
            } else {
                let text = printer.pick("secrets encrypted", "个密钥已加密");
                printer.line(&format!("{count} {text}"));
            }
        }
    }
    Ok(exit::DONE)
}

/// Names are what references can say, in a line of the file.
fn check(name: &str) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !name.is_empty() && name.chars().all(is_plain) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, "E-SECRET-NAME", format!("`{name}` cannot name a secret"))
        .hint("use letters, digits, `_`, `-` and `.`"))
}

fn value_from_stdin() -> Result<String> {
    let wrong = |message: &str| {
        Error::new(ErrorKind::Config, "E-SECRET-VALUE", message.to_owned())
            .hint("pipe it in: printf %s \"$VALUE\" | huiliu secret set NAME --reason …")
    };
    let mut text = String::new();
    std::io::stdin()
        .take(MAX_INPUT)
        .read_to_string(&mut text)
        .map_err(|e| wrong("no text came from stdin").cause(e))?;
    let value = text.trim_end_matches(['\r', '\n']);
    if value.is_empty() || value.contains(['\n', '\r', '\0']) {
        return Err(wrong("the value is empty, or has more than one line"));
    }
    Ok(value.to_owned())
}

/// Writes down in the audit who changes which secret, where there is an audit.
async fn note(setup: &Setup, action: &str, name: &str, reason: &str) -> Result<(), Failure> {
    let who = setup.who();
    let deed = Deed { who: &who, reason: stated(reason)? };
    let hub = match setup.open_existing().await {
        Ok(hub) => hub,
        Err(Failure::Error(error)) if NO_AUDIT.contains(&error.code()) => {
            setup.printer.note(setup.printer.pick(
                "not in the audit: the hub's database is not there yet, or cannot be opened before this",
                "未记入审计：数据库尚未建立，或者须先设定该密钥才能打开",
            ));
            return Ok(());
        }
        Err(failure) => return Err(failure),
    };
    hub.note_secret(action, name, &deed).await?;
    hub.close().await;
    Ok(())
}

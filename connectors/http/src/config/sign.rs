//! How requests are signed and bodies encrypted.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Secret;

/// How a digest or signature is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Algorithm {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SM3 (GB/T 32905).
    Sm3,
    /// HMAC with MD5.
    HmacMd5,
    /// HMAC with SHA-1.
    HmacSha1,
    /// HMAC with SHA-256.
    HmacSha256,
    /// HMAC with SM3.
    HmacSm3,
    /// SM2 signature (GB/T 32918) with SM3, as r and s of 32 bytes each.
    Sm2,
}

/// How bytes are written as text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TextForm {
    /// Hexadecimal in small letters.
    #[default]
    Hex,
    /// Hexadecimal in capitals.
    HexUpper,
    /// Base64.
    Base64,
    /// Base64 of the hexadecimal text in small letters.
    Base64Hex,
}

/// How a key is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyForm {
    /// Its characters are its bytes.
    #[default]
    Text,
    /// Hexadecimal.
    Hex,
    /// Base64.
    Base64,
}

/// How each request is signed. `{name}` in texts stands for a value: `timestamp` (seconds),
/// `timestamp_ms`, `time` (by `time_format`), `nonce`, `key`, `token` (of `[auth]`), `method`,
/// `path`, `query`, `body`, `plain` (the body before encryption), `parameters`, `signature`, or
/// one of `values`; `{{` is a brace.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignOptions {
    /// How the signature is computed.
    pub(crate) algorithm: Algorithm,
    /// What is signed.
    #[schemars(example = &"{timestamp}{key}{nonce}{timestamp}")]
    pub(crate) text: String,
    /// The key: of an HMAC, of SM2 (32 bytes), or what `{key}` stands for in `text`.
    #[schemars(example = &"${secret:city_sign}")]
    pub(crate) key: Option<Secret>,
    /// How the key is written. Default: text; SM2 keys are usually hex.
    #[serde(default)]
    pub(crate) key_form: KeyForm,
    /// How the signature is written. Default: hex.
    #[serde(default)]
    pub(crate) form: TextForm,
    /// The signer's id of SM2. Default: 1234567812345678.
    #[serde(default = "sm2_user")]
    #[schemars(example = &"1234567812345678")]
    pub(crate) user_id: String,
    /// How `{parameters}` is written.
    pub(crate) parameters: Option<ParameterOptions>,
    /// Further values for the texts, by name.
    #[serde(default)]
    #[schemars(extend("examples" = [{"paasid": "city", "sid": "s_340500_1"}]))]
    pub(crate) values: BTreeMap<String, Secret>,
    /// Format of `{time}`, as in strftime. Default: `%Y-%m-%d %H:%M:%S`.
    #[serde(default = "time_format")]
    #[schemars(example = &"%Y%m%d%H%M%S")]
    pub(crate) time_format: String,
    /// Headers to set, by name.
    #[serde(default)]
    #[schemars(extend("examples" = [{"x-tif-timestamp": "{timestamp}", "x-tif-signature": "{signature}"}]))]
    pub(crate) headers: BTreeMap<String, String>,
    /// Parameters of the address to set, by name.
    #[serde(default)]
    #[schemars(extend("examples" = [{"sign": "{signature}"}]))]
    pub(crate) query: BTreeMap<String, String>,
    /// Fields of the body to set: a form field or a JSON pointer.
    #[serde(default)]
    #[schemars(extend("examples" = [{"sign": "{signature}"}]))]
    pub(crate) body: BTreeMap<String, String>,
    /// A first call that yields the key by which all others are signed.
    pub(crate) exchange: Option<ExchangeOptions>,
}

fn sm2_user() -> String {
    "1234567812345678".to_owned()
}

fn time_format() -> String {
    "%Y-%m-%d %H:%M:%S".to_owned()
}

/// How `{parameters}` is written: those of address and body, sorted by name.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParameterOptions {
    /// Between name and value. Default: `=`.
    #[serde(default = "equals")]
    #[schemars(example = &"")]
    pub(crate) assign: String,
    /// Between two parameters. Default: `&`.
    #[serde(default = "ampersand")]
    #[schemars(example = &"")]
    pub(crate) join: String,
    /// Only these, if any are named.
    #[serde(default)]
    #[schemars(extend("examples" = [["appid", "timestamp"]]))]
    pub(crate) only: Vec<String>,
    /// All but these; what `sign` itself puts the signature into is left out anyhow.
    #[serde(default)]
    #[schemars(extend("examples" = [["file"]]))]
    pub(crate) skip: Vec<String>,
    /// Whether parameters without a value are left out. Default: true.
    #[serde(default = "yes")]
    #[schemars(example = false)]
    pub(crate) skip_empty: bool,
    /// Whether values are percent-encoded. Default: false.
    #[serde(default)]
    #[schemars(example = true)]
    pub(crate) encode: bool,
}

fn equals() -> String {
    "=".to_owned()
}

fn ampersand() -> String {
    "&".to_owned()
}

fn yes() -> bool {
    true
}

/// A first call, signed with `key`, that yields the key by which all others are signed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExchangeOptions {
    /// Path of the call.
    #[schemars(example = &"/share/requestSecret")]
    pub(crate) path: String,
    /// `GET` or `POST`. Default: GET.
    #[serde(default)]
    pub(crate) method: super::Verb,
    /// JSON pointer to the new key.
    #[schemars(example = &"/data/secret")]
    pub(crate) secret: String,
    /// How the new key is encrypted. Default: not at all.
    pub(crate) cipher: Option<CipherOptions>,
    /// How the encrypted key is written. Default: base64.
    #[serde(default = "base64")]
    pub(crate) form: TextForm,
    /// JSON pointer to the time until which it is valid: seconds or milliseconds since 1970, or
    /// a time in the hub's zone.
    #[schemars(example = &"/data/secretEndTime")]
    pub(crate) ends: Option<String>,
}

fn base64() -> TextForm {
    TextForm::Base64
}

/// A block cipher.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CipherAlgorithm {
    /// SM4 (GB/T 32907), key of 16 bytes.
    #[default]
    Sm4,
    /// AES, key of 16, 24 or 32 bytes.
    Aes,
}

/// How blocks follow each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// Each for itself, as many gateways ask for.
    #[default]
    Ecb,
    /// Chained from `iv` on.
    Cbc,
}

/// A cipher with its key; padding is PKCS #7.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CipherOptions {
    /// The cipher. Default: sm4.
    #[serde(default)]
    pub(crate) algorithm: CipherAlgorithm,
    /// How blocks follow each other. Default: ecb.
    #[serde(default)]
    pub(crate) mode: Mode,
    /// The key, as `${secret:name}`.
    #[schemars(example = &"${secret:city_sm4}")]
    pub(crate) key: Secret,
    /// The first block of `cbc`.
    #[schemars(example = &"${secret:city_sm4_iv}")]
    pub(crate) iv: Option<Secret>,
    /// How key and iv are written. Default: text.
    #[serde(default)]
    pub(crate) key_form: KeyForm,
}

/// How bodies are encrypted. The encrypted body is put into a new JSON body, in which `sign.body`
/// then puts what else belongs there.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EncryptOptions {
    /// The cipher.
    pub(crate) cipher: CipherOptions,
    /// How ciphertext is written. Default: hex.
    #[serde(default)]
    pub(crate) form: TextForm,
    /// JSON pointer at which a request's ciphertext goes.
    #[schemars(example = &"/data/encData")]
    pub(crate) request: String,
    /// JSON pointer at which an answer's ciphertext is; what it holds is then there as JSON.
    #[schemars(example = &"/data/encData")]
    pub(crate) answer: Option<String>,
}

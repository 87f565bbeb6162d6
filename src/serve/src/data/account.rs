//! Accounts, tokens, and the audit.

use huiliu_core::access::{Limits, Permission, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct User {
    /// The name to log in with.
    pub name: String,
    /// The name for people.
    pub title: String,
    /// The role.
    pub role: Role,
    /// Which rows the user sees.
    pub limits: Limits,
    /// Whether the password must be changed before anything else.
    pub must_change: bool,
    /// Whether a code of an authenticator app is asked for beside the password.
    pub second_factor: bool,
    /// Whether the user may not come in.
    pub disabled: bool,
    /// When the account was made, UTC.
    pub created_at: String,
    /// When the password was set, UTC.
    pub password_at: String,
    /// When the user last logged in, UTC.
    pub last_login_at: Option<String>,
}

/// A user to be made. Not `Debug`, because it holds a password.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The name to log in with: letters of any script, digits, `.`, `_` and `-`.
    pub name: String,
    /// The name for people.
    pub title: String,
    /// The role.
    pub role: Role,
    /// The first password, which the user must change.
    pub password: String,
}

/// A session in a browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Login {
    /// By which it is ended; it tells nothing of the cookie.
    pub id: String,
    /// Whose it is.
    pub user: String,
    /// When it began, UTC.
    pub created_at: String,
    /// When it was last used, UTC, to about a minute.
    pub seen_at: String,
    /// From where it began.
    pub address: String,
    /// Whether it is the one that asks.
    pub is_this: bool,
}

/// A token of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Token {
    /// The part of it that is no secret.
    pub id: String,
    /// Whose it is.
    pub user: String,
    /// What it is for.
    pub title: String,
    /// What it may do, of what its user may.
    pub scopes: Vec<Permission>,
    /// When it was made, UTC.
    pub created_at: String,
    /// Until when it is good, UTC.
    pub expires_at: String,
    /// When it was last used, UTC, to about a minute.
    pub last_used_at: Option<String>,
    /// When it was revoked, UTC.
    pub revoked_at: Option<String>,
}

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for.
    pub title: String,
    /// What it may do, of what its user may. Everything its user may without any.
    #[serde(default)]
    pub scopes: Vec<Permission>,
    /// For how many days it is good, at most 366. Default: 90.
    #[schemars(range(min = 1, max = 366))]
    pub days: Option<u32>,
}

/// Which rows of the audit are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct AuditQuery {
    /// Of this person.
    pub who: Option<String>,
    /// Of this action.
    pub action: Option<String>,
}

/// One row of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AuditRecord {
    /// Its number; the next one is one higher.
    pub id: i64,
    /// When, UTC.
    pub at: String,
    /// Who.
    pub who: String,
    /// What was done, such as `login`.
    pub action: String,
    /// What it was done to.
    pub object: String,
    /// Why.
    pub reason: String,
    /// How it was, as JSON.
    pub before: Option<String>,
    /// How it is or what was read, as JSON.
    pub after: Option<String>,
    /// Hash over the previous row's hash and this row.
    pub hash: String,
}

/// The audit's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AuditState {
    /// Rows that hold.
    pub rows: u64,
    /// Number of the newest row.
    pub last_id: i64,
    /// Hash of the newest row; kept elsewhere, it shows later that no rows were cut off.
    pub last_hash: String,
}

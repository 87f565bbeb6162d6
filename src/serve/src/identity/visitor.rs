//! Whoever has been let in, as handlers see them.

use huiliu_core::access::{Limits, Permission, Role};
use huiliu_sdk::{Error, ErrorKind, Result};

/// How somebody came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// With the cookie of a session; the hash of its token.
    Session(String),
    /// With a token of a program; its id.
    Token(String),
}

/// Whoever has been let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// The user's name.
    pub user: String,
    /// The user's name for people.
    pub title: String,
    /// The user's role.
    pub role: Role,
    /// Which rows the user sees.
    pub limits: Limits,
    /// What a token may do of what its user may; all of it without any.
    pub scopes: Vec<Permission>,
    /// Whether the password must be changed before anything else.
    pub must_change: bool,
    /// How the visitor came in.
    pub entry: Entry,
    /// From where.
    pub address: String,
    /// What forms send along, so that no other site can send them; empty for a token.
    pub csrf: String,
}

impl Visitor {
    /// Whether `permission` is granted.
    pub fn may(&self, permission: Permission) -> bool {
        let in_scope = self.scopes.is_empty() || self.scopes.contains(&permission);
        self.role.may(permission) && in_scope && !self.must_change
    }

    /// Fails with `E-LIMITS` unless the visitor sees all rows.
    pub fn require_all_rows(&self) -> Result<()> {
        if self.limits.is_open() {
            return Ok(());
        }
        let message = format!("{} sees only some rows, and this tells of all", self.user);
        Err(Error::new(ErrorKind::Permission, "E-LIMITS", message)
            .hint("ask by SQL, or the rows of a figure; an administrator can change the limits"))
    }

    /// Fails with `E-FORBIDDEN` unless `permission` is granted.
    pub fn require(&self, permission: Permission) -> Result<()> {
        if self.may(permission) {
            return Ok(());
        }
        let message = format!("{} may not do this: it needs `{permission}`", self.user);
        Err(Error::new(ErrorKind::Permission, "E-FORBIDDEN", message)
            .hint("ask somebody whose role allows it"))
    }
}

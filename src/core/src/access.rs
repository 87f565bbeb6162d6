//! Who may do what: roles, permissions, passwords.
//!
//! Duties are separated (三员分立): whoever administers accounts reads no data, whoever reads the
//! audit does nothing else, and nobody can change what the audit says.

mod limits;
pub mod password;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use limits::Limits;

/// The one role of a user.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs the hub: runs, replays, explained differences.
    Operator,
    /// Asks the data.
    Analyst,
    /// Reads the audit, and nothing else.
    Auditor,
    /// Keeps accounts and tokens, and reads no data.
    Admin,
}

/// What an operation of the hub asks for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// See how the hub works: systems, streams, runs, jobs, counts of quarantine and pushes.
    Operations,
    /// See figures and counts of differences.
    Figures,
    /// See single records, personal data masked: rows of a figure, differences, a trace.
    Records,
    /// Ask SQL and take its rows along.
    Query,
    /// Start runs, try rows of quarantine again, explain differences.
    Operate,
    /// Keep accounts and the tokens of others.
    Accounts,
    /// Read and check the audit.
    Audit,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Operator, Self::Analyst, Self::Auditor, Self::Admin];

    /// The word it is stored as.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Analyst => "analyst",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }

    /// The role of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// What it allows.
    pub fn permissions(self) -> &'static [Permission] {
        use Permission::{Accounts, Audit, Figures, Operate, Operations, Query, Records};
        match self {
            Self::Operator => &[Operations, Figures, Records, Operate],
            Self::Analyst => &[Operations, Figures, Records, Query],
            Self::Auditor => &[Audit],
            Self::Admin => &[Operations, Accounts],
        }
    }

    /// Whether it allows `permission`.
    pub fn may(self, permission: Permission) -> bool {
        self.permissions().contains(&permission)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Permission {
    /// All permissions.
    pub const ALL: [Self; 7] = [
        Self::Operations,
        Self::Figures,
        Self::Records,
        Self::Query,
        Self::Operate,
        Self::Accounts,
        Self::Audit,
    ];

    /// The word by which a token's scope names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operations => "operations",
            Self::Figures => "figures",
            Self::Records => "records",
            Self::Query => "query",
            Self::Operate => "operate",
            Self::Accounts => "accounts",
            Self::Audit => "audit",
        }
    }

    /// The permission of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.as_str() == word)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The longest name of a user, in characters.
const MAX_NAME: usize = 64;

/// Whether `name` can be a user's: letters of any script, digits, `.`, `_` and `-`, beginning with
/// a letter or digit. Such names are safe in a log, an address and a cookie.
pub fn is_user_name(name: &str) -> bool {
    let fits = |letter: char| letter.is_alphanumeric() || matches!(letter, '.' | '_' | '-');
    name.chars().next().is_some_and(char::is_alphanumeric)
        && name.chars().all(fits)
        && name.chars().count() <= MAX_NAME
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duties_are_separated() {
        for permission in Permission::ALL {
            let roles: Vec<Role> =
                Role::ALL.into_iter().filter(|role| role.may(permission)).collect();
            let expected: &[Role] = match permission {
                Permission::Operations => &[Role::Operator, Role::Analyst, Role::Admin],
                Permission::Figures | Permission::Records => &[Role::Operator, Role::Analyst],
                Permission::Query => &[Role::Analyst],
                Permission::Operate => &[Role::Operator],
                Permission::Accounts => &[Role::Admin],
                Permission::Audit => &[Role::Auditor],
            };
            assert_eq!(roles, expected, "{permission}");
        }
    }

    #[test]
    fn words_go_there_and_back() {
        assert!(Role::ALL.into_iter().all(|role| Role::parse(role.as_str()) == Some(role)));
        assert!(Permission::ALL.into_iter().all(|p| Permission::parse(p.as_str()) == Some(p)));
        assert_eq!((Role::parse("root"), Permission::parse("*")), (None, None));
    }

    #[test]
    fn names_hold_nothing_that_could_be_taken_for_something_else() {
        for name in ["zhang.wei", "张伟", "a", "user_1-b"] {
            assert!(is_user_name(name), "{name}");
        }
        for name in ["", ".a", "-a", "a b", "a\n", "a/b", "a'b", "<b>", &"a".repeat(65)] {
            assert!(!is_user_name(name), "{name}");
        }
    }
}

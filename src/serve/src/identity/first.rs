//! The first account: there is none by default. A token that is printed once makes it.

use huiliu_core::access::Role;
use huiliu_sdk::{Error, ErrorKind, Result};

use super::secret::{fingerprint, random_hex};
use super::{Accounts, By, LoggedIn};
use crate::data::NewUser;

/// The first administrator. Not `Debug`, because it holds a password.
pub struct FirstAdmin {
    /// The one-time token that the service printed when it started.
    pub token: String,
    /// The name to log in with.
    pub name: String,
    /// The name for people.
    pub title: String,
    /// The password.
    pub password: String,
}

impl Accounts {
    /// A new one-time token that makes the first account, in the place of an earlier one; none
    /// when there are accounts.
    pub async fn offer_first(&self) -> Result<Option<String>> {
        let token = random_hex();
        let offered = self.store().offer_first_account(&fingerprint(&token)).await?;
        Ok(offered.then_some(token))
    }

    /// Whether the first account is still to be made.
    pub async fn awaits_first(&self) -> Result<bool> {
        self.store().awaits_first_account().await
    }

    /// Makes the first administrator, who is then logged in.
    pub async fn make_first(&self, first: &FirstAdmin, address: &str) -> Result<LoggedIn> {
        let now = self.clock_now();
        self.inner.by_address.begin(address, now).map_err(super::session::wait)?;
        let new = NewUser {
            name: first.name.clone(),
            title: first.title.clone(),
            role: Role::Admin,
            password: first.password.clone(),
        };
        if !self.awaits_first().await? {
            return Err(used_up());
        }
        let row = self.new_row(&new, false).await?;
        let by = By { who: row.name.clone(), address: address.to_owned(), reason: String::new() };
        let mut tx = self.store().begin().await?;
        if !tx.take_first_account(&fingerprint(first.token.trim())).await? {
            return Err(used_up());
        }
        tx.add_user(&row).await?;
        let after = serde_json::json!({ "title": row.title, "role": row.role, "first": true });
        self.note_in(&mut tx, &by, "user add", &row.name, (None, Some(after))).await?;
        tx.commit().await?;
        self.inner.by_address.succeed(address);
        self.begin_session(row, address).await
    }
}

fn used_up() -> Error {
    Error::new(ErrorKind::Auth, "E-FIRST-TOKEN", "the one-time token is wrong or was used")
        .hint("`huiliu serve` prints a new one when it starts, as long as there are no accounts")
}

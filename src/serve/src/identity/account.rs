//! Users: made, changed, disabled by an administrator; their passwords.

use huiliu_core::access::password::PasswordFault;
use huiliu_core::access::{Limits, Role, is_user_name};
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::{Tx, UserRow};
use serde_json::json;

use super::secret::{from_hex, random_hex};
use super::{Accounts, By, Entry, Visitor};
use crate::data::{NewUser, User};

impl Accounts {
    /// All users by name.
    pub async fn users(&self) -> Result<Vec<User>> {
        self.store().users().await?.iter().map(user).collect()
    }

    /// One user.
    pub async fn user(&self, name: &str) -> Result<User> {
        let row = self.store().user(name).await?;
        row.as_ref().map_or_else(|| Err(unknown(name)), user)
    }

    /// Makes a user, who must change the password at the first login.
    pub async fn add_user(&self, new: &NewUser, by: &By) -> Result<User> {
        let row = self.new_row(new, true).await?;
        let mut tx = self.store().begin().await?;
        if !tx.add_user(&row).await? {
            let message = format!("there is a user `{}` already", new.name);
            return Err(Error::new(ErrorKind::Conflict, "E-USER", message)
                .hint("accounts are never given to another person; take another name"));
        }
        let after = json!({ "title": row.title, "role": row.role });
        self.note_in(&mut tx, by, "user add", &row.name, (None, Some(after))).await?;
        tx.commit().await?;
        user(&row)
    }

    /// The row of a new user, whose name and password were checked.
    pub(super) async fn new_row(&self, new: &NewUser, must_change: bool) -> Result<UserRow> {
        if !is_user_name(&new.name) {
            let message = "this can be no user's name";
            return Err(Error::new(ErrorKind::Config, "E-USER", message).hint(
                "letters, digits, `.`, `_` and `-`, at most 64, beginning with a letter or digit",
            ));
        }
        if new.title.trim().is_empty() || new.title.chars().count() > 128 {
            let message = "a user needs a name for people, of at most 128 characters";
            return Err(
                Error::new(ErrorKind::Config, "E-USER", message).hint("write the person's name")
            );
        }
        self.check_password(&new.password, &new.name, &new.title)?;
        let now = self.now();
        Ok(UserRow {
            name: new.name.clone(),
            title: new.title.trim().to_owned(),
            role: new.role.as_str().to_owned(),
            password: self.inner.hasher.hash(&new.password).await?,
            must_change,
            disabled: false,
            created_at: now.clone(),
            password_at: now,
            last_login_at: None,
            limits: None,
            second_factor: false,
        })
    }

    /// Gives a user another role; the user's sessions end.
    pub async fn set_role(&self, name: &str, role: Role, by: &By) -> Result<User> {
        self.change(name, "user role", by, |row| row.role = role.as_str().to_owned()).await
    }

    /// Limits the rows that a user sees; without any limits the user sees all. The user's sessions
    /// end.
    pub async fn set_limits(&self, name: &str, new: Limits, by: &By) -> Result<User> {
        let new = new.checked()?;
        let failed = |e| Error::internal("limits could not be written").cause(e);
        let text = serde_json::to_string(&new).map_err(failed)?;
        let text = (!new.is_open()).then_some(text);
        let mut tx = self.store().begin().await?;
        let mut row = changeable(&mut tx, name, by).await?;
        let before = limits(&row)?;
        row.limits.clone_from(&text);
        tx.put_limits(name, text).await?;
        tx.end_logins(name, "").await?;
        let noted = (Some(json!(before)), Some(json!(new)));
        self.note_in(&mut tx, by, "user limit", name, noted).await?;
        tx.commit().await?;
        user(&row)
    }

    /// Lets a user in no more; the user's sessions end, tokens open nothing.
    pub async fn disable(&self, name: &str, by: &By) -> Result<User> {
        self.change(name, "user disable", by, |row| row.disabled = true).await
    }

    /// Lets a user in again.
    pub async fn enable(&self, name: &str, by: &By) -> Result<User> {
        self.change(name, "user enable", by, |row| row.disabled = false).await
    }

    /// Gives a user another password, which must be changed at the next login; sessions end.
    pub async fn reset_password(&self, name: &str, password: &str, by: &By) -> Result<User> {
        let row = self.store().user(name).await?.ok_or_else(|| unknown(name))?;
        self.check_password(password, &row.name, &row.title)?;
        let hash = self.inner.hasher.hash(password).await?;
        let now = self.now();
        self.change(name, "user password", by, move |row| {
            row.password = hash;
            row.must_change = true;
            row.password_at = now;
        })
        .await
    }

    /// Changes the visitor's own password; all other sessions of the visitor end.
    pub async fn change_password(&self, visitor: &Visitor, old: &str, new: &str) -> Result<()> {
        let row = self.store().user(&visitor.user).await?.ok_or_else(|| unknown(&visitor.user))?;
        let now = self.clock_now();
        let waiting = self.inner.by_account.begin(&row.name, now);
        waiting.map_err(super::session::wait)?;
        if !self.inner.hasher.is_right(old, Some(&row.password)).await? {
            return Err(Error::new(
                ErrorKind::Auth,
                "E-PASSWORD-WRONG",
                "the old password is wrong",
            )
            .hint("write the password you logged in with"));
        }
        self.inner.by_account.succeed(&row.name);
        if old == new {
            return Err(Error::new(ErrorKind::Config, "E-PASSWORD", "this is the old password")
                .hint("take another one"));
        }
        self.check_password(new, &row.name, &row.title)?;
        let row = UserRow {
            password: self.inner.hasher.hash(new).await?,
            must_change: false,
            password_at: self.now(),
            ..row
        };
        let kept = match &visitor.entry {
            Entry::Session(hash) => hash.as_str(),
            Entry::Token(_) => "",
        };
        let mut tx = self.store().begin().await?;
        tx.put_user(&row).await?;
        tx.end_logins(&row.name, kept).await?;
        let by = By::visitor(visitor);
        self.note_in(&mut tx, &by, "password change", &row.name, (None, None)).await?;
        tx.commit().await
    }

    /// Changes a user. Nobody changes the own account so, and somebody stays who keeps accounts.
    async fn change(
        &self,
        name: &str,
        action: &str,
        by: &By,
        change: impl FnOnce(&mut UserRow),
    ) -> Result<User> {
        let mut tx = self.store().begin().await?;
        let mut row = changeable(&mut tx, name, by).await?;
        let before = json!({ "role": row.role, "disabled": row.disabled });
        let was_admin = row.role == Role::Admin.as_str() && !row.disabled;
        change(&mut row);
        tx.put_user(&row).await?;
        if was_admin {
            keeps_an_admin(&mut tx).await?;
        }
        tx.end_logins(name, "").await?;
        let after = json!({ "role": row.role, "disabled": row.disabled });
        self.note_in(&mut tx, by, action, name, (Some(before), Some(after))).await?;
        tx.commit().await?;
        user(&row)
    }

    /// Fails with `E-PASSWORD` and all that is wrong with a password.
    pub(super) fn check_password(&self, password: &str, name: &str, title: &str) -> Result<()> {
        let context = [name, title, &self.inner.office];
        let faults = self.inner.profile.faults(password, &context);
        if faults.is_empty() {
            return Ok(());
        }
        let words: Vec<&str> = faults.into_iter().map(fault_text).collect();
        let message = format!("this password is not taken: {}", words.join("; "));
        Err(Error::new(ErrorKind::Config, "E-PASSWORD", message)
            .hint("take a few words that have nothing to do with each other, in other letters too"))
    }

    /// A password that is taken, for a person to be told once.
    pub fn made_up_password(&self) -> Result<String> {
        const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789";
        // By chance one may have too few kinds of letters; the next one has not.
        for _ in 0..100 {
            let bytes = from_hex(&random_hex()).unwrap_or_default();
            let letters = bytes.iter().take(20).map(|byte| {
                let letter = LETTERS[usize::from(*byte) % LETTERS.len()];
                char::from(letter)
            });
            let plain: Vec<char> = letters.collect();
            let groups: Vec<String> = plain.chunks(5).map(|group| group.iter().collect()).collect();
            let password = groups.join("-");
            if self.check_password(&password, "", "").is_ok() {
                return Ok(password);
            }
        }
        Err(Error::internal("no password could be made up"))
    }

    /// Whether the password of a user must be changed now.
    pub(super) fn must_change(&self, row: &UserRow) -> bool {
        let age = chrono::DateTime::parse_from_rfc3339(&row.password_at)
            .map(|set| (self.clock_now() - set.to_utc()).num_days());
        let is_old = |days| age.as_ref().is_ok_and(|age| *age >= days);
        row.must_change || self.inner.profile.max_age_days().is_some_and(is_old)
    }
}

/// A user as somebody else is about to change it.
pub(super) async fn changeable(tx: &mut Tx, name: &str, by: &By) -> Result<UserRow> {
    let row = tx.user(name).await?.ok_or_else(|| unknown(name))?;
    if by.who == name {
        let message = "nobody changes the own account";
        return Err(
            Error::new(ErrorKind::Permission, "E-USER", message).hint("ask another administrator")
        );
    }
    Ok(row)
}

async fn keeps_an_admin(tx: &mut Tx) -> Result<()> {
    if tx.count_active(Role::Admin.as_str()).await? > 0 {
        return Ok(());
    }
    let message = "nobody would be left who keeps accounts";
    Err(Error::new(ErrorKind::Conflict, "E-USER", message).hint("make another administrator first"))
}

fn fault_text(fault: PasswordFault) -> &'static str {
    match fault {
        PasswordFault::TooShort => "it has fewer than 12 characters",
        PasswordFault::TooLong => "it has more than 128 characters",
        PasswordFault::TooPlain => {
            "it needs three kinds of: small letters, capitals, digits, other signs"
        }
        PasswordFault::Common => "it is among those that everybody tries first",
        PasswordFault::Context => "it holds the name of the user or of the office",
        PasswordFault::Pattern => "it is a pattern, or a run along the keyboard",
    }
}

pub(super) fn unknown(name: &str) -> Error {
    let shown = if is_user_name(name) { name } else { "…" };
    Error::new(ErrorKind::NotFound, "E-USER", format!("there is no user `{shown}`"))
        .hint("`huiliu user list` shows all")
}

/// A role as it is stored.
pub(super) fn role(row: &UserRow) -> Result<Role> {
    Role::parse(&row.role).ok_or_else(|| Error::internal("a user has an unknown role"))
}

/// Which rows a user sees, as it is stored. What cannot be read lets nobody in.
pub(super) fn limits(row: &UserRow) -> Result<Limits> {
    let Some(text) = &row.limits else { return Ok(Limits::default()) };
    serde_json::from_str(text)
        .map_err(|e| Error::internal("the limits of a user are not readable").cause(e))
}

pub(super) fn user(row: &UserRow) -> Result<User> {
    Ok(User {
        name: row.name.clone(),
        title: row.title.clone(),
        role: role(row)?,
        limits: limits(row)?,
        must_change: row.must_change,
        second_factor: row.second_factor,
        disabled: row.disabled,
        created_at: row.created_at.clone(),
        password_at: row.password_at.clone(),
        last_login_at: row.last_login_at.clone(),
    })
}

//! Logging in with a password, and the sessions that come of it.

use std::time::Duration;

use chrono::TimeDelta;
use huiliu_core::access::is_user_name;
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::{AuditEntry, LoginRow, UserRow};
use serde_json::json;
use tokio::time::MissedTickBehavior;

use super::secret::{fingerprint, random_hex};
use super::{Accounts, By, Entry, Visitor, account, stored};
use crate::data::Login;

/// How long a session may rest.
const IDLE: TimeDelta = TimeDelta::minutes(30);
/// How long a session lasts at most.
const ABSOLUTE: TimeDelta = TimeDelta::hours(12);
/// How exactly the last use is noted.
const SEEN: TimeDelta = TimeDelta::minutes(1);
/// How often it is looked whether whoever is served still may be.
const RECHECK: Duration = Duration::from_millis(500);
/// How much of its hash names a session to people.
const SHOWN: usize = 16;

/// A session that has begun. Not `Debug`, because it holds the secret of the cookie.
pub struct LoggedIn {
    /// What the cookie holds.
    pub secret: String,
    /// Whoever logged in.
    pub visitor: Visitor,
}

pub(super) fn wait(wait: TimeDelta) -> Error {
    let seconds = wait.num_seconds().max(1);
    let ms = u64::try_from(wait.num_milliseconds()).unwrap_or(1);
    let message = format!("too many wrong passwords or tokens: wait {seconds} s");
    Error::new(ErrorKind::Throttled, "E-SIGN-IN-SLOW", message)
        .hint("an administrator can give you another password")
        .retry_after_ms(ms)
}

fn refused() -> Error {
    Error::new(ErrorKind::Auth, "E-SIGN-IN", "the name, the password or the code is wrong")
        .hint("an administrator can give you another password, or lift the second factor")
}

impl Accounts {
    /// Begins a session. `code` is the one of the authenticator app, empty for who has none. The
    /// answer and its time are the same for a wrong password, a wrong code, a name that nobody has,
    /// and a disabled account.
    pub async fn login(
        &self,
        name: &str,
        password: &str,
        code: &str,
        address: &str,
    ) -> Result<LoggedIn> {
        let now = self.clock_now();
        // What is no name may be a password in the wrong field, so it is not written down.
        let object = if is_user_name(name) { name } else { "?" };
        self.inner.by_account.begin(object, now).map_err(wait)?;
        if let Err(late) = self.inner.by_address.begin(address, now) {
            self.inner.by_account.forgive(object);
            return Err(wait(late));
        }
        let row = self.store().user(name).await?;
        let second = self.store().second_factor(name).await?;
        let code = self.code(name, second.as_ref(), code)?;
        let kept = row.as_ref().map(|row| row.password.as_str());
        let is_right = self.inner.hasher.is_right(password, kept).await?;
        let mut row = row.filter(|row| is_right && !row.disabled);
        if row.is_some() && !self.use_code(name, code).await? {
            row = None;
        }
        let Some(row) = row else {
            let entry = AuditEntry {
                at: self.now(),
                who: object.to_owned(),
                action: "login refused".into(),
                object: object.to_owned(),
                after: Some(json!({ "address": address, "door": "web" })),
                ..AuditEntry::default()
            };
            self.store().note(entry).await?;
            return Err(refused());
        };
        self.inner.by_account.succeed(object);
        self.inner.by_address.succeed(address);
        self.begin_session(row, address).await
    }

    pub(super) async fn begin_session(&self, row: UserRow, address: &str) -> Result<LoggedIn> {
        let now = self.clock_now();
        let secret = random_hex();
        let login = LoginRow {
            token_hash: fingerprint(&secret),
            user_name: row.name.clone(),
            created_at: stored(now),
            seen_at: stored(now),
            address: address.to_owned(),
        };
        let row = UserRow { last_login_at: Some(stored(now)), ..row };
        let by = By { who: row.name.clone(), address: address.to_owned(), reason: String::new() };
        let mut tx = self.store().begin().await?;
        tx.forget_logins(&stored(now - ABSOLUTE), &stored(now - IDLE)).await?;
        tx.put_login(&login).await?;
        tx.put_user(&row).await?;
        let after = json!({ "door": "web" });
        self.note_in(&mut tx, &by, "login", &row.name, (None, Some(after))).await?;
        tx.commit().await?;
        let visitor = self.seen(&row, Entry::Session(login.token_hash), address)?;
        Ok(LoggedIn { secret, visitor })
    }

    /// Whoever comes with the cookie of a session; nobody when it has ended.
    pub async fn session_visitor(&self, secret: &str, address: &str) -> Result<Option<Visitor>> {
        let hash = fingerprint(secret);
        let Some(login) = self.store().login(&hash).await? else { return Ok(None) };
        let now = self.clock_now();
        let (oldest, quietest) = (stored(now - ABSOLUTE), stored(now - IDLE));
        if login.created_at < oldest || login.seen_at < quietest {
            return Ok(None);
        }
        let Some(row) = self.store().user(&login.user_name).await? else { return Ok(None) };
        if row.disabled {
            return Ok(None);
        }
        if login.seen_at < stored(now - SEEN) {
            self.store().see_login(&hash, &stored(now)).await?;
        }
        self.seen(&row, Entry::Session(hash), address).map(Some)
    }

    /// Whether a visitor who came in earlier still may. Asked again and again while an answer goes
    /// on for long.
    pub async fn is_still_in(&self, visitor: &Visitor) -> Result<bool> {
        let Some(row) = self.store().user(&visitor.user).await? else { return Ok(false) };
        let is_same = row.role == visitor.role.as_str() && account::limits(&row)? == visitor.limits;
        if row.disabled || !is_same {
            return Ok(false);
        }
        match &visitor.entry {
            Entry::Session(hash) => Ok(self.store().login(hash).await?.is_some()),
            Entry::Token(id) => {
                let token = self.store().token(id).await?;
                Ok(token.is_some_and(|token| self.is_good(&token)))
            }
        }
    }

    /// Ends when a visitor may not be here any more.
    pub(crate) async fn put_out(&self, visitor: &Visitor) {
        let mut ticks = tokio::time::interval(RECHECK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.is_still_in(visitor).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(%error, code = error.code(), "an account could not be looked up");
                    return;
                }
            }
        }
    }

    pub(super) fn seen(&self, row: &UserRow, entry: Entry, address: &str) -> Result<Visitor> {
        let csrf = match &entry {
            Entry::Session(hash) => self.key().pseudonym(&format!("csrf {hash}")),
            Entry::Token(_) => String::new(),
        };
        Ok(Visitor {
            user: row.name.clone(),
            title: row.title.clone(),
            role: account::role(row)?,
            limits: account::limits(row)?,
            scopes: Vec::new(),
            must_change: matches!(entry, Entry::Session(_)) && self.must_change(row),
            entry,
            address: address.to_owned(),
            csrf,
        })
    }

    /// Ends the visitor's session.
    pub async fn logout(&self, visitor: &Visitor) -> Result<()> {
        let Entry::Session(hash) = &visitor.entry else { return Ok(()) };
        let mut tx = self.store().begin().await?;
        tx.end_login(hash).await?;
        let by = By::visitor(visitor);
        self.note_in(&mut tx, &by, "logout", &visitor.user, (None, None)).await?;
        tx.commit().await
    }

    /// The open sessions of all, or of one user, newest first.
    pub async fn logins(&self, user: Option<&str>, visitor: &Visitor) -> Result<Vec<Login>> {
        let now = self.clock_now();
        let (oldest, quietest) = (stored(now - ABSOLUTE), stored(now - IDLE));
        let rows = self.store().logins(user).await?;
        let open =
            rows.into_iter().filter(|row| row.created_at >= oldest && row.seen_at >= quietest);
        Ok(open
            .map(|row| Login {
                is_this: visitor.entry == Entry::Session(row.token_hash.clone()),
                id: row.token_hash.chars().take(SHOWN).collect(),
                user: row.user_name,
                created_at: row.created_at,
                seen_at: row.seen_at,
                address: row.address,
            })
            .collect())
    }

    /// Ends a session by what names it to people; only one of `user`, if that is given.
    pub async fn end_login(&self, id: &str, user: Option<&str>, by: &By) -> Result<()> {
        let rows = self.store().logins(user).await?;
        let found =
            rows.into_iter().find(|row| id.len() == SHOWN && row.token_hash.starts_with(id));
        let row = found.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "E-USER", "there is no such session")
                .hint("it may have ended already")
        })?;
        let mut tx = self.store().begin().await?;
        tx.end_login(&row.token_hash).await?;
        self.note_in(&mut tx, by, "session end", &row.user_name, (None, None)).await?;
        tx.commit().await
    }
}

//! Tokens of programs: `hl_ID_SECRET`. Of the secret only a hash is kept, and, sealed, what the
//! Postgres wire compares a proof with.

use aes_gcm::aead::OsRng;
use aes_gcm::aead::rand_core::RngCore;
use chrono::TimeDelta;
use datafusion_postgres::pgwire::api::auth::sasl::scram::{SCRAM_ITERATIONS, gen_salted_password};
use huiliu_core::access::Permission;
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::TokenRow;
use serde_json::json;

use super::secret::{fingerprint, from_hex, is_same, random_hex, random_id, to_hex};
use super::{Accounts, By, Entry, Visitor, account, stored};
use crate::data::{NewToken, Token};

const PREFIX: &str = "hl_";
const ID_LENGTH: usize = 12;
const SALT_BYTES: usize = 16;
/// For how many days a token is good, usually and at most.
const DAYS: (u32, u32) = (90, 366);
/// How exactly the last use is noted.
const SEEN: TimeDelta = TimeDelta::minutes(1);

/// A token that was just made. Not `Debug`, because it holds the token itself, which is shown
/// once.
pub struct MadeToken {
    /// The token as a program sends it.
    pub secret: String,
    /// What is kept of it.
    pub token: Token,
}

/// What a login over the Postgres wire is compared with.
pub(crate) struct Verifier {
    pub(crate) salt: Vec<u8>,
    pub(crate) salted: Vec<u8>,
    /// Who comes in when the proof holds; nobody when there is no such token.
    pub(crate) visitor: Option<Visitor>,
}

impl Accounts {
    /// All tokens, or those of one user, newest first.
    pub async fn tokens(&self, user: Option<&str>) -> Result<Vec<Token>> {
        Ok(self.store().tokens(user).await?.iter().map(shown).collect())
    }

    /// Makes a token of the user `name`.
    pub async fn make_token(&self, name: &str, new: &NewToken, by: &By) -> Result<MadeToken> {
        let row = self.store().user(name).await?.ok_or_else(|| account::unknown(name))?;
        let role = account::role(&row)?;
        if let Some(scope) = new.scopes.iter().find(|scope| !role.may(**scope)) {
            let message = format!("the role {role} does not allow `{scope}`");
            return Err(Error::new(ErrorKind::Config, "E-TOKEN-SCOPE", message)
                .hint("a token may do less than its user, never more"));
        }
        let days = new.days.unwrap_or(DAYS.0);
        let title = new.title.trim();
        if days == 0 || days > DAYS.1 || title.is_empty() || title.chars().count() > 128 {
            let message = "a token has a title and is good for 1 to 366 days";
            return Err(Error::new(ErrorKind::Config, "E-TOKEN-SCOPE", message)
                .hint("say what it is for, in at most 128 characters"));
        }
        let now = self.clock_now();
        let (id, secret) = (random_id(ID_LENGTH), random_hex());
        let text = format!("{PREFIX}{id}_{secret}");
        let mut salt = vec![0_u8; SALT_BYTES];
        OsRng.fill_bytes(&mut salt);
        let salted = {
            let (text, salt) = (text.clone(), salt.clone());
            let salted = move || gen_salted_password(&text, &salt, SCRAM_ITERATIONS);
            tokio::task::spawn_blocking(salted).await
        };
        let salted = salted.map_err(|e| Error::internal("a token could not be made").cause(e))?;
        let mut scopes =
            if new.scopes.is_empty() { role.permissions() } else { &new.scopes }.to_vec();
        scopes.sort();
        scopes.dedup();
        let words: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        let token = TokenRow {
            token_id: id,
            user_name: row.name,
            title: title.to_owned(),
            secret_hash: fingerprint(&secret),
            scram: to_hex(&self.key().seal(&[salt, salted].concat())?),
            scopes: words.join(" "),
            created_at: stored(now),
            expires_at: stored(now + TimeDelta::days(i64::from(days))),
            last_used_at: None,
            revoked_at: None,
        };
        let after = json!({
            "title": token.title, "user": token.user_name, "scopes": token.scopes,
            "expires_at": token.expires_at,
        });
        let mut tx = self.store().begin().await?;
        tx.put_token(&token).await?;
        self.note_in(&mut tx, by, "token create", &token.token_id, (None, Some(after))).await?;
        tx.commit().await?;
        Ok(MadeToken { secret: text, token: shown(&token) })
    }

    /// Revokes a token; only one of `user`, if that is given.
    pub async fn revoke_token(&self, id: &str, user: Option<&str>, by: &By) -> Result<()> {
        let token = self.store().token(id).await?;
        let mine = |token: &TokenRow| user.is_none_or(|user| token.user_name == user);
        let unknown = || {
            Error::new(ErrorKind::NotFound, "E-TOKEN-ID", "there is no such token to revoke")
                .hint("`huiliu user token list` shows all")
        };
        let token = token.filter(mine).ok_or_else(unknown)?;
        let mut tx = self.store().begin().await?;
        if !tx.revoke_token(id, &self.now()).await? {
            return Err(unknown());
        }
        let before = json!({ "title": token.title, "user": token.user_name });
        self.note_in(&mut tx, by, "token revoke", id, (Some(before), None)).await?;
        tx.commit().await
    }

    /// Whoever comes with a token; nobody when it is not good.
    pub async fn token_visitor(&self, text: &str, address: &str) -> Result<Option<Visitor>> {
        let parts = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_'));
        let Some((id, secret)) = parts else { return Ok(None) };
        let Some(token) = self.store().token(id).await? else { return Ok(None) };
        let kept = token.secret_hash.as_bytes();
        if !is_same(fingerprint(secret).as_bytes(), kept) || !self.is_good(&token) {
            return Ok(None);
        }
        self.token_owner(&token, address).await
    }

    async fn token_owner(&self, token: &TokenRow, address: &str) -> Result<Option<Visitor>> {
        let Some(row) = self.store().user(&token.user_name).await? else { return Ok(None) };
        if row.disabled {
            return Ok(None);
        }
        let now = self.clock_now();
        if token.last_used_at.as_deref().is_none_or(|used| used < stored(now - SEEN).as_str()) {
            self.store().see_token(&token.token_id, &stored(now)).await?;
        }
        let visitor = self.seen(&row, Entry::Token(token.token_id.clone()), address)?;
        Ok(Some(Visitor { scopes: scopes(token), ..visitor }))
    }

    pub(super) fn is_good(&self, token: &TokenRow) -> bool {
        token.revoked_at.is_none() && token.expires_at > self.now()
    }

    /// What a login over the Postgres wire is compared with: the newest good token of a user that
    /// may query, or the one that is named as `user/ID`. A name that nobody has gets a salt too,
    /// always the same, and a proof that never holds.
    pub(crate) async fn verifier(&self, login: &str, address: &str) -> Result<Verifier> {
        let (name, id) = match login.split_once('/') {
            Some((name, id)) => (name, Some(id)),
            None => (login, None),
        };
        let fits = |token: &&TokenRow| {
            self.is_good(token)
                && scopes(token).contains(&Permission::Query)
                && id.is_none_or(|id| token.token_id == id)
        };
        let tokens = self.store().tokens(Some(name)).await?;
        if let Some(token) = tokens.iter().find(fits) {
            let unreadable = || Error::internal("what a token is compared with is not readable");
            let sealed = from_hex(&token.scram).ok_or_else(unreadable)?;
            let plain = self.key().open(&sealed)?;
            let (salt, salted) = plain.split_at_checked(SALT_BYTES).ok_or_else(unreadable)?;
            let visitor = self.token_owner(token, address).await?;
            return Ok(Verifier { salt: salt.to_vec(), salted: salted.to_vec(), visitor });
        }
        let salt = self.key().pseudonym(&format!("salt {login}"));
        let salt = from_hex(&salt).unwrap_or_default();
        let salted = from_hex(&random_hex()).unwrap_or_default();
        Ok(Verifier { salt, salted, visitor: None })
    }

    /// Whoever comes through `door` with a token and, as some clients ask for one, a name: `user` or
    /// `user/ID`. Wrong ones are noted, and whoever sends many of them waits.
    pub(crate) async fn token_login(
        &self,
        login: Option<&str>,
        text: &str,
        address: &str,
        door: &str,
    ) -> Result<Visitor> {
        let found = self.token_visitor(text, address).await?;
        if let Some(visitor) =
            found.filter(|visitor| login.is_none_or(|login| is_of(visitor, login)))
        {
            return Ok(visitor);
        }
        self.inner.by_token.begin(address, self.clock_now()).map_err(super::session::wait)?;
        self.note_token_login(login.unwrap_or("?"), address, door, false).await?;
        Err(Error::new(ErrorKind::Auth, "E-SIGN-IN", "the user or the token is wrong").hint(
            "the password is a token of this user that may query; the console makes one, or \
             `huiliu user token create`",
        ))
    }

    /// Notes a login with a token, good or not.
    pub(crate) async fn note_token_login(
        &self,
        login: &str,
        address: &str,
        door: &str,
        is_in: bool,
    ) -> Result<()> {
        let name = login.split_once('/').map_or(login, |(name, _)| name);
        let name = if huiliu_core::access::is_user_name(name) { name } else { "?" };
        let entry = huiliu_store::AuditEntry {
            at: self.now(),
            who: name.to_owned(),
            action: if is_in { "login" } else { "login refused" }.into(),
            object: name.to_owned(),
            after: Some(json!({ "address": address, "door": door })),
            ..huiliu_store::AuditEntry::default()
        };
        self.store().note(entry).await.map(drop)
    }
}

/// Whether a login, `user` or `user/ID`, names a visitor and the token.
fn is_of(visitor: &Visitor, login: &str) -> bool {
    match login.split_once('/') {
        Some((user, id)) => visitor.user == user && visitor.entry == Entry::Token(id.to_owned()),
        None => visitor.user == login,
    }
}

fn scopes(token: &TokenRow) -> Vec<Permission> {
    token.scopes.split(' ').filter_map(Permission::parse).collect()
}

fn shown(row: &TokenRow) -> Token {
    Token {
        id: row.token_id.clone(),
        user: row.user_name.clone(),
        title: row.title.clone(),
        scopes: scopes(row),
        created_at: row.created_at.clone(),
        expires_at: row.expires_at.clone(),
        last_used_at: row.last_used_at.clone(),
        revoked_at: row.revoked_at.clone(),
    }
}

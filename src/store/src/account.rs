//! Accounts: people, their sessions in a browser, the tokens of programs.
//!
//! Of secrets only hashes are kept. What a session or a token may do is looked up with its user
//! each time, so that a change holds at once.

use huiliu_sdk::{Error, Result};
use serde::Serialize;

use crate::database::Dialect;
use crate::{Row, Store, Tx, args};

const TABLES: [&str; 5] = [
    "create table if not exists huiliu_user (
       name text primary key,
       title text not null,
       role text not null,
       password text not null,
       must_change boolean not null,
       disabled boolean not null,
       created_at text not null,
       password_at text not null,
       last_login_at text
     )",
    "create table if not exists huiliu_session (
       token_hash text primary key,
       user_name text not null,
       created_at text not null,
       seen_at text not null,
       address text not null
     )",
    "create table if not exists huiliu_token (
       token_id text primary key,
       user_name text not null,
       title text not null,
       secret_hash text not null,
       scram text not null,
       scopes text not null,
       created_at text not null,
       expires_at text not null,
       last_used_at text,
       revoked_at text
     )",
    "create table if not exists huiliu_second_factor (
       user_name text primary key,
       secret text not null,
       last_step bigint not null
     )",
    "create index if not exists huiliu_session_by_user on huiliu_session (user_name)",
];

/// Where the hash of the one-time token of the first start is kept.
const FIRST: &str = "first_admin";

/// One user. Not `Serialize`, because it holds the hash of a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// The name to log in with.
    pub name: String,
    /// The name for people.
    pub title: String,
    /// The role, as `huiliu_core::access::Role` writes it.
    pub role: String,
    /// The hash of the password.
    pub password: String,
    /// Whether the password must be changed before anything else.
    pub must_change: bool,
    /// Whether the user may not come in.
    pub disabled: bool,
    /// When the account was made, UTC.
    pub created_at: String,
    /// When the password was set, UTC.
    pub password_at: String,
    /// When the user last logged in, UTC.
    pub last_login_at: Option<String>,
    /// To which rows the user is limited, as `huiliu_core::access::Limits` writes it; none sees all.
    pub limits: Option<String>,
    /// Whether a code is asked for beside the password. Only read here.
    pub second_factor: bool,
}

/// What the codes of a user are made of. Not `Serialize`, because it holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactorRow {
    /// Their secret, sealed, as hexadecimal digits.
    pub secret: String,
    /// The step of time of the newest code that was used; none up to it opens again.
    pub last_step: i64,
}

/// One session in a browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoginRow {
    /// The hash of its token.
    pub token_hash: String,
    /// Whose it is.
    pub user_name: String,
    /// When it began, UTC.
    pub created_at: String,
    /// When it was last used, UTC, to about a minute.
    pub seen_at: String,
    /// From where it began.
    pub address: String,
}

/// One token of a program. Not `Serialize`, because it holds hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// The part of it that is no secret.
    pub token_id: String,
    /// Whose it is.
    pub user_name: String,
    /// What it is for.
    pub title: String,
    /// The hash of its secret.
    pub secret_hash: String,
    /// What the Postgres wire compares a proof with, sealed, as hexadecimal digits.
    pub scram: String,
    /// What it may do, words separated by blanks.
    pub scopes: String,
    /// When it was made, UTC.
    pub created_at: String,
    /// Until when it is good, UTC.
    pub expires_at: String,
    /// When it was last used, UTC, to about a minute.
    pub last_used_at: Option<String>,
    /// When it was revoked, UTC.
    pub revoked_at: Option<String>,
}

/// Makes the tables and the column that are not there.
pub(crate) async fn prepare(tx: &mut Tx, dialect: Dialect) -> Result<()> {
    for table in TABLES {
        tx.run("make its tables", table, args![]).await?;
    }
    let found = match dialect {
        Dialect::Sqlite => "select 1 from pragma_table_info('huiliu_user') where name = 'limits'",
        Dialect::Postgres => {
            "select 1 from information_schema.columns
             where table_schema = current_schema() and table_name = 'huiliu_user'
               and column_name = 'limits'"
        }
    };
    if tx.one("read its tables", found, args![]).await?.is_none() {
        let sql = "alter table huiliu_user add column limits text";
        tx.run("make its tables", sql, args![]).await?;
    }
    Ok(())
}

macro_rules! select {
    (user $rest:literal) => {
        concat!(
            "select name, title, role, password, must_change, disabled, created_at, password_at,
                    last_login_at, limits,
                    exists (select 1 from huiliu_second_factor where user_name = name)
             from huiliu_user ",
            $rest
        )
    };
    (session $rest:literal) => {
        concat!(
            "select token_hash, user_name, created_at, seen_at, address from huiliu_session ",
            $rest
        )
    };
    (token $rest:literal) => {
        concat!(
            "select token_id, user_name, title, secret_hash, scram, scopes, created_at, expires_at,
                    last_used_at, revoked_at from huiliu_token ",
            $rest
        )
    };
}

fn user_row(row: &Row) -> Result<UserRow> {
    Ok(UserRow {
        name: row.get(0)?,
        title: row.get(1)?,
        role: row.get(2)?,
        password: row.get(3)?,
        must_change: row.get(4)?,
        disabled: row.get(5)?,
        created_at: row.get(6)?,
        password_at: row.get(7)?,
        last_login_at: row.get(8)?,
        limits: row.get(9)?,
        second_factor: row.get(10)?,
    })
}

fn login_row(row: &Row) -> Result<LoginRow> {
    Ok(LoginRow {
        token_hash: row.get(0)?,
        user_name: row.get(1)?,
        created_at: row.get(2)?,
        seen_at: row.get(3)?,
        address: row.get(4)?,
    })
}

fn token_row(row: &Row) -> Result<TokenRow> {
    Ok(TokenRow {
        token_id: row.get(0)?,
        user_name: row.get(1)?,
        title: row.get(2)?,
        secret_hash: row.get(3)?,
        scram: row.get(4)?,
        scopes: row.get(5)?,
        created_at: row.get(6)?,
        expires_at: row.get(7)?,
        last_used_at: row.get(8)?,
        revoked_at: row.get(9)?,
    })
}

impl Store {
    /// The user of this name.
    pub async fn user(&self, name: &str) -> Result<Option<UserRow>> {
        let sql = select!(user "where name = ?");
        let row = self.one("read a user", sql, args![name]).await?;
        row.as_ref().map(user_row).transpose()
    }

    /// All users by name.
    pub async fn users(&self) -> Result<Vec<UserRow>> {
        let rows = self.all("list users", select!(user "order by name"), args![]).await?;
        rows.iter().map(user_row).collect()
    }

    /// What the codes of a user are made of, if they are asked for.
    pub async fn second_factor(&self, name: &str) -> Result<Option<SecondFactorRow>> {
        let sql = "select secret, last_step from huiliu_second_factor where user_name = ?";
        let Some(row) = self.one("read a second factor", sql, args![name]).await? else {
            return Ok(None);
        };
        Ok(Some(SecondFactorRow { secret: row.get(0)?, last_step: row.get(1)? }))
    }

    /// Notes that a user's code of `step` was used. False when it or a later one was before.
    pub async fn take_step(&self, name: &str, step: i64) -> Result<bool> {
        let sql = "update huiliu_second_factor set last_step = ?
                   where user_name = ? and last_step < ?";
        Ok(self.run("use a code", sql, args![step, name, step]).await? == 1)
    }

    /// The session whose token has this hash.
    pub async fn login(&self, token_hash: &str) -> Result<Option<LoginRow>> {
        let sql = select!(session "where token_hash = ?");
        let row = self.one("read a session", sql, args![token_hash]).await?;
        row.as_ref().map(login_row).transpose()
    }

    /// All sessions, or those of one user, newest first.
    pub async fn logins(&self, user: Option<&str>) -> Result<Vec<LoginRow>> {
        let sql = select!(session "where ?1 is null or user_name = ?1
                                   order by created_at desc, token_hash");
        let rows = self.all("list sessions", sql, args![user.map(str::to_owned)]).await?;
        rows.iter().map(login_row).collect()
    }

    /// The token of this id.
    pub async fn token(&self, id: &str) -> Result<Option<TokenRow>> {
        let row = self.one("read a token", select!(token "where token_id = ?"), args![id]).await?;
        row.as_ref().map(token_row).transpose()
    }

    /// All tokens, or those of one user, newest first.
    pub async fn tokens(&self, user: Option<&str>) -> Result<Vec<TokenRow>> {
        let sql = select!(token "where ?1 is null or user_name = ?1
                                 order by created_at desc, token_id");
        let rows = self.all("list tokens", sql, args![user.map(str::to_owned)]).await?;
        rows.iter().map(token_row).collect()
    }

    /// Notes that a session was used.
    pub async fn see_login(&self, token_hash: &str, now: &str) -> Result<()> {
        let sql = "update huiliu_session set seen_at = ? where token_hash = ?";
        self.run("note the use of a session", sql, args![now, token_hash]).await.map(drop)
    }

    /// Notes that a token was used.
    pub async fn see_token(&self, id: &str, now: &str) -> Result<()> {
        let sql = "update huiliu_token set last_used_at = ? where token_id = ?";
        self.run("note the use of a token", sql, args![now, id]).await.map(drop)
    }

    /// Keeps the hash of the one-time token that makes the first account, in the place of an
    /// earlier one. False when there are accounts already.
    pub async fn offer_first_account(&self, hash: &str) -> Result<bool> {
        let mut tx = self.begin().await?;
        if tx.count_users().await? > 0 {
            return Ok(false);
        }
        tx.run(
            "keep the one-time token",
            "insert into huiliu_meta (key, value) values (?, ?)
             on conflict (key) do update set value = excluded.value",
            args![FIRST, hash],
        )
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Whether the first account is still to be made.
    pub async fn awaits_first_account(&self) -> Result<bool> {
        let row = self.one("count users", "select count(*) from huiliu_user", args![]).await?;
        Ok(row.map_or(Ok(0_i64), |row| row.get(0))? == 0)
    }
}

impl Tx {
    /// How many users there are.
    pub async fn count_users(&mut self) -> Result<i64> {
        let row = self.one("count users", "select count(*) from huiliu_user", args![]).await?;
        row.map_or(Ok(0), |row| row.get(0))
    }

    /// How many users of a role may come in.
    pub async fn count_active(&mut self, role: &str) -> Result<i64> {
        let sql = "select count(*) from huiliu_user where role = ? and disabled = false";
        let row = self.one("count users", sql, args![role]).await?;
        row.map_or(Ok(0), |row| row.get(0))
    }

    /// The user of this name.
    pub async fn user(&mut self, name: &str) -> Result<Option<UserRow>> {
        let sql = select!(user "where name = ?");
        let row = self.one("read a user", sql, args![name]).await?;
        row.as_ref().map(user_row).transpose()
    }

    /// Adds a user. False when the name is taken.
    pub async fn add_user(&mut self, user: &UserRow) -> Result<bool> {
        let added = self
            .run(
                "add a user",
                "insert into huiliu_user
                   (name, title, role, password, must_change, disabled, created_at, password_at,
                    limits)
                 values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (name) do nothing",
                args![
                    &user.name,
                    &user.title,
                    &user.role,
                    &user.password,
                    user.must_change,
                    user.disabled,
                    &user.created_at,
                    &user.password_at,
                    &user.limits,
                ],
            )
            .await?;
        Ok(added == 1)
    }

    /// Stores what may change of a user, but the limits.
    pub async fn put_user(&mut self, user: &UserRow) -> Result<()> {
        let changed = self
            .run(
                "change a user",
                "update huiliu_user set title = ?, role = ?, password = ?, must_change = ?,
                        disabled = ?, password_at = ?, last_login_at = ? where name = ?",
                args![
                    &user.title,
                    &user.role,
                    &user.password,
                    user.must_change,
                    user.disabled,
                    &user.password_at,
                    &user.last_login_at,
                    &user.name,
                ],
            )
            .await?;
        if changed == 1 { Ok(()) } else { Err(Error::internal("a user vanished")) }
    }

    /// Stores to which rows a user is limited. Nothing else writes that, so that a login at the
    /// same time cannot put back what was there before.
    pub async fn put_limits(&mut self, name: &str, limits: Option<String>) -> Result<()> {
        let sql = "update huiliu_user set limits = ? where name = ?";
        let changed = self.run("limit a user", sql, args![limits, name]).await?;
        if changed == 1 { Ok(()) } else { Err(Error::internal("a user vanished")) }
    }

    /// Keeps what the codes of a user are made of, in the place of what there was.
    pub async fn put_second_factor(&mut self, name: &str, secret: &str) -> Result<()> {
        self.run(
            "keep a second factor",
            "insert into huiliu_second_factor (user_name, secret, last_step) values (?, ?, 0)
             on conflict (user_name) do update set secret = excluded.secret, last_step = 0",
            args![name, secret],
        )
        .await
        .map(drop)
    }

    /// Asks a user for no more codes. False when none were asked for.
    pub async fn remove_second_factor(&mut self, name: &str) -> Result<bool> {
        let sql = "delete from huiliu_second_factor where user_name = ?";
        Ok(self.run("remove a second factor", sql, args![name]).await? == 1)
    }

    /// Begins a session.
    pub async fn put_login(&mut self, login: &LoginRow) -> Result<()> {
        self.run(
            "begin a session",
            "insert into huiliu_session (token_hash, user_name, created_at, seen_at, address)
             values (?, ?, ?, ?, ?)",
            args![
                &login.token_hash,
                &login.user_name,
                &login.created_at,
                &login.seen_at,
                &login.address,
            ],
        )
        .await
        .map(drop)
    }

    /// Ends one session.
    pub async fn end_login(&mut self, token_hash: &str) -> Result<()> {
        let sql = "delete from huiliu_session where token_hash = ?";
        self.run("end a session", sql, args![token_hash]).await.map(drop)
    }

    /// Ends the sessions of a user, but the one that is kept.
    pub async fn end_logins(&mut self, user: &str, kept: &str) -> Result<u64> {
        let sql = "delete from huiliu_session where user_name = ? and token_hash <> ?";
        self.run("end sessions", sql, args![user, kept]).await
    }

    /// Forgets sessions that began before `created` or were last used before `seen`.
    pub async fn forget_logins(&mut self, created: &str, seen: &str) -> Result<u64> {
        let sql = "delete from huiliu_session where created_at < ? or seen_at < ?";
        self.run("forget old sessions", sql, args![created, seen]).await
    }

    /// Adds a token.
    pub async fn put_token(&mut self, token: &TokenRow) -> Result<()> {
        self.run(
            "add a token",
            "insert into huiliu_token (token_id, user_name, title, secret_hash, scram, scopes,
                                       created_at, expires_at)
             values (?, ?, ?, ?, ?, ?, ?, ?)",
            args![
                &token.token_id,
                &token.user_name,
                &token.title,
                &token.secret_hash,
                &token.scram,
                &token.scopes,
                &token.created_at,
                &token.expires_at,
            ],
        )
        .await
        .map(drop)
    }

    /// Revokes a token. False when there is none that is not revoked.
    pub async fn revoke_token(&mut self, id: &str, now: &str) -> Result<bool> {
        let sql = "update huiliu_token set revoked_at = ?
                   where token_id = ? and revoked_at is null";
        Ok(self.run("revoke a token", sql, args![now, id]).await? == 1)
    }

    /// Takes the one-time token away, whose hash must be `hash`. False when it is another one.
    pub async fn take_first_account(&mut self, hash: &str) -> Result<bool> {
        let sql = "delete from huiliu_meta where key = ? and value = ?";
        let taken = self.run("take the one-time token", sql, args![FIRST, hash]).await?;
        Ok(taken == 1 && self.count_users().await? == 0)
    }
}

//! Accounts and tokens of others, and the audit.

use axum::extract::Path;
use huiliu_core::access::Role;
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::{AuditFilter, AuditRow};
use serde_json::json;

use super::account::wanted;
use crate::console::desk::{Answer, Desk, go_on, segment};
use crate::console::pages::audit::{self, Checked};
use crate::console::pages::user;
use crate::data::{AuditQuery, AuditRecord, AuditState, NewUser, Page};
use crate::identity::By;
use crate::web::Form;

fn role(form: &Form) -> Result<Role> {
    let word = form.text("role")?;
    Role::parse(word).ok_or_else(|| {
        Error::new(ErrorKind::Config, "E-REQUEST", format!("`{word}` is no role"))
    })
}

/// All users.
pub(in crate::console) async fn users_page(desk: Desk) -> Answer {
    let users = desk.app.accounts().users().await?;
    desk.show(&user::list(&desk.page, &users))
}

/// Makes a user.
pub(in crate::console) async fn make_user(mut desk: Desk, form: Form) -> Answer {
    let by = By::visitor(desk.visitor()?);
    let name = form.text("name")?.to_owned();
    let new = NewUser {
        name: name.clone(),
        title: form.get("title").unwrap_or_default().trim().to_owned(),
        role: role(&form)?,
        password: form.get("password").unwrap_or_default().to_owned(),
    };
    match desk.app.accounts().add_user(&new, &by).await {
        Ok(_) => go_on(&format!("/users/{}", segment(&name)), "made"),
        Err(error) => {
            let users = desk.app.accounts().users().await?;
            desk.show_fault(&error, |page| user::list(page, &users))
        }
    }
}

/// One user.
pub(in crate::console) async fn user_page(desk: Desk, Path(name): Path<String>) -> Answer {
    let accounts = desk.app.accounts();
    let found = accounts.user(&name).await?;
    let logins = accounts.logins(Some(&name), desk.visitor()?).await?;
    let tokens = accounts.tokens(Some(&name)).await?;
    desk.show(&user::user(&desk.page, &found, &logins, &tokens))
}

fn back(name: &str, done: &str) -> Answer {
    go_on(&format!("/users/{}", segment(name)), done)
}

/// Gives a user another role.
pub(in crate::console) async fn set_role(desk: Desk, Path(name): Path<String>, form: Form) -> Answer {
    let by = By::visitor(desk.visitor()?);
    desk.app.accounts().set_role(&name, role(&form)?, &by).await?;
    back(&name, "changed")
}

/// Gives a user another password.
pub(in crate::console) async fn reset_password(
    desk: Desk,
    Path(name): Path<String>,
    form: Form,
) -> Answer {
    let by = By::visitor(desk.visitor()?);
    let password = form.get("password").unwrap_or_default();
    desk.app.accounts().reset_password(&name, password, &by).await?;
    back(&name, "changed")
}

/// Lets a user in no more.
pub(in crate::console) async fn disable(desk: Desk, Path(name): Path<String>) -> Answer {
    desk.app.accounts().disable(&name, &By::visitor(desk.visitor()?)).await?;
    back(&name, "changed")
}

/// Lets a user in again.
pub(in crate::console) async fn enable(desk: Desk, Path(name): Path<String>) -> Answer {
    desk.app.accounts().enable(&name, &By::visitor(desk.visitor()?)).await?;
    back(&name, "changed")
}

/// Ends a session of a user.
pub(in crate::console) async fn end_session(
    desk: Desk,
    Path(name): Path<String>,
    form: Form,
) -> Answer {
    let by = By::visitor(desk.visitor()?);
    desk.app.accounts().end_login(form.text("id")?, Some(&name), &by).await?;
    back(&name, "ended")
}

/// All tokens.
pub(in crate::console) async fn tokens_page(desk: Desk) -> Answer {
    let tokens = desk.app.accounts().tokens(None).await?;
    desk.show(&user::tokens(&desk.page, &tokens))
}

/// Makes a token of a user.
pub(in crate::console) async fn make_token(desk: Desk, form: Form) -> Answer {
    let by = By::visitor(desk.visitor()?);
    let name = form.text("user")?;
    let made = desk.app.accounts().make_token(name, &wanted(&form)?, &by).await?;
    let back = format!("/users/{}", segment(name));
    desk.show(&user::made(&desk.page, &made.secret, &made.token, &back))
}

/// Revokes a token.
pub(in crate::console) async fn revoke_token(desk: Desk, form: Form) -> Answer {
    let by = By::visitor(desk.visitor()?);
    desk.app.accounts().revoke_token(form.text("id")?, None, &by).await?;
    go_on("/tokens", "revoked")
}

async fn audit_rows(desk: &Desk) -> Result<(AuditQuery, Page<AuditRecord>)> {
    let query = AuditQuery { who: desk.asked("who"), action: desk.asked("action") };
    let place = desk.place();
    let filter = AuditFilter {
        before: place.cursor.as_deref().and_then(|cursor| cursor.parse().ok()),
        who: query.who.clone(),
        action: query.action.clone(),
    };
    let limit = place.limit();
    let rows = desk.app.accounts().store().audit_page(&filter, limit + 1).await?;
    let has_more = rows.len() > limit as usize;
    let items: Vec<AuditRecord> =
        rows.into_iter().take(limit as usize).map(record).collect();
    let next = items.last().filter(|_| has_more).map(|last| last.id.to_string());
    Ok((query, Page { items, next, total: None }))
}

fn record(row: AuditRow) -> AuditRecord {
    AuditRecord {
        id: row.audit_id,
        at: row.at,
        who: row.who,
        action: row.action,
        object: row.object,
        reason: row.reason,
        before: row.before,
        after: row.after,
        hash: row.hash,
    }
}

/// The audit.
pub(in crate::console) async fn audit_page(desk: Desk) -> Answer {
    let (query, rows) = audit_rows(&desk).await?;
    let what = json!({ "door": "console", "rows": rows.items.len() });
    desk.app.accounts().note_read(desk.visitor()?, "audit read", "audit", what).await?;
    desk.show(&audit::list(&desk.page, &query, &rows, &Checked::No))
}

/// Checks the whole chain.
pub(in crate::console) async fn verify_audit(desk: Desk) -> Answer {
    let checked = match desk.app.accounts().store().verify_audit(None).await {
        Ok(found) => Checked::Holds(AuditState {
            rows: found.rows as u64,
            last_id: found.last_id,
            last_hash: found.last_hash,
        }),
        Err(error) if error.code() == "E-AUDIT" => Checked::Broken(error.message().to_owned()),
        Err(error) => return Err(error.into()),
    };
    let (query, rows) = audit_rows(&desk).await?;
    let what = json!({ "door": "console", "holds": matches!(checked, Checked::Holds(_)) });
    desk.app.accounts().note_read(desk.visitor()?, "audit verify", "audit", what).await?;
    desk.show(&audit::list(&desk.page, &query, &rows, &checked))
}

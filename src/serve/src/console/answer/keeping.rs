//! Accounts and tokens of others, and the audit.

use axum::extract::Path;
use huiliu_core::access::{Limits, Role};
use huiliu_sdk::{Error, ErrorKind, Result};

use super::account::wanted;
use crate::console::desk::{Answer, Desk, go_on, segment};
use crate::console::pages::audit::{self, Checked};
use crate::console::pages::user;
use crate::data::{AuditQuery, NewUser};
use crate::identity::By;
use crate::web::Form;

fn role(form: &Form) -> Result<Role> {
    let word = form.text("role")?;
    Role::parse(word)
        .ok_or_else(|| Error::new(ErrorKind::Config, "E-REQUEST", format!("`{word}` is no role")))
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
pub(in crate::console) async fn set_role(
    desk: Desk,
    Path(name): Path<String>,
    form: Form,
) -> Answer {
    let by = By::visitor(desk.visitor()?);
    desk.app.accounts().set_role(&name, role(&form)?, &by).await?;
    back(&name, "changed")
}

/// Limits the rows that a user sees.
pub(in crate::console) async fn set_limits(
    desk: Desk,
    Path(name): Path<String>,
    form: Form,
) -> Answer {
    let by = By::visitor(desk.visitor()?);
    let words = |field: &str| -> Vec<String> {
        let text = form.get(field).unwrap_or_default();
        let words = text.split([',', '，', '、', ';', '；', '\n']).map(str::trim);
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let limits = Limits { divisions: words("divisions"), departments: words("departments") };
    desk.app.accounts().set_limits(&name, limits, &by).await?;
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

/// Asks a user for no more codes.
pub(in crate::console) async fn reset_second_factor(
    desk: Desk,
    Path(name): Path<String>,
) -> Answer {
    let by = By::visitor(desk.visitor()?);
    desk.app.accounts().remove_second_factor(&name, &by).await?;
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

fn audit_query(desk: &Desk) -> AuditQuery {
    AuditQuery { who: desk.asked("who"), action: desk.asked("action") }
}

/// The audit.
pub(in crate::console) async fn audit_page(desk: Desk) -> Answer {
    let query = audit_query(&desk);
    let rows = desk.app.audit(&query, &desk.place()).await?;
    desk.show(&audit::list(&desk.page, &query, &rows, &Checked::No))
}

/// Checks the whole chain.
pub(in crate::console) async fn verify_audit(desk: Desk) -> Answer {
    let checked = match desk.app.verify_audit(None).await {
        Ok(found) => Checked::Holds(found),
        Err(error) if error.code() == "E-AUDIT" => Checked::Broken(error.message().to_owned()),
        Err(error) => return Err(error.into()),
    };
    let query = audit_query(&desk);
    let rows = desk.app.audit(&query, &desk.place()).await?;
    desk.show(&audit::list(&desk.page, &query, &rows, &checked))
}

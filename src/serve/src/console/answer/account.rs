//! One's own account.

use huiliu_core::access::Permission;
use huiliu_sdk::{Error, ErrorKind, Result};

use crate::console::desk::{Answer, Desk, go_on};
use crate::console::layout::Reader;
use crate::console::pages::{account, user};
use crate::data::NewToken;
use crate::identity::By;
use crate::web::Form;

/// One's own account.
pub(in crate::console) async fn account_page(desk: Desk) -> Answer {
    let visitor = desk.visitor()?;
    let accounts = desk.app.accounts();
    let logins = accounts.logins(Some(&visitor.user), visitor).await?;
    let tokens = accounts.tokens(Some(&visitor.user)).await?;
    let me =
        Reader { name: visitor.user.clone(), title: visitor.title.clone(), role: visitor.role };
    desk.show(&account::account(&desk.page, &me, &logins, &tokens))
}

/// Ends one of one's own sessions.
pub(in crate::console) async fn end_my_session(desk: Desk, form: Form) -> Answer {
    let visitor = desk.visitor()?;
    let by = By::visitor(visitor);
    desk.app.accounts().end_login(form.text("id")?, Some(&visitor.user), &by).await?;
    go_on("/account", "ended")
}

/// A token as a form asks for it.
pub(super) fn wanted(form: &Form) -> Result<NewToken> {
    let scopes: Vec<Permission> =
        form.all("scope").into_iter().filter_map(Permission::parse).collect();
    if scopes.is_empty() {
        return Err(Error::new(ErrorKind::Config, "E-TOKEN-SCOPE", "the token may do nothing")
            .hint("tick what it may do"));
    }
    Ok(NewToken {
        title: form.text("title")?.to_owned(),
        scopes,
        days: Some(form.text("days")?.parse().unwrap_or(0)),
    })
}

/// Makes a token of one's own.
pub(in crate::console) async fn make_my_token(desk: Desk, form: Form) -> Answer {
    let visitor = desk.visitor()?;
    let by = By::visitor(visitor);
    let made = desk.app.accounts().make_token(&visitor.user, &wanted(&form)?, &by).await?;
    desk.show(&user::made(&desk.page, &made.secret, &made.token, "/account"))
}

/// Revokes a token of one's own.
pub(in crate::console) async fn revoke_my_token(desk: Desk, form: Form) -> Answer {
    let visitor = desk.visitor()?;
    let by = By::visitor(visitor);
    desk.app.accounts().revoke_token(form.text("id")?, Some(&visitor.user), &by).await?;
    go_on("/account", "revoked")
}

//! Oneself, the accounts, and the audit.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use huiliu_core::access::{Limits, Permission, Role};
use huiliu_sdk::{Error, ErrorKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::{self, Path, Query};
use super::operate::{Reason, deed};
use crate::data::{
    AuditQuery, AuditRecord, AuditState, Login, NewToken, NewUser, Page, PageQuery, Token, User,
};
use crate::identity::{By, Entry, FirstAdmin, LoggedIn, Visitor};
use crate::web::{Address, App, Failure, clear_session, session_cookie};

type Answer<T> = Result<Json<T>, Failure>;

/// Who asks.
#[derive(Serialize, JsonSchema)]
pub(super) struct Me {
    /// The user's name.
    user: String,
    /// The user's name for people.
    title: String,
    /// The user's role.
    role: Role,
    /// Which rows are seen.
    limits: Limits,
    /// What may be done now.
    permissions: Vec<Permission>,
    /// Whether the password must be changed before anything else.
    must_change: bool,
    /// What changes send along as `X-CSRF-Token`; empty for a token.
    csrf: String,
}

impl Me {
    fn of(visitor: &Visitor) -> Self {
        Self {
            user: visitor.user.clone(),
            title: visitor.title.clone(),
            role: visitor.role,
            limits: visitor.limits.clone(),
            permissions: Permission::ALL.into_iter().filter(|p| visitor.may(*p)).collect(),
            must_change: visitor.must_change,
            csrf: visitor.csrf.clone(),
        }
    }
}

/// A login.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginRequest {
    /// The user's name.
    user: String,
    /// The password.
    password: String,
    /// The code of the authenticator app, for an account that has one.
    code: Option<String>,
}

pub(super) async fn login(
    State(app): State<Arc<App>>,
    Address(address): Address,
    input::Json(LoginRequest { user, password, code }): input::Json<LoginRequest>,
) -> Result<Response, Failure> {
    let code = code.unwrap_or_default();
    let login = app.accounts().login(user.trim(), &password, &code, &address);
    let logged_in = Box::pin(login).await?;
    with_cookie(&app, &logged_in)
}

fn with_cookie(app: &App, logged_in: &LoggedIn) -> Result<Response, Failure> {
    let cookie = session_cookie(app.settings(), &logged_in.secret)?;
    let mut response = Json(Me::of(&logged_in.visitor)).into_response();
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// The first administrator.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FirstRequest {
    /// The one-time token that the service printed.
    token: String,
    /// The name to log in with.
    name: String,
    /// The name for people.
    title: String,
    /// The password.
    password: String,
}

pub(super) async fn first(
    State(app): State<Arc<App>>,
    Address(address): Address,
    input::Json(request): input::Json<FirstRequest>,
) -> Result<Response, Failure> {
    let FirstRequest { token, name, title, password } = request;
    let first = FirstAdmin { token, name, title, password };
    let logged_in = Box::pin(app.accounts().make_first(&first, &address)).await?;
    with_cookie(&app, &logged_in)
}

pub(super) async fn logout(
    State(app): State<Arc<App>>,
    visitor: Visitor,
) -> Result<Response, Failure> {
    app.accounts().logout(&visitor).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(SET_COOKIE, clear_session(app.settings())?);
    let all = HeaderValue::from_static("\"cache\", \"cookies\", \"storage\"");
    headers.insert(HeaderName::from_static("clear-site-data"), all);
    Ok(response)
}

pub(super) async fn me(visitor: Visitor) -> Json<Me> {
    Json(Me::of(&visitor))
}

/// What a token of a program must not do, however much it may otherwise.
fn in_person(visitor: &Visitor) -> Result<(), Failure> {
    match visitor.entry {
        Entry::Session(_) => Ok(()),
        Entry::Token(_) => {
            let message = "this is done in person, not with a token";
            Err(Error::new(ErrorKind::Permission, "E-FORBIDDEN", message)
                .hint("log in with the password")
                .into())
        }
    }
}

/// A change of the own password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordChange {
    /// The password as it is.
    old: String,
    /// The password as it will be.
    new: String,
}

pub(super) async fn change_password(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    input::Json(PasswordChange { old, new }): input::Json<PasswordChange>,
) -> Result<StatusCode, Failure> {
    in_person(&visitor)?;
    Box::pin(app.accounts().change_password(&visitor, &old, &new)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn my_tokens(State(app): State<Arc<App>>, visitor: Visitor) -> Answer<Vec<Token>> {
    Ok(Json(app.accounts().tokens(Some(&visitor.user)).await?))
}

/// A token that was made.
#[derive(Serialize, JsonSchema)]
pub(super) struct TokenAnswer {
    /// The token itself, shown this once.
    secret: String,
    /// What is kept of it.
    #[serde(flatten)]
    token: Token,
}

pub(super) async fn make_token(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    input::Json(new): input::Json<NewToken>,
) -> Result<(StatusCode, Json<TokenAnswer>), Failure> {
    in_person(&visitor)?;
    let made = app.accounts().make_token(&visitor.user, &new, &By::visitor(&visitor)).await?;
    let answer = TokenAnswer { secret: made.secret, token: made.token };
    Ok((StatusCode::CREATED, Json(answer)))
}

pub(super) async fn revoke_my_token(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    let by = By::visitor(&visitor);
    app.accounts().revoke_token(&id, Some(&visitor.user), &by).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn my_sessions(
    State(app): State<Arc<App>>,
    visitor: Visitor,
) -> Answer<Vec<Login>> {
    Ok(Json(app.accounts().logins(Some(&visitor.user), &visitor).await?))
}

pub(super) async fn end_my_session(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    app.accounts().end_login(&id, Some(&visitor.user), &By::visitor(&visitor)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn users(State(app): State<Arc<App>>) -> Answer<Vec<User>> {
    Ok(Json(app.accounts().users().await?))
}

pub(super) async fn user(State(app): State<Arc<App>>, Path(name): Path<String>) -> Answer<User> {
    Ok(Json(app.accounts().user(&name).await?))
}

pub(super) async fn add_user(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    input::Json(new): input::Json<NewUser>,
) -> Result<(StatusCode, Json<User>), Failure> {
    let user = Box::pin(app.accounts().add_user(&new, &By::visitor(&visitor))).await?;
    Ok((StatusCode::CREATED, Json(user)))
}

/// Another role, and why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleChange {
    /// The role.
    role: Role,
    /// Why, for the audit.
    reason: String,
}

fn by(visitor: &Visitor, reason: &str) -> Result<By, Failure> {
    let deed = deed(visitor, reason)?;
    Ok(By::visitor(visitor).because(&deed.reason))
}

pub(super) async fn set_role(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(name): Path<String>,
    input::Json(RoleChange { role, reason }): input::Json<RoleChange>,
) -> Answer<User> {
    Ok(Json(app.accounts().set_role(&name, role, &by(&visitor, &reason)?).await?))
}

/// Other limits, and why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsChange {
    /// Which rows the user sees from now on; all with empty lists.
    limits: Limits,
    /// Why, for the audit.
    reason: String,
}

pub(super) async fn set_limits(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(name): Path<String>,
    input::Json(LimitsChange { limits, reason }): input::Json<LimitsChange>,
) -> Answer<User> {
    Ok(Json(app.accounts().set_limits(&name, limits, &by(&visitor, &reason)?).await?))
}

pub(super) async fn disable(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(name): Path<String>,
    input::Json(Reason { reason }): input::Json<Reason>,
) -> Answer<User> {
    Ok(Json(app.accounts().disable(&name, &by(&visitor, &reason)?).await?))
}

pub(super) async fn enable(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(name): Path<String>,
    input::Json(Reason { reason }): input::Json<Reason>,
) -> Answer<User> {
    Ok(Json(app.accounts().enable(&name, &by(&visitor, &reason)?).await?))
}

/// Another password, and why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordReset {
    /// The password, which the user must change at the next login.
    password: String,
    /// Why, for the audit.
    reason: String,
}

pub(super) async fn reset_password(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(name): Path<String>,
    input::Json(PasswordReset { password, reason }): input::Json<PasswordReset>,
) -> Answer<User> {
    let by = by(&visitor, &reason)?;
    Ok(Json(Box::pin(app.accounts().reset_password(&name, &password, &by)).await?))
}

pub(super) async fn reset_second_factor(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(name): Path<String>,
    input::Json(Reason { reason }): input::Json<Reason>,
) -> Answer<User> {
    Ok(Json(app.accounts().remove_second_factor(&name, &by(&visitor, &reason)?).await?))
}

pub(super) async fn make_user_token(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(name): Path<String>,
    input::Json(new): input::Json<NewToken>,
) -> Result<(StatusCode, Json<TokenAnswer>), Failure> {
    in_person(&visitor)?;
    let made = app.accounts().make_token(&name, &new, &By::visitor(&visitor)).await?;
    let answer = TokenAnswer { secret: made.secret, token: made.token };
    Ok((StatusCode::CREATED, Json(answer)))
}

pub(super) async fn tokens(State(app): State<Arc<App>>) -> Answer<Vec<Token>> {
    Ok(Json(app.accounts().tokens(None).await?))
}

pub(super) async fn revoke_token(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    app.accounts().revoke_token(&id, None, &By::visitor(&visitor)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn sessions(State(app): State<Arc<App>>, visitor: Visitor) -> Answer<Vec<Login>> {
    Ok(Json(app.accounts().logins(None, &visitor).await?))
}

pub(super) async fn end_session(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    app.accounts().end_login(&id, None, &By::visitor(&visitor)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn audit(
    State(app): State<Arc<App>>,
    Query(query): Query<AuditQuery>,
    Query(page): Query<PageQuery>,
) -> Answer<Page<AuditRecord>> {
    Ok(Json(app.audit(&query, &page).await?))
}

/// A hash that must still be there.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Expected {
    /// A hash that was noted earlier, against rows cut off at the end.
    expect: Option<String>,
}

pub(super) async fn verify_audit(
    State(app): State<Arc<App>>,
    Query(Expected { expect }): Query<Expected>,
) -> Answer<AuditState> {
    Ok(Json(app.verify_audit(expect.as_deref()).await?))
}

//! From the options under `auth` to what requests carry.

use huiliu_httpkit::{HeaderValue, Method, Url, basic, header};
use huiliu_sdk::ConfigErrors;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use crate::auth::{Auth, Carrier, TokenPlan};
use crate::body::AnswerPlan;
use crate::call::{Body, Draft, address};
use crate::config::{AnswerOptions, AuthOptions, ClientCredentials};
use crate::plan::{place, time};
use crate::pointer::scalar;
use crate::push::header_name;

/// What requests carry, or faults.
pub(crate) fn auth(
    options: AuthOptions,
    base: &Url,
    secrets: &mut Vec<String>,
    errors: &mut ConfigErrors,
) -> Option<Auth> {
    match options {
        AuthOptions::None => Some(Auth::None),
        AuthOptions::Bearer { token } => {
            secrets.push(token.0.clone());
            fits(&token.0, "auth.token", errors)?;
            Some(Auth::Fixed(Carrier::Header(header::AUTHORIZATION, "Bearer ".to_owned()), token.0))
        }
        AuthOptions::Basic { user, password } => {
            let value = basic(&user, &password.0);
            secrets.push(password.0);
            fits(&value, "auth.password", errors)?;
            Some(Auth::Fixed(Carrier::Header(header::AUTHORIZATION, String::new()), value))
        }
        AuthOptions::ApiKey { header, query, value } => {
            let carrier = carrier(header, query, None, "", errors);
            secrets.push(value.0.clone());
            fits(&value.0, "auth.value", errors)?;
            Some(Auth::Fixed(carrier?, value.0))
        }
        AuthOptions::Oauth2 { path, client_id, client_secret, scope, credentials } => {
            secrets.push(client_secret.0.clone());
            let url = address(base, &path, "auth", errors);
            let mut form = vec![("grant_type".to_owned(), "client_credentials".to_owned())];
            form.extend(scope.map(|scope| ("scope".to_owned(), scope)));
            let mut request = Draft::new(Method::POST, url?);
            match credentials {
                ClientCredentials::Header => {
                    let value = basic(&client_id, &client_secret.0);
                    let value = fits(&value, "auth.client_secret", errors)?;
                    request.headers.push((header::AUTHORIZATION, value));
                }
                ClientCredentials::Body => {
                    form.push(("client_id".to_owned(), client_id));
                    form.push(("client_secret".to_owned(), client_secret.0));
                }
            }
            request.body = Body::Form(form);
            Some(Auth::Token(Box::new(TokenPlan {
                request,
                answer: AnswerPlan::default(),
                token: place("/access_token", "auth", errors),
                expires_in: Some(place("/expires_in", "auth", errors)),
                ttl: None,
                carrier: Carrier::Header(header::AUTHORIZATION, "Bearer ".to_owned()),
                held: Mutex::new(None),
            })))
        }
        AuthOptions::Login {
            path,
            body,
            form,
            format,
            token,
            header,
            query,
            field,
            prefix,
            ttl,
            expires_in,
        } => {
            let url = address(base, &path, "auth", errors);
            // Short values such as `1` are no secrets, and would blot out half of each message.
            secrets.extend(
                body.values()
                    .filter_map(Value::as_str)
                    .filter(|text| text.len() >= 4)
                    .map(str::to_owned),
            );
            let carrier = match (&header, &query, &field) {
                (None, None, None) => Some(Carrier::Header(header::AUTHORIZATION, prefix)),
                _ => carrier(header, query, field, &prefix, errors),
            };
            let answer = AnswerOptions { format, ..AnswerOptions::default() };
            let answer = AnswerPlan::new(answer, "auth", errors);
            let token = place(&token, "auth.token", errors);
            let expires_in = expires_in.map(|text| place(&text, "auth.expires_in", errors));
            let ttl = time(ttl.as_deref(), "auth.ttl", errors);
            let mut request = Draft::new(Method::POST, url?);
            request.body = if form { form_of(&body, errors) } else { Body::Json(body.into()) };
            let (carrier, held) = (carrier?, Mutex::new(None));
            let plan = TokenPlan { request, answer, token, expires_in, ttl, carrier, held };
            Some(Auth::Token(Box::new(plan)))
        }
    }
}

/// The one place that is given.
fn carrier(
    header: Option<String>,
    query: Option<String>,
    field: Option<String>,
    prefix: &str,
    errors: &mut ConfigErrors,
) -> Option<Carrier> {
    match (header, query, field) {
        (Some(header), None, None) => {
            let name = header_name(&header, "auth.header", errors)?;
            Some(Carrier::Header(name, prefix.to_owned()))
        }
        (None, Some(query), None) => Some(Carrier::Query(query)),
        (None, None, Some(field)) => Some(Carrier::Field(field)),
        _ => {
            errors.push("auth.header", "exactly one place for the credential must be given");
            None
        }
    }
}

fn form_of(body: &Map<String, Value>, errors: &mut ConfigErrors) -> Body {
    let mut fields = Vec::new();
    for (name, value) in body {
        match scalar(value) {
            Some(text) => fields.push((name.clone(), text)),
            None => errors.push(format!("auth.body.{name}"), "a form holds only texts"),
        }
    }
    Body::Form(fields)
}

fn fits(text: &str, at: &str, errors: &mut ConfigErrors) -> Option<HeaderValue> {
    let value = HeaderValue::from_str(text).ok().filter(|_| !text.trim().is_empty());
    if value.is_none() {
        errors.push(at, "does not fit into a header");
    }
    value
}

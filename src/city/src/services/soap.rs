//! A vertical system that is reached by SOAP 1.1: one operation, whose answer is a document inside a
//! text.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use sqlx::sqlite::SqlitePool;

use super::answer::{Refusal, unknown_address};
use super::xml::VERTICAL;

const LARGEST_PAGE: i64 = 200;

/// What the service works with.
pub(super) struct SoapService {
    pub(super) pool: SqlitePool,
    pub(super) user: String,
    pub(super) password: String,
}

/// The service's address.
pub(super) fn routes(service: Arc<SoapService>) -> Router {
    Router::new()
        .route("/services/CaseService", post(query))
        .fallback(unknown_address)
        .with_state(service)
}

/// The text of the element `name`, whatever its prefix. The values looked for are plain.
fn element<'b>(body: &'b str, name: &str) -> Option<&'b str> {
    let close = format!("{name}>");
    let (_, rest) = body.split_once(&close)?;
    Some(rest.split('<').next().unwrap_or_default().trim())
}

fn envelope(status: StatusCode, body: &str) -> Response {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soapenv:Envelope \
         xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"><soapenv:Body>{body}\
         </soapenv:Body></soapenv:Envelope>"
    );
    (status, [(CONTENT_TYPE, "text/xml; charset=utf-8")], text).into_response()
}

fn fault(reason: &str) -> Response {
    let body = format!(
        "<soapenv:Fault><faultcode>soapenv:Client</faultcode><faultstring>{reason}</faultstring>\
         </soapenv:Fault>"
    );
    envelope(StatusCode::INTERNAL_SERVER_ERROR, &body)
}

async fn query(State(service): State<Arc<SoapService>>, body: String) -> Result<Response, Refusal> {
    let is_known = element(&body, "user") == Some(service.user.as_str())
        && element(&body, "password") == Some(service.password.as_str());
    if !is_known {
        return Ok(fault("用户名或密码错误"));
    }
    let number = |name: &str| element(&body, name).and_then(|text| text.parse::<i64>().ok());
    let (Some(page @ 1..), Some(rows @ 1..=LARGEST_PAGE)) = (number("page"), number("rows")) else {
        return Ok(fault("page或rows错误"));
    };
    let (total, list) = VERTICAL.page(&service.pool, None, (page - 1) * rows, rows).await?;
    let mut document =
        format!("<?xml version=\"1.0\" encoding=\"GBK\"?><DATA><TOTAL>{total}</TOTAL>");
    for row in &list {
        document.push_str("<ROW>");
        for (_, name) in VERTICAL.columns {
            let value = row[*name].as_str().unwrap_or_default();
            document.push_str(&format!("<{name}>{value}</{name}>"));
        }
        document.push_str("</ROW>");
    }
    document.push_str("</DATA>");
    let text = document.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Ok(envelope(
        StatusCode::OK,
        &format!(
            "<ns:queryResponse xmlns:ns=\"http://case.example/\"><return>{text}</return>\
             </ns:queryResponse>"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_whatever_their_prefix() {
        let body = "<q:query><q:user>u1</q:user><page> 2 </page></q:query>";
        assert_eq!(element(body, "user"), Some("u1"));
        assert_eq!(element(body, "page"), Some("2"));
        assert_eq!(element(body, "rows"), None);
    }
}

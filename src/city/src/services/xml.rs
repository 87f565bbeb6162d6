//! Systems that answer in XML and GBK: a token first, then forms. The department of human resources
//! and some systems of the province's own departments are of this kind.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use sqlx::sqlite::SqlitePool;
use tokio::time::Instant;

use super::answer::{Refusal, unknown_address};
use super::form;
use super::listing::Listing;
use super::token::Tokens;

const LARGEST_PAGE: i64 = 200;

/// What the department of human resources gives out.
pub(super) const HRSS: Listing = Listing {
    table: "spbanjie",
    columns: &[
        ("sblsh_short", "SBLSH_SHORT"),
        ("sxbm", "SXBM"),
        ("sqrxm", "SQRXM"),
        ("bjbmmc", "BJBMMC"),
        ("xzqhdm", "XZQHDM"),
        ("bjjgdm", "BJJGDM"),
        ("slsj", "SLSJ"),
        ("bjsj", "BJSJ"),
    ],
};

/// What a vertical system gives out.
pub(super) const VERTICAL: Listing = Listing {
    table: "spbanjie",
    columns: &[
        ("sblsh", "SBLSH"),
        ("ptbjbh", "PTBJBH"),
        ("sxbm", "SXBM"),
        ("sxmc", "SXMC"),
        ("bjbmmc", "BJBMMC"),
        ("bjjgdm", "BJJGDM"),
        ("slsj", "SLSJ"),
        ("bjsj", "BJSJ"),
    ],
};

/// What the service works with.
pub(super) struct XmlService {
    pub(super) pool: SqlitePool,
    pub(super) key: String,
    pub(super) secret: String,
    pub(super) tokens: Mutex<Tokens>,
    pub(super) listing: &'static Listing,
}

/// The service's addresses.
pub(super) fn routes(service: Arc<XmlService>) -> Router {
    Router::new()
        .route("/approve/getXmlToken", post(token))
        .route("/approve/queryBusinessFinish", post(finished))
        .fallback(unknown_address)
        .with_state(service)
}

/// A document in GBK; its own words have no sign that XML would read as its own.
fn document(status: &str, words: &str, rest: &str) -> Response {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"GBK\"?>\n<RESULT><STATUS>{status}</STATUS>\
         <DESC>{words}</DESC>{rest}</RESULT>"
    );
    let bytes = encoding_rs::GBK.encode(&text).0.into_owned();
    ([(CONTENT_TYPE, "text/xml")], bytes).into_response()
}

async fn token(State(service): State<Arc<XmlService>>, form: String) -> Response {
    let fields = form::fields(&form);
    let is_known =
        fields.get("key") == Some(&service.key) && fields.get("secret") == Some(&service.secret);
    if !is_known {
        return document("300", "密钥不正确", "");
    }
    let mut tokens = service.tokens.lock().unwrap_or_else(PoisonError::into_inner);
    let token = tokens.issue(&service.secret, Instant::now());
    document("200", "成功", &format!("<TOKEN>{token}</TOKEN>"))
}

async fn finished(
    State(service): State<Arc<XmlService>>,
    form: String,
) -> Result<Response, Refusal> {
    let fields = form::fields(&form);
    let is_known = fields.get("accessToken").is_some_and(|token| {
        let tokens = service.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.is_valid(token, Instant::now())
    });
    if !is_known {
        return Ok(document("300", "令牌无效", ""));
    }
    let number = |name: &str| fields.get(name).and_then(|text| text.parse::<i64>().ok());
    let (Some(page @ 1..), Some(size @ 1..=LARGEST_PAGE)) = (number("pageNo"), number("pageSize"))
    else {
        return Ok(document("300", "pageNo或pageSize错误", ""));
    };
    let (total, rows) = service.listing.page(&service.pool, None, (page - 1) * size, size).await?;
    let mut list = format!("<TOTAL>{total}</TOTAL><DATA>");
    for row in &rows {
        list.push_str("<SPBANJIE>");
        for (_, name) in service.listing.columns {
            let value = row[*name].as_str().unwrap_or_default();
            list.push_str(&format!("<{name}>{value}</{name}>"));
        }
        list.push_str("</SPBANJIE>");
    }
    list.push_str("</DATA>");
    Ok(document("200", "成功", &list))
}

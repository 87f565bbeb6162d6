//! The department of human resources: a token, then forms that are answered in XML and GBK.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use sqlx::sqlite::SqlitePool;
use tokio::time::Instant;

use super::answer::{Refusal, number, unknown_address};
use super::listing::Listing;
use super::token::Tokens;

const LARGEST_PAGE: i64 = 200;

const FINISHED: Listing = Listing {
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

/// What the service works with.
pub(super) struct Hrss {
    pub(super) pool: SqlitePool,
    pub(super) key: String,
    pub(super) secret: String,
    pub(super) tokens: Mutex<Tokens>,
}

/// The service's addresses.
pub(super) fn routes(hrss: Arc<Hrss>) -> Router {
    Router::new()
        .route("/approve/getXmlToken", post(token))
        .route("/approve/queryBusinessFinish", post(finished))
        .fallback(unknown_address)
        .with_state(hrss)
}

/// The fields of a form. Those that are looked at hold letters and digits only, so nothing has
/// to be decoded.
fn fields(form: &str) -> HashMap<String, String> {
    let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
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

async fn token(State(hrss): State<Arc<Hrss>>, form: String) -> Response {
    let fields = fields(&form);
    let is_known =
        fields.get("key") == Some(&hrss.key) && fields.get("secret") == Some(&hrss.secret);
    if !is_known {
        return document("300", "密钥不正确", "");
    }
    let mut tokens = hrss.tokens.lock().unwrap_or_else(PoisonError::into_inner);
    let token = tokens.issue(&hrss.secret, Instant::now());
    document("200", "成功", &format!("<TOKEN>{token}</TOKEN>"))
}

async fn finished(State(hrss): State<Arc<Hrss>>, form: String) -> Result<Response, Refusal> {
    let fields = fields(&form);
    let is_known = fields.get("accessToken").is_some_and(|token| {
        let tokens = hrss.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.is_valid(token, Instant::now())
    });
    if !is_known {
        return Ok(document("300", "令牌无效", ""));
    }
    let page = number(&fields, "pageNo", 1, 1..=1_000_000)?;
    let size = number(&fields, "pageSize", 100, 1..=LARGEST_PAGE)?;
    let (total, rows) = FINISHED.page(&hrss.pool, None, (page - 1) * size, size).await?;
    let mut list = format!("<TOTAL>{total}</TOTAL><DATA>");
    for row in &rows {
        list.push_str("<SPBANJIE>");
        for (_, name) in FINISHED.columns {
            let value = row[*name].as_str().unwrap_or_default();
            list.push_str(&format!("<{name}>{value}</{name}>"));
        }
        list.push_str("</SPBANJIE>");
    }
    list.push_str("</DATA>");
    Ok(document("200", "成功", &list))
}

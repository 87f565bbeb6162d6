//! Asking the data by SQL, and taking its rows along.

use std::collections::BTreeMap;

use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::IntoResponse;
use serde_json::Value;

use crate::console::desk::{Answer, Desk};
use crate::console::pages::query::{Answered, Limits, workbench};
use crate::sql::ExportFormat;
use crate::web::{FailureInfo, Form};

const LIMITS: Limits = Limits { shown: 200, exported: 100_000, seconds: 60 };
/// What can be asked, by what the catalog says.
const TABLES: &str = "select table_schema, table_name, column_name from information_schema.columns \
                      where table_schema not in ('information_schema', 'pg_catalog') \
                      order by table_schema, table_name, ordinal_position";
/// Columns of all tables together.
const COLUMNS: usize = 20_000;

/// The workbench.
pub(in crate::console) async fn sql_page(desk: Desk) -> Answer {
    let tables = tables(&desk).await;
    desk.show(&workbench(&desk.page, "", &Answered::Nothing, LIMITS, &tables))
}

/// The tables that may be asked, with their columns. The workbench works without knowing.
async fn tables(desk: &Desk) -> Vec<(String, Vec<String>)> {
    let Ok(visitor) = desk.visitor() else { return Vec::new() };
    let found = match desk.app.sql().query(visitor, TABLES, COLUMNS).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, code = error.code(), "the tables could not be listed");
            return Vec::new();
        }
    };
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in &found.rows {
        let text = |at: usize| row.get(at).and_then(Value::as_str).unwrap_or_default();
        tables.entry(format!("{}.{}", text(0), text(1))).or_default().push(text(2).to_owned());
    }
    tables.into_iter().collect()
}

/// Answers a query.
pub(in crate::console) async fn sql(desk: Desk, form: Form) -> Answer {
    let sql = form.text("sql")?;
    let tables = tables(&desk).await;
    let began = desk.app.accounts().clock_now();
    let found = desk.app.sql().query(desk.visitor()?, sql, LIMITS.shown).await;
    let took = (desk.app.accounts().clock_now() - began).num_milliseconds().max(0).unsigned_abs();
    match found {
        Ok(table) => {
            let answered = Answered::Rows(&table, took);
            desk.show(&workbench(&desk.page, sql, &answered, LIMITS, &tables))
        }
        Err(error) => {
            let info = FailureInfo::of(&error);
            let (meaning, hint) = info.texts(&desk.app, desk.page.language);
            // Where the text is wrong is said by the engine, whatever the language.
            let message = match meaning == info.message || info.status.is_server_error() {
                true => meaning,
                false => format!("{meaning} · {}", info.message),
            };
            let answered = Answered::Failed(info.code, &message, hint.as_deref());
            let mut response =
                desk.show(&workbench(&desk.page, sql, &answered, LIMITS, &tables))?;
            *response.status_mut() = info.status;
            Ok(response)
        }
    }
}

/// Takes the rows of a query along.
pub(in crate::console) async fn sql_export(desk: Desk, form: Form) -> Answer {
    let format = match form.get("as") {
        Some("xlsx") => ExportFormat::Xlsx,
        _ => ExportFormat::CsvForPeople,
    };
    let bytes = desk.app.sql().export(desk.visitor()?, form.text("sql")?, format).await?;
    let headers =
        [(CONTENT_TYPE, format.content_type()), (CONTENT_DISPOSITION, format.disposition())];
    Ok((headers, bytes).into_response())
}

//! Cases pushed to the province: stored before they are answered, told apart by request id. A case
//! that the province has is corrected at once, one that it lacks is taken in by night.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::HeaderMap;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row, Sqlite, Transaction};

use super::answer::{Answer, Parameters, Refusal, parameters};
use super::province::Province;
use crate::seed::hash;
use crate::world::now;

const MOST_RECORDS: usize = 2000;
const LONGEST_ID: usize = 128;
const STALL: Duration = Duration::from_secs(5);
/// Records in one statement: 5 variables each, far below SQLite's limit.
const CHUNK: usize = 500;

/// Why the province refuses a record.
const REASONS: [(&str, &str); 4] = [
    ("E203", "缺少申请人证件类型"),
    ("E207", "事项编码在省级目录中不存在"),
    ("E211", "承诺办结时间早于受理时间"),
    ("E215", "行政区划代码无效"),
];
const NO_NUMBER: (&str, &str) = ("E201", "缺少办件编号");

struct Record {
    request_id: String,
    project_no: String,
    body: String,
}

/// What is kept under a request id.
struct Stored {
    project_no: String,
    times_sent: i64,
}

/// The refusal of a case, decided by its number alone so that it never changes.
fn refusal(project_no: &str) -> Option<(&'static str, &'static str)> {
    if project_no.is_empty() {
        return Some(NO_NUMBER);
    }
    let value = hash(&format!("refuse|{project_no}"));
    let reason = REASONS[usize::try_from(value / 100 % 4).unwrap_or(0)];
    (value % 100 < 3).then_some(reason)
}

/// Whether a push that begins with this new request id is answered late.
fn stalls(request_id: &str) -> bool {
    hash(&format!("stall|{request_id}")) % 100 < 2
}

fn verdict(request_id: &str, project_no: &str) -> Value {
    match refusal(project_no) {
        Some((code, message)) => json!({
            "requestId": request_id, "result": "rejected", "code": code, "message": message,
        }),
        None => json!({
            "requestId": request_id, "result": "accepted", "code": "0", "message": "ok",
        }),
    }
}

/// Takes records.
pub(super) async fn push(
    State(province): State<Arc<Province>>,
    headers: HeaderMap,
    body: Result<Json<Value>, JsonRejection>,
) -> Answer {
    province.check(&headers)?;
    let Json(body) = body.map_err(|_| Refusal::bad("body is not JSON, or too large"))?;
    let records = read(&body)?;
    let elapsed = i64::try_from(province.started.elapsed().as_secs()).unwrap_or(0);
    let received_at = now().plus(elapsed).text();
    let Some(first) = records.first() else {
        return Ok(Json(json!({ "code": "0", "message": "ok", "data": [] })));
    };
    let mut transaction =
        province.pool.begin_with("begin immediate").await.map_err(Refusal::failed)?;
    let is_known: i64 = sqlx::query_scalar("select count(*) from received where request_id = $1")
        .bind(&first.request_id)
        .fetch_one(&mut *transaction)
        .await
        .map_err(Refusal::failed)?;
    let mut stored = HashMap::with_capacity(records.len());
    for chunk in records.chunks(CHUNK) {
        store(&mut transaction, chunk, &received_at, &mut stored).await.map_err(Refusal::failed)?;
    }
    for record in &records {
        let is_new = stored.get(&record.request_id).is_some_and(|stored| stored.times_sent == 1);
        if is_new && refusal(&record.project_no).is_none() {
            correct(&mut transaction, record, &received_at).await.map_err(Refusal::failed)?;
        }
    }
    transaction.commit().await.map_err(Refusal::failed)?;
    if is_known == 0 && stalls(&first.request_id) {
        tokio::time::sleep(STALL).await;
    }
    // The first body under a request id is the one that was judged.
    let data: Vec<Value> = records
        .iter()
        .map(|record| {
            let stored = stored.get(&record.request_id);
            let number = stored.map_or(&record.project_no, |stored| &stored.project_no);
            verdict(&record.request_id, number)
        })
        .collect();
    Ok(Json(json!({ "code": "0", "message": "ok", "data": data })))
}

fn read(body: &Value) -> Result<Vec<Record>, Refusal> {
    let Some(list) = body["records"].as_array() else {
        return Err(Refusal::bad("records is not a list"));
    };
    if list.len() > MOST_RECORDS {
        return Err(Refusal::bad(format!("more than {MOST_RECORDS} records")));
    }
    let mut records = Vec::with_capacity(list.len());
    for (position, record) in list.iter().enumerate() {
        let request_id = record["requestId"].as_str().unwrap_or_default();
        if request_id.is_empty() || request_id.len() > LONGEST_ID || request_id.contains(',') {
            return Err(Refusal::bad(format!("records[{position}].requestId is not usable")));
        }
        records.push(Record {
            request_id: request_id.to_owned(),
            project_no: record["projectNo"].as_str().unwrap_or_default().to_owned(),
            body: record.to_string(),
        });
    }
    Ok(records)
}

async fn store(
    transaction: &mut Transaction<'_, Sqlite>,
    records: &[Record],
    received_at: &str,
    stored: &mut HashMap<String, Stored>,
) -> Result<(), sqlx::Error> {
    let values = vec!["(?,?,?,?,1,?)"; records.len()].join(",");
    let sql = format!(
        "insert into received (request_id, project_no, body, first_received_at, times_sent, \
         result) values {values} on conflict (request_id) do update set \
         times_sent = times_sent + 1 returning request_id, project_no, times_sent"
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for record in records {
        let result = if refusal(&record.project_no).is_some() { "rejected" } else { "accepted" };
        query = query
            .bind(&record.request_id)
            .bind(&record.project_no)
            .bind(&record.body)
            .bind(received_at)
            .bind(result);
    }
    for row in query.fetch_all(&mut **transaction).await? {
        let is_stored = Stored { project_no: row.try_get(1)?, times_sent: row.try_get(2)? };
        stored.insert(row.try_get(0)?, is_stored);
    }
    Ok(())
}

/// Fields of a pushed record in the order of the columns below.
const CORRECTED: [&str; 14] = [
    "taskCode",
    "taskName",
    "orgCode",
    "orgName",
    "applicantName",
    "applicantType",
    "certType",
    "certNo",
    "mobile",
    "acceptDate",
    "promiseDate",
    "resultType",
    "resultDate",
    "divisionCode",
];

/// Those of them that may have no value.
const OPTIONAL: [&str; 4] = ["mobile", "promiseDate", "resultType", "resultDate"];

/// A record of a case that the province has is a new version of it, as when a case is reported
/// again.
async fn correct(
    transaction: &mut Transaction<'_, Sqlite>,
    record: &Record,
    received_at: &str,
) -> Result<(), sqlx::Error> {
    let Some(version) = version_of(transaction, &record.project_no).await? else { return Ok(()) };
    add(transaction, record, version + 1, received_at).await?;
    sqlx::query("update received set is_done = 1 where request_id = $1")
        .bind(&record.request_id)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// By night the cases that were accepted and that the province does not have yet become its own.
/// Says how many those are.
pub(super) async fn by_night(
    transaction: &mut Transaction<'_, Sqlite>,
    at: &str,
) -> Result<u64, sqlx::Error> {
    let rows = sqlx::query(
        "select request_id, project_no, body from received \
         where result = 'accepted' and is_done = 0 order by rowid",
    )
    .fetch_all(&mut **transaction)
    .await?;
    sqlx::query("update received set is_done = 1").execute(&mut **transaction).await?;
    let mut taken_in = 0;
    for row in &rows {
        let record = Record {
            request_id: row.try_get(0)?,
            project_no: row.try_get(1)?,
            body: row.try_get(2)?,
        };
        let version = version_of(transaction, &record.project_no).await?.unwrap_or(0);
        taken_in += u64::from(add(transaction, &record, version + 1, at).await?);
    }
    Ok(taken_in)
}

/// The highest data version of a case that the province has.
async fn version_of(
    transaction: &mut Transaction<'_, Sqlite>,
    project_no: &str,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("select max(data_version) from cases where project_no = $1")
        .bind(project_no)
        .fetch_one(&mut **transaction)
        .await
}

/// Adds a version of a case: another record under its number. Pages are ranges of `seq` by update
/// time, so a new record is the latest. What is not a whole record is only kept; says whether it
/// was one.
async fn add(
    transaction: &mut Transaction<'_, Sqlite>,
    record: &Record,
    version: i64,
    at: &str,
) -> Result<bool, sqlx::Error> {
    let body: Value = serde_json::from_str(&record.body).unwrap_or_default();
    if CORRECTED.iter().any(|field| !OPTIONAL.contains(field) && !body[*field].is_string()) {
        return Ok(false);
    }
    let last = sqlx::query("select seq, update_time from cases order by seq desc limit 1")
        .fetch_one(&mut **transaction)
        .await?;
    let (seq, updated): (i64, String) = (last.try_get(0)?, last.try_get(1)?);
    let mut query = sqlx::query(
        "insert into cases (seq, record_id, project_no, data_version, update_time, task_code, \
         task_name, org_code, org_name, applicant_name, applicant_type, cert_type, cert_no, mobile, \
         accept_date, promise_date, result_type, result_date, division_code) \
         values (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    )
    .bind(seq + 1)
    .bind(format!("P34{:012}", seq + 1))
    .bind(&record.project_no)
    .bind(version)
    .bind(updated.max(at.to_owned()));
    for field in CORRECTED {
        query = query.bind(body[field].as_str().map(str::to_owned));
    }
    query.execute(&mut **transaction).await?;
    Ok(true)
}

/// What is known of request ids.
pub(super) async fn known(
    State(province): State<Arc<Province>>,
    headers: HeaderMap,
    query: Parameters,
) -> Answer {
    province.check(&headers)?;
    let map = parameters(query)?;
    let ids: Vec<&str> = map
        .get("requestId")
        .map(|text| text.split(',').filter(|id| !id.is_empty()).collect())
        .unwrap_or_default();
    if ids.is_empty() || ids.len() > MOST_RECORDS {
        return Err(Refusal::bad("requestId is a list of ids with commas between them"));
    }
    let mut data = Vec::with_capacity(ids.len());
    let mut connection = province.pool.acquire().await.map_err(Refusal::failed)?;
    for id in ids {
        let row = sqlx::query(
            "select project_no, times_sent, first_received_at from received where request_id = $1",
        )
        .bind(id)
        .fetch_optional(&mut *connection)
        .await
        .map_err(Refusal::failed)?;
        let Some(row) = row else {
            data.push(json!({ "requestId": id, "result": "unknown" }));
            continue;
        };
        let number: String = row.try_get(0).map_err(Refusal::failed)?;
        let mut known = verdict(id, &number);
        known["projectNo"] = json!(number);
        known["timesSent"] = json!(row.try_get::<i64, _>(1).map_err(Refusal::failed)?);
        known["firstReceivedAt"] = json!(row.try_get::<String, _>(2).map_err(Refusal::failed)?);
        data.push(known);
    }
    Ok(Json(json!({ "code": "0", "message": "ok", "data": data })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_three_in_a_hundred_are_refused_and_two_stall() {
        let ids: Vec<String> = (0..10_000).map(|id| format!("3405002018121300{id:04}")).collect();
        let refused = ids.iter().filter(|id| refusal(id).is_some()).count();
        let stalled = ids.iter().filter(|id| stalls(id)).count();
        assert!((250..350).contains(&refused), "{refused}");
        assert!((150..250).contains(&stalled), "{stalled}");
    }
}

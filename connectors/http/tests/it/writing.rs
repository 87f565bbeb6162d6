//! Pushing records.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::record_batch::RecordBatch;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use huiliu_sdk::{
    Cx, Endpoint, ErrorKind, Outcome, RawPush, Receipt, Result, StreamId, StreamSettings,
    WriteBatch, WriteRequest,
};
use serde_json::{Value, json};

use crate::{config, configure, read, reader, serve};

fn writer(url: &str, options: Value) -> Arc<dyn Endpoint> {
    let push = RawPush { name: "repairs".into(), key: vec![], options };
    let system = json!({"url": url, "timeout": "300ms", "attempts": 2});
    configure(config(system, vec![], vec![push])).unwrap()
}

fn options(batch: u32) -> Value {
    json!({
        "path": "/push", "batch": batch, "records": "/records", "idempotency_field": "requestId",
        "fields": {"case_no": "caseNo", "at": "at", "day": "day", "n": "n", "fee": "fee"},
        "success": [{"pointer": "/code", "equals": "0"}], "message": "/msg",
        "outcomes": {"list": "/data", "id": "/requestId", "result": "/result",
            "accepted": ["accepted"], "rejected": ["rejected"], "code": "/code", "message": "/message"},
        "lookup": {"path": "/push", "param": "requestId"},
    })
}

fn batch(count: usize) -> WriteBatch {
    let numbers: Vec<i64> = (0..count as i64).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "case_no",
            Arc::new(StringArray::from_iter_values(numbers.iter().map(|n| format!("0{n}")))),
        ),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![1_528_765_200_000_000_i64; count]))),
        ("day", Arc::new(Date32Array::from(vec![Some(17_694); count]))),
        (
            "n",
            Arc::new(Int64Array::from(
                numbers.iter().map(|n| (*n != 1).then_some(*n)).collect::<Vec<_>>(),
            )),
        ),
        (
            "fee",
            Arc::new(
                Decimal128Array::from(vec![110; count]).with_precision_and_scale(10, 2).unwrap(),
            ),
        ),
    ];
    WriteBatch {
        stream: StreamId::new("repairs"),
        batch: RecordBatch::try_from_iter(columns).unwrap(),
        idempotency_keys: (0..count).map(|n| format!("k{n}")).collect(),
    }
}

async fn write(endpoint: &dyn Endpoint, count: usize) -> Result<Receipt> {
    let cx = Cx::new();
    let request = WriteRequest { push: StreamId::new("repairs") };
    endpoint.sink(&cx, request).await?.write(&cx, batch(count)).await
}

#[derive(Clone, Default)]
struct Target {
    /// Effects by key: how often a record was taken in.
    effects: Arc<Mutex<BTreeMap<String, u32>>>,
    bodies: Arc<Mutex<Vec<String>>>,
    /// How many requests are answered too late.
    late: Arc<Mutex<u32>>,
}

/// Rejects key `k2`, and says nothing of `k4`.
async fn take(State(target): State<Target>, body: String) -> Json<Value> {
    let content: Value = serde_json::from_str(&body).unwrap();
    target.bodies.lock().unwrap().push(body);
    let mut answers = Vec::new();
    for record in content["records"].as_array().unwrap() {
        let key = record["requestId"].as_str().unwrap().to_owned();
        match key.as_str() {
            "k2" => answers.push(json!({"requestId": key, "result": "rejected", "code": "D07", "message": "bad code"})),
            "k4" => {}
            _ => {
                target.effects.lock().unwrap().entry(key.clone()).or_insert(1);
                answers.push(json!({"requestId": key, "result": "accepted"}));
            }
        }
    }
    let late = {
        let mut late = target.late.lock().unwrap();
        let now = *late > 0;
        *late = late.saturating_sub(1);
        now
    };
    if late {
        // Longer than anybody waits.
        std::future::pending::<()>().await;
    }
    answers.reverse();
    Json(json!({"code": "0", "data": answers}))
}

async fn know(
    State(target): State<Target>,
    Query(query): Query<BTreeMap<String, String>>,
) -> std::result::Result<Json<Value>, StatusCode> {
    let key = &query["requestId"];
    if !target.effects.lock().unwrap().contains_key(key) {
        return Err(StatusCode::NOT_FOUND);
    }
    Ok(Json(json!({"data": {"requestId": key, "result": "accepted"}})))
}

async fn start(target: &Target) -> String {
    serve(Router::new().route("/push", post(take).get(know)).with_state(target.clone())).await
}

#[tokio::test]
async fn every_record_gets_its_own_outcome() {
    let target = Target::default();
    let endpoint = writer(&start(&target).await, options(3));
    let receipt = write(endpoint.as_ref(), 6).await.unwrap();
    let refused = Outcome::Rejected { code: "D07".into(), message: "bad code".into() };
    use Outcome::{Accepted, Unknown};
    assert_eq!(receipt.outcomes, [Accepted, Accepted, refused, Accepted, Unknown, Accepted]);
    let bodies = target.bodies.lock().unwrap();
    assert_eq!(bodies.len(), 2);
    let first = r#"{"records":[{"caseNo":"00","at":"2018-06-12 01:00:00","day":"2018-06-12","n":0,"fee":1.10,"requestId":"k0"},{"caseNo":"01","at":"2018-06-12 01:00:00","day":"2018-06-12","n":null,"#;
    assert!(bodies[0].starts_with(first), "{}", bodies[0]);
}

#[tokio::test]
async fn a_late_answer_is_asked_for_again_under_the_same_keys() {
    let target = Target::default();
    *target.late.lock().unwrap() = 1;
    let endpoint = writer(&start(&target).await, options(10));
    let receipt = write(endpoint.as_ref(), 2).await.unwrap();
    assert_eq!(receipt.outcomes, [Outcome::Accepted, Outcome::Accepted]);
    let bodies = target.bodies.lock().unwrap();
    assert_eq!((bodies.len(), &bodies[0]), (2, &bodies[1]));
    assert_eq!(target.effects.lock().unwrap().values().sum::<u32>(), 2);
}

#[tokio::test]
async fn an_answer_that_stays_away_leaves_the_outcome_unknown_until_it_is_looked_up() {
    let target = Target::default();
    *target.late.lock().unwrap() = 2;
    let endpoint = writer(&start(&target).await, options(2));
    let receipt = write(endpoint.as_ref(), 4).await.unwrap();
    assert_eq!(receipt.outcomes[..2], [Outcome::Unknown, Outcome::Unknown]);
    assert_eq!(receipt.outcomes[3], Outcome::Accepted);
    let cx = Cx::new();
    let request = WriteRequest { push: StreamId::new("repairs") };
    let mut sink = endpoint.sink(&cx, request).await.unwrap();
    let mut asked = batch(2);
    asked.idempotency_keys = vec!["k1".to_owned(), "k9".to_owned()];
    let known = sink.lookup(&cx, &asked).await.unwrap();
    assert_eq!(known.outcomes, [Outcome::Accepted, Outcome::Unknown]);
}

/// What a target knows of case numbers: `00` as it was sent, `01` with another day, `02` not at all,
/// of `03` it says nothing, `04` was refused as it was sent, and `05` on another day.
async fn know_by_case(Query(query): Query<BTreeMap<String, String>>) -> Json<Value> {
    let case = query["case"].as_str();
    let entries = match case {
        "00" => json!([{"no": "00", "state": "here", "day": "2018-06-12"}]),
        "01" => json!([{"no": "01", "state": "here", "day": "2018-06-11"}]),
        "02" => json!([{"no": "02", "state": "none"}]),
        "04" => json!([{"no": "04", "state": "bad", "day": "2018-06-12"}]),
        "05" => json!([{"no": "05", "state": "bad", "day": "2018-06-11"}]),
        _ => json!([]),
    };
    Json(json!({ "list": entries }))
}

#[tokio::test]
async fn a_target_that_knows_no_keys_of_ours_is_asked_by_the_business_key() {
    let url = serve(Router::new().route("/known", get(know_by_case))).await;
    let push = json!({
        "path": "/push", "records": "/records",
        "lookup": {
            "path": "/known", "param": "case", "column": "case_no", "same": {"day": "/day"},
            "outcomes": {"list": "/list", "id": "/no", "result": "/state",
                "accepted": ["here"], "rejected": ["bad"], "absent": ["none"]},
        },
    });
    let cx = Cx::new();
    let request = WriteRequest { push: StreamId::new("repairs") };
    let mut sink = writer(&url, push).sink(&cx, request).await.unwrap();
    assert!(!sink.is_repeatable());
    let known = sink.lookup(&cx, &batch(6)).await.unwrap();
    use Outcome::{Accepted, Unknown, Unsent};
    let refused = Outcome::Rejected { code: String::new(), message: String::new() };
    assert_eq!(known.outcomes, [Accepted, Unknown, Unsent, Unknown, refused, Unknown]);
}

#[tokio::test]
async fn what_a_look_up_has_learnt_is_not_lost_with_its_line() {
    let know = |Query(query): Query<BTreeMap<String, String>>| async move {
        match query["case"].as_str() {
            "02" => Err(StatusCode::FORBIDDEN),
            case => Ok(Json(json!([{"no": case, "state": "here"}]))),
        }
    };
    let url = serve(Router::new().route("/known", get(know))).await;
    let push = json!({"path": "/push", "lookup": {"path": "/known", "param": "case",
        "column": "case_no", "outcomes": {"id": "/no", "result": "/state", "accepted": ["here"]}}});
    let cx = Cx::new();
    let request = WriteRequest { push: StreamId::new("repairs") };
    let mut sink = writer(&url, push).sink(&cx, request).await.unwrap();
    let known = sink.lookup(&cx, &batch(4)).await.unwrap();
    let later = |key: &str| Outcome::Pending { handle: key.into() };
    use Outcome::Accepted;
    assert_eq!(known.outcomes, [Accepted, Accepted, later("k2"), later("k3")]);
    cx.cancel.cancel();
    let error = sink.lookup(&cx, &batch(4)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[tokio::test]
async fn a_target_that_is_not_there_or_refuses_the_whole_is_an_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = write(writer(&url, options(2)).as_ref(), 2).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unreachable, "E-CONNECT"));
    let url = serve(Router::new().route("/push", post(|| async { StatusCode::FORBIDDEN }))).await;
    let error = write(writer(&url, options(2)).as_ref(), 2).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission);
    let refusal = || async { Json(json!({"code": "9", "msg": "closed for the night"})) };
    let url = serve(Router::new().route("/push", post(refusal))).await;
    let error = write(writer(&url, options(2)).as_ref(), 2).await.unwrap_err();
    assert_eq!(error.code(), "E-REMOTE");
    assert!(error.message().contains("closed for the night"));
}

#[tokio::test]
async fn without_keys_nothing_is_sent_twice() {
    let target = Target::default();
    let seen = Arc::clone(&target.bodies);
    let busy = move |body: String| async move {
        seen.lock().unwrap().push(body);
        StatusCode::SERVICE_UNAVAILABLE
    };
    let url = serve(Router::new().route("/push", post(busy))).await;
    let error = write(writer(&url, json!({"path": "/push"})).as_ref(), 2).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert_eq!(target.bodies.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_single_object_can_carry_its_key_in_a_header() {
    let keys = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&keys);
    let answer = move |headers: HeaderMap, Json(body): Json<Value>| async move {
        assert!(body["case_no"].is_string());
        seen.lock().unwrap().push(headers["idempotency-key"].to_str().unwrap().to_owned());
        StatusCode::CREATED
    };
    let url =
        serve(Router::new().route("/push", post(answer)).route("/", get(|| async { "ok" }))).await;
    let options = json!({"path": "/push", "batch": 1, "shape": "object", "idempotency_header": "Idempotency-Key"});
    let endpoint = writer(&url, options);
    assert_eq!(
        write(endpoint.as_ref(), 2).await.unwrap().outcomes,
        [Outcome::Accepted, Outcome::Accepted]
    );
    assert_eq!(*keys.lock().unwrap(), ["k0", "k1"]);
    assert_eq!(endpoint.probe(&Cx::new()).await.unwrap().summary, "HTTP 200");
}

/// A push whose bodies are noted and answered with `answer`.
async fn answering(kind: &'static str, answer: String) -> (String, Arc<Mutex<Vec<String>>>) {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&bodies);
    let take = move |body: String| async move {
        seen.lock().unwrap().push(body);
        ([("content-type", kind)], answer)
    };
    (serve(Router::new().route("/push", post(take))).await, bodies)
}

#[tokio::test]
async fn records_go_as_json_inside_a_form() {
    let (url, bodies) = answering("application/json", r#"{"success":"T"}"#.into()).await;
    let options = json!({"path": "/push", "form": {"method": "got", "format": "json"}, "records": "/gotInfo",
        "fields": {"case_no": "no"}, "success": [{"pointer": "/success", "equals": "T"}]});
    let receipt = write(writer(&url, options).as_ref(), 2).await.unwrap();
    assert_eq!(receipt.outcomes, [Outcome::Accepted, Outcome::Accepted]);
    let expected = "format=json&method=got&gotInfo=%5B%7B%22no%22%3A%2200%22%7D%2C%7B%22no%22%3A%2201%22%7D%5D";
    assert_eq!(*bodies.lock().unwrap(), [expected]);
}

/// A place that keeps what is posted, with its content type, and gives the last of it to who asks.
async fn keeping() -> (String, Arc<Mutex<Vec<(String, String)>>>) {
    let kept = Arc::new(Mutex::new(Vec::<(String, String)>::new()));
    let (taken, given) = (Arc::clone(&kept), Arc::clone(&kept));
    let take = move |headers: HeaderMap, body: String| async move {
        let kind = headers["content-type"].to_str().unwrap().to_owned();
        taken.lock().unwrap().push((kind, body));
        StatusCode::CREATED
    };
    let give = move || async move {
        let last = given.lock().unwrap().last().cloned();
        last.unwrap().1
    };
    (serve(Router::new().route("/push", post(take).get(give))).await, kept)
}

/// What is sent is also what a stream of the same system reads.
#[tokio::test]
async fn records_go_as_lines_of_json_and_as_csv() {
    let lines = "{\"no\":\"00\",\"n\":0,\"fee\":1.10,\"key\":\"k0\"}\n\
                 {\"no\":\"01\",\"n\":null,\"fee\":1.10,\"key\":\"k1\"}\n";
    let values = "no|n|fee|key\n00|0|1.10|k0\n01||1.10|k1\n";
    for (send, delimiter, kind, sent) in [
        ("ndjson", Value::Null, "application/x-ndjson", lines),
        ("csv", "|".into(), "text/csv; charset=utf-8", values),
    ] {
        let (url, kept) = keeping().await;
        let options = json!({"path": "/push", "send": send, "delimiter": delimiter, "batch": 2,
            "idempotency_field": "key", "fields": {"case_no": "no", "n": "n", "fee": "fee"}});
        let receipt = write(writer(&url, options).as_ref(), 3).await.unwrap();
        assert_eq!(receipt.outcomes, vec![Outcome::Accepted; 3], "{send}");
        let bodies = kept.lock().unwrap().clone();
        assert_eq!((bodies.len(), &bodies[0]), (2, &(kind.to_owned(), sent.to_owned())));
        let stream = json!({"path": "/push", "format": send, "delimiter": delimiter});
        let back = read(reader(&url, StreamSettings::default(), stream).as_ref()).await.unwrap();
        assert_eq!(back.texts("no"), [Some("02".to_owned())], "{send}");
        assert_eq!(back.texts("key"), [Some("k2".to_owned())], "{send}");
    }
}

#[tokio::test]
async fn text_cannot_leave_its_line_or_its_value() {
    let odd = "a,\"b\"\r\nc\td 办";
    let notes: ArrayRef = Arc::new(StringArray::from(vec![Some(odd), None]));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    for send in ["ndjson", "csv"] {
        let (url, kept) = keeping().await;
        let cx = Cx::new();
        let endpoint = writer(&url, json!({"path": "/push", "send": send}));
        let request = WriteRequest { push: StreamId::new("repairs") };
        let columns = [("note", Arc::clone(&notes)), ("n", Arc::clone(&numbers))];
        let batch = WriteBatch {
            stream: StreamId::new("repairs"),
            batch: RecordBatch::try_from_iter(columns).unwrap(),
            idempotency_keys: vec!["k0".to_owned(), "k1".to_owned()],
        };
        endpoint.sink(&cx, request).await.unwrap().write(&cx, batch).await.unwrap();
        let expected = match send {
            "csv" => "note,n\n\"a,\"\"b\"\"\r\nc\td 办\",1\n,2\n",
            _ => "{\"note\":\"a,\\\"b\\\"\\r\\nc\\td 办\",\"n\":1}\n{\"note\":null,\"n\":2}\n",
        };
        assert_eq!(kept.lock().unwrap()[0].1, expected);
        let stream = json!({"path": "/push", "format": send});
        let back = read(reader(&url, StreamSettings::default(), stream).as_ref()).await.unwrap();
        assert_eq!(back.texts("note")[0].as_deref(), Some(odd), "{send}");
    }
}

#[test]
fn nothing_stands_around_records_in_lines() {
    for (options, wanted) in [
        (
            json!({"path": "/p", "send": "csv", "delimiter": "||", "body": {"a": 1}, "records": "/r",
                "shape": "object", "batch": 1}),
            vec!["body", "delimiter", "records", "shape"],
        ),
        (
            json!({"path": "/p", "send": "ndjson", "delimiter": ";", "record": "<a/>", "batch": 1}),
            vec!["delimiter", "record"],
        ),
        (json!({"path": "/p", "delimiter": ";"}), vec!["delimiter"]),
        (json!({"path": "/p", "send": "xml"}), vec!["send"]),
    ] {
        let push = RawPush { name: "p".into(), key: vec![], options };
        let system = json!({"url": "http://localhost"});
        let faults = configure(config(system, vec![], vec![push])).err().unwrap();
        let mut places: Vec<&str> = faults.0.iter().map(|fault| fault.path.as_str()).collect();
        places.sort_unstable();
        let wanted: Vec<String> = wanted.iter().map(|key| format!("pushes[0].{key}")).collect();
        assert_eq!(places, wanted);
    }
}

#[tokio::test]
async fn records_go_as_xml_alone_in_a_form_and_in_soap() {
    let answer = "<RESULT><STATUS>300</STATUS><DESC>编号重复</DESC></RESULT>".to_owned();
    let outcomes = json!({"list": "/RESULT", "result": "/STATUS", "accepted": ["200"], "rejected": ["300"],
        "code": "/STATUS", "message": "/DESC"});
    let refused = [Outcome::Rejected { code: "300".into(), message: "编号重复".into() }];
    let record = "<NO a=\"{fee}\">{no}</NO><AT>{at}</AT><KEY>{key}</KEY>";
    let fields = json!({"case_no": "no", "at": "at", "fee": "fee"});
    let sent = "<NO a=\"1.10\">00</NO><AT>2018-06-12 01:00:00</AT><KEY>k0</KEY>";
    let base = json!({"path": "/push", "batch": 1, "format": "xml", "record": record, "fields": fields,
        "outcomes": outcomes, "idempotency_field": "key"});
    let with = |more: Value| {
        let mut options = base.clone();
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        options
    };
    let (url, bodies) = answering("text/xml", answer.clone()).await;
    let receipt = write(writer(&url, with(json!({}))).as_ref(), 1).await.unwrap();
    assert_eq!(receipt.outcomes, refused);
    let form = with(json!({"form": {"a": "b"}, "records": "/xmlStr"}));
    assert_eq!(write(writer(&url, form).as_ref(), 1).await.unwrap().outcomes, refused);
    let around = with(json!({"xml": "<APPLY>{records}</APPLY>"}));
    assert_eq!(write(writer(&url, around).as_ref(), 1).await.unwrap().outcomes, refused);
    let bodies = bodies.lock().unwrap().clone();
    assert_eq!((bodies[0].as_str(), bodies[2].clone()), (sent, format!("<APPLY>{sent}</APPLY>")));
    assert!(
        bodies[1].starts_with("a=b&xmlStr=%3CNO%20a%3D%221.10%22%3E00%3C%2FNO%3E"),
        "{}",
        bodies[1]
    );

    let envelope = "http://schemas.xmlsoap.org/soap/envelope/";
    let answer =
        format!("<s:Envelope xmlns:s=\"{envelope}\"><s:Body>{answer}</s:Body></s:Envelope>");
    let (url, bodies) = answering("text/xml", answer).await;
    let mut soap = with(
        json!({"xml": "<push>{records}</push>", "soap": {"version": "1.1", "action": "push"}}),
    );
    soap.as_object_mut().unwrap().remove("format");
    assert_eq!(write(writer(&url, soap).as_ref(), 1).await.unwrap().outcomes, refused);
    assert!(bodies.lock().unwrap()[0].contains(&format!("Body><push>{sent}</push></soap:Body>")));
}

#[tokio::test]
async fn a_soap_fault_refuses_the_whole_and_an_answer_nobody_understands_is_unknown() {
    let envelope = "http://schemas.xmlsoap.org/soap/envelope/";
    let fault = format!(
        "<s:Envelope xmlns:s=\"{envelope}\"><s:Body><s:Fault><faultcode>s:Client</faultcode><faultstring>bad key</faultstring></s:Fault></s:Body></s:Envelope>"
    );
    let soap = json!({"path": "/push", "record": "<R>{case_no}</R>", "xml": "<p>{records}</p>", "soap": {"version": "1.1"}});
    let (url, _) = answering("text/xml", fault).await;
    let error = write(writer(&url, soap.clone()).as_ref(), 1).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("E-SOAP-FAULT", ErrorKind::Data));
    let (url, _) = answering("text/xml", "<html>busy</html>".into()).await;
    assert_eq!(write(writer(&url, soap).as_ref(), 1).await.unwrap().outcomes, [Outcome::Unknown]);
    let (url, _) = answering("text/html", "<html>busy</html>".into()).await;
    assert_eq!(
        write(writer(&url, options(5)).as_ref(), 1).await.unwrap().outcomes,
        [Outcome::Unknown]
    );
}

#[tokio::test]
async fn a_target_that_decides_later_leaves_the_record_pending() {
    let (url, _) = answering("application/json", r#"{"code":"0","state":"queued"}"#.into()).await;
    let options = json!({"path": "/push", "batch": 1, "shape": "object",
        "outcomes": {"result": "/state", "accepted": ["done"], "pending": ["queued"]}});
    let receipt = write(writer(&url, options).as_ref(), 1).await.unwrap();
    assert_eq!(receipt.outcomes, [Outcome::Pending { handle: "k0".into() }]);
}

//! Lines that are cut, stall, get slow or are reset: when the hub connects, in the middle of a read,
//! before and after what it acknowledges.

use std::collections::BTreeMap;

use super::chance::Chance;
use super::line::{BREAKS, Break, Line, When};
use super::oracle::none;
use super::server;
use super::town::{EVERYTHING, Town};
use crate::hub::step;
use crate::lake;
use crate::office::Office;

const ROWS: usize = 400;

/// Breaks the line at each moment in each way. The run itself ends well: it tries again, and what
/// was on its way is there once.
async fn breaks(town: &mut Town, line: &Line, moments: &[When]) {
    for when in moments {
        for kind in BREAKS {
            town.change().await;
            line.plan(kind, *when);
            let said = format!("{kind:?} at {when:?}");
            let done = town.run(EVERYTHING, None).await;
            assert_eq!(line.broken(), 1, "{said}: the moment never came: {}", done.said());
            assert_eq!(done.code, Some(0), "{said}: {}", done.said());
            none(&town.compare(EVERYTHING).await, &said);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_behind_a_bad_line_is_read_once() {
    let line = Line::to(&server::address()).await;
    let url = server::url_through(line.port);
    let mut town = Town::on_postgres(ROWS, Chance::new(501, "database"), &url).await;
    none(&town.recover(EVERYTHING).await, "over a good line");
    let moments = [When::Connected, When::Answered(15_000)];
    breaks(&mut town, &line, &moments).await;
    let schema = town.schema.as_ref().unwrap();
    assert_eq!(schema.number("select count(*) from cases where flag <> '1'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_that_are_lost_on_a_bad_line_are_made_again() {
    let line = Line::to(&server::address()).await;
    let url = server::url_through(line.port);
    let mut town = Town::on_postgres(ROWS, Chance::new(502, "marks"), &url).await;
    none(&town.recover(EVERYTHING).await, "over a good line");
    // The statement that marks rows as fetched: not heard by the database, or done and not heard
    // of. Either way the hub holds the rows already.
    let moments = [When::Said("update \""), When::Heard("UPDATE ")];
    breaks(&mut town, &line, &moments).await;
    let schema = town.schema.as_ref().unwrap();
    assert_eq!(schema.number("select count(*) from cases where flag <> '1'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_behind_a_bad_line_has_each_record_once() {
    let mut town = Town::new(ROWS, Chance::new(503, "target")).await;
    let line = Line::to(town.target.url.trim_start_matches("http://")).await;
    town.aim(&format!("http://127.0.0.1:{}", line.port));
    none(&town.recover(EVERYTHING).await, "over a good line");
    // Before the request is heard, and after it was acted on.
    let moments =
        [When::Connected, When::Answered(0), When::Said("POST /push"), When::Heard("accepted")];
    breaks(&mut town, &line, &moments).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_without_keys_has_no_record_twice_and_what_is_open_is_flagged() {
    let mut town = Town::new(ROWS, Chance::new(504, "target without keys")).await;
    let line = Line::to(town.target.url.trim_start_matches("http://")).await;
    town.aim_without_keys(&format!("http://127.0.0.1:{}", line.port));
    none(&town.recover(EVERYTHING).await, "over a good line");
    for when in [When::Said("POST /push"), When::Heard("accepted")] {
        for kind in [Break::Cut, Break::Stall, Break::Reset] {
            town.change().await;
            line.plan(kind, when);
            let said = format!("{kind:?} at {when:?}");
            let done = town.run(EVERYTHING, None).await;
            assert_eq!(line.broken(), 1, "{said}: the moment never came: {}", done.said());
            // Again, over a good line: nothing may be sent a second time.
            town.run(EVERYTHING, None).await;
            let received = town.target.received();
            let twice = received.windows(2).filter(|pair| pair[0] == pair[1]).count();
            assert_eq!(twice, 0, "{said}");
            let mut database = lake::sqlite(&town.hub.database()).await;
            let count = "select count(*) from huiliu_outbox where state = 'accepted'";
            let accepted = lake::number(&mut database, count).await;
            let count = "select count(*) from huiliu_outbox where state = 'unknown'";
            let unknown = lake::number(&mut database, count).await;
            // Only what follows a record of unknown outcome waits.
            let count = "select count(*) from huiliu_outbox w where state = 'waiting'
                         and not exists (select 1 from huiliu_outbox u where u.state = 'unknown'
                                         and u.record_key = w.record_key)";
            assert_eq!(lake::number(&mut database, count).await, 0, "{said}");
            let received = i64::try_from(received.len()).unwrap();
            assert!(unknown > 0, "{said}: nothing is flagged");
            let open = accepted..=accepted + unknown;
            assert!(open.contains(&received), "{said}: {received} received, {open:?} known");
        }
    }
}

/// The records of a web service by number.
async fn web_read(kind: Break, when: When) {
    use service::serve;
    let records: BTreeMap<i64, i64> = (0..3_000).map(|id| (id, id * 7)).collect();
    let line = Line::to(&serve(&records)).await;
    let office = Office::new(
        "http",
        &format!(
            "url = \"http://127.0.0.1:{}\"\ntimeout = \"2s\"\nattempts = 2\n[[streams]]\n\
             name = \"cases\"\npath = \"/cases\"\nrecords = \"/list\"\nkey = [\"id\"]\n\
             read = \"full\"\n[streams.fields]\nid = \"id\"\nvalue = \"value\"\n[streams.columns]\n\
             id = {{ type = \"int\" }}\nvalue = {{ type = \"int\" }}\n",
            line.port
        ),
    );
    line.plan(kind, when);
    let report = tokio::task::spawn_blocking(move || {
        let report = office.hub.run_json(&["run"]).expect(0).json();
        let rows = office.hub.query("select id, value from current.office_cases");
        (report, rows)
    });
    let (report, rows) = report.await.unwrap();
    let said = format!("{kind:?} at {when:?}");
    assert_eq!(line.broken(), 1, "{said}: the moment never came");
    assert_eq!(step(&report, "streams", "office.cases")["written"], 3_000, "{said}");
    let seen: BTreeMap<i64, i64> = rows
        .iter()
        .map(|row| (row["id"].as_i64().unwrap(), row["value"].as_i64().unwrap()))
        .collect();
    assert_eq!((seen, rows.len()), (records, 3_000), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_service_behind_a_bad_line_is_read_once() {
    for when in [When::Connected, When::Said("GET /cases"), When::Answered(20_000)] {
        for kind in BREAKS {
            web_read(kind, when).await;
        }
    }
}

/// A web service without a framework.
mod service {
    use std::collections::BTreeMap;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use serde_json::{Value, json};

    /// Answers every request with all records; says where.
    pub(super) fn serve(records: &BTreeMap<i64, i64>) -> String {
        let list: Vec<Value> =
            records.iter().map(|(id, value)| json!({ "id": id, "value": value })).collect();
        let body = json!({ "list": list }).to_string();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, body) = (stream.unwrap(), body.clone());
                std::thread::spawn(move || {
                    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {
                    }
                    // Who asked may be gone, which is what the test is about.
                    drop(write!(
                        stream,
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\
                         content-length: {}\r\n\r\n{body}",
                        body.len()
                    ));
                });
            }
        });
        address
    }
}

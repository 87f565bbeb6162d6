//! People who see only rows of some divisions, over both doors.

use std::process::Stdio;
use std::time::{Duration, Instant};

use huiliu_core::access::{Limits, Role};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::site::Site;
use crate::world::{ANALYST, World, add_user, add_visits, by, token_of};

const VISITS: [(&str, &str, i64); 5] = [
    ("V1", "340503001000", 10),
    ("V2", "340503002000", 20),
    ("V3", "340521001000", 0),
    ("V4", "340521002000", 4711),
    ("V5", "340503001000", 30),
];

fn county(code: &str) -> Limits {
    Limits { divisions: vec![code.into()], departments: Vec::new() }
}

async fn limit(world: &World, user: &str, limits: Limits) {
    world.accounts.set_limits(user, limits, &by()).await.unwrap();
}

async fn world() -> World {
    let world = World::open().await;
    add_visits(&world.engine, &VISITS).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wire_shows_the_rows_within_the_limits() {
    let world = world().await;
    assert_eq!(world.rows("select count(*), sum(fee) from current.visits").await, "5|4771");
    limit(&world, ANALYST, county("340503")).await;
    for (sql, expected) in [
        ("select count(*), sum(fee) from current.visits", "3|60"),
        ("select max(fee) from raw.visits where id >= 'V'", "30"),
        (
            "select string_agg(id, ',' order by id) from current.visits where 100 / fee > 0",
            "V1,V2,V5",
        ),
        ("select count(*) from current.visits a join current.visits b on a.fee <> b.fee", "6"),
        ("select (select count(*) from current.visits where division like '340521%')", "0"),
        ("select count(*) from metrics.figures", "1"),
    ] {
        assert_eq!(world.rows(sql).await, expected, "{sql}");
    }
    let plan = world.rows("explain verbose select * from current.visits where fee = 4711").await;
    assert!(!plan.contains("340503") && !plan.contains(".parquet"), "{plan}");
    for closed in ["current.cases", "current.people", "raw.people", "quarantine.rows"] {
        for sql in
            [format!("select count(*) from {closed}"), format!("explain select * from {closed}")]
        {
            let refused = world.refusal(&sql).await;
            assert!(refused.contains("42501") && refused.contains("limits"), "{sql}: {refused}");
        }
    }
    let listed = world.psql(&["-At", "-c", "\\dt *.*"]).await;
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("visits") && !listed.contains("people"), "{listed}");
    let program = "import psycopg\nwith psycopg.connect(autocommit=True) as c:\n \
                   q = 'select count(*) from current.visits where fee > %s'\n \
                   print(c.execute(q, (5,), prepare=True).fetchone()[0])\n \
                   print(c.execute(q, (1000,), prepare=True).fetchone()[0])\n";
    assert_eq!(world.python(program).await.trim(), "3\n0");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_shared_only_by_those_who_see_the_same() {
    let world = world().await;
    let mut tokens = Vec::new();
    for (name, limits) in [("east", county("340503")), ("west", county("340521"))] {
        add_user(&world.accounts, name, Role::Analyst).await;
        tokens.push((name, token_of(&world.accounts, name).await));
        limit(&world, name, limits).await;
    }
    tokens.push((ANALYST, world.token.clone()));
    let ask = async |user: &str, token: &str| {
        let mut psql = world.psql_command();
        psql.env("PGUSER", user).env("PGPASSWORD", token);
        psql.args(["-At", "-c", "select count(*), sum(fee) from current.visits"]);
        let output = psql.output().await.unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    // All within the time for which a session is kept.
    for _ in 0..3 {
        let (east, west, all) = tokio::join!(
            ask(tokens[0].0, &tokens[0].1),
            ask(tokens[1].0, &tokens[1].1),
            ask(tokens[2].0, &tokens[2].1),
        );
        assert_eq!([east, west, all], ["3|60", "2|4711", "5|4771"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_limits_hold_at_once_where_a_connection_is_open() {
    let world = world().await;
    let mut psql = world.psql_command();
    psql.args(["-At", "-q"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut psql = psql.spawn().unwrap();
    let mut input = psql.stdin.take().unwrap();
    let mut lines = BufReader::new(psql.stdout.take().unwrap()).lines();
    // Within a transaction, which goes on reading the session that it began with.
    input.write_all(b"begin; select count(*) from current.visits;\n").await.unwrap();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "5");
    let began = Instant::now();
    limit(&world, ANALYST, county("340503")).await;
    input.write_all(b"select count(*) from current.visits;\n").await.unwrap();
    assert_eq!(lines.next_line().await.unwrap(), None, "the connection is closed");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(world.rows("select count(*) from current.visits").await, "3");
    limit(&world, ANALYST, county("340521")).await;
    assert_eq!(world.rows("select count(*) from current.visits").await, "2");
    limit(&world, ANALYST, Limits::default()).await;
    assert_eq!(world.rows("select count(*) from current.visits").await, "5");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_answers_within_the_limits() {
    let site = Site::over(world().await).await;
    let token = format!("Bearer {}", site.world.token);
    let ask = async |path: &str, sql: &str, key: &str| {
        let body = match path {
            "/api/v1/query" => json!({ "sql": sql }),
            _ => json!({ "sql": sql, "format": "csv" }),
        };
        let headers = [("Authorization", token.as_str()), ("Idempotency-Key", key)];
        let headers = if key.is_empty() { &headers[..1] } else { &headers[..] };
        site.json("POST", path, headers, &body).await
    };
    let all = "select id, fee from current.visits order by id";
    let before = ask("/api/v1/query", all, "key-1").await;
    assert_eq!(before.json()["rows"].as_array().unwrap().len(), 5);
    limit(&site.world, ANALYST, county("340521")).await;
    // What only reads is not kept under a key: it is read anew, and noted anew.
    let again = ask("/api/v1/query", all, "key-1").await;
    assert_eq!(again.json()["rows"], json!([["V3", 0], ["V4", 4711]]), "{}", again.body);
    let after = ask("/api/v1/query", all, "").await;
    assert_eq!(after.json()["rows"], json!([["V3", 0], ["V4", 4711]]));
    let file = ask("/api/v1/query/export", all, "").await;
    assert_eq!((file.status, file.body.as_str()), (200, "id,fee\nV3,0\nV4,4711\n"));
    let closed = ask("/api/v1/query", "select * from current.people", "").await;
    assert_eq!((closed.status, closed.code()), (403, "E-LIMITS".into()), "{}", closed.body);
    let me = site.send("GET", "/api/v1/me", &[("Authorization", &token)], "").await;
    assert_eq!(me.json()["limits"], json!({ "divisions": ["340521"], "departments": [] }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_limits_others_and_it_is_in_the_audit() {
    let site = Site::open().await;
    let admin = site.login("admin").await;
    let body = json!({
        "limits": { "divisions": ["340521", "340503000000"], "departments": [" 市局 "] },
        "reason": "调入",
    });
    let path = "/api/v1/users/analyst/limits";
    let answer = site.json("POST", path, &admin.headers(), &body).await;
    let expected: Value =
        json!({ "divisions": ["340503000000", "340521"], "departments": ["市局"] });
    assert_eq!((answer.status, &answer.json()["limits"]), (200, &expected), "{}", answer.body);
    let listed = site.send("GET", "/api/v1/users/analyst", &admin.headers(), "").await;
    assert_eq!(listed.json()["limits"], expected);
    let rows = site.world.accounts.store().audit().await.unwrap();
    let noted = rows.iter().find(|row| row.action == "user limit").unwrap();
    assert_eq!((noted.object.as_str(), noted.reason.as_str()), ("analyst", "调入"));
    assert!(noted.after.as_ref().unwrap().contains("340503000000"), "{noted:?}");
    // A login writes the user's row, and not these.
    site.login("analyst").await;
    assert_eq!(site.world.accounts.user("analyst").await.unwrap().limits.divisions.len(), 2);

    for limits in [json!({ "divisions": ["34"] }), json!({ "departments": [""] })] {
        let body = json!({ "limits": limits, "reason": "x" });
        let answer = site.json("POST", path, &admin.headers(), &body).await;
        assert_eq!((answer.status, answer.code()), (400, "E-USER".into()), "{}", answer.body);
    }
    let own = site.json("POST", "/api/v1/users/admin/limits", &admin.headers(), &body).await;
    assert_eq!(own.code(), "E-USER", "{}", own.body);

    let form = format!("csrf={}&divisions=340521%2C+340522&departments=", admin.csrf);
    let headers =
        [("Cookie", admin.cookie.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
    let sent = site.send("POST", "/users/analyst/limits", &headers, &form).await;
    assert_eq!(sent.status, 303, "{}", sent.body);
    let found = site.world.accounts.user("analyst").await.unwrap().limits;
    assert_eq!(found.divisions, ["340521", "340522"]);
    let page = site.send("GET", "/users/analyst", &headers[..1], "").await;
    assert!(page.body.contains("340521, 340522"), "{}", page.body);
}

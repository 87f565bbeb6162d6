//! What the web lets in, and what it does not.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use huiliu_core::access::{Permission, Role};
use huiliu_sdk::Clock;

use huiliu_serve::data::{NewToken, NewUser};
use huiliu_serve::web::{WebOptions, serve};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::psql::HOSTILE;
use crate::site::Site;
use crate::world::{ANALYST, PASSWORD, PEOPLE, World, add_user, by, token_of};

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_account_is_made_once_with_the_token_that_was_printed() {
    let world = World::open().await;
    assert_eq!(world.accounts.offer_first().await.unwrap(), None, "there are accounts");
    let site = Site::over(world).await;
    let body = json!({
        "token": "0".repeat(64), "name": "evil", "title": "x", "password": PASSWORD,
    });
    let answer = site.json("POST", "/api/v1/first-admin", &[], &body).await;
    assert_eq!((answer.status, answer.code()), (403, "E-FIRST-TOKEN".into()));
    let answer = site.send("GET", "/health", &[], "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_headers_that_keep_browsers_safe() {
    let site = Site::open().await;
    for path in ["/health", "/api/v1/me", "/nothing", "/api/v1/nothing"] {
        let answer = site.send("GET", path, &[], "").await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(
            policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        assert!(answer.header("server").is_none());
    }
    let problem = site.send("GET", "/api/v1/me", &[("Accept-Language", "en")], "").await;
    assert_eq!(problem.status, 401);
    assert_eq!(problem.header("content-type"), Some("application/problem+json"));
    assert_eq!(problem.header("www-authenticate"), Some("Bearer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_begins_anew_with_each_login_and_ends_when_it_should() {
    let site = Site::open().await;
    let (one, two) = (site.login("operator").await, site.login("operator").await);
    assert_ne!(one.cookie, two.cookie);
    let is_in = async |cookie: &str| {
        site.send("GET", "/api/v1/me", &[("Cookie", cookie)], "").await.status == 200
    };
    assert!(is_in(&one.cookie).await && is_in(&two.cookie).await);
    let twice = format!("{}; {}", one.cookie, two.cookie);
    assert!(!is_in(&twice).await, "one of two cookies was put there by somebody else");
    assert!(!is_in(&format!("huiliu={}", "0".repeat(64))).await);

    let answer = site.json("POST", "/api/v1/logout", &one.headers(), &json!({})).await;
    assert_eq!(answer.status, 204);
    assert!(answer.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert!(answer.header("clear-site-data").is_some());
    assert!(!is_in(&one.cookie).await && is_in(&two.cookie).await);

    // Used all the time, it still ends after twelve hours.
    for _ in 0..(12 * 60 / 20) {
        assert!(is_in(&two.cookie).await);
        site.world.clock.advance(TimeDelta::minutes(20));
    }
    site.world.clock.advance(TimeDelta::minutes(1));
    assert!(!is_in(&two.cookie).await);

    let rested = site.login("operator").await;
    site.world.clock.advance(TimeDelta::minutes(31));
    assert!(!is_in(&rested.cookie).await);

    for change in 0..3 {
        let session = site.login("operator").await;
        assert!(is_in(&session.cookie).await);
        let accounts = &site.world.accounts;
        match change {
            0 => drop(accounts.disable("operator", &by()).await.unwrap()),
            1 => drop(accounts.set_role("operator", Role::Analyst, &by()).await.unwrap()),
            _ => drop(
                accounts.reset_password("operator", "other-Garden-anchor-78", &by()).await.unwrap(),
            ),
        }
        assert!(!is_in(&session.cookie).await);
        accounts.enable("operator", &by()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_site_sends_does_nothing() {
    let site = Site::open().await;
    let session = site.login("admin").await;
    let body = json!({ "role": "analyst", "reason": "x" });
    let path = "/api/v1/users/operator/role";
    let cookie = ("Cookie", session.cookie.as_str());
    let csrf = ("X-CSRF-Token", session.csrf.as_str());
    let own = format!("http://{}", site.address);
    let cases: [&[(&str, &str)]; 5] = [
        &[cookie],
        &[cookie, ("X-CSRF-Token", "0123456789abcdef0123456789abcdef")],
        &[cookie, csrf, ("Origin", "https://evil.example")],
        &[cookie, csrf, ("Origin", "null")],
        &[cookie, csrf, ("Sec-Fetch-Site", "cross-site")],
    ];
    for headers in cases {
        let answer = site.json("POST", path, headers, &body).await;
        assert_eq!((answer.status, answer.code()), (403, "E-CSRF".into()), "{headers:?}");
    }
    let answer = site.json("POST", path, &[cookie, csrf, ("Origin", &own)], &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    // A form of another site cannot have the type of JSON, and another name is not this hub.
    let headers = [cookie, csrf, ("Content-Type", "text/plain")];
    let answer = site.send("POST", path, &headers, &body.to_string()).await;
    assert_eq!((answer.status, answer.code()), (400, "E-INPUT".into()));
    let mut socket = TcpStream::connect(site.address).await.unwrap();
    socket
        .write_all(b"GET /api/v1/me HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 421"), "{text}");
    let login = json!({ "user": "admin", "password": PASSWORD });
    let answer =
        site.json("POST", "/api/v1/login", &[("Origin", "https://evil.example")], &login).await;
    assert_eq!(answer.code(), "E-CSRF", "nobody is logged in by another site");
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slow_for_one_name_and_others_come_in() {
    let site = Site::open().await;
    let mut throttled = 0;
    let guesses = 2_000;
    for number in 0..guesses {
        let body = json!({ "user": "admin", "password": format!("wrong-{number}-Guess") });
        let answer = site.json("POST", "/api/v1/login", &[], &body).await;
        match answer.status {
            401 => assert_eq!(answer.code(), "E-SIGN-IN"),
            429 => {
                assert!(answer.header("retry-after").is_some());
                throttled += 1;
            }
            other => panic!("{other}: {}", answer.body),
        }
        if number % 500 == 0 {
            site.login("operator").await;
        }
    }
    assert!(throttled >= guesses - 10, "{throttled} of {guesses} guesses had to wait");
    let body = json!({ "user": "admin", "password": PASSWORD });
    let answer = site.json("POST", "/api/v1/login", &[], &body).await;
    assert_eq!(answer.status, 429, "the right password waits as well");
    site.world.clock.advance(TimeDelta::minutes(16));
    site.login("admin").await;
    let text: Vec<String> = {
        let rows = site.world.accounts.store().audit().await.unwrap();
        rows.iter().map(|row| format!("{row:?}")).collect()
    };
    assert!(!text.iter().any(|row| row.contains("Guess")), "no password is written down");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_nobody_has_takes_as_long_as_a_wrong_password() {
    let site = Site::open().await;
    let accounts = &site.world.accounts;
    let mut times = [Duration::ZERO; 2];
    for round in 0..6 {
        for (place, name) in ["operator", "nobody"].into_iter().enumerate() {
            let began = Instant::now();
            let refused = accounts.login(name, "wrong-Guess-42-abc", "", "10.0.0.1").await;
            assert_eq!(refused.err().unwrap().code(), "E-SIGN-IN");
            // The first one warms up.
            times[place] += if round == 0 { Duration::ZERO } else { began.elapsed() };
            site.world.clock.advance(TimeDelta::minutes(16));
        }
    }
    let [known, unknown] = times.map(|time| time.as_secs_f64());
    assert!(known / unknown < 3.0 && unknown / known < 3.0, "{known} s and {unknown} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_password_must_be_changed_before_anything_else() {
    let site = Site::open().await;
    let new = NewUser {
        name: "fresh".into(),
        title: "新来".into(),
        role: Role::Operator,
        password: PASSWORD.into(),
    };
    site.world.accounts.add_user(&new, &by()).await.unwrap();
    let session = site.login("fresh").await;
    let headers = session.headers();
    let answer = site.send("GET", "/api/v1/streams", &headers, "").await;
    assert_eq!((answer.status, answer.code()), (403, "E-PASSWORD-CHANGE".into()));
    let me = site.send("GET", "/api/v1/me", &headers, "").await.json();
    assert_eq!((&me["must_change"], &me["permissions"]), (&json!(true), &json!([])));
    for (old, new, code) in [
        ("wrong", "another-Garden-anchor-79", "E-PASSWORD-WRONG"),
        (PASSWORD, PASSWORD, "E-PASSWORD"),
        (PASSWORD, "short", "E-PASSWORD"),
        (PASSWORD, "Fresh-fresh-fresh-1", "E-PASSWORD"),
    ] {
        let body = json!({ "old": old, "new": new });
        let answer = site.json("POST", "/api/v1/me/password", &headers, &body).await;
        assert_eq!(answer.code(), code, "{}", answer.body);
    }
    let body = json!({ "old": PASSWORD, "new": "another-Garden-anchor-79" });
    let answer = site.json("POST", "/api/v1/me/password", &headers, &body).await;
    assert_eq!(answer.status, 204, "{}", answer.body);
    let answer = site.send("GET", "/api/v1/streams", &headers, "").await;
    assert_eq!(answer.status, 404, "the stub has nothing, and is asked");
    // After ninety days it must be changed again.
    site.world.clock.advance(TimeDelta::days(91));
    let body = json!({ "user": "fresh", "password": "another-Garden-anchor-79" });
    let answer = site.json("POST", "/api/v1/login", &[], &body).await;
    assert_eq!(answer.json()["must_change"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_what_its_scope_and_its_user_allow_until_it_ends() {
    let site = Site::open().await;
    let accounts = &site.world.accounts;
    let new = NewToken {
        title: "dashboard".into(),
        scopes: vec![Permission::Operations],
        days: Some(10),
    };
    let made = accounts.make_token("operator", &new, &by()).await.unwrap();
    let authorization = bearer(&made.secret);
    let ask = async |path: &str| {
        site.send("GET", path, &[("Authorization", &authorization)], "").await.status
    };
    assert_eq!(ask("/api/v1/streams").await, 404, "asked, and there is nothing");
    assert_eq!(ask("/api/v1/metrics").await, 403, "outside of its scope");
    let body = json!({ "title": "more" });
    let headers = [("Authorization", authorization.as_str())];
    let answer = site.json("POST", "/api/v1/me/tokens", &headers, &body).await;
    assert_eq!(answer.status, 403, "a token makes no tokens");
    let shown = accounts.tokens(None).await.unwrap();
    let shown = shown.iter().find(|token| token.id == made.token.id).unwrap();
    assert!(shown.last_used_at.is_some());
    let too_much = NewToken { scopes: vec![Permission::Query], ..new.clone() };
    let refused = accounts.make_token("operator", &too_much, &by()).await;
    assert_eq!(refused.err().unwrap().code(), "E-TOKEN-SCOPE");
    for wrong in ["", "hl_", "hl__", "hl_000000000000_00", &made.secret[..40]] {
        let authorization = bearer(wrong);
        let headers = [("Authorization", authorization.as_str())];
        assert_eq!(site.send("GET", "/api/v1/me", &headers, "").await.status, 401, "{wrong}");
    }
    accounts.set_role("operator", Role::Auditor, &by()).await.unwrap();
    assert_eq!(ask("/api/v1/streams").await, 403, "the user may no more");
    accounts.set_role("operator", Role::Operator, &by()).await.unwrap();
    assert_eq!(ask("/api/v1/streams").await, 404);
    site.world.clock.advance(TimeDelta::days(11));
    assert_eq!(ask("/api/v1/streams").await, 401, "it has run out");
    let made = accounts.make_token("operator", &new, &by()).await.unwrap();
    accounts.revoke_token(&made.token.id, None, &by()).await.unwrap();
    let authorization = bearer(&made.secret);
    let headers = [("Authorization", authorization.as_str())];
    assert_eq!(site.send("GET", "/api/v1/me", &headers, "").await.status, 401, "revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_end_sessions_of_their_user_and_administrators_make_tokens_of_others() {
    let site = Site::open().await;
    let (one, two) = (site.login("operator").await, site.login("operator").await);
    let listed = site.send("GET", "/api/v1/me/sessions", &one.headers(), "").await.json();
    // The user also came in from elsewhere, to choose a password.
    let of_web = |login: &&Value| login["is_this"] == false && login["address"] != "local";
    let other = listed.as_array().unwrap().iter().find(of_web).unwrap();
    let path = format!("/api/v1/me/sessions/{}", other["id"].as_str().unwrap());
    let stranger = site.login("auditor").await;
    let refused = site.send("DELETE", &path, &stranger.headers(), "").await;
    assert_eq!((refused.status, refused.code()), (404, "E-USER".into()), "it is another's");
    assert_eq!(site.send("GET", "/api/v1/me", &two.headers(), "").await.status, 200);
    assert_eq!(site.send("DELETE", &path, &one.headers(), "").await.status, 204);
    assert_eq!(site.send("GET", "/api/v1/me", &two.headers(), "").await.status, 401);
    assert_eq!(site.send("GET", "/api/v1/me", &one.headers(), "").await.status, 200);

    let admin = site.login("admin").await;
    let path = "/api/v1/users/operator/tokens";
    let body = json!({ "title": "看板", "scopes": ["operations"], "days": 7 });
    let made = site.json("POST", path, &admin.headers(), &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let made = made.json();
    assert_eq!((&made["user"], &made["scopes"]), (&json!("operator"), &json!(["operations"])));
    let authorization = bearer(made["secret"].as_str().unwrap());
    let headers = [("Authorization", authorization.as_str())];
    let me = site.send("GET", "/api/v1/me", &headers, "").await.json();
    assert_eq!((&me["user"], &me["permissions"]), (&json!("operator"), &json!(["operations"])));
    let rows = site.world.accounts.store().audit().await.unwrap();
    let noted = rows.iter().rfind(|row| row.action == "token create").unwrap();
    assert_eq!((noted.who.as_str(), &json!(noted.object)), ("admin", &made["id"]));
    let too_much = json!({ "title": "x", "scopes": ["query"] });
    let refused = site.json("POST", path, &admin.headers(), &too_much).await;
    assert_eq!((refused.status, refused.code()), (400, "E-TOKEN-SCOPE".into()), "{}", refused.body);
    let authorization = bearer(&token_of(&site.world.accounts, "admin").await);
    let headers = [("Authorization", authorization.as_str())];
    let refused = site.json("POST", path, &headers, &body).await;
    assert_eq!((refused.status, refused.code()), (403, "E-FORBIDDEN".into()), "{}", refused.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_reads_is_read_and_noted_each_time_whatever_its_key() {
    let site = Site::open().await;
    let authorization = bearer(&site.world.token);
    let headers = [("Authorization", authorization.as_str()), ("Idempotency-Key", "once")];
    let body = json!({ "sql": "select id, name from current.people" });
    for _ in 0..2 {
        let answer = site.json("POST", "/api/v1/query", &headers, &body).await;
        assert_eq!(answer.json()["rows"].as_array().unwrap().len(), 3, "{}", answer.body);
    }
    let rows = site.world.accounts.store().audit().await.unwrap();
    assert_eq!(rows.iter().filter(|row| row.action == "query").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_shows_masked_values_and_every_read_is_in_the_audit() {
    let site = Site::open().await;
    let authorization = bearer(&site.world.token);
    let headers = [("Authorization", authorization.as_str())];
    let ask = async |sql: &str| {
        site.json("POST", "/api/v1/query", &headers, &json!({ "sql": sql })).await
    };
    let answer = ask("select id, name, number from current.people order by id").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let table = answer.json();
    assert_eq!(table["rows"][0], json!(["P0", "张**", "340503********0018"]));
    assert_eq!(table["is_cut"], false);
    for sql in [
        "select count(*) from current.people where name = '张小明'",
        "select count(*) from current.people where number like '%19800101%'",
        "select count(*) from current.people where starts_with(name, '王小')",
    ] {
        assert_eq!(ask(sql).await.json()["rows"], json!([[0]]), "{sql}");
    }
    let all = ask("select * from current.people p join raw.people r on p.number = r.number").await;
    for (name, number) in PEOPLE {
        assert!(!all.body.contains(name) && !all.body.contains(number), "{}", all.body);
    }
    let explained = ask("explain select * from current.people where name = 'x'").await;
    assert!(!explained.body.contains("张") && explained.status == 200, "{}", explained.body);
    // HMAC-SM3 under a key of the hub's, computed apart by OpenSSL.
    let known = "0048711821833356e5186b5a2604f5fc169f9bd9d55af576f0c078bda8865103";
    let answer = ask("select number_pseudonym from current.people where id = 'P0'").await;
    assert_eq!(answer.json()["rows"], json!([[known]]));
    let joined = "select count(*) from current.people p join raw.people r \
                  on p.number_pseudonym = r.number_pseudonym";
    assert_eq!(ask(joined).await.json()["rows"], json!([[3]]));
    let cut = site
        .json(
            "POST",
            "/api/v1/query",
            &headers,
            &json!({ "sql": "select id from current.cases", "limit": 5 }),
        )
        .await
        .json();
    assert_eq!((cut["rows"].as_array().unwrap().len(), &cut["is_cut"]), (5, &json!(true)));

    let rows = site.world.accounts.store().audit().await.unwrap();
    let read = rows.iter().find(|row| row.action == "query").unwrap();
    assert_eq!((read.who.as_str(), read.object.as_str()), (ANALYST, "current.people"));
    let after: Value = serde_json::from_str(read.after.as_ref().unwrap()).unwrap();
    assert_eq!(after["columns"]["current.people"], json!(["id", "name", "number"]));
    assert_eq!((&after["rows"], &after["door"]), (&json!(3), &json!("web")));
    let text = format!("{rows:?}");
    assert!(!text.contains("张小明") && !text.contains("19800101"), "values are not written down");
    site.world.accounts.store().verify_audit(None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_statements_are_refused_over_the_web_too() {
    let site = Site::open().await;
    let snapshot = site.world.engine.lake().latest_snapshot().await.unwrap();
    let authorization = bearer(&site.world.token);
    let headers = [("Authorization", authorization.as_str())];
    for sql in HOSTILE {
        let answer = site.json("POST", "/api/v1/query", &headers, &json!({ "sql": sql })).await;
        assert!((400..500).contains(&answer.status), "{sql}: {} {}", answer.status, answer.body);
        assert!(!answer.body.contains("root:"), "{sql}");
    }
    for sql in ["", "select 1; select 2", "begin", "set timezone = 'UTC'", "show server_version"] {
        let answer = site.json("POST", "/api/v1/query", &headers, &json!({ "sql": sql })).await;
        assert!((400..500).contains(&answer.status), "{sql}: {}", answer.body);
    }
    assert_eq!(site.world.engine.lake().latest_snapshot().await.unwrap(), snapshot);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_user_runs_two_statements_at_once_and_others_are_not_held_up() {
    let site = Site::open().await;
    add_user(&site.world.accounts, "second", Role::Analyst).await;
    let second = token_of(&site.world.accounts, "second").await;
    let endless = "select count(*) from generate_series(1, 1000000) a, \
                   generate_series(1, 1000000) b where (a.value * b.value) % 7 = 3";
    let authorization = bearer(&site.world.token);
    let headers = [("Authorization", authorization.as_str())];
    let body = json!({ "sql": endless });
    // The small question of the moment may have its place.
    let busy = async || {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            let answer = site.json("POST", "/api/v1/query", &headers, &body).await;
            if answer.status != 429 {
                return answer;
            }
        }
    };
    let third = async {
        // Until the two have begun there is a place.
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        let small = json!({ "sql": "select 1" });
        loop {
            ticks.tick().await;
            let answer = site.json("POST", "/api/v1/query", &headers, &small).await;
            if answer.status == 429 {
                assert_eq!(answer.code(), "E-SQL-BUSY");
                break;
            }
        }
        let authorization = bearer(&second);
        let headers = [("Authorization", authorization.as_str())];
        let answer = site.json("POST", "/api/v1/query", &headers, &small).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    tokio::select! {
        _ = async { tokio::join!(busy(), busy()) } => panic!("the endless statements ended"),
        () = third => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_under_a_key_is_done_once() {
    let site = Site::open().await;
    let session = site.login("admin").await;
    let [cookie, csrf] = session.headers();
    let key = ("Idempotency-Key", "make-li");
    let body = json!({ "name": "li", "title": "李", "role": "analyst", "password": PASSWORD });
    let first = site.json("POST", "/api/v1/users", &[cookie, csrf, key], &body).await;
    let again = site.json("POST", "/api/v1/users", &[cookie, csrf, key], &body).await;
    assert_eq!((first.status, again.status), (201, 201), "{} {}", first.body, again.body);
    assert_eq!(first.body, again.body);
    let other = json!({ "name": "wu", "title": "吴", "role": "analyst", "password": PASSWORD });
    let misused = site.json("POST", "/api/v1/users", &[cookie, csrf, key], &other).await;
    assert_eq!((misused.status, misused.code()), (409, "E-IDEMPOTENCY".into()));
    let made = site.world.accounts.store().audit().await.unwrap();
    let made = made.iter().filter(|row| row.action == "user add" && row.object == "li").count();
    assert_eq!(made, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_large_and_many_requests_do_not_hold_up_others() {
    let site = Site::open().await;
    let session = site.login("operator").await;
    let huge = format!("{{\"reason\": \"{}\"}}", "x".repeat(3 << 20));
    let headers = [&session.headers()[..], &[("Content-Type", "application/json")]].concat();
    let answer = site.send("POST", "/api/v1/jobs/a/run", &headers, &huge).await;
    assert!(answer.status == 413 || answer.status == 0, "{}", answer.status);
    let long = "x".repeat(200 << 10);
    let answer = site.send("GET", "/health", &[("X-Long", &long)], "").await;
    assert_ne!(answer.status, 200);

    let headers = session.headers();
    let (sent, mine) =
        tokio::join!(upload(&site, 1 << 30), site.send("GET", "/api/v1/me", &headers, ""));
    assert_eq!(mine.status, 200);
    assert!(sent < 64 << 20, "{sent} bytes of a body that is too large were taken");

    let began = Instant::now();
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut socket = TcpStream::connect(site.address).await.unwrap();
        socket.write_all(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ").await.unwrap();
        slow.push(socket);
    }
    assert_eq!(site.send("GET", "/api/v1/me", &session.headers(), "").await.status, 200);
    // Who does not finish the head is shown out.
    for mut socket in slow {
        let mut text = Vec::new();
        let closed = socket.read_to_end(&mut text);
        tokio::time::timeout(Duration::from_secs(30), closed).await.unwrap().ok();
    }
    assert!(began.elapsed() < Duration::from_secs(30));

    let mut refused = 0;
    for _ in 0..600 {
        refused += usize::from(site.send_once("GET", "/health", &[], "").await.status == 429);
    }
    assert!(refused > 0, "an address that asks without end is slowed down");
}

/// Sends a body of `size` bytes until nobody takes them any more, and says how many were taken.
async fn upload(site: &Site, size: usize) -> usize {
    let mut socket = TcpStream::connect(site.address).await.unwrap();
    let head = format!(
        "POST /api/v1/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
         Content-Length: {size}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let part = vec![b' '; 1 << 20];
    let mut sent = 0;
    while sent < size {
        match tokio::time::timeout(Duration::from_secs(30), socket.write(&part)).await {
            Ok(Ok(taken)) if taken > 0 => sent += taken,
            // Shown out, or left alone.
            _ => break,
        }
    }
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn only_loopback_addresses_are_served_without_a_gateway() {
    let site = Site::open().await;
    let options =
        WebOptions { address: "0.0.0.0:0".parse().unwrap(), behind_proxy: false, tls: None };
    let refused = serve(axum_router(), options.clone(), site.world.cancel.clone()).await;
    assert_eq!(refused.err().unwrap().code(), "E-WEB-ADDRESS");
    let behind = WebOptions { behind_proxy: true, ..options };
    assert!(serve(axum_router(), behind, site.world.cancel.clone()).await.is_ok());
    assert!(site.world.clock.now().timestamp() > 0);
}

fn axum_router() -> axum::Router {
    axum::Router::new()
}

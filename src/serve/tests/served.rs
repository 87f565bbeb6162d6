//! Others stay served, whatever one of them asks for and whoever stands at the door.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use huiliu_core::access::Role;
use serde_json::json;

use crate::flyer::Flyer;
use crate::site::{Session, Site};
use crate::world::{ANALYST, PASSWORD, World, add_user, token_of};

/// Statements without an end that anybody would wait for.
const HEAVY: [&str; 2] = [
    "select count(*) from generate_series(1, 9000000000)",
    "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n",
];
/// One that is answered at once, with 4,811.
const LIGHT: &str = "select count(*) + 4711 as n from current.cases";
const OTHER: &str = "other";
const JSON: (&str, &str) = ("Content-Type", "application/json");
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

#[derive(Debug, Clone, Copy)]
enum Door {
    Wire,
    Flight,
    Api,
    Console,
}

const DOORS: [Door; 4] = [Door::Wire, Door::Flight, Door::Api, Door::Console];

/// Somebody at all doors.
struct Person {
    name: &'static str,
    token: String,
    session: Session,
}

impl Person {
    async fn of(site: &Site, name: &'static str) -> Self {
        // The wire asks for one token of a user, and the analyst of each world has one.
        let token = match name {
            ANALYST => site.world.token.clone(),
            _ => token_of(&site.world.accounts, name).await,
        };
        Self { name, token, session: site.login(name).await }
    }

    /// What a door says to a statement: its rows, or why it was refused.
    async fn ask(&self, site: &Site, door: Door, sql: &str) -> String {
        let authorization = format!("Bearer {}", self.token);
        match door {
            Door::Wire => {
                let mut psql = site.world.psql_command();
                psql.env("PGUSER", self.name).env("PGPASSWORD", &self.token);
                let output = psql.args(["-At", "-c", sql]).output().await.unwrap();
                let said = [output.stdout, output.stderr].concat();
                String::from_utf8(said).unwrap()
            }
            Door::Flight => {
                let mut flyer = Flyer::with(&site.world, &authorization).await;
                match flyer.query(sql).await {
                    Ok(_) => flyer.cells(sql).await.join(" "),
                    Err(status) => status.message().to_owned(),
                }
            }
            Door::Api => {
                let headers = [("Authorization", authorization.as_str()), JSON];
                let body = json!({ "sql": sql }).to_string();
                site.send("POST", "/api/v1/query", &headers, &body).await.body
            }
            Door::Console => {
                let [cookie, csrf] = self.session.headers();
                let mut form = form_urlencoded::Serializer::new(String::new());
                let body = form.append_pair("sql", sql).finish();
                site.send("POST", "/sql", &[cookie, csrf, FORM], &body).await.body
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_statement_on_any_door_holds_up_nobody_on_any() {
    let world = World::with_timeout(Duration::from_secs(4)).await;
    add_user(&world.accounts, OTHER, Role::Analyst).await;
    let site = Site::over(world).await;
    let (busy, other) = (Person::of(&site, ANALYST).await, Person::of(&site, OTHER).await);
    for sql in HEAVY {
        for heavy in DOORS {
            let began = Instant::now();
            let asked = busy.ask(&site, heavy, sql);
            tokio::pin!(asked);
            let mut served = Vec::new();
            let told = loop {
                let door = DOORS[served.len() % DOORS.len()];
                tokio::select! {
                    told = &mut asked => break told,
                    light = other.ask(&site, door, LIGHT) => {
                        assert!(light.contains("4811"), "{door:?} beside {heavy:?}: {light}");
                        served.push(door);
                    }
                }
            };
            let is_ended = told.contains("E-SQL-TIME") || told.contains("statement timeout");
            assert!(is_ended, "{sql} by {heavy:?}: {told}");
            assert!(served.len() >= DOORS.len(), "{sql} by {heavy:?}: only {served:?}");
            assert!(began.elapsed() < Duration::from_secs(20), "{sql} by {heavy:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_logins_at_once_over_many_names_hold_up_nobody() {
    let site = Site::open().await;
    let inside = site.login("operator").await;
    // 400 at a time, ten of each name, from twenty addresses.
    let flood = stream::iter(0..2_000_u32).map(|number| {
        let site = &site;
        async move {
            let name = format!("name-{}", number % 200);
            let password = format!("wrong-{number}-Guess");
            let body = json!({ "user": name, "password": password }).to_string();
            let place = 2 + u8::try_from(number % 20).unwrap();
            let mut ticks = tokio::time::interval(Duration::from_millis(100));
            loop {
                ticks.tick().await;
                let path = "/api/v1/login";
                let answer = site.send_from(place, "POST", path, &[JSON], &body).await;
                match (answer.status, answer.code().as_str()) {
                    (401, "E-SIGN-IN") => return false,
                    (429, "E-SIGN-IN-SLOW") => return true,
                    (503, "E-BUSY") => {}
                    _ => panic!("{}: {}", answer.status, answer.body),
                }
            }
        }
    });
    let flood = flood.buffer_unordered(400).collect::<Vec<bool>>();
    tokio::pin!(flood);
    let (mut served, mut longest) = (0, Duration::ZERO);
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let waited = loop {
        ticks.tick().await;
        let began = Instant::now();
        let headers = inside.headers();
        tokio::select! {
            waited = &mut flood => break waited,
            answer = site.send_from(200, "GET", "/api/v1/me", &headers, "") => {
                assert_eq!(answer.status, 200, "{}", answer.body);
                longest = longest.max(began.elapsed());
                served += 1;
            }
        }
        // Somebody who has the right password comes in meanwhile.
        if served == 5 {
            let body = json!({ "user": "auditor", "password": PASSWORD }).to_string();
            let come_in = async {
                let mut ticks = tokio::time::interval(Duration::from_millis(50));
                loop {
                    ticks.tick().await;
                    let path = "/api/v1/login";
                    let answer = site.send_from(201, "POST", path, &[JSON], &body).await;
                    if answer.status != 503 {
                        return answer.status;
                    }
                }
            };
            tokio::select! {
                waited = &mut flood => break waited,
                status = come_in => assert_eq!(status, 200, "the right password opens"),
            }
        }
    };
    assert_eq!(waited.len(), 2_000);
    assert!(served >= 10, "{served} times");
    assert!(longest < Duration::from_secs(5), "{longest:?}");
    let slowed = waited.iter().filter(|waited| **waited).count();
    assert!(slowed >= 500, "{slowed} guesses had to wait");
    assert_eq!(site.send_from(200, "GET", "/health", &[], "").await.body, "ok\n");
}

//! Who comes in.

use std::process::Stdio;
use std::time::{Duration, Instant};

use huiliu_core::access::Role;
use huiliu_sdk::ErrorKind;
use huiliu_serve::{PgOptions, start_pg};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::world::{ANALYST, World, add_user, by, token_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_and_no_token_are_refused() {
    let world = World::open().await;
    for token in ["", "no-such-token", &world.token.to_uppercase(), &world.token[..63]] {
        let mut psql = world.psql_command();
        psql.env("PGPASSWORD", token).args(["-w", "-c", "select 1"]);
        let output = psql.output().await.unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(output.stdout.is_empty());
        if !token.is_empty() {
            assert!(errors.contains("the user or the token is wrong"), "{errors}");
            assert!(!errors.contains(token), "{errors}");
        }
    }
    for user in ["postgres", "someone else", "", "analyst/000000000000", "analyst/"] {
        let mut psql = world.psql_command();
        psql.env("PGUSER", user).args(["-At", "-c", "select 1"]);
        let output = psql.output().await.unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{user}");
    }
    let id = &world.token[3..15];
    let mut psql = world.psql_command();
    psql.env("PGUSER", format!("{ANALYST}/{id}")).args(["-At", "-c", "select 1"]);
    assert_eq!(psql.output().await.unwrap().stdout, b"1\n", "a token can be named");
    let refused = logins(&world, "login refused").await;
    assert!(refused >= 8, "{refused} refused logins are in the audit");
    assert_eq!(logins(&world, "login").await, 2, "one with the password, one with the token");
}

async fn logins(world: &World, action: &str) -> usize {
    let rows = world.accounts.store().audit().await.unwrap();
    rows.iter().filter(|row| row.action == action).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_query_comes_in_and_nobody_stays_who_may_not() {
    let world = World::open().await;
    add_user(&world.accounts, "operator", Role::Operator).await;
    let token = token_of(&world.accounts, "operator").await;
    let mut psql = world.psql_command();
    psql.env("PGUSER", "operator").env("PGPASSWORD", token).args(["-c", "select 1"]);
    assert!(!psql.output().await.unwrap().status.success(), "an operator asks no SQL");

    let mut psql = world.psql_command();
    psql.args(["-At", "-q"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut psql = psql.spawn().unwrap();
    let mut input = psql.stdin.take().unwrap();
    let mut lines = BufReader::new(psql.stdout.take().unwrap()).lines();
    input.write_all(b"select 1;\n").await.unwrap();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "1");
    world.accounts.disable(ANALYST, &by()).await.unwrap();
    let began = Instant::now();
    input.write_all(b"select count(*) from current.cases;\n").await.unwrap();
    assert_eq!(lines.next_line().await.unwrap(), None, "the account is disabled");
    assert!(began.elapsed() < Duration::from_secs(1));
    drop(input);
    psql.wait().await.unwrap();
    assert!(!world.psql(&["-c", "select 1"]).await.status.success());

    world.accounts.enable(ANALYST, &by()).await.unwrap();
    assert_eq!(world.rows("select 1").await, "1");
    let id = &world.token[3..15];
    world.accounts.revoke_token(id, None, &by()).await.unwrap();
    assert!(!world.psql(&["-c", "select 1"]).await.status.success(), "the token is revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_token_of_a_user_opens_by_its_id() {
    let world = World::open().await;
    // By the clock, for the newest counts where none is named.
    world.clock.advance(chrono::TimeDelta::seconds(1));
    let newer = token_of(&world.accounts, ANALYST).await;
    let older = world.token.clone();
    let is_in = async |user: &str, token: &str| {
        let mut psql = world.psql_command();
        psql.env("PGUSER", user).env("PGPASSWORD", token).args(["-At", "-c", "select 1"]);
        psql.output().await.unwrap().stdout == b"1\n"
    };
    for token in [&older, &newer] {
        assert!(is_in(&format!("{ANALYST}/{}", &token[3..15]), token).await);
    }
    assert!(is_in(ANALYST, &newer).await);
    assert!(!is_in(ANALYST, &older).await, "the newest counts");
    assert!(!is_in(&format!("{ANALYST}/{}", &older[3..15]), &newer).await, "of another id");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_cannot_be_ends_the_login() {
    let world = World::open().await;
    for (name, value) in [
        ("huiliu.snapshot", "yesterday"),
        ("options", "-c huiliu.snapshot=-1"),
        ("options", "-c statement_timeout=soon"),
        ("search_path", "nowhere"),
    ] {
        let mut socket = TcpStream::connect(world.server.address).await.unwrap();
        socket.write_all(&startup(&[(name, value)])).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with('E') && text.contains("SFATAL\0"), "{name}: {text}");
        assert!(text.contains("C22023\0"), "{name}: {text}");
    }
    let psql =
        world.psql_command().env("PGOPTIONS", "-c huiliu.snapshot=x").output().await.unwrap();
    let errors = String::from_utf8(psql.stderr).unwrap();
    assert!(errors.contains("FATAL:  invalid value for setting huiliu.snapshot: x"), "{errors}");
}

/// The bytes of a startup message of user `x` with other parameters.
fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = 196_608_i32.to_be_bytes().to_vec();
    for (name, value) in [("user", "x")].iter().chain(parameters) {
        body.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
    }
    body.push(0);
    let mut message = i32::try_from(body.len() + 4).unwrap().to_be_bytes().to_vec();
    message.extend(body);
    message
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend(i32::try_from(body.len() + 4).unwrap().to_be_bytes());
    message.extend(body);
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_skips_the_login_gets_nothing() {
    let world = World::open().await;
    let query = message(b'Q', b"select 4711 as answer\0");
    let guesses: [Vec<u8>; 5] = [
        query.clone(),
        message(b'p', b"guess\0"),
        message(b'p', b"SCRAM-SHA-256\0\0\0\0\x04abcd"),
        message(b'p', b"OAUTHBEARER\0\0\0\0\0"),
        message(b'P', b"\0select 4711 as answer\0\0\0"),
    ];
    for guess in guesses {
        let mut socket = TcpStream::connect(world.server.address).await.unwrap();
        let mut bytes = startup(&[]);
        bytes.extend(guess);
        bytes.extend(&query);
        bytes.extend(message(b'X', b""));
        socket.write_all(&bytes).await.unwrap();
        let mut answer = Vec::new();
        // A reset is an answer too.
        socket.read_to_end(&mut answer).await.ok();
        let text = String::from_utf8_lossy(&answer);
        assert!(!text.contains("4711") && !text.contains("answer"), "{text}");
        assert!(!text.contains("Z\0\0\0\x05"), "never ready for a query: {text}");
    }
    assert_eq!(world.rows("select 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_sixteen_connections_are_refused_until_one_ends() {
    let world = World::open().await;
    let mut open = Vec::new();
    for _ in 0..16 {
        let mut psql = world.psql_command();
        psql.args(["-At"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut psql = psql.spawn().unwrap();
        psql.stdin.as_mut().unwrap().write_all(b"select 1;\n").await.unwrap();
        let mut lines = BufReader::new(psql.stdout.take().unwrap()).lines();
        assert_eq!(lines.next_line().await.unwrap().unwrap(), "1");
        open.push((psql, lines));
    }
    let refused = world.psql(&["-c", "select 1"]).await;
    assert!(!refused.status.success());
    let errors = String::from_utf8(refused.stderr).unwrap();
    assert!(errors.contains("too many connections"), "{errors}");

    let (mut psql, _lines) = open.pop().unwrap();
    drop(psql.stdin.take());
    psql.wait().await.unwrap();
    let mut answered = false;
    for _ in 0..20 {
        if world.psql(&["-c", "select 1"]).await.status.success() {
            answered = true;
            break;
        }
    }
    assert!(answered, "the place became free");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_loopback_addresses_are_served() {
    let world = World::open().await;
    for address in ["0.0.0.0:0", "[::]:0", "192.168.1.10:5432"] {
        let address = address.parse().unwrap();
        let refused = start_pg(
            world.gate.clone(),
            PgOptions { address, tls: None },
            CancellationToken::new(),
        )
        .await;
        let error = refused.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.hint_text().is_some());
    }
    let taken = start_pg(
        world.gate.clone(),
        PgOptions { address: world.server.address, tls: None },
        CancellationToken::new(),
    )
    .await;
    assert_eq!(taken.err().unwrap().code(), "E-PG-ADDRESS", "the port is taken");
}

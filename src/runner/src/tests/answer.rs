//! A commit that arrived although its answer was lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::script::{checkpoint, end, items, read_of};
use super::world::{World, step};

#[allow(clippy::disallowed_methods)] // tests are told by the environment where the server is
fn server() -> String {
    std::env::var("HUILIU_TEST_PG_URL")
        .unwrap_or_else(|_| "postgresql://postgres@127.0.0.1:5432/postgres".into())
}

/// The place of the server in its address.
fn place(url: &str) -> String {
    let rest = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap().to_owned()
}

/// Passes connections on to the server. Of the first one that stores a stream's state, the answer
/// to the commit is lost: the server has it, and the hub's connection ends.
async fn forgetful_way(cuts: Arc<AtomicUsize>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((hub, _)) = listener.accept().await {
            tokio::spawn(pass(hub, Arc::clone(&cuts)));
        }
    });
    port
}

async fn pass(mut hub: TcpStream, cuts: Arc<AtomicUsize>) {
    let mut database = TcpStream::connect(place(&server())).await.unwrap();
    let (mut sent, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut is_armed = false;
    loop {
        tokio::select! {
            read = hub.read(&mut sent) => {
                let Ok(read @ 1..) = read else { return };
                let said = &sent[..read];
                is_armed |= holds(said, b"insert into huiliu_state");
                if database.write_all(said).await.is_err() {
                    return;
                }
                if is_armed && holds(said, b"COMMIT") && cuts.load(Ordering::SeqCst) == 0 {
                    cuts.fetch_add(1, Ordering::SeqCst);
                    // Its answer says that the server has committed.
                    let _answer = database.read(&mut answered).await;
                    return;
                }
            }
            read = database.read(&mut answered) => {
                let Ok(read @ 1..) = read else { return };
                if hub.write_all(&answered[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn holds(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_was_lost_is_counted_once() {
    let cuts = Arc::new(AtomicUsize::new(0));
    let port = forgetful_way(Arc::clone(&cuts)).await;
    let url = server().replacen(&place(&server()), &format!("127.0.0.1:{port}"), 1);
    // What goes by has to be readable.
    let url = format!("{url}{}sslmode=disable", if url.contains('?') { '&' } else { '?' });
    let schema = format!("answer_{}", std::process::id());
    let world = World::new("write = \"append\"");
    world.add_to_hub(&format!("[store]\nurl = \"{url}\"\nschema = \"{schema}\""));
    let rest = vec![checkpoint(1), end(true)];
    world.stage.script("t", vec![read_of(items(0..10, "a")), rest]);
    let report = world.run(&[]).await;
    let step = step(&report);
    assert_eq!(cuts.load(Ordering::SeqCst), 1);
    assert_eq!((step.state.as_str(), report.exit_code), ("succeeded", 0), "{step:?}");
    assert_eq!((step.balance.read, step.balance.written), (10, 10));
    assert_eq!(world.count().await, "10");
    let drop = format!("drop schema {schema} cascade");
    let psql = std::process::Command::new("psql").args(["-Xq", &server(), "-c", &drop]).output();
    assert!(psql.expect("psql is missing; ./test installs it").status.success());
}

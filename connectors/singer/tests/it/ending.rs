//! Taps that do not end by themselves, and what they have started.

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use crate::support::{
    LONGEST, limited, partly, read, request, row, schema, scripted, state, whole,
};

const ALL: usize = 1 << 20;

/// Hears whether processes live: each holds a connection, which ends with it.
struct Lives(TcpListener);

impl Lives {
    async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    async fn begin(&self, count: usize) -> Vec<TcpStream> {
        let mut lives = Vec::new();
        for _ in 0..count {
            let accepted = tokio::time::timeout(LONGEST, self.0.accept()).await;
            lives.push(accepted.expect("a process that does not start").unwrap().0);
        }
        lives
    }
}

/// Waits until all of them are gone.
async fn have_ended(lives: Vec<TcpStream>) {
    for mut life in lives {
        let mut byte = [0];
        let ended = tokio::time::timeout(LONGEST, life.read(&mut byte)).await;
        let ended = ended.expect("a process that goes on");
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    }
}

/// Steps of a tap that hangs with a child of its own.
fn hanging(port: u16) -> Value {
    json!([
        schema("a"), row("a", 1), state(json!({ "at": 1 })),
        { "connect": port, "spawn": port, "hang": true }
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_that_hangs_is_ended_with_everything_it_has_started() {
    let lives = Lives::new().await;
    let steps = hanging(lives.port());
    let endpoint = scripted(steps, vec![partly("a")], json!({ "idle": "4s" }));
    let cx = limited(100, ALL);
    let (read, lives) =
        tokio::join!(read(&*endpoint, &cx, request(&[("a", None)])), lives.begin(2));
    assert_eq!(read.code(), "E-SINGER-IDLE");
    assert_eq!(read.steps, ["schema a", "rows a 1", "state {\"at\":1}"]);
    have_ended(lives).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_that_closes_its_output_and_stays_is_ended_too() {
    let lives = Lives::new().await;
    let steps = json!([schema("a"), { "connect": lives.port(), "close": true, "hang": true }]);
    let endpoint = scripted(steps, vec![whole("a")], json!({ "idle": "4s" }));
    let cx = limited(100, ALL);
    let (read, lives) =
        tokio::join!(read(&*endpoint, &cx, request(&[("a", None)])), lives.begin(1));
    assert_eq!(read.code(), "E-SINGER-IDLE");
    assert!(read.complete.is_empty());
    have_ended(lives).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tap_has_left_behind_is_ended_with_it() {
    let lives = Lives::new().await;
    let steps = json!([schema("a"), { "spawn": lives.port() }, row("a", 1)]);
    let endpoint = scripted(steps, vec![whole("a")], json!({ "idle": "4s" }));
    let cx = limited(100, ALL);
    let mut source = endpoint.source(&cx, request(&[("a", None)])).await.unwrap();
    let lives = lives.begin(1).await;
    let mut outcome = crate::support::Outcome::default();
    crate::support::drain(source.as_mut(), &cx, &mut outcome).await;
    // It holds the output open, so the tap seems to go on.
    assert_eq!(outcome.code(), "E-SINGER-IDLE");
    have_ended(lives).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_is_cancelled_or_dropped_ends_its_tap() {
    for is_cancelled in [true, false] {
        let lives = Lives::new().await;
        let steps = hanging(lives.port());
        let endpoint = scripted(steps, vec![partly("a")], json!({}));
        let cx = limited(100, ALL);
        let mut source = endpoint.source(&cx, request(&[("a", None)])).await.unwrap();
        assert!(source.next(&cx).await.unwrap().is_some());
        let lives = lives.begin(2).await;
        if is_cancelled {
            cx.cancel.cancel();
            assert_eq!(source.next(&cx).await.unwrap_err().code(), "E-CANCELLED");
        } else {
            drop(source);
        }
        have_ended(lives).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_ends_a_tap_that_would_go_on() {
    let lives = Lives::new().await;
    let mut steps = vec![json!({ "connect": lives.port() }), schema("a")];
    steps.extend((1..100).map(|id| row("a", id)));
    steps.push(json!({ "hang": true }));
    let endpoint = scripted(Value::Array(steps), vec![whole("a")], json!({}));
    let mut request = request(&[("a", None)]);
    request.row_limit = Some(5);
    let cx = limited(3, ALL);
    let (read, lives) = tokio::join!(read(&*endpoint, &cx, request), lives.begin(1));
    assert!(read.error.is_none(), "{:?}", read.error);
    assert_eq!(read.column("a", "id"), ["1", "2", "3", "4", "5"]);
    assert_eq!(read.complete, [("a".to_owned(), false)]);
    have_ended(lives).await;
}

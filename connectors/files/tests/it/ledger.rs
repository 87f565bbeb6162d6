//! Which files are read, and when.

use huiliu_sdk::{ErrorKind, Event};
use serde_json::{Value, json};

use crate::support::{Drops, csv, limited, read, request, sha256};

fn incremental() -> Value {
    json!({ "read": "incremental" })
}

#[tokio::test]
async fn only_new_and_changed_files_are_read_again() {
    let drops = Drops::with("a.csv", "a\n1\n");
    drops.put("b.csv", "a\n2\n");
    let endpoint = drops.endpoint(csv(), incremental());
    let first = read(&*endpoint, &limited(10), None, None).await.unwrap();
    assert_eq!((first.column("a"), first.complete), (vec!["1".into(), "2".into()], Some(true)));
    assert_eq!(
        first.resume().unwrap().state["files"]["a.csv"],
        json!({ "size": 4, "sha256": sha256("a\n1\n"), "rows": 1, "refused": 0 })
    );

    let again = read(&*endpoint, &limited(10), first.resume(), None).await.unwrap();
    assert_eq!((again.len(), again.complete), (0, Some(false)));
    assert_eq!(again.resume(), first.resume());

    // The same size and whatever time: only the digest tells.
    drops.put("a.csv", "a\n9\n");
    drops.put("c.csv", "a\n3\n");
    let more = read(&*endpoint, &limited(10), again.resume(), None).await.unwrap();
    assert_eq!((more.column("a"), more.complete), (vec!["9".into(), "3".into()], Some(false)));
    assert_eq!(more.notes, ["file a.csv was replaced and is read again"]);

    // A file that comes back unchanged is old news.
    std::fs::remove_file(drops.path("c.csv")).unwrap();
    let gone = read(&*endpoint, &limited(10), more.resume(), None).await.unwrap();
    drops.put("c.csv", "a\n3\n");
    let back = read(&*endpoint, &limited(10), gone.resume(), None).await.unwrap();
    assert_eq!((gone.len(), back.len()), (0, 0));
}

#[tokio::test]
async fn a_full_read_takes_every_file_every_time() {
    let drops = Drops::with("a.csv", "a\n1\n");
    let endpoint = drops.endpoint(csv(), json!({ "read": "full" }));
    let first = read(&*endpoint, &limited(10), None, None).await.unwrap();
    let second = read(&*endpoint, &limited(10), first.resume(), None).await.unwrap();
    assert_eq!((second.len(), second.complete), (1, Some(true)));
}

#[tokio::test]
async fn resuming_at_any_checkpoint_gives_exactly_the_rest() {
    let drops = Drops::new();
    for file in 0..7 {
        let rows: String = (0..50).map(|row| format!("{file}-{row}\n")).collect();
        drops.put(&format!("{file}.csv"), format!("a\n{rows}"));
    }
    let endpoint = drops.endpoint(csv(), incremental());
    let whole = read(&*endpoint, &limited(8), None, None).await.unwrap();
    let all = whole.column("a");
    assert_eq!((all.len(), whole.checkpoints.len()), (350, 7));
    for (before, checkpoint) in whole.checkpoints {
        let rest = read(&*endpoint, &limited(8), Some(checkpoint), None).await.unwrap();
        assert_eq!(rest.column("a"), all[before..]);
    }
}

#[tokio::test]
async fn a_row_limit_leaves_the_file_unread() {
    let drops = Drops::with("a.csv", "a\n1\n2\n3\n");
    let endpoint = drops.endpoint(csv(), incremental());
    let some = read(&*endpoint, &limited(2), None, Some(2)).await.unwrap();
    assert_eq!((some.len(), some.complete), (2, Some(false)));
    let rest = read(&*endpoint, &limited(2), some.resume(), None).await.unwrap();
    assert_eq!(rest.len(), 3);
}

#[tokio::test]
async fn a_controlled_file_waits_for_its_control_file() {
    let content = "a\n1\n2,\n";
    let drops = Drops::with("a.csv", content);
    let endpoint = drops.endpoint(json!({ "pattern": "*", "control": {} }), incremental());
    let waiting = read(&*endpoint, &limited(10), None, None).await.unwrap();
    assert_eq!((waiting.len(), waiting.complete), (0, Some(false)));

    // A record that is refused is a row all the same.
    drops.put("a.ctl", format!("rows = 2\r\nsha256={}\r\n", sha256(content).to_uppercase()));
    let read_now = read(&*endpoint, &limited(10), waiting.resume(), None).await.unwrap();
    assert_eq!((read_now.len(), read_now.rejected.len()), (1, 1));
    assert_eq!(read_now.complete, Some(true));
}

#[tokio::test]
async fn a_control_file_that_disagrees_stops_the_file_before_its_first_row() {
    let content = "a\n1\n2\n";
    let digest = sha256(content);
    for (control, told) in [
        (format!("rows=3\nsha256={digest}\n"), "has 2 rows, a.ctl says 3"),
        (format!("rows=2\nsha256={}\n", sha256("")), digest.as_str()),
        (format!("sha256={digest}\n"), "no line `rows=`"),
        ("rows=2\n".to_owned(), "no line `sha256=`"),
        (format!("rows=two\nsha256={digest}\n"), "not a whole number"),
        ("rows=2\nsha256=abc\n".to_owned(), "64 hexadecimal digits"),
        ("x".repeat(2 << 20), "longer than"),
    ] {
        let drops = Drops::with("a.csv", content);
        drops.put("a.ctl", control);
        let endpoint = drops.endpoint(json!({ "pattern": "*.csv", "control": {} }), incremental());
        let cx = limited(1);
        let mut source = endpoint.source(&cx, request(None, None)).await.unwrap();
        let error = source.next(&cx).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "E-CONTROL"));
        assert!(error.message().contains(told), "{error}");
    }
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_a_conflict() {
    let content: String = (0..5_000).map(|row| format!("{row}\n")).collect();
    let drops = Drops::with("a.csv", format!("a\n{content}"));
    let endpoint = drops.endpoint(csv(), incremental());
    let cx = limited(10);
    let mut source = endpoint.source(&cx, request(None, None)).await.unwrap();
    assert!(matches!(source.next(&cx).await.unwrap(), Some(Event::Schema(..))));
    // The reader is a few batches ahead at most, so this falls into the read.
    let longer = format!("a\n{content}5000\n");
    std::fs::write(drops.path("a.csv"), longer).unwrap();
    let error = loop {
        match source.next(&cx).await {
            Ok(event) => assert!(matches!(event, Some(Event::Rows(_)))),
            Err(error) => break error,
        }
    };
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "E-FILE-CHANGED"));
}

#[tokio::test]
async fn links_that_leave_the_folder_and_pipes_are_refused() {
    for target in ["../secret.csv", "/etc/passwd", "nowhere.csv"] {
        let drops = Drops::with("../secret.csv", "a\nsecret\n");
        drops.put("ok.csv", "a\n1\n");
        std::os::unix::fs::symlink(target, drops.path("z.csv")).unwrap();
        let error = drops.read(csv()).await.err().unwrap();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Permission, "E-PATH"), "{target}");
    }
    // A link to another file of the folder stays inside.
    let drops = Drops::with("ok.dat", "a\n1\n");
    std::os::unix::fs::symlink("ok.dat", drops.path("a.csv")).unwrap();
    assert_eq!(drops.read(csv()).await.unwrap().column("a"), ["1"]);
}

#[tokio::test]
async fn a_control_file_that_links_out_of_the_folder_is_refused() {
    let drops = Drops::with("../outside.ctl", "rows=1\n");
    drops.put("a.csv", "a\n1\n");
    std::os::unix::fs::symlink("../outside.ctl", drops.path("a.ctl")).unwrap();
    let error = drops.read(json!({ "pattern": "*.csv", "control": {} })).await.err().unwrap();
    assert_eq!(error.code(), "E-PATH");
}

#[tokio::test]
async fn a_cancelled_read_stops() {
    let drops = Drops::with("a.csv", "a\n1\n");
    let endpoint = drops.endpoint(csv(), incremental());
    let cx = limited(10);
    let mut source = endpoint.source(&cx, request(None, None)).await.unwrap();
    cx.cancel.cancel();
    assert_eq!(source.next(&cx).await.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[tokio::test]
async fn a_foreign_checkpoint_is_refused() {
    let drops = Drops::with("a.csv", "a\n1\n");
    let endpoint = drops.endpoint(csv(), incremental());
    let mut foreign = read(&*endpoint, &limited(10), None, None).await.unwrap().resume().unwrap();
    foreign.state = json!({ "cursor": "2018" });
    let error = read(&*endpoint, &limited(10), Some(foreign), None).await.err().unwrap();
    assert_eq!(error.code(), "E-STATE");
}

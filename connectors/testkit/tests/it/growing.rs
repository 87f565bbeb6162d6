//! What only this connector does: files that grow.

use huiliu_sdk::{ErrorKind, ReadMode};
use huiliu_testkit::{System, cx, hazard, open, read, run};

use crate::conformance::Folder;

#[test]
fn a_line_that_is_being_written_waits_and_a_file_that_shrank_is_refused() {
    run(async {
        let mut system = Folder::fresh().await;
        let table = hazard::cases(0, 3);
        system.put(&table).await.unwrap();
        let path = system.config().base_dir.join("cases.ndjson");
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 10]).unwrap();
        let mut raw = system.config();
        raw.streams.push(system.stream(&table, ReadMode::Incremental));
        let endpoint = open(&system, raw);
        let first = read(&*endpoint, &cx(), "cases", None).await.unwrap();
        assert_eq!((first.len(), first.complete, first.notes.len()), (2, Some(false), 1));
        std::fs::write(&path, &whole).unwrap();
        let second = read(&*endpoint, &cx(), "cases", first.resume()).await.unwrap();
        assert_eq!(second.ids(), ["c000002"]);
        std::fs::write(&path, whole.lines().next().unwrap()).unwrap();
        let error = read(&*endpoint, &cx(), "cases", second.resume()).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "E-SOURCE-REWOUND"));
    });
}

//! The faulty endpoint: whatever the step, its fault is met, and nothing is read after it.

use std::sync::Arc;

use huiliu_sdk::{ErrorKind, ReadMode};
use huiliu_testkit::{Fault, Faulty, System, cx, hazard, limited, open, read, run};

use crate::conformance::Folder;

#[test]
fn every_step_meets_its_fault() {
    run(async {
        let mut system = Folder::fresh().await;
        let table = hazard::cases(0, 30);
        system.put(&table).await.unwrap();
        let mut raw = system.config();
        raw.streams.push(system.stream(&table, ReadMode::Full));
        let endpoint = open(&system, raw);
        let whole = Faulty::new(Arc::clone(&endpoint), usize::MAX, Fault::Cancel);
        read(&whole, &limited(10), "cases", None).await.unwrap();
        assert!(whole.steps() > 8, "{}", whole.steps());
        for at in 1..=whole.steps() {
            for (fault, kind) in [
                (Fault::Fail(ErrorKind::Throttled), ErrorKind::Throttled),
                (Fault::Cancel, ErrorKind::Cancelled),
                (Fault::Forget, ErrorKind::Unreachable),
            ] {
                let faulty = Faulty::new(Arc::clone(&endpoint), at, fault);
                let error = read(&faulty, &limited(10), "cases", None).await.unwrap_err();
                assert_eq!(error.kind(), kind, "step {at}");
                assert_eq!(faulty.steps(), at);
            }
        }
        let faulty = Faulty::new(endpoint, 3, Fault::Stall);
        let cx = cx();
        let (outcome, ()) = tokio::join!(read(&faulty, &cx, "cases", None), async {
            while faulty.steps() < 3 {
                tokio::task::yield_now().await;
            }
            cx.cancel.cancel();
        });
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Cancelled);
    });
}

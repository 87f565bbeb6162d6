//! The program that runs the statements of these tests' doors, in the folder it is started in.

// It is part of tests, whose allowance reaches only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

mod ground;

use huiliu_serve::sql::{Opened, serve_statements};
use huiliu_store::SealKey;

fn main() {
    let served = serve_statements(|| async {
        let data = std::env::current_dir().unwrap();
        let (engine, key) = (ground::engine(&data).await, SealKey::new(&ground::KEY).unwrap());
        Ok(Opened { engine, key, memory_bytes: ground::MEMORY as u64 })
    });
    served.unwrap();
}

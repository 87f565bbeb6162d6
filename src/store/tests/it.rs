//! The store, over SQLite and over Postgres alike.

#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::disallowed_methods)] // the test server's place comes from the environment

mod alert;
mod backend;
mod damage;
mod job;
mod lease;
mod limit;
mod push;
mod record;
mod shared;
mod writer;

use huiliu_store::Store;

impl backend::Backend {
    pub(crate) async fn store(&self) -> Store {
        let file = self.data().join("huiliu.db");
        Store::open_at(&self.address(), &file, self.data()).await.unwrap_or_else(|e| {
            let server = backend::server();
            panic!("{e}; tests need PostgreSQL at {server} (HUILIU_TEST_PG_URL)")
        })
    }
}

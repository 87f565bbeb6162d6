//! The city against oracles that share no code with it: plain SQL, decoded files, raw sockets.
#![allow(clippy::unwrap_used, clippy::expect_used)] // every function here is part of a test

mod changes;
mod check;
mod copies;
mod determinism;
mod exchanges;
mod http;
mod investment_service;
mod night;
mod portal_service;
mod province_service;
mod supervision;
mod systems;
mod truth;

use huiliu_city::{CityOptions, generate};
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Row};
use tempfile::TempDir;

/// A finished city in a folder of its own.
struct City {
    folder: TempDir,
    truth: Value,
}

impl City {
    async fn new(seed: u64, scale: f64) -> Self {
        let folder = TempDir::new().unwrap();
        let dir = folder.path().join("city");
        generate(&dir, &CityOptions { seed, scale }).await.unwrap();
        let truth = serde_json::from_slice(&std::fs::read(dir.join("truth.json")).unwrap());
        Self { truth: truth.unwrap(), folder }
    }

    fn dir(&self) -> std::path::PathBuf {
        self.folder.path().join("city")
    }

    async fn open(&self, name: &str) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.dir().join(name));
        options.read_only(true).connect().await.unwrap()
    }

    /// The only number that `sql` gives.
    async fn number(&self, name: &str, sql: &'static str) -> i64 {
        let mut connection = self.open(name).await;
        sqlx::query(sql).fetch_one(&mut connection).await.unwrap().get(0)
    }

    fn true_number(&self, pointer: &str) -> i64 {
        self.truth.pointer(pointer).and_then(Value::as_i64).unwrap()
    }

    fn true_keys(&self, class: &str) -> Vec<String> {
        self.keys_of("classes", class)
    }

    fn true_findings(&self, rule: &str) -> Vec<String> {
        self.keys_of("item_findings", rule)
    }

    fn keys_of(&self, list: &str, name: &str) -> Vec<String> {
        let keys = self.truth[list][name]["keys"].as_array().unwrap();
        keys.iter().map(|key| key.as_str().unwrap().to_owned()).collect()
    }
}

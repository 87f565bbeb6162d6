#![allow(clippy::unwrap_used)] // support stands outside of the test functions
#![allow(clippy::disallowed_methods)] // the servers' addresses come from the environment
//! Databases of their own on the real servers, by the servers' own clients.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

static NEXT: AtomicU32 = AtomicU32::new(0);

fn name(kind: &str) -> String {
    format!("huiliu_singer_{kind}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn run(command: &mut Command, sql: &str) -> String {
    let output = command.arg(sql).output().unwrap();
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// User, password, host and port of an address.
struct Address {
    user: String,
    password: String,
    host: String,
    port: u16,
}

impl Address {
    fn of(variable: &str, default: &str) -> Self {
        let url = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
        let rest = url.split_once("://").unwrap().1;
        let (login, place) = rest.split_once('@').unwrap();
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let place = place.split('/').next().unwrap();
        let (host, port) = place.split_once(':').unwrap();
        Self {
            user: user.to_owned(),
            password: password.to_owned(),
            host: host.to_owned(),
            port: port.parse().unwrap(),
        }
    }
}

/// A database of PostgreSQL.
pub(crate) struct Postgres {
    address: Address,
    name: String,
}

impl Postgres {
    pub(crate) fn with(sql: &str) -> Self {
        let default = "postgresql://postgres@127.0.0.1:5432/postgres";
        let address = Address::of("HUILIU_TEST_PG_URL", default);
        let database = Self { address, name: name("pg") };
        database.psql("postgres", &format!("create database {}", database.name));
        database.query(sql);
        database
    }

    fn psql(&self, database: &str, sql: &str) -> String {
        let Address { user, password, host, port } = &self.address;
        let url = format!("postgresql://{user}:{password}@{host}:{port}/{database}");
        run(Command::new("psql").args(["-XqAt", "-v", "ON_ERROR_STOP=1", &url, "-c"]), sql)
    }

    pub(crate) fn query(&self, sql: &str) -> String {
        self.psql(&self.name, sql)
    }

    /// What taps and targets of it call for. No password is asked for, so any will do.
    pub(crate) fn config(&self) -> Value {
        let Address { user, host, port, .. } = &self.address;
        json!({
            "host": host, "port": port, "user": user, "password": "canary-password",
            "database": self.name
        })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.psql("postgres", &format!("drop database {} with (force)", self.name));
    }
}

/// A database of MariaDB.
pub(crate) struct MariaDb {
    address: Address,
    pub(crate) name: String,
}

impl MariaDb {
    pub(crate) fn with(sql: &str) -> Self {
        let address = Address::of("HUILIU_TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/");
        let database = Self { address, name: name("my") };
        database.client(&format!("create database {} character set utf8mb4", database.name));
        database.query(sql);
        database
    }

    fn client(&self, sql: &str) -> String {
        let Address { user, password, host, port } = &self.address;
        let mut command = Command::new("mariadb");
        command.args(["-h", host, "-P", &port.to_string(), "-u", user, "--skip-column-names"]);
        if !password.is_empty() {
            command.arg(format!("--password={password}"));
        }
        run(command.args(["--default-character-set=utf8mb4", "-e"]), sql)
    }

    pub(crate) fn query(&self, sql: &str) -> String {
        self.client(&format!("use {}; {sql}", self.name))
    }

    pub(crate) fn config(&self) -> Value {
        let Address { user, password, host, port } = &self.address;
        json!({
            "host": host, "port": port.to_string(), "user": user, "password": password,
            "filter_dbs": self.name
        })
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        self.client(&format!("drop database {}", self.name));
    }
}

//! A small lake, the doors over it, and the clients that come in.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use huiliu_core::access::Role;
use huiliu_core::access::password::PasswordProfile;
use huiliu_core::model::Unit;
use huiliu_engine::{Engine, Figure};
use huiliu_lake::{Commit, Merge, MergePlan, Positions, RowStamp};
use huiliu_sdk::{ManualClock, Ops, WriteMode};
use huiliu_serve::data::{NewToken, NewUser};
use huiliu_serve::identity::{Accounts, By};
use huiliu_serve::sql::{Gate, GateLimits};
use huiliu_serve::{FlightOptions, FlightServer, PgOptions, PgServer, start_flight, start_pg};
use huiliu_store::SealKey;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::child::program;
use crate::ground::{KEY, engine};

/// Longer than any client here needs; a test that hangs fails instead.
const PATIENCE: Duration = Duration::from_secs(60);

/// The analyst whose token the clients bring.
pub(crate) const ANALYST: &str = "analyst";
/// The password of everybody in these tests.
pub(crate) const PASSWORD: &str = "tide-Lantern-orbit-42";

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) accounts: Accounts,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) gate: Gate,
    pub(crate) server: PgServer,
    pub(crate) flight: FlightServer,
    pub(crate) token: String,
    pub(crate) cancel: CancellationToken,
    pub(crate) door: JoinHandle<()>,
    pub(crate) flight_door: JoinHandle<()>,
    /// Keeps the lake's files until the test ends.
    folder: TempDir,
}

impl World {
    /// A door over a lake with 100 cases, three people and one figure.
    pub(crate) async fn open() -> Self {
        Self::with_timeout(Duration::from_secs(30)).await
    }

    pub(crate) async fn with_timeout(time: Duration) -> Self {
        let limits = GateLimits { time, ..GateLimits::default() };
        Self::with(limits).await
    }

    pub(crate) async fn with(limits: GateLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path()).await;
        add_cases(&engine, 1, 0, 100).await;
        add_people(&engine).await;
        add_figure(&engine).await;
        let now = "2018-12-13T08:00:00Z".parse().unwrap();
        let clock = Arc::new(ManualClock::new(now));
        let accounts = Accounts::new(
            engine.lake().store().clone(),
            SealKey::new(&KEY).unwrap(),
            clock.clone(),
            PasswordProfile::DjbhL3,
            "政务服务中心".into(),
        )
        .unwrap();
        add_user(&accounts, ANALYST, Role::Analyst).await;
        let token = token_of(&accounts, ANALYST).await;
        let gate =
            Gate::new(engine.clone(), accounts.clone(), limits, program(folder.path())).unwrap();
        let cancel = CancellationToken::new();
        let anywhere = "127.0.0.1:0".parse().unwrap();
        let options = PgOptions { address: anywhere, tls: None };
        let (server, door) = start_pg(gate.clone(), options, cancel.clone()).await.unwrap();
        let door = tokio::spawn(door);
        let options = FlightOptions { address: anywhere, tls: None };
        let (flight, flights) = start_flight(gate.clone(), options, cancel.clone()).await.unwrap();
        let flight_door = tokio::spawn(flights);
        Self {
            engine,
            accounts,
            clock,
            gate,
            server,
            flight,
            token,
            cancel,
            door,
            flight_door,
            folder,
        }
    }

    /// The data folder.
    pub(crate) fn data(&self) -> &Path {
        self.folder.path()
    }

    /// A client as a process, told where the doors are.
    pub(crate) fn client(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env("PGPASSWORD", &self.token)
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.server.address.port().to_string())
            .env("PGUSER", ANALYST)
            .env("PGDATABASE", "huiliu")
            .env("PGCONNECT_TIMEOUT", "10")
            .env("FLIGHT", format!("grpc://{}", self.flight.address))
            .env("LC_ALL", "C.UTF-8")
            .kill_on_drop(true);
        command
    }

    /// psql as a process, without files of its user.
    pub(crate) fn psql_command(&self) -> Command {
        let mut command = self.client("psql");
        command.arg("-X");
        command
    }

    /// Runs psql with `arguments`.
    pub(crate) async fn psql(&self, arguments: &[&str]) -> Output {
        let mut command = self.psql_command();
        command.args(arguments);
        finish(command).await
    }

    /// What psql prints for `sql`, bare.
    pub(crate) async fn rows(&self, sql: &str) -> String {
        let output = self.psql(&["-At", "-v", "ON_ERROR_STOP=1", "-c", sql]).await;
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}\n{text}\n{errors}");
        text.trim_end().to_owned()
    }

    /// What psql says when `sql` fails, with the SQLSTATE.
    pub(crate) async fn refusal(&self, sql: &str) -> String {
        let arguments = ["-At", "-v", "VERBOSITY=verbose", "-v", "ON_ERROR_STOP=1", "-c", sql];
        let output = self.psql(&arguments).await;
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{sql} was answered: {errors}");
        errors
    }

    /// Python as a process, told where the door is.
    pub(crate) fn python_command(&self) -> Command {
        self.client(python())
    }

    /// Runs a Python program that speaks the extended protocol.
    pub(crate) async fn python(&self, program: &str) -> String {
        let mut command = self.python_command();
        command.arg("-c").arg(program);
        let output = finish(command).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

async fn finish(mut command: Command) -> Output {
    tokio::time::timeout(PATIENCE, command.output()).await.expect("the client hangs").unwrap()
}

/// The Python with psycopg, which the test runner names.
fn python() -> PathBuf {
    std::env::var_os("HUILIU_TEST_PYTHON").map_or_else(|| "python3".into(), PathBuf::from)
}

/// Who does things in these tests.
pub(crate) fn by() -> By {
    By { who: "test".into(), address: "local".into(), reason: "test".into() }
}

/// A user who need not change the password first.
pub(crate) async fn add_user(accounts: &Accounts, name: &str, role: Role) {
    let title = "某某".to_owned();
    let password = "first-Garden-anchor-77".to_owned();
    let new = NewUser { name: name.into(), title, role, password: password.clone() };
    accounts.add_user(&new, &by()).await.unwrap();
    let visitor = accounts.login(name, &password, "", "local").await.unwrap().visitor;
    accounts.change_password(&visitor, &password, PASSWORD).await.unwrap();
}

/// A token of a user that may do all its user may.
pub(crate) async fn token_of(accounts: &Accounts, name: &str) -> String {
    let new = NewToken { title: "test".into(), scopes: Vec::new(), days: None };
    accounts.make_token(name, &new, &by()).await.unwrap().secret
}

/// Receives cases `from..to` into `current.cases`: one new snapshot.
pub(crate) async fn add_cases(engine: &Engine, seq: i64, from: i64, to: i64) -> i64 {
    let ids: ArrayRef =
        Arc::new(StringArray::from_iter_values((from..to).map(|id| format!("K{id:05}"))));
    let subjects: ArrayRef =
        Arc::new(StringArray::from_iter_values((from..to).map(|id| format!("事项{id}"))));
    let days: ArrayRef = Arc::new(Int64Array::from_iter_values(from..to));
    receive(engine, seq, "cases", vec![("id", ids), ("subject", subjects), ("days", days)]).await
}

/// The names and numbers of `current.people`, which nobody may see.
pub(crate) const PEOPLE: [(&str, &str); 3] = [
    ("张小明", "340503198001010018"),
    ("李四", "340503199002020026"),
    ("王小五", "340503197003030034"),
];

async fn add_people(engine: &Engine) {
    let text = |values: Vec<String>| -> ArrayRef { Arc::new(StringArray::from(values)) };
    let ids = text((0..PEOPLE.len()).map(|id| format!("P{id}")).collect());
    let names = text(PEOPLE.iter().map(|(name, _)| (*name).to_owned()).collect());
    let numbers = text(PEOPLE.iter().map(|(_, number)| (*number).to_owned()).collect());
    receive(engine, 1, "people", vec![("id", ids), ("name", names), ("number", numbers)]).await;
}

/// Receives visits into `current.visits`: their id, division and fee; all of one office.
pub(crate) async fn add_visits(engine: &Engine, visits: &[(&str, &str, i64)]) {
    let text = |value: fn(&(&str, &str, i64)) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(visits.iter().map(value)))
    };
    let fees: ArrayRef = Arc::new(Int64Array::from_iter_values(visits.iter().map(|v| v.2)));
    let columns = vec![
        ("id", text(|v| v.0.to_owned())),
        ("division", text(|v| v.1.to_owned())),
        ("office", text(|_| "市政务服务中心".to_owned())),
        ("fee", fees),
    ];
    receive(engine, 1, "visits", columns).await;
}

/// Receives rows with a column `id` into a table of `current`: one new snapshot.
pub(crate) async fn receive(
    engine: &Engine,
    seq: i64,
    name: &str,
    columns: Vec<(&str, ArrayRef)>,
) -> i64 {
    let lake = engine.lake();
    let fields = columns.iter().map(|(name, c)| Field::new(*name, c.data_type().clone(), true));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    let batch = RecordBatch::try_new(Arc::new(schema.clone()), columns).unwrap();
    let mut positions = Positions::new();
    positions.push("test".into(), (0..batch.num_rows() as u64).collect());

    let plan =
        MergePlan { key: vec!["id".to_owned()], mode: WriteMode::Upsert, ..MergePlan::default() };
    let (current, history) = Merge::table_schemas(&schema, plan.mode);
    let mut tx = lake.store().begin().await.unwrap();
    let current = lake.ensure_table(&mut tx, "current", name, &current).await.unwrap();
    let history = lake.ensure_table(&mut tx, "history", name, &history).await.unwrap();
    tx.commit().await.unwrap();
    let stamp = RowStamp { run: seq, seq, received_at: 1_544_688_000_000_000 + seq };
    let mut merge = Merge::start(lake, current, history, &schema, plan, stamp).await.unwrap();
    merge.merge(&batch, &Ops::Upsert, &positions).unwrap();
    let changes = merge.finish().unwrap().changes;
    commit(engine, Commit { changes, author: "test".into(), message: name.into() }).await
}

async fn add_figure(engine: &Engine) {
    let figure = Figure {
        key: "on_time".into(),
        title: "按期办结率".into(),
        unit: Unit::Percent,
        value: Some("98.50".into()),
        numerator: 197,
        denominator: Some(200),
        definition: "办结未超期的件".into(),
        valid_from: "2018-01-01".into(),
        owner: "督查室".into(),
        snapshot: 1,
    };
    let table = engine.figure_table(&[figure]).await.unwrap();
    commit(engine, table.commit).await;
}

async fn commit(engine: &Engine, commit: Commit) -> i64 {
    let mut tx = engine.lake().store().begin().await.unwrap();
    let snapshot = commit.write(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    snapshot
}

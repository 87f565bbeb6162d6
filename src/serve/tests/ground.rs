//! What the doors of these tests stand on, and the processes in which their statements run.

use std::path::Path;
use std::sync::Arc;

use huiliu_core::calendar::Calendar;
use huiliu_core::code_table::CodeTables;
use huiliu_engine::function::DomainFunctions;
use huiliu_engine::{Engine, EngineOptions, Pipelines};
use huiliu_lake::Lake;

/// The hub's key.
pub(crate) const KEY: [u8; 32] = [7; 32];
/// The memory of statements, in bytes.
pub(crate) const MEMORY: usize = 256 << 20;

/// The engine over the lake in `data`.
pub(crate) async fn engine(data: &Path) -> Engine {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let holidays = std::fs::read_to_string(config.join("calendar/holidays.csv")).unwrap();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(config.join("codes")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        files.push((name, std::fs::read_to_string(path).unwrap()));
    }
    let functions = DomainFunctions {
        calendar: Arc::new(Calendar::parse(&holidays, "holidays.csv").unwrap()),
        codes: Arc::new(CodeTables::from_files(files).unwrap()),
    };
    let spill = data.join("spill");
    std::fs::create_dir_all(&spill).unwrap();
    let options = EngineOptions {
        memory_bytes: MEMORY,
        spill,
        partitions: 2,
        zone: chrono_tz::Asia::Shanghai,
    };
    let lake = Lake::open(data).await.unwrap();
    let tags = |pairs: &[(&str, &str)]| -> huiliu_engine::Tags {
        pairs.iter().map(|(column, kind)| ((*column).to_owned(), (*kind).to_owned())).collect()
    };
    let people = tags(&[("name", "name"), ("number", "id_number")]);
    Engine::new(lake, Pipelines::default(), functions, options, huiliu_engine::FileHashes::new())
        .with_personal(
            [
                ("cases".into(), tags(&[])),
                ("payments".into(), tags(&[])),
                ("people".into(), people),
                ("visits".into(), tags(&[("division", "division"), ("office", "department")])),
            ]
            .into(),
        )
}

//! The city's folder: what lies where, whether it is finished, and making it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use huiliu_sdk::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::stores::{
    app, catalog, compiling, drops, ems, enterprise, fronts, hall, investment, items, linked,
    micro, operation, parallel, portal, province, province_items, publish, realestate, statistics,
    steer, supervision, trial, vertical,
};
use crate::truth::{Truth, Witness, Written};
use crate::world::World;

pub(crate) const FORMAT: u32 = 6;
/// Stands in the folder from the first moment until the city is finished.
const UNFINISHED: &str = "unfinished";
const FINISHED: &str = "city.json";

/// Which city to make.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CityOptions {
    /// Decides everything that chance decides.
    pub seed: u64,
    /// The size; 1.0 has the numbers of the report of 2018. From 0.02 to 5.
    pub scale: f64,
}

#[derive(Serialize, Deserialize)]
struct Finished {
    format: u32,
    seed: u64,
    scale: f64,
}

/// The database of accepted and finished cases.
pub(crate) fn operation_path(dir: &Path) -> PathBuf {
    database_path(dir, "operation")
}

/// The database of this name; a service's has its name.
pub(crate) fn database_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.db"))
}

/// The folder in which files arrive that are to be published.
pub(crate) fn publish_path(dir: &Path) -> PathBuf {
    dir.join("publish")
}

fn io(what: &str) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |error| {
        Error::new(ErrorKind::Internal, "E-CITY-STORE", format!("could not {what}")).cause(error)
    }
}

/// When the finished city in `dir` was made, as a number that no other city in its place has.
pub(crate) fn made(dir: &Path) -> Result<u128> {
    let written = fs::metadata(dir.join(FINISHED)).and_then(|file| file.modified());
    let written = written.map_err(io("look when the city was made"))?;
    Ok(written.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos())
}

/// The options of the finished city in `dir`.
pub(crate) fn finished(dir: &Path) -> Result<CityOptions> {
    match read_finished(dir)? {
        Some(options) => Ok(options),
        None => {
            Err(Error::new(ErrorKind::NotFound, "E-CITY-NONE", "there is no finished city here")
                .hint("make it first with `huiliu demo`"))
        }
    }
}

fn read_finished(dir: &Path) -> Result<Option<CityOptions>> {
    let text = match fs::read_to_string(dir.join(FINISHED)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io("read city.json")(error)),
    };
    let finished: Finished = serde_json::from_str(&text).map_err(|error| {
        Error::new(ErrorKind::Data, "E-CITY-FILE", "city.json is not readable")
            .cause(error)
            .hint("use another --data, or remove the city's folder")
    })?;
    if finished.format != FORMAT {
        return Err(Error::new(
            ErrorKind::Conflict,
            "E-CITY-FORMAT",
            format!("the city is of format {}, this program makes {FORMAT}", finished.format),
        )
        .hint("use another --data"));
    }
    Ok(Some(CityOptions { seed: finished.seed, scale: finished.scale }))
}

/// Makes the city in `dir`, or leaves a finished one of the same options as it is.
pub async fn generate(dir: &Path, options: &CityOptions) -> Result<()> {
    if !(0.02..=5.0).contains(&options.scale) {
        return Err(Error::new(
            ErrorKind::Config,
            "E-CITY-SCALE",
            format!("a city of scale {} cannot be made", options.scale),
        )
        .hint("use a scale from 0.02 to 5"));
    }
    if let Some(present) = read_finished(dir)? {
        if present == *options {
            return Ok(());
        }
        return Err(Error::new(
            ErrorKind::Conflict,
            "E-CITY-OTHER",
            format!(
                "the folder holds the city of seed {} and scale {}",
                present.seed, present.scale
            ),
        )
        .hint("use another --data for another city"));
    }
    clear_unfinished(dir)?;
    fs::create_dir_all(dir).map_err(io("create the city's folder"))?;
    fs::write(dir.join(UNFINISHED), b"").map_err(io("mark the city as unfinished"))?;
    fill(dir, options).await?;
    let finished = Finished { format: FORMAT, seed: options.seed, scale: options.scale };
    write_atomically(&dir.join(FINISHED), &finished)?;
    fs::remove_file(dir.join(UNFINISHED)).map_err(io("mark the city as finished"))
}

/// Removes what an interrupted run left; a folder that is not ours is refused.
fn clear_unfinished(dir: &Path) -> Result<()> {
    let mut entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io("read the city's folder")(error)),
    };
    if entries.next().is_none() {
        return Ok(());
    }
    if !dir.join(UNFINISHED).exists() {
        return Err(Error::new(ErrorKind::Conflict, "E-CITY-FOLDER", "the folder holds no city")
            .hint("use another --data, or empty the folder"));
    }
    fs::remove_dir_all(dir).map_err(io("remove an unfinished city"))
}

async fn fill(dir: &Path, options: &CityOptions) -> Result<()> {
    let options = *options;
    let world = blocking(move || Ok(World::new(&options))).await?;
    let world = Arc::new(world);
    // A task for each file, so that making rows and storing them overlap on all cores.
    let mut tasks = tokio::task::JoinSet::new();
    let (path, copy) = (operation_path(dir), Arc::clone(&world));
    tasks.spawn(async move { operation::write(&path, copy).await });
    let (path, copy) = (database_path(dir, "province"), Arc::clone(&world));
    tasks.spawn(async move { province::write(&path, copy).await });
    let (path, copy) = (database_path(dir, "items"), Arc::clone(&world));
    tasks.spawn(async move { items::write(&path, copy).await });
    let mut witnesses = others(dir, &world).await?;
    let (path, copy) = (database_path(dir, "catalog"), Arc::clone(&world));
    let catalogued = catalog::write(&path, copy).await?;
    let path = database_path(dir, "investment");
    let invested = investment::write(&path, Arc::clone(&world)).await?;
    witnesses.push(invested.witness);
    let (folder, copy) = (dir.join("drops"), Arc::clone(&world));
    let mut departments = blocking(move || drops::write(&folder, &copy)).await?;
    departments.add(fronts::write(dir, &world).await?);
    let mut rows = departments.rows;
    rows.push(catalogued.rows);
    while let Some(done) = tasks.join_next().await {
        rows.extend(done.map_err(stopped)??);
    }
    // More tables in the files that are complete by now.
    let (items, province) = (database_path(dir, "items"), database_path(dir, "province"));
    witnesses.push(compiling::write(&items, &world).await?);
    witnesses.push(statistics::write(&province, &world).await?);
    witnesses.push(province_items::write(&province, &items).await?);
    let written = Written {
        rows,
        broken: departments.broken,
        outside: departments.outside,
        investment: invested.states,
        unused: catalogued.unused,
        witnesses,
    };
    let path = dir.join("truth.json");
    blocking(move || write_atomically(&path, &Truth::new(&world, written))).await
}

/// The systems beside those of items and cases; all are small.
async fn others(dir: &Path, world: &Arc<World>) -> Result<Vec<Witness>> {
    let (steered, copy) = (dir.join("steer"), Arc::clone(world));
    let (queued, again) = (dir.join("hall"), Arc::clone(world));
    let (published, shown) = (publish_path(dir), Arc::clone(world));
    let path = |name: &str| database_path(dir, name);
    Ok(vec![
        portal::write(&path("portal"), world).await?,
        app::write(&path("app"), world).await?,
        linked::write(&path("linked"), world).await?,
        enterprise::write(&path("enterprise"), world).await?,
        realestate::write(&path("realestate"), world).await?,
        trial::write(&path("hrss"), dir, world).await?,
        micro::write(&path("micro"), world).await?,
        supervision::write(&path("supervision"), world).await?,
        ems::write(&path("ems"), world).await?,
        parallel::write(&path("parallel"), world).await?,
        vertical::write(dir, world).await?,
        blocking(move || steer::write(&steered, &copy)).await?,
        blocking(move || hall::write(&queued, &again)).await?,
        blocking(move || publish::write(&published, &shown)).await?,
    ])
}

fn stopped(error: tokio::task::JoinError) -> Error {
    Error::internal("making the city stopped").cause(error)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(stopped)?
}

/// Writes JSON beside `path` and moves it there, so that nobody sees half of it.
pub(crate) fn write_atomically(path: &Path, value: &impl Serialize) -> Result<()> {
    let beside = path.with_extension("json.new");
    let file = fs::File::create(&beside).map_err(io("create a file of the city"))?;
    let mut writer = std::io::BufWriter::new(file);
    serde_json::to_writer(&mut writer, value)
        .map_err(|error| Error::internal("could not write JSON").cause(error))?;
    let file =
        writer.into_inner().map_err(|error| io("write a file of the city")(error.into_error()))?;
    file.sync_all().map_err(io("write a file of the city"))?;
    fs::rename(&beside, path).map_err(io("move a file of the city"))
}

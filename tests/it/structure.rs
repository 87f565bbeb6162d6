//! The shape of the repository: which way dependencies point, what is locked, what files are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, TableLike};

use crate::hub::root;

/// Each crate of ours and the crates of ours it may use. A connector is not in the list: it may
/// use the contract, the HTTP client and the checks of SQL systems, and its tests the suite.
const MAY_USE: [(&str, &[&str]); 12] = [
    ("huiliu-sdk", &[]),
    ("huiliu-httpkit", &["huiliu-sdk"]),
    ("huiliu-sqlkit", &["huiliu-sdk"]),
    ("huiliu-testkit", &["huiliu-sdk"]),
    ("huiliu-core", &["huiliu-sdk"]),
    ("huiliu-store", &["huiliu-core", "huiliu-sdk"]),
    ("huiliu-lake", &["huiliu-store", "huiliu-sdk"]),
    ("huiliu-engine", &["huiliu-core", "huiliu-lake", "huiliu-store", "huiliu-sdk"]),
    ("huiliu-page", &[]),
    (
        "huiliu-runner",
        &[
            "huiliu-core",
            "huiliu-store",
            "huiliu-lake",
            "huiliu-engine",
            "huiliu-page",
            "huiliu-sdk",
        ],
    ),
    (
        "huiliu-serve",
        &[
            "huiliu-core",
            "huiliu-store",
            "huiliu-lake",
            "huiliu-engine",
            "huiliu-page",
            "huiliu-sdk",
        ],
    ),
    ("huiliu-city", &["huiliu-sdk"]),
];

/// Dependencies that only some crates may have.
const RESERVED: [(&str, &[&str]); 7] = [
    (
        "sqlx",
        &[
            "huiliu-store",
            "huiliu-lake",
            "huiliu-city",
            "huiliu-connector-sqlite",
            "huiliu-connector-postgres",
            "huiliu-connector-mysql",
        ],
    ),
    ("datafusion", &["huiliu-lake", "huiliu-engine", "huiliu-serve"]),
    ("datafusion-ducklake", &["huiliu-lake"]),
    ("datafusion-postgres", &["huiliu-serve"]),
    ("arrow-flight", &["huiliu-serve"]),
    ("tonic", &["huiliu-serve"]),
    ("reqwest", &["huiliu-httpkit"]),
];

struct Manifest {
    folder: PathBuf,
    document: DocumentMut,
}

impl Manifest {
    fn name(&self) -> &str {
        self.document["package"]["name"].as_str().unwrap()
    }

    /// Names of its dependencies; `test_only` ones are those of its tests.
    fn dependencies(&self, test_only: bool) -> BTreeSet<String> {
        let names = if test_only {
            ["dev-dependencies"].as_slice()
        } else {
            &["dependencies", "build-dependencies"]
        };
        let mut found = BTreeSet::new();
        collect(self.document.as_table(), names, &mut found);
        if let Some(targets) = self.document.get("target").and_then(|item| item.as_table_like()) {
            for (_, target) in targets.iter() {
                collect(target.as_table_like().unwrap(), names, &mut found);
            }
        }
        found
    }
}

fn collect(table: &dyn TableLike, names: &[&str], found: &mut BTreeSet<String>) {
    for name in names {
        let Some(list) = table.get(name).and_then(|item| item.as_table_like()) else { continue };
        for (key, value) in list.iter() {
            let renamed = value.as_table_like().and_then(|t| t.get("package")?.as_str());
            found.insert(renamed.unwrap_or(key).to_owned());
        }
    }
}

/// All manifests, the root's last.
fn manifests() -> Vec<Manifest> {
    let mut folders = Vec::new();
    for parent in ["src", "connectors"] {
        for entry in std::fs::read_dir(root().join(parent)).unwrap() {
            folders.push(entry.unwrap().path());
        }
    }
    folders.sort();
    folders.push(root().to_owned());
    let mut manifests = Vec::new();
    for folder in folders {
        let Ok(text) = std::fs::read_to_string(folder.join("Cargo.toml")) else { continue };
        manifests.push(Manifest { folder, document: text.parse().unwrap() });
    }
    assert!(manifests.len() > 10, "the manifests were not found");
    manifests
}

#[test]
fn dependencies_point_one_way() {
    for manifest in manifests() {
        let name = manifest.name();
        let shipped = manifest.dependencies(false);
        let used: BTreeSet<String> = shipped.union(&manifest.dependencies(true)).cloned().collect();
        assert!(!shipped.contains("huiliu-testkit"), "{name} ships the suite for tests");
        assert!(!used.contains("huiliu"), "{name} imports the root, which wires all");
        if name == "huiliu" {
            continue;
        }
        let allowed = match MAY_USE.iter().find(|(crate_name, _)| *crate_name == name) {
            Some((_, allowed)) => *allowed,
            None => {
                assert!(name.starts_with("huiliu-connector-"), "{name} is not in MAY_USE");
                &["huiliu-sdk", "huiliu-httpkit", "huiliu-sqlkit", "huiliu-testkit"]
            }
        };
        for other in used.iter().filter(|other| other.starts_with("huiliu") && *other != name) {
            assert!(allowed.contains(&other.as_str()), "{name} must not import {other}");
        }
    }
}

#[test]
fn heavy_dependencies_stay_where_they_belong() {
    for manifest in manifests() {
        let name = manifest.name();
        let used = manifest.dependencies(false);
        for (dependency, allowed) in RESERVED {
            let is_used = used.contains(dependency);
            assert!(!is_used || allowed.contains(&name), "{name} must not import {dependency}");
        }
    }
}

#[test]
fn versions_are_in_one_place_and_lints_hold_everywhere() {
    for manifest in manifests() {
        let name = manifest.name();
        if name == "huiliu" {
            continue;
        }
        let lints = manifest.document.get("lints").and_then(|lints| lints.get("workspace"));
        assert_eq!(lints.and_then(|item| item.as_bool()), Some(true), "{name}: no lints");
        for section in ["dependencies", "dev-dependencies"] {
            let Some(list) = manifest.document.get(section) else { continue };
            for (key, value) in list.as_table_like().unwrap().iter() {
                let inherits = value.get("workspace").and_then(|item| item.as_bool()) == Some(true);
                let is_itself = value.get("path").and_then(|item| item.as_str()) == Some(".");
                assert!(inherits || is_itself, "{name}: {key} has a version of its own");
            }
        }
    }
}

#[test]
fn the_lock_file_has_one_version_of_each_pillar_and_no_openssl() {
    let text = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let lock: DocumentMut = text.parse().unwrap();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock["package"].as_array_of_tables().unwrap() {
        let (name, version) = (package["name"].as_str(), package["version"].as_str());
        versions.entry(name.unwrap()).or_default().push(version.unwrap());
    }
    for pillar in ["arrow", "parquet", "datafusion", "sqlx", "rustls", "tokio", "hyper", "tonic"] {
        assert_eq!(versions[pillar].len(), 1, "{pillar}: {:?}", versions[pillar]);
    }
    for name in versions.keys() {
        // `openssl-probe` is no OpenSSL: it knows where systems keep their root certificates.
        let is_openssl = name.starts_with("openssl") && *name != "openssl-probe";
        let is_foreign_tls = is_openssl || *name == "native-tls";
        assert!(!is_foreign_tls, "{name} is locked; TLS is rustls");
    }
}

/// All Rust files of ours below `folder`.
fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

pub(crate) fn all_rust_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["src", "connectors", "tests"] {
        rust_files(&root().join(folder), &mut found);
    }
    assert!(found.len() > 100, "the sources were not found");
    found
}

#[test]
fn files_are_small_and_named_after_what_they_hold() {
    for path in all_rust_files() {
        let shown = path.strip_prefix(root()).unwrap().display();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let says_nothing = ["utils", "common", "types", "helpers", "misc", "base"].contains(&stem);
        assert!(!says_nothing, "{shown}: the name does not say what it holds");
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 700, "{shown} has {lines} lines");
    }
}

#[test]
fn every_library_begins_with_what_it_is() {
    for manifest in manifests() {
        let library = manifest.folder.join("src/lib.rs");
        let Ok(text) = std::fs::read_to_string(&library) else { continue };
        assert!(text.starts_with("//!"), "{} says nothing of itself", manifest.name());
    }
}

#[test]
fn no_test_is_skipped_waits_for_luck_or_is_left_open() {
    // Put together here, so that this file does not find itself.
    let skipped = concat!("#[", "ignore");
    let open = concat!("todo", "!(");
    let waits = [concat!("thread::", "sleep"), concat!("time::", "sleep")];
    for path in all_rust_files() {
        let shown = path.strip_prefix(root()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(skipped), "{} skips a test", shown.display());
        assert!(!text.contains(open), "{} is left open", shown.display());
        if shown.components().any(|part| part.as_os_str() == "tests") {
            let sleeps = waits.iter().any(|wait| text.contains(wait));
            assert!(!sleeps, "{} sleeps; wait for the event itself", shown.display());
        }
    }
}

#[test]
fn the_hub_never_reads_the_citys_truth() {
    let mut named_in_the_city = false;
    for path in all_rust_files() {
        let shown = path.strip_prefix(root()).unwrap();
        let names_it = std::fs::read_to_string(&path).unwrap().contains("truth.json");
        let in_city = shown.starts_with("src/city");
        named_in_the_city |= names_it && in_city;
        let in_tests = shown.components().any(|part| part.as_os_str() == "tests");
        assert!(!names_it || in_city || in_tests, "{} names the city's truth", shown.display());
    }
    assert!(named_in_the_city, "the city's truth was not found where it is written");
}

#[test]
fn no_pool_has_the_drivers_upkeep() {
    // Its count of resting connections may fall below zero, and then it never ends.
    let (pool, connects) = (concat!("PoolOptions::", "new()"), concat!("Pool::", "connect"));
    let mut pools = 0;
    for path in all_rust_files() {
        let shown = path.strip_prefix(root()).unwrap().display().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(connects), "{shown}: a pool is made with options");
        for made in text.split(pool).skip(1) {
            let options = made.split(';').next().unwrap_or_default();
            for option in ["idle_timeout(None)", "max_lifetime(None)"] {
                assert!(options.contains(option), "{shown}: a pool without {option}");
            }
            pools += 1;
        }
    }
    assert!(pools > 5, "only {pools} pools were found");
}

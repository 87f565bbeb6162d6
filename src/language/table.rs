//! What each stable code means in Chinese and what to do about it.

mod door;
mod file;
mod mysql;
mod odbc;
mod project;
mod service;
mod source;
mod storage;

/// One code: what happened, what to do.
pub(super) type Entry = (&'static str, &'static str, &'static str);

/// All entries, by the part of the hub in which they arise.
pub(super) const TABLES: [&[Entry]; 8] = [
    project::ENTRIES,
    storage::ENTRIES,
    service::ENTRIES,
    door::ENTRIES,
    source::ENTRIES,
    file::ENTRIES,
    mysql::ENTRIES,
    odbc::ENTRIES,
];

/// The entry of `code`.
pub(super) fn find(code: &str) -> Option<&'static Entry> {
    TABLES.into_iter().flatten().find(|entry| entry.0 == code)
}

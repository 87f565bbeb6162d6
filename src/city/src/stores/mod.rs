//! Everyone's copy of the city, as files: SQLite databases and folders of drops.

pub(crate) mod catalog;
pub(crate) mod database;
pub(crate) mod drops;
pub(crate) mod investment;
pub(crate) mod items;
pub(crate) mod operation;
pub(crate) mod province;

//! Everyone's copy of the city, as files: SQLite databases, folders of drops, a workbook.

pub(crate) mod app;
pub(crate) mod catalog;
pub(crate) mod compiling;
pub(crate) mod database;
pub(crate) mod drops;
pub(crate) mod enterprise;
pub(crate) mod investment;
pub(crate) mod items;
pub(crate) mod linked;
pub(crate) mod operation;
pub(crate) mod portal;
pub(crate) mod province;
pub(crate) mod realestate;
mod sheet;
pub(crate) mod statistics;
pub(crate) mod steer;
pub(crate) mod trial;

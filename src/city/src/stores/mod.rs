//! Everyone's copy of the city, as files: SQLite databases, folders of drops, a workbook.

pub(crate) mod app;
pub(crate) mod catalog;
pub(crate) mod compiling;
pub(crate) mod database;
pub(crate) mod drops;
pub(crate) mod ems;
pub(crate) mod enterprise;
pub(crate) mod hall;
pub(crate) mod investment;
pub(crate) mod items;
pub(crate) mod linked;
pub(crate) mod micro;
pub(crate) mod operation;
pub(crate) mod parallel;
pub(crate) mod portal;
pub(crate) mod province;
pub(crate) mod province_items;
pub(crate) mod realestate;
mod sheet;
pub(crate) mod statistics;
pub(crate) mod steer;
pub(crate) mod supervision;
pub(crate) mod trial;
pub(crate) mod vertical;

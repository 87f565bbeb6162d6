//! Pages for people: data in, HTML or Excel out.
//!
//! Everything here is pure. A page is one file that works from a disk: its style and its charts are
//! in it, it has no script and names no other file. Text is escaped where it is put in, by `maud`.

mod attention;
pub mod chart;
mod daily;
mod document;
pub mod report;
mod sheet;
mod text;
mod view;

pub use attention::{Attention, English, Level};
pub use daily::{
    Balance, Change, Class, Daily, Differences, Figure, Kind, News, Outbox, Owner, Point, Push,
    Run, Step, StepState, Stopped, Stream, Timing, Trouble,
};

//! The simulated city: every system of the mission as a real endpoint.
//!
//! It is made up from a seed and sized by a scale; at scale 1 it has the numbers of the report
//! of 2018. It knows nothing of the hub and must never import a crate of it: the hub meets it
//! through SQLite files, HTTP services on loopback and folders of CSV drops, as in the field.

mod change;
mod credentials;
mod folder;
mod seed;
mod servers;
mod services;
mod stores;
mod truth;
mod world;

pub use change::change;
pub use credentials::{Credentials, credentials};
pub use folder::{CityOptions, generate};
pub use servers::{Front, Servers, copy_to_servers, remove_from_servers};
pub use services::{Night, RunningCity, night, night_on_servers, start};

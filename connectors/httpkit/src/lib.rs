//! The one HTTP client of the hub.
//!
//! Every request has time limits, every answer a size limit; the pace is kept, redirects and
//! system proxies are off, some addresses are never connected to, and what fails is told apart by
//! what to do about it. No other crate
//! imports reqwest. This crate must never import a connector or anything of the hub's `src/`.

mod answer;
mod client;
mod failure;
mod guard;
mod gzip;
mod pace;
mod request;
mod retry;

pub use answer::Answer;
pub use client::{Client, Settings};
pub use failure::Failure;
pub use guard::is_loopback;
pub use request::{Request, base_url, basic, shown};

pub use reqwest::header::{self, HeaderName, HeaderValue};
pub use reqwest::{Method, Url};

//! Places at which tests make the work break off, and defects that tests plant to see that they
//! would be noticed.
//!
//! Nothing of it is in a release: without the feature `failpoints` of `fail`, which only builds of
//! tests turn on, [`fault_point!`] and [`planted!`] are empty.
//!
//! [`fault_point!`]: crate::fault_point
//! [`planted!`]: crate::planted

use huiliu_sdk::{Error, ErrorKind};

#[doc(hidden)]
pub use fail;

/// A numbered step of the commit path, in a function that returns the hub's `Result`. What happens
/// there is said by `FAILPOINTS=NAME=ACTION`: `return(error)`, `return(passing)`,
/// `return(abort)`, or an action of the crate `fail`, such as `panic`.
#[macro_export]
macro_rules! fault_point {
    ($name:literal) => {
        $crate::fault::fail::fail_point!($name, |how: Option<String>| Err($crate::fault::injected(
            $name,
            how.as_deref()
        )))
    };
}

/// Whether a defect is planted, by `FAILPOINTS=NAME=return`.
#[macro_export]
macro_rules! planted {
    ($name:literal) => {
        (|| {
            $crate::fault::fail::fail_point!($name, |_: Option<String>| true);
            false
        })()
    };
}

/// The error of a fault point: one that is not tried again, or with `passing` one that is. With
/// `abort` the process ends here.
pub fn injected(name: &str, how: Option<&str>) -> Error {
    match how {
        Some("abort") => std::process::abort(),
        Some("passing") => {
            Error::new(ErrorKind::Unreachable, "E-LAKE-IO", format!("the fault injected at {name}"))
        }
        _ => Error::internal(format!("the fault injected at {name}")),
    }
}

/// Faults in force until it is dropped.
#[derive(Debug)]
pub struct Faults(Option<fail::FailScenario<'static>>);

impl Faults {
    /// Those that `FAILPOINTS` names, in a build for tests; none otherwise.
    pub fn of_environment() -> Self {
        Self(fail::has_failpoints().then(fail::FailScenario::setup))
    }

    /// Whether there can be any.
    pub fn are_possible(&self) -> bool {
        self.0.is_some()
    }
}

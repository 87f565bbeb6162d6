//! The conformance suite that every connector passes, for tests only.
//!
//! A connector's tests say how a real system of its kind is made and filled ([`System`]), and
//! `huiliu_testkit::conformance!(name: Type)` makes one test of each rule, so that a rule that is
//! broken shows under its own name. What applies to a connector follows from the capabilities it
//! declares and from its [`huiliu_sdk::Bounds`]; no rule can be left out.
//!
//! Beside the suite: rows that systems stumble over ([`hazard`]), an endpoint that fails, is
//! cancelled or stalls at a given step ([`Faulty`]), and SQL for systems that speak it ([`Dialect`]).
//! This crate must never import a connector or anything of the hub's `src/`.
// Everything here runs in tests, where a panic is how a rule says no.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::large_futures, clippy::print_stderr)]

mod faulty;
pub mod hazard;
mod read;
pub mod rule;
mod sql;
mod stop;
mod system;
mod table;
mod value;

pub use faulty::{Fault, Faulty};
pub use read::{Read, cx, limited, open, read, request};
pub use sql::Dialect;
pub use system::{CANARY, Refused, System, Trouble};
pub use table::Table;
pub use value::{Text, texts};

/// Makes a module `name` with one test of each rule for a [`System`].
#[macro_export]
macro_rules! conformance {
    ($name:ident: $system:ty) => {
        mod $name {
            use super::*;

            $crate::conformance! { @rules $system;
                every_key_has_a_description_an_example_and_a_default
                keys_that_are_not_described_are_refused
                all_faults_of_a_configuration_are_told_at_once
                what_is_not_declared_is_refused_by_name
                a_way_of_reading_that_is_not_declared_is_refused_by_configure
                looking_at_a_system_changes_nothing
                what_is_discovered_can_be_read
                a_read_goes_on_from_every_checkpoint
                a_checkpoint_acknowledged_twice_has_one_effect
                a_read_cancelled_at_any_await_ends_and_leaves_nothing
                a_read_dropped_at_any_await_leaves_nothing
                a_preview_ends_at_its_limit
                changed_columns_are_told_and_values_stay_right
                batches_stay_within_their_limits
                memory_stays_within_what_is_declared
                a_stream_without_rows_has_columns_and_an_end
                rows_without_values_and_rows_of_one_key_are_all_read
                values_of_every_type_are_read_as_they_are
                odd_names_of_columns_are_only_names
                odd_text_is_read_as_it_is_or_set_aside
                text_that_is_none_is_set_aside_with_its_original
                a_very_large_row_is_never_cut
                very_many_columns_are_all_read
                errors_have_the_right_kind_and_hold_no_secret
                a_system_that_vanishes_never_ends_a_read_well
                records_written_twice_have_one_effect_or_say_so
                each_record_has_an_outcome_of_its_own
                records_are_read_back_as_they_were_written
                a_write_stopped_at_any_await_can_be_done_again
                a_whole_table_is_read_back_as_it_was_loaded
                a_load_stopped_at_any_await_leaves_the_old_or_the_new_table
            }
        }
    };
    (@rules $system:ty; $($rule:ident)*) => {
        $(
            #[test]
            fn $rule() {
                $crate::run($crate::rule::$rule::<$system>());
            }
        )*
    };
}

/// Runs a rule to its end.
pub fn run(rule: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be made");
    runtime.block_on(rule);
}

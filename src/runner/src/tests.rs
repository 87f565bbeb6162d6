//! Runs of whole hubs on a connector that says what the test wants it to say.

mod answer;
mod case;
mod contract;
mod delete;
mod echo;
mod load;
mod page;
mod progress;
mod push;
mod quiet;
mod receipt;
mod refresh;
mod replay;
mod script;
mod stop;
mod together;
mod watch;
mod world;

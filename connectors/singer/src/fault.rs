//! What goes wrong around a program, told without values.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use huiliu_sdk::{Error, ErrorKind};

/// A file or pipe that could not be used.
pub(crate) fn broken(what: &str, cause: io::Error) -> Error {
    Error::new(ErrorKind::Internal, "E-SINGER-IO", format!("{what} could not be used"))
        .hint("check the room and the rights in the folder for temporary files")
        .cause(cause)
}

/// The program did not start.
pub(crate) fn not_started(program: &str, cause: io::Error) -> Error {
    let message = format!("the program `{program}` could not be started");
    Error::new(ErrorKind::NotFound, "E-SINGER-START", message)
        .hint("install it into a folder of its own (python3 -m venv), and let `command` name it")
        .cause(cause)
}

/// The program ended badly; `said` are its own last words.
pub(crate) fn failed(program: &str, status: ExitStatus, said: &str) -> Error {
    let how = match status.code() {
        Some(code) => format!("ended with exit code {code}"),
        None => "was ended by a signal".to_owned(),
    };
    // Why is known to the program alone, and most often it is the way to the system behind it.
    let message = format!("{program} {how}{}", last_words(said));
    Error::new(ErrorKind::Unreachable, "E-SINGER-EXIT", message).hint(
        "what was committed stays, and the next run goes on from there; look the message up in its \
         manual",
    )
}

/// The program said nothing any more and was ended.
pub(crate) fn idle(program: &str, silence: Duration, said: &str) -> Error {
    let message = format!(
        "{program} has said nothing for {} s and was ended{}",
        silence.as_secs(),
        last_words(said)
    );
    Error::new(ErrorKind::Timeout, "E-SINGER-IDLE", message)
        .hint("look whether the system behind it answers; if it needs so long, raise `idle`")
}

/// A message of the program that is none.
pub(crate) fn no_message(program: &str, line: u64, what: &str) -> Error {
    let message = format!("line {line} of what {program} wrote {what}");
    Error::new(ErrorKind::Data, "E-SINGER-MESSAGE", message)
        .hint("it must write nothing but Singer messages to its output; run it by hand and look")
}

/// A message of the program that is too long to be looked at.
pub(crate) fn too_long(program: &str, line: u64, most: usize) -> Error {
    let message = format!("line {line} of what {program} wrote is longer than {} MiB", most >> 20);
    Error::new(ErrorKind::Data, "E-SINGER-LINE", message)
        .hint("if records are that large, raise `line_mib`; else leave the large column out")
}

fn last_words(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!("; it said last: {said}") }
}

//! One run of a target: it is given everything at once and says whether it has it.
//!
//! Messages are collected in a file without a name first, so that what is dropped before its end
//! has reached nobody, and a target that reads slowly holds nobody up.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::process::Stdio;

use huiliu_sdk::{Cx, Error, ErrorKind, Result};

use crate::config::Settings;
use crate::encode::Encoder;
use crate::fault::{broken, failed};
use crate::folder::Folder;
use crate::process::{Output, Program, unless_cancelled};

/// Messages that wait to be sent.
pub(crate) struct Spool(BufWriter<File>);

impl Spool {
    pub(crate) fn new() -> Result<Self> {
        let file = tempfile::tempfile();
        Ok(Self(BufWriter::new(file.map_err(|cause| broken("a temporary file", cause))?)))
    }

    pub(crate) fn add(&mut self, message: &str) -> Result<()> {
        self.0.write_all(message.as_bytes()).map_err(|cause| broken("a temporary file", cause))
    }

    /// The messages from their beginning.
    fn into_file(self) -> Result<File> {
        let file = self.0.into_inner().map_err(|cause| cause.into_error());
        let rewound = file.and_then(|mut file| {
            file.seek(SeekFrom::Start(0))?;
            Ok(file)
        });
        rewound.map_err(|cause| broken("a temporary file", cause))
    }
}

/// How a run of a target ended.
pub(crate) struct Delivery {
    /// Whether it has said that it has everything.
    pub(crate) is_confirmed: bool,
    /// What went wrong, whether it has said so or not.
    pub(crate) error: Option<Error>,
}

/// Gives all messages to the target. An error here means that it was not started.
pub(crate) async fn deliver(
    settings: &Settings,
    cx: &Cx,
    encoder: &Encoder,
    mut spool: Spool,
    marker: &str,
) -> Result<Delivery> {
    spool.add(&encoder.state(marker))?;
    let messages = spool.into_file()?;
    // A second handle shows how far the target has read.
    let progress = messages.try_clone().map_err(|cause| broken("a temporary file", cause))?;
    cx.request().await?;
    let folder = Folder::new()?;
    let config = folder.put("config.json", &settings.config)?;
    let arguments = ["--config".into(), config.into()];
    let (mut target, mut output) =
        Program::start(settings, folder, &arguments, Stdio::from(messages))?;
    let mut is_confirmed = false;
    let listening = listen(&mut output, progress, encoder, marker, &mut is_confirmed);
    if let Err(error) = unless_cancelled(cx, listening).await {
        let error = Some(target.give_up(settings, error).await);
        return Ok(Delivery { is_confirmed, error });
    }
    let error = match target.exit().await {
        Err(error) => Some(error),
        Ok(status) if !status.success() => {
            Some(failed(settings.program(), status, &target.said(settings).await))
        }
        Ok(_) if !is_confirmed => Some(unconfirmed(settings, &target.said(settings).await)),
        Ok(_) => None,
    };
    Ok(Delivery { is_confirmed, error })
}

/// Hears the target until it has nothing more to say.
async fn listen(
    output: &mut Output,
    mut progress: File,
    encoder: &Encoder,
    marker: &str,
    is_confirmed: &mut bool,
) -> Result<()> {
    let mut read = 0;
    loop {
        match output.next().await {
            Ok(Some((_, line))) => *is_confirmed |= encoder.confirms(line, marker),
            Ok(None) => return Ok(()),
            Err(error) if error.code() == "E-SINGER-IDLE" => {
                // A target says nothing before its end; while it reads, it works.
                let now = progress.stream_position().unwrap_or(read);
                if now == read {
                    return Err(error);
                }
                read = now;
            }
            Err(error) => return Err(error),
        }
    }
}

fn unconfirmed(settings: &Settings, said: &str) -> Error {
    let words = if said.is_empty() { String::new() } else { format!("; it said last: {said}") };
    let message = format!(
        "{} ended without saying that it has the records (it repeated no STATE){words}",
        settings.program()
    );
    Error::new(ErrorKind::Unreachable, "E-SINGER-UNCONFIRMED", message)
        .hint("look at the target's own system; a target has to repeat the STATE it was sent")
}

//! Writing files: nobody sees one before it is whole and on disk.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use flate2::Compression;
use flate2::write::GzEncoder;
use huiliu_sdk::{
    Cx, Error, ErrorKind, LoadMode, LoadRequest, Loader, Outcome, Receipt, Result, Sink, WriteBatch,
};
use tempfile::NamedTempFile;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::config::{Format, Packing, Push, Settings};
use crate::control;
use crate::digest::fingerprint;
use crate::fault::broken;
use crate::place::Place;

mod arrow_ipc;
mod cells;
mod csv;
mod encoded;
mod json;
mod parquet;
mod texts;
mod xls;
mod xlsx;
pub(crate) mod xml;

use encoded::Encoded;

/// Writes the rows of one file in one format.
trait Rows: Send {
    /// Adds rows. An error of kind `Data` speaks of a value that the format cannot hold.
    fn add(&mut self, batch: &RecordBatch) -> Result<()>;

    /// Writes what comes after the rows.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// Where a format of text goes.
enum Output {
    Plain(BufWriter<File>),
    Gzip(Box<GzEncoder<BufWriter<File>>>),
    /// An archive with one file, which is being written.
    Zip(Box<ZipWriter<BufWriter<File>>>),
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(output) => output.write(bytes),
            Self::Gzip(output) => output.write(bytes),
            Self::Zip(output) => output.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(output) => output.flush(),
            Self::Gzip(output) => output.flush(),
            Self::Zip(output) => output.flush(),
        }
    }
}

impl Output {
    /// For the push's file `name`.
    fn new(push: &Push, name: &str, file: BufWriter<File>) -> io::Result<Self> {
        Ok(match push.packing() {
            Packing::None => Self::Plain(file),
            Packing::Gzip => Self::Gzip(Box::new(GzEncoder::new(file, Compression::default()))),
            Packing::Zip => {
                let mut archive = ZipWriter::new(file);
                // Nobody knows yet whether it will have more than 4 GiB.
                let options = SimpleFileOptions::default().large_file(true);
                archive.start_file(push.member(name), options)?;
                Self::Zip(Box::new(archive))
            }
        })
    }

    fn close(self) -> io::Result<()> {
        match self {
            Self::Plain(mut output) => output.flush(),
            Self::Gzip(output) => output.finish()?.flush(),
            Self::Zip(output) => output.finish()?.flush(),
        }
    }
}

fn failed(cause: io::Error) -> Error {
    broken("being written", cause)
}

fn rows_of(
    push: &Push,
    name: &str,
    schema: &SchemaRef,
    draft: &NamedTempFile,
) -> Result<Box<dyn Rows>> {
    let file = BufWriter::with_capacity(64 << 10, draft.as_file().try_clone().map_err(failed)?);
    let packed = |file| Output::new(push, name, file).map_err(failed);
    let text = |file| Encoded::new(packed(file)?, push.encoding);
    Ok(match push.format {
        Format::Csv => Box::new(csv::Csv::new(push, schema, text(file)?)?),
        Format::Json => Box::new(json::Json::new(schema, text(file)?, true)?),
        Format::Ndjson => Box::new(json::Json::new(schema, text(file)?, false)?),
        Format::Xml => Box::new(xml::Xml::new(push, schema, text(file)?)?),
        Format::Parquet => Box::new(parquet::Parquet::new(schema, file)?),
        Format::Arrow => Box::new(arrow_ipc::Ipc::new(schema, file)?),
        Format::Xlsx => Box::new(xlsx::Xlsx::new(push, schema, file)?),
        Format::Xls => Box::new(xls::Xls::new(push, schema, packed(file)?)?),
    })
}

/// The name of a file that is written now.
fn name_of(push: &Push, settings: &Settings, cx: &Cx) -> String {
    let now = cx.clock.now().with_timezone(&settings.hub_zone);
    push.file
        .replace("{date}", &now.format("%Y%m%d").to_string())
        .replace("{time}", &now.format("%Y%m%d%H%M%S%3f").to_string())
}

/// A file being written.
struct Draft {
    push: Push,
    name: String,
    may_replace: bool,
    file: NamedTempFile,
    rows: Box<dyn Rows>,
    count: u64,
}

impl Draft {
    fn start(
        place: &dyn Place,
        push: &Push,
        name: String,
        schema: &SchemaRef,
        may_replace: bool,
    ) -> Result<Self> {
        let file = place.draft()?;
        let rows = rows_of(push, &name, schema, &file)?;
        Ok(Self { push: push.clone(), name, may_replace, file, rows, count: 0 })
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows.add(batch)?;
        self.count += batch.num_rows() as u64;
        Ok(())
    }

    /// Lets the file appear, and its control file after it.
    fn publish(self, place: &dyn Place, cx: &Cx) -> Result<u64> {
        let Self { push, name, may_replace, file, rows, count } = self;
        rows.finish()?;
        let Some(options) = &push.control else {
            place.publish(file, &name, may_replace)?;
            return Ok(count);
        };
        let (_, digest) = fingerprint(file.as_file(), &name, Some(options.algorithm), cx)?;
        let [_, beside] = control::names_of(&name, options);
        let mut note = place.draft()?;
        let text = control::write(&name, count, &digest, options);
        note.write_all(text.as_bytes()).map_err(failed)?;
        if may_replace {
            // A reader must not take the new file for the old control file's.
            place.remove(&beside)?;
        }
        place.publish(file, &name, may_replace)?;
        place.publish(note, &beside, may_replace)?;
        Ok(count)
    }
}

/// Writes a whole table as one file. Dropped before its end, it leaves nothing.
pub(crate) struct FileLoader {
    settings: Arc<Settings>,
    draft: Option<Draft>,
}

impl FileLoader {
    pub(crate) fn start(
        settings: &Arc<Settings>,
        cx: &Cx,
        push: Push,
        request: &LoadRequest,
    ) -> Result<Self> {
        if request.mode == LoadMode::Upsert {
            return Err(Error::unsupported("replacing rows of a file by their key")
                .hint("load the push by replace, or by append with {time} in `file`"));
        }
        let place = settings.place(cx)?;
        let name = name_of(&push, settings, cx);
        let may_replace = request.mode == LoadMode::Replace;
        let draft = Draft::start(&*place, &push, name, &request.schema, may_replace)?;
        Ok(Self { settings: Arc::clone(settings), draft: Some(draft) })
    }

    fn take(&mut self) -> Result<Draft> {
        self.draft.take().ok_or_else(|| Error::internal("the file has failed before"))
    }
}

#[async_trait]
impl Loader for FileLoader {
    async fn write(&mut self, cx: &Cx, batch: RecordBatch) -> Result<()> {
        cx.check()?;
        let mut draft = self.take()?;
        let added = move || draft.add(&batch).map(|()| draft);
        self.draft = Some(crate::blocking(added).await?);
        Ok(())
    }

    async fn finish(mut self: Box<Self>, cx: &Cx) -> Result<u64> {
        cx.check()?;
        let draft = self.take()?;
        let (settings, cx) = (Arc::clone(&self.settings), cx.clone());
        crate::blocking(move || draft.publish(&*settings.place(&cx)?, &cx)).await
    }
}

/// Writes each batch of records as a file of its own.
pub(crate) struct FileSink {
    settings: Arc<Settings>,
    push: Push,
}

impl FileSink {
    pub(crate) fn new(settings: &Arc<Settings>, push: Push) -> Self {
        Self { settings: Arc::clone(settings), push }
    }
}

#[async_trait]
impl Sink for FileSink {
    /// The same record in two files is there twice.
    fn is_repeatable(&self) -> bool {
        false
    }

    async fn write(&mut self, cx: &Cx, batch: WriteBatch) -> Result<Receipt> {
        if batch.batch.num_rows() == 0 {
            return Ok(Receipt::default());
        }
        cx.check()?;
        if !self.push.has_own_names() {
            return Err(Error::new(
                ErrorKind::Config,
                "E-PUSH-FILE",
                format!("push `{}` writes each batch to a file of its own", self.push.id),
            )
            .hint("put {time} into `file`, or load whole tables by `load`"));
        }
        let (settings, push, cx) = (Arc::clone(&self.settings), self.push.clone(), cx.clone());
        let outcomes = crate::blocking(move || send(&settings, &push, &cx, &batch.batch)).await?;
        Ok(Receipt { outcomes })
    }
}

fn send(settings: &Settings, push: &Push, cx: &Cx, batch: &RecordBatch) -> Result<Vec<Outcome>> {
    let place = settings.place(cx)?;
    let schema = batch.schema();
    let name = name_of(push, settings, cx);
    let start = || Draft::start(&*place, push, name.clone(), &schema, false);
    let mut outcomes = vec![Outcome::Accepted; batch.num_rows()];
    let mut draft = start()?;
    if let Err(error) = draft.add(batch) {
        if error.kind() != ErrorKind::Data {
            return Err(error);
        }
        // The records that the format cannot hold are found one by one; the others go.
        draft = start()?;
        for (row, outcome) in outcomes.iter_mut().enumerate() {
            let one = batch.slice(row, 1);
            match start()?.add(&one) {
                Ok(()) => draft.add(&one)?,
                Err(error) => {
                    let (code, message) = (error.code().into(), error.message().into());
                    *outcome = Outcome::Rejected { code, message };
                }
            }
        }
    }
    if draft.count == 0 {
        return Ok(outcomes);
    }
    match draft.publish(&*place, cx) {
        Ok(_) => {}
        // Whether it is safe on disk nobody knows, but somebody may have read it.
        Err(error) if error.code() != "E-FILE-EXISTS" && place.open(&name)?.is_some() => {
            for outcome in outcomes.iter_mut().filter(|outcome| **outcome == Outcome::Accepted) {
                *outcome = Outcome::Unknown;
            }
        }
        Err(error) => return Err(error),
    }
    Ok(outcomes)
}

//! Arrow IPC, as a file or as a stream. The library believes the lengths that a file gives; so
//! each message is looked at before it is decoded.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_ipc::{Block, MessageHeader, root_as_footer, root_as_message};
use huiliu_sdk::{Error, Result};

use super::{Flow, Receiver, columnar};
use crate::config::Stream;
use crate::content::Content;
use crate::fault::{broken, damaged, over_limit};

const MAGIC: &[u8] = b"ARROW1";

/// The most that one batch of a file may have.
const MAX_BATCH: u64 = 1 << 30;

/// The most that the description of a message may have.
const MAX_MESSAGE: u64 = 64 << 20;

/// Reads all batches.
pub(super) fn read(content: &Content<'_>, stream: &Stream, receiver: &mut dyn Receiver) -> Flow {
    let name = content.name();
    let file = content.file()?;
    let mut input = BufReader::new(file);
    let mut start = [0; 6];
    let is_file = input.read_exact(&mut start).is_ok() && start == MAGIC;
    let size = size(input.get_ref(), name)?;
    if is_file {
        check_file(&mut input, size, name)?;
    } else {
        check_stream(&mut input, size, name)?;
    }
    input.seek(SeekFrom::Start(0)).map_err(|cause| broken(name, cause))?;
    let unfit = |_: ArrowError| no_arrow(name);
    if is_file {
        let reader = FileReader::try_new(input, None).map_err(unfit)?;
        give(&reader.schema(), reader, name, stream, receiver)
    } else {
        let reader = StreamReader::try_new(input, None).map_err(unfit)?;
        give(&reader.schema(), reader, name, stream, receiver)
    }
}

fn size(file: &File, name: &str) -> Result<u64> {
    file.metadata().map(|metadata| metadata.len()).map_err(|cause| broken(name, cause))
}

fn give(
    schema: &Schema,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    name: &str,
    stream: &Stream,
    receiver: &mut dyn Receiver,
) -> Flow {
    let columns = columnar::announce(schema, stream, name, receiver)?;
    let mut position = 1;
    for batch in batches {
        let batch = batch.map_err(|_| damaged(name, "holds a batch that cannot be read"))?;
        if columnar::give(&batch, &columns, position, receiver)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        position += batch.num_rows() as u64;
    }
    Ok(ControlFlow::Continue(()))
}

fn no_arrow(name: &str) -> Error {
    damaged(name, "is no whole Arrow IPC file")
}

/// Looks at each message that the footer names.
fn check_file(input: &mut BufReader<File>, size: u64, name: &str) -> Result<()> {
    let lies = || no_arrow(name);
    let tail_at = size.checked_sub(10).ok_or_else(lies)?;
    let tail = bytes(input, tail_at, 10, name)?;
    let length = i32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]);
    let length = u64::try_from(length).map_err(|_| lies())?;
    let start = tail_at.checked_sub(length).ok_or_else(lies)?;
    if &tail[4..] != MAGIC || length > MAX_MESSAGE {
        return Err(lies());
    }
    let footer = bytes(input, start, length, name)?;
    let footer = root_as_footer(&footer).map_err(|_| lies())?;
    let batches = footer.recordBatches().into_iter().flatten();
    let blocks: Vec<Block> =
        batches.chain(footer.dictionaries().into_iter().flatten()).copied().collect();
    for block in blocks {
        let at = |number: i64| u64::try_from(number).map_err(|_| lies());
        let (offset, meta) = (at(block.offset())?, at(i64::from(block.metaDataLength()))?);
        let body = at(block.bodyLength())?;
        let end = offset.checked_add(meta).and_then(|end| end.checked_add(body));
        if end.is_none_or(|end| end > size) || meta > MAX_MESSAGE {
            return Err(lies());
        }
        let message = bytes(input, offset, meta, name)?;
        let skip = if message.starts_with(&[0xff; 4]) { 8 } else { 4 };
        let message = message.get(skip..).ok_or_else(lies)?;
        check_message(input, message, offset + meta, body, size, name)?;
    }
    Ok(())
}

/// Looks at each message of a stream.
fn check_stream(input: &mut BufReader<File>, size: u64, name: &str) -> Result<()> {
    let lies = || no_arrow(name);
    let mut at = 0;
    let mut is_first = true;
    while at + 4 <= size {
        let mut length = word(input, at, name)?;
        at += 4;
        if length == u32::MAX {
            length = word(input, at, name)?;
            at += 4;
        }
        if length == 0 && !is_first {
            return Ok(());
        }
        let length = u64::from(length);
        if length == 0 || length > MAX_MESSAGE || at + length > size {
            return Err(lies());
        }
        is_first = false;
        let message = bytes(input, at, length, name)?;
        at += length;
        let body = root_as_message(&message).map_err(|_| lies())?.bodyLength();
        let body = u64::try_from(body).map_err(|_| lies())?;
        check_message(input, &message, at, body, size, name)?;
        at = at.checked_add(body).filter(|at| *at <= size).ok_or_else(lies)?;
    }
    // A stream that is cut between two messages looks whole but for its end.
    Err(lies())
}

/// Looks at the sizes of a message whose body begins at `at`.
fn check_message(
    input: &mut BufReader<File>,
    message: &[u8],
    at: u64,
    body: u64,
    size: u64,
    name: &str,
) -> Result<()> {
    let lies = || no_arrow(name);
    let message = root_as_message(message).map_err(|_| lies())?;
    let batch = match message.header_type() {
        MessageHeader::RecordBatch => message.header_as_record_batch(),
        MessageHeader::DictionaryBatch => {
            message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data())
        }
        _ => return Ok(()),
    };
    let batch = batch.ok_or_else(lies)?;
    let is_packed = batch.compression().is_some();
    let mut total = 0_u64;
    for buffer in batch.buffers().into_iter().flatten() {
        let offset = u64::try_from(buffer.offset()).map_err(|_| lies())?;
        let length = u64::try_from(buffer.length()).map_err(|_| lies())?;
        if offset.checked_add(length).is_none_or(|end| end > body) {
            return Err(lies());
        }
        let unpacked = if is_packed && length >= 8 && at + offset + 8 <= size {
            let head = bytes(input, at + offset, 8, name)?;
            let head: [u8; 8] = head.try_into().unwrap_or_default();
            // Minus one says that this buffer is not packed.
            u64::try_from(i64::from_le_bytes(head)).unwrap_or(length)
        } else {
            length
        };
        total = total.saturating_add(unpacked);
    }
    if total.max(body) > MAX_BATCH {
        let most = MAX_BATCH >> 20;
        return Err(over_limit(format!("file {name} has a batch of more than {most} MiB")));
    }
    Ok(())
}

fn word(input: &mut BufReader<File>, at: u64, name: &str) -> Result<u32> {
    let bytes = bytes(input, at, 4, name)?;
    Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

fn bytes(input: &mut BufReader<File>, at: u64, length: u64, name: &str) -> Result<Vec<u8>> {
    let failed = |cause| broken(name, cause);
    input.seek(SeekFrom::Start(at)).map_err(failed)?;
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| no_arrow(name))?];
    input.read_exact(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

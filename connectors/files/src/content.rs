//! The content of a file: as it is, or unpacked from a `.gz` or `.zip` within limits.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use flate2::read::MultiGzDecoder;
use huiliu_sdk::Result;
use zip::ZipArchive;
use zip::result::ZipError;

use crate::config::{Format, Stream};
use crate::encoding::start_of;
use crate::fault::{broken, damaged, not_aside, over_limit};
use crate::limit::Limited;

const GZIP: &[u8] = &[0x1f, 0x8b];

const ZIP: &[u8] = b"PK\x03\x04";

/// The end of an archive without files.
const EMPTY_ZIP: &[u8] = b"PK\x05\x06";

/// More files than any delivery has in one archive.
const MAX_MEMBERS: usize = 1000;

/// What is around the content.
enum Layer {
    None,
    Gzip,
    /// The file of this place in an archive.
    Member(usize),
}

/// One content to read, as often as needed.
pub(crate) struct Content<'a> {
    file: &'a File,
    /// The file's name, with that of the archive's file.
    name: String,
    layer: Layer,
    packed: u64,
    most: u64,
}

/// Gives each content of a file to `each`.
pub(crate) fn each(
    file: &File,
    name: &str,
    stream: &Stream,
    mut each: impl FnMut(&Content<'_>) -> Result<()>,
) -> Result<()> {
    let failed = |cause| broken(name, cause);
    let packed = file.metadata().map_err(failed)?.len();
    let most = stream.unpacked;
    let content = |name: String, layer, packed| Content { file, name, layer, packed, most };
    let start = start_of(&mut rewound(file).map_err(failed)?).map_err(failed)?;
    if start.starts_with(GZIP) {
        let content = content(name.to_owned(), Layer::Gzip, packed);
        content.refuse_nested(stream.format)?;
        return each(&content);
    }
    let is_zip = start.starts_with(ZIP) || start.starts_with(EMPTY_ZIP);
    if !is_zip || (stream.format == Format::Xlsx && is_workbook(file)) {
        return each(&content(name.to_owned(), Layer::None, packed));
    }
    let members = members(file, name, stream)?;
    if members.is_empty() {
        return Err(damaged(name, "holds no file that `member` takes"));
    }
    let mut left = most;
    for (index, member, packed) in members {
        let shown = format!("{name}/{member}");
        let one = Content { file, name: shown, layer: Layer::Member(index), packed, most: left };
        one.refuse_nested(stream.format)?;
        // Together they may have no more than one file may, and a damaged one is found before its
        // first row is sent.
        left = left.saturating_sub(one.measure()?);
        each(&one)?;
    }
    Ok(())
}

/// Gives the first content of a file to `first`; nothing if an archive has none.
pub(crate) fn each_first<T>(
    file: &File,
    name: &str,
    stream: &Stream,
    first: impl FnOnce(&Content<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let mut first = Some(first);
    let mut given = None;
    each(file, name, stream, |content| {
        if let Some(first) = first.take() {
            given = Some(first(content)?);
        }
        Ok(())
    })?;
    Ok(given)
}

/// The name of the first file of an archive.
pub(crate) fn first_member(file: &File, name: &str) -> Option<String> {
    let stream = Stream::plain("*", Format::Csv);
    members(file, name, &stream).ok()?.into_iter().next().map(|(_, member, _)| member)
}

fn rewound(mut file: &File) -> io::Result<&File> {
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

fn archive<'a>(file: &'a File, name: &str) -> Result<ZipArchive<BufReader<&'a File>>> {
    let file = rewound(file).map_err(|cause| broken(name, cause))?;
    ZipArchive::new(BufReader::new(file)).map_err(|cause| unzipped(name, cause))
}

fn unzipped(name: &str, cause: ZipError) -> huiliu_sdk::Error {
    match cause {
        ZipError::Io(cause) => broken(name, cause),
        ZipError::UnsupportedArchive(what) => damaged(name, format!("cannot be unpacked: {what}")),
        ZipError::CompressionMethodNotSupported(_) => {
            damaged(name, "is packed in a way that is not known here; deflate is")
        }
        _ => damaged(name, "is no whole zip archive"),
    }
}

fn is_workbook(file: &File) -> bool {
    archive(file, "").is_ok_and(|archive| archive.index_for_name("xl/workbook.xml").is_some())
}

/// The files of an archive that the stream takes: place, name, packed size.
fn members(file: &File, name: &str, stream: &Stream) -> Result<Vec<(usize, String, u64)>> {
    let mut archive = archive(file, name)?;
    if archive.len() > MAX_MEMBERS {
        return Err(over_limit(format!(
            "file {name} holds {} files, more than {MAX_MEMBERS}",
            archive.len()
        )));
    }
    let mut members = Vec::new();
    for index in 0..archive.len() {
        let member = archive.by_index(index).map_err(|cause| unzipped(name, cause))?;
        let is_safe = member.enclosed_name().is_some() && !member.is_symlink();
        let path = member.name().map_err(|cause| unzipped(name, cause))?.into_owned();
        // Nothing is unpacked to a path of its own, but who writes such names means harm.
        if !is_safe || path.contains(['\\', '\0']) || path.starts_with('/') {
            let place = index + 1;
            return Err(damaged(
                name,
                format!("holds a file at place {place} that leads out of it"),
            ));
        }
        if member.encrypted() {
            return Err(damaged(name, "is encrypted"));
        }
        let bare = path.rsplit('/').next().unwrap_or(&path);
        let pattern = stream.member.as_deref().unwrap_or("*");
        if member.is_dir() || !crate::pattern::matches(pattern, bare) || bare.starts_with('.') {
            continue;
        }
        members.push((index, path, member.compressed_size()));
    }
    Ok(members)
}

impl Content<'_> {
    /// The name to tell people.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Gives the content from its start to `scan`.
    pub(crate) fn read<T>(&self, scan: impl FnOnce(&mut dyn Read) -> Result<T>) -> Result<T> {
        let file = rewound(self.file).map_err(|cause| broken(&self.name, cause))?;
        match self.layer {
            // What is not packed has the size that it has.
            Layer::None => scan(&mut BufReader::with_capacity(64 << 10, file)),
            Layer::Gzip => {
                let input = MultiGzDecoder::new(BufReader::new(file));
                scan(&mut Limited::new(input, self.most, Some(self.packed)))
            }
            Layer::Member(index) => {
                let mut archive = archive(file, &self.name)?;
                let member = archive.by_index(index).map_err(|e| unzipped(&self.name, e))?;
                scan(&mut Limited::new(member, self.most, Some(self.packed)))
            }
        }
    }

    /// Unpacks everything to nowhere, and tells how much it was.
    fn measure(&self) -> Result<u64> {
        let failed = |cause| broken(&self.name, cause);
        self.read(|input| io::copy(input, &mut io::sink()).map_err(failed))
    }

    /// The content as a file that can be read at any place; unpacked to the disk first, where it
    /// has no name, if it is packed.
    pub(crate) fn file(&self) -> Result<File> {
        let failed = |cause| broken(&self.name, cause);
        if let Layer::None = self.layer {
            let file = self.file.try_clone().map_err(failed)?;
            rewound(&file).map_err(failed)?;
            return Ok(file);
        }
        let mut unpacked = tempfile::tempfile().map_err(|cause| not_aside(&self.name, cause))?;
        let failed = |cause: io::Error| match cause.kind() {
            // Reading fills no disk.
            io::ErrorKind::StorageFull => not_aside(&self.name, cause),
            _ => failed(cause),
        };
        self.read(|input| io::copy(input, &mut unpacked).map_err(failed))?;
        unpacked.seek(SeekFrom::Start(0)).map_err(failed)?;
        Ok(unpacked)
    }

    /// An archive in an archive is refused, but a workbook, which is one itself.
    fn refuse_nested(&self, format: Format) -> Result<()> {
        let failed = |cause| broken(&self.name, cause);
        let start = self.read(|input| start_of(input).map_err(failed))?;
        let is_workbook = start.starts_with(ZIP) && format == Format::Xlsx;
        if start.starts_with(GZIP) || (start.starts_with(ZIP) && !is_workbook) {
            return Err(damaged(&self.name, "is an archive within an archive"));
        }
        Ok(())
    }
}

//! Text on its way into a file, in the encoding of the file.

use std::io::Write;

use encoding_rs::GB18030;
use huiliu_sdk::{Error, Result};

use super::{Output, failed, texts};
use crate::config::Encoding;

/// The one character that GB18030 does not have.
const UNMAPPED: char = '\u{e5e5}';

pub(super) struct Encoded {
    output: Output,
    encoding: Encoding,
}

impl Encoded {
    /// UTF-16 begins with its mark, which tells readers whose byte is the first.
    pub(super) fn new(mut output: Output, encoding: Encoding) -> Result<Self> {
        let mark: &[u8] = match encoding {
            Encoding::Utf8 | Encoding::Gb18030 => &[],
            Encoding::Utf16Le => &[0xff, 0xfe],
            Encoding::Utf16Be => &[0xfe, 0xff],
        };
        output.write_all(mark).map_err(failed)?;
        Ok(Self { output, encoding })
    }

    /// Whether the encoding has all characters of a value.
    pub(super) fn check(&self, column: &str, text: &str) -> Result<()> {
        if self.encoding == Encoding::Gb18030 && text.contains(UNMAPPED) {
            return Err(texts::unfit(column, "a character that gb18030 does not have"));
        }
        Ok(())
    }

    /// Writes text that was checked.
    pub(super) fn write(&mut self, text: &str) -> Result<()> {
        let written = match self.encoding {
            Encoding::Utf8 => self.output.write_all(text.as_bytes()),
            Encoding::Gb18030 => {
                let (bytes, _, has_unmapped) = GB18030.encode(text);
                if has_unmapped {
                    return Err(Error::internal("a character was not checked"));
                }
                self.output.write_all(&bytes)
            }
            Encoding::Utf16Le => {
                let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
                self.output.write_all(&bytes)
            }
            Encoding::Utf16Be => {
                let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
                self.output.write_all(&bytes)
            }
        };
        written.map_err(failed)
    }

    pub(super) fn close(self) -> Result<()> {
        self.output.close().map_err(failed)
    }
}

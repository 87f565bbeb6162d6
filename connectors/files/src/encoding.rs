//! From bytes to text, strictly: what does not decode is told, never replaced.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};
use std::ops::Range;

use encoding_rs::{DecoderResult, GB18030, UTF_8, UTF_16BE, UTF_16LE};
use huiliu_sdk::{Error, ErrorKind, Result};

use crate::config::Encoding;
use crate::fault::broken;

const MARKS: [(Encoding, &[u8]); 4] = [
    (Encoding::Utf8, &[0xef, 0xbb, 0xbf]),
    (Encoding::Utf16Le, &[0xff, 0xfe]),
    (Encoding::Utf16Be, &[0xfe, 0xff]),
    (Encoding::Gb18030, &[0x84, 0x31, 0x95, 0x33]),
];

/// A byte that is never part of UTF-8; it marks what could not be transcoded.
const UNDECODABLE: &[u8] = &[0xff];

/// The first of the 32 characters that are none, which Unicode leaves to programs for themselves. Where
/// text has to stay text, two of them stand for a byte that is no text, one for each half of it.
const HALVES: u32 = 0xfdd0;

/// More bytes than any that are no text together, with those that were looked at behind them.
const RECENT: usize = 8;

/// The byte order mark at the start of a file: whose it is and how long.
pub(crate) fn mark(start: &[u8]) -> Option<(Encoding, usize)> {
    MARKS
        .iter()
        .find(|(_, mark)| start.starts_with(mark))
        .map(|(encoding, mark)| (*encoding, mark.len()))
}

/// Skips a byte order mark, and refuses that of another encoding.
pub(crate) fn check_mark(start: &[u8], expected: Encoding, file: &str) -> Result<usize> {
    match mark(start) {
        None => Ok(0),
        Some((found, length)) if found == expected => Ok(length),
        Some((found, _)) => Err(Error::new(
            ErrorKind::Data,
            "E-ENCODING",
            format!("file {file} begins as {}, not {}", found.name(), expected.name()),
        )
        .hint("correct `encoding` of the stream")),
    }
}

/// Whether records can be found in the bytes as they are.
///
/// A trailing byte of GB18030 is one of 0x30-0x39, 0x40-0x7e and 0x80-0xfe: comma, semicolon,
/// tab, quote and line ends never are one, but `|` is. UTF-16 has no bytes of its own for them.
pub(crate) fn splits_as_is(encoding: Encoding, delimiter: u8, quote: Option<u8>) -> bool {
    let free = |byte: u8| !matches!(byte, 0x30..=0x39 | 0x40..=0x7e);
    match encoding {
        Encoding::Utf8 => true,
        Encoding::Gb18030 => free(delimiter) && quote.is_none_or(free),
        Encoding::Utf16Le | Encoding::Utf16Be => false,
    }
}

/// Decodes one field, or says that it cannot be.
pub(crate) fn field(bytes: &[u8], encoding: Encoding) -> Option<Cow<'_, str>> {
    match encoding {
        Encoding::Gb18030 => GB18030.decode_without_bom_handling_and_without_replacement(bytes),
        // UTF-16 was transcoded on the way.
        _ => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
    }
}

/// Turns a stream of bytes into UTF-8 as it is read.
pub(crate) struct Transcoder<R> {
    inner: R,
    decoder: encoding_rs::Decoder,
    input: Vec<u8>,
    /// The part of `input` that is not decoded yet.
    pending: Range<usize>,
    output: Vec<u8>,
    /// How much of `output` the caller has.
    given: usize,
    input_ended: bool,
    done: bool,
    /// The last bytes that were decoded: bytes that are no text may have come in several pieces.
    recent: Vec<u8>,
    /// Whether bytes that are no text become text that [`bytes_of`] reads back.
    is_text: bool,
}

impl<'a> Transcoder<Box<dyn Read + 'a>> {
    /// Text in UTF-8 without its mark, in which [`bytes_of`] finds the bytes that are none.
    pub(crate) fn text(input: impl Read + 'a, encoding: Encoding, file: &str) -> Result<Self> {
        let input = unmarked(input, encoding, file)?;
        Ok(Self { is_text: true, ..Self::new(Box::new(input), encoding) })
    }
}

/// The bytes without the mark of their encoding.
pub(crate) fn unmarked<'a>(
    mut input: impl Read + 'a,
    encoding: Encoding,
    file: &str,
) -> Result<impl Read + 'a> {
    let start = start_of(&mut input).map_err(|cause| broken(file, cause))?;
    let skip = check_mark(&start, encoding, file)?;
    Ok(io::Cursor::new(start[skip..].to_vec()).chain(input))
}

/// Reads the bytes up to the next line end, with it, and no more than `most` of them. Nothing is
/// left in `line` only at the end.
pub(crate) fn line(
    input: &mut impl BufRead,
    encoding: Encoding,
    most: usize,
    line: &mut Vec<u8>,
) -> io::Result<()> {
    line.clear();
    loop {
        let left = (most - line.len()) as u64;
        let read = input.by_ref().take(left).read_until(b'\n', line)?;
        // Half of the line end may stand in the next byte, or this may be half of another unit.
        if encoding == Encoding::Utf16Le && line.len() % 2 == 1 && line.len() < most {
            input.by_ref().take(1).read_to_end(line)?;
        }
        let is_end = match encoding {
            Encoding::Utf16Le => line.len().is_multiple_of(2) && line.ends_with(b"\n\0"),
            Encoding::Utf16Be => line.len().is_multiple_of(2) && line.ends_with(b"\0\n"),
            Encoding::Utf8 | Encoding::Gb18030 => line.ends_with(b"\n"),
        };
        if is_end || read == 0 || line.len() >= most {
            return Ok(());
        }
    }
}

/// A line without its end.
pub(crate) fn unended(line: &[u8], encoding: Encoding) -> &[u8] {
    let ends: [&[u8]; 2] = match encoding {
        Encoding::Utf16Le => [b"\n\0", b"\r\0"],
        Encoding::Utf16Be => [b"\0\n", b"\0\r"],
        Encoding::Utf8 | Encoding::Gb18030 => [b"\n", b"\r"],
    };
    ends.iter().fold(line, |line, end| line.strip_suffix(*end).unwrap_or(line))
}

/// Decodes a whole line, or says that it cannot be.
pub(crate) fn decoded(line: &[u8], encoding: Encoding) -> Option<Cow<'_, str>> {
    decoder_of(encoding).decode_without_bom_handling_and_without_replacement(line)
}

fn decoder_of(encoding: Encoding) -> &'static encoding_rs::Encoding {
    match encoding {
        Encoding::Utf16Le => UTF_16LE,
        Encoding::Utf16Be => UTF_16BE,
        Encoding::Gb18030 => GB18030,
        Encoding::Utf8 => UTF_8,
    }
}

/// Bytes that are no text, as text.
fn spelled(bytes: &[u8]) -> String {
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, 16 + (byte & 15)]);
    halves.filter_map(|half| char::from_u32(HALVES + u32::from(half))).collect()
}

/// The bytes of a text, if some of them were none.
pub(crate) fn bytes_of(text: &str, encoding: Encoding) -> Option<Vec<u8>> {
    // All of those characters begin with this byte, which is soon looked for.
    if !text.as_bytes().contains(&0xef) {
        return None;
    }
    let half = |letter: char| {
        let half = u32::from(letter).checked_sub(HALVES).filter(|half| *half < 32)?;
        u8::try_from(half).ok()
    };
    let (mut bytes, mut is_broken) = (Vec::with_capacity(text.len()), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let high = half(letter).filter(|high| *high < 16);
        let low = letters.peek().and_then(|low| half(*low)?.checked_sub(16));
        if let (Some(high), Some(low)) = (high, low) {
            letters.next();
            bytes.push((high << 4) | low);
            is_broken = true;
            continue;
        }
        let mut units = [0; 2];
        let mut utf8 = [0; 4];
        match encoding {
            Encoding::Utf8 => bytes.extend(letter.encode_utf8(&mut utf8).bytes()),
            Encoding::Gb18030 => bytes.extend(&*GB18030.encode(letter.encode_utf8(&mut utf8)).0),
            Encoding::Utf16Le => {
                bytes.extend(letter.encode_utf16(&mut units).iter().flat_map(|u| u.to_le_bytes()));
            }
            Encoding::Utf16Be => {
                bytes.extend(letter.encode_utf16(&mut units).iter().flat_map(|u| u.to_be_bytes()));
            }
        }
    }
    is_broken.then_some(bytes)
}

/// The first bytes, as many as any mark has.
pub(crate) fn start_of(input: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut start = vec![0; 8];
    let mut length = 0;
    while length < start.len() {
        let read = read_some(input, &mut start[length..])?;
        if read == 0 {
            break;
        }
        length += read;
    }
    start.truncate(length);
    Ok(start)
}

impl<R: Read> Transcoder<R> {
    pub(crate) fn new(inner: R, encoding: Encoding) -> Self {
        Self {
            inner,
            decoder: decoder_of(encoding).new_decoder_without_bom_handling(),
            input: vec![0; 64 << 10],
            pending: 0..0,
            output: Vec::new(),
            given: 0,
            input_ended: false,
            done: false,
            recent: Vec::new(),
            is_text: false,
        }
    }

    /// Decodes the next piece of input into `output`.
    fn advance(&mut self) -> io::Result<()> {
        if self.pending.is_empty() && !self.input_ended {
            let read = read_some(&mut self.inner, &mut self.input)?;
            self.pending = 0..read;
            self.input_ended = read == 0;
        }
        // Two bytes of UTF-16 become at most three; the rest is room for what was held back.
        self.output.resize(2 * self.input.len() + 16, 0);
        self.given = 0;
        let input = &self.input[self.pending.clone()];
        let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(
            input,
            &mut self.output,
            self.input_ended,
        );
        self.pending.start += read;
        self.output.truncate(written);
        match result {
            DecoderResult::InputEmpty => self.done = self.input_ended,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) if !self.is_text => self.output.extend(UNDECODABLE),
            DecoderResult::Malformed(length, after) => {
                let seen = [self.recent.as_slice(), &input[..read]].concat();
                let end = seen.len().saturating_sub(after.into());
                let start = end.saturating_sub(length.into());
                self.output.extend(spelled(&seen[start..end]).bytes());
            }
        }
        if self.is_text {
            self.recent.extend(&input[read.saturating_sub(RECENT)..read]);
            self.recent.drain(..self.recent.len().saturating_sub(RECENT));
        }
        Ok(())
    }
}

impl<R: Read> Read for Transcoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.output.len() {
            if self.done {
                return Ok(0);
            }
            self.advance()?;
        }
        let length = buffer.len().min(self.output.len() - self.given);
        buffer[..length].copy_from_slice(&self.output[self.given..self.given + length]);
        self.given += length;
        Ok(length)
    }
}

/// Reads what is there, however little, and nothing only at the end.
pub(crate) fn read_some(input: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, so that every character is cut somewhere.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(&mut buffer[..1])
        }
    }

    fn transcode(bytes: &[u8], encoding: Encoding) -> Vec<u8> {
        let mut out = Vec::new();
        Transcoder::new(Trickle(bytes), encoding).read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn cut_characters_are_joined() {
        let text = "办件,𠮷\r\n";
        let le: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(transcode(&le, Encoding::Utf16Le), text.as_bytes());
        assert_eq!(transcode(&be, Encoding::Utf16Be), text.as_bytes());
        assert_eq!(transcode(&GB18030.encode(text).0, Encoding::Gb18030), text.as_bytes());
    }

    #[test]
    fn lines_are_told_apart_in_the_bytes_of_each_encoding() {
        // The second character has the byte of a line end in it, in either order.
        let texts = ["办\u{0a0a}\u{0a00}件\r\n", "\n", "last"];
        let of = |encoding, units: &dyn Fn(&str) -> Vec<u8>| {
            let bytes: Vec<u8> = texts.iter().flat_map(|text| units(text)).collect();
            let mut input = io::BufReader::with_capacity(3, &bytes[..]);
            let (mut found, mut next) = (Vec::new(), Vec::new());
            loop {
                line(&mut input, encoding, 1_000, &mut next).unwrap();
                if next.is_empty() {
                    return found;
                }
                found.push(decoded(&next, encoding).unwrap().into_owned());
            }
        };
        let le =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let be =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_be_bytes).collect() };
        assert_eq!(of(Encoding::Utf16Le, &le), texts);
        assert_eq!(of(Encoding::Utf16Be, &be), texts);
        assert_eq!(of(Encoding::Utf8, &|text| text.into()), texts);
        assert_eq!(of(Encoding::Gb18030, &|text| GB18030.encode(text).0.into()), texts);
    }

    #[test]
    fn what_cannot_be_transcoded_is_marked_and_no_more() {
        let lone = [0x61, 0x00, 0x00, 0xd8, 0x62, 0x00, 0x63];
        assert_eq!(transcode(&lone, Encoding::Utf16Le), b"a\xffb\xff");
        assert_eq!(transcode(b"a\x81,b", Encoding::Gb18030), b"a\xff,b");
        assert_eq!(transcode(b"a\x81", Encoding::Gb18030), b"a\xff");
    }

    #[test]
    fn bytes_that_are_no_text_are_read_back_from_the_text_that_stands_for_them() {
        let wide = |text: &str, lone: [u8; 2]| {
            let mut bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            bytes.extend(lone);
            bytes.extend([b'b', 0]);
            bytes
        };
        let cases: [(Encoding, Vec<u8>); 6] = [
            (Encoding::Utf8, b"\xd6\xd0\xb9\xfa \xff".to_vec()),
            (Encoding::Utf8, "办𠮷".bytes().chain([0xe5, 0x8a]).collect()),
            (Encoding::Utf8, b"\xf0\x9f\x98a\xed\xa0\x80\xc0\x80".to_vec()),
            (Encoding::Gb18030, b"\xd6\xd0\xb9\xfa \xff\x81\x30\x81,\x81".to_vec()),
            (Encoding::Utf16Le, wide("办𠮷", [0x00, 0xd8])),
            (Encoding::Utf16Le, wide("", [0x00, 0xdc])),
        ];
        for (encoding, bytes) in cases {
            let mut text = String::new();
            let mut input = Transcoder::text(Trickle(&bytes), encoding, "f").unwrap();
            input.read_to_string(&mut text).unwrap();
            assert_eq!(bytes_of(&text, encoding).as_ref(), Some(&bytes), "{text:?}");
        }
        for text in ["办件", "", "\u{fffd}", "\u{fdd0}", "\u{fde0}\u{fdd0}"] {
            assert_eq!(bytes_of(text, Encoding::Utf8), None);
        }
    }
}

//! The characters of an answer, whatever its header and its declaration say.

use encoding_rs::{Encoding, GB18030, UTF_8};
use huiliu_httpkit::Answer;
use huiliu_sdk::{Error, ErrorKind, Result};

/// How far into a document its XML declaration may reach.
const DECLARATION: usize = 200;

/// The answer in UTF-8 without a mark at its beginning. A mark wins, then what is configured. Else
/// what is valid UTF-8 is UTF-8, because text of another encoding hardly ever is; the rest is what
/// it declares to be, or GB18030, which includes GBK and GB2312.
pub(crate) fn decoded(answer: Answer, configured: Option<&'static Encoding>) -> Result<Answer> {
    let body = answer.body().clone();
    if let Some((encoding, length)) = Encoding::for_bom(&body) {
        return with(answer, &body[length..], &[encoding]);
    }
    if let Some(encoding) = configured {
        return with(answer, &body, &[encoding]);
    }
    if std::str::from_utf8(&body).is_ok() {
        return Ok(answer);
    }
    let declared = [in_header(&answer), in_declaration(&body)];
    let mut tried: Vec<&'static Encoding> = declared.into_iter().flatten().collect();
    tried.push(GB18030);
    with(answer, &body, &tried)
}

/// The answer in the first encoding that has a character for all its bytes.
fn with(answer: Answer, body: &[u8], encodings: &[&'static Encoding]) -> Result<Answer> {
    for encoding in encodings {
        let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(body) else {
            continue;
        };
        // A body that is UTF-8 already is not copied unless its mark is cut off.
        if *encoding == UTF_8 && body.len() == answer.body().len() {
            return Ok(answer);
        }
        let text = text.into_owned();
        return Ok(answer.decoded(text));
    }
    let names: Vec<&str> = encodings.iter().map(|encoding| encoding.name()).collect();
    Err(Error::new(
        ErrorKind::Data,
        "E-ENCODING",
        format!("{}: the answer is not valid {}", answer.request(), names.join(" or ")),
    )
    .hint("ask the system's owner for the encoding and set encoding"))
}

fn in_header(answer: &Answer) -> Option<&'static Encoding> {
    let content_type = answer.content_type();
    let (_, rest) = content_type.split_once("charset=")?;
    let name = rest.split(';').next()?.trim().trim_matches(['"', '\'']);
    Encoding::for_label(name.as_bytes())
}

fn in_declaration(body: &[u8]) -> Option<&'static Encoding> {
    let start = String::from_utf8_lossy(body.get(..body.len().min(DECLARATION))?);
    let declaration = start.trim_start().strip_prefix("<?xml")?.split("?>").next()?.to_owned();
    let (_, rest) = declaration.split_once("encoding=")?;
    let quote = rest.chars().next()?;
    Encoding::for_label(rest.get(1..)?.split(quote).next()?.as_bytes())
}

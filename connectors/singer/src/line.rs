//! Lines of a program's output, each within a limit.

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// What came next.
pub(crate) enum Line {
    /// A line is in the buffer, without its end.
    Whole,
    /// The output has ended.
    End,
    /// The line is longer than the limit. What is left of it stays unread.
    TooLong,
}

/// Reads the next line into `line`, of at most `most` bytes.
pub(crate) async fn next_line(
    input: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
    most: usize,
) -> std::io::Result<Line> {
    line.clear();
    loop {
        let bytes = input.fill_buf().await?;
        if bytes.is_empty() {
            return Ok(if line.is_empty() { Line::End } else { Line::Whole });
        }
        let (part, has_end) = match bytes.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&bytes[..end], true),
            None => (bytes, false),
        };
        if line.len() + part.len() > most {
            return Ok(Line::TooLong);
        }
        line.extend_from_slice(part);
        let used = part.len() + usize::from(has_end);
        input.consume(used);
        if has_end {
            return Ok(Line::Whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &[u8], most: usize) -> (Vec<String>, bool) {
        let mut input = tokio::io::BufReader::with_capacity(3, text);
        let (mut line, mut all) = (Vec::new(), Vec::new());
        loop {
            match next_line(&mut input, &mut line, most).await.unwrap() {
                Line::Whole => all.push(String::from_utf8(line.clone()).unwrap()),
                Line::End => return (all, true),
                Line::TooLong => return (all, false),
            }
        }
    }

    #[tokio::test]
    async fn lines_end_with_their_end_or_the_last_byte_and_have_a_limit() {
        assert_eq!(lines(b"ab\n\nabcd\ne", 4).await.0, ["ab", "", "abcd", "e"]);
        let (before, is_whole) = lines(b"ab\nabcde\nf\n", 4).await;
        assert_eq!((before, is_whole), (vec!["ab".to_owned()], false));
        assert!(lines(b"", 4).await.0.is_empty());
    }
}

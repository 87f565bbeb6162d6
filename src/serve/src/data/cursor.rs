//! Where a page ended. To those who ask it is a word without meaning, so that how pages are cut can
//! change.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use huiliu_sdk::{Error, ErrorKind, Result};

/// Writes and reads cursors.
pub struct Cursor;

impl Cursor {
    /// The cursor of a place.
    pub fn of(place: &[&str]) -> String {
        let text = serde_json::to_string(place).unwrap_or_default();
        URL_SAFE_NO_PAD.encode(text)
    }

    /// The place of a cursor, which has `parts` parts.
    pub fn place(cursor: &str, parts: usize) -> Result<Vec<String>> {
        let place = URL_SAFE_NO_PAD.decode(cursor).ok();
        let place = place.and_then(|bytes| serde_json::from_slice::<Vec<String>>(&bytes).ok());
        place.filter(|place| place.len() == parts).ok_or_else(|| {
            Error::new(ErrorKind::Config, "E-PAGE-CURSOR", "this is no cursor of this list")
                .hint("take `next` of the page before as it is, or leave it out")
        })
    }

    /// The number of a cursor that is one.
    pub fn number(cursor: &str) -> Result<i64> {
        let wrong = || {
            Error::new(ErrorKind::Config, "E-PAGE-CURSOR", "this is no cursor of this list")
                .hint("take `next` of the page before as it is, or leave it out")
        };
        Self::place(cursor, 1)?.first().and_then(|text| text.parse().ok()).ok_or_else(wrong)
    }

    /// Cuts one line more than was wanted off, and gives the cursor of the next page if there was
    /// one.
    pub fn cut<T>(rows: &mut Vec<T>, limit: u32, number: impl Fn(&T) -> i64) -> Option<String> {
        let limit = limit as usize;
        let is_more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| is_more)?;
        Some(Self::of(&[&number(last).to_string()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_to_the_next_page_and_another_text_is_refused() {
        let mut rows = vec![9, 8, 7];
        let next = Cursor::cut(&mut rows, 2, |row| *row).unwrap();
        assert_eq!(rows, [9, 8]);
        assert_eq!(Cursor::number(&next).unwrap(), 8);
        assert_eq!(Cursor::cut(&mut rows, 2, |row| *row), None);
        let two = Cursor::of(&["a|b", "张"]);
        assert_eq!(Cursor::place(&two, 2).unwrap(), ["a|b", "张"]);
        for wrong in ["", "8", "W10", "!!", &two] {
            assert_eq!(Cursor::number(wrong).unwrap_err().code(), "E-PAGE-CURSOR", "{wrong}");
        }
    }
}

//! The implementation code of an item and the item's handling code.

use super::{all_digits, uscc_valid};

/// The parts of an implementation code (31 characters) or a handling code (33).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemCode<'a> {
    /// The credit code of the organisation, 18 characters.
    pub uscc: &'a str,
    /// The level at which the power is used, 1 national to 6 village.
    pub use_level: &'a str,
    /// The code in the basic catalog, 12 characters.
    pub catalog: &'a str,
    /// The serial number of the handling item, 2 characters, in the code of 33.
    pub serial: Option<&'a str>,
}

impl<'a> ItemCode<'a> {
    /// Cuts a code of the right length into its parts, without judging them.
    pub fn split(text: &'a str) -> Option<Self> {
        if !text.is_ascii() || !matches!(text.len(), 31 | 33) {
            return None;
        }
        Some(Self {
            uscc: &text[..18],
            use_level: &text[18..19],
            catalog: &text[19..31],
            serial: (text.len() == 33).then(|| &text[31..]),
        })
    }

    /// Whether every part is valid.
    pub fn is_valid(&self) -> bool {
        uscc_valid(self.uscc)
            && matches!(self.use_level, "1" | "2" | "3" | "4" | "5" | "6")
            && all_digits(self.catalog)
            && self.serial.is_none_or(all_digits)
    }
}

/// Whether `text` is a valid implementation code (31) or handling code (33).
pub fn task_code_valid(text: &str) -> bool {
    ItemCode::split(text).is_some_and(|code| code.is_valid())
}

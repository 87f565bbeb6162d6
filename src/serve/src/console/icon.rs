//! Small drawings before words. They say nothing that the word beside them does not.

use maud::{Markup, html};

/// A drawing of 20 by 20, in lines of the text's colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Icon {
    /// A rising sun: the day.
    Day,
    /// A line that rises.
    Figure,
    /// Two sides that do not meet.
    Difference,
    /// A path with stops.
    Trace,
    /// A prompt.
    Query,
    /// Boxes on shelves.
    System,
    /// A triangle in a ring.
    Run,
    /// A clock.
    Job,
    /// A tray.
    Quarantine,
    /// An arrow that leaves.
    Push,
    /// An arrow that turns back.
    Repair,
    /// A bell.
    Alert,
    /// A person.
    User,
    /// A key.
    Token,
    /// A page with a tick.
    Audit,
}

impl Icon {
    fn path(self) -> &'static str {
        match self {
            Self::Day => "M3 15h14M6 15a4 4 0 0 1 8 0M10 4v3M3.8 8.8l2 1.4M16.2 8.8l-2 1.4",
            Self::Figure => "M3 16.5h14M4.5 13l3.5-4 3 2.5L16 5M12.5 5H16v3.5",
            Self::Difference => "M3 6h6v8H3zM11 6h6v8h-6zM9 10h2M5 9h2M13 11.5h2",
            Self::Trace => "M5 4.5v11M5 4.5h.01M5 10h.01M5 15.5h.01M9 4.5h7M9 10h5M9 15.5h7",
            Self::Query => "M3 4.5h14v11H3zM6 8l2.2 2L6 12M10.5 12.5H14",
            Self::System => "M4 3.5h12v5H4zM4 11.5h12v5H4zM7 6h.01M7 14h.01M10 6h3M10 14h3",
            Self::Run => "M10 2.8a7.2 7.2 0 1 1 0 14.4a7.2 7.2 0 0 1 0-14.4M8.3 7.2v5.6L13 10z",
            Self::Job => "M10 2.8a7.2 7.2 0 1 1 0 14.4a7.2 7.2 0 0 1 0-14.4M10 6v4.2l2.8 1.8",
            Self::Quarantine => "M3 11.5 5.5 4h9L17 11.5V16H3zM3 11.5h4l1 2h4l1-2h4",
            Self::Push => "M3.5 10 16.5 4l-4 12-3-5zM9.5 11l7-7",
            Self::Repair => "M4 7.5h8.5a3.8 3.8 0 0 1 0 7.5H7M7 4.5l-3 3 3 3",
            Self::Alert => "M5 13.5V9a5 5 0 0 1 10 0v4.5l1.2 1.5H3.8zM8.5 17.2h3",
            Self::User => {
                "M10 3.2a3.2 3.2 0 1 1 0 6.4a3.2 3.2 0 0 1 0-6.4M3.8 16.8a6.2 5 0 0 1 12.4 0"
            }
            Self::Token => {
                "M6.8 9.4a3.8 3.8 0 1 1 0 7.6a3.8 3.8 0 0 1 0-7.6M9.6 10.5 16.5 3.5M14 6l2.2 2.2"
            }
            Self::Audit => "M5 2.8h7l3.5 3.5v11H5zM7.8 11l1.8 1.8 3.2-3.4",
        }
    }

    /// The drawing, hidden from who listens.
    pub(crate) fn draw(self) -> Markup {
        html! {
            svg.icon viewBox="0 0 20 20" aria-hidden="true" focusable="false" {
                path d=(self.path()) {}
            }
        }
    }
}

/// The sign of the hub: streams that flow together.
pub(crate) fn mark() -> Markup {
    html! {
        svg.brandmark viewBox="0 0 32 32" aria-hidden="true" focusable="false" {
            path.a d="M4 6c9 0 9 10 18 10h6" {}
            path.b d="M4 16h24" {}
            path.c d="M4 26c9 0 9-10 18-10h6" {}
        }
    }
}

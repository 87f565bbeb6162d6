//! What happened, one thing under the other.

use maud::{Markup, html};

use crate::console::words::Tone;

/// One thing that happened.
pub(crate) struct Event {
    /// When.
    pub(crate) at: Markup,
    /// What kind of thing it is.
    pub(crate) kind: String,
    /// How it looks.
    pub(crate) tone: Tone,
    /// What it is about.
    pub(crate) title: Markup,
    /// What is known of it.
    pub(crate) details: Markup,
}

/// Things that happened, in their order.
pub(crate) fn timeline(events: Vec<Event>) -> Markup {
    html! {
        ol.timeline {
            @for event in events {
                li.(event.tone.class()) {
                    div.at { (event.at) }
                    div.what {
                        p { span.kind { (event.kind) } " " (event.title) }
                        (event.details)
                    }
                }
            }
        }
    }
}

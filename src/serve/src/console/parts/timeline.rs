//! What happened, one thing under the other.

use maud::{Markup, html};

use crate::console::words::Tone;

/// One thing that happened.
pub struct Event {
    /// When.
    pub at: Markup,
    /// What kind of thing it is.
    pub kind: String,
    /// How it looks.
    pub tone: Tone,
    /// What it is about.
    pub title: Markup,
    /// What is known of it.
    pub details: Markup,
}

/// Things that happened, in their order.
pub fn timeline(events: Vec<Event>) -> Markup {
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

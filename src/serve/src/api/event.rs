//! A run as it goes, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, stream};
use huiliu_sdk::{Error, ErrorKind};
use tokio::time::{Interval, MissedTickBehavior};

use super::input::Path;
use crate::data::RunDetail;
use crate::identity::Visitor;
use crate::web::{App, Failure, Watching};

/// How often it is looked how a run goes.
const PAUSE: Duration = Duration::from_millis(500);

/// What one listener has been told.
struct Listening {
    app: Arc<App>,
    visitor: Visitor,
    run: i64,
    ticks: Interval,
    told: Option<RunDetail>,
    is_over: bool,
    _place: Watching,
}

pub(super) async fn run(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(run): Path<i64>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
    // A run that does not exist is told at once.
    app.hub().run(run).await?;
    let place = app.watch().ok_or_else(|| {
        Error::new(ErrorKind::Throttled, "E-BUSY", "too many runs are being watched")
            .hint("close a window, or ask for the run itself")
    })?;
    let mut ticks = tokio::time::interval(PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let listening =
        Listening { app, visitor, run, ticks, told: None, is_over: false, _place: place };
    let events = stream::unfold(listening, |mut listening| async move {
        let event = listening.next().await?;
        Some((Ok(event), listening))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

impl Listening {
    /// The next event; none when the run is over, or the listener was put out.
    async fn next(&mut self) -> Option<Event> {
        while !self.is_over {
            self.ticks.tick().await;
            let is_in = self.app.accounts().is_still_in(&self.visitor).await;
            if !is_in.unwrap_or(false) {
                return None;
            }
            let Ok(run) = self.app.hub().run(self.run).await else { return None };
            self.is_over = run.run_row.finished_at.is_some();
            if self.told.as_ref() == Some(&run) {
                continue;
            }
            let event = Event::default().event("run").json_data(&run).ok();
            self.told = Some(run);
            return event;
        }
        None
    }
}

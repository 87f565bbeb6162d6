//! The cards that electronic supervision has to issue, counted from what is so and not from copies.

use super::World;
use super::cases::is_unexplained;
use super::handling::Step;
use super::moment::{Moment, add_workdays, workdays_between};
use super::rhythm::now;
use super::status::Status;

/// Working days after the promise from which a card is a red one.
const SERIOUS: i64 = 3;
/// Seconds after which a special procedure without an end has gone on for too long.
const ENDLESS: u32 = 60 * 86_400;
/// Working days that the law grants for a hearing.
const HEARING_DAYS: i64 = 20;
/// Working days that each step may take, by its code.
const STEP_DAYS: [(&str, i64); 4] = [("1", 1), ("2", 10), ("3", 5), ("4", 3)];
/// Seconds within which nobody handles a promised item.
const AT_ONCE: u32 = 60;

/// How a case stands against its limits.
pub(crate) struct Timing {
    /// Working days after the promise, without those for which it waited; negative before it.
    pub(crate) late: i64,
    /// The day up to which that is counted.
    pub(crate) until: u32,
    /// Its result's date, if it has a result.
    pub(crate) finish: Option<Moment>,
    /// Whether the legal limit is over too.
    pub(crate) is_past_legal: bool,
    is_paused: bool,
}

impl Timing {
    /// Whether there is a card for being late.
    pub(crate) fn is_overdue(&self) -> bool {
        self.late > 0 || self.is_past_legal
    }

    /// Whether that card is a red one.
    pub(crate) fn is_serious(&self) -> bool {
        self.late >= SERIOUS || self.is_past_legal
    }
}

impl World {
    /// The moment as of which supervision counts: when the newest case was accepted.
    fn as_of(&self) -> Moment {
        self.cases.last().map_or(now(), |case| case.accept)
    }

    /// How the case of this index stands against its limits.
    pub(crate) fn timing_of(&self, index: usize) -> Timing {
        let case = &self.cases[index];
        let has_result = case.status.city_code().is_some();
        let finish = self.dated_finish(index).filter(|_| has_result);
        let until = finish.unwrap_or(self.as_of()).day();
        let span = self.waited(index, finish);
        let waited = span.map_or(0, |(from, to)| workdays_between(from.day(), to.day()));
        let legal = add_workdays(case.accept.day(), self.item_of(case).legal_days());
        let is_paused = finish.is_none()
            && span.is_some()
            && self.wait_of(index).is_some_and(|wait| wait.to.is_none());
        Timing {
            late: workdays_between(case.promise.day(), until) - waited,
            until,
            finish,
            is_past_legal: workdays_between(legal, until) - waited > 0,
            is_paused,
        }
    }

    /// The span for which a case waited and that is taken off.
    fn waited(&self, index: usize, finish: Option<Moment>) -> Option<(Moment, Moment)> {
        let wait = self.wait_of(index)?;
        let to = match (wait.to, finish) {
            (Some(to), Some(finish)) => to.min(finish),
            (Some(to), None) => to.min(self.as_of()),
            // What goes on stops the clock, but not for ever.
            (None, None) if self.as_of().0 - wait.from.0 < ENDLESS => self.as_of(),
            (None, _) => return None,
        };
        (to > wait.from).then_some((wait.from, to))
    }

    /// The rules by which the case of this index has a card.
    pub(crate) fn cards_of(&self, index: usize) -> Vec<&'static str> {
        let case = &self.cases[index];
        let mut cards = Vec::new();
        if !case.is_readable_in_city() || case.status == Status::Deleted {
            return cards;
        }
        let timing = self.timing_of(index);
        let mut add = |rule, is_broken: bool| {
            if is_broken {
                cards.push(rule);
            }
        };
        let is_due = (-1..=0).contains(&timing.late);
        add("remind", timing.finish.is_none() && is_due && !timing.is_paused);
        add("overdue_promise", timing.is_overdue() && !timing.is_serious());
        add("overdue_serious", timing.is_serious());
        add("step_overdue", timing.late <= 0 && self.has_slow_step(index, &timing));
        add("refuse_no_reason", is_unexplained(index, case));
        add("illegal_fee", self.is_overcharged(index));
        add("suspend_too_long", self.waits_too_long(index, &timing));
        add("time_travel", self.has_wrong_order(index, &timing));
        add("backfill", timing.finish.is_some() && self.was_entered_at_once(index));
        cards
    }

    fn has_slow_step(&self, index: usize, timing: &Timing) -> bool {
        let waited = self.waited(index, timing.finish);
        self.steps_of(index).iter().any(|step| {
            let is_open = step.end == step.start && timing.finish.is_none();
            let end = if is_open { self.as_of() } else { step.end };
            let off = waited.map_or(0, |(from, to)| {
                let (from, to) = (from.max(step.start), to.min(end));
                if to > from { workdays_between(from.day(), to.day()) } else { 0 }
            });
            let taken = workdays_between(step.start.day(), end.day()) - off;
            STEP_DAYS.iter().any(|(event, most)| *event == step.event.0 && taken > *most)
        })
    }

    fn is_overcharged(&self, index: usize) -> bool {
        let item = self.item_of(&self.cases[index]);
        self.charge_of(index).is_some_and(|charge| match item.fee_standard() {
            Some(standard) => charge.yuan > standard,
            None => !item.has_fee(),
        })
    }

    fn waits_too_long(&self, index: usize, timing: &Timing) -> bool {
        let Some(wait) = self.wait_of(index) else { return false };
        let end = wait.to.or(timing.finish).unwrap_or(self.as_of());
        let is_long_hearing =
            wait.kind.0 == "1" && workdays_between(wait.from.day(), end.day()) > HEARING_DAYS;
        is_long_hearing || (wait.to.is_none() && self.as_of().0 - wait.from.0 >= ENDLESS)
    }

    fn has_wrong_order(&self, index: usize, timing: &Timing) -> bool {
        let Some(finish) = timing.finish else { return false };
        let case = &self.cases[index];
        let is_ahead = case.finish.is_some_and(|entered| finish.day() > entered.day());
        let is_after = |step: &Step| step.end > finish || step.end > step.written;
        finish < case.accept || is_ahead || self.steps_of(index).iter().any(is_after)
    }

    fn was_entered_at_once(&self, index: usize) -> bool {
        let steps = self.steps_of(index);
        let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return false };
        steps.len() > 1 && last.end.0 - first.start.0 <= AT_ONCE
    }
}

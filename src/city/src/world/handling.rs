//! How the city's platform notes that cases were handled: their steps, the time for which they
//! waited, what was paid for them. Some of it is out of order, at most one thing of each case.

use rand::seq::SliceRandom;

use super::World;
use super::cases::Case;
use super::flaws::Flaw;
use super::items::{as_float, scaled};
use super::moment::{Moment, add_workdays, day_of, workdays_between};
use super::rhythm::now;
use super::status::Status;
use crate::seed::generator;

/// The platform reports the steps of cases that were accepted from then on.
const FIRST_DAY_OF_STEPS: &str = "2018-11-01";
/// Cases with a lapse of one kind, as a share of those that count.
const SHARE: f64 = 0.0003;
/// Waiting in due form is more frequent.
const WAITED_SHARE: f64 = 0.001;
const LEAST: u64 = 2;
/// Working days of a hearing that takes longer than the 20 that the law grants.
const LONG_HEARING: u32 = 25;
/// Working days after which a step is over that may take ten.
const SLOW_STEP: u32 = 11;
/// Days that an endless wait has lasted at least, and that one which is still in order has at most.
const LONG_AGO: u32 = 75;
const RECENTLY: u32 = 50;
const HOUR: u32 = 3600;
/// Seconds in which all steps of a case were entered that was handled elsewhere.
const ENTERED_WITHIN: i64 = 40;
/// Yuan that somebody paid who owed nothing, and beyond what he owed.
const NEEDLESS_FEE: u32 = 20;
const SURCHARGE: u32 = 30;

/// What is out of order with the handling of a case, or would be if it had not waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lapse {
    /// Finished so many working days after the promise, within the legal limit.
    Late(u32),
    /// Finished a day after the promise, which was all that the law grants.
    PastLegal,
    /// In time only because it waited so many working days.
    Waited(u32),
    /// A day late although it waited.
    WaitedLate(u32),
    /// A hearing that took too long.
    LongHearing,
    /// It waits, and nobody wrote down until when.
    EndlessWait,
    /// It still waits, not for long.
    Waiting,
    /// A step took too long, the case did not.
    SlowStep,
    /// A fee for an item that has none.
    NeedlessFee,
    /// More than the list of fees says.
    Overcharged,
    /// The result is dated before the acceptance.
    ResultFirst,
    /// The last step ends after the result.
    StepLast,
    /// The result is dated after the moment at which it was entered.
    Ahead,
    /// All its steps were entered at once.
    Backfilled,
}

/// A special procedure, for which a case waits.
pub(crate) struct Wait {
    /// Its kind: code and name.
    pub(crate) kind: (&'static str, &'static str),
    pub(crate) from: Moment,
    /// None if nobody wrote it down.
    pub(crate) to: Option<Moment>,
}

/// A step of a case.
pub(crate) struct Step {
    /// Code and name.
    pub(crate) event: (&'static str, &'static str),
    pub(crate) start: Moment,
    /// The same as its start while it is not over.
    pub(crate) end: Moment,
    /// When it was entered.
    pub(crate) written: Moment,
}

/// What was paid for a case.
pub(crate) struct Charge {
    pub(crate) yuan: u32,
    pub(crate) at: Moment,
}

const HEARING: (&str, &str) = ("1", "听证");
const EXPERTS: (&str, &str) = ("8", "专家评审");
const PUBLICITY: (&str, &str) = ("9", "公示");
const EVENTS: [(&str, &str); 4] = [("1", "受理"), ("2", "审核"), ("3", "决定"), ("4", "办结")];

/// The lapses in the order in which they are planted.
const LAPSES: [(Lapse, f64); 17] = [
    (Lapse::SlowStep, SHARE),
    (Lapse::Backfilled, SHARE),
    (Lapse::StepLast, SHARE),
    (Lapse::Ahead, SHARE),
    (Lapse::ResultFirst, SHARE),
    (Lapse::PastLegal, SHARE),
    (Lapse::LongHearing, SHARE),
    (Lapse::EndlessWait, SHARE),
    (Lapse::Waiting, SHARE),
    (Lapse::Overcharged, SHARE),
    (Lapse::NeedlessFee, SHARE),
    (Lapse::WaitedLate(4), SHARE),
    (Lapse::Late(1), SHARE),
    (Lapse::Late(2), SHARE),
    (Lapse::Late(4), SHARE),
    (Lapse::Waited(3), WAITED_SHARE),
    (Lapse::Waited(6), WAITED_SHARE),
];

/// Plants the lapses into the cases of `world`, whose flaws are known.
pub(crate) fn plant(seed: u64, world: &mut World) {
    let mut rng = generator(seed, "lapses");
    let countable = as_float(world.case_figures.in_2017 + world.case_figures.in_2018);
    let is_free =
        |case: &Case| case.counts() && case.flaw == Flaw::None && case.own_system.is_none();
    let mut free: Vec<usize> =
        (0..world.cases.len()).filter(|index| is_free(&world.cases[*index])).collect();
    free.shuffle(&mut rng);
    for (lapse, share) in LAPSES {
        let mut left = scaled(countable, share).max(LEAST);
        free.retain(|index| {
            if left == 0 || !can_have(world, *index, lapse) {
                return true;
            }
            left -= 1;
            let case = &mut world.cases[*index];
            case.finish = moved(case, lapse).or(case.finish);
            world.lapses.insert(*index, lapse);
            false
        });
    }
}

/// When a case is finished because of its lapse, if that decides it.
fn moved(case: &Case, lapse: Lapse) -> Option<Moment> {
    let later = |days: u32| Moment::at(add_workdays(case.promise.day(), days), 10 * HOUR);
    Some(match lapse {
        Lapse::Late(days) | Lapse::Waited(days) => later(days),
        Lapse::PastLegal => later(1),
        Lapse::WaitedLate(days) => later(days + 1),
        Lapse::LongHearing => later(LONG_HEARING),
        Lapse::SlowStep => Moment::at(case.promise.day(), 16 * HOUR),
        _ => return None,
    })
}

/// Whether a case can have a lapse and nothing else.
fn can_have(world: &World, index: usize, lapse: Lapse) -> bool {
    let case = &world.cases[index];
    let item = world.item_of(case);
    let finish = moved(case, lapse).or(case.finish);
    let is_over = case.status == Status::Granted
        && finish.is_some_and(|finish| finish.plus(i64::from(HOUR)) < now());
    let is_promised = item.project_type == 2;
    let has_room = item.legal_days() > item.promise_days;
    let has_steps = case.accept.day() >= day_of(FIRST_DAY_OF_STEPS);
    // Other systems look at what was finished in December, so dates that are wrong keep away from it.
    let is_before = |day: &str| finish.is_some_and(|finish| finish.day() < day_of(day));
    match lapse {
        Lapse::Late(_) | Lapse::WaitedLate(_) => is_over && is_promised && has_room,
        Lapse::PastLegal => is_over && is_promised && !has_room,
        Lapse::Waited(_) | Lapse::LongHearing => is_over && is_promised,
        Lapse::EndlessWait => {
            let is_open = case.status == Status::Accepted;
            is_open && is_promised && case.accept.day() + LONG_AGO < now().day()
        }
        Lapse::Waiting => {
            let is_open = case.status == Status::Accepted;
            let is_recent = case.accept.day() + RECENTLY > now().day();
            let would_be_late = workdays_between(case.promise.day(), now().day()) > 0;
            is_open && is_promised && is_recent && would_be_late
        }
        Lapse::SlowStep => is_over && is_promised && has_steps && item.promise_days > SLOW_STEP,
        Lapse::NeedlessFee => is_over && !item.has_fee(),
        Lapse::Overcharged => is_over && item.fee_standard().is_some(),
        Lapse::ResultFirst => is_over && !has_steps && is_before("2018-11-30"),
        Lapse::StepLast => is_over && is_promised && has_steps && is_before("2018-12-12"),
        Lapse::Ahead => {
            let is_early = finish.is_some_and(|finish| finish.day() < case.promise.day());
            is_over && is_promised && is_early && case.promise.day() < day_of("2018-12-01")
        }
        Lapse::Backfilled => is_over && is_promised && has_steps,
    }
}

impl World {
    /// The special procedure for which a case waited or waits.
    pub(crate) fn wait_of(&self, index: usize) -> Option<Wait> {
        let (kind, days) = match self.lapses.get(&index)? {
            Lapse::Waited(days) | Lapse::WaitedLate(days) => (PUBLICITY, Some(*days)),
            Lapse::LongHearing => (HEARING, Some(LONG_HEARING)),
            Lapse::EndlessWait | Lapse::Waiting => (EXPERTS, None),
            _ => return None,
        };
        let from = Moment::at(add_workdays(self.cases[index].accept.day(), 1), 9 * HOUR);
        let to = days.map(|days| Moment::at(add_workdays(from.day(), days), 8 * HOUR + HOUR / 2));
        Some(Wait { kind, from, to })
    }

    /// What was paid for a case.
    pub(crate) fn charge_of(&self, index: usize) -> Option<Charge> {
        let case = &self.cases[index];
        let item = self.item_of(case);
        let finish = case.finish.filter(|_| case.status == Status::Granted)?;
        let owed = if item.has_fee() { item.fee() } else { 0 };
        let yuan = match self.lapses.get(&index) {
            Some(Lapse::NeedlessFee) => NEEDLESS_FEE,
            Some(Lapse::Overcharged) => owed + SURCHARGE,
            _ => owed,
        };
        (yuan > 0).then(|| Charge { yuan, at: case.accept.plus(240).min(finish) })
    }

    /// When a case was finished by its result's row.
    pub(crate) fn dated_finish(&self, index: usize) -> Option<Moment> {
        let case = &self.cases[index];
        let finish = case.finish?;
        Some(match self.lapses.get(&index) {
            Some(Lapse::ResultFirst) => case.accept.plus(-7200),
            Some(Lapse::Ahead) => Moment::at(case.promise.day(), 17 * HOUR),
            _ => finish,
        })
    }

    /// The steps of a case of a promised item, as far as the platform reports them.
    pub(crate) fn steps_of(&self, index: usize) -> Vec<Step> {
        let case = &self.cases[index];
        let item = self.item_of(case);
        let has_steps = case.accept.day() >= day_of(FIRST_DAY_OF_STEPS);
        if item.project_type != 2 || !has_steps || !case.counts() {
            return Vec::new();
        }
        let jitter = i64::try_from(index % 600).unwrap_or(0);
        let taken = case.accept.plus(60 + jitter);
        let after = |days: u32, hour: u32| {
            Moment::at(add_workdays(case.accept.day(), days), hour * HOUR).plus(jitter)
        };
        let lapse = self.lapses.get(&index);
        let finish = case.finish.filter(|_| case.status.city_code().is_some());
        let mut start = case.accept;
        let ends = match finish {
            Some(finish) if lapse == Some(&Lapse::Backfilled) => {
                start = finish.plus(-ENTERED_WITHIN);
                [-30, -20, -10, 0].map(|seconds| finish.plus(seconds)).to_vec()
            }
            Some(finish) => {
                let days = workdays_between(case.accept.day(), finish.day());
                let days = u32::try_from(days).unwrap_or(0);
                let judging = match lapse {
                    Some(Lapse::SlowStep) => SLOW_STEP,
                    _ => days * 6 / 10,
                };
                let judged = after(judging, 9).max(taken.plus(600)).min(finish.plus(-900));
                let decided = after(days * 85 / 100, 10).max(judged.plus(300));
                let last = match lapse {
                    Some(Lapse::StepLast) => finish.plus(3 * i64::from(HOUR)),
                    _ => finish,
                };
                vec![taken, judged, decided.min(finish.plus(-300)), last]
            }
            None => {
                let judged = after(item.promise_days * 6 / 10, 11).max(taken.plus(1200));
                [taken, judged].into_iter().filter(|end| *end < now()).collect()
            }
        };
        let mut steps = Vec::with_capacity(EVENTS.len());
        for (number, event) in EVENTS.into_iter().enumerate() {
            let end = ends.get(number).copied();
            let written = end.unwrap_or(start).plus(20 + jitter / 4).min(now());
            steps.push(Step { event, start, end: end.unwrap_or(start), written });
            // What is not over has no step after it.
            let Some(end) = end else { break };
            start = end;
        }
        steps
    }
}

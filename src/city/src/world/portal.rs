//! Who registered at the city's portal, and how often it was visited.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::applicants::Applicant;
use super::items::scaled;
use super::moment::{Moment, day_of, is_workday};
use super::rhythm::{allot, now, time_of};
use crate::seed::{chance, generator};

/// Accounts of 2018 that are in use; the report says 11万余.
const NEW: f64 = 115_326.0;
/// Those from before 2018.
const OLDER: f64 = 7_904.0;
/// Accounts that were given up again, most of them of 2018.
const CANCELLED: f64 = 1_418.0;
/// Second accounts of the same person.
const DUPLICATES: f64 = 263.0;
/// The share of persons among those who register.
const PERSONS: f64 = 0.9;
/// Visits of the eleven complete months; the report says about 5万 a month.
const VISITS: f64 = 11.0 * 50_271.0;
/// Visits of a day of December.
const LAST_VISITS: f64 = 2_640.0;
/// The share of a working day's visits that a day off has.
const DAY_OFF: f64 = 0.45;
/// The share of visits that come from phones.
const MOBILE: f64 = 0.38;

/// One account.
#[derive(Debug)]
pub(crate) struct Account {
    /// Its owner, by index.
    pub(crate) applicant: usize,
    pub(crate) registered: Moment,
    pub(crate) cancelled: Option<Moment>,
    /// Its owner has an older one.
    pub(crate) is_duplicate: bool,
}

/// The visits of one day.
#[derive(Debug)]
pub(crate) struct Visits {
    pub(crate) day: u32,
    pub(crate) web: u64,
    pub(crate) mobile: u64,
}

/// The portal in truth.
#[derive(Debug)]
pub(crate) struct Portal {
    /// In the order in which they were registered.
    pub(crate) accounts: Vec<Account>,
    pub(crate) visits: Vec<Visits>,
}

impl Portal {
    /// Accounts of persons and of organisations that were in use at the end of `day`.
    pub(crate) fn in_use_on(&self, day: u32, applicants: &[Applicant]) -> (u64, u64) {
        let is_there = |account: &&Account| {
            !account.is_duplicate
                && account.registered.day() <= day
                && account.cancelled.is_none_or(|cancelled| cancelled.day() > day)
        };
        let (mut persons, mut organisations) = (0, 0);
        for account in self.accounts.iter().filter(is_there) {
            if applicants[account.applicant].is_person {
                persons += 1;
            } else {
                organisations += 1;
            }
        }
        (persons, organisations)
    }

    /// New accounts of 2018 that are in use.
    pub(crate) fn new_in_2018(&self) -> u64 {
        let first = day_of("2018-01-01");
        let is_new = |account: &&Account| {
            !account.is_duplicate
                && account.cancelled.is_none()
                && account.registered.day() >= first
        };
        self.accounts.iter().filter(is_new).count() as u64
    }

    /// Visits from the first of `from` to the last of `to`, by days.
    pub(crate) fn visits_between(&self, from: u32, to: u32) -> u64 {
        let days = self.visits.iter().filter(|visits| (from..=to).contains(&visits.day));
        days.map(|visits| visits.web + visits.mobile).sum()
    }
}

/// The last day of which visits are known.
pub(crate) fn last_visited_day() -> u32 {
    day_of("2018-12-12")
}

/// The portal of the city of `seed`, whose users are among `applicants`.
pub(super) fn portal(seed: u64, scale: f64, applicants: &[Applicant]) -> Portal {
    Portal { accounts: accounts(seed, scale, applicants), visits: visits(seed, scale) }
}

fn accounts(seed: u64, scale: f64, applicants: &[Applicant]) -> Vec<Account> {
    let mut rng = generator(seed, "portal accounts");
    // Who registers is checked first, so no number is wrong.
    let mut kinds: [Vec<usize>; 2] = [true, false].map(|is_person| {
        let of_kind = |index: &usize| {
            applicants[*index].is_valid && applicants[*index].is_person == is_person
        };
        (0..applicants.len()).filter(of_kind).collect()
    });
    for owners in &mut kinds {
        owners.shuffle(&mut rng);
    }
    let mut draw = |rng: &mut StdRng| {
        let kind = usize::from(!chance(rng, PERSONS));
        kinds[kind].pop().or_else(|| kinds[1 - kind].pop()).unwrap_or_default()
    };
    let mut accounts = Vec::new();
    let mut add = |applicant, registered, cancelled, is_duplicate| {
        accounts.push(Account { applicant, registered, cancelled, is_duplicate });
    };
    for _ in 0..scaled(OLDER, scale) {
        add(draw(&mut rng), in_2017(&mut rng), None, false);
    }
    for number in 0..scaled(NEW, scale) {
        let owner = draw(&mut rng);
        let registered = in_2018(&mut rng);
        add(owner, registered, None, false);
        // The first ones of the list, which are of any day, have a second account.
        if number < scaled(DUPLICATES, scale).max(2) {
            let later = registered.plus(rng.random_range(3_600..5_000_000));
            add(owner, later.min(now().plus(-30)).max(registered.plus(1)), None, true);
        }
    }
    for number in 0..scaled(CANCELLED, scale).max(3) {
        let is_older = number % 3 == 0;
        let registered = if is_older { in_2017(&mut rng) } else { in_2018(&mut rng) };
        let cancelled = registered.plus(rng.random_range(60..8_000_000)).min(now().plus(-20));
        add(draw(&mut rng), registered, Some(cancelled.max(registered.plus(1))), false);
    }
    accounts.sort_by_key(|account| (account.registered, account.applicant));
    accounts
}

fn in_2017(rng: &mut StdRng) -> Moment {
    let day = rng.random_range(day_of("2017-10-25")..=day_of("2017-12-31"));
    time_of(rng, day)
}

/// More towards the end of the year.
fn in_2018(rng: &mut StdRng) -> Moment {
    let days = day_of("2018-01-01")..=day_of("2018-12-13");
    let day = rng.random_range(days.clone()).max(rng.random_range(days));
    time_of(rng, day).min(now().plus(-60))
}

fn visits(seed: u64, scale: f64) -> Vec<Visits> {
    let mut rng = generator(seed, "portal visits");
    let (first, last) = (day_of("2018-01-01"), day_of("2018-11-30"));
    let length = f64::from(last - first);
    let mut weight = |day: u32, trend: f64| {
        let rhythm = if is_workday(day) { 1.0 } else { DAY_OFF };
        trend * rhythm * rng.random_range(0.9..1.1)
    };
    let grown: Vec<f64> = (first..=last)
        .map(|day| weight(day, 0.4 + 1.2 * f64::from(day - first) / length))
        .collect();
    let december: Vec<f64> = (last + 1..=last_visited_day()).map(|day| weight(day, 1.0)).collect();
    #[allow(clippy::cast_precision_loss)] // a dozen days
    let in_december = scaled(LAST_VISITS * december.len() as f64, scale);
    let counts = allot(scaled(VISITS, scale), &grown);
    let counts = counts.into_iter().chain(allot(in_december, &december));
    let day = |(day, count): (u32, u64)| {
        #[allow(clippy::cast_precision_loss)] // visits of a day
        let mobile = scaled(count as f64, MOBILE);
        Visits { day, web: count - mobile, mobile }
    };
    (first..).zip(counts).map(day).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_the_complete_months_is_that_of_the_report() {
        let visits = visits(3, 1.0);
        assert_eq!(visits.len(), 346);
        let portal = Portal { accounts: Vec::new(), visits };
        let total = portal.visits_between(day_of("2018-01-01"), day_of("2018-11-30"));
        assert_eq!(total, 11 * 50_271);
        let all = portal.visits_between(0, last_visited_day());
        assert!(all > total + 20_000 && all < total + 50_000, "{all}");
    }
}

//! The 16 cities of the province as its statistics see them: our own, and others around its ranks.
//!
//! Populations are from memory and not checked; numbers of legal persons and all that the other
//! cities do are made up.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::World;
use super::items::{as_float, scaled};
use super::moment::day_of;
use super::portal::last_visited_day;
use super::rhythm::allot;
use crate::seed::generator;

const CITIES: &str = include_str!("../../facts/cities.csv");
/// Our own.
const OWN: &str = "340500";
/// The ranks of the report: persons and organisations registered, visits, users of the app.
const RANKS: [usize; 4] = [5, 8, 4, 2];
/// Active users of the app in the eleven complete months, in our city.
const APP_USERS: f64 = 11.0 * 21_480.0;
/// What the month that is not over has of them.
const LAST_APP_USERS: f64 = 0.035;
/// The months of which the app tells; the last one is not over.
pub(crate) const MONTHS: [&str; 12] = [
    "2018-01", "2018-02", "2018-03", "2018-04", "2018-05", "2018-06", "2018-07", "2018-08",
    "2018-09", "2018-10", "2018-11", "2018-12",
];

/// A city in the province's statistics.
#[derive(Debug)]
pub(crate) struct City {
    pub(crate) code: &'static str,
    pub(crate) name: &'static str,
    pub(crate) population: u64,
    pub(crate) legal_persons: u64,
}

/// What a city had on one day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) persons: u64,
    pub(crate) organisations: u64,
    pub(crate) visits: u64,
}

/// The cities with a code, a name and two numbers.
pub(crate) fn cities() -> Vec<City> {
    let city = |line: &'static str| {
        let mut fields = line.split(',');
        Some(City {
            code: fields.next()?,
            name: fields.next()?,
            population: fields.next()?.parse().ok()?,
            legal_persons: fields.next()?.parse().ok()?,
        })
    };
    CITIES.lines().skip(1).filter_map(city).collect()
}

/// The days on which the province published its statistics.
pub(crate) fn published_days() -> [u32; 2] {
    [day_of("2018-11-30"), last_visited_day()]
}

/// What every city had on the days of publication.
pub(crate) fn standings(world: &World) -> Vec<(u32, Vec<Standing>)> {
    let cities = cities();
    let people: Vec<u64> = cities.iter().map(|city| city.population).collect();
    let legal: Vec<u64> = cities.iter().map(|city| city.legal_persons).collect();
    let day = |day: u32| {
        let (persons, organisations) = world.portal.in_use_on(day, &world.applicants);
        let visits = world.portal.visits_between(day_of("2018-01-01"), day);
        // The same generators for both days: the other cities grow as ours does.
        let values = |purpose: &str, bases: &[u64], own: u64, rank: usize| {
            ranked(&mut generator(world.seed, purpose), &cities, bases, own, rank)
        };
        let persons = values("registered persons", &people, persons, RANKS[0]);
        let organisations = values("registered organisations", &legal, organisations, RANKS[1]);
        let visits = values("visits", &people, visits, RANKS[2]);
        let standing = |city: usize| Standing {
            persons: persons[city],
            organisations: organisations[city],
            visits: visits[city],
        };
        (day, (0..cities.len()).map(standing).collect())
    };
    published_days().map(day).into()
}

/// Active users of the app of every city, by month.
pub(crate) fn app_users(world: &World) -> Vec<Vec<u64>> {
    let cities = cities();
    let people: Vec<u64> = cities.iter().map(|city| city.population).collect();
    let mut rng = generator(world.seed, "app users");
    let own = scaled(APP_USERS, world.scale);
    let totals = ranked(&mut rng, &cities, &people, own, RANKS[3]);
    let months = |total: u64| {
        let weights: Vec<f64> = (0..MONTHS.len() - 1)
            .map(|month| 0.5 + 0.1 * as_float(month as u64) * rng.random_range(0.9..1.1))
            .collect();
        let mut months = allot(total, &weights);
        months.push(scaled(as_float(total), LAST_APP_USERS));
        months
    };
    totals.into_iter().map(months).collect()
}

/// Values by which our city, with `own`, has `rank` when they are divided by `bases`.
fn ranked(rng: &mut StdRng, cities: &[City], bases: &[u64], own: u64, rank: usize) -> Vec<u64> {
    let ours = cities.iter().position(|city| city.code == OWN).unwrap_or_default();
    let mut others: Vec<usize> = (0..cities.len()).filter(|city| *city != ours).collect();
    others.shuffle(rng);
    let mut values = vec![own; cities.len()];
    for (place, city) in others.into_iter().enumerate() {
        let factor = if place + 1 < rank {
            rng.random_range(1.06..1.6)
        } else {
            rng.random_range(0.35..0.94)
        };
        let like_ours = as_float(own) * as_float(bases[city]) / as_float(bases[ours]);
        values[city] = scaled(like_ours, factor);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_city_has_its_rank_whatever_the_numbers() {
        let cities = cities();
        assert_eq!(cities.len(), 16);
        let people: Vec<u64> = cities.iter().map(|city| city.population).collect();
        let ours = cities.iter().position(|city| city.code == OWN).unwrap();
        for (seed, own, rank) in [(1, 2_300, 5), (2, 115_000, 8), (3, 9_000_000, 2), (4, 77, 16)] {
            let values = ranked(&mut generator(seed, "test"), &cities, &people, own, rank);
            let is_better = |city: &usize| values[*city] * people[ours] > own * people[*city];
            assert_eq!((0..16).filter(is_better).count() + 1, rank);
        }
    }
}

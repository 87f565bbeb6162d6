//! `hall/`: what the hall of the city writes down in files by month: tickets of the queue, receipts
//! of the counters, and how people rated them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use huiliu_sdk::{Error, ErrorKind, Result};
use rand::Rng;

use crate::seed::generator;
use crate::truth::{Expected, Witness};
use crate::world::{
    Level, Moment, Status, World, date_text, day_of, is_workday, now, satisfaction,
};

/// The hall's system began then.
const FIRST_DAY: &str = "2018-09-03";
/// Every so many tickets are of people who left, or only asked.
const WITHOUT_CASE_EVERY: u32 = 9;
/// Planted of each kind.
const OUTSIDE: u32 = 4;
const WITHOUT_TICKET: usize = 3;
const OTHER_RATING: usize = 3;

const TICKETS: &str = "票号,大厅,窗口类别,取号时间,叫号时间,状态";
const RECEIPTS: &str = "回执号,票号,办件编号,窗口,收件时间";
const RATINGS: &str = "评价号,办件编号,满意度,评价时间";

/// Lines by month.
#[derive(Default)]
struct Files {
    months: BTreeMap<String, Vec<String>>,
}

impl Files {
    fn add(&mut self, moment: Moment, line: String) {
        let month = date_text(moment.day())[..7].replace('-', "");
        self.months.entry(month).or_default().push(line);
    }

    /// Writes a file for each month, and says how many lines there are.
    fn write(self, folder: &Path, name: &str, header: &str) -> Result<u64> {
        let mut count = 0;
        for (month, lines) in self.months {
            count += lines.len() as u64;
            let text = format!("{header}\r\n{}\r\n", lines.join("\r\n"));
            let path = folder.join(format!("{name}_{month}.csv"));
            fs::write(&path, text).map_err(failed)?;
        }
        Ok(count)
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Internal, "E-CITY-STORE", "could not write the hall's files").cause(error)
}

/// Writes the files into `folder`.
pub(crate) fn write(folder: &Path, world: &World) -> Result<Witness> {
    fs::create_dir_all(folder).map_err(failed)?;
    let mut rng = generator(world.seed, "hall");
    let first = day_of(FIRST_DAY);
    let (mut tickets, mut receipts, mut ratings) =
        (Files::default(), Files::default(), Files::default());
    let mut ticket = 0_u32;
    let mut receipt = 0_u32;
    let (mut without_ticket, mut other_rating) = (Vec::new(), Vec::new());
    let (mut rated, mut pleased) = (0_i64, 0_i64);
    for (index, case) in world.cases.iter().enumerate() {
        let is_of_the_hall = !case.is_online
            && case.accept.day() >= first
            && is_workday(case.accept.day())
            && world.unit_of(world.item_of(case)).level == Level::City;
        if !is_of_the_hall || !case.is_readable_in_city() || case.status == Status::Deleted {
            continue;
        }
        ticket += 1;
        if ticket.is_multiple_of(WITHOUT_CASE_EVERY) {
            let left = case.accept.plus(-rng.random_range(60..600));
            let state = if ticket.is_multiple_of(2) { "过号" } else { "咨询" };
            tickets.add(left, line_of_ticket(ticket, left, None, state));
            ticket += 1;
        }
        let called = case.accept.plus(-rng.random_range(60..900));
        let taken = called.plus(-rng.random_range(30..2400));
        receipt += 1;
        let number = format!("SJ{receipt:07}");
        let is_lost = without_ticket.len() < WITHOUT_TICKET && receipt % 7 == 3;
        if is_lost {
            without_ticket.push(number.clone());
        } else {
            tickets.add(taken, line_of_ticket(ticket, taken, Some(called), "已办理"));
        }
        receipts.add(
            case.accept,
            line_of_receipt(&number, ticket, &world.number_of(case), case.accept),
        );
        let (Some(rating), Some(finish)) = (satisfaction(index, case), case.finish) else {
            continue;
        };
        let is_other = other_rating.len() < OTHER_RATING && receipt % 3 == 1;
        let shown = if is_other { "2" } else { rating };
        rated += 1;
        pleased += i64::from(matches!(shown, "4" | "5"));
        let project = world.number_of(case);
        if is_other {
            other_rating.push(project.clone());
        }
        let at = finish.plus(60).min(now());
        ratings.add(at, format!("PJ{rated:07},{project},{shown},{}", at.text()));
    }
    let mut outside = Vec::new();
    for number in 1..=OUTSIDE {
        let at = Moment::at(day_of("2018-11-07") + number, 10 * 3600);
        ticket += 1;
        receipt += 1;
        tickets.add(at, line_of_ticket(ticket, at.plus(-900), Some(at.plus(-60)), "已办理"));
        let key = format!("SJ{receipt:07}");
        receipts.add(
            at,
            line_of_receipt(&key, ticket, &format!("34050020181107{:06}", 900_000 + number), at),
        );
        outside.push(key);
    }
    let rows = vec![
        ("hall.tickets".to_owned(), tickets.write(folder, "tickets", TICKETS)?),
        ("hall.receipts".to_owned(), receipts.write(folder, "receipts", RECEIPTS)?),
        ("hall.evaluations".to_owned(), ratings.write(folder, "evaluations", RATINGS)?),
    ];
    let figures =
        vec![("satisfaction_ratio", Expected::Ratio { numerator: pleased, denominator: rated })];
    let planted = vec![
        ("hall_outside_platform", outside),
        ("hall_without_ticket", without_ticket),
        ("hall_other_rating", other_rating),
    ];
    Ok(Witness { rows, figures, planted })
}

fn line_of_ticket(number: u32, taken: Moment, called: Option<Moment>, state: &str) -> String {
    let called = called.map(Moment::text).unwrap_or_default();
    let kind = ["综合受理", "不动产登记", "企业服务"][(number % 3) as usize];
    format!("A{number:07},市政务服务大厅,{kind},{},{called},{state}", taken.text())
}

fn line_of_receipt(number: &str, ticket: u32, project: &str, at: Moment) -> String {
    format!("{number},A{ticket:07},{project},{}号,{}", ticket % 46 + 1, at.text())
}

//! How each stream stands against what it used to bring.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use huiliu_core::config::Stage;
use huiliu_core::expectation::{Pauses, Volume, WorkingHours, freshness, volume};
use huiliu_sdk::Result;
use serde::Serialize;

use crate::hub::Hub;
use crate::jobs::{parse_time, second};

/// How far back is looked for what is usual.
const LOOK_BACK: TimeDelta = TimeDelta::days(60);
/// With how many working days the last one is compared.
const COMPARED_DAYS: usize = 20;

/// How a stream stands.
#[derive(Debug, Clone, Serialize)]
pub struct StreamWatch {
    /// The stream, as `system.stream`.
    pub stream: String,
    /// Whether its new rows are late or missing.
    #[serde(flatten)]
    pub pauses: Pauses,
    /// When it last brought something, UTC.
    pub last_news: Option<String>,
    /// How many rows it brought on the last whole working day.
    pub rows: u64,
    /// That day.
    pub day: Option<String>,
    /// Whether that is about as many as usual.
    pub volume: Volume,
    /// The fewest and the most on the working days before.
    pub usual: Option<(u64, u64)>,
    /// Why it cannot be judged, such as days that the calendar does not know: code.
    pub unjudged: Option<String>,
}

impl StreamWatch {
    /// Whether nothing came after `time`, UTC.
    pub(super) fn brought_nothing_since(&self, time: &str) -> bool {
        let last = self.last_news.as_deref().and_then(parse_time);
        last.is_none_or(|last| parse_time(time).is_none_or(|time| last <= time))
    }
}

/// What one stream brought, oldest first: by hours, each from its first news to its last.
type News = Vec<(DateTime<Utc>, DateTime<Utc>, u64)>;

impl Hub {
    /// The streams that jobs read or that are expected by name, as they stand.
    pub async fn stream_watches(&self) -> Result<Vec<StreamWatch>> {
        let config = &self.project.alerts.config;
        let (from, to) = config.hours().unwrap_or((NaiveTime::MIN, NaiveTime::MIN));
        let calendar = &self.project.calendar;
        let hours = WorkingHours { calendar, zone: self.project.zone, from, to };
        let now = self.clock.now();
        let mut news: BTreeMap<String, News> = BTreeMap::new();
        let since = second(now - LOOK_BACK);
        for brought in self.lake().store().news_since(&since).await? {
            let times = parse_time(&brought.first).zip(parse_time(&brought.last));
            let Some((first, last)) = times else { continue };
            let rows = u64::try_from(brought.rows).unwrap_or(0);
            news.entry(brought.stream).or_default().push((first, last, rows));
        }
        let read = self.streams_of_jobs()?;
        let none = News::new();
        let mut watches = Vec::new();
        for (id, system) in &self.project.systems {
            if system.config.stage == Stage::Survey {
                continue;
            }
            for (settings, _) in &system.config.streams {
                let stream = format!("{id}.{}", settings.name);
                let expected = config.streams.iter().find(|expected| expected.fits(&stream));
                if !expected.map_or(read.contains(&stream), |expected| expected.watched) {
                    continue;
                }
                let news = news.get(&stream).unwrap_or(&none);
                let fresh = expected.and_then(|expected| expected.fresh());
                let fresh = fresh.and_then(|fresh| TimeDelta::from_std(fresh).ok());
                let mut watch = StreamWatch {
                    stream,
                    pauses: Pauses::UNKNOWN,
                    last_news: news.last().map(|(_, at, _)| second(*at)),
                    rows: 0,
                    day: None,
                    volume: Volume::Unknown,
                    usual: None,
                    unjudged: None,
                };
                // What is not known of one stream says nothing about the others.
                if let Err(error) = judge(&mut watch, news, now, fresh, &hours) {
                    watch.unjudged = Some(error.code().to_owned());
                }
                watches.push(watch);
            }
        }
        Ok(watches)
    }

    fn streams_of_jobs(&self) -> Result<BTreeSet<String>> {
        let mut read = BTreeSet::new();
        for job in &self.project.jobs.jobs {
            if job.run.trim() != crate::maintain::SELECTOR {
                let nodes = self.project.graph.select(&job.run)?;
                read.extend(nodes.into_iter().map(|node| node.name.clone()));
            }
        }
        Ok(read)
    }

    pub(super) fn missing_text(&self, watched: &StreamWatch) -> String {
        let hours = |seconds: Option<i64>| format!("{:.1}", seconds.unwrap_or(0) as f64 / 3600.0);
        let (pause, usual) = (hours(watched.pauses.seconds), hours(watched.pauses.missing_after));
        self.say(
            format!("已 {pause} 个工作小时没有新数据，以往最多 {usual} 小时"),
            format!("no new rows for {pause} working hours, so far never more than {usual}"),
        )
    }

    pub(super) fn volume_text(&self, watched: &StreamWatch) -> String {
        let day = watched.day.clone().unwrap_or_default();
        let (least, most) = watched.usual.unwrap_or_default();
        let rows = watched.rows;
        self.say(
            format!("{day} 新增 {rows} 行，此前各工作日为 {least} 至 {most} 行"),
            format!("{rows} new rows on {day}, {least} to {most} on the working days before"),
        )
    }
}

/// Says how a stream stands by what it brought.
fn judge(
    watch: &mut StreamWatch,
    news: &News,
    now: DateTime<Utc>,
    fresh: Option<TimeDelta>,
    hours: &WorkingHours<'_>,
) -> Result<()> {
    let mut times: Vec<DateTime<Utc>> =
        news.iter().flat_map(|(first, last, _)| [*first, *last]).collect();
    times.dedup();
    watch.pauses = freshness(&times, now, fresh, hours)?;
    judge_volume(watch, news, now, hours)
}

/// Says how many rows the last whole working day brought, and whether that is usual.
fn judge_volume(
    watch: &mut StreamWatch,
    news: &News,
    now: DateTime<Utc>,
    hours: &WorkingHours<'_>,
) -> Result<()> {
    let day_of = |at: DateTime<Utc>| at.with_timezone(&hours.zone).date_naive();
    // What a stream brings first is its past, and no day's work.
    let Some(first) = news.first().map(|(at, ..)| day_of(*at)) else { return Ok(()) };
    let mut rows: BTreeMap<NaiveDate, u64> = BTreeMap::new();
    for (_, at, count) in news {
        *rows.entry(day_of(*at)).or_default() += count;
    }
    let mut days: Vec<(NaiveDate, u64)> = Vec::new();
    let mut day = day_of(now);
    while days.len() <= COMPARED_DAYS {
        let Some(before) = day.checked_sub_days(Days::new(1)).filter(|day| *day > first) else {
            break;
        };
        day = before;
        if hours.calendar.is_workday(day)? {
            let count = rows.get(&day).copied().unwrap_or(0);
            // A stream that has stopped is compared with what it brought before it did.
            if count > 0 || days.len() != 1 || days[0].1 > 0 {
                days.push((day, count));
            }
        }
    }
    let Some(((last, count), before)) = days.split_first() else { return Ok(()) };
    let before: Vec<u64> = before.iter().map(|(_, count)| *count).collect();
    watch.rows = *count;
    watch.day = Some(last.to_string());
    watch.volume = volume(*count, &before);
    watch.usual = before.iter().min().copied().zip(before.iter().max().copied());
    Ok(())
}

//! The figures of the page: as stored, with how they stood at the end of each earlier day.

use chrono::NaiveDate;
use huiliu_core::model::{Metric, Unit};
use huiliu_engine::{Figure, Ratio};
use huiliu_page as page;
use huiliu_sdk::Result;

use super::moment::Today;
use crate::hub::Hub;

/// How many days a trend goes back.
const TREND_DAYS: u64 = 30;

/// The stored figures at the end of a day.
struct DayEnd {
    day: NaiveDate,
    figures: Vec<Figure>,
}

impl Hub {
    pub(super) async fn daily_figures(&self, today: &Today<'_>) -> Result<Vec<page::Figure>> {
        let now = DayEnd { day: today.day(), figures: self.engine.stored_figures(None).await? };
        let earlier = self.day_ends(today).await?;
        let mut metrics: Vec<&Metric> = self.engine.pipelines().metrics.values().collect();
        metrics.sort_by_key(|metric| (metric.order.is_none(), metric.order, &metric.key));
        let day = today.day().to_string();
        Ok(metrics.into_iter().map(|metric| figure(metric, &day, &now, &earlier)).collect())
    }

    /// The figures at the end of each of the last days that a kept snapshot tells of, oldest first.
    async fn day_ends(&self, today: &Today<'_>) -> Result<Vec<DayEnd>> {
        let mut ends: Vec<DayEnd> = Vec::new();
        let mut read: Option<(i64, Vec<Figure>)> = None;
        for day in (1..=TREND_DAYS).rev().filter_map(|ago| today.days_ago(ago)) {
            let Some(end) = today.end_of(day) else { continue };
            let Some(snapshot) = self.lake().snapshot_before(end).await? else { continue };
            let figures = match read.take().filter(|(same, _)| *same == snapshot) {
                Some((_, figures)) => figures,
                None => match self.engine.stored_figures(Some(snapshot)).await {
                    // Maintenance in another process was faster.
                    Err(error) if error.code() == "E-SNAPSHOT-GONE" => continue,
                    figures => figures?,
                },
            };
            ends.push(DayEnd { day, figures: figures.clone() });
            read = Some((snapshot, figures));
        }
        Ok(ends)
    }
}

impl DayEnd {
    fn of(&self, key: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.key == key)
    }

    fn point(&self, key: &str) -> Option<page::Point> {
        let figure = self.of(key)?;
        let text = figure.value.clone()?;
        let scale = if figure.unit == Unit::Percent { 100.0 } else { 1.0 };
        let height = figure.numerator as f64 * scale / figure.denominator.unwrap_or(1) as f64;
        Some(page::Point { day: self.day.to_string(), text, height })
    }
}

fn figure(metric: &Metric, day: &str, now: &DayEnd, earlier: &[DayEnd]) -> page::Figure {
    let key = &metric.key;
    let Some(figure) = now.of(key) else {
        let definition = metric.definition_on(day);
        return page::Figure {
            key: key.clone(),
            title: metric.title.clone(),
            is_percent: metric.unit == Unit::Percent,
            definition: definition.map(|d| d.text.clone()).unwrap_or_default(),
            valid_from: definition.map(|d| d.valid_from.clone()).unwrap_or_default(),
            owner: metric.owner.clone(),
            ..page::Figure::default()
        };
    };
    let before = earlier.iter().rev().find_map(|end| Some((end.day, end.of(key)?)));
    page::Figure {
        key: key.clone(),
        title: figure.title.clone(),
        is_percent: figure.unit == Unit::Percent,
        value: figure.value.clone(),
        numerator: Some(figure.numerator),
        denominator: figure.denominator,
        definition: figure.definition.clone(),
        valid_from: figure.valid_from.clone(),
        owner: figure.owner.clone(),
        snapshot: Some(figure.snapshot),
        change: before.and_then(|(day, before)| change(metric.digits(), day, before, figure)),
        trend: earlier.iter().chain([now]).filter_map(|end| end.point(key)).collect(),
    }
}

/// How a figure moved; none when one of the two has no value, or they are of different kinds.
fn change(digits: u8, since: NaiveDate, before: &Figure, now: &Figure) -> Option<page::Change> {
    if before.unit != now.unit {
        return None;
    }
    let ratio = |figure: &Figure| Ratio::of(figure.numerator, figure.denominator.unwrap_or(1));
    let difference = ratio(now)?.minus(ratio(before)?);
    let exact = difference.to_string();
    let sign = match exact.as_str() {
        "0" => 0,
        down if down.starts_with('-') => -1,
        _ => 1,
    };
    Some(page::Change {
        since: since.to_string(),
        sign,
        size: difference.decimal(now.unit, digits).trim_start_matches('-').to_owned(),
        before: before.value.clone(),
        is_redefined: before.definition != now.definition || before.valid_from != now.valid_from,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(key: &str, numerator: i64, denominator: Option<i64>) -> Figure {
        Figure {
            key: key.into(),
            title: "甲".into(),
            unit: if denominator.is_some() { Unit::Percent } else { Unit::Count },
            value: denominator.is_none_or(|d| d > 0).then(|| "1.00".to_owned()),
            numerator,
            denominator,
            definition: "甲 ÷ 乙".into(),
            valid_from: "2018-01-01".into(),
            owner: "中心".into(),
            snapshot: 3,
        }
    }

    fn moved(before: &Figure, now: &Figure) -> Option<(i8, String, bool)> {
        let day = "2018-12-12".parse().unwrap();
        change(2, day, before, now).map(|c| (c.sign, c.size, c.is_redefined))
    }

    #[test]
    fn a_change_is_exact_in_its_sign_and_rounded_in_its_size() {
        let ratio = |numerator, denominator| stored("a", numerator, Some(denominator));
        assert_eq!(moved(&ratio(1, 2), &ratio(2, 4)), Some((0, "0.00".into(), false)));
        assert_eq!(moved(&ratio(1, 2), &ratio(1, 3)), Some((-1, "16.67".into(), false)));
        let (before, now) = (ratio(52_336, 52_353), ratio(52_337, 52_353));
        assert_eq!(moved(&before, &now), Some((1, "0.00".into(), false)));
        assert_eq!(moved(&ratio(1, 2), &ratio(0, 0)), None);
        assert_eq!(moved(&stored("a", 5, None), &ratio(1, 2)), None);
        let mut redefined = stored("a", 7, None);
        redefined.definition = "丙".into();
        assert_eq!(moved(&stored("a", 5, None), &redefined), Some((1, "2.00".into(), true)));
    }

    #[test]
    fn a_trend_has_a_point_for_each_day_that_has_a_value() {
        let end = |day: &str, figures| DayEnd { day: day.parse().unwrap(), figures };
        let now = end("2018-12-13", vec![stored("a", 1, Some(4))]);
        let earlier = [
            end("2018-12-10", vec![]),
            end("2018-12-11", vec![stored("a", 0, Some(0))]),
            end("2018-12-12", vec![stored("a", 1, Some(2))]),
        ];
        let metric = "version = 1\ntitle = '甲'\nunit = 'percent'\nowner = '中心'\nfrom = 's.t'\n\
                      [[definition]]\nvalid_from = '2018-01-01'\ntext = '甲 ÷ 乙'\nnumerator = 'a'";
        let metric = Metric::parse("a.toml".as_ref(), metric).unwrap();
        let shown = figure(&metric, "2018-12-13", &now, &earlier);
        let heights: Vec<f64> = shown.trend.iter().map(|point| point.height).collect();
        assert_eq!(heights, [50.0, 25.0]);
        let change = shown.change.unwrap();
        assert_eq!((change.since.as_str(), change.sign), ("2018-12-12", -1));
        let never = figure(&metric, "2018-12-13", &end("2018-12-13", vec![]), &[]);
        assert_eq!((never.value, never.numerator, never.title.as_str()), (None, None, "甲"));
    }
}

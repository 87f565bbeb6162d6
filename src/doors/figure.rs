//! Figures.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use huiliu_core::access::Limits;
use huiliu_core::model::Metric;
use huiliu_engine::{Ratio, Viewer};
use huiliu_sdk::Result;
use huiliu_serve::data::{
    Breakdown, Change, ChangeStep, Cursor, DefinitionVersion, Figure, FigurePoint, Group,
    MetricDetail, Page, PageQuery, Part, Table,
};
use huiliu_serve::sql::table_of;
use tokio::sync::Mutex;

use super::{Doors, wrong};

/// Figures with their trends, kept because they are read from many snapshots.
#[derive(Default)]
pub(super) struct Trends {
    known: Mutex<Option<Known>>,
}

/// Figures as of one snapshot and day.
struct Known {
    snapshot: i64,
    day: String,
    figures: Arc<Vec<Figure>>,
}

impl Doors {
    pub(super) async fn all_figures(&self) -> Result<Vec<Figure>> {
        let mut figures = self.trends().await?.as_ref().clone();
        for figure in &mut figures {
            figure.held_back_by = self.held_back(&figure.key).await?;
        }
        Ok(figures)
    }

    async fn held_back(&self, key: &str) -> Result<Vec<String>> {
        let verdicts = self.hub.held_back(key).await?;
        Ok(verdicts.into_iter().map(|verdict| verdict.audit).collect())
    }

    async fn trends(&self) -> Result<Arc<Vec<Figure>>> {
        let mut known = self.trends.known.lock().await;
        let (snapshot, day) = (self.hub.lake().latest_snapshot().await?, self.hub.today());
        if let Some(known) = known.as_ref()
            && (known.snapshot, &known.day) == (snapshot, &day)
        {
            return Ok(Arc::clone(&known.figures));
        }
        let pages = self.hub.figures_with_trends().await?;
        let figures: Vec<Figure> = pages.into_iter().map(|page| self.figure(page)).collect();
        let figures = Arc::new(figures);
        *known = Some(Known { snapshot, day, figures: Arc::clone(&figures) });
        Ok(figures)
    }

    fn figure(&self, page: huiliu_page::Figure) -> Figure {
        let unit = self.hub.metric(&page.key).map(|metric| metric.unit.as_str().to_owned());
        let change = page.change.map(|change| match change.sign {
            0 => change.size,
            down if down < 0 => format!("-{}", change.size),
            _ => format!("+{}", change.size),
        });
        let points = page.trend.into_iter().map(|point| FigurePoint {
            day: point.day,
            text: point.text,
            height: point.height,
        });
        Figure {
            published: self.published.of(&page.key),
            unit: unit.unwrap_or_default(),
            key: page.key,
            title: page.title,
            value: page.value,
            numerator: page.numerator,
            denominator: page.denominator,
            definition: page.definition,
            valid_from: page.valid_from,
            owner: page.owner,
            snapshot: page.snapshot,
            change,
            trend: points.collect(),
            held_back_by: Vec::new(),
        }
    }

    pub(super) async fn one_metric(&self, key: &str) -> Result<MetricDetail> {
        let metric = self.hub.metric(key)?;
        let found = self.trends().await?.iter().find(|figure| figure.key == key).cloned();
        let mut figure =
            found.ok_or_else(|| huiliu_sdk::Error::internal("a metric has no figure"))?;
        figure.held_back_by = self.held_back(key).await?;
        let version = |definition: &huiliu_core::model::Definition| DefinitionVersion {
            valid_from: definition.valid_from.clone(),
            text: definition.text.clone(),
            denominator: definition.denominator.clone(),
            numerator: definition.numerator.clone(),
            distinct: definition.distinct.clone(),
            measure: definition.measure.clone(),
            weight: definition.weight.clone(),
        };
        Ok(MetricDetail {
            figure,
            from: metric.from.clone(),
            definitions: metric.definition.iter().map(version).collect(),
            dimensions: metric.dimensions.keys().cloned().collect(),
            is_ratio: metric.unit.is_ratio(),
        })
    }

    pub(super) async fn broken_down(&self, key: &str, by: &[String]) -> Result<Breakdown> {
        let metric = self.hub.metric(key)?;
        let session = self.hub.engine.session(None).await?;
        let found = session.breakdown(metric, &self.hub.today(), by).await?;
        let group = |group: huiliu_engine::Group| Group {
            of: group.of,
            value: group.value,
            numerator: group.numerator,
            denominator: group.denominator,
        };
        Ok(Breakdown {
            key: key.to_owned(),
            by: found.by,
            groups: found.groups.into_iter().map(group).collect(),
            snapshot: session.snapshot(),
        })
    }

    pub(super) async fn moved(&self, key: &str, from: &str, to: Option<&str>) -> Result<Change> {
        let found = self.hub.explain_figure(key, from, to).await?;
        let exact = |ratio: Option<Ratio>| ratio.map(|ratio| ratio.to_string());
        let step = |step: huiliu_engine::Step| ChangeStep {
            step: step.step.to_owned(),
            rows: step.rows,
            numerator: step.numerator,
            denominator: step.denominator,
            change: step.change,
            exact_change: exact(step.exact_change),
        };
        Ok(Change {
            key: key.to_owned(),
            from_snapshot: found.from.snapshot,
            from: found.from.value,
            from_numerator: found.from.numerator,
            from_denominator: found.from.denominator,
            to_snapshot: found.to.snapshot,
            to: found.to.value,
            to_numerator: found.to.numerator,
            to_denominator: found.to.denominator,
            change: found.change,
            exact_change: exact(found.exact_change),
            steps: found.steps.into_iter().map(step).collect(),
        })
    }

    /// The rows are found by the values themselves, among those within `limits`, and masked
    /// afterwards. Later pages are of the first one's snapshot.
    pub(super) async fn counted_rows(
        &self,
        key: &str,
        part: Part,
        page: &PageQuery,
        limits: &Limits,
    ) -> Result<Page<Table>> {
        let metric = self.hub.metric(key)?;
        let (snapshot, offset) = match &page.cursor {
            None => (None, 0),
            Some(cursor) => {
                let place = Cursor::place(cursor, 2)?;
                let mut numbers = place.iter().map(|text| text.parse::<u32>());
                match (numbers.next(), numbers.next()) {
                    (Some(Ok(snapshot)), Some(Ok(offset))) => {
                        (Some(i64::from(snapshot)), u64::from(offset))
                    }
                    _ => return Err(wrong("this is no cursor of this list", "leave it out")),
                }
            }
        };
        let limit = u64::from(page.limit());
        let session = self.hub.engine.session_within(snapshot, limits).await?;
        let viewer = Viewer { limits: limits.clone(), ..self.viewer.clone() };
        let numerator = part == Part::Numerator || !metric.unit.is_ratio();
        let found = self.page_of(&session, metric, numerator, (offset, limit + 1)).await?;
        let shown = self.hub.engine.shown(&session, &metric.from, found, &viewer).await?;
        let mut table = table_of(&shown, session.snapshot())?;
        let is_more = table.rows.len() as u64 > limit;
        table.rows.truncate(page.limit() as usize);
        table.is_cut = is_more;
        let total = match (page.cursor.is_none(), numerator) {
            (false, _) => None,
            (true, is_above) => {
                let figure = session.figure(metric, &self.hub.today()).await?;
                let count = if is_above { Some(figure.numerator) } else { figure.denominator };
                // What is weighed or counted by distinct values is no number of rows.
                let today = self.hub.today();
                let plain = metric.definition_on(&today);
                let is_plain = plain.is_some_and(|d| d.distinct.is_none() && !d.is_weighed());
                count.filter(|_| is_plain).and_then(|count| u64::try_from(count).ok())
            }
        };
        let next = is_more.then(|| {
            let place = [session.snapshot().to_string(), (offset + limit).to_string()];
            Cursor::of(&[&place[0], &place[1]])
        });
        Ok(Page { items: vec![table], next, total })
    }

    async fn page_of(
        &self,
        session: &huiliu_engine::Session,
        metric: &Metric,
        numerator: bool,
        slice: (u64, u64),
    ) -> Result<Vec<RecordBatch>> {
        let day = self.hub.today();
        self.hub.engine.figure_page(session, metric, &day, numerator, slice).await
    }
}

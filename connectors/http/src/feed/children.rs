//! One list for each record of a parent stream, several at a time, in the parents' order.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use huiliu_sdk::{Error, ErrorKind, Result};
use serde_json::Value;
use tokio::task::JoinSet;

use super::{List, Outlet, Part, Reader};
use crate::call::Values;
use crate::page::Page;
use crate::plan::StreamPlan;

/// Parents after which the read can be resumed.
const PARENTS_PER_MARK: usize = 50;

/// The lists of all parents being read.
pub(crate) struct Children {
    reader: Reader,
    parent: Arc<StreamPlan>,
    after: Option<Value>,
}

impl Children {
    pub(crate) fn new(reader: Reader, parent: Arc<StreamPlan>, after: Option<Value>) -> Self {
        Self { reader, parent, after }
    }

    /// Reads the lists of all parents.
    pub(crate) async fn run(self, outlet: &Outlet) -> Result<()> {
        let parents = self.parents().await?;
        let at_once = self.reader.plan.parent.as_ref().map_or(1, |parent| parent.concurrency);
        // A parent that is gone since then says nothing of how far the read came.
        let after = self
            .after
            .as_ref()
            .and_then(|after| parents.iter().position(|values| written(values) == *after));
        let first = after.map_or(0, |position| position + 1);
        let mut running: JoinSet<(usize, Result<Vec<Page>>)> = JoinSet::new();
        let mut waiting: BTreeMap<usize, Vec<Page>> = BTreeMap::new();
        let mut next = first;
        for index in first..parents.len() {
            while next < parents.len() && next - index < at_once {
                let list = List::new(self.reader.clone(), parents[next].clone());
                running.spawn(async move { (next, whole(list).await) });
                next += 1;
            }
            let pages = loop {
                if let Some(pages) = waiting.remove(&index) {
                    break pages;
                }
                match running.join_next().await {
                    Some(Ok((at, pages))) => {
                        waiting.insert(at, pages?);
                    }
                    Some(Err(error)) => {
                        return Err(Error::internal("fetching a list stopped short").cause(error));
                    }
                    None => return Err(Error::internal("a parent's list was not fetched")),
                }
            };
            let values = written(&parents[index]);
            let is_marked = (index + 1) % PARENTS_PER_MARK == 0;
            let last = pages.len().saturating_sub(1);
            for (number, page) in pages.into_iter().enumerate() {
                let Some(room) = outlet.room().await else { return Ok(()) };
                let path = &self.reader.plan.path;
                room.send(Part {
                    page: page.stamped(&values),
                    origin: format!("{path} parent {} page {}", index + 1, number + 1).into(),
                    mark: (is_marked && number == last).then(|| values.clone()),
                });
            }
        }
        Ok(())
    }

    /// The values of all parents, each once.
    pub(crate) async fn parents(&self) -> Result<Vec<Values>> {
        let Some(options) = &self.reader.plan.parent else { return Ok(Vec::new()) };
        let reader = Reader {
            plan: Arc::clone(&self.parent),
            parameters: Vec::new(),
            row_limit: None,
            ..self.reader.clone()
        };
        let mut list = List::new(reader, Values::new());
        let mut known = HashSet::new();
        let mut parents = Vec::new();
        while let Some(page) = list.next().await? {
            for index in 0..page.len() {
                let record: Value = serde_json::from_str(page.record(index)).unwrap_or_default();
                let mut values = Values::new();
                for (name, place) in &options.values {
                    let value = place.text(&record).filter(|value| !value.is_empty());
                    let value = value.ok_or_else(|| missing(&page, &place.0.join("/"), index))?;
                    values.insert(name.clone(), value);
                }
                if known.insert(values.clone()) {
                    parents.push(values);
                }
            }
        }
        Ok(parents)
    }
}

/// All pages of one parent. They are few, and are held until it is the parent's turn.
async fn whole(mut list: List) -> Result<Vec<Page>> {
    let mut pages = Vec::new();
    while let Some(page) = list.next().await? {
        pages.push(page);
    }
    Ok(pages)
}

fn written(values: &Values) -> Value {
    values.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect()
}

fn missing(page: &Page, place: &str, index: usize) -> Error {
    let message = format!("{}: parent record {} has no value at /{place}", page.request, index + 1);
    Error::new(ErrorKind::Schema, "E-PARENT", message).hint("check parent.values")
}

//! What work touches: the nodes it writes and all that they are made from. Two works whose
//! footprints meet must not run side by side.

use std::collections::BTreeSet;

use huiliu_core::graph::{Graph, Node, NodeKind};

/// What all metrics are written to.
const FIGURES: &str = "metrics.figures";

/// What some work touches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Footprint {
    /// What it writes; none of what writes to everything.
    writes: Option<BTreeSet<String>>,
    /// What that is made from.
    reads: BTreeSet<String>,
}

impl Footprint {
    /// That of work on everything.
    pub(crate) fn everything() -> Self {
        Self::default()
    }

    /// That of a run of `nodes`.
    pub(crate) fn of<'a>(nodes: impl IntoIterator<Item = &'a Node>, graph: &Graph) -> Self {
        let mut writes = BTreeSet::new();
        for node in nodes {
            writes.insert(node.name.clone());
            if node.kind == NodeKind::Metric {
                writes.insert(FIGURES.to_owned());
            }
        }
        let mut reads = BTreeSet::new();
        let mut open: Vec<&str> = writes.iter().map(String::as_str).collect();
        while let Some(at) = open.pop() {
            for need in graph.needs(at) {
                if reads.insert(need.to_owned()) {
                    open.push(need);
                }
            }
        }
        Self { writes: Some(writes), reads }
    }

    /// That of work on nodes that are made from nothing.
    #[cfg(test)]
    pub(crate) fn of_names(names: &[&str]) -> Self {
        let writes = names.iter().map(|name| (*name).to_owned()).collect();
        Self { writes: Some(writes), reads: BTreeSet::new() }
    }

    /// The same work, made from these nodes.
    #[cfg(test)]
    pub(crate) fn reading(self, names: &[&str]) -> Self {
        Self { reads: names.iter().map(|name| (*name).to_owned()).collect(), ..self }
    }

    /// Whether it reads what `other` writes.
    pub(crate) fn needs(&self, other: &Self) -> bool {
        other.writes.as_ref().is_none_or(|writes| !self.reads.is_disjoint(writes))
    }

    /// Whether the two must not run side by side: they write the same, or one reads what the other
    /// writes.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let same = match (&self.writes, &other.writes) {
            (Some(own), Some(others)) => !own.is_disjoint(others),
            _ => true,
        };
        same || self.needs(other) || other.needs(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph() -> Graph {
        let node = |name: &str, kind, reads: &[&str]| {
            let reads = reads.iter().map(|name| (*name).to_owned()).collect();
            Node::new(name.into(), kind, vec![name.to_owned()], reads)
        };
        Graph::new(vec![
            node("a.cases", NodeKind::Stream, &[]),
            node("b.cases", NodeKind::Stream, &[]),
            node("standard.a", NodeKind::Model, &["a.cases"]),
            node("metrics.one", NodeKind::Metric, &["standard.a"]),
            node("metrics.two", NodeKind::Metric, &["b.cases"]),
        ])
        .unwrap()
    }

    #[test]
    fn what_writes_the_same_or_feeds_the_other_meets() {
        let graph = graph();
        let of = |selector: &str| Footprint::of(graph.select(selector).unwrap(), &graph);
        let (a, b) = (of("a.cases"), of("b.cases"));
        assert!(!a.meets(&b) && !b.meets(&a));
        assert!(a.meets(&a));
        // A metric is made from the stream, also through what lies between.
        let one = of("metrics.one");
        assert!(one.meets(&a) && a.meets(&one) && one.needs(&a) && !a.needs(&one));
        assert!(!one.meets(&b));
        // All metrics are one table.
        assert!(one.meets(&of("metrics.two")));
        assert!(Footprint::everything().meets(&a) && b.meets(&Footprint::everything()));
    }
}

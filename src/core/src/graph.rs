//! The graph of everything that can run, and selectors over it.

use std::collections::{BTreeMap, BTreeSet};

use huiliu_sdk::{Error, ErrorKind, Result};

use crate::audit::Severity;

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeKind {
    /// Reads a stream into the lake.
    Stream,
    /// Builds a model.
    Model,
    /// Compares systems record by record.
    Reconcile,
    /// Looks for rows that must not be.
    Audit(Severity),
    /// Computes a metric.
    Metric,
    /// Sends records out.
    Push,
    /// Writes a page for people.
    Report,
}

/// One thing that can run.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its name, such as `province.cases` or `standard.items`.
    pub name: String,
    /// What it does.
    pub kind: NodeKind,
    /// Tables it makes.
    pub makes: Vec<String>,
    /// Tables it reads.
    pub reads: Vec<String>,
    /// Audits of what it makes, by name.
    pub audits: Vec<String>,
    /// Whether what it makes is computed whenever it is read.
    pub is_view: bool,
    /// Whether `*` leaves it out: it is done only where it is asked for.
    pub on_request: bool,
}

impl Node {
    /// A node whose result is stored and not audited.
    pub fn new(name: String, kind: NodeKind, makes: Vec<String>, reads: Vec<String>) -> Self {
        Self { name, kind, makes, reads, audits: Vec::new(), is_view: false, on_request: false }
    }
}

/// All nodes in an order in which each comes after those it needs.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    needs: BTreeMap<String, BTreeSet<String>>,
    /// Those of `needs` that are audits.
    gates: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// Orders `nodes` by the tables they make and read. Tables nobody makes are given from
    /// outside; a circle is an error that names it.
    pub fn new(nodes: Vec<Node>) -> Result<Self> {
        let mut makers: BTreeMap<&str, &str> = BTreeMap::new();
        for node in &nodes {
            for table in &node.makes {
                if let Some(other) = makers.insert(table, &node.name) {
                    return Err(Error::new(
                        ErrorKind::Config,
                        "E-GRAPH",
                        format!("{other} and {} both make {table}", node.name),
                    )
                    .hint("rename one of them"));
                }
            }
        }
        let gates = gates(&nodes);
        let mut needs = gates.clone();
        for node in &nodes {
            let from = node.reads.iter().filter_map(|table| makers.get(table.as_str()));
            let needed = needs.entry(node.name.clone()).or_default();
            needed.extend(from.map(|name| (*name).to_owned()));
        }
        let mut ordered: Vec<Node> = Vec::with_capacity(nodes.len());
        let mut waiting: Vec<Node> = nodes;
        waiting.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        let mut done: BTreeSet<String> = BTreeSet::new();
        while !waiting.is_empty() {
            let (ready, rest): (Vec<Node>, Vec<Node>) =
                waiting.into_iter().partition(|node| needs[&node.name].is_subset(&done));
            if ready.is_empty() {
                let names: Vec<&str> = rest.iter().map(|node| node.name.as_str()).collect();
                return Err(Error::new(
                    ErrorKind::Config,
                    "E-GRAPH",
                    format!("these need each other in a circle: {}", names.join(", ")),
                )
                .hint(
                    "take one of the table names out of their SQL, or name the audit in a model \
                     further down",
                ));
            }
            done.extend(ready.iter().map(|node| node.name.clone()));
            ordered.extend(ready);
            waiting = rest;
        }
        Ok(Self { nodes: ordered, needs, gates })
    }

    /// All nodes, in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// What `name` needs directly.
    pub fn needs(&self, name: &str) -> impl Iterator<Item = &str> {
        self.needs.get(name).into_iter().flatten().map(String::as_str)
    }

    /// The nodes a selector names, in order.
    ///
    /// A selector is a list, separated by spaces or commas, of names with `*` for any text; a
    /// `+` before a name adds all that it needs, a `+` after it all that needs it. Audits are
    /// added where they belong: those of a model that runs, and those that a node waits for.
    pub fn select(&self, selector: &str) -> Result<Vec<&Node>> {
        let mut chosen: BTreeSet<&str> = BTreeSet::new();
        for term in selector.split([' ', ',']).filter(|term| !term.is_empty()) {
            let upstream = term.starts_with('+');
            let downstream = term.len() > 1 && term.ends_with('+');
            let pattern = term.trim_start_matches('+').trim_end_matches('+');
            let matched: Vec<&str> = self
                .nodes
                .iter()
                .filter(|node| !(node.on_request && pattern == "*"))
                .map(|node| node.name.as_str())
                .filter(|name| matches(pattern, name))
                .collect();
            if matched.is_empty() {
                let names = self.nodes.iter().map(|node| node.name.as_str());
                let hint = crate::config::closest(pattern, names)
                    .map(|close| format!("did you mean `{close}`?"))
                    .unwrap_or_else(|| "`huiliu check` lists what can be run".into());
                return Err(Error::new(
                    ErrorKind::Config,
                    "E-SELECTOR",
                    format!("nothing is called `{pattern}`"),
                )
                .hint(hint));
            }
            for name in matched {
                chosen.insert(name);
                if upstream {
                    self.collect(name, &mut chosen, |graph, at| graph.needs(at).collect());
                }
                if downstream {
                    self.collect(name, &mut chosen, Self::needed_by);
                }
            }
        }
        let mut with_audits = chosen.clone();
        for node in self.nodes.iter().filter(|node| chosen.contains(node.name.as_str())) {
            let waited_for = self.gates.get(&node.name).into_iter().flatten();
            with_audits.extend(node.audits.iter().chain(waited_for).map(String::as_str));
        }
        Ok(self.nodes.iter().filter(|node| with_audits.contains(node.name.as_str())).collect())
    }

    fn needed_by<'a>(&'a self, name: &str) -> Vec<&'a str> {
        let users = self.needs.iter().filter(|(_, needs)| needs.contains(name));
        users.map(|(user, _)| user.as_str()).collect()
    }

    fn collect<'a>(
        &'a self,
        from: &'a str,
        chosen: &mut BTreeSet<&'a str>,
        step: impl Fn(&'a Self, &'a str) -> Vec<&'a str>,
    ) {
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            for next in step(self, at) {
                if chosen.insert(next) {
                    open.push(next);
                }
            }
        }
    }
}

/// The blocking audits that each node waits for: those of the nodes whose tables it reads, also
/// through views. An audit waits for none: it changes nothing, and two audits of one model would
/// wait for each other.
fn gates(nodes: &[Node]) -> BTreeMap<String, BTreeSet<String>> {
    let makers: BTreeMap<&str, &Node> = nodes
        .iter()
        .flat_map(|node| node.makes.iter().map(move |table| (table.as_str(), node)))
        .collect();
    let blocking: BTreeSet<&str> = nodes
        .iter()
        .filter(|node| node.kind == NodeKind::Audit(Severity::Block))
        .map(|node| node.name.as_str())
        .collect();
    let mut gates = BTreeMap::new();
    for node in nodes.iter().filter(|node| !matches!(node.kind, NodeKind::Audit(_))) {
        let mut waits = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open: Vec<&str> = node.reads.iter().map(String::as_str).collect();
        while let Some(table) = open.pop() {
            let Some(maker) = makers.get(table).filter(|_| seen.insert(table)) else { continue };
            waits.extend(
                maker.audits.iter().filter(|name| blocking.contains(name.as_str())).cloned(),
            );
            if maker.is_view {
                open.extend(maker.reads.iter().map(String::as_str));
            }
        }
        gates.insert(node.name.clone(), waits);
    }
    gates
}

/// Whether `name` fits `pattern`, in which `*` stands for any text.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else { return false };
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut open_end = false;
    for part in parts {
        open_end = true;
        if part.is_empty() {
            continue;
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
        open_end = false;
    }
    rest.is_empty() || open_end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, kind: NodeKind, makes: &[&str], reads: &[&str]) -> Node {
        Node::new(name.into(), kind, owned(makes), owned(reads))
    }

    fn owned(list: &[&str]) -> Vec<String> {
        list.iter().map(|item| (*item).to_owned()).collect()
    }

    fn graph() -> Graph {
        Graph::new(vec![
            node("metrics.ratio", NodeKind::Metric, &[], &["standard.items"]),
            node("standard.items", NodeKind::Model, &["standard.items"], &["current.city_items"]),
            node("city.items", NodeKind::Stream, &["current.city_items"], &[]),
            node("city.cases", NodeKind::Stream, &["current.city_cases"], &[]),
        ])
        .unwrap()
    }

    fn names(selector: &str) -> Vec<String> {
        graph().select(selector).unwrap().iter().map(|node| node.name.clone()).collect()
    }

    #[test]
    fn selectors_follow_the_graph() {
        assert_eq!(names("metrics.*"), ["metrics.ratio"]);
        assert_eq!(names("+metrics.*"), ["city.items", "standard.items", "metrics.ratio"]);
        assert_eq!(names("city.items+"), ["city.items", "standard.items", "metrics.ratio"]);
        assert_eq!(names("*").len(), 4);
        assert_eq!(names("city.cases, metrics.ratio"), ["city.cases", "metrics.ratio"]);
    }

    #[test]
    fn unknown_names_and_circles_are_errors() {
        let error = graph().select("city.itmes").unwrap_err();
        assert_eq!(error.hint_text(), Some("did you mean `city.items`?"));
        let circle = Graph::new(vec![
            node("a", NodeKind::Model, &["s.a"], &["s.b"]),
            node("b", NodeKind::Model, &["s.b"], &["s.a"]),
        ]);
        assert!(circle.unwrap_err().to_string().contains("a, b"));
    }

    /// A table, a view of it, a figure of the view, a push of the table behind the view, and three
    /// audits of the first.
    fn audited() -> Graph {
        let mut items = node("s.items", NodeKind::Model, &["s.items"], &["current.items"]);
        items.audits = owned(&["audits.codes", "audits.names", "audits.phones"]);
        let mut view = node("s.shown", NodeKind::Model, &["s.shown"], &["s.items"]);
        view.is_view = true;
        Graph::new(vec![
            node("push.a", NodeKind::Push, &[], &["s.counted"]),
            node("metrics.m", NodeKind::Metric, &[], &["s.shown"]),
            node("s.counted", NodeKind::Model, &["s.counted"], &["s.shown"]),
            view,
            items,
            node("audits.codes", NodeKind::Audit(Severity::Block), &[], &["s.items"]),
            node("audits.names", NodeKind::Audit(Severity::Block), &[], &["s.items"]),
            node("audits.phones", NodeKind::Audit(Severity::Warn), &[], &["s.items"]),
            node("a.items", NodeKind::Stream, &["current.items"], &[]),
        ])
        .unwrap()
    }

    fn needs(graph: &Graph, name: &str) -> Vec<String> {
        graph.needs(name).map(str::to_owned).collect()
    }

    #[test]
    fn what_reads_an_audited_table_waits_for_its_blocking_audits_also_through_views() {
        let graph = audited();
        assert_eq!(needs(&graph, "s.items"), ["a.items"]);
        assert_eq!(needs(&graph, "audits.codes"), ["s.items"]);
        assert_eq!(needs(&graph, "s.shown"), ["audits.codes", "audits.names", "s.items"]);
        assert_eq!(needs(&graph, "metrics.m"), ["audits.codes", "audits.names", "s.shown"]);
        assert_eq!(needs(&graph, "s.counted"), ["audits.codes", "audits.names", "s.shown"]);
        // What is stored behind the audits was let through when it was built.
        assert_eq!(needs(&graph, "push.a"), ["s.counted"]);
        let order: Vec<&str> = graph.nodes().iter().map(|node| node.name.as_str()).collect();
        let place = |name: &str| order.iter().position(|known| *known == name);
        assert!(place("s.items") < place("audits.codes"), "{order:?}");
        assert!(place("audits.names") < place("s.shown"), "{order:?}");
    }

    #[test]
    fn a_selection_holds_the_audits_of_its_models_and_those_its_nodes_wait_for() {
        let graph = audited();
        let names = |selector: &str| -> Vec<String> {
            graph.select(selector).unwrap().iter().map(|node| node.name.clone()).collect()
        };
        assert_eq!(names("metrics.m"), ["audits.codes", "audits.names", "metrics.m"]);
        assert_eq!(names("s.items"), ["s.items", "audits.codes", "audits.names", "audits.phones"]);
        assert_eq!(names("audits.*").len(), 3);
        assert_eq!(names("push.a"), ["push.a"]);
        assert_eq!(names("+push.a").len(), 8);
    }

    #[test]
    fn an_audit_that_reads_what_it_should_hold_back_is_an_error() {
        let mut items = node("s.items", NodeKind::Model, &["s.items"], &[]);
        items.audits = owned(&["audits.late"]);
        let circle = Graph::new(vec![
            items,
            node("s.units", NodeKind::Model, &["s.units"], &["s.items"]),
            node("audits.late", NodeKind::Audit(Severity::Block), &[], &["s.units"]),
        ]);
        let error = circle.unwrap_err();
        assert!(error.to_string().contains("s.units, audits.late"), "{error}");
    }
}

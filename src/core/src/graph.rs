//! The graph of everything that can run, and selectors over it.

use std::collections::{BTreeMap, BTreeSet};

use huiliu_sdk::{Error, ErrorKind, Result};

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeKind {
    /// Reads a stream into the lake.
    Stream,
    /// Builds a model.
    Model,
    /// Compares systems record by record.
    Reconcile,
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
}

/// All nodes in an order in which each comes after those it needs.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    needs: BTreeMap<String, BTreeSet<String>>,
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
        let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in &nodes {
            let from = node.reads.iter().filter_map(|table| makers.get(table.as_str()));
            needs.insert(node.name.clone(), from.map(|name| (*name).to_owned()).collect());
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
                .hint("take one of the table names out of their SQL"));
            }
            done.extend(ready.iter().map(|node| node.name.clone()));
            ordered.extend(ready);
            waiting = rest;
        }
        Ok(Self { nodes: ordered, needs })
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
    /// `+` before a name adds all that it needs, a `+` after it all that needs it.
    pub fn select(&self, selector: &str) -> Result<Vec<&Node>> {
        let mut chosen: BTreeSet<&str> = BTreeSet::new();
        for term in selector.split([' ', ',']).filter(|term| !term.is_empty()) {
            let upstream = term.starts_with('+');
            let downstream = term.len() > 1 && term.ends_with('+');
            let pattern = term.trim_start_matches('+').trim_end_matches('+');
            let matched: Vec<&str> = self
                .nodes
                .iter()
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
        Ok(self.nodes.iter().filter(|node| chosen.contains(node.name.as_str())).collect())
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

/// Whether `name` fits `pattern`, in which `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
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
        let owned = |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect();
        Node { name: name.into(), kind, makes: owned(makes), reads: owned(reads) }
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
}

//! The differences of one reconciliation, by kind and by department.

use maud::{Markup, html};

use super::section_head;
use crate::chart::bar;
use crate::daily::{Class, Differences, Kind, Owner};
use crate::text;

/// Departments that have a line of their own; the others share one.
const OWNERS: usize = 12;
/// Kinds that have a colour of their own; the others share one.
const COLOURS: usize = 5;

pub(super) fn section(differences: &Differences, day: &str) -> Markup {
    let title = format!("部门差异：{}", differences.title);
    let note = match &differences.compared_at {
        Some(at) => format!("共核对 {} 件，{} 核对", differences.keys, text::moment(at, day)),
        None => String::new(),
    };
    html! {
        section aria-labelledby="differences" {
            (section_head("differences", &title, &note))
            @if differences.compared_at.is_none() { p.none { "还没有核对过。" } } @else {
                (classes(&differences.classes))
                (kinds(&differences.kinds))
                (owners(differences))
            }
        }
    }
}

fn classes(classes: &[Class]) -> Markup {
    html! {
        dl.facts.classes {
            @for class in classes.iter().filter(|class| class.keys > 0) {
                div.above[class.is_above_level] {
                    dt { (class.title) }
                    dd { (class.keys) @if class.is_above_level { " 超预警线" } }
                }
            }
        }
    }
}

fn kinds(kinds: &[Kind]) -> Markup {
    html! {
        @if kinds.is_empty() { p.none { "没有差异。" } } @else {
            table.plain {
                caption { "按类别" }
                thead { tr {
                    th scope="col" { "类别" }
                    th.num scope="col" { "未解决" }
                    th.num scope="col" { "已处置" }
                    th.num scope="col" { "今日新增" }
                    th.num scope="col" { "今日关闭" }
                } }
                tbody {
                    @for (index, kind) in kinds.iter().enumerate() {
                        tr {
                            th scope="row" { (key(index)) (kind.title) }
                            td.num { (kind.open) }
                            td.num.zero[kind.settled == 0] { (kind.settled) }
                            td.num.zero[kind.opened_today == 0] { (kind.opened_today) }
                            td.num.zero[kind.closed_today == 0] { (kind.closed_today) }
                        }
                    }
                }
            }
        }
    }
}

/// The colour of a kind, for the bars.
fn key(index: usize) -> Markup {
    let class = format!("key k{}", index.min(COLOURS) + 1);
    html! { span class=(class) aria-hidden="true" {} }
}

fn owners(differences: &Differences) -> Markup {
    let (shown, rest) = differences.owners.split_at(differences.owners.len().min(OWNERS));
    let rest = together(rest);
    let full = shown.iter().chain(&rest).map(Owner::all_open).max().unwrap_or(0);
    html! {
        @if !differences.owners.is_empty() {
            table.owners role="table" {
                caption { "按部门" }
                thead role="rowgroup" { tr role="row" {
                    th scope="col" role="columnheader" { "部门" }
                    th.num scope="col" role="columnheader" { "未解决" }
                    th scope="col" role="columnheader" { "各类所占" }
                    th.num scope="col" role="columnheader" { "今日新增" }
                    th.num scope="col" role="columnheader" { "今日关闭" }
                    th.num scope="col" role="columnheader" { "最早的已（工作日）" }
                } }
                tbody role="rowgroup" {
                    @for owner in shown.iter().chain(&rest) {
                        (row(owner, &differences.kinds, full))
                    }
                }
            }
        }
    }
}

/// Several departments as one, if there are any.
fn together(owners: &[Owner]) -> Option<Owner> {
    let first = owners.first()?;
    let mut sum = Owner {
        name: format!("其余 {} 个部门合计", owners.len()),
        open: vec![0; first.open.len()],
        ..Owner::default()
    };
    for owner in owners {
        for (all, open) in sum.open.iter_mut().zip(&owner.open) {
            *all += open;
        }
        sum.settled += owner.settled;
        sum.opened_today += owner.opened_today;
        sum.closed_today += owner.closed_today;
        sum.oldest_workdays = sum.oldest_workdays.max(owner.oldest_workdays);
    }
    Some(sum)
}

fn row(owner: &Owner, kinds: &[Kind], full: u64) -> Markup {
    let open = owner.all_open();
    let each: Vec<String> = kinds
        .iter()
        .zip(&owner.open)
        .filter(|(_, count)| **count > 0)
        .map(|(kind, count)| format!("{} {count}", kind.title))
        .collect();
    let words = format!("{}：未解决 {open}（{}）", owner.name, each.join("，"));
    let mut parts: Vec<u64> = owner.open.iter().take(COLOURS).copied().collect();
    if owner.open.len() > COLOURS {
        parts.push(owner.open.iter().skip(COLOURS).sum());
    }
    html! {
        tr role="row" {
            th scope="row" role="rowheader" { (owner.name) }
            td.num role="cell" { (open) }
            td.chart role="cell" { (bar(&parts, full, &words)) }
            td.num.zero[owner.opened_today == 0] role="cell" data-label="新增" { (owner.opened_today) }
            td.num.zero[owner.closed_today == 0] role="cell" data-label="关闭" { (owner.closed_today) }
            td.num role="cell" data-label="最早" {
                @match (open, owner.oldest_workdays) {
                    (0, _) => { "—" }
                    (_, Some(days)) => { (days) }
                    (_, None) => { "不详" }
                }
            }
        }
    }
}

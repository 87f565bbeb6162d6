//! The ledger of differences: who has to mend what, and for how long already.

use std::collections::BTreeSet;

use maud::{Markup, html};

use crate::console::format::count;
use crate::console::layout::{Page, Sheet};
use crate::console::parts::{
    Choice, address, choice_field, code, empty, filters, maybe, number, pager, section, state,
    table, tally, text, text_field, word,
};
use crate::console::words::{self, Tone};
use crate::data::{self, Difference, DifferenceQuery, OwnerCount, Reconciliation};

/// Owners that have a line of their own before one asks for all.
const OWNERS: usize = 8;

/// What is asked, as it stays in the address.
pub(crate) fn asked(query: &DifferenceQuery) -> Vec<(&str, &str)> {
    let pairs = [
        ("of", &query.reconciliation),
        ("state", &query.state),
        ("rule", &query.rule),
        ("field", &query.field),
        ("system", &query.system),
        ("owner", &query.owner),
        ("key", &query.key),
    ];
    pairs.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect()
}

/// The ledger of one reconciliation; `all` are those there are.
pub(crate) fn ledger(
    page: &Page,
    all: &[Reconciliation],
    query: &DifferenceQuery,
    list: &data::Page<Difference>,
) -> Sheet {
    let title = page.t("Differences", "差异台账");
    let chosen = query.reconciliation.as_deref();
    let Some(rec) = all.iter().find(|rec| chosen.is_none_or(|name| rec.name == name)) else {
        return Sheet::new(
            title,
            empty(
                page.t("Nothing is reconciled", "没有核对"),
                page.t(
                    "A reconciliation is a file in pipelines/reconcile.",
                    "核对规则是 pipelines/reconcile 中的文件。",
                ),
            ),
        );
    };
    let body = html! {
        (standing(page, rec))
        (section(page.t("By owner", "按部门"), page.t("not closed, most first", "未关闭的，多的在前"), owners(page, rec)))
        (section(page.t("The ledger", "台账"), "", html! {
            (filter(page, all, rec, query))
            @if list.items.is_empty() {
                (empty(page.t("No differences", "没有差异"), page.t("Nothing matches, or the systems agree.", "没有符合条件的差异，或各系统已一致。")))
            } @else { (differences(page, rec, &list.items)) }
            (pager(page, list, "/differences", &asked(query)))
        }))
    };
    Sheet::new(title, body).lead(html! {
        p {
            (rec.title) " · " (page.t("", "核对 ")) (count(rec.keys)) (page.t(" keys compared", " 件"))
            @if let Some(run) = rec.last_run { " · " a href=(format!("/runs/{run}")) { (page.t("run ", "运行 ")) "#" (run) } }
            @if let Some(at) = &rec.last_run_at { " · " (page.times.moment(Some(at))) }
        }
    })
}

fn standing(page: &Page, rec: &Reconciliation) -> Markup {
    let classes = rec.classes.iter().filter(|class| class.keys > 0).map(|class| {
        let tone = match class.class.as_str() {
            "matched" => Tone::Good,
            _ if class.is_above_level => Tone::Bad,
            _ => Tone::Calm,
        };
        (class_name(page, rec, &class.class), count(class.keys), tone)
    });
    html! {
        (tally(classes.collect()))
        @if rec.classes.iter().any(|class| class.is_above_level) {
            p.hint { (page.t("Red: above the warn level.", "红色：超过预警线。")) }
        }
    }
}

/// What a class or a rule is called, systems by their names.
pub(crate) fn class_name(page: &Page, rec: &Reconciliation, class: &str) -> String {
    match class.strip_prefix("missing_in_") {
        Some(system) => {
            words::rule(&format!("missing_in_{}", system_name(rec, system)), page.language)
        }
        None => words::rule(class, page.language),
    }
}

fn system_name<'a>(rec: &'a Reconciliation, id: &'a str) -> &'a str {
    rec.systems.iter().find(|(known, _)| known == id).map_or(id, |(_, title)| title.as_str())
}

fn owners(page: &Page, rec: &Reconciliation) -> Markup {
    let mut all: Vec<&OwnerCount> = rec.by_owner.iter().collect();
    all.sort_by_key(|owner| std::cmp::Reverse(owner.differences));
    let (first, rest) = all.split_at(all.len().min(OWNERS));
    html! {
        @if all.is_empty() {
            (empty(page.t("Nobody has anything to mend", "没有部门需要整改"), ""))
        } @else { (owner_table(page, rec, first)) }
        @if !rest.is_empty() {
            details.more {
                summary { (page.t("The others", "其余")) " (" (rest.len()) ")" }
                (owner_table(page, rec, rest))
            }
        }
    }
}

fn owner_table(page: &Page, rec: &Reconciliation, owners: &[&OwnerCount]) -> Markup {
    let columns = [
        text(page.t("Owner", "部门")),
        text(page.t("Kind", "类别")),
        text(page.t("Field", "字段")),
        number(page.t("Not closed", "未关闭")),
        number(page.t("Oldest, working days", "最早的已（工作日）")),
    ];
    let rows = owners.iter().map(|owner| {
        let field = owner.field.as_deref().unwrap_or_default();
        let to = address(
            "/differences",
            &[("of", &rec.name), ("rule", &owner.rule), ("field", field), ("owner", &owner.owner)],
        );
        let name = match owner.owner.as_str() {
            "" => page.t("(nobody)", "（无主）"),
            name => name,
        };
        vec![
            html! { a href=(to) { (name) } },
            html! { (class_name(page, rec, &owner.rule)) },
            maybe(owner.field.as_deref()),
            html! { (count(owner.differences)) },
            workdays(page, owner.oldest_workdays),
        ]
    });
    table(page.t("Differences by owner", "各部门的差异"), &columns, rows.collect())
}

fn workdays(page: &Page, days: Option<i64>) -> Markup {
    match days {
        Some(days) => html! { (count(days)) },
        None => html! { span.nothing { (page.t("unknown", "不详")) } },
    }
}

fn filter(
    page: &Page,
    all: &[Reconciliation],
    rec: &Reconciliation,
    query: &DifferenceQuery,
) -> Markup {
    let any = || Choice::new("", page.t("all", "全部"));
    let of = |value: &Option<String>| value.clone().unwrap_or_default();
    // What is asked for stays to be chosen, even when nothing has it any more.
    let with = |mut known: BTreeSet<String>, asked: &Option<String>| {
        known.extend(asked.iter().filter(|value| !value.is_empty()).cloned());
        known
    };
    let rules = with(rec.by_owner.iter().map(|owner| owner.rule.clone()).collect(), &query.rule);
    let fields =
        with(rec.by_owner.iter().filter_map(|owner| owner.field.clone()).collect(), &query.field);
    let owners = with(
        rec.by_owner
            .iter()
            .map(|owner| owner.owner.clone())
            .filter(|owner| !owner.is_empty())
            .collect(),
        &query.owner,
    );
    let same = |known: &BTreeSet<String>| -> Vec<Choice> {
        [any()].into_iter().chain(known.iter().map(|value| Choice::new(value, value))).collect()
    };
    let states = ["open", "explained", "fixed", "closed"].map(|code| {
        let many = rec.states.get(code).copied().unwrap_or(0);
        Choice::new(code, format!("{}  {}", words::state(code, page.language).0, count(many)))
    });
    let states: Vec<Choice> =
        [Choice::new("", page.t("not closed", "未关闭"))].into_iter().chain(states).collect();
    let rules: Vec<Choice> = [any()]
        .into_iter()
        .chain(rules.iter().map(|rule| Choice::new(rule, class_name(page, rec, rule))))
        .collect();
    let systems: Vec<Choice> = [any()]
        .into_iter()
        .chain(rec.systems.iter().map(|(id, title)| Choice::new(id, title)))
        .collect();
    let recs: Vec<Choice> = all.iter().map(|rec| Choice::new(&rec.name, &rec.title)).collect();
    let fields_markup = html! {
        @if all.len() > 1 { (choice_field("of", page.t("Reconciliation", "核对"), &rec.name, &recs)) }
        (choice_field("state", page.t("State", "状态"), &of(&query.state), &states))
        (choice_field("rule", page.t("Kind", "类别"), &of(&query.rule), &rules))
        @if fields.len() > 1 { (choice_field("field", page.t("Field", "字段"), &of(&query.field), &same(&fields))) }
        (choice_field("system", page.t("System", "系统"), &of(&query.system), &systems))
        (choice_field("owner", page.t("Owner", "部门"), &of(&query.owner), &same(&owners)))
        (text_field("key", page.t("Key", "编号"), &of(&query.key), "search"))
    };
    let is_set = asked(query).iter().any(|(name, value)| *name != "of" && !value.is_empty());
    filters(page, "/differences", fields_markup, is_set)
}

fn differences(page: &Page, rec: &Reconciliation, list: &[Difference]) -> Markup {
    let columns = [
        text(page.t("Key", "编号")),
        text(page.t("Difference", "差异")),
        text(page.t("Says", "现值")),
        text(page.t("Should say", "应为")),
        text(page.t("Owner", "部门")),
        number(page.t("Working days", "工作日")),
        word(page.t("State", "状态")),
    ];
    let rows = list.iter().map(|difference| {
        vec![
            html! { a.key-link href=(address("/trace", &[("of", &rec.name), ("key", &difference.key)])) { (difference.key) } },
            html! {
                (class_name(page, rec, &difference.rule))
                span.of {
                    @if let Some(field) = &difference.field { code { (field) } " · " }
                    (system_name(rec, &difference.system))
                }
            },
            maybe(difference.found.as_deref()),
            html! {
                (maybe(difference.expected.as_deref()))
                @if let Some(from) = &difference.expected_from {
                    span.of { (page.t("as ", "据")) (system_name(rec, from)) }
                }
            },
            maybe(difference.owner.as_deref()),
            html! {
                (workdays(page, difference.age_workdays))
                span.of { (page.t("since ", "自 ")) (page.times.day(&difference.first_seen)) }
            },
            html! {
                (state(page, &difference.state))
                @if let Some(reason) = &difference.reason { span.of { (reason) } }
                @if difference.reopened > 0 {
                    span.of { (page.t("came back ", "反复 ")) (difference.reopened) (page.t(" times", " 次")) }
                }
            },
        ]
    });
    html! {
        (table(page.t("Differences", "差异"), &columns, rows.collect()))
        @if !rec.unknown_codes.is_empty() {
            details.more {
                summary { (page.t("Codes that no code table knows", "代码表中没有的代码")) " (" (rec.unknown_codes.len()) ")" }
                (table(page.t("Unknown codes", "未知代码"), &[
                    text(page.t("Code", "代码")), text(page.t("Field", "字段")),
                    text(page.t("System", "系统")), number(page.t("Rows", "行数")),
                ], rec.unknown_codes.iter().map(|unknown| vec![
                    code(&unknown.code), html! { (unknown.field) },
                    html! { (system_name(rec, &unknown.system)) }, html! { (count(unknown.rows)) },
                ]).collect()))
            }
        }
    }
}

//! The whole life of one record over all systems.

use huiliu_core::access::Permission;
use maud::{Markup, html};
use serde_json::Value;

use crate::console::layout::{Page, Sheet};
use crate::console::parts::{
    Choice, Event, badge, button, choice_field, empty, maybe, post_form, section, state, table,
    text, text_field, timeline,
};
use crate::console::words::{self, Tone};
use crate::data::{Decided, Reconciliation, Trace, TraceDetail, TraceEntry};

/// Details that are seen at once; the others unfold.
const DETAILS: usize = 8;

/// The page before a key is asked for.
pub(crate) fn search(page: &Page, all: &[Reconciliation], of: &str, key: &str) -> Sheet {
    let body = html! {
        (form(page, all, of, key))
        (empty(
            page.t("Which one?", "要追踪哪一件？"),
            page.t("Write the number of a case as the systems have it.", "输入各系统中的办件编号，也可以从差异台账点入。"),
        ))
    };
    Sheet::new(page.t("Trace", "办件追踪"), body)
}

fn form(page: &Page, all: &[Reconciliation], of: &str, key: &str) -> Markup {
    let recs: Vec<Choice> = all.iter().map(|rec| Choice::new(&rec.name, &rec.title)).collect();
    html! {
        form.filters method="get" action="/trace" role="search" {
            @if all.len() > 1 { (choice_field("of", page.t("Of", "对象"), of, &recs)) }
            (text_field("key", page.t("Key", "编号"), key, "search required"))
            div.filterbuttons { (button(page.t("Trace", "追踪"))) }
        }
    }
}

/// One key: what each system says, what was decided, and everything that happened.
pub(crate) fn trace(
    page: &Page,
    all: &[Reconciliation],
    trace: &Trace,
    decided: Option<&Decided>,
) -> Sheet {
    let of = &trace.reconciliation;
    let rec = all.iter().find(|rec| rec.name == *of);
    let body = html! {
        (form(page, all, of, &trace.key))
        @if let Some(decided) = decided { (standing(page, rec, decided)) }
        (section(page.t("Its life", "办理全过程"), page.t("oldest first", "从早到晚"), html! {
            (timeline(trace.entries.iter().map(|entry| event(page, entry)).collect()))
        }))
    };
    Sheet::new(trace.key.clone(), body)
        .under(page.t("Differences", "差异台账"), "/differences")
        .under(page.t("Trace", "办件追踪"), "/trace")
}

fn standing(page: &Page, rec: Option<&Reconciliation>, decided: &Decided) -> Markup {
    let class = match rec {
        Some(rec) => super::difference::class_name(page, rec, &decided.class),
        None => words::rule(&decided.class, page.language),
    };
    let tone = if decided.class == "matched" { Tone::Good } else { Tone::Warn };
    let mut columns = vec![text(page.t("Field", "字段")), text(page.t("Taken", "采用"))];
    columns.extend(decided.systems.iter().map(|system| text(&system.title)));
    let rows = decided.fields.iter().map(|field| {
        let mut cells = vec![
            html! { (field.title) @if field.title != field.field { span.of { code { (field.field) } } } },
            html! {
                (maybe(field.value.as_deref()))
                @if let Some(from) = &field.from { span.of { (page.t("as ", "据")) (title_of(decided, from)) } }
            },
        ];
        for system in &decided.systems {
            let said = field.values.get(&system.system).and_then(Option::as_deref);
            let is_other = field.differs == Some(true) && said.is_some() && said != field.value.as_deref();
            cells.push(match said {
                Some(said) if is_other => html! { mark.changed { (said) } },
                said => maybe(said),
            });
        }
        cells
    });
    let present: Vec<&str> =
        decided.systems.iter().filter(|s| s.is_present).map(|s| s.title.as_str()).collect();
    let open: Vec<_> = decided.differences.iter().filter(|d| d.state != "closed").collect();
    section(
        page.t("What the systems say", "各系统的记录"),
        "",
        html! {
            div.panel {
                p { (badge(&class, tone)) " " (page.t("is in: ", "见于：")) (present.join(page.t(", ", "、"))) }
                @if !open.is_empty() {
                    p { (page.t("Differences: ", "差异：")) @for difference in &open {
                        (state(page, &difference.state)) " "
                        (difference.field.clone().unwrap_or_else(|| words::rule(&difference.rule, page.language))) " "
                    } }
                }
                @if !open.is_empty() && page.may(Permission::Operate) {
                    details.more {
                        summary { (page.t("Explain why this is as it should be", "说明为什么这样是对的")) }
                        (post_form(page, "/differences/explain", "inline", html! {
                            input type="hidden" name="of" value=(decided.reconciliation);
                            input type="hidden" name="key" value=(decided.key);
                            (text_field("reason", page.t("Why", "原因"), "", "required off"))
                            (button(page.t("Explain", "说明")))
                        }))
                    }
                }
            }
            @if !decided.fields.is_empty() {
                div.panelgap { (table(page.t("Fields by system", "各系统的字段"), &columns, rows.collect())) }
            }
        },
    )
}

fn title_of<'a>(decided: &'a Decided, id: &'a str) -> &'a str {
    decided.systems.iter().find(|system| system.system == id).map_or(id, |system| &system.title)
}

fn event(page: &Page, entry: &TraceEntry) -> Event {
    let tone = match entry.kind.as_str() {
        "version" => Tone::Busy,
        "decision" => Tone::Good,
        "difference" => Tone::Bad,
        "push" => Tone::Warn,
        _ => Tone::Calm,
    };
    let (first, rest) = entry.details.split_at(entry.details.len().min(DETAILS));
    let details = html! {
        (pairs(page, &entry.kind, first))
        @if !rest.is_empty() {
            details.more { summary { (page.t("More", "更多")) " (" (rest.len()) ")" } (pairs(page, &entry.kind, rest)) }
        }
    };
    let title = html! {
        code { (entry.of) }
        @if let Some(run) = entry.run { " " a.small href=(format!("/runs/{run}")) { "#" (run) } }
    };
    let at = html! { time datetime=(entry.at.replace(' ', "T")) { (page.times.exact(&entry.at)) } };
    Event { at, kind: words::name(&entry.kind, page.language), tone, title, details }
}

fn pairs(page: &Page, kind: &str, details: &[TraceDetail]) -> Markup {
    html! {
        dl.details {
            @for detail in details { div { dt { (name(page, kind, &detail.name)) } dd { (said(page, kind, detail)) } } }
        }
    }
}

/// The name of a detail: the hub's own in words, a column of a system as it is.
fn name<'a>(page: &'a Page, kind: &str, name: &'a str) -> &'a str {
    match (kind, name) {
        ("version", "_received_at") => page.t("received", "收到时间"),
        ("version", "_source_pos") => page.t("position", "来源位置"),
        ("version", "_superseded") => page.t("superseded", "已被取代"),
        ("version", name) => name,
        (_, "class") => page.t("class", "类别"),
        (_, "rule") => page.t("kind", "类别"),
        (_, "field") => page.t("field", "字段"),
        (_, "in") => page.t("in", "系统"),
        (_, "from") => page.t("was", "原状态"),
        (_, "to") => page.t("is", "现状态"),
        (_, "state") => page.t("state", "状态"),
        (_, "found") => page.t("says", "现值"),
        (_, "expected") => page.t("should say", "应为"),
        (_, "who") => page.t("who", "何人"),
        (_, "reason") => page.t("why", "原因"),
        (_, "attempts") => page.t("attempts", "发送次数"),
        (_, "code") => page.t("code", "代码"),
        (_, "message") => page.t("answer", "答复"),
        (_, "idempotency_key") => page.t("sent under", "幂等键"),
        (_, name) => name,
    }
}

/// A value; of a decided field with whose it is.
fn said(page: &Page, kind: &str, detail: &TraceDetail) -> Markup {
    match &detail.value {
        Value::String(text) if kind == "version" => html! { (text) },
        Value::String(text) => match detail.name.as_str() {
            "class" | "rule" => html! { (words::rule(text, page.language)) },
            "from" | "to" | "state" => html! { (words::state(text, page.language).0) },
            _ => html! { (text) },
        },
        Value::Object(parts) => {
            let text = |name: &str| parts.get(name).and_then(Value::as_str).unwrap_or_default();
            html! {
                (text("value"))
                @if !text("from").is_empty() { " " span.soft { (page.t("as ", "据 ")) (text("from")) } }
            }
        }
        other => html! { (other) },
    }
}

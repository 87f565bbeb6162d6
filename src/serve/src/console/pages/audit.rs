//! The audit: who did or read what, and whether the record still holds.

use maud::{Markup, html};

use crate::console::format::count;
use crate::console::layout::{Page, Sheet};
use crate::console::parts::{
    empty, facts, filters, maybe, pager, post_form, section, table, text, text_field, word,
};
use crate::console::words::Tone;
use crate::data::{self, AuditQuery, AuditRecord, AuditState};

/// What a check of the chain found.
pub(crate) enum Checked {
    /// Nobody asked.
    No,
    /// It holds.
    Holds(AuditState),
    /// It does not, and why.
    Broken(String),
}

/// The audit, newest first.
pub(crate) fn list(
    page: &Page,
    query: &AuditQuery,
    rows: &data::Page<AuditRecord>,
    checked: &Checked,
) -> Sheet {
    let (who, action) =
        (query.who.as_deref().unwrap_or_default(), query.action.as_deref().unwrap_or_default());
    let fields = html! {
        (text_field("who", page.t("Who", "何人"), who, "search"))
        (text_field("action", page.t("What was done", "何事"), action, "search"))
    };
    let columns = [
        word(page.t("Number", "序号")),
        word(page.t("When", "时间")),
        word(page.t("Who", "何人")),
        text(page.t("What", "何事")),
        text(page.t("Of", "对象")),
        text(page.t("Why", "原因")),
    ];
    let cells = rows.items.iter().map(|row| {
        vec![
            html! { (count(row.id)) },
            page.times.moment(Some(&row.at)),
            html! { (row.who) },
            html! { (row.action) (more(page, row)) },
            html! { (row.object) },
            maybe(Some(&row.reason)),
        ]
    });
    let body = html! {
        (state(page, checked))
        (section(page.t("The record", "记录"), "", html! {
            (filters(page, "/audit", fields, !who.is_empty() || !action.is_empty()))
            @if rows.items.is_empty() { (empty(page.t("No rows match", "没有符合条件的记录"), "")) }
            @else { (table(page.t("Audit", "审计记录"), &columns, cells.collect())) }
            (pager(page, rows, "/audit", &[("who", who), ("action", action)]))
        }))
    };
    Sheet::new(page.t("Audit", "审计"), body).lead(html! {
        p { (page.t(
            "Each row carries a hash over the row before it, so nothing can be changed or left out unseen.",
            "每条记录带有对前一条的哈希，改动或删减都会被发现。",
        )) }
    })
}

fn more(page: &Page, row: &AuditRecord) -> Markup {
    html! {
        details.more {
            summary { (page.t("Details", "详情")) }
            dl.details {
                @if let Some(before) = &row.before { div { dt { (page.t("before", "之前")) } dd { code { (before) } } } }
                @if let Some(after) = &row.after { div { dt { (page.t("after", "之后")) } dd { code { (after) } } } }
                div { dt { (page.t("hash", "哈希")) } dd { code { (row.hash) } } }
            }
        }
    }
}

fn state(page: &Page, checked: &Checked) -> Markup {
    let check = post_form(
        page,
        "/audit/verify",
        "",
        html! {
            button type="submit" { (page.t("Check the whole chain", "核验整条链")) }
        },
    );
    match checked {
        Checked::No => html! {
            div.verdict.calm {
                h2 { (page.t("Not checked just now", "尚未核验")) }
                p.note { (page.t("A check reads every row from the first on.", "核验会从第一条起逐条重算。")) }
                (check)
            }
        },
        Checked::Holds(found) => html! {
            div.verdict.(Tone::Good.class()) {
                h2 { "✓ " (page.t("The chain holds", "链条完整")) }
                (facts(vec![
                    (page.t("Rows", "条数"), html! { (count(found.rows)) }),
                    (page.t("Newest", "最新序号"), html! { (count(found.last_id)) }),
                    (page.t("Its hash, to be kept elsewhere", "其哈希，请另行留存"), html! { code { (found.last_hash) } }),
                ]))
            }
        },
        Checked::Broken(why) => html! {
            div.verdict.(Tone::Bad.class()) role="alert" {
                h2 { "✕ " (page.t("The chain is broken", "链条已断")) }
                p { (why) }
                p.todo { (page.t("Keep the database as it is and tell whoever answers for security.", "请保留数据库现状，并通知安全负责人。")) }
            }
        },
    }
}

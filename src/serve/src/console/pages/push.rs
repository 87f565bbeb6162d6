//! Pushes: what was handed over, what became of it, what nobody knows.

use huiliu_core::access::Permission;
use maud::{Markup, html};

use crate::console::format::count;
use crate::console::layout::{Page, Sheet};
use crate::console::parts::{
    Choice, badge, choice_field, dense_table, empty, facts, filters, link, maybe, number, pager,
    post_form, run_link, section, state, table, text, text_field, word,
};
use crate::console::words::{self, Tone};
use crate::data::{self, Push, PushDay, PushQuery, PushRecord};

/// Days that are seen at once.
const DAYS: usize = 30;

fn quantity(number: i64, bad: bool) -> Markup {
    match number {
        0 => html! { span.zero { "0" } },
        _ if bad => html! { b.bad { (count(number)) } },
        _ => html! { (count(number)) },
    }
}

/// All pushes, and what became of them by day.
pub(crate) fn list(page: &Page, pushes: &[Push], days: &[PushDay]) -> Sheet {
    let body = html! {
        @if pushes.is_empty() {
            (empty(page.t("Nothing is pushed", "没有推送"),
                page.t("A push is written in a system's file under [[pushes]].", "推送写在系统文件的 [[pushes]] 中。")))
        } @else { (push_table(page, pushes)) }
        @if !days.is_empty() {
            (section(
                page.t("By target and day", "按对象和日期"),
                page.t("sent = accepted + refused + waiting + unknown", "发送 = 收下 + 退回 + 待答复 + 不明"),
                days_table(page, days),
            ))
        }
    };
    Sheet::new(page.t("Pushes and receipts", "推送与回执"), body).lead(html! {
        p { (page.t("What was handed over is answered for, record by record.", "送出的每一条记录都有着落。")) }
    })
}

/// Pushes with what became of their records.
pub(crate) fn push_table(page: &Page, pushes: &[Push]) -> Markup {
    let columns = [
        text(page.t("Push", "推送")),
        number(page.t("Accepted", "收下")),
        number(page.t("Refused", "退回")),
        number(page.t("Waiting", "待发")),
        number(page.t("For receipt", "待回执")),
        number(page.t("Unknown", "不明")),
        word(page.t("Target", "对象阶段")),
    ];
    let rows = pushes.iter().map(|push| {
        vec![
            html! {
                (link(page, Permission::Records, &format!("/pushes/{}", push.push), html! { (push.system_title) }))
                span.of { code { (push.push) } }
            },
            quantity(push.accepted, false),
            quantity(push.rejected, true),
            quantity(push.waiting, false),
            quantity(push.delivered, false),
            quantity(push.unknown, true),
            state(page, &push.stage),
        ]
    });
    dense_table(page.t("Pushes", "推送"), &columns, rows.collect())
}

fn days_table(page: &Page, days: &[PushDay]) -> Markup {
    let columns = [
        word(page.t("Day", "日期")),
        text(page.t("Push", "推送")),
        number(page.t("Sent", "发送")),
        number(page.t("= accepted", "= 收下")),
        number(page.t("+ refused", "+ 退回")),
        number(page.t("+ waiting", "+ 待答复")),
        number(page.t("+ unknown", "+ 不明")),
        word(page.t("Sum", "平衡")),
    ];
    let row = |day: &PushDay| {
        vec![
            html! { (day.day) },
            link(page, Permission::Records, &format!("/pushes/{}", day.push), html! { (day.push) }),
            quantity(day.sent, false),
            quantity(day.accepted, false),
            quantity(day.rejected, true),
            quantity(day.waiting, false),
            quantity(day.unknown, true),
            match day.missing {
                0 => badge(page.t("balanced", "平"), Tone::Good),
                missing => badge(&format!("{} {missing}", page.t("off by", "差")), Tone::Bad),
            },
        ]
    };
    dense_table(
        page.t("By target and day", "按对象和日期"),
        &columns,
        days.iter().take(DAYS).map(row).collect(),
    )
}

/// One push with its records.
pub(crate) fn push(
    page: &Page,
    push: &Push,
    days: &[PushDay],
    query: &PushQuery,
    records: &data::Page<PushRecord>,
) -> Sheet {
    let path = format!("/pushes/{}", push.push);
    let asked = query.state.as_deref().unwrap_or_default();
    let states = ["waiting", "delivered", "accepted", "rejected", "unknown"];
    let choices: Vec<Choice> = [Choice::new("", page.t("all", "全部"))]
        .into_iter()
        .chain(states.map(|code| Choice::new(code, words::state(code, page.language).0)))
        .collect();
    let body = html! {
        div.panel {
            (facts(vec![
                (page.t("Target", "对象"), html! { (push.system_title) " " (state(page, &push.stage)) }),
                (page.t("From", "取自"), html! { code { (push.from) } }),
                (page.t("Receipts", "回执"), html! { (if push.has_receipts { page.t("later, by receipt", "事后回执") } else { page.t("at once", "即时应答") }) }),
                (page.t("Accepted", "收下"), quantity(push.accepted, false)),
                (page.t("Refused", "退回"), quantity(push.rejected, true)),
                (page.t("Waiting", "待发"), quantity(push.waiting, false)),
                (page.t("For receipt", "待回执"), quantity(push.delivered, false)),
                (page.t("Unknown", "不明"), quantity(push.unknown, true)),
            ]))
        }
        @if push.unknown > 0 { (unknown_note(page, push)) }
        (section(page.t("Records", "记录"), "", html! {
            (filters(page, &path, choice_field("state", page.t("State", "状态"), asked, &choices), !asked.is_empty()))
            @if records.items.is_empty() {
                (empty(page.t("No records", "没有记录"), ""))
            } @else { (record_list(page, push, asked, &records.items)) }
            (pager(page, records, &path, &[("state", asked)]))
        }))
        @if !days.is_empty() { (section(page.t("By day", "按日"), "", days_table(page, days))) }
    };
    Sheet::new(push.push.clone(), body).under(page.t("Pushes", "推送与回执"), "/pushes")
}

fn unknown_note(page: &Page, push: &Push) -> Markup {
    html! {
        div.trouble {
            p { span.sign aria-hidden="true" { "!" }
                b { (count(push.unknown)) " " (page.t("records may have arrived, and nobody knows.", "条记录已发出而不知是否送达。")) } }
            p.soft { (page.t(
                "The target cannot tell a record that comes twice, so none is sent again by itself. Look there, then decide below.",
                "对方无法识别重复记录，所以不会自动重发。请到对方系统核实，再在下面作出决定。")) }
            p { a href=(format!("/pushes/{}?state=unknown", push.push)) { (page.t("Show them", "查看这些记录")) } }
        }
    }
}

fn record_list(page: &Page, push: &Push, asked: &str, records: &[PushRecord]) -> Markup {
    let decides = asked == "unknown" && page.may(Permission::Operate);
    let columns = [
        text(page.t("Key", "编号")),
        word(page.t("State", "状态")),
        text(page.t("Answer", "对方答复")),
        number(page.t("Sent", "发送次数")),
        word(page.t("Run", "运行")),
        word(page.t("Queued", "入队")),
        word(page.t("Settled", "了结")),
    ];
    let rows = records.iter().map(|record| {
        vec![
            html! {
                @if decides {
                    input type="checkbox" name="id" value=(record.id)
                        aria-label=(format!("{} {}", page.t("Choose", "选择"), record.key)); " "
                }
                (record.key)
            },
            state(page, &record.state),
            html! {
                (maybe(record.message.as_deref()))
                @if let Some(code) = &record.code { span.of { code { (code) } } }
            },
            html! { (record.attempts) },
            run_link(record.run),
            page.times.moment(Some(&record.created_at)),
            page.times.moment(record.settled_at.as_deref()),
        ]
    });
    let list = table(page.t("Records", "记录"), &columns, rows.collect());
    if !decides {
        return list;
    }
    post_form(
        page,
        &format!("/pushes/{}/decide", push.push),
        "",
        html! {
            (list)
            div.choicebar {
                label.allrows { input type="checkbox" data-all="id" hidden; " " (page.t("all", "全选")) }
                (text_field("reason", page.t("How you know", "依据"), "", "required off"))
                button type="submit" name="decision" value="arrived" { (page.t("They arrived", "已送达")) }
                button type="submit" name="decision" value="again" { (page.t("They did not: send again", "未送达，重发")) }
                button.danger type="submit" name="decision" value="dropped" { (page.t("Drop them", "不再发送")) }
            }
        },
    )
}

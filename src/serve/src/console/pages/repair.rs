//! Repairs: what would be corrected where, doing it, taking it back.

use huiliu_core::access::Permission;
use maud::{Markup, html};

use crate::console::format::count;
use crate::console::layout::{Page, Sheet};
use crate::console::parts::{
    badge, button, danger_button, empty, maybe, number, post_form, quantity, reason_field, section,
    table, text, text_field, word,
};
use crate::console::words::{self, Tone};
use crate::data::{Repair, RepairPlan, RepairRecord, RepairScope};

/// Letters of a hash that are shown.
const SHORT: usize = 12;

fn short(hash: &str) -> &str {
    hash.get(..SHORT).unwrap_or(hash)
}

/// The repairs there were; planning one.
pub(crate) fn list(page: &Page, repairs: &[Repair]) -> Sheet {
    let columns = [
        word(page.t("Repair", "更正")),
        text(page.t("Why", "原因")),
        word(page.t("Planned", "拟定")),
        word(page.t("Applied", "执行")),
        number(page.t("Records", "记录")),
        number(page.t("Accepted", "收下")),
        number(page.t("Refused", "退回")),
        number(page.t("Waiting", "待答复")),
        number(page.t("Unknown", "不明")),
        number(page.t("Undone", "撤销")),
    ];
    let rows = repairs.iter().map(|repair| {
        vec![
            html! {
                code title=(repair.hash) { (short(&repair.hash)) }
                @if repair.applied_at.is_some() && repair.undone < repair.records && page.may(Permission::Operate) {
                    (undo(page, &repair.hash))
                }
            },
            maybe(repair.reason.as_deref()),
            page.times.moment(Some(&repair.planned_at)),
            html! {
                (page.times.moment(repair.applied_at.as_deref()))
                @if let Some(who) = &repair.applied_by { span.of { (who) } }
            },
            quantity(repair.records),
            quantity(repair.accepted),
            quantity(repair.rejected),
            quantity(repair.waiting),
            quantity(repair.unknown),
            quantity(repair.undone),
        ]
    });
    let body = html! {
        @if page.may(Permission::Operate) { (planner(page, &RepairScope::default())) }
        @if repairs.is_empty() {
            (empty(page.t("Nothing was repaired yet", "还没有更正过"),
                page.t("A plan shows what would be sent before anything is.", "方案会先列出要发送的内容，再决定是否执行。")))
        } @else { (section(page.t("Repairs", "更正记录"), "", table(page.t("Repairs", "更正"), &columns, rows.collect()))) }
    };
    Sheet::new(page.t("Repairs", "更正"), body).lead(html! {
        p { (page.t(
            "What the ledger shows is corrected at its source, by a plan that can be taken back.",
            "台账中的差异在来源处更正：先看方案，再执行，可以撤销。",
        )) }
    })
}

fn undo(page: &Page, hash: &str) -> Markup {
    html! {
        details.more {
            summary { (page.t("Take back", "撤销")) }
            (post_form(page, "/repairs/apply", "inline", html! {
                input type="hidden" name="hash" value=(hash);
                input type="hidden" name="undo" value="true";
                (reason_field(page.t("Why", "原因"), &format!("undo-{hash}")))
                (danger_button(page.t("Take back", "撤销")))
            }))
        }
    }
}

fn planner(page: &Page, scope: &RepairScope) -> Markup {
    let of = |value: &Option<String>| value.clone().unwrap_or_default();
    html! {
        form.panel.inline method="get" action="/repairs/plan" {
            (text_field("system", page.t("System (all without)", "系统（不填为全部）"), &of(&scope.system), ""))
            (text_field("rule", page.t("Kind (all without)", "类别（不填为全部）"), &of(&scope.rule), ""))
            (text_field("key", page.t("Key (all without)", "编号（不填为全部）"), &of(&scope.key), ""))
            (button(page.t("Show a plan", "拟定方案")))
        }
    }
}

/// What would be corrected where.
pub(crate) fn plan(page: &Page, plan: &RepairPlan) -> Sheet {
    let body = html! {
        @if page.may(Permission::Operate) { (planner(page, &plan.scope)) }
        @match &plan.hash {
            None => {
                (empty(page.t("Nothing to correct", "没有可更正的"),
                    page.t("Below is why the differences are left out.", "下面列出各差异未纳入的原因。")))
            }
            Some(hash) => {
                (section(page.t("What would be sent", "将要发送"), &count(plan.count), html! {
                    (records(page, &plan.records))
                    @if (plan.records.len() as u64) < plan.count {
                        p.hint { (page.t("The first ", "仅列前 ")) (plan.records.len()) (page.t(" are shown; all are sent.", " 条，执行时全部发送。")) }
                    }
                    @if page.may(Permission::Operate) {
                        (post_form(page, "/repairs/apply", "choicebar", html! {
                            input type="hidden" name="hash" value=(hash);
                            (text_field("reason", page.t("Why", "原因"), "", "required off"))
                            (button(page.t("Send exactly this", "按此方案执行")))
                            span.soft.small { code { (short(hash)) } }
                        }))
                    }
                }))
            }
        }
        @if !plan.left_out.is_empty() { (section(page.t("Left out", "未纳入的差异"), "", left_out(page, plan))) }
    };
    Sheet::new(page.t("A plan", "更正方案"), body).under(page.t("Repairs", "更正"), "/repairs")
}

fn records(page: &Page, records: &[RepairRecord]) -> Markup {
    let columns = [
        text(page.t("Record", "记录")),
        word(page.t("What", "动作")),
        text(page.t("Through", "经由")),
        text(page.t("Changes", "变更")),
    ];
    let rows = records.iter().map(|record| {
        vec![
            html! { (record.key)
                @if let Some(refused) = &record.refused_before {
                    span.of { (badge(page.t("refused before", "上次被退回"), Tone::Warn)) " " (refused) }
                }
            },
            html! { (words::name(&record.action, page.language)) },
            html! { code { (record.push) } },
            html! {
                @for change in &record.changes {
                    span.of { code { (change.column) } (page.t(": ", "：")) (maybe(change.before.as_deref())) " → " b { (maybe(change.after.as_deref())) } }
                }
            },
        ]
    });
    table(page.t("What would be sent", "将要发送"), &columns, rows.collect())
}

fn left_out(page: &Page, plan: &RepairPlan) -> Markup {
    let columns = [
        text(page.t("System", "系统")),
        text(page.t("Kind", "类别")),
        text(page.t("Why not", "原因")),
        number(page.t("Differences", "差异")),
        text(page.t("Such as", "例如")),
    ];
    let rows = plan.left_out.iter().map(|left| {
        vec![
            html! { (left.system) },
            html! { (words::rule(&left.rule, page.language)) },
            html! { (words::name(&left.why, page.language)) @if let Some(push) = &left.push { span.of { code { (push) } } } },
            html! { (count(left.differences)) },
            html! { (left.example) },
        ]
    });
    table(page.t("Left out", "未纳入的差异"), &columns, rows.collect())
}

//! The balance of each stream: everything read is accounted for.

use maud::{Markup, html};

use super::section_head;
use crate::daily::{Daily, Step, StepState, Stream};
use crate::text;

/// The columns of the sum, with the sign before each.
const PARTS: [(&str, &str); 6] =
    [("", "读取"), ("=", "写入"), ("+", "未变"), ("+", "去重"), ("+", "过滤"), ("+", "隔离")];

pub(super) fn section(daily: &Daily) -> Markup {
    html! {
        section aria-labelledby="balances" {
            (section_head("balances", "读取平衡", "每个数据流最近一次读取：读到的每一行都有去处"))
            @if daily.streams.is_empty() { p.none { "项目里还没有数据流。" } } @else {
                table.stack role="table" {
                    thead role="rowgroup" { tr role="row" {
                        th scope="col" role="columnheader" { "数据流" }
                        @for (sign, name) in PARTS {
                            th.num scope="col" role="columnheader" {
                                @if !sign.is_empty() { span.sign aria-hidden="true" { (sign) } } (name)
                            }
                        }
                        th.num scope="col" role="columnheader" { "另：删除" }
                        th scope="col" role="columnheader" { "最近运行" }
                        th scope="col" role="columnheader" { "结果" }
                    } }
                    tbody role="rowgroup" {
                        @for stream in &daily.streams { (row(stream, &daily.day)) }
                    }
                }
            }
        }
    }
}

fn row(stream: &Stream, day: &str) -> Markup {
    html! {
        tr role="row" {
            th.name scope="row" role="rowheader" {
                (stream.node) span.of { (stream.system) }
            }
            @match &stream.last {
                None => { td.none role="cell" colspan="9" { "还没有读取过" } }
                Some(step) => { (cells(step, stream.quarantine, day)) }
            }
        }
    }
}

fn cells(step: &Step, quarantine: u64, day: &str) -> Markup {
    let b = &step.balance;
    let counts = [b.read, b.written, b.unchanged, b.deduplicated, b.filtered, b.quarantined];
    html! {
        @for ((sign, name), count) in PARTS.iter().zip(counts) {
            td.num.zero[count == 0] role="cell" data-label=(format!("{sign} {name}")) { (count) }
        }
        td.num.zero[b.deleted == 0] role="cell" data-label="删除" { (b.deleted) }
        td.at role="cell" { (text::moment(&step.at, day)) span.of { "运行 " (step.run) } }
        td.mark role="cell" {
            (mark(step))
            @if b.echoed > 0 { span.of { "推送回流 " (b.echoed) " 行" } }
            @if quarantine > 0 { span.of { "隔离区共 " (quarantine) " 行" } }
        }
    }
}

/// Whether it went well, and whether it balanced.
fn mark(step: &Step) -> Markup {
    if !step.balance.is_even() {
        return html! { span.bad { "✕ 不平" } };
    }
    let code = step.trouble.as_ref().map_or("", |trouble| trouble.code.as_str());
    match step.state {
        StepState::Succeeded => html! { span.good { "✓ 平" } },
        StepState::Unchanged => html! { span.good { "✓ 平，无变化" } },
        StepState::Failed => html! { span.bad { "✕ 失败" } span.of { (code) } },
        StepState::Blocked => html! { span.bad { "✕ 未运行" } span.of { (code) } },
        other => html! { span { (text::state(other)) } },
    }
}

//! What is late or missing, and how that was judged; what was pushed.

use maud::{Markup, html};

use super::section_head;
use crate::daily::{Daily, Push, Stream, Timing};
use crate::text;

pub(super) fn section(daily: &Daily) -> Markup {
    let is_noticed = |stream: &&Stream| {
        stream.timing.is_late || stream.news.is_long_ago() || stream.timing.job.is_none()
    };
    let (noticed, fine): (Vec<&Stream>, Vec<&Stream>) = daily.streams.iter().partition(is_noticed);
    html! {
        section aria-labelledby="late" {
            (section_head("late", "迟到与缺失", "按任务安排和工作日历判断"))
            @if noticed.is_empty() {
                p.none { "没有迟到的数据流，也没有久无新数据的数据流。" }
            } @else {
                (streams(&noticed, &daily.day))
            }
            @if !fine.is_empty() {
                details {
                    summary { (fine.len()) " 个数据流按时" }
                    (streams(&fine, &daily.day))
                }
            }
            details {
                summary { "怎样判断" }
                p { "按时：任务（config/jobs.toml）最近一次应运行的时间之后成功读取过；刚到点的半小时内不算。" }
                p { "久无新数据：距上次有新增、变更或删除的工作日数，超过近 45 天里最长的一次间隔；\
                     近 45 天里有新数据的日子不足 5 天的，不判断。工作日按 config/calendar 的安排，没有当年安排的记“不详”。" }
            }
        }
        section aria-labelledby="pushes" {
            (section_head("pushes", "推送", "发往各系统的记录"))
            @if daily.pushes.is_empty() { p.none { "项目里没有推送。" } } @else {
                (pushes(&daily.pushes, &daily.day))
            }
        }
    }
}

fn streams(streams: &[&Stream], day: &str) -> Markup {
    html! {
        table.stack role="table" {
            thead role="rowgroup" { tr role="row" {
                th scope="col" role="columnheader" { "数据流" }
                th scope="col" role="columnheader" { "应读" }
                th scope="col" role="columnheader" { "最近成功" }
                th scope="col" role="columnheader" { "最近新数据" }
                th scope="col" role="columnheader" { "判断" }
            } }
            tbody role="rowgroup" {
                @for stream in streams {
                    tr role="row" {
                        th.name scope="row" role="rowheader" { (stream.node) span.of { (stream.owner) } }
                        td role="cell" data-label="应读" { (due(&stream.timing, day)) }
                        td role="cell" data-label="最近成功" { (known(stream.timing.done_at.as_deref().map(|at| text::moment(at, day)))) }
                        td role="cell" data-label="最近新数据" { (known(stream.news.last_day.as_deref().map(text::short_day))) }
                        td role="cell" { (judged(stream)) }
                    }
                }
            }
        }
    }
}

fn due(timing: &Timing, day: &str) -> Markup {
    html! {
        @match (&timing.job, &timing.due_at) {
            (Some(job), Some(at)) => { (text::moment(at, day)) span.of { (job) } }
            (Some(job), None) => { "还没有到过" span.of { (job) } }
            (None, _) => { "没有任务" }
        }
    }
}

fn known<T: AsRef<str>>(value: Option<T>) -> String {
    value.map_or_else(|| "—".to_owned(), |value| value.as_ref().to_owned())
}

fn judged(stream: &Stream) -> Markup {
    let Stream { timing, news, .. } = stream;
    html! {
        @if timing.is_late {
            span.bad { "迟到" }
            @if let Some(days) = timing.late_workdays.filter(|days| *days > 0) { span.of { (days) " 个工作日" } }
        }
        @if news.is_long_ago() {
            span.warn { "久无新数据" }
            span.of { "已 " (text::workdays(news.workdays)) "，以往最长 " (text::workdays(news.usual)) }
        }
        @if timing.job.is_none() { span { "没有排入任务，不判断迟到" } }
        @else if !timing.is_late && !news.is_long_ago() { span.good { "✓ 按时" } }
    }
}

fn pushes(pushes: &[Push], day: &str) -> Markup {
    html! {
        table.stack role="table" {
            thead role="rowgroup" { tr role="row" {
                th scope="col" role="columnheader" { "推送" }
                th.num scope="col" role="columnheader" { "待发" }
                th.num scope="col" role="columnheader" { "已收下" }
                th.num scope="col" role="columnheader" { "被退回" }
                th.num scope="col" role="columnheader" { "不知是否送达" }
                th scope="col" role="columnheader" { "最近发送" }
                th scope="col" role="columnheader" { "应发" }
            } }
            tbody role="rowgroup" {
                @for push in pushes {
                    @let outbox = &push.outbox;
                    tr role="row" {
                        th.name scope="row" role="rowheader" { (push.node) span.of { (push.system) } }
                        td.num.zero[outbox.waiting == 0] role="cell" data-label="待发" { (outbox.waiting) }
                        td.num.zero[outbox.accepted == 0] role="cell" data-label="已收下" { (outbox.accepted) }
                        td.num.zero[outbox.rejected == 0].bad[outbox.rejected > 0] role="cell" data-label="被退回" { (outbox.rejected) }
                        td.num.zero[outbox.unknown == 0].bad[outbox.unknown > 0] role="cell" data-label="不知是否送达" { (outbox.unknown) }
                        td role="cell" data-label="最近发送" {
                            @if let Some(step) = &push.last {
                                (text::moment(&step.at, day)) span.of { (text::state(step.state)) }
                            } @else { "—" }
                        }
                        td role="cell" data-label="应发" { (due(&push.timing, day)) }
                    }
                }
            }
        }
    }
}

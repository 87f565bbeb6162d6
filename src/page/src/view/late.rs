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
        table.plain {
            thead { tr {
                th scope="col" { "数据流" }
                th scope="col" { "应读" }
                th scope="col" { "最近成功" }
                th scope="col" { "最近新数据" }
                th scope="col" { "判断" }
            } }
            tbody {
                @for stream in streams {
                    tr {
                        th.name scope="row" { (stream.node) span.of { (stream.owner) } }
                        td { (due(&stream.timing, day)) }
                        td { (known(stream.timing.done_at.as_deref().map(|at| text::moment(at, day)))) }
                        td { (known(stream.news.last_day.as_deref().map(text::short_day))) }
                        td { (judged(stream)) }
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
        table.plain {
            thead { tr {
                th scope="col" { "推送" }
                th.num scope="col" { "待发" }
                th.num scope="col" { "已收下" }
                th.num scope="col" { "被退回" }
                th.num scope="col" { "不知是否送达" }
                th scope="col" { "最近发送" }
                th scope="col" { "应发" }
            } }
            tbody {
                @for push in pushes {
                    @let outbox = &push.outbox;
                    tr {
                        th.name scope="row" { (push.node) span.of { (push.system) } }
                        td.num.zero[outbox.waiting == 0] { (outbox.waiting) }
                        td.num.zero[outbox.accepted == 0] { (outbox.accepted) }
                        td.num.zero[outbox.rejected == 0].bad[outbox.rejected > 0] { (outbox.rejected) }
                        td.num.zero[outbox.unknown == 0].bad[outbox.unknown > 0] { (outbox.unknown) }
                        td {
                            @if let Some(step) = &push.last {
                                (text::moment(&step.at, day)) span.of { (text::state(step.state)) }
                            } @else { "—" }
                        }
                        td { (due(&push.timing, day)) }
                    }
                }
            }
        }
    }
}

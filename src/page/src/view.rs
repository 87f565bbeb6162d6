//! The daily page as HTML.

mod balances;
mod differences;
mod figures;
mod late;
mod report;

use maud::{Markup, html};

use crate::attention::{Attention, Level};
use crate::daily::{Daily, Run, StepState};
use crate::document::document;
use crate::text;

impl Daily {
    /// The page as one HTML file.
    pub fn html(&self) -> String {
        let attention = self.attention();
        let title = format!("数据日报 {} {}", self.day, self.office);
        let body = html! {
            div.page #top {
                (head(self))
                (verdict(self, &attention))
                main {
                    (figures::section(self))
                    (balances::section(self))
                    @for differences in &self.differences {
                        (differences::section(differences, &self.day))
                    }
                    (late::section(self))
                    (figures::definitions(self))
                }
                footer {
                    p { "本页只有计数、单位名称和事项编码，不含申请人信息。数字出自数据快照 "
                        (self.snapshot) "，可用 " code { "huiliu metric show" } " 与 "
                        code { "huiliu runs show" } " 复核。" }
                }
            }
        };
        document(&title, &body)
    }
}

fn head(daily: &Daily) -> Markup {
    let work = daily.is_workday.map(|works| if works { "工作日" } else { "非工作日" });
    html! {
        header {
            div {
                p.office { (daily.office) }
                h1 { "数据日报" }
            }
            div.when {
                p.day { time datetime=(daily.day) { (text::long_day(&daily.day)) } }
                p { (text::weekday(&daily.day)) @if let Some(work) = work { " · " (work) } }
            }
        }
        dl.facts {
            div { dt { "数据快照" } dd { (daily.snapshot) } }
            @if let Some(run) = &daily.run { div { dt { "运行" } dd { (run_words(run, &daily.day)) } } }
            div { dt { "写于" } dd { (text::moment(&daily.written_at, &daily.day)) } }
        }
    }
}

fn run_words(run: &Run, day: &str) -> Markup {
    let by = run.job.as_ref().map_or_else(|| "手工".to_owned(), |job| format!("任务 {job}"));
    html! {
        (run.number) "（" (by) "，" (text::moment(&run.started_at, day)) " 开始，"
        (text::state(run.state)) "）"
    }
}

/// The overall state in one sentence, then what needs a person.
fn verdict(daily: &Daily, attention: &[Attention]) -> Markup {
    let worst = attention.first().map(|attention| attention.level);
    let class = match worst {
        None => "ok",
        Some(Level::Look) => "look",
        Some(Level::Stop) => "stop",
    };
    let postponed = daily.streams.iter().filter(|stream| {
        let trouble = stream.last.as_ref().and_then(|step| step.trouble.as_ref());
        trouble.is_some_and(|trouble| trouble.is_postponed)
    });
    let postponed = postponed.count();
    html! {
        section class=(format!("verdict {class}")) aria-labelledby="verdict" {
            h2 #verdict {
                @match attention.len() {
                    0 => { "一切正常，没有事情需要人处理。" }
                    count => { "有 " strong { (count) } " 件事需要人处理。" }
                }
            }
            @if !attention.is_empty() {
                ul {
                    @for item in attention {
                        li class=(if item.level == Level::Stop { "stop" } else { "look" }) {
                            span.mark { (if item.level == Level::Stop { "急" } else { "看" }) }
                            div {
                                p {
                                    a href=(format!("#{}", item.section)) { (item.subject) }
                                    @if let Some(node) = &item.node { " " code { (node) } }
                                    " " (item.matter)
                                }
                                p.todo { (item.todo) }
                            }
                        }
                    }
                }
            }
            (summary(daily))
            @if postponed > 0 {
                p.note { (postponed) " 个数据流在对方的免打扰时段内，时段过后再读。" }
            }
        }
    }
}

/// The day in a line.
fn summary(daily: &Daily) -> Markup {
    let read = daily.streams.iter().filter_map(|stream| stream.last.as_ref());
    let good = read.filter(|step| {
        matches!(step.state, StepState::Succeeded | StepState::Unchanged) && step.balance.is_even()
    });
    let kinds = || daily.differences.iter().flat_map(|differences| &differences.kinds);
    let waiting: i64 = daily.pushes.iter().map(|push| push.outbox.waiting).sum();
    html! {
        p.note {
            (daily.streams.len()) " 个数据流中 " (good.count()) " 个读到且平衡；未解决的部门差异 "
            (kinds().map(|kind| kind.open).sum::<u64>()) " 条，今日新增 "
            (kinds().map(|kind| kind.opened_today).sum::<u64>()) "、关闭 "
            (kinds().map(|kind| kind.closed_today).sum::<u64>()) "；待发 " (waiting) " 条。"
        }
    }
}

/// A section with its heading.
fn section_head(id: &str, title: &str, note: &str) -> Markup {
    html! {
        div.head {
            h2 id=(id) { (title) }
            @if !note.is_empty() { p { (note) } }
        }
    }
}

#[cfg(test)]
mod tests;

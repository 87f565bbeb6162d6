//! Runs, and one of them as it goes.

use huiliu_core::access::Permission;
use maud::{Markup, html};

use crate::console::format::count;
use crate::console::layout::{Page, Sheet};
use crate::console::parts::{
    badge, button, dense_table, empty, facts, number, pager, post_form, quantity, reason_field,
    run_link, section, state, table, text, text_field, word,
};
use crate::console::words::{self, Tone};
use crate::data::{self, Counts, Run, RunDetail, Step};

/// Seconds between two looks at a run that goes on, where no script does it.
const LOOK: u32 = 5;
/// Steps that are seen at once when all is over.
const MANY: usize = 20;

/// The runs, newest first.
pub(crate) fn list(page: &Page, runs: &data::Page<Run>) -> Sheet {
    let columns = [
        word(page.t("Run", "运行")),
        text(page.t("What", "内容")),
        word(page.t("State", "状态")),
        word(page.t("Began", "开始")),
        word(page.t("Took", "用时")),
    ];
    let rows = runs.items.iter().map(|run| {
        vec![
            run_link(run.run),
            what(page, run),
            state(page, &run.state),
            page.times.moment(Some(&run.started_at)),
            html! { (page.times.took(&run.started_at, run.finished_at.as_deref())) },
        ]
    });
    let body = html! {
        @if page.may(Permission::Operate) { (start(page)) }
        @if runs.items.is_empty() {
            (empty(
                page.t("Nothing ran yet", "还没有运行过"),
                page.t("Start a run above, or let a job do it.", "在上方发起运行，或等作业按时运行。"),
            ))
        } @else { (table(page.t("Runs", "运行记录"), &columns, rows.collect())) }
        (pager(page, runs, "/runs", &[]))
    };
    Sheet::new(page.t("Runs", "运行记录"), body)
}

fn what(page: &Page, run: &Run) -> Markup {
    match &run.job {
        Some(job) => html! {
            a href=(format!("/jobs/{job}")) { (job) } span.of { code { (run.selector) } }
        },
        None => html! { code { (run.selector) } span.of { (page.t("by hand", "手工")) } },
    }
}

fn start(page: &Page) -> Markup {
    let form = html! {
        div.inline {
            (text_field("selector", page.t("What to run", "运行什么"), "", "required off"))
            (text_field("reason", page.t("Why", "原因"), "", "required off"))
        }
        p.hint {
            (page.t("Names with *, + before for what they need, + after for what needs them: ",
                "写名称，可用 *；名称前加 + 表示连同其所需，后加 + 表示连同其下游，如 "))
            code { "city_operation.*" } " " code { "+metrics.*" }
        }
        p.checks {
            label { input type="checkbox" name="during_quiet_hours" value="true"; (page.t("in quiet hours too", "免打扰时段也读")) }
            label { input type="checkbox" name="whole" value="true"; (page.t("read from the start once more", "增量流从头再读一遍")) }
        }
        (button(page.t("Start", "开始运行")))
    };
    html! {
        details.panel.starter {
            summary { (page.t("Start a run", "发起运行")) }
            (post_form(page, "/runs", "stackedwide", form))
        }
    }
}

/// One run.
pub(crate) fn run(page: &Page, detail: &RunDetail) -> Sheet {
    let run = &detail.run_row;
    let is_running = run.finished_at.is_none();
    let live = is_running.then(|| format!("/runs/{}/live", run.run));
    let body = html! { div aria-live="polite" data-live=[live] { (progress(page, detail)) } };
    let sheet = Sheet::new(format!("{} #{}", page.t("Run", "运行"), run.run), body)
        .under(page.t("Runs", "运行记录"), "/runs");
    if is_running { sheet.refresh(LOOK) } else { sheet }
}

/// The part of a run's page that changes while it goes on.
pub(crate) fn progress(page: &Page, detail: &RunDetail) -> Markup {
    let run = &detail.run_row;
    let moves = |step: &&Step| matches!(step.kind.as_str(), "stream" | "replay");
    let (streams, others): (Vec<&Step>, Vec<&Step>) = detail.steps.iter().partition(moves);
    let bad: Vec<&Step> = detail
        .steps
        .iter()
        .filter(|step| matches!(step.state.as_str(), "failed" | "blocked" | "partial"))
        .filter(|step| step.code.is_some())
        .collect();
    html! {
        div.panel {
            (facts(vec![
                (page.t("State", "状态"), state(page, &run.state)),
                (page.t("What", "内容"), what(page, run)),
                (page.t("Began", "开始"), page.times.moment(Some(&run.started_at))),
                (page.t("Took", "用时"), html! { (page.times.took(&run.started_at, run.finished_at.as_deref())) }),
                (page.t("Steps", "步骤"), html! { (detail.steps.len()) }),
                (page.t("Balance", "平衡"), balanced(page, detail.balanced, !streams.is_empty())),
            ]))
            @if run.finished_at.is_none() {
                p.going { progress aria-label=(page.t("in progress", "进行中")) {} }
            }
        }
        @for (number, step) in bad.iter().enumerate() { (failed(page, step, number)) }
        @if !streams.is_empty() {
            (section(
                page.t("Every row is accounted for", "读到的每一行都有去处"),
                page.t("read = written + unchanged + deduplicated + filtered + quarantined + echoed",
                    "读取 = 写入 + 未变 + 去重 + 过滤 + 隔离 + 回流"),
                html! { (sum(page, &total(&streams))) div.panelgap { (balances(page, &streams)) } },
            ))
        }
        @if !others.is_empty() {
            (section(page.t("Other steps", "其他步骤"), "", html! {
                @if others.len() > MANY && run.finished_at.is_some() {
                    details.more { summary { (page.t("All ", "全部 ")) (others.len()) } (steps(page, &others)) }
                } @else { (steps(page, &others)) }
            }))
        }
    }
}

fn balanced(page: &Page, is_balanced: bool, is_known: bool) -> Markup {
    match (is_known, is_balanced) {
        (false, _) => html! { span.nothing { "—" } },
        (true, true) => badge(page.t("balanced", "平"), Tone::Good),
        (true, false) => badge(page.t("not balanced", "不平"), Tone::Bad),
    }
}

/// Why a step did not do its work, and how a plan that a guard stopped is let through.
fn failed(page: &Page, step: &Step, number: usize) -> Markup {
    let hint = step.hint.as_deref().unwrap_or_default();
    let plan = plan_in(hint).filter(|_| page.may(Permission::Operate));
    html! {
        div.trouble {
            p { span.sign aria-hidden="true" { "✕" } b { (step.node) } " "
                (words::state(&step.state, page.language).0) (page.t(": ", "："))
                (step.message.as_deref().unwrap_or_default()) }
            @if !hint.is_empty() { p { span.soft { (page.t("What to do: ", "怎么办：")) } (hint) } }
            @if let Some(code) = &step.code { p.soft { code { (code) } } }
            @if let Some(plan) = plan {
                details.more {
                    summary { (page.t("Let this plan pass", "放行这一方案")) }
                    (post_form(page, "/runs", "inline", html! {
                        input type="hidden" name="selector" value=(step.node);
                        input type="hidden" name="accept" value=(plan);
                        (reason_field(page.t("Why", "原因"), &format!("reason-{number}")))
                        (button(page.t("Accept and run", "放行并运行")))
                    }))
                }
            }
        }
    }
}

/// The hash of the plan that a guard's hint shows.
fn plan_in(hint: &str) -> Option<&str> {
    let (_, rest) = hint.split_once("--accept ")?;
    let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(rest.len());
    rest.get(..end).filter(|hash| !hash.is_empty())
}

fn total(steps: &[&Step]) -> Counts {
    let mut all = Counts { balanced: true, ..Counts::default() };
    for Counts {
        read,
        written,
        unchanged,
        deduplicated,
        filtered,
        quarantined,
        echoed,
        deleted,
        balanced,
    } in steps.iter().map(|step| step.counts)
    {
        all.read += read;
        all.written += written;
        all.unchanged += unchanged;
        all.deduplicated += deduplicated;
        all.filtered += filtered;
        all.quarantined += quarantined;
        all.echoed += echoed;
        all.deleted += deleted;
        all.balanced &= balanced;
    }
    all
}

fn parts<'a>(page: &'a Page, counts: &Counts) -> [(&'a str, u64); 6] {
    [
        (page.t("written", "写入"), counts.written),
        (page.t("unchanged", "未变"), counts.unchanged),
        (page.t("deduplicated", "去重"), counts.deduplicated),
        (page.t("filtered", "过滤"), counts.filtered),
        (page.t("quarantined", "隔离"), counts.quarantined),
        (page.t("echoed", "回流"), counts.echoed),
    ]
}

/// A balance as a sum that comes out.
pub(crate) fn sum(page: &Page, counts: &Counts) -> Markup {
    let term = |name: &str, number: u64, class: &str| {
        html! { span.term.(class) { b { (count(number)) } span { (name) } } }
    };
    html! {
        div.panel.sum {
            (term(page.t("read", "读取"), counts.read, if counts.balanced { "" } else { "bad" }))
            @for (index, (name, number)) in parts(page, counts).into_iter().enumerate() {
                span.op aria-hidden="true" { (if index == 0 { "=" } else { "+" }) }
                (term(name, number, if number == 0 { "zero" } else { "" }))
            }
            span.beside.soft { (page.t("beside it: deleted ", "另：删除 ")) (count(counts.deleted)) }
            (balanced(page, counts.balanced, true))
        }
    }
}

fn balances(page: &Page, streams: &[&Step]) -> Markup {
    let columns = [
        text(page.t("Stream", "数据流")),
        word(page.t("State", "状态")),
        number(page.t("Read", "读取")),
        number(page.t("= written", "= 写入")),
        number(page.t("+ unchanged", "+ 未变")),
        number(page.t("+ dedup.", "+ 去重")),
        number(page.t("+ filtered", "+ 过滤")),
        number(page.t("+ quarant.", "+ 隔离")),
        number(page.t("+ echoed", "+ 回流")),
        number(page.t("Deleted", "删除")),
        word(page.t("Took", "用时")),
    ];
    let rows = streams.iter().map(|step| {
        let counts = &step.counts;
        let mut cells = vec![
            html! { (step.node) @if step.kind == "replay" { span.of { (words::name("replay", page.language)) } } },
            html! {
                (state(page, &step.state))
                @if !counts.balanced { span.of { (balanced(page, false, true)) } }
            },
            quantity(counts.read),
        ];
        cells.extend(parts(page, counts).into_iter().map(|(_, number)| quantity(number)));
        cells.push(quantity(counts.deleted));
        cells.push(html! { (page.times.took(&step.started_at, step.finished_at.as_deref())) });
        cells
    });
    dense_table(page.t("Balance of each stream", "各数据流的平衡"), &columns, rows.collect())
}

fn steps(page: &Page, steps: &[&Step]) -> Markup {
    let columns = [
        text(page.t("Step", "步骤")),
        word(page.t("Kind", "种类")),
        word(page.t("State", "状态")),
        number(page.t("Rows written", "写入行数")),
        word(page.t("Took", "用时")),
    ];
    let rows = steps.iter().map(|step| {
        vec![
            html! { (step.node) },
            html! { (words::name(&step.kind, page.language)) },
            state(page, &step.state),
            quantity(step.counts.written),
            html! { (page.times.took(&step.started_at, step.finished_at.as_deref())) },
        ]
    });
    table(page.t("Other steps", "其他步骤"), &columns, rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_of_a_guard_is_found_in_its_hint() {
        assert_eq!(plan_in("look; `huiliu run a.b --accept 1f2e3d`; else"), Some("1f2e3d"));
        assert_eq!(plan_in("wait"), None);
        assert_eq!(plan_in("--accept "), None);
    }
}

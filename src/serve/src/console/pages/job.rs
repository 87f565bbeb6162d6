//! Jobs: when each runs next, how it last ended, what became of each time.

use huiliu_core::access::Permission;
use maud::{Markup, html};

use crate::console::layout::{Page, Sheet};
use crate::console::parts::{
    badge, button, empty, facts, maybe, number, post_form, run_link, section, state, table, text,
    text_field, trouble, word,
};
use crate::console::words::Tone;
use crate::data::{Job, JobRun, Upcoming};

/// All jobs.
pub(crate) fn list(page: &Page, jobs: &[Job], upcoming: &[Upcoming]) -> Sheet {
    let columns = [
        text(page.t("Job", "作业")),
        word(page.t("Stands", "现状")),
        word(page.t("Next", "下次")),
        word(page.t("Last time", "上次")),
        text(page.t("Runs", "内容")),
    ];
    let rows = jobs.iter().map(|job| {
        vec![
            html! {
                a href=(format!("/jobs/{}", job.job)) { (job.job) }
                span.of { code { (job.cron) } @if job.workdays_only { " · " (page.t("working days", "工作日")) } }
            },
            standing(page, job),
            html! {
                (page.times.moment(job.next.as_deref()))
                @if job.warning.is_some() { span.of { (badge(page.t("see why", "有提示"), Tone::Warn)) } }
            },
            html! { @match &job.last {
                Some(last) => { (page.times.moment(last.finished_at.as_deref())) @if let Some(run) = last.run { span.of { (run_link(run)) } } }
                None => { span.nothing { (page.t("never", "从未")) } }
            } },
            html! { code { (job.run) } },
        ]
    });
    let body = html! {
        @if jobs.is_empty() {
            (empty(page.t("No jobs", "没有作业"), page.t("Jobs are in config/jobs.toml.", "作业写在 config/jobs.toml 中。")))
        } @else { (table(page.t("Jobs", "作业"), &columns, rows.collect())) }
        @if !upcoming.is_empty() { (section(page.t("What comes next", "接下来"), "", next(page, upcoming))) }
    };
    Sheet::new(page.t("Jobs", "作业"), body)
}

fn standing(page: &Page, job: &Job) -> Markup {
    if job.parked_at.is_some() {
        return state(page, "parked");
    }
    match (&job.open, &job.last) {
        (Some(open), _) => state(page, &open.state),
        (None, Some(last)) => state(page, &last.state),
        (None, None) => badge(page.t("never ran", "从未运行"), Tone::Calm),
    }
}

fn next(page: &Page, upcoming: &[Upcoming]) -> Markup {
    let columns = [text(page.t("Job", "作业")), word(page.t("When", "时间"))];
    let rows = upcoming.iter().map(|next| {
        vec![
            html! { a href=(format!("/jobs/{}", next.job)) { (next.job) } },
            page.times.moment(Some(&next.at)),
        ]
    });
    table(page.t("What comes next", "接下来"), &columns, rows.collect())
}

/// One job with what became of its times.
pub(crate) fn job(page: &Page, job: &Job, history: &[JobRun]) -> Sheet {
    let columns = [
        word(page.t("Due", "应运行")),
        word(page.t("Became", "结果")),
        word(page.t("Run", "运行")),
        text(page.t("Said", "说明")),
        number(page.t("Tries", "次数")),
        number(page.t("Left out before it", "此前漏跑")),
        word(page.t("Took", "用时")),
    ];
    let rows = history.iter().map(|time| {
        vec![
            page.times.moment(Some(&time.scheduled_at)),
            state(page, &time.state),
            html! { @match time.run { Some(run) => { (run_link(run)) }, None => { span.nothing { "—" } } } },
            html! { (maybe(time.message.as_deref())) @if let Some(code) = &time.code { span.of { code { (code) } } } },
            html! { (time.attempts) },
            html! { (time.missed) },
            html! { @if let Some(from) = &time.started_at { (page.times.took(from, time.finished_at.as_deref())) } },
        ]
    });
    let body = html! {
        @if let Some(since) = &job.parked_at {
            div.trouble role="alert" {
                p { span.sign aria-hidden="true" { "✕" } b { (page.t("Parked", "已停放")) } " " (page.times.moment(Some(since))) }
                p { (page.t("Its process ended in the middle of it, several times in a row: ", "进程连续在运行途中意外结束，次数：")) (job.deaths) }
                @if page.may(Permission::Operate) {
                    (post_form(page, &format!("/jobs/{}/unpark", job.job), "inline", html! {
                        (text_field("reason", page.t("What was done about it", "已作的处理"), "", "required off"))
                        (button(page.t("Let it run again", "恢复运行")))
                    }))
                }
            }
        }
        @if let Some(warning) = &job.warning { (trouble(page, "", warning, None)) }
        div.panel {
            (facts(vec![
                (page.t("Stands", "现状"), standing(page, job)),
                (page.t("Runs", "内容"), html! { code { (job.run) } }),
                (page.t("When", "时间"), html! { code { (job.cron) } " " (job.zone) }),
                (page.t("Calendar", "日历"), html! { (if job.workdays_only { page.t("working days only", "仅工作日") } else { page.t("every day", "每天") }) }),
                (page.t("Next", "下次"), page.times.moment(job.next.as_deref())),
            ]))
        }
        (section(page.t("What became of its times", "历次运行"), "", html! {
            @if history.is_empty() { (empty(page.t("It never ran", "还没有运行过"), "")) }
            @else { (table(page.t("History", "历次运行"), &columns, rows.collect())) }
        }))
    };
    let actions = html! {
        @if page.may(Permission::Operate) && job.parked_at.is_none() && job.open.is_none() {
            (post_form(page, &format!("/jobs/{}/run", job.job), "", button(page.t("Run it now", "立即运行"))))
        }
    };
    Sheet::new(job.job.clone(), body).under(page.t("Jobs", "作业"), "/jobs").actions(actions)
}

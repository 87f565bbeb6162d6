//! The first page of a morning: what needs a person, the figures, whether data came.

use maud::{Markup, html};

use super::figure::tiles;
use crate::console::format::count;
use crate::console::layout::{Page, Sheet};
use crate::console::parts::{
    address, badge, empty, freshness, link, number, quantity, run_link, section, state, table,
    tally, text, word,
};
use crate::console::words::{self, Tone};
use crate::data::{DifferenceTotal, Figure, Freshness, Overview, Run, Stream, Upcoming};
use huiliu_core::access::Permission;

/// Figures of each kind that the first page shows; the others are one link away.
const SHOWN: usize = 8;

/// Something that needs a person.
struct Matter {
    tone: Tone,
    subject: Markup,
    what: String,
    todo: String,
}

/// The first page. `runs` are the newest, `upcoming` the next times of jobs.
pub(crate) fn overview(page: &Page, seen: &Overview, runs: &[Run], upcoming: &[Upcoming]) -> Sheet {
    let name = page.reader.as_ref().map_or("", |reader| match reader.title.as_str() {
        "" => reader.name.as_str(),
        title => title,
    });
    let comma = page.t(", ", "，");
    let title = format!("{}{comma}{name}", page.times.greeting());
    let body = html! {
        (verdict(page, seen))
        @if page.may(Permission::Figures) { (figures(page, &seen.figures)) }
        @if page.may(Permission::Records) { (differences(page, &seen.differences)) }
        (streams(page, &seen.streams))
        div.columns {
            (newest(page, runs))
            (next(page, upcoming))
        }
    };
    let work = seen.is_workday.map(|is_workday| match is_workday {
        true => page.t("working day", "工作日"),
        false => page.t("day off", "休息日"),
    });
    Sheet::new(title, body).lead(html! {
        p {
            (page.times.today()) @if let Some(work) = work { " · " (work) }
            " · " (page.t("snapshot ", "数据快照 ")) (count(seen.snapshot))
        }
    })
}

fn verdict(page: &Page, seen: &Overview) -> Markup {
    let matters = matters(page, seen);
    let tone = matters.first().map_or(Tone::Good, |matter| matter.tone);
    html! {
        section.verdict.(tone.class()) aria-labelledby="verdict" {
            h2 #verdict {
                @match matters.len() {
                    0 => { (page.t("All is well. Nothing needs a person.", "一切正常，没有需要处理的事。")) }
                    1 => { (page.t("One matter needs a person.", "有 1 件事需要处理。")) }
                    some => { (page.t("", "有 ")) (some) (page.t(" matters need a person.", " 件事需要处理。")) }
                }
            }
            @if matters.is_empty() { p.note { (summary(page, seen)) } }
            @else {
                ul {
                    @for matter in &matters {
                        li.(matter.tone.class()) {
                            span.mark {
                                @if matter.tone == Tone::Bad { (page.t("now", "急")) } @else { (page.t("look", "看")) }
                            }
                            div { p { (matter.subject) " " (matter.what) } p.todo { (matter.todo) } }
                        }
                    }
                }
            }
        }
    }
}

fn summary(page: &Page, seen: &Overview) -> String {
    let fresh = seen.streams.iter().filter(|stream| stream.freshness != Freshness::Missing).count();
    match page.t("en", "zh") {
        "en" => format!("{fresh} of {} streams came as usual.", seen.streams.len()),
        _ => format!("{} 个数据流中 {fresh} 个按时到达。", seen.streams.len()),
    }
}

/// What needs a person, worst first.
fn matters(page: &Page, seen: &Overview) -> Vec<Matter> {
    let mut found = Vec::new();
    let mut add = |tone, subject: Markup, what: String, todo: &str| {
        found.push(Matter { tone, subject, what, todo: todo.to_owned() });
    };
    let said = |en: String, zh: String| if page.t("en", "zh") == "en" { en } else { zh };
    for job in &seen.parked_jobs {
        add(
            Tone::Bad,
            html! { a href=(format!("/jobs/{}", job.job)) { (job.job) } },
            said(
                format!("is parked: its process ended {} times in the middle of it", job.deaths),
                format!("已停放：进程 {} 次在运行途中意外结束", job.deaths),
            ),
            page.t(
                "Look at the log and the memory, then unpark it.",
                "查看日志和内存，处理后恢复作业。",
            ),
        );
    }
    for push in &seen.unknown_pushes {
        let path = format!("/pushes/{}", push.push);
        let subject = link(page, Permission::Records, &path, html! { (push.push) });
        if push.missing != 0 {
            add(
                Tone::Bad,
                subject.clone(),
                said(
                    format!("{} records are not accounted for", push.missing),
                    format!("{} 条记录去向不平", push.missing),
                ),
                page.t("Compare with what the target says it has.", "与对方核对实际收到的记录。"),
            );
        }
        if push.unknown > 0 {
            add(
                Tone::Bad,
                subject,
                said(
                    format!("{} records may have arrived, and nobody knows", count(push.unknown)),
                    format!("{} 条记录已发出而不知是否送达", count(push.unknown)),
                ),
                page.t(
                    "They are not sent again by themselves. Ask the target, then decide.",
                    "不会自动重发，请向对方核实后作出决定。",
                ),
            );
        }
    }
    for run in &seen.failed_runs {
        let what = run.job.as_deref().unwrap_or(&run.selector);
        let word = words::state(&run.state, page.language).0;
        add(
            if run.state == "failed" { Tone::Bad } else { Tone::Warn },
            html! { a href=(format!("/runs/{}", run.run)) { (page.t("Run", "运行")) " #" (run.run) } },
            said(format!("({what}) {word}"), format!("（{what}）{word}")),
            page.t("Open it for the step and what to do.", "点开查看出错的步骤和处理办法。"),
        );
    }
    // Parked jobs and open pushes are said above, with more.
    let others = |kind: &str| !matches!(kind, "job_parked" | "push_unknown");
    for alert in seen.alerts.iter().filter(|alert| others(&alert.kind)) {
        let tone = if alert.kind == "stream_missing" { Tone::Bad } else { Tone::Warn };
        add(
            tone,
            html! { a href="/alerts" { (words::name(&alert.kind, page.language)) } " " code { (alert.object) } },
            alert.detail.clone(),
            "",
        );
    }
    for rows in seen.quarantine.iter().filter(|rows| rows.rows > 0) {
        let path = address("/quarantine", &[("stream", &rows.stream)]);
        add(
            Tone::Warn,
            link(page, Permission::Records, &path, html! { (rows.stream) }),
            said(
                format!("rows in quarantine: {}", count(rows.rows)),
                format!("{} 行在隔离区", count(rows.rows)),
            ),
            page.t(
                "See why they did not fit, mend that, try them again.",
                "查看不合格的原因，更正后重新处理。",
            ),
        );
    }
    let held: Vec<&Figure> =
        seen.figures.iter().filter(|figure| !figure.held_back_by.is_empty()).collect();
    if let Some(first) = held.first() {
        add(
            Tone::Warn,
            link(
                page,
                Permission::Figures,
                &format!("/figures/{}", first.key),
                html! { (first.title) },
            ),
            said(
                format!("and {} figures are held back by audits", held.len()),
                format!("等 {} 个指标被审核规则暂缓，显示的是上一次的结果", held.len()),
            ),
            &first.held_back_by.join(", "),
        );
    }
    // The sort is stable, so what was said first of one kind stays first.
    found.sort_by_key(|matter| matter.tone != Tone::Bad);
    found
}

fn figures(page: &Page, figures: &[Figure]) -> Markup {
    let of = |is_ratio: bool| -> Vec<&Figure> {
        let kind = figures.iter().filter(move |figure| (figure.unit == "percent") == is_ratio);
        kind.take(SHOWN).collect()
    };
    let (ratios, counts) = (of(true), of(false));
    html! {
        section.part {
            div.parthead {
                h2 { (page.t("Figures", "指标")) }
                p.more { a href="/figures" { (page.t("all ", "全部 ")) (figures.len()) (page.t("", " 个")) " ›" } }
            }
            @if figures.is_empty() {
                (empty(page.t("No figures yet", "还没有指标"), ""))
            }
            (tiles(page, &[ratios, counts].concat()))
        }
    }
}

/// How many differences wait, and for how long the oldest has.
fn differences(page: &Page, totals: &[DifferenceTotal]) -> Markup {
    html! {
        @if !totals.is_empty() {
            section.part {
                div.parthead {
                    h2 { (page.t("Differences between systems", "系统间差异")) }
                    p.more { a href="/differences" { (page.t("the ledger", "差异台账")) " ›" } }
                }
                div.tiles {
                    @for total in totals {
                        article.tile {
                            h3 { a href=(address("/differences", &[("of", &total.reconciliation), ("state", "open")])) { (total.title) } }
                            p.value { (count(total.open)) span.unit { (page.t("open", "未解决")) } }
                            p.move {
                                @match total.oldest_workdays {
                                    Some(days) => {
                                        (page.t("the oldest for ", "最早的已 ")) (count(days)) (page.t(" working days", " 个工作日"))
                                    }
                                    None => { (page.t("nothing is known of its age", "时长不详")) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn streams(page: &Page, streams: &[Stream]) -> Markup {
    let many = |of: Freshness| streams.iter().filter(|stream| stream.freshness == of).count();
    let late: Vec<&Stream> = streams
        .iter()
        .filter(|stream| matches!(stream.freshness, Freshness::LateButUsual | Freshness::Missing))
        .collect();
    let fine: Vec<&Stream> = streams
        .iter()
        .filter(|stream| matches!(stream.freshness, Freshness::Fresh | Freshness::Unknown))
        .collect();
    let count_of = |name: &str, of: Freshness, tone: Tone| {
        let many = many(of);
        (name.to_owned(), many.to_string(), if many > 0 { tone } else { Tone::Calm })
    };
    let body = html! {
        (tally(vec![
            (page.t("streams", "数据流").to_owned(), streams.len().to_string(), Tone::Calm),
            count_of(page.t("fresh", "正常"), Freshness::Fresh, Tone::Good),
            count_of(page.t("late but usual", "偏晚但常见"), Freshness::LateButUsual, Tone::Warn),
            count_of(page.t("missing", "缺失"), Freshness::Missing, Tone::Bad),
            count_of(page.t("not judged yet", "暂不判断"), Freshness::Unknown, Tone::Calm),
        ]))
        @if !late.is_empty() { div.panelgap { (stream_table(page, &late)) } }
        @if !fine.is_empty() {
            details.more {
                summary { (page.t("The others", "其余数据流")) " (" (fine.len()) ")" }
                (stream_table(page, &fine))
            }
        }
    };
    let note = page
        .t("judged by each stream's own past, in working time", "按各流自身的历史、以工作时间判断");
    section(page.t("Has the data come?", "数据到了没有"), note, body)
}

/// Streams with how they stand.
pub(crate) fn stream_table(page: &Page, streams: &[&Stream]) -> Markup {
    let columns = [
        text(page.t("Stream", "数据流")),
        word(page.t("Freshness", "时效")),
        word(page.t("Last news", "最近新数据")),
        number(page.t("Rows, last working day", "上个工作日行数")),
        word(page.t("Usual", "往常")),
        number(page.t("In quarantine", "隔离")),
    ];
    let rows = streams.iter().map(|stream| {
        let system = stream.stream.split('.').next().unwrap_or_default();
        vec![
            html! {
                a href=(format!("/systems/{system}")) { (stream.stream) }
                span.of { (stream.system_title) }
            },
            html! {
                (freshness(page, stream.freshness))
                @if stream.is_parked { " " (badge(page.t("parked", "已停放"), Tone::Bad)) }
            },
            page.times.moment(stream.last_news.as_deref()),
            html! { @match stream.rows { Some(rows) => { (count(rows)) }, None => { span.nothing { "—" } } } },
            html! {
                @match stream.usual_rows {
                    Some((low, high)) => { (count(low)) "–" (count(high)) }
                    None => { span.nothing { "—" } }
                }
            },
            quantity(stream.quarantined),
        ]
    });
    table(page.t("Streams", "数据流"), &columns, rows.collect())
}

fn newest(page: &Page, runs: &[Run]) -> Markup {
    let columns = [
        word(page.t("Run", "运行")),
        text(page.t("What", "内容")),
        word(page.t("State", "状态")),
        word(page.t("Began", "开始")),
    ];
    let rows = runs.iter().map(|run| {
        vec![
            run_link(run.run),
            html! { (run.job.as_deref().unwrap_or(&run.selector)) },
            state(page, &run.state),
            page.times.moment(Some(&run.started_at)),
        ]
    });
    let body = if runs.is_empty() {
        empty(
            page.t("Nothing ran yet", "还没有运行过"),
            page.t("A job or “Start a run” begins one.", "由作业或“发起运行”开始。"),
        )
    } else {
        table(page.t("Newest runs", "最近运行"), &columns, rows.collect())
    };
    section(page.t("Newest runs", "最近运行"), "", body)
}

fn next(page: &Page, upcoming: &[Upcoming]) -> Markup {
    let columns = [text(page.t("Job", "作业")), word(page.t("When", "时间"))];
    let rows = upcoming.iter().map(|next| {
        vec![
            html! { a href=(format!("/jobs/{}", next.job)) { (next.job) } },
            page.times.moment(Some(&next.at)),
        ]
    });
    let body = if upcoming.is_empty() {
        empty(
            page.t("No job is planned", "没有安排作业"),
            page.t("Jobs are in config/jobs.toml.", "作业写在 config/jobs.toml 中。"),
        )
    } else {
        table(page.t("What comes next", "接下来"), &columns, rows.collect())
    };
    section(page.t("What comes next", "接下来"), "", body)
}

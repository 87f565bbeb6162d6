//! One figure, opened: what it means, how it went, what it counts, why it moved.

use maud::{Markup, html};

use super::figure::{moved, trend_words};
use super::{unit_of_change, value};
use crate::console::format::{count, grouped};
use crate::console::layout::{Page, Sheet};
use crate::console::parts::{
    Choice, Series, address, badge, balance_bar, button, choice_field, data_table, empty, facts,
    number, pager, section, series_chart, share_bar, table, text, text_field, word,
};
use crate::console::words::{self, Tone};
use crate::data::{self, Breakdown, Change, Group, MetricDetail, Part};
use huiliu_core::access::Permission;

/// Groups that are seen at once.
const GROUPS: usize = 30;

fn path(metric: &MetricDetail) -> String {
    format!("/figures/{}", metric.figure.key)
}

fn frame(page: &Page, metric: &MetricDetail, at: &str, body: Markup) -> Sheet {
    let base = path(metric);
    let tabs = [
        ("", page.t("Figure", "指标")),
        ("/rows", page.t("Rows it counts", "明细")),
        ("/change", page.t("Why it moved", "变化原因")),
    ];
    let body = html! {
        nav.tabs aria-label=(page.t("Of this figure", "指标内容")) {
            @for (end, name) in tabs {
                @if end != "/rows" || page.may(Permission::Records) {
                    a href=(format!("{base}{end}")) aria-current=[(end == at).then_some("page")] { (name) }
                }
            }
        }
        (body)
    };
    let figure = &metric.figure;
    Sheet::new(figure.title.clone(), body).under(page.t("Figures", "指标"), "/figures").lead(
        html! {
            p { (figure.owner) " · " code { (figure.key) } }
        },
    )
}

/// The figure itself.
pub(crate) fn metric(page: &Page, metric: &MetricDetail, broken: Option<&Breakdown>) -> Sheet {
    let figure = &metric.figure;
    let points: Vec<(String, String)> =
        figure.trend.iter().map(|point| (point.day.clone(), point.text.clone())).collect();
    let words = trend_words(figure);
    let unit = if figure.unit == "percent" { "%" } else { "" };
    let series = Series { points: &points, title: &words, unit };
    let body = html! {
        div.opened {
            div.panel {
                p.value.big { (value(page, &figure.unit, figure.value.as_deref(), figure.numerator)) }
                @if let (Some(over), Some(under)) = (figure.numerator, figure.denominator) {
                    p.fraction { (count(over)) " / " (count(under)) }
                }
                p.move { (moved(page, figure)) }
                @if let Some(published) = &figure.published {
                    p.published { span.soft { (page.t("The office published: ", "已公布：")) } b { (published.value) }
                        span.of { (published.period) " · " (published.source) } }
                }
            }
            div {
                p.definition { (figure.definition) }
                (facts(vec![
                    (page.t("Valid from", "口径起用"), html! { (figure.valid_from) }),
                    (page.t("Counted in", "取数表"), html! { code { (metric.from) } }),
                    (page.t("Snapshot", "数据快照"), html! { @match figure.snapshot { Some(s) => { (count(s)) }, None => { "—" } } }),
                    (page.t("Answers for it", "负责单位"), html! { (figure.owner) }),
                ]))
                @if !figure.held_back_by.is_empty() {
                    p { (badge(page.t("held back by", "暂缓更新："), Tone::Warn)) " "
                        (figure.held_back_by.join(", ")) }
                }
            }
        }
        (section(page.t("How it went", "走势"), page.t("at the end of each day", "每日日终"), html! {
            @if points.len() < 2 {
                (empty(page.t("Not enough days yet", "历史还不够"), page.t("A day is added when figures are computed.", "每天计算指标后增加一天，有两天起画出走势。")))
            } @else { div.panel { (series_chart(&series)) } }
        }))
        @if !metric.dimensions.is_empty() { (dimensions(page, metric, broken)) }
        (definitions(page, metric))
    };
    frame(page, metric, "", body)
}

fn dimensions(page: &Page, metric: &MetricDetail, broken: Option<&Breakdown>) -> Markup {
    let chosen = broken.and_then(|broken| broken.by.first()).map_or("", String::as_str);
    let base = path(metric);
    section(
        page.t("By", "分项"),
        "",
        html! {
            nav.tabs aria-label=(page.t("Dimensions", "维度")) {
                @for dimension in &metric.dimensions {
                    a href=(address(&base, &[("by", dimension)])) aria-current=[(dimension == chosen).then_some("true")] {
                        (dimension)
                    }
                }
            }
            @if let Some(broken) = broken { (groups(page, metric, broken)) }
            @else { p.soft { (page.t("Choose what to break it down by.", "选择一个维度，查看各组的数。")) } }
        },
    )
}

fn groups(page: &Page, metric: &MetricDetail, broken: &Breakdown) -> Markup {
    let is_ratio = metric.figure.unit == "percent";
    let most = broken.groups.iter().map(|group| group.numerator).max().unwrap_or(0);
    let mut columns = vec![
        text(&broken.by.join(" · ")),
        number(page.t("Value", "数值")),
        number(page.t("Counts", "分子")),
    ];
    if is_ratio {
        columns.push(number(page.t("Of", "分母")));
    }
    columns.push(text(page.t("Share", "占比")));
    let row = |group: &Group| {
        let name: Vec<&str> =
            group.of.iter().map(|of| of.as_deref().unwrap_or(page.t("(none)", "（空）"))).collect();
        let name = name.join(" · ");
        let whole = group.denominator.unwrap_or(most);
        let words = format!("{name}: {}", group.value.as_deref().unwrap_or("-"));
        let bar = share_bar(plus(group.numerator), plus(whole), &words);
        let mut cells = vec![
            html! { (name) },
            html! { (value(page, &metric.figure.unit, group.value.as_deref(), Some(group.numerator))) },
            html! { (count(group.numerator)) },
        ];
        if is_ratio {
            cells.push(
                html! { @match group.denominator { Some(of) => { (count(of)) }, None => { "—" } } },
            );
        }
        cells.push(bar);
        cells
    };
    // The largest first: what is far down matters least.
    let mut groups: Vec<&Group> = broken.groups.iter().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.denominator.unwrap_or(group.numerator)));
    let (first, rest) = groups.split_at(groups.len().min(GROUPS));
    let of = |groups: &[&Group]| {
        let rows = groups.iter().map(|group| row(group)).collect();
        table(page.t("Groups", "各组"), &columns, rows)
    };
    html! {
        (of(first))
        @if !rest.is_empty() {
            details.more { summary { (page.t("The others", "其余")) " (" (rest.len()) ")" } (of(rest)) }
        }
    }
}

fn plus(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn definitions(page: &Page, metric: &MetricDetail) -> Markup {
    let predicate = |name: &str, sql: &Option<String>| {
        html! { @if let Some(sql) = sql { div { dt { (name) } dd { code { (sql) } } } } }
    };
    section(
        page.t("Definition, exactly", "口径细则"),
        "",
        html! {
            @for version in metric.definitions.iter().rev() {
                div.panel {
                    h3 { (page.t("from ", "自 ")) (version.valid_from) (page.t("", " 起")) }
                    p { (version.text) }
                    dl.predicates {
                        (predicate(page.t("counted against", "分母条件"), &version.denominator))
                        (predicate(page.t("counts", "分子条件"), &version.numerator))
                        (predicate(page.t("once each", "去重依据"), &version.distinct))
                        (predicate(page.t("adds above", "分子取值"), &version.measure))
                        (predicate(page.t("adds below", "分母取值"), &version.weight))
                    }
                }
            }
        },
    )
}

/// The rows a figure counts.
pub(crate) fn rows(
    page: &Page,
    metric: &MetricDetail,
    part: Part,
    list: &data::Page<data::Table>,
) -> Sheet {
    let base = format!("{}/rows", path(metric));
    let (word, names) = match part {
        Part::Numerator => ("numerator", page.t("Rows that count", "分子的行")),
        Part::Denominator => ("denominator", page.t("Rows they are counted against", "分母的行")),
    };
    let body = html! {
        @if metric.is_ratio {
            nav.tabs aria-label=(page.t("Part", "部分")) {
                a href=(address(&base, &[("part", "numerator")])) aria-current=[(part == Part::Numerator).then_some("true")] {
                    (page.t("Above the line", "分子")) }
                a href=(address(&base, &[("part", "denominator")])) aria-current=[(part == Part::Denominator).then_some("true")] {
                    (page.t("Below the line", "分母")) }
            }
        }
        @for table in &list.items {
            @if table.rows.is_empty() {
                (empty(page.t("No rows", "没有行"), page.t("Nothing counts here.", "没有符合条件的行。")))
            } @else {
                (data_table(page, names, table))
                p.hint {
                    (page.t("Snapshot ", "数据快照 ")) (count(table.snapshot)) " · "
                    (page.t("personal data is masked", "个人信息已脱敏"))
                }
            }
        }
        (pager(page, list, &base, &[("part", word)]))
    };
    frame(page, metric, "/rows", body)
}

/// Why a figure moved. `asked` is what was asked for, as it was written.
pub(crate) fn change(
    page: &Page,
    metric: &MetricDetail,
    asked: (&str, &str),
    found: Option<&Change>,
) -> Sheet {
    let base = format!("{}/change", path(metric));
    let days: Vec<Choice> = metric
        .figure
        .trend
        .iter()
        .rev()
        .map(|point| {
            Choice::new(point.day.clone(), format!("{}  {}", point.day, grouped(&point.text)))
        })
        .collect();
    let fields = html! {
        @if days.len() < 2 {
            (text_field("from", page.t("From (day or snapshot)", "从（日期或快照号）"), asked.0, "required"))
            (text_field("to", page.t("To (now without)", "到（不填为现在）"), asked.1, ""))
        } @else {
            (choice_field("from", page.t("From the end of", "从（日终）"), asked.0, &days))
            (choice_field("to", page.t("To", "到"), asked.1,
                &[vec![Choice::new("", page.t("now", "现在"))], days.clone()].concat()))
        }
        div.filterbuttons { (button(page.t("Explain", "说明变化"))) }
    };
    let body = html! {
        form.filters method="get" action=(base) { (fields) }
        @match found {
            Some(change) => { (explained(page, metric, change)) }
            None => {
                (empty(
                    page.t("Choose two moments", "选择两个时间"),
                    page.t(
                        "The change is taken apart into changed definition, rows gone, corrected and new; the parts sum to it exactly.",
                        "变化会分解为口径变化、行消失、行更正、行新增四步，各步之和恰好等于总变化。",
                    ),
                ))
            }
        }
    };
    frame(page, metric, "/change", body)
}

fn explained(page: &Page, metric: &MetricDetail, change: &Change) -> Markup {
    let unit = &metric.figure.unit;
    let columns = [
        text(page.t("Step", "步骤")),
        number(page.t("Rows", "涉及行数")),
        number(page.t("Adds", "影响")),
        word(page.t("Exactly", "精确值")),
        word(page.t("Counts after it", "此后的分子/分母")),
    ];
    let fraction = |over: i64, under: Option<i64>| match under {
        Some(under) => format!("{} / {}", count(over), count(under)),
        None => count(over),
    };
    let mut rows: Vec<Vec<Markup>> = vec![vec![
        html! { (page.t("before", "变化前")) span.of { (page.t("snapshot ", "快照 ")) (count(change.from_snapshot)) } },
        html! {},
        html! { (value(page, unit, change.from.as_deref(), Some(change.from_numerator))) },
        html! {},
        html! { (fraction(change.from_numerator, change.from_denominator)) },
    ]];
    rows.extend(change.steps.iter().map(|step| {
        vec![
            html! { (words::name(&step.step, page.language)) },
            html! { span.zero[step.rows == 0] { (count(step.rows)) } },
            html! { (signed(step.change.as_deref())) (unit_of_change(page, unit)) },
            html! { code { (step.exact_change.as_deref().unwrap_or("—")) } },
            html! { (fraction(step.numerator, step.denominator)) },
        ]
    }));
    rows.push(vec![
        html! { b { (page.t("after", "变化后")) } span.of { (page.t("snapshot ", "快照 ")) (count(change.to_snapshot)) } },
        html! {},
        html! { b { (value(page, unit, change.to.as_deref(), Some(change.to_numerator))) } },
        html! { code { (change.exact_change.as_deref().unwrap_or("—")) } },
        html! { (fraction(change.to_numerator, change.to_denominator)) },
    ]);
    let moves: Vec<u64> = change.steps.iter().map(|step| step.rows.unsigned_abs()).collect();
    let all = moves.iter().sum::<u64>();
    html! {
        div.panel {
            p.value { (signed(change.change.as_deref())) span.unit { (unit_of_change(page, unit)) } }
            @if all > 0 {
                (balance_bar(&moves, all, page.t("Rows that each step moves", "各步涉及的行数")))
                p.legend {
                    @for (index, step) in change.steps.iter().enumerate() {
                        span { i.key.(format!("k{}", index + 1)) {} (words::name(&step.step, page.language)) }
                    }
                }
            }
        }
        div.panelgap { (table(page.t("Steps of the change", "变化的步骤"), &columns, rows)) }
    }
}

/// A change with its sign.
fn signed(change: Option<&str>) -> String {
    match change {
        None => "—".to_owned(),
        Some(text) if text.starts_with(['-', '+']) => grouped_signed(text),
        Some(text) if text.chars().all(|c| matches!(c, '0' | '.')) => text.to_owned(),
        Some(text) => format!("+{}", grouped(text)),
    }
}

fn grouped_signed(text: &str) -> String {
    match text.strip_prefix('+') {
        Some(rest) => format!("+{}", grouped(rest)),
        None => grouped(text).replace('-', "−"),
    }
}

//! Rows that did not fit: why, what they were, trying them again, giving them up.

use huiliu_core::access::Permission;
use maud::{Markup, html};

use crate::console::format::count;
use crate::console::layout::{Page, Sheet};
use crate::console::parts::{
    Choice, address, badge, choice_field, danger_button, empty, facts, filters, maybe, number,
    pager, post_form, reason_field, run_link, section, table, text, text_field, word,
};
use crate::console::words::Tone;
use crate::data::{self, QuarantineCount, QuarantineDetail, QuarantineQuery, QuarantinedRow};

/// The rows in quarantine.
pub(crate) fn list(
    page: &Page,
    counts: &[QuarantineCount],
    query: &QuarantineQuery,
    rows: &data::Page<QuarantinedRow>,
) -> Sheet {
    let stream = query.stream.as_deref().unwrap_or_default();
    let run = query.run.map(|run| run.to_string()).unwrap_or_default();
    let body = if counts.is_empty() && rows.items.is_empty() {
        empty(
            page.t("Quarantine is empty", "隔离区是空的"),
            page.t("Every row that was read fits its contract.", "读到的每一行都符合约定。"),
        )
    } else {
        html! {
            (section(page.t("By stream and reason", "按数据流和原因"), "", by_reason(page, counts)))
            (section(page.t("Rows", "明细"), "", html! {
                (filter(page, counts, stream, &run))
                @if rows.items.is_empty() {
                    (empty(page.t("No rows match", "没有符合条件的行"), ""))
                } @else { (chosen(page, stream, &rows.items)) }
                (pager(page, rows, "/quarantine", &[("stream", stream), ("run", &run)]))
            }))
        }
    };
    Sheet::new(page.t("Quarantine", "隔离区"), body).lead(html! {
        p { (page.t(
            "Rows that did not fit are kept here, encrypted, instead of being lost or let in.",
            "不合格的行加密保存在这里，不丢弃，也不混入数据。",
        )) }
    })
}

fn by_reason(page: &Page, counts: &[QuarantineCount]) -> Markup {
    let columns = [
        text(page.t("Stream", "数据流")),
        text(page.t("Reason", "原因")),
        number(page.t("Rows", "行数")),
    ];
    let rows = counts.iter().map(|of| {
        vec![
            html! { a href=(address("/quarantine", &[("stream", &of.stream)])) { (of.stream) } },
            html! { code { (of.code) } },
            html! { (count(of.rows)) },
        ]
    });
    table(page.t("By stream and reason", "按数据流和原因"), &columns, rows.collect())
}

fn filter(page: &Page, counts: &[QuarantineCount], stream: &str, run: &str) -> Markup {
    let mut streams: Vec<&str> = counts.iter().map(|of| of.stream.as_str()).collect();
    streams.extend([stream].into_iter().filter(|stream| !stream.is_empty()));
    streams.sort_unstable();
    streams.dedup();
    let all = [Choice::new("", page.t("all", "全部"))];
    let choices: Vec<Choice> =
        all.into_iter().chain(streams.into_iter().map(|name| Choice::new(name, name))).collect();
    let fields = html! {
        (choice_field("stream", page.t("Stream", "数据流"), stream, &choices))
        (text_field("run", page.t("Run", "运行号"), run, "search"))
    };
    filters(page, "/quarantine", fields, !stream.is_empty() || !run.is_empty())
}

/// Rows of which some can be chosen to be tried again.
fn chosen(page: &Page, stream: &str, rows: &[QuarantinedRow]) -> Markup {
    let may = page.may(Permission::Operate);
    let columns = [
        word(page.t("Row", "行号")),
        word(page.t("Stream", "数据流")),
        text(page.t("Why", "原因")),
        text(page.t("From", "来自")),
        word(page.t("Run", "运行")),
        word(page.t("When", "时间")),
    ];
    let cells = rows.iter().map(|row| {
        vec![
            html! {
                @if may {
                    input type="checkbox" name="id" value=(row.id)
                        aria-label=(format!("{} {}", page.t("Choose row", "选择行"), row.id)); " "
                }
                a href=(format!("/quarantine/{}", row.id)) { (row.id) }
            },
            html! { (row.stream) },
            html! { (row.reason) span.of { code { (row.code) } } },
            html! { (row.origin) span.of { (page.t("position ", "位置 ")) (row.position) } },
            run_link(row.run),
            page.times.moment(Some(&row.quarantined_at)),
        ]
    });
    let list = table(page.t("Rows in quarantine", "隔离区的行"), &columns, cells.collect());
    if !may {
        return list;
    }
    post_form(
        page,
        "/quarantine/replay",
        "",
        html! {
            (list)
            div.choicebar {
                label.allrows { input type="checkbox" data-all="id" hidden; " " (page.t("all", "全选")) }
                @if stream.is_empty() { input type="hidden" name="stream" value=""; }
                @else { input type="hidden" name="stream" value=(stream); }
                (text_field("reason", page.t("Why", "原因"), "", "required off"))
                button.primary type="submit" name="what" value="chosen" {
                    (page.t("Try the chosen again", "重新处理所选")) }
                @if !stream.is_empty() {
                    button type="submit" name="what" value="stream" {
                        (page.t("Try all of this stream", "重新处理该流全部")) }
                }
            }
        },
    )
}

/// One row with its original.
pub(crate) fn row(page: &Page, detail: &QuarantineDetail) -> Sheet {
    let row = &detail.row;
    let columns = [text(page.t("Column", "列")), text(page.t("Value", "取值"))];
    let body = html! {
        div.trouble { p { span.sign aria-hidden="true" { "!" } b { (row.reason) } } p.soft { code { (row.code) } } }
        div.panel {
            (facts(vec![
                (page.t("Stream", "数据流"), html! { (row.stream) }),
                (page.t("Run", "运行"), run_link(row.run)),
                (page.t("From", "来自"), html! { (row.origin) }),
                (page.t("Position", "位置"), html! { (row.position) }),
                (page.t("When", "时间"), page.times.moment(Some(&row.quarantined_at))),
            ]))
        }
        (section(page.t("The original", "原文"), page.t("personal data is masked", "个人信息已脱敏"), html! {
            @match &detail.columns {
                Some(values) => {
                    (table(page.t("The original", "原文"), &columns, values.iter().map(|column| vec![
                        html! { code { (column.name) } },
                        html! { (maybe(column.value.as_deref()))
                            @if column.is_masked { " " (badge(page.t("masked", "已脱敏"), Tone::Calm)) } },
                    ]).collect()))
                }
                None => {
                    (empty(
                        page.t("It could not be told apart into columns", "无法拆分成列"),
                        page.t("So nothing of it is shown; `huiliu quarantine show` opens it and leaves a record.",
                            "因此不显示原文；可用 huiliu quarantine show 打开，会留下审计记录。"),
                    ))
                }
            }
        }))
        @if page.may(Permission::Operate) {
            (section(page.t("What becomes of it", "怎么处置"), "", html! {
                div.columns.tight {
                    div.panel {
                        h3 { (page.t("Try it again", "重新处理")) }
                        p.soft { (page.t("After its contract or a code table was mended.", "在更正约定或代码表之后。")) }
                        (post_form(page, "/quarantine/replay", "inline", html! {
                            input type="hidden" name="id" value=(row.id);
                            input type="hidden" name="stream" value="";
                            (text_field("reason", page.t("Why", "原因"), "", "required off"))
                            button.primary type="submit" name="what" value="chosen" { (page.t("Try again", "重新处理")) }
                        }))
                    }
                    div.panel {
                        h3 { (page.t("Give it up", "丢弃")) }
                        p.soft { (page.t("It leaves quarantine for good. The audit keeps that it did.", "永久移出隔离区，审计中留有记录。")) }
                        (post_form(page, &format!("/quarantine/{}/discard", row.id), "inline", html! {
                            (reason_field(page.t("Why", "原因"), "discard-reason"))
                            (danger_button(page.t("Give up", "丢弃")))
                        }))
                    }
                }
            }))
        }
    };
    Sheet::new(format!("{} {}", page.t("Row", "行"), row.id), body)
        .under(page.t("Quarantine", "隔离区"), "/quarantine")
}

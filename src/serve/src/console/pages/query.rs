//! Asking the data by SQL.

use maud::{Markup, html};

use crate::console::format::count;
use crate::console::layout::{Page, Sheet};
use crate::console::parts::{area_field, data_table, empty, post_form, section, trouble};
use crate::data::Table;

/// What a query came to.
pub(crate) enum Answered<'a> {
    /// Nothing was asked.
    Nothing,
    /// Rows, and how many milliseconds it took.
    Rows(&'a Table, u64),
    /// It failed: code, message, hint.
    Failed(&'a str, &'a str, Option<&'a str>),
}

/// What holds for every query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Rows that are shown.
    pub(crate) shown: usize,
    /// Rows that an export has.
    pub(crate) exported: usize,
    /// Seconds after which a query is stopped.
    pub(crate) seconds: u64,
}

const EXAMPLES: [(&str, &str, &str); 3] = [
    ("figures", "指标", "select key, title, value from metrics.figures order by key"),
    (
        "classes of cases",
        "办件各类别",
        "select class, count(*) from reconciled.cases group by class order by 2 desc",
    ),
    (
        "open differences",
        "未解决的差异",
        "select owner, rule, count(*) from reconciled.case_differences\nwhere state = 'open' group by owner, rule order by 3 desc limit 50",
    ),
];

/// The workbench. `tables` are those that may be read, with their columns.
pub(crate) fn workbench(
    page: &Page,
    sql: &str,
    answered: &Answered<'_>,
    limits: Limits,
    tables: &[(String, Vec<String>)],
) -> Sheet {
    let form = html! {
        (area_field("sql", page.t("One SELECT", "一条 SELECT 语句"), sql, 9))
        div.inline.sends {
            button.primary type="submit" name="what" value="run" { (page.t("Run", "查询")) }
            button type="submit" formaction="/sql/export" name="as" value="csv" data-download { (page.t("Export CSV", "导出 CSV")) }
            button type="submit" formaction="/sql/export" name="as" value="xlsx" data-download { (page.t("Export XLSX", "导出 XLSX")) }
            span.hint {
                (page.t("Ctrl+Enter runs. Read-only, ", "Ctrl+Enter 查询。只读，"))
                (page.t("at most ", "最多显示 ")) (count(limits.shown as u64)) (page.t(" rows shown and ", " 行、导出 "))
                (count(limits.exported as u64)) (page.t(" exported, stopped after ", " 行，超过 ")) (limits.seconds) (page.t(" s; noted in the audit", " 秒停止；记入审计"))
            }
        }
    };
    let body = html! {
        (post_form(page, "/sql", "workbench", form))
        div.results aria-live="polite" { (results(page, answered)) }
        div.columns {
            (section(page.t("Examples", "示例"), "", html! {
                @for (en, zh, sql) in EXAMPLES {
                    (post_form(page, "/sql", "examplerow", html! {
                        input type="hidden" name="sql" value=(sql);
                        button.quiet type="submit" { (page.t(en, zh)) }
                        pre.example { (sql) }
                    }))
                }
            }))
            @if !tables.is_empty() {
                (section(page.t("Tables", "可查的表"), &count(tables.len() as u64), html! {
                    div.panel.tables {
                        @for (name, columns) in tables {
                            details { summary { code { (name) } } p.small { (columns.join(", ")) } }
                        }
                    }
                }))
            }
        }
    };
    Sheet::new(page.t("SQL", "SQL 查询"), body)
}

fn results(page: &Page, answered: &Answered<'_>) -> Markup {
    match answered {
        Answered::Nothing => html! {},
        Answered::Failed(code, message, hint) => trouble(page, code, message, *hint),
        Answered::Rows(table, took) => {
            let rows = table.rows.len();
            let note = format!(
                "{} {} · {} · {} {}",
                count(rows as u64),
                page.t("rows", "行"),
                page.times.length(*took),
                page.t("snapshot", "数据快照"),
                count(table.snapshot)
            );
            section(
                page.t("Answer", "结果"),
                &note,
                html! {
                    @if rows == 0 { (empty(page.t("No rows", "没有数据"), page.t("The query is fine, nothing matches.", "查询无误，没有符合条件的行。"))) }
                    @else { (data_table(page, page.t("Answer", "结果"), table)) }
                    @if table.is_cut { p.hint { (page.t("There are more rows; an export has them.", "还有更多行，可导出查看。")) } }
                },
            )
        }
    }
}

//! A report as HTML, for a screen and for paper.

use maud::{Markup, html};

use super::section_head;
use crate::chart::{bars, lines};
use crate::document::document;
use crate::report::{Proved, Report, Section, Table};
use crate::text;

impl Report {
    /// The report as one HTML file.
    pub fn html(&self) -> String {
        let figures: Vec<&Proved> = self.sections.iter().flat_map(|s| &s.figures).collect();
        let body = html! {
            div.page.report {
                header {
                    div { p.office { (self.issuer) } h1 { (self.title) } }
                    div.when {
                        p.day { (text::long_day(&self.begin)) }
                        p { "至 " (text::long_day(&self.end)) }
                    }
                }
                dl.facts {
                    div { dt { "数据快照" } dd { (self.snapshot) } }
                    div { dt { "写于" } dd { (self.written_at) } }
                }
                main {
                    @if let Some(addressee) = &self.addressee { p.to { (addressee) "：" } }
                    @if let Some(text) = &self.text { (paragraphs(text)) }
                    @for (number, section) in self.sections.iter().enumerate() {
                        (section_of(section, number + 1))
                    }
                    @if !figures.is_empty() { (proofs(&figures)) }
                }
                footer { p { "本件由系统按模板生成，数字可用 " code { "huiliu metric show" } " 与 "
                    code { "huiliu metric verify" } " 复核。" } }
            }
        };
        document(&format!("{} {}", self.title, self.end), &body)
    }
}

fn paragraphs(text: &str) -> Markup {
    html! { @for line in text.lines().filter(|line| !line.trim().is_empty()) { p.body { (line.trim()) } } }
}

fn section_of(section: &Section, number: usize) -> Markup {
    let id = format!("s{number}");
    html! {
        section aria-labelledby=(id) {
            (section_head(&id, &section.title, ""))
            @if let Some(text) = &section.text { (paragraphs(text)) }
            @if !section.figures.is_empty() {
                div.cards.counts { @for figure in &section.figures { (card(figure)) } }
            }
            @if let Some(table) = &section.table {
                @if table.rows.is_empty() {
                    p.none { (table.empty) }
                } @else {
                    @if let Some(chart) = &section.chart {
                        @if chart.is_line { (lines(table, chart, &section.title)) }
                        @else { (bars(table, chart, &section.title)) }
                    }
                    (table_of(table))
                }
            }
        }
    }
}

fn card(figure: &Proved) -> Markup {
    html! {
        article.card {
            h3 { (figure.title) }
            @if let Some(of) = &figure.of { p.small { (of) } }
            p.value {
                @match &figure.value {
                    Some(value) => {
                        data value=(value) { (value) }
                        @if figure.is_percent { span.unit { "%" } }
                    }
                    None => { span.none { "没有数" } }
                }
            }
            p.parts {
                @if let Some((above, below)) = figure.parts { (above) " / " (below) }
            }
        }
    }
}

fn table_of(table: &Table) -> Markup {
    html! {
        table {
            caption { "数据快照 " (table.snapshot) }
            thead { tr {
                @for column in &table.columns {
                    th.num[column.digits.is_some()] scope="col" { (column.title) }
                }
            } }
            tbody {
                @for row in 0..table.rows.len() {
                    tr {
                        @for (place, column) in table.columns.iter().enumerate() {
                            td.num[column.digits.is_some()] { (table.text(row, place)) }
                        }
                    }
                }
            }
        }
    }
}

/// What proves the figures.
fn proofs(figures: &[&Proved]) -> Markup {
    html! {
        section aria-labelledby="proofs" {
            (section_head("proofs", "数据口径与依据", ""))
            dl.proofs {
                @for figure in figures {
                    dt {
                        (figure.title)
                        @if let Some(of) = &figure.of { "（" (of) "）" }
                    }
                    dd {
                        p { (figure.definition) }
                        p.small {
                            code { (figure.key) }
                            @if let Some(snapshot) = figure.snapshot { span { "快照 " (snapshot) } }
                            @match figure.seal {
                                Some(seal) => { span { "封存 " (seal) } }
                                None => { span { "未封存" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

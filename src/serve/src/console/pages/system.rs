//! The register of systems, and one of them.

use maud::{Markup, html};

use super::overview::stream_table;
use super::push::push_table;
use crate::console::format::count;
use crate::console::layout::{Page, Sheet};
use crate::console::parts::{
    badge, empty, facts, maybe, number, section, state, table, tally, text, word,
};
use crate::console::words::Tone;
use crate::data::{Register, Stream, System, SystemDetail};

/// All systems.
pub(crate) fn register(page: &Page, register: &Register) -> Sheet {
    let (ours, others): (Vec<&System>, Vec<&System>) =
        register.systems.iter().partition(|system| system.id.is_some());
    let body = html! {
        @if register.departments > 0 {
            (tally(vec![
                (page.t("departments", "部门").to_owned(), count(register.departments as u64), Tone::Calm),
                (page.t("live", "已对接").to_owned(), count(register.live as u64), Tone::Good),
                (page.t("on trial", "联调中").to_owned(), count(register.trial as u64), Tone::Busy),
                (page.t("surveyed", "已摸底").to_owned(), count(register.survey as u64), Tone::Calm),
                (page.t("items integrated", "已对接事项").to_owned(), count(register.items), Tone::Calm),
            ]))
        }
        (section(page.t("Connected", "已连接"), &ours.len().to_string(), html! {
            @if ours.is_empty() {
                (empty(
                    page.t("No system is connected", "还没有连接系统"),
                    page.t("A system is one file in config/systems.", "每个系统是 config/systems 中的一个文件。"),
                ))
            } @else { (systems(page, &ours)) }
        }))
        @if !others.is_empty() {
            (section(page.t("In the register only", "仅在登记册中"), &others.len().to_string(), systems(page, &others)))
        }
    };
    Sheet::new(page.t("Systems", "系统登记"), body)
}

fn systems(page: &Page, systems: &[&System]) -> Markup {
    let columns = [
        text(page.t("System", "系统")),
        text(page.t("Owner", "负责单位")),
        word(page.t("Stage", "阶段")),
        word(page.t("Deadline", "期限")),
        number(page.t("Items", "事项")),
        word(page.t("Last contact", "最近联系")),
    ];
    let rows = systems.iter().map(|system| {
        vec![
            html! {
                @if let Some(id) = &system.id {
                    a href=(format!("/systems/{id}")) { (system.title) }
                    span.of { code { (id) } @if let Some(kind) = &system.kind { " · " (kind) } }
                } @else { (system.title) }
            },
            html! { (system.owner) },
            stage(page, system),
            maybe(system.deadline.as_deref()),
            html! { @match system.items { Some(items) => { (count(items)) }, None => { span.nothing { "—" } } } },
            page.times.moment(system.last_contact.as_deref()),
        ]
    });
    table(page.t("Systems", "系统"), &columns, rows.collect())
}

/// The stage, and where the register has another one.
fn stage(page: &Page, system: &System) -> Markup {
    let other = system.registered_stage.as_ref().filter(|stage| **stage != system.stage);
    html! {
        (state(page, &system.stage))
        @if let Some(other) = other {
            span.of { (badge(page.t("register says", "登记册为"), Tone::Warn)) " "
                (crate::console::words::state(other, page.language).0) }
        }
    }
}

/// One system with its streams and pushes.
pub(crate) fn system(page: &Page, detail: &SystemDetail) -> Sheet {
    let system = &detail.system;
    let streams: Vec<&Stream> = detail.streams.iter().collect();
    let limit = |number: Option<u32>| match number {
        Some(number) => html! { (count(number)) },
        None => html! { span.nothing { (page.t("none", "不限")) } },
    };
    let body = html! {
        @if !detail.missing.is_empty() {
            div.trouble role="alert" {
                p { span.sign aria-hidden="true" { "!" } b { (page.t("It cannot be read yet: no value for ", "暂时无法读取：缺少取值 ")) }
                    @for name in &detail.missing { code { (name) } " " } }
                p { span.soft { (page.t("What to do: ", "怎么办：")) }
                    (page.t("set them in the environment or the data folder's env file, secrets with huiliu secret set.",
                        "在环境变量或数据目录的 env 文件中设置，密钥用 huiliu secret set 设置。")) }
            }
        }
        div.panel {
            (facts(vec![
                (page.t("Stage", "阶段"), stage(page, system)),
                (page.t("Owner", "负责单位"), html! { (system.owner) }),
                (page.t("Kind", "类型"), maybe(system.kind.as_deref())),
                (page.t("Deadline", "期限"), maybe(system.deadline.as_deref())),
                (page.t("Last contact", "最近联系"), page.times.moment(system.last_contact.as_deref())),
                (page.t("Connections", "连接数上限"), limit(detail.connections)),
                (page.t("Requests a minute", "每分钟请求上限"), limit(detail.requests_per_minute)),
                (page.t("Quiet hours", "免打扰时段"), maybe(detail.quiet_hours.as_deref())),
            ]))
        }
        (section(page.t("Streams", "数据流"), "", html! {
            @if streams.is_empty() {
                (empty(page.t("Nothing is read from it", "不从该系统读取"), ""))
            } @else { (stream_table(page, &streams)) }
        }))
        @if !detail.pushes.is_empty() {
            (section(page.t("Pushed to it", "推送到该系统"), "", push_table(page, &detail.pushes)))
        }
    };
    Sheet::new(system.title.clone(), body).under(page.t("Systems", "系统登记"), "/systems")
}

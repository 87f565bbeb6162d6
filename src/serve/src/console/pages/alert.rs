//! What the hub tells of by itself.

use huiliu_core::access::Permission;
use maud::html;

use crate::console::layout::{Page, Sheet};
use crate::console::parts::{badge, empty, table, text, word};
use crate::console::words::{self, Tone};
use crate::data::Alert;

/// The alerts that are on.
pub(crate) fn list(page: &Page, alerts: &[Alert]) -> Sheet {
    let columns = [
        word(page.t("Alert", "告警")),
        text(page.t("About", "对象")),
        text(page.t("What", "内容")),
        word(page.t("Since", "开始")),
    ];
    let rows = alerts.iter().map(|alert| {
        let tone = match alert.kind.as_str() {
            "job_failed" | "job_parked" | "stream_missing" | "push_unknown" => Tone::Bad,
            _ => Tone::Warn,
        };
        let to = match alert.kind.split('_').next() {
            Some("job" | "calendar") => Some(format!("/jobs/{}", alert.object)),
            Some("push") if page.may(Permission::Records) => {
                Some(format!("/pushes/{}", alert.object))
            }
            Some("stream") => {
                let system = alert.object.split('.').next().unwrap_or_default();
                Some(format!("/systems/{system}"))
            }
            _ => None,
        };
        vec![
            badge(&words::name(&alert.kind, page.language), tone),
            html! { @match to { Some(to) => { a href=(to) { (alert.object) } }, None => { (alert.object) } } },
            html! { (alert.detail) },
            page.times.moment(Some(&alert.since)),
        ]
    });
    let body = if alerts.is_empty() {
        empty(
            page.t("No alert is on", "没有告警"),
            page.t(
                "Jobs end well, data comes, and pushes are answered for.",
                "作业正常、数据按时到达、推送都有着落。",
            ),
        )
    } else {
        table(page.t("Alerts that are on", "当前告警"), &columns, rows.collect())
    };
    Sheet::new(page.t("Alerts", "告警"), body).lead(html! {
        p { (page.t(
            "Each is told once when it comes and once when it is over, to the channels of config/alerts.toml.",
            "每条告警在出现和解除时各通知一次，发往 config/alerts.toml 中的通道。",
        )) }
    })
}

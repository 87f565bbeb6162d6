//! Messages about alerts, as people read them.

use chrono_tz::Tz;
use huiliu_core::config::AlertLanguage;
use huiliu_store::Notice;

use crate::jobs::parse_time;

/// The text of a message: what, where, since when.
pub fn notice_text(notice: &Notice, hub: &str, language: AlertLanguage, zone: Tz) -> String {
    let is_zh = language == AlertLanguage::Zh;
    let alert = &notice.alert;
    let what = match (alert.kind.as_str(), is_zh) {
        ("job_failed", true) => "作业失败",
        ("job_failed", false) => "job failed",
        ("job_parked", true) => "作业已停放",
        ("job_parked", false) => "job parked",
        ("calendar_ends", true) => "工作日历缺少年份",
        ("calendar_ends", false) => "working days unknown",
        ("stream_missing", true) => "数据流没有按惯例到数",
        ("stream_missing", false) => "stream missing",
        ("stream_volume", true) => "数据量异常",
        ("stream_volume", false) => "unusual volume",
        ("push_unknown", true) => "推送结果不明",
        ("push_unknown", false) => "push without an answer",
        ("test", true) => "测试消息",
        ("test", false) => "test message",
        (other, _) => other,
    };
    let at = |text: &str| {
        let time = parse_time(text).map(|time| time.with_timezone(&zone));
        time.map_or_else(|| text.to_owned(), |time| time.format("%Y-%m-%d %H:%M").to_string())
    };
    let (since, changed) = (at(&alert.since), at(&notice.changed_at));
    let (object, detail) = (&alert.object, &alert.detail);
    match (notice.is_on, is_zh) {
        (true, true) => format!("【告警】{what}：{object}\n{detail}\n起始时间：{since}\n{hub}"),
        (true, false) => format!("[ALERT] {what}: {object}\n{detail}\nsince {since}\n{hub}"),
        (false, true) => {
            format!("【恢复】{what}：{object}\n自 {since} 起，至 {changed} 恢复\n{hub}")
        }
        (false, false) => {
            format!("[RECOVERED] {what}: {object}\nfrom {since} to {changed}\n{hub}")
        }
    }
}

//! The two languages of the console, and what the hub's code words are called in each.
//!
//! A sentence is written where it is used, as a pair of English and Chinese, so neither can be
//! missing. Only words that come out of the data have a table.

use huiliu_core::access::{Permission, Role};

use crate::web::Language;

/// A code word with its names, English first.
type Entry = (&'static str, &'static str, &'static str);

/// How a word looks: its colour and the sign before it, so that colour is never all there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Going on.
    Busy,
    /// To be looked at.
    Warn,
    /// Broken, or waiting for a decision.
    Bad,
    /// Neither good nor bad.
    Calm,
}

impl Tone {
    /// The class of its colour.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Busy => "busy",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Calm => "calm",
        }
    }

    /// Its sign.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Busy => "◐",
            Self::Warn => "!",
            Self::Bad => "✕",
            Self::Calm => "○",
        }
    }
}

/// How runs, steps and times of jobs stand.
const STATES: &[(Entry, Tone)] = &[
    (("running", "running", "进行中"), Tone::Busy),
    (("waiting", "waiting", "等待中"), Tone::Busy),
    (("queued", "queued", "排队中"), Tone::Busy),
    (("succeeded", "succeeded", "成功"), Tone::Good),
    (("unchanged", "nothing new", "无变化"), Tone::Good),
    (("partial", "partly succeeded", "部分成功"), Tone::Warn),
    (("failed", "failed", "失败"), Tone::Bad),
    (("blocked", "did not run", "未运行"), Tone::Warn),
    (("cancelled", "stopped", "已中止"), Tone::Calm),
    (("skipped", "left out", "已跳过"), Tone::Calm),
    (("killed", "stopped by the next", "被下一次取代"), Tone::Calm),
    (("parked", "parked", "已停放"), Tone::Bad),
    (("done", "done", "已完成"), Tone::Good),
    // Differences.
    (("open", "open", "未解决"), Tone::Bad),
    (("explained", "explained", "已说明"), Tone::Warn),
    (("fixed", "sent as repair", "已更正待确认"), Tone::Busy),
    (("closed", "closed", "已关闭"), Tone::Good),
    // Records of pushes, and repairs.
    (("accepted", "accepted", "已收下"), Tone::Good),
    (("rejected", "refused", "被退回"), Tone::Bad),
    (("delivered", "waits for its receipt", "待回执"), Tone::Busy),
    (("unknown", "unknown", "不明"), Tone::Bad),
    (("planned", "planned", "已拟定"), Tone::Calm),
    (("applied", "applied", "已执行"), Tone::Good),
    (("undone", "taken back", "已撤销"), Tone::Calm),
    // Stages of systems.
    (("live", "live", "已对接"), Tone::Good),
    (("trial", "on trial", "联调中"), Tone::Busy),
    (("survey", "surveyed", "已摸底"), Tone::Calm),
    // Accounts and tokens.
    (("active", "active", "可用"), Tone::Good),
    (("disabled", "disabled", "已停用"), Tone::Calm),
    (("expired", "expired", "已过期"), Tone::Calm),
    (("revoked", "revoked", "已吊销"), Tone::Calm),
];

/// Everything else that the data says in code.
const NAMES: &[Entry] = &[
    ("stream", "stream", "数据流"),
    ("replay", "replay", "重新处理"),
    ("model", "model", "模型"),
    ("reconcile", "reconciliation", "核对"),
    ("audit", "audit", "审核规则"),
    ("metric", "figure", "指标"),
    ("push", "push", "推送"),
    ("maintain", "maintenance", "整理"),
    ("report", "report", "报告"),
    ("version", "received", "收到"),
    ("decision", "decided", "判定"),
    ("difference", "difference", "差异"),
    ("mismatch", "values differ", "取值不一致"),
    ("missing", "missing", "缺失"),
    ("duplicate_key", "there twice", "重复"),
    ("unkeyed", "without key", "无主键"),
    ("matched", "agreed", "一致"),
    ("pending", "too young to judge", "待定"),
    ("definition", "the definition changed", "口径变化"),
    ("gone", "rows are gone", "行消失"),
    ("corrected", "rows were corrected", "行更正"),
    ("new", "rows are new", "行新增"),
    ("job_failed", "a job failed", "作业失败"),
    ("job_parked", "a job is parked", "作业停放"),
    ("calendar_ends", "the calendar ends", "工作日历将尽"),
    ("stream_missing", "a stream is missing", "数据流缺失"),
    ("stream_volume", "unusual volume", "数据量异常"),
    ("push_unknown", "pushes of unknown outcome", "推送结果不明"),
    ("full", "whole", "全量"),
    ("incremental", "incremental", "增量"),
    ("flagged", "by flags", "按标记"),
    ("changes", "change log", "变更日志"),
    ("append", "append", "追加"),
    ("upsert", "upsert", "按主键更新"),
    ("replace", "replace", "整体替换"),
    ("snapshot", "snapshots", "快照"),
    ("scd2", "with validity", "拉链"),
    ("update", "correct", "更正"),
    ("insert", "add", "新增"),
    ("no_repairs", "the reconciliation proposes no repairs there", "核对规则不向该系统提出更正"),
    ("no_push", "no push corrects it", "没有可用的推送"),
    ("sent_by_itself", "a push brings it by itself", "由日常推送自行送达"),
    ("not_live", "the system is not live", "对方系统未正式对接"),
    ("blocked", "a blocking audit found rows", "被审核规则拦下"),
    ("on_its_way", "a record is on its way", "已有记录在途"),
    ("no_record", "the push has no record for it", "推送中没有对应记录"),
    ("nothing_to_change", "the target has it already", "对方已是应有的值"),
];

fn name_of(entry: &Entry, language: Language) -> &'static str {
    match language {
        Language::En => entry.1,
        Language::Zh => entry.2,
    }
}

/// What a state is called and how it looks; a word that is not known stays as it is.
pub(crate) fn state(code: &str, language: Language) -> (String, Tone) {
    match STATES.iter().find(|(entry, _)| entry.0 == code) {
        Some((entry, tone)) => (name_of(entry, language).to_owned(), *tone),
        None => (code.to_owned(), Tone::Calm),
    }
}

/// What a code word is called; one that is not known stays as it is.
pub(crate) fn name(code: &str, language: Language) -> String {
    match NAMES.iter().find(|entry| entry.0 == code) {
        Some(entry) => name_of(entry, language).to_owned(),
        None => state(code, language).0,
    }
}

/// What a rule of the ledger is called; `missing_in_X` names the system.
pub(crate) fn rule(code: &str, language: Language) -> String {
    match code.strip_prefix("missing_in_") {
        Some(system) => match language {
            Language::En => format!("missing in {system}"),
            Language::Zh => format!("{system} 缺失"),
        },
        None => name(code, language),
    }
}

/// What a role is called.
pub(crate) fn role(role: Role, language: Language) -> &'static str {
    match role {
        Role::Operator => language.pick("操作员", "operator"),
        Role::Analyst => language.pick("分析员", "analyst"),
        Role::Auditor => language.pick("审计员", "auditor"),
        Role::Admin => language.pick("管理员", "administrator"),
    }
}

/// What a role may do, in a line.
pub(crate) fn duty(role: Role, language: Language) -> &'static str {
    match role {
        Role::Operator => language.pick(
            "负责运行：任务、隔离区、推送、差异",
            "runs the hub: runs, quarantine, pushes, differences",
        ),
        Role::Analyst => {
            language.pick("查看指标，用 SQL 查询数据", "reads figures and asks the data by SQL")
        }
        Role::Auditor => language.pick("查看并核验审计记录", "reads and checks the audit"),
        Role::Admin => {
            language.pick("管理账号和令牌，不接触数据", "keeps accounts and tokens, reads no data")
        }
    }
}

/// What a permission is called.
pub(crate) fn permission(permission: Permission, language: Language) -> &'static str {
    match permission {
        Permission::Operations => language.pick("查看运行情况", "see how the hub works"),
        Permission::Figures => language.pick("查看指标", "see figures"),
        Permission::Records => language.pick("查看明细记录", "see single records"),
        Permission::Query => language.pick("SQL 查询", "ask SQL"),
        Permission::Operate => language.pick("运行与处置", "run and repair"),
        Permission::Accounts => language.pick("管理账号", "keep accounts"),
        Permission::Audit => language.pick("查看审计", "read the audit"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_one_meaning_in_both_languages() {
        let codes = STATES.iter().map(|(entry, _)| entry);
        for list in [codes.collect::<Vec<_>>(), NAMES.iter().collect()] {
            let mut seen = std::collections::BTreeSet::new();
            for entry in list {
                assert!(seen.insert(entry.0), "{} is there twice", entry.0);
                assert!(entry.1.is_ascii() && !entry.1.is_empty(), "{}", entry.0);
                assert!(!entry.2.is_ascii(), "{}", entry.0);
            }
        }
    }

    #[test]
    fn a_word_that_is_not_known_stays() {
        assert_eq!(state("strange", Language::Zh), ("strange".to_owned(), Tone::Calm));
        assert_eq!(rule("missing_in_province", Language::En), "missing in province");
        assert_eq!(rule("mismatch", Language::Zh), "取值不一致");
    }
}

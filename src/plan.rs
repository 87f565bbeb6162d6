//! `huiliu plan`: what a run would compute anew, shown before it does.

use huiliu_core::model::Unit;
use huiliu_core::policy::exit;
use huiliu_engine::{CALENDAR, Cause, CauseKind, Cell, Example, RowKind, TableDiff};
use huiliu_runner::{
    Counted, DefinitionChange, FigurePlan, NodeState, Plan, PlanError, PlanRequest, ReconcilePlan,
    StreamChange, TablePlan,
};
use serde_json::json;

use crate::metric::equation;
use crate::output::Printer;
use crate::setup::{Failure, Setup};

/// Letters of a value that are shown.
const VALUE: usize = 40;
/// Letters of an example's line.
const LINE: usize = 150;
/// Causes that are named.
const CAUSES: usize = 4;

/// Plans, with `examples` rows of each kind, and with what systems have now of the streams `live`.
pub(crate) async fn plan(
    setup: &Setup,
    live: Option<Vec<String>>,
    examples: usize,
) -> Result<u8, Failure> {
    // What is read live needs no data of an earlier run.
    let hub = if live.is_some() { setup.open().await? } else { setup.open_existing().await? };
    let request = PlanRequest { examples, live, cancel: setup.cancel.clone() };
    let plan = Box::pin(hub.plan(request)).await?;
    hub.close().await;
    if setup.printer.is_json() {
        setup.printer.json(&json!(plan));
    } else {
        Show { printer: setup.printer, plan: &plan }.all();
    }
    Ok(if plan.has_failures() { exit::FINDINGS } else { exit::DONE })
}

struct Show<'a> {
    printer: Printer,
    plan: &'a Plan,
}

impl Show<'_> {
    fn line(&self, text: &str) {
        self.printer.line(text.trim_end());
    }

    fn pick(&self, en: &'static str, zh: &'static str) -> &'static str {
        self.printer.pick(en, zh)
    }

    fn all(&self) {
        let snapshot = self.plan.snapshot;
        match &self.plan.hash {
            Some(hash) => self.line(&format!(
                "{} {hash}  ({} {snapshot}; {})",
                self.pick("plan", "计划"),
                self.pick("snapshot", "快照"),
                self.pick("nothing was read or written", "未读取任何系统，未写入任何数据")
            )),
            None => self.live(),
        }
        if self.plan.is_empty() {
            self.line(self.pick(
                "nothing would be computed anew: files and data are as they were",
                "没有需要重新计算的内容：文件和数据与上次相同",
            ));
            return;
        }
        if !self.plan.tables.is_empty() {
            self.tables();
        }
        if !self.plan.figures.is_empty() || !self.plan.removed_figures.is_empty() {
            self.figures();
        }
        self.pushes();
        self.orphans();
        self.streams();
        if let Some(hash) = self.plan.hash.as_ref().filter(|_| self.plan.computes()) {
            self.line("");
            self.line(&format!(
                "{} huiliu run --plan {hash}",
                self.pick("to compute exactly this:", "按此计划执行：")
            ));
        }
    }

    /// What was read for the plan.
    fn live(&self) {
        self.line(&format!(
            "{} ({} {}; {})",
            self.pick("what the systems hold now", "各系统当前数据"),
            self.pick("beside snapshot", "对照快照"),
            self.plan.snapshot,
            self.pick("nothing was written", "未写入任何数据")
        ));
        for stream in &self.plan.live {
            let mut line = format!(
                "  {:<32} {} {}",
                stream.stream,
                stream.rows,
                self.pick("rows", "行")
            );
            for (count, en, zh) in [
                (stream.repeated, "replaced by a later one of the same key", "行被同键的后一行取代"),
                (stream.set_aside, "would be set aside", "行将转入隔离区"),
            ] {
                if count > 0 {
                    line.push_str(&format!(", {count} {}", self.pick(en, zh)));
                }
            }
            self.line(&line);
        }
    }

    fn tables(&self) {
        let is_shown = |table: &&TablePlan| table.state != NodeState::Unchanged;
        let shown: Vec<&TablePlan> = self.plan.tables.iter().filter(is_shown).collect();
        let still = self.plan.tables.len() - shown.len();
        self.line("");
        self.line(self.pick("tables", "数据表"));
        for table in shown {
            let causes = self.causes(&table.causes, &table.name, table.kind);
            self.line(&format!("  {:<32} {}  {causes}", table.name, self.state(table.state),));
            if let Some(found) = &table.reconcile {
                self.reconcile(found);
            }
            if let Some(diff) = &table.diff {
                self.diff(diff);
            }
            self.trouble(&table.blocked_by, table.error.as_ref());
        }
        if still > 0 {
            self.line(&format!("  {} {still}", self.pick("unchanged:", "不变：")));
        }
    }

    fn state(&self, state: NodeState) -> &'static str {
        match state {
            NodeState::Unchanged => self.pick("unchanged", "不变"),
            NodeState::New => self.pick("new      ", "新建"),
            NodeState::Rebuilt => self.pick("rebuilt  ", "重建"),
            NodeState::Failed => self.pick("FAILS    ", "失败"),
            NodeState::Blocked => self.pick("blocked  ", "受阻"),
        }
    }

    fn causes(&self, causes: &[Cause], name: &str, kind: &str) -> String {
        let mut said: Vec<String> =
            causes.iter().take(CAUSES).map(|cause| self.cause(cause, name, kind)).collect();
        if causes.len() > CAUSES {
            said.push(format!("+{}", causes.len() - CAUSES));
        }
        said.join(self.pick("; ", "；"))
    }

    fn cause(&self, cause: &Cause, name: &str, kind: &str) -> String {
        let of = cause.of.as_str();
        let with = |en: &'static str, zh: &'static str| {
            self.pick(en, zh).replace("{}", of.strip_prefix("codes.").unwrap_or(of))
        };
        match cause.kind {
            CauseKind::New => self.pick("was never computed", "从未计算").to_owned(),
            CauseKind::Unknown => self
                .pick(
                    "what it was computed from was noted by an older program",
                    "上次计算的依据由旧版程序记录，无法比较",
                )
                .to_owned(),
            CauseKind::Definition if of != name => with("{} is another view", "视图 {} 有改动"),
            CauseKind::Definition => match kind {
                "model" => self.pick("its SQL changed", "SQL 有改动"),
                "reconcile" => self.pick("its file changed", "核对文件有改动"),
                _ => self.pick("its definition changed", "口径有改动"),
            }
            .to_owned(),
            CauseKind::File if of == CALENDAR => {
                self.pick("the calendar changed", "工作日历有改动").to_owned()
            }
            CauseKind::File => with("code table {} changed", "代码表 {} 有改动"),
            CauseKind::Input if self.is_computed(of) => with("{} is rebuilt", "{} 将重建"),
            CauseKind::Input => with("{} has other rows", "{} 的数据有变化"),
            CauseKind::Time => self
                .pick("entities that were given time are due", "暂缓核对的记录已到期")
                .to_owned(),
        }
    }

    /// Whether a table is one of those that are computed.
    fn is_computed(&self, name: &str) -> bool {
        let makes = |table: &TablePlan| {
            let rest = name.strip_prefix(table.name.as_str());
            rest == Some("")
                || (table.kind == "reconcile" && rest.is_some_and(|r| r.starts_with('_')))
        };
        self.plan.tables.iter().any(|table| table.diff.is_some() && makes(table))
    }

    fn reconcile(&self, found: &ReconcilePlan) {
        let mut moved = Vec::new();
        for (class, after) in &found.classes_after {
            let before = found.classes_before.get(class).copied();
            if before.unwrap_or(0) != *after && class != "unkeyed" {
                moved.push(format!("{class} {} -> {after}", before.unwrap_or(0)));
            }
        }
        let classes = if moved.is_empty() {
            self.pick("as they were", "不变").to_owned()
        } else {
            moved.join(", ")
        };
        self.line(&format!("      {} {classes}", self.pick("classes:", "类别：")));
        let ledger = &found.ledger;
        self.line(&format!(
            "      {} {} {}, {} {}, {} {}, {} {}",
            self.pick("differences:", "差异："),
            ledger.opened,
            self.pick("opened", "新增"),
            ledger.reopened,
            self.pick("reopened", "重现"),
            ledger.changed,
            self.pick("changed", "变化"),
            ledger.closed,
            self.pick("closed", "关闭"),
        ));
    }

    fn diff(&self, diff: &TableDiff) {
        let before = diff.rows_before.map_or_else(|| "-".to_owned(), |rows| rows.to_string());
        self.line(&format!(
            "      {} {before} -> {}: {} {}, {} {}, {} {}",
            self.pick("rows", "行数"),
            diff.rows_after,
            diff.added,
            self.pick("added", "新增"),
            diff.removed,
            self.pick("removed", "删除"),
            diff.changed,
            self.pick("changed", "变化"),
        ));
        if !diff.new_columns.is_empty() {
            let names = diff.new_columns.join(", ");
            self.line(&format!("      {} {names}", self.pick("new columns:", "新增列：")));
        }
        for example in &diff.examples {
            self.line(&format!("      {}", example_line(example)));
        }
    }

    fn trouble(&self, blocked_by: &[String], error: Option<&PlanError>) {
        if !blocked_by.is_empty() {
            self.line(&format!(
                "      {} {}",
                self.pick("not computed, depends on", "未计算，依赖于"),
                blocked_by.join(", ")
            ));
        }
        if let Some(error) = error {
            self.printer.step_failure(&error.code, &error.message, error.hint.as_deref());
        }
    }

    fn figures(&self) {
        let is_shown = |figure: &&FigurePlan| {
            let is_still = matches!(figure.state, NodeState::Unchanged)
                || (figure.state.is_computed() && !figure.is_moved);
            !is_still || figure.definition.is_some()
        };
        let shown: Vec<&FigurePlan> = self.plan.figures.iter().filter(is_shown).collect();
        let still = self.plan.figures.len() - shown.len();
        self.line("");
        self.line(self.pick("figures", "指标"));
        for figure in shown {
            self.figure(figure);
        }
        if still > 0 {
            self.line(&format!("  {} {still}", self.pick("not moved:", "数值不变：")));
        }
        for key in &self.plan.removed_figures {
            self.line(&format!("  {key:<28} {}", self.pick("removed", "删除")));
        }
        let is_failed = |figure: &FigurePlan| figure.state == NodeState::Failed;
        if self.plan.figures.iter().any(is_failed) {
            self.line(&format!(
                "  {}",
                self.pick(
                    "figures are written together: while one fails, none is",
                    "指标一并写入：有一项失败，则全部不写入",
                )
            ));
        }
    }

    fn figure(&self, figure: &FigurePlan) {
        let value = |value: Option<&str>, numerator, denominator| {
            equation(figure.unit, value, numerator, denominator)
        };
        let before = figure.before.as_ref().map_or_else(
            || "-".to_owned(),
            |was| {
                equation(Unit::of(&was.unit), was.value.as_deref(), was.numerator, was.denominator)
            },
        );
        let after = figure.after.as_ref().map_or_else(
            || "-".to_owned(),
            |is| value(is.value.as_deref(), is.numerator, is.denominator),
        );
        let change = match (&figure.change, figure.exact_change) {
            (Some(rounded), Some(exact)) => {
                let exact = exact.to_string();
                let plus = if exact.starts_with('-') || exact == "0" { "" } else { "+" };
                if exact.contains('/') {
                    format!("{plus}{rounded} ({plus}{exact})")
                } else {
                    format!("{plus}{rounded}")
                }
            }
            _ => String::new(),
        };
        self.line(&format!(
            "  {:<28} {before:>26} -> {after:<26} {change:<22} {}",
            figure.key, figure.title
        ));
        if let Some(definition) = &figure.definition {
            self.definition(definition);
        }
        self.trouble(&figure.blocked_by, figure.error.as_ref());
    }

    fn definition(&self, change: &DefinitionChange) {
        let lines = |counted: &Counted| -> Vec<(&'static str, String)> {
            let definition = counted.definition.clone();
            let mut lines = vec![
                (self.pick("title", "名称"), counted.title.clone()),
                (self.pick("owner", "负责"), counted.owner.clone()),
                (self.pick("table", "数据表"), counted.from.clone()),
                (self.pick("digits", "小数位"), counted.digits.to_string()),
            ];
            if let Some(definition) = definition {
                let all = || "true".to_owned();
                lines.extend([
                    (self.pick("valid from", "生效日期"), definition.valid_from),
                    (self.pick("definition", "口径"), definition.text),
                    (self.pick("denominator", "分母"), definition.denominator.unwrap_or_else(all)),
                    (self.pick("numerator", "分子"), definition.numerator.unwrap_or_else(all)),
                    (self.pick("distinct", "去重"), definition.distinct.unwrap_or_default()),
                ]);
            }
            lines
        };
        for ((name, before), (_, after)) in
            lines(&change.before).into_iter().zip(lines(&change.after))
        {
            if before != after {
                self.line(&format!("      {name}"));
                self.line(&format!("        - {before}"));
                self.line(&format!("        + {after}"));
            }
        }
    }

    fn pushes(&self) {
        if self.plan.pushes.is_empty() {
            return;
        }
        self.line("");
        self.line(
            self.pick("pushes (nothing is sent before the next run)", "推送（下次运行之前不发送）"),
        );
        for push in &self.plan.pushes {
            let what = match push.records {
                Some(records) => format!(
                    "{records} {}",
                    self.pick("records would be queued", "条记录将进入待发队列")
                ),
                None => self
                    .pick("the whole table would be sent by the next run", "下次运行时整表发送")
                    .to_owned(),
            };
            self.line(&format!("  {:<32} {what} <- {}", push.push, push.from));
        }
    }

    fn streams(&self) {
        if self.plan.streams.is_empty() {
            return;
        }
        self.line("");
        self.line(self.pick(
            "streams (what the next read brings is not known and not in this plan)",
            "数据流（下次读取的结果无法预知，不在本计划内）",
        ));
        for stream in &self.plan.streams {
            let state = match stream.state {
                StreamChange::New => self.pick("was never read", "从未读取"),
                StreamChange::Changed => self.pick("is read otherwise:", "读取方式有改动："),
                StreamChange::Unknown => self.pick(
                    "how it was last read was not noted",
                    "上次读取所用的设置没有记录，无法比较",
                ),
                StreamChange::Removed => self.pick(
                    "is in no system file any more; its tables stay",
                    "已不在系统文件中，数据表保持原样",
                ),
            };
            self.line(&format!("  {:<32} {state}", stream.stream));
            for setting in &stream.settings {
                let (before, after) = (setting.before.as_deref(), setting.after.as_deref());
                let values = match (before, after) {
                    (None, None) => self.pick("changed", "有改动").to_owned(),
                    _ => format!("{} -> {}", before.unwrap_or("-"), after.unwrap_or("-")),
                };
                self.line(&format!("      {}: {values}", setting.name));
            }
        }
    }

    fn orphans(&self) {
        if self.plan.no_longer_built.is_empty() {
            return;
        }
        self.line("");
        self.line(
            self.pick(
                "no longer built (the tables stay as they are)",
                "不再生成（数据表保持原样）",
            ),
        );
        for orphan in &self.plan.no_longer_built {
            let readers = match orphan.read_by.as_slice() {
                [] => String::new(),
                readers => {
                    format!("{} {}", self.pick("still read by", "仍被引用："), readers.join(", "))
                }
            };
            self.line(&format!("  {:<32} {readers}", orphan.table));
        }
    }
}

/// A row on one line: `+ id 1, name a`; of a changed one what it was and what it becomes.
fn example_line(example: &Example) -> String {
    let (sign, is_changed) = match example.kind {
        RowKind::Added => ('+', false),
        RowKind::Removed => ('-', false),
        RowKind::Changed => ('~', true),
    };
    let cell = |cell: &Cell| {
        let (before, after) = (cell.before.as_deref(), cell.after.as_deref());
        if is_changed && before != after {
            return format!("{}: {} -> {}", cell.column, shown(before), shown(after));
        }
        format!("{} {}", cell.column, shown(after.or(before)))
    };
    let mut line = String::from(sign);
    for (number, text) in example.cells.iter().map(cell).enumerate() {
        if line.chars().count() + text.chars().count() > LINE && number > 0 {
            line.push_str(" …");
            break;
        }
        line.push_str(if number == 0 { " " } else { ", " });
        line.push_str(&text);
    }
    line
}

/// A value, shortened.
fn shown(value: Option<&str>) -> String {
    let Some(value) = value else { return "null".to_owned() };
    let mut letters = value.chars();
    let mut text: String =
        letters.by_ref().take(VALUE).map(|c| if c == '\n' { ' ' } else { c }).collect();
    if letters.next().is_some() {
        text.push('…');
    }
    text
}

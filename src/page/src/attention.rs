//! What needs a person, worst first.

use serde::Serialize;

use crate::daily::{Daily, Push, Step, StepState, Stopped, Stream, Trouble};
use crate::text;

/// How much something needs a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Something does not work, or waits for a decision.
    Stop,
    /// Something should be looked at.
    Look,
}

/// One thing that needs a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attention {
    /// How much.
    pub level: Level,
    /// What it is about, by its name for people.
    pub subject: String,
    /// The node, where it is about one.
    pub node: Option<String>,
    /// What is the matter.
    pub matter: String,
    /// What can be done.
    pub todo: String,
    /// The same in English.
    pub english: English,
    /// The part of the page that tells more.
    pub section: &'static str,
}

/// What the matter is in English.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct English {
    /// What it is about.
    pub subject: String,
    /// What is the matter.
    pub matter: String,
    /// What can be done.
    pub todo: String,
}

/// A matter in both languages, with what can be done.
struct Said {
    zh: (String, String),
    en: (String, String),
}

impl Said {
    fn new(
        (zh, zh_todo): (impl Into<String>, impl Into<String>),
        (en, en_todo): (impl Into<String>, impl Into<String>),
    ) -> Self {
        Self { zh: (zh.into(), zh_todo.into()), en: (en.into(), en_todo.into()) }
    }

    fn about(
        self,
        level: Level,
        (subject, subject_en): (String, String),
        node: Option<String>,
        section: &'static str,
    ) -> Attention {
        let ((matter, todo), (matter_en, todo_en)) = (self.zh, self.en);
        let english = English { subject: subject_en, matter: matter_en, todo: todo_en };
        Attention { level, subject, node, matter, todo, english, section }
    }
}

impl Daily {
    /// What needs a person, worst first.
    pub fn attention(&self) -> Vec<Attention> {
        let mut found = Vec::new();
        self.streams.iter().for_each(|stream| of_stream(stream, &self.day, &mut found));
        self.pushes.iter().for_each(|push| of_push(push, &self.day, &mut found));
        for Stopped { node, step } in &self.stopped {
            let subject = ("加工步骤".to_owned(), "A step".to_owned());
            found.extend(
                matter_of(step)
                    .map(|said| said.about(Level::Stop, subject, Some(node.clone()), "top")),
            );
        }
        found.extend(self.held_up());
        for differences in &self.differences {
            for class in differences.classes.iter().filter(|class| class.is_above_level) {
                let said = Said::new(
                    (
                        format!("“{}”{} 个，超过预警线", class.title, class.keys),
                        "按部门差异逐家督促",
                    ),
                    (
                        format!(
                            "{} in the class “{}”, above its warn level",
                            class.keys, class.title
                        ),
                        "take it up with the departments, one by one",
                    ),
                );
                let subject = (format!("{}核对", differences.title), differences.title.clone());
                found.push(said.about(Level::Look, subject, None, "differences"));
            }
        }
        found.sort_by_key(|attention| attention.level);
        found
    }

    /// What did not run because something it needs failed, as one thing: the cause is named by
    /// itself.
    fn held_up(&self) -> Option<Attention> {
        let pushes = self.pushes.iter().filter_map(|push| Some((&push.node, push.last.as_ref()?)));
        let others = self.stopped.iter().map(|stopped| (&stopped.node, &stopped.step));
        let nodes: Vec<&str> = pushes
            .chain(others)
            .filter(|(_, step)| step.trouble.as_ref().is_some_and(|trouble| trouble.is_blocked))
            .map(|(node, _)| node.as_str())
            .collect();
        let subject =
            (format!("{} 个后续步骤", nodes.len()), format!("{} later steps", nodes.len()));
        let said = Said::new(
            (
                format!("因上游失败没有运行，沿用上一次的结果：{}", nodes.join("、")),
                "上游恢复后再次运行即可",
            ),
            (
                format!(
                    "did not run, because what they need failed; their last results stand: {}",
                    nodes.join(", ")
                ),
                "run again when it works",
            ),
        );
        (!nodes.is_empty()).then(|| said.about(Level::Look, subject, None, "balances"))
    }
}

/// Whether a step failed by itself. What only waits for something else, or for a better hour, did
/// not.
fn has_failed(step: &Step) -> bool {
    let waits = step.trouble.as_ref().is_some_and(|t| t.is_blocked || t.is_postponed);
    matches!(step.state, StepState::Failed | StepState::Blocked) && !waits
}

/// What is the matter with a step that failed by itself, and what can be done.
fn matter_of(step: &Step) -> Option<Said> {
    if !has_failed(step) {
        return None;
    }
    let Trouble { code, meaning, todo, is_guard, .. } = step.trouble.clone().unwrap_or_default();
    let mut matter = if is_guard { "被保护规则拦下" } else { text::state(step.state) }.to_owned();
    if !meaning.is_empty() {
        matter.push_str(&format!("：{meaning}"));
    }
    if !code.is_empty() {
        matter.push_str(&format!("（{code}）"));
    }
    let look = format!("详见 huiliu runs show {}", step.run);
    let zh = (matter, if todo.is_empty() { look } else { format!("{todo}；{look}") });
    let stopped = if is_guard { "stopped by a guard" } else { state_en(step.state) };
    let code = if code.is_empty() { String::new() } else { format!(" ({code})") };
    let en = (format!("{stopped}{code}"), format!("see huiliu runs show {}", step.run));
    Some(Said::new(zh, en))
}

fn state_en(state: StepState) -> &'static str {
    match state {
        StepState::Running => "running",
        StepState::Succeeded => "succeeded",
        StepState::Unchanged => "nothing new",
        StepState::Partial => "partly succeeded",
        StepState::Failed => "failed",
        StepState::Blocked => "did not run",
        StepState::Cancelled => "stopped",
    }
}

fn workdays_en(days: Option<i64>) -> String {
    days.map_or_else(|| "an unknown number of".to_owned(), |days| days.to_string())
}

fn of_stream(stream: &Stream, day: &str, found: &mut Vec<Attention>) {
    let mut add = |level, said: Said, section| {
        let subject = (stream.system.clone(), stream.system.clone());
        found.push(said.about(level, subject, Some(stream.node.clone()), section));
    };
    let (since, since_en) = match &stream.timing.done_at {
        Some(at) => {
            let at = text::moment(at, day);
            (format!("最近一次成功在 {at}"), format!("it last succeeded at {at}"))
        }
        None => ("还没有成功过".to_owned(), "it never succeeded".to_owned()),
    };
    let last = stream.last.as_ref();
    let waits = last.and_then(|step| step.trouble.as_ref()).is_some_and(|t| t.is_postponed);
    if let Some(Said { zh, en }) = last.and_then(matter_of) {
        let zh = (format!("{}，{since}", zh.0), zh.1);
        let en = (format!("{}; {since_en}", en.0), en.1);
        add(Level::Stop, Said { zh, en }, "balances");
    } else if let Some(step) = last.filter(|step| !step.balance.is_even()) {
        let said = Said::new(
            ("读到的行数与去向不平", format!("详见 huiliu runs show {}", step.run)),
            (
                "not every row it read is accounted for",
                format!("see huiliu runs show {}", step.run),
            ),
        );
        add(Level::Stop, said, "balances");
    } else if stream.timing.is_late && !waits {
        let due = stream.timing.due_at.as_deref().map_or("-", |at| text::moment(at, day));
        let said = Said::new(
            (format!("没有按时读取：应在 {due}，{since}"), "看枢纽服务是否一直在运行"),
            (format!("was not read at {due}; {since_en}"), "see whether the service was running"),
        );
        add(Level::Look, said, "late");
    }
    if stream.quarantine > 0 {
        let said = Said::new(
            (
                format!("{} 行在隔离区", stream.quarantine),
                format!("huiliu quarantine list --stream {}，更正后重放", stream.node),
            ),
            (
                format!("{} rows in quarantine", stream.quarantine),
                format!(
                    "see huiliu quarantine list --stream {}; replay them once mended",
                    stream.node
                ),
            ),
        );
        add(Level::Look, said, "balances");
    }
    if stream.news.is_long_ago() {
        let said = Said::new(
            (
                format!(
                    "{}没有新数据，以往最长 {}",
                    text::workdays(stream.news.workdays),
                    text::workdays(stream.news.usual)
                ),
                format!("问{}是否停用或改了出数方式", stream.owner),
            ),
            (
                format!(
                    "nothing new for {} working days; the longest pause so far was {}",
                    workdays_en(stream.news.workdays),
                    workdays_en(stream.news.usual)
                ),
                format!("ask {} whether it is still in use", stream.owner),
            ),
        );
        add(Level::Look, said, "late");
    }
}

fn of_push(push: &Push, day: &str, found: &mut Vec<Attention>) {
    let mut add = |level, said: Said| {
        let subject = (format!("发往{}", push.system), format!("To {}", push.system));
        found.push(said.about(level, subject, Some(push.node.clone()), "pushes"));
    };
    let outbox = &push.outbox;
    let failed = push.last.as_ref().and_then(matter_of);
    if outbox.unknown > 0 {
        let look = failed.as_ref().map_or("向对方核实后再处理", |said| said.zh.1.as_str());
        let said = Said::new(
            (format!("{} 条已发出但不知是否送达，不会自动重发", outbox.unknown), look),
            (
                format!(
                    "{} records were sent and may have arrived; they are not sent again",
                    outbox.unknown
                ),
                "ask the target which it has",
            ),
        );
        add(Level::Stop, said);
    } else if let Some(said) = failed {
        add(Level::Stop, said);
    }
    if outbox.rejected > 0 {
        let said = Said::new(
            (format!("{} 条被对方退回", outbox.rejected), "看退回原因，更正后重推"),
            (format!("{} records were refused", outbox.rejected), "see why, and send them mended"),
        );
        add(Level::Look, said);
    }
    if outbox.waiting > 0 && outbox.vain_attempts > 0 {
        let said = Said::new(
            (
                format!("{} 条发送过但尚未送达", outbox.waiting),
                "下次推送会再发；连续多日则联系对方",
            ),
            (
                format!("{} records were sent in vain so far", outbox.waiting),
                "the next push sends them again; ask the target if it goes on for days",
            ),
        );
        add(Level::Look, said);
    } else if outbox.waiting > 0 && push.timing.job.is_none() {
        let said = Said::new(
            (
                format!("{} 条待发，但没有任务发送", outbox.waiting),
                "在 config/jobs.toml 中安排，或手工运行",
            ),
            (
                format!("{} records wait and no job sends them", outbox.waiting),
                "put it into config/jobs.toml, or run it by hand",
            ),
        );
        add(Level::Look, said);
    } else if outbox.waiting > 0 && push.timing.is_late {
        let due = push.timing.due_at.as_deref().map_or("-", |at| text::moment(at, day));
        let said = Said::new(
            (
                format!("{} 条待发，没有按时发送（应在 {due}）", outbox.waiting),
                "看枢纽服务是否一直在运行",
            ),
            (
                format!("{} records wait and were not sent at {due}", outbox.waiting),
                "see whether the service was running",
            ),
        );
        add(Level::Look, said);
    }
}

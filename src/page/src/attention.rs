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
    /// The part of the page that tells more.
    pub section: &'static str,
}

impl Daily {
    /// What needs a person, worst first.
    pub fn attention(&self) -> Vec<Attention> {
        let mut found = Vec::new();
        self.streams.iter().for_each(|stream| of_stream(stream, &self.day, &mut found));
        self.pushes.iter().for_each(|push| of_push(push, &self.day, &mut found));
        for Stopped { node, step } in &self.stopped {
            found.extend(matter_of(step).map(|(matter, todo)| Attention {
                level: Level::Stop,
                subject: "加工步骤".into(),
                node: Some(node.clone()),
                matter,
                todo,
                section: "top",
            }));
        }
        found.extend(self.held_up());
        for differences in &self.differences {
            for class in differences.classes.iter().filter(|class| class.is_above_level) {
                found.push(Attention {
                    level: Level::Look,
                    subject: format!("{}核对", differences.title),
                    node: None,
                    matter: format!("“{}”{} 个，超过预警线", class.title, class.keys),
                    todo: "按部门差异逐家督促".into(),
                    section: "differences",
                });
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
        (!nodes.is_empty()).then(|| Attention {
            level: Level::Look,
            subject: format!("{} 个后续步骤", nodes.len()),
            node: None,
            matter: format!("因上游失败没有运行，沿用上一次的结果：{}", nodes.join("、")),
            todo: "上游恢复后再次运行即可".into(),
            section: "balances",
        })
    }
}

/// Whether a step failed by itself. What only waits for something else, or for a better hour, did
/// not.
fn has_failed(step: &Step) -> bool {
    let waits = step.trouble.as_ref().is_some_and(|t| t.is_blocked || t.is_postponed);
    matches!(step.state, StepState::Failed | StepState::Blocked) && !waits
}

/// What is the matter with a step that failed by itself, and what can be done.
fn matter_of(step: &Step) -> Option<(String, String)> {
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
    Some((matter, if todo.is_empty() { look } else { format!("{todo}；{look}") }))
}

fn of_stream(stream: &Stream, day: &str, found: &mut Vec<Attention>) {
    let mut add = |level, matter: String, todo: String, section| {
        let (subject, node) = (stream.system.clone(), Some(stream.node.clone()));
        found.push(Attention { level, subject, node, matter, todo, section });
    };
    let since = match &stream.timing.done_at {
        Some(at) => format!("最近一次成功在 {}", text::moment(at, day)),
        None => "还没有成功过".to_owned(),
    };
    let last = stream.last.as_ref();
    let waits = last.and_then(|step| step.trouble.as_ref()).is_some_and(|t| t.is_postponed);
    if let Some((matter, todo)) = last.and_then(matter_of) {
        add(Level::Stop, format!("{matter}，{since}"), todo, "balances");
    } else if let Some(step) = last.filter(|step| !step.balance.is_even()) {
        let todo = format!("详见 huiliu runs show {}", step.run);
        add(Level::Stop, "读到的行数与去向不平".into(), todo, "balances");
    } else if stream.timing.is_late && !waits {
        let due = stream.timing.due_at.as_deref().map_or("-", |at| text::moment(at, day));
        let matter = format!("没有按时读取：应在 {due}，{since}");
        add(Level::Look, matter, "看枢纽服务是否一直在运行".into(), "late");
    }
    if stream.quarantine > 0 {
        let matter = format!("{} 行在隔离区", stream.quarantine);
        let todo = format!("huiliu quarantine list --stream {}，更正后重放", stream.node);
        add(Level::Look, matter, todo, "balances");
    }
    if stream.news.is_long_ago() {
        let matter = format!(
            "{}没有新数据，以往最长 {}",
            text::workdays(stream.news.workdays),
            text::workdays(stream.news.usual)
        );
        add(Level::Look, matter, format!("问{}是否停用或改了出数方式", stream.owner), "late");
    }
}

fn of_push(push: &Push, day: &str, found: &mut Vec<Attention>) {
    let mut add = |level, matter: String, todo: &str| {
        let (subject, node) = (format!("发往{}", push.system), Some(push.node.clone()));
        let todo = todo.to_owned();
        found.push(Attention { level, subject, node, matter, todo, section: "pushes" });
    };
    let outbox = &push.outbox;
    let failed = push.last.as_ref().and_then(matter_of);
    if outbox.unknown > 0 {
        let matter = format!("{} 条已发出但不知是否送达，不会自动重发", outbox.unknown);
        let look = failed.as_ref().map_or("向对方核实后再处理", |(_, todo)| todo);
        add(Level::Stop, matter, look);
    } else if let Some((matter, todo)) = &failed {
        add(Level::Stop, matter.clone(), todo);
    }
    if outbox.rejected > 0 {
        add(Level::Look, format!("{} 条被对方退回", outbox.rejected), "看退回原因，更正后重推");
    }
    if outbox.waiting > 0 && outbox.vain_attempts > 0 {
        let matter = format!("{} 条发送过但尚未送达", outbox.waiting);
        add(Level::Look, matter, "下次推送会再发；连续多日则联系对方");
    } else if outbox.waiting > 0 && push.timing.job.is_none() {
        let matter = format!("{} 条待发，但没有任务发送", outbox.waiting);
        add(Level::Look, matter, "在 config/jobs.toml 中安排，或手工运行");
    } else if outbox.waiting > 0 && push.timing.is_late {
        let due = push.timing.due_at.as_deref().map_or("-", |at| text::moment(at, day));
        let matter = format!("{} 条待发，没有按时发送（应在 {due}）", outbox.waiting);
        add(Level::Look, matter, "看枢纽服务是否一直在运行");
    }
}

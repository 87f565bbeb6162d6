//! What needs a person, worst first.

use serde::Serialize;

use crate::daily::{Daily, Push, Step, StepState, Stream};
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
    /// What it is about.
    pub subject: String,
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
        for stopped in &self.stopped {
            found.extend(of_step(&stopped.node, &stopped.step, "top"));
        }
        found.extend(self.held_up());
        for differences in &self.differences {
            for class in differences.classes.iter().filter(|class| class.is_above_level) {
                found.push(Attention {
                    level: Level::Look,
                    subject: format!("{}核对", differences.title),
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
            matter: format!("因上游失败没有运行，沿用上一次的结果：{}", nodes.join("、")),
            todo: "上游恢复后再次运行即可".into(),
            section: "balances",
        })
    }
}

/// A step that failed by itself. What only waits for something else, or for a better hour, is not
/// said here.
fn of_step(node: &str, step: &Step, section: &'static str) -> Option<Attention> {
    if !matches!(step.state, StepState::Failed | StepState::Blocked) {
        return None;
    }
    let trouble = step.trouble.clone().unwrap_or_default();
    if trouble.is_blocked || trouble.is_postponed {
        return None;
    }
    let kind = if trouble.is_guard { "已被保护规则拦下" } else { text::state(step.state) };
    let code =
        if trouble.code.is_empty() { String::new() } else { format!("（{}）", trouble.code) };
    let meaning = match trouble.meaning.as_str() {
        "" => String::new(),
        meaning => format!("：{meaning}"),
    };
    let look = format!("详见 huiliu runs show {}", step.run);
    Some(Attention {
        level: Level::Stop,
        subject: node.to_owned(),
        matter: format!("{kind}{meaning}{code}"),
        todo: if trouble.todo.is_empty() { look } else { format!("{}；{look}", trouble.todo) },
        section,
    })
}

fn of_stream(stream: &Stream, day: &str, found: &mut Vec<Attention>) {
    let mut add = |level, matter: String, todo: String, section| {
        found.push(Attention { level, subject: stream.node.clone(), matter, todo, section });
    };
    if let Some(step) = &stream.last
        && !step.balance.is_even()
    {
        let todo = format!("详见 huiliu runs show {}", step.run);
        add(Level::Stop, "读到的行数与去向不平".into(), todo, "balances");
    }
    if stream.quarantine > 0 {
        let matter = format!("{} 行在隔离区", stream.quarantine);
        let todo = format!("huiliu quarantine list --stream {}；更正后重放", stream.node);
        add(Level::Look, matter, todo, "balances");
    }
    if stream.timing.is_late {
        let since = match &stream.timing.done_at {
            Some(at) => format!("最近一次成功在 {}", text::moment(at, day)),
            None => "还没有成功过".to_owned(),
        };
        let due = stream.timing.due_at.as_deref().map(|at| text::moment(at, day));
        let matter = format!("没有按时读取：应在 {}，{since}", due.unwrap_or("-"));
        add(Level::Look, matter, format!("{}负责", stream.owner), "late");
    }
    if stream.news.is_long_ago() {
        let matter = format!(
            "{}没有新数据，以往最长 {}",
            text::workdays(stream.news.workdays),
            text::workdays(stream.news.usual)
        );
        add(Level::Look, matter, format!("问{}是否停用或改了出数方式", stream.owner), "late");
    }
    if let Some(step) = &stream.last {
        found.extend(of_step(&stream.node, step, "balances"));
    }
}

fn of_push(push: &Push, day: &str, found: &mut Vec<Attention>) {
    let mut add = |level, matter: String, todo: &str| {
        let todo = todo.to_owned();
        found.push(Attention {
            level,
            subject: push.node.clone(),
            matter,
            todo,
            section: "pushes",
        });
    };
    let outbox = &push.outbox;
    if outbox.unknown > 0 {
        let matter = format!("{} 条已发出但不知是否送达，不会自动重发", outbox.unknown);
        add(Level::Stop, matter, "向对方核实后再处理");
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
        add(Level::Look, matter, "检查枢纽服务是否在运行");
    }
    if let Some(step) = &push.last {
        found.extend(of_step(&push.node, step, "pushes"));
    }
}

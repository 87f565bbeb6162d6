use crate::{
    Balance, Change, Class, Daily, Differences, Figure, Kind, Level, News, Outbox, Owner, Point,
    Push, Run, Step, StepState, Stream, Timing, Trouble,
};

fn step(state: StepState, balance: Balance) -> Step {
    Step { run: 12, at: "2018-12-13 07:31".into(), state, balance, trouble: None }
}

fn stream(node: &str, last: Option<Step>) -> Stream {
    Stream {
        node: node.into(),
        system: "政务服务运行管理系统".into(),
        owner: "市政务服务中心".into(),
        last,
        quarantine: 0,
        timing: Timing {
            job: Some("morning_figures".into()),
            due_at: Some("2018-12-13 07:30".into()),
            done_at: Some("2018-12-13 07:31".into()),
            ..Timing::default()
        },
        news: News::default(),
    }
}

fn push(outbox: Outbox) -> Push {
    Push {
        node: "push.province.cases".into(),
        system: "省级政务服务平台".into(),
        owner: "省数据资源主管部门".into(),
        outbox,
        last: Some(step(StepState::Succeeded, Balance::default())),
        timing: Timing { job: Some("evening".into()), ..Timing::default() },
    }
}

/// A page on which all is well.
fn daily() -> Daily {
    let balance = Balance { read: 10, written: 6, unchanged: 4, ..Balance::default() };
    Daily {
        office: "马鞍山市政务服务数据中枢".into(),
        day: "2018-12-13".into(),
        is_workday: Some(true),
        written_at: "2018-12-13 07:32".into(),
        snapshot: 59,
        run: Some(Run {
            number: 12,
            job: Some("morning_figures".into()),
            state: StepState::Succeeded,
            started_at: "2018-12-13 07:30".into(),
        }),
        figures: vec![Figure {
            key: "online_able_ratio".into(),
            title: "网上可办事项比例".into(),
            is_percent: true,
            value: Some("99.97".into()),
            numerator: Some(52_337),
            denominator: Some(52_353),
            definition: "可在网上办理的事项数 ÷ 全部事项数。".into(),
            valid_from: "2017-12-20".into(),
            owner: "市政务服务中心".into(),
            snapshot: Some(58),
            change: Some(Change {
                since: "2018-12-12".into(),
                sign: 1,
                size: "0.02".into(),
                before: Some("99.95".into()),
                is_redefined: false,
            }),
            trend: vec![
                Point { day: "2018-12-12".into(), text: "99.95".into(), height: 99.95 },
                Point { day: "2018-12-13".into(), text: "99.97".into(), height: 99.97 },
            ],
        }],
        streams: vec![stream("city_cases.accepted", Some(step(StepState::Succeeded, balance)))],
        stopped: Vec::new(),
        differences: Vec::new(),
        pushes: vec![push(Outbox { accepted: 35, ..Outbox::default() })],
    }
}

fn matters(daily: &Daily) -> Vec<String> {
    let said =
        |item: crate::Attention| format!("{} {}", item.node.unwrap_or(item.subject), item.matter);
    daily.attention().into_iter().map(said).collect()
}

#[test]
fn a_quiet_day_says_so_and_names_no_other_file() {
    let html = daily().html();
    assert!(html.starts_with("<!DOCTYPE html><html lang=\"zh-CN\">"), "{html}");
    assert!(html.contains("一切正常"), "{html}");
    assert!(html.contains("2018年12月13日") && html.contains("星期四 · 工作日"), "{html}");
    assert!(html.contains("52337 / 52353") && html.contains("▲ 0.02 个百分点"), "{html}");
    for outside in ["http:", "https:", "src=", "url(", "<script", "<link", "@import"] {
        assert!(!html.contains(outside), "the page has {outside}");
    }
}

#[test]
fn nothing_in_the_data_becomes_markup() {
    let evil = "<img src=x onerror=alert(1)>\"'&";
    let mut daily = daily();
    daily.office = evil.into();
    daily.day = evil.into();
    daily.figures[0].title = evil.into();
    daily.figures[0].definition = evil.into();
    daily.figures[0].value = Some(evil.into());
    daily.streams[0].node = evil.into();
    daily.streams[0].quarantine = 1;
    daily.pushes[0].system = evil.into();
    daily.differences.push(Differences {
        title: evil.into(),
        compared_at: Some(evil.into()),
        kinds: vec![Kind { title: evil.into(), open: 1, ..Kind::default() }],
        owners: vec![Owner { name: evil.into(), open: vec![1], ..Owner::default() }],
        ..Differences::default()
    });
    let html = daily.html();
    assert!(!html.contains("<img"), "{html}");
    assert!(html.contains("&lt;img src=x onerror=alert(1)&gt;&quot;'&amp;"), "{html}");
}

#[test]
fn an_empty_project_and_a_hub_that_never_ran_have_a_page() {
    let html = Daily { day: "2018-12-13".into(), ..Daily::default() }.html();
    for said in ["项目里还没有指标", "项目里还没有数据流", "项目里没有推送"]
    {
        assert!(html.contains(said), "{html}");
    }
    let mut never = daily();
    never.run = None;
    never.streams[0].last = None;
    never.pushes[0].last = None;
    never.figures[0] = Figure { title: "甲".into(), is_percent: true, ..Figure::default() };
    never.differences.push(Differences::default());
    let html = never.html();
    for said in ["还没有读取过", "尚未计算", "还没有核对过"] {
        assert!(html.contains(said), "{html}");
    }
    assert!(!html.contains("NaN"), "{html}");
}

#[test]
fn a_ratio_of_nothing_and_small_moves_are_said_in_words() {
    let mut daily = daily();
    let figure = &mut daily.figures[0];
    (figure.value, figure.denominator, figure.numerator) = (None, Some(0), Some(0));
    figure.trend.clear();
    assert!(daily.html().contains("没有分母"));
    let change = |sign, size: &str| {
        let mut daily = self::daily();
        let since = "2018-12-12".into();
        let (size, before, is_redefined) = (size.into(), Some("99.97".into()), sign < 0);
        daily.figures[0].change = Some(Change { since, sign, size, before, is_redefined });
        daily.html()
    };
    assert!(change(0, "0.00").contains("较12月12日 持平"));
    assert!(change(-1, "0.00").contains("较12月12日 微降，不足一位，口径有变"));
    assert!(change(-1, "0.50").contains("▼ 0.50 个百分点"));
}

#[test]
fn many_departments_share_a_line_and_none_is_lost() {
    let mut daily = daily();
    let owner = |number: u64| Owner {
        name: format!("第{number}局"),
        open: vec![number, 1],
        opened_today: 1,
        closed_today: 2,
        oldest_workdays: i64::try_from(number).ok(),
        settled: 0,
    };
    daily.differences.push(Differences {
        title: "办件".into(),
        keys: 1000,
        compared_at: Some("2018-12-13 07:31".into()),
        classes: vec![
            Class { title: "一致".into(), keys: 900, is_above_level: false },
            Class { title: "省平台缺失".into(), keys: 100, is_above_level: true },
        ],
        kinds: vec![
            Kind { title: "省平台缺失".into(), open: 820, ..Kind::default() },
            Kind { title: "办理状态不一致".into(), open: 40, ..Kind::default() },
        ],
        owners: (1..=40).rev().map(owner).collect(),
    });
    let html = daily.html();
    assert!(html.contains("第29局") && !html.contains("第28局"), "twelve have lines of their own");
    // 1 + 2 + … + 28, and one of the second kind each.
    let rest: u64 = (1..=28).sum::<u64>() + 28;
    let line = format!("其余 28 个部门合计</th><td class=\"num\" role=\"cell\">{rest}</td>");
    assert!(html.contains(&line), "{html}");
    assert!(html.contains("data-label=\"最早\">28</td></tr></tbody>"), "the oldest of the rest");
    assert_eq!(matters(&daily), ["办件核对 “省平台缺失”100 个，超过预警线"]);
}

#[test]
fn what_needs_a_person_comes_first_and_worst_first() {
    let mut daily = daily();
    let trouble = |code: &str| Trouble { code: code.into(), ..Trouble::default() };
    let mut failed = step(StepState::Failed, Balance::default());
    failed.trouble =
        Some(Trouble { meaning: "系统没有应答".into(), ..trouble("E-UNREACHABLE") });
    let mut guarded = step(StepState::Failed, Balance::default());
    guarded.trouble = Some(Trouble { is_guard: true, ..trouble("E-SHRINK") });
    let mut blocked = step(StepState::Blocked, Balance::default());
    blocked.trouble = Some(Trouble { is_blocked: true, ..trouble("E-BLOCKED") });
    let mut resting = step(StepState::Blocked, Balance::default());
    resting.trouble = Some(Trouble { is_postponed: true, ..trouble("E-QUIET-HOURS") });
    daily.streams[0].quarantine = 3;
    daily.streams.push(stream("a.failed", Some(failed)));
    daily.streams.push(stream("b.guarded", Some(guarded)));
    daily.streams.push(stream("c.resting", Some(resting)));
    daily.pushes = vec![push(Outbox { unknown: 2, rejected: 1, ..Outbox::default() })];
    daily.pushes[0].last = Some(blocked);
    assert_eq!(
        matters(&daily),
        [
            "a.failed 失败：系统没有应答（E-UNREACHABLE），最近一次成功在 07:31",
            "b.guarded 被保护规则拦下（E-SHRINK），最近一次成功在 07:31",
            "push.province.cases 2 条已发出但不知是否送达，不会自动重发",
            "city_cases.accepted 3 行在隔离区",
            "push.province.cases 1 条被对方退回",
            "1 个后续步骤 因上游失败没有运行，沿用上一次的结果：push.province.cases",
        ]
    );
    let levels: Vec<Level> = daily.attention().iter().map(|item| item.level).collect();
    assert!(levels.is_sorted());
    let html = daily.html();
    assert!(html.contains("有 <strong>6</strong> 件事需要人处理"), "{html}");
    assert!(html.contains("1 个数据流在对方的免打扰时段内"), "{html}");
    assert!(html.contains("✕ 失败"), "{html}");
}

#[test]
fn a_balance_that_does_not_hold_is_marked() {
    let mut daily = daily();
    let odd = Balance { read: 10, written: 9, ..Balance::default() };
    daily.streams[0].last = Some(step(StepState::Succeeded, odd));
    assert!(daily.html().contains("✕ 不平"));
    assert_eq!(daily.attention()[0].level, Level::Stop);
}

#[test]
fn late_streams_and_streams_without_news_are_named_with_the_reason() {
    let mut daily = daily();
    let late = &mut daily.streams[0];
    late.timing.is_late = true;
    late.timing.done_at = Some("2018-12-11 07:31".into());
    late.timing.late_workdays = Some(2);
    let mut silent = stream("dept.cases", None);
    silent.news = News { last_day: Some("2018-11-30".into()), workdays: Some(9), usual: Some(3) };
    daily.streams.push(silent);
    assert_eq!(
        matters(&daily),
        [
            "city_cases.accepted 没有按时读取：应在 07:30，最近一次成功在 12-11 07:31",
            "dept.cases 9 个工作日没有新数据，以往最长 3 个工作日",
        ]
    );
    let html = daily.html();
    assert!(html.contains("迟到</span><span class=\"of\">2 个工作日"), "{html}");
}

#[test]
fn records_that_wait_for_their_time_need_nobody() {
    let mut daily = daily();
    let waiting = Outbox { waiting: 5, ..Outbox::default() };
    daily.pushes = vec![push(waiting)];
    assert_eq!(matters(&daily), [""; 0]);
    daily.pushes[0].timing.job = None;
    assert_eq!(matters(&daily), ["push.province.cases 5 条待发，但没有任务发送"]);
    daily.pushes = vec![push(Outbox { vain_attempts: 2, ..waiting })];
    assert_eq!(matters(&daily), ["push.province.cases 5 条发送过但尚未送达"]);
    daily.pushes = vec![push(waiting)];
    daily.pushes[0].timing.is_late = true;
    daily.pushes[0].timing.due_at = Some("2018-12-12 19:20".into());
    assert_eq!(matters(&daily), ["push.province.cases 5 条待发，没有按时发送（应在 12-12 19:20）"]);
}

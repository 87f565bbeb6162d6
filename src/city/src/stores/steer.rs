//! `steer/`: the workbook in which the city's office keeps what it urged, sent, taught and docked.

use std::fs;
use std::path::Path;

use huiliu_sdk::{Error, ErrorKind, Result};
use rand::Rng;
use rand::rngs::StdRng;
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Workbook};

use super::sheet::{Sheet, Value, broken};
use crate::seed::{generator, pick};
use crate::truth::{Expected, Witness};
use crate::world::{OwnSystem, State, World, add_workdays, day_of, interfaces};

const FILE: &str = "督查台账_2018.xlsx";
const VERTICAL: &str = include_str!("../../facts/vertical_systems.csv");

/// A kind of document: the figure it is counted in, its words, its numbers, how many there are.
struct Kind {
    figure: &'static str,
    summary: &'static str,
    words: &'static [&'static str],
    number: &'static str,
    count: u32,
}

const KINDS: [Kind; 4] = [
    Kind {
        figure: "bulletins",
        summary: "工作快报",
        words: &["工作快报"],
        number: "马政务快报",
        count: 23,
    },
    Kind {
        figure: "rectification_letters",
        summary: "督促整改函",
        words: &["督促整改函"],
        number: "马政务改函",
        count: 100,
    },
    Kind {
        figure: "guidance_letters",
        summary: "工作指导函",
        words: &["工作指导函"],
        number: "马政务指函",
        count: 19,
    },
    Kind {
        figure: "circulars",
        summary: "通报",
        words: &["情况通报", "月度通报", "专项通报"],
        number: "马政务通报",
        count: 35,
    },
];
/// The kind of which the summary has one too few.
const MISCOUNTED: &str = "circulars";
/// Reports to the province, and where those that it used appeared.
const REPORTS: u32 = 40;
const USED: [(&str, u32); 3] = [("头条", 7), ("专刊", 1), ("动态", 7)];
const TRAININGS: u32 = 22;
/// Sheets that were printed.
const LEAFLETS: [(&str, u32, u32); 2] = [("宣传单页", 250_000, 10), ("三折页", 20_000, 4)];
/// Items of the departments whose systems are docked, in the order of `OwnSystem::ALL`.
const DOCKED_ITEMS: [u32; 4] = [18, 21, 12, 11];
/// Departments that try it out, with the items that are meant.
const IN_TRIAL: [(&str, u32); 3] = [("市人社局", 9), ("市公积金管理中心", 6), ("市住建委", 8)];
/// Systems of the province that were docked up to 2018-04-30.
const DOCKED_SYSTEMS: u64 = 5;

/// Writes the workbook into `folder`.
pub(crate) fn write(folder: &Path, world: &World) -> Result<Witness> {
    let mut rng = generator(world.seed, "steer");
    let mut book = Workbook::new();
    let made = ExcelDateTime::from_ymd(2018, 12, 13).map_err(broken)?;
    book.set_properties(&DocProperties::new().set_creation_datetime(&made));
    let mut witness = Witness::default();
    documents(&mut book, &mut rng, &mut witness)?;
    reports(&mut book, &mut rng, &mut witness)?;
    trainings(&mut book, &mut rng, &mut witness)?;
    leaflets(&mut book, &mut rng, &mut witness)?;
    register(&mut book, world, &mut witness)?;
    vertical_systems(&mut book, &mut witness)?;
    services(&mut book, world, &mut witness)?;
    fs::create_dir_all(folder).map_err(failed)?;
    let bytes = book.save_to_buffer().map_err(broken)?;
    fs::write(folder.join(FILE), bytes).map_err(failed)?;
    Ok(witness)
}

fn failed(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Internal, "E-CITY-STORE", format!("could not write {FILE}")).cause(error)
}

/// `count` working days of the year up to the report, in order.
fn days(rng: &mut StdRng, count: u32) -> Vec<u32> {
    let span = day_of("2018-01-08")..day_of("2018-12-12");
    let mut days: Vec<u32> =
        (0..count).map(|_| add_workdays(rng.random_range(span.clone()) - 1, 1)).collect();
    days.sort_unstable();
    days
}

fn documents(book: &mut Workbook, rng: &mut StdRng, witness: &mut Witness) -> Result<()> {
    let headers = ["序号", "文号", "文种", "标题", "印发/日期", "印发/单位", "发送单位", "状态"];
    let title = "马鞍山市“互联网+政务服务”督查文件登记（2018年）";
    let mut sheet = Sheet::new(book, "督查文件", title, &headers)?;
    let mut rows: u32 = 0;
    let mut add = |sheet: &mut Sheet<'_>, number: String, word: &str, day: u32, state: &str| {
        rows += 1;
        sheet.row(&[
            Value::Number(rows),
            number.into(),
            word.into(),
            format!("关于“互联网+政务服务”工作的{word}").into(),
            Value::Day(day),
            "市政府办公室".into(),
            "各县（区）、开发园区，市直有关部门".into(),
            state.into(),
        ])
    };
    for kind in &KINDS {
        // What was sent in the year before, and what was taken back, is no document of this year.
        let before = format!("{}〔2017〕{}号", kind.number, kind.count % 7 + 3);
        add(&mut sheet, before, kind.words[0], day_of("2017-12-27"), "已印发")?;
        for (number, day) in (1..).zip(days(rng, kind.count)) {
            let word = pick(rng, kind.words);
            add(&mut sheet, format!("{}〔2018〕{number}号", kind.number), word, day, "已印发")?;
        }
        let void = format!("{}〔2018〕{}号", kind.number, kind.count + 1);
        add(&mut sheet, void, kind.words[0], day_of("2018-11-19"), "作废")?;
    }
    // Typed a second time.
    let twice = format!("{}〔2018〕1号", KINDS[1].number);
    add(&mut sheet, twice, KINDS[1].words[0], day_of("2018-01-31"), "已印发")?;
    let rows_in_all = rows;
    sheet.end(rows_in_all, "通报包括情况通报、月度通报和专项通报；作废的文号不再使用。")?;

    let title = "督查文件汇总（2018年）";
    let mut sheet = Sheet::new(book, "汇总", title, &["文种", "数量"])?;
    let mut total = 0;
    for kind in &KINDS {
        let stated = kind.count - u32::from(kind.figure == MISCOUNTED);
        total += stated;
        sheet.row(&[kind.summary.into(), Value::Number(stated)])?;
        witness.figures.push((kind.figure, Expected::Count(u64::from(kind.count))));
    }
    sheet.end(total, "按印发日期统计。")?;
    witness.rows.push(("steer.documents".to_owned(), u64::from(rows_in_all)));
    witness.rows.push(("steer.summary".to_owned(), KINDS.len() as u64));
    witness.planted.push(("steer_totals", vec!["circular".to_owned()]));
    Ok(())
}

fn reports(book: &mut Workbook, rng: &mut StdRng, witness: &mut Witness) -> Result<()> {
    let headers = ["编号", "标题", "报送日期", "采用/栏目", "采用/日期"];
    let mut sheet = Sheet::new(book, "信息报送", "向省报送信息登记（2018年）", &headers)?;
    let mut columns: Vec<&str> = Vec::new();
    for (column, count) in USED {
        columns.extend((0..count).map(|_| column));
    }
    let used = columns.len() as u64;
    for (number, day) in (1..).zip(days(rng, REPORTS)) {
        // Of those that are left, about as many are used as are left to be used.
        let left = REPORTS + 1 - number;
        let is_used = rng.random_range(0..left) < u32::try_from(columns.len()).unwrap_or(0);
        let at = if columns.is_empty() { 0 } else { rng.random_range(0..columns.len()) };
        let column = is_used.then(|| columns.swap_remove(at));
        sheet.row(&[
            format!("XX2018{number:03}").into(),
            format!("马鞍山市推进“互联网+政务服务”工作情况（之{number}）").into(),
            Value::Day(day),
            column.map_or(Value::Nothing, Value::from),
            column.map_or(Value::Nothing, |_| Value::Day(add_workdays(day, 1))),
        ])?;
    }
    sheet.end(REPORTS, "采用以省工作快报刊出为准。")?;
    witness.rows.push(("steer.reports".to_owned(), u64::from(REPORTS)));
    witness.figures.extend([
        ("reports_sent", Expected::Count(u64::from(REPORTS))),
        ("reports_used", Expected::Count(used)),
    ]);
    Ok(())
}

fn trainings(book: &mut Workbook, rng: &mut StdRng, witness: &mut Witness) -> Result<()> {
    let headers = ["编号", "日期", "内容", "县区人员（人次）", "状态"];
    let mut sheet = Sheet::new(book, "培训", "集中培训登记（2018年）", &headers)?;
    let total: u32 = rng.random_range(800..900);
    let mut left = total;
    for (number, day) in (1..).zip(days(rng, TRAININGS)) {
        // 30 to 42 each, so that the last one is left with a like number.
        let people = if number == TRAININGS { left } else { left / (TRAININGS + 1 - number) };
        let people = if number % 2 == 1 && number < TRAININGS - 1 { people + 3 } else { people };
        left -= people;
        sheet.row(&[
            format!("PX2018{number:02}").into(),
            Value::Day(day),
            "政务服务事项编制与平台操作".into(),
            Value::Number(people),
            "已举办".into(),
        ])?;
    }
    for number in 1..=2 {
        sheet.row(&[
            format!("PX2018Q{number}").into(),
            Value::Day(day_of("2018-07-18")),
            "因防汛取消的培训".into(),
            Value::Nothing,
            "取消".into(),
        ])?;
    }
    sheet.end(total, "人次不含市直部门人员。")?;
    witness.rows.push(("steer.trainings".to_owned(), u64::from(TRAININGS) + 2));
    witness.figures.extend([
        ("trainings", Expected::Count(u64::from(TRAININGS))),
        ("training_attendance", Expected::Count(u64::from(total))),
    ]);
    Ok(())
}

fn leaflets(book: &mut Workbook, rng: &mut StdRng, witness: &mut Witness) -> Result<()> {
    let headers = ["编号", "品种", "份数", "发放日期"];
    let mut sheet = Sheet::new(book, "宣传", "宣传品发放登记（2018年）", &headers)?;
    let (mut number, mut total) = (0_u32, 0);
    for (kind, printed, batches) in LEAFLETS {
        for day in days(rng, batches) {
            number += 1;
            let count = printed / batches;
            total += count;
            sheet.row(&[
                format!("XC2018{number:02}").into(),
                kind.into(),
                Value::Number(count),
                Value::Day(day),
            ])?;
        }
    }
    sheet.end(total, "份数按印制合同核对。")?;
    witness.rows.push(("steer.leaflets".to_owned(), u64::from(number)));
    witness.figures.push(("leaflets", Expected::Count(u64::from(total))));
    Ok(())
}

fn register(book: &mut Workbook, world: &World, witness: &mut Witness) -> Result<()> {
    let headers = ["类别", "部门", "业务系统", "对接/阶段", "对接/涉及事项数", "对接/计划完成"];
    let title = "市直部门业务系统对接登记";
    let mut sheet = Sheet::new(book, "对接登记", title, &headers)?;
    let departments: Vec<_> =
        world.departments.iter().filter(|department| department.unit == 0).collect();
    let (mut docked, mut total) = (0, 0);
    for (group, departments) in ["已建系统部门", "其他部门"]
        .iter()
        .zip([&departments[..OwnSystem::ALL.len()], &departments[OwnSystem::ALL.len()..]])
    {
        for (index, department) in departments.iter().enumerate() {
            let name = department.name.trim_start_matches("马鞍山");
            let in_trial = IN_TRIAL.iter().find(|(tried, _)| *tried == name);
            let (stage, items, due) = match (department.own_system, in_trial) {
                (Some(own), _) => ("已对接", Some(DOCKED_ITEMS[own as usize]), "2018-10-31"),
                (None, Some((_, items))) => ("联调", Some(*items), "2018-12-31"),
                (None, None) if index % 3 == 0 => ("计划对接", None, "2019-06-30"),
                (None, None) => ("已摸底", None, "2019-12-31"),
            };
            if department.own_system.is_some() {
                docked += items.unwrap_or(0);
            }
            total += items.unwrap_or(0);
            sheet.row(&[
                // Only the first cell of joined ones has a value.
                if index == 0 { (*group).into() } else { Value::Nothing },
                name.into(),
                format!("{}业务管理系统", department.noun).into(),
                stage.into(),
                items.map_or(Value::Nothing, Value::Number),
                Value::Day(day_of(due)),
            ])?;
        }
        sheet.join_first(u32::try_from(departments.len()).unwrap_or(0), group)?;
    }
    sheet.end(total, "事项数以部门报送为准，联调期间的事项不计入对接事项。")?;
    witness.rows.push(("steer.register".to_owned(), departments.len() as u64));
    witness.figures.extend([
        ("dept_systems_surveyed", Expected::Count(departments.len() as u64)),
        ("items_integrated", Expected::Count(u64::from(docked))),
    ]);
    Ok(())
}

fn vertical_systems(book: &mut Workbook, witness: &mut Witness) -> Result<()> {
    let headers = ["系统名称", "省直部门", "阶段", "对接日期"];
    let title = "省直部门垂建业务系统对接登记（名称均为虚构）";
    let mut sheet = Sheet::new(book, "垂建系统", title, &headers)?;
    let mut count = 0;
    for line in VERTICAL.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [name, department, stage, day] = fields[..] else { continue };
        count += 1;
        let day = if day.is_empty() { Value::Nothing } else { Value::Day(day_of(day)) };
        sheet.row(&[name.into(), department.into(), stage.into(), day])?;
    }
    sheet.end(count, "报告没有列出系统名称。")?;
    witness.rows.push(("steer.vertical_systems".to_owned(), u64::from(count)));
    witness.figures.push(("prov_vertical_systems", Expected::Count(DOCKED_SYSTEMS)));
    Ok(())
}

/// The interfaces that the city offers through the province's app, each in its last version.
fn services(book: &mut Workbook, world: &World, witness: &mut Witness) -> Result<()> {
    let headers = ["接口编号", "版本", "接口名称", "提供单位", "状态", "发布日期"];
    let mut sheet = Sheet::new(book, "便民接口", "皖事通便民服务接口登记", &headers)?;
    let mut count = 0;
    for interface in interfaces(world.seed) {
        let number = u32::try_from(interface.versions.len()).unwrap_or(1);
        let Some((state, time)) = interface.versions.last() else { continue };
        count += 1;
        sheet.row(&[
            interface.id.into(),
            Value::Number(number),
            interface.name.into(),
            "马鞍山市政务服务中心".into(),
            match state {
                State::Draft => "草稿",
                State::Published => "发布",
                State::Withdrawn => "下架",
            }
            .into(),
            Value::Day(time.day()),
        ])?;
    }
    sheet.end(count, "草稿和下架的接口不推送。")?;
    witness.rows.push(("steer.interfaces".to_owned(), u64::from(count)));
    Ok(())
}

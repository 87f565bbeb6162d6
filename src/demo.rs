//! `huiliu demo`: the whole city in simulation, end to end, beside the report's own figures.

use std::path::{Path, PathBuf};
use std::time::Instant;

use huiliu_city::{CityOptions, RunningCity};
use huiliu_core::model::Unit;
use huiliu_core::policy::exit;
use huiliu_engine::Figure;
use huiliu_runner::RunReport;
use huiliu_sdk::{Error, ErrorKind};
use serde_json::{Value, json};

use crate::cli::{DemoArgs, DemoCommand};
use crate::pairs;
use crate::progress;
use crate::setup::{Failure, Setup};
use crate::work::{print_report, report_json};

mod compare;
mod servers;

use compare::{Compared, Comparison};

/// Runs the demo.
pub(crate) async fn demo(setup: &Setup, args: DemoArgs) -> Result<u8, Failure> {
    let folder = city_folder(&setup.data)?;
    if let Some(command) = &args.command {
        happen(setup, &folder, command, args.with_servers).await?;
        return Ok(exit::DONE);
    }
    let began = Instant::now();
    setup.printer.note(setup.printer.pick(
        "building the simulated city; it is calibrated to the 2018 report and proves the arithmetic, not the city",
        "正在生成仿真城市（按 2018 年报告校准，用于验证计算与机制，并非真实数据）",
    ));
    let options = CityOptions { seed: args.seed, scale: args.scale };
    tokio::select! {
        // What is half made stays marked as such and is made anew by the next demo.
        () = setup.cancel.cancelled() => return Err(Error::cancelled().into()),
        made = huiliu_city::generate(&folder, &options) => made?,
    }
    let built = began.elapsed();
    let city = huiliu_city::start(&folder).await?;
    write_connections(setup, &folder, &city)?;
    let on_servers;
    let setup = if args.with_servers {
        on_servers = servers::move_fronts(setup, &folder).await?;
        &on_servers
    } else {
        setup
    };
    let hub = setup.open().await?;
    let listener = progress::listener(setup.printer);
    let report = hub.run("*", None, setup.cancel.clone(), listener).await?;
    // Figures of a run that failed would be those of an earlier one.
    let figures = if report.exit_code == exit::DONE {
        hub.figures(&hub.engine.session(None).await?).await?
    } else {
        Vec::new()
    };
    let comparison = compare::compare(&hub.project.root, figures, args.scale)?;
    let code = exit_code(&report, &comparison.figures);
    if setup.printer.is_json() {
        setup.printer.json(&demo_json(&args, &report, &comparison.figures, began, code));
    } else {
        print_report(setup.printer, &report);
        if !comparison.figures.is_empty() {
            print_figures(setup, &comparison, &args);
        }
        let total = began.elapsed();
        setup.printer.line(&format!(
            "{}: {:.1} s ({} {:.1} s)",
            setup.printer.pick("time", "用时"),
            total.as_secs_f64(),
            setup.printer.pick("of which the city", "其中生成城市"),
            built.as_secs_f64()
        ));
    }
    if args.keep {
        let text = setup.printer.pick(
            "the endpoints stay up until Ctrl-C; in another terminal use the same --data",
            "各系统接口保持运行，按 Ctrl-C 结束；另开终端时请使用相同的 --data",
        );
        setup.printer.note(text);
        setup.cancel.cancelled().await;
    }
    city.stop().await;
    hub.close().await;
    Ok(code)
}

/// Lets something happen in the city, and in its front databases on servers if it has some there.
async fn happen(
    setup: &Setup,
    folder: &Path,
    command: &DemoCommand,
    with_servers: bool,
) -> Result<(), Error> {
    let printer = setup.printer;
    match command {
        DemoCommand::Change { rows } => {
            let changed = huiliu_city::change(folder, *rows).await?;
            if printer.is_json() {
                printer.json(&json!({ "changed": changed }));
            } else {
                let text = printer.pick("rows changed at the city platform", "行已在市平台修改");
                printer.line(&format!("{changed} {text}"));
            }
        }
        DemoCommand::Night => {
            let mut night = huiliu_city::night(folder).await?;
            if with_servers {
                let servers = servers::servers(setup);
                night += huiliu_city::night_on_servers(folder, &servers).await?;
            }
            if printer.is_json() {
                printer.json(&json!(night));
                return Ok(());
            }
            for (count, english, chinese) in [
                (night.taken_in, "records taken in", "条推送的记录已被采用"),
                (night.answered, "records answered for", "条记录有了回执"),
                (night.cards, "cards issued", "张牌已发"),
            ] {
                printer.line(&format!("{count} {}", printer.pick(english, chinese)));
            }
        }
    }
    Ok(())
}

fn city_folder(data: &Path) -> Result<PathBuf, Error> {
    let failed = |error: std::io::Error| {
        let message = format!("the data folder {} cannot be made", data.display());
        Error::new(ErrorKind::Permission, "E-DATA", message)
            .hint("name a folder that may be written with --data")
            .cause(error)
    };
    std::fs::create_dir_all(data).map_err(failed)?;
    Ok(data.canonicalize().map_err(failed)?.join("city"))
}

/// What stands before the lines that the demo writes.
const HEAD: &str = "# the simulated city; written by `huiliu demo`";

/// Writes where the city is and how to get in, so that every other command finds it.
fn write_connections(setup: &Setup, folder: &Path, city: &RunningCity) -> Result<(), Error> {
    let mut env = vec![("CITY_FOLDER".to_owned(), folder.display().to_string())];
    for (name, url) in city.by_name() {
        env.push((format!("{}_URL", name.to_uppercase()), url.to_owned()));
    }
    let secrets = huiliu_city::credentials(folder)?.by_name();
    let secrets = secrets.map(|(name, value)| (name.to_owned(), value));
    pairs::put(&setup.data.join("env"), Some(HEAD), &env)?;
    setup.secrets().put(Some(HEAD), &secrets)
}

fn exit_code(report: &RunReport, compared: &[Compared]) -> u8 {
    if report.exit_code != exit::DONE {
        return report.exit_code;
    }
    if compared.is_empty() || compared.iter().any(|c| c.matches == Some(false)) {
        return exit::FINDINGS;
    }
    exit::DONE
}

fn demo_json(
    args: &DemoArgs,
    report: &RunReport,
    compared: &[Compared],
    began: Instant,
    code: u8,
) -> Value {
    let figures: Vec<Value> = compared
        .iter()
        .map(|c| {
            json!({
                "key": c.figure.key, "title": c.figure.title, "unit": c.figure.unit,
                "report": c.report, "value": c.figure.value, "numerator": c.figure.numerator,
                "denominator": c.figure.denominator, "definition": c.figure.definition,
                "match": c.matches,
            })
        })
        .collect();
    let mut value = report_json(report);
    value["exit_code"] = code.into();
    value["city"] = json!({ "seed": args.seed, "scale": args.scale, "simulated": true });
    value["figures"] = Value::Array(figures);
    value["seconds"] = json!(began.elapsed().as_secs_f64());
    value
}

fn print_figures(setup: &Setup, comparison: &Comparison, args: &DemoArgs) {
    let printer = setup.printer;
    let (published, further): (Vec<&Compared>, Vec<&Compared>) =
        comparison.figures.iter().partition(|c| c.report.is_some());
    printer.line("");
    printer.line(printer.pick("figures beside the 2018 report", "与 2018 年报告对照"));
    if !compare::is_whole(args.scale) {
        printer.line(&format!(
            "  {} (--scale {})",
            printer.pick(
                "what grows with the city is compared with its share of the report",
                "随规模变化的数字按比例与报告比较"
            ),
            args.scale
        ));
    }
    for c in published {
        let mark = match c.matches {
            Some(true) => printer.pick("match", "一致"),
            Some(false) => printer.pick("DIFFERS", "不一致"),
            None => printer.pick("not compared", "未比较"),
        };
        let report = c.report.as_deref().unwrap_or("-");
        let unit = unit(&c.figure);
        let beside = format!("{} {report:>7}{unit}  {mark}", printer.pick("report", "报告"));
        print_figure(setup, &c.figure, &beside);
    }
    if !comparison.without_figure.is_empty() {
        printer.line(printer.pick("in the report and no figure here", "报告中有、不作为指标的"));
        for (key, value) in &comparison.without_figure {
            printer.line(&format!("  {key:<26} {value:>11}"));
        }
    }
    printer.line(printer.pick("further figures", "其他指标"));
    for c in further {
        print_figure(setup, &c.figure, "");
    }
}

fn unit(figure: &Figure) -> &'static str {
    if figure.unit == Unit::Percent { "%" } else { "" }
}

fn print_figure(setup: &Setup, figure: &Figure, beside: &str) {
    let parts = figure.denominator.map_or_else(String::new, |denominator| {
        format!("  = {} / {denominator}", figure.numerator)
    });
    let value = figure.value.as_deref().unwrap_or("-");
    let line = format!("  {:<26} {value:>7}{:<1} {beside}{parts}", figure.key, unit(figure));
    setup.printer.line(line.trim_end());
    setup.printer.line(&format!("      {}：{}", figure.title, figure.definition));
}

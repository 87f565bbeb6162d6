//! Audits: what must not be blocks what would be computed and sent from it, or is a finding.

use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions};

use crate::hub::{Done, step};
use crate::lake;
use crate::world::World;

/// A city whose hub has read nothing yet, with one more audit of the city's cases.
async fn world(seed: u64, severity: &str) -> World {
    let world = World::new(seed).await;
    let folder = world.hub.project().join("pipelines/audits");
    let audit = format!(
        "/* +++\ndescription = \"办件要有部门编码\"\nowner = \"市政务服务中心\"\n\
         severity = \"{severity}\"\nkey = [\"project_no\"]\n+++ */\n\
         select project_no, org_code from standard.city_cases where trim(org_code) = ''\n"
    );
    std::fs::write(folder.join("cases_have_orgs.sql"), audit).unwrap();
    let model = "pipelines/models/standard/city_cases.sql";
    world.hub.edit(model, "+++ */", "audits = [\"cases_have_orgs\"]\n+++ */");
    world
}

async fn cases(world: &World) -> SqliteConnection {
    let file = world.hub.city().join("operation.db");
    SqliteConnectOptions::new().filename(file).connect().await.unwrap()
}

/// Changes a case that counts, as a clerk would: with newer times than any other row.
async fn set_org(world: &World, case: &str, org_code: &str) {
    let mut connection = cases(world).await;
    let newest = "(select datetime(max(cd_time), '+1 minute') from up_pro_accept)";
    let sql = format!(
        "update up_pro_accept set org_code = '{org_code}', cd_time = {newest}, \
         update_time = {newest} where project_no = '{case}'"
    );
    let done = sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    assert_eq!(done.rows_affected(), 1);
}

/// A plain case and its department.
async fn a_case(world: &World) -> (String, String) {
    let mut connection = cases(world).await;
    sqlx::query_as(
        "select project_no, org_code from up_pro_accept group by project_no, org_code \
         having count(*) = 1 and min(cd_operation) = 'I' and min(typeof(applyer_name)) = 'text' and min(accept_date) > '2018-02-01' \
         order by project_no limit 1",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap()
}

fn run(world: &World, selector: &str) -> Done {
    world.run(&["--output", "json", "run", selector])
}

fn figure(world: &World, key: &str) -> Value {
    let sql = format!("select numerator, snapshot_id from metrics.figures where key = '{key}'");
    world.hub.query(&sql).first().cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocking_audit_holds_back_figures_and_pushes_until_what_it_found_is_mended() {
    let world = world(71, "block").await;
    let (case, org_code) = a_case(&world).await;
    let first = run(&world, "+metrics.*").expect(0).json();
    let audit = step(&first, "audits", "audits.cases_have_orgs");
    assert_eq!((&audit["rows"], &audit["state"]), (&0.into(), &"succeeded".into()), "{audit}");
    let good = figure(&world, "cases_ytd");
    let items = figure(&world, "items_total");

    set_org(&world, &case, "").await;
    let failed = run(&world, "*").expect(4).json();
    let audit = step(&failed, "audits", "audits.cases_have_orgs");
    assert_eq!(audit["state"], "failed", "{audit}");
    assert_eq!(audit["code"], "E-AUDIT-FOUND", "{audit}");
    assert_eq!(audit["severity"], "block", "{audit}");
    assert_eq!(audit["rows"], 1, "{audit}");
    assert_eq!(audit["examples"], serde_json::json!([{ "project_no": case }]), "{audit}");
    // The table itself has the new row, all behind it the last good result.
    assert_eq!(step(&failed, "models", "standard.city_cases")["state"], "succeeded");
    assert_eq!(step(&failed, "reconciliations", "reconciled.cases")["state"], "blocked");
    assert_eq!(step(&failed, "pushes", "push.province.cases")["state"], "blocked");
    let blocked: Vec<&Value> = failed["metrics"].as_array().unwrap().iter().collect();
    let is_blocked =
        |name: &str| blocked.iter().any(|step| step["node"] == name && step["state"] == "blocked");
    assert!(is_blocked("metrics.cases_ytd") && is_blocked("metrics.invalid_credit_codes"));
    assert!(!is_blocked("metrics.items_total"), "{failed}");
    assert_eq!(figure(&world, "cases_ytd"), good);
    assert_eq!(figure(&world, "items_total")["numerator"], items["numerator"]);
    assert_eq!(lake::received(&world.hub.city()).await.records, 0, "sent in spite of the audit");
    let kept = world.hub.query(
        "select rows, severity from ops.audits where audit = 'audits.cases_have_orgs' \
         order by run_id",
    );
    assert_eq!(kept.iter().map(|row| &row["rows"]).collect::<Vec<_>>(), [0, 1], "{kept:?}");
    let rows = world.hub.query("select project_no from audits.cases_have_orgs");
    assert_eq!(rows[0]["project_no"], case.as_str());

    // Nothing was mended, and asking for what is behind the audit does not get round it.
    let again = run(&world, "metrics.invalid_credit_codes").expect(3).json();
    let audit = step(&again, "audits", "audits.cases_have_orgs");
    assert_eq!((&audit["state"], &audit["rows"]), (&"failed".into(), &1.into()), "{audit}");
    let said = world.run(&["run", "audits.cases_have_orgs"]).expect(3).said();
    assert!(said.contains(&format!("1 row found: project_no {case}")), "{said}");
    assert!(said.contains("市政务服务中心"), "{said}");

    let shown = world.run(&["metric", "show", "invalid_credit_codes"]).expect(0).err;
    assert!(shown.contains("held back by audits.cases_have_orgs: 1 row found"), "{shown}");
    let sealing = ["metric", "seal", "invalid_credit_codes", "--reason", "公布"];
    let refused = world.run(&sealing);
    assert!(refused.code != Some(0) && refused.said().contains("E-AUDIT-FOUND"));

    set_org(&world, &case, &org_code).await;
    let mended = run(&world, "*").expect(0).json();
    assert_eq!(step(&mended, "audits", "audits.cases_have_orgs")["rows"], 0);
    let push = step(&mended, "pushes", "push.province.cases");
    assert!(push["sent"].as_i64().unwrap() > 0, "{push}");
    assert_eq!(figure(&world, "cases_ytd")["numerator"], good["numerator"]);
    let still = run(&world, "*").expect(0).json();
    assert_eq!(step(&still, "audits", "audits.cases_have_orgs")["state"], "unchanged");
    for step in still["metrics"].as_array().unwrap() {
        assert_eq!(step["state"], "unchanged", "{step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_that_warns_is_a_finding_and_blocks_nothing() {
    let world = world(72, "warn").await;
    let (case, _) = a_case(&world).await;
    set_org(&world, &case, "").await;
    let found = run(&world, "*").expect(1).json();
    let audit = step(&found, "audits", "audits.cases_have_orgs");
    assert_eq!((&audit["state"], &audit["rows"]), (&"succeeded".into(), &1.into()), "{audit}");
    assert_eq!(audit["severity"], "warn");
    for part in ["models", "reconciliations", "metrics", "pushes"] {
        for step in found[part].as_array().unwrap() {
            assert_ne!(step["state"], "blocked", "{step}");
        }
    }
    // It is not forgotten when nothing is new.
    let again = world.run(&["run", "*"]).expect(1).out;
    assert!(again.contains("audits.cases_have_orgs"), "{again}");
    assert!(again.contains(&format!("1 row found: project_no {case}")), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_names_in_and_of_audits_are_faults_with_a_hint() {
    let world = world(73, "block").await;
    world.run(&["check"]).expect(0);
    let audit = "pipelines/audits/cases_have_orgs.sql";
    world.hub.edit(audit, "from standard.city_cases", "from standard.city_casse");
    let said = world.run(&["check"]).expect(2).said();
    assert!(said.contains("cases_have_orgs.sql:7:"), "{said}");
    assert!(said.contains("did you mean `standard.city_cases`?"), "{said}");
    world.hub.edit(audit, "from standard.city_casse", "from standard.city_cases");

    let model = "pipelines/models/standard/city_cases.sql";
    world.hub.edit(model, "\"cases_have_orgs\"", "\"cases_have_org\"");
    let said = world.run(&["check"]).expect(2).said();
    assert!(said.contains("no audit is called `cases_have_org`"), "{said}");
    assert!(said.contains("did you mean `cases_have_orgs`?"), "{said}");
    world.hub.edit(model, "\"cases_have_org\"", "\"cases_have_orgs\"");

    world.hub.edit(audit, "key = [\"project_no\"]", "key = [\"applicant_id\"]");
    let said = world.run(&["check"]).expect(2).said();
    assert!(said.contains("`applicant_id` holds personal data"), "{said}");
    world.hub.edit(audit, "key = [\"applicant_id\"]", "key = [\"project_no\"]");

    let pushed = "pipelines/models/reconciled/province_push.sql";
    world.hub.edit(pushed, "+++ */", "audits = [\"cases_have_orgs\"]\n+++ */");
    let said = world.run(&["check"]).expect(2).said();
    assert!(said.contains("records are queued from this model before the audit"), "{said}");
    world.hub.edit(pushed, "audits = [\"cases_have_orgs\"]\n", "");

    world.hub.edit(audit, "where trim", "wehre trim");
    let said = world.run(&["check"]).expect(2).said();
    assert!(said.contains("audits.cases_have_orgs") && said.contains("E-SQL"), "{said}");
}

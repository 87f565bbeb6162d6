//! The same seed makes the same city; folders of other cities and of others are left alone.

use std::fs;
use std::path::Path;

use huiliu_city::{CityOptions, credentials, generate};
use huiliu_sdk::ErrorKind;
use sha2::{Digest, Sha256};
use sqlx::{Column, Row, TypeInfo, ValueRef};
use tempfile::TempDir;

use crate::City;

const TABLES: [(&str, &str); 50] = [
    ("items.db", "up_task_general_basic"),
    ("items.db", "up_task_general_extend"),
    ("items.db", "up_task_general_questions"),
    ("items.db", "up_task_general_fee_project"),
    ("catalog.db", "dn_task_directory"),
    ("operation.db", "up_pro_accept"),
    ("operation.db", "up_pro_result"),
    ("operation.db", "up_pro_process"),
    ("operation.db", "up_pro_special_procedure"),
    ("operation.db", "pro_charge"),
    ("province.db", "cases"),
    ("investment.db", "projects"),
    ("investment.db", "approvals"),
    ("items.db", "item_compile_log"),
    ("province.db", "city_statistics"),
    ("portal.db", "accounts"),
    ("portal.db", "visits"),
    ("app.db", "interfaces"),
    ("app.db", "activity"),
    ("linked.db", "linked_item"),
    ("linked.db", "linked_implementation"),
    ("linked.db", "linked_material"),
    ("linked.db", "linked_root"),
    ("linked.db", "linked_step"),
    ("linked.db", "linked_suspension"),
    ("enterprise.db", "bundles"),
    ("enterprise.db", "steps"),
    ("realestate.db", "inf_apply"),
    ("realestate.db", "inf_apply_process"),
    ("realestate.db", "inf_apply_result"),
    ("planning.db", "up_pro_accept_ghj"),
    ("planning.db", "up_pro_result_ghj"),
    ("land.db", "inf_apply_gtj"),
    ("land.db", "inf_apply_process_gtj"),
    ("land.db", "inf_apply_result_gtj"),
    ("hrss.db", "spbanjie"),
    ("fund.db", "pre_apasinfo"),
    ("housing.db", "ea_jc_step_basicinfo"),
    ("province.db", "items"),
    ("micro.db", "applications"),
    ("micro.db", "visits"),
    ("supervision.db", "alerts"),
    ("ems.db", "traces"),
    ("vertical_1.db", "spbanjie"),
    ("vertical_2.db", "spbanjie"),
    ("parallel.db", "spgl_xmjbxxb"),
    ("parallel.db", "spgl_xmdwxxb"),
    ("parallel.db", "spgl_xmspsxblxxb"),
    ("parallel.db", "spgl_xmspsxblxxxxb"),
    ("parallel.db", "spgl_xmspsxblxxb_sb"),
];

async fn table_digests(city: &City) -> Vec<String> {
    let mut digests = Vec::new();
    for (file, table) in TABLES {
        let mut connection = city.open(file).await;
        let sql = sqlx::AssertSqlSafe(format!("select * from {table} order by rowid"));
        let mut hasher = Sha256::new();
        for row in sqlx::query(sql).fetch_all(&mut connection).await.unwrap() {
            for column in row.columns() {
                let value = row.try_get_raw(column.ordinal()).unwrap();
                let bytes: Vec<u8> = if value.is_null() {
                    b"null".to_vec()
                } else if value.type_info().name() == "INTEGER" {
                    row.get_unchecked::<i64, _>(column.ordinal()).to_le_bytes().to_vec()
                } else {
                    row.get_unchecked::<Vec<u8>, _>(column.ordinal())
                };
                hasher.update((bytes.len() as u64).to_le_bytes());
                hasher.update(&bytes);
            }
        }
        digests.push(format!("{table} {:x}", hasher.finalize()));
    }
    digests
}

fn file_digests(folder: &Path, digests: &mut Vec<String>) {
    let mut entries: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            file_digests(&path, digests);
        } else {
            digests.push(format!("{:x}", Sha256::digest(fs::read(&path).unwrap())));
        }
    }
}

async fn digests(city: &City) -> Vec<String> {
    let mut digests = table_digests(city).await;
    file_digests(&city.dir().join("drops"), &mut digests);
    file_digests(&city.dir().join("steer"), &mut digests);
    digests.push(city.truth.to_string());
    digests
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_makes_the_same_city_and_another_seed_another_one() {
    let (first, again, other) =
        (City::new(7, 0.02).await, City::new(7, 0.02).await, City::new(8, 0.02).await);
    let first_digests = digests(&first).await;
    assert_eq!(first_digests, digests(&again).await);
    let other_digests = table_digests(&other).await;
    for (mine, others) in first_digests.iter().zip(&other_digests) {
        assert_ne!(mine, others);
    }
    assert_eq!(credentials(&first.dir()).unwrap(), credentials(&again.dir()).unwrap());
    assert_ne!(credentials(&first.dir()).unwrap(), credentials(&other.dir()).unwrap());
    assert_eq!(format!("{:?}", credentials(&first.dir()).unwrap()), "Credentials { .. }");
}

#[tokio::test]
async fn a_finished_city_is_kept_and_another_one_is_refused() {
    let city = City::new(1, 0.02).await;
    let before = fs::metadata(city.dir().join("operation.db")).unwrap().modified().unwrap();
    generate(&city.dir(), &CityOptions { seed: 1, scale: 0.02 }).await.unwrap();
    let after = fs::metadata(city.dir().join("operation.db")).unwrap().modified().unwrap();
    assert_eq!(before, after);
    for other in [CityOptions { seed: 2, scale: 0.02 }, CityOptions { seed: 1, scale: 0.03 }] {
        let error = generate(&city.dir(), &other).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.hint_text().unwrap().contains("--data"));
    }
}

#[tokio::test]
async fn an_unfinished_city_is_made_anew_and_a_strange_folder_is_refused() {
    let folder = TempDir::new().unwrap();
    let options = CityOptions { seed: 1, scale: 0.02 };
    let unfinished = folder.path().join("city");
    fs::create_dir_all(&unfinished).unwrap();
    fs::write(unfinished.join("unfinished"), "").unwrap();
    fs::write(unfinished.join("operation.db"), "half of it").unwrap();
    generate(&unfinished, &options).await.unwrap();
    assert!(unfinished.join("city.json").exists() && !unfinished.join("unfinished").exists());

    let strange = folder.path().join("strange");
    fs::create_dir_all(&strange).unwrap();
    fs::write(strange.join("thesis.txt"), "years of work").unwrap();
    let error = generate(&strange, &options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(strange.join("thesis.txt").exists());
    assert_eq!(credentials(&strange).unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn scales_out_of_range_are_refused() {
    let folder = TempDir::new().unwrap();
    for scale in [0.0, 0.019, 5.1, -1.0, f64::NAN, f64::INFINITY] {
        let error = generate(folder.path(), &CityOptions { seed: 1, scale }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{scale}");
    }
}

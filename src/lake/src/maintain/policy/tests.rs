use super::*;

const MILLION: i64 = 1_000_000;

fn file(data_file_id: i64, rows: i64, deleted: i64) -> FileFacts {
    FileFacts { data_file_id, rows, bytes: rows * 100, deleted }
}

fn plan(files: &[FileFacts]) -> Option<CompactionPlan> {
    CompactionPolicy::default().plan(files)
}

#[test]
fn fresh_and_empty_tables_are_left_alone() {
    assert_eq!(plan(&[]), None);
    let files: Vec<FileFacts> = (0..5).map(|id| file(id, MILLION, 0)).collect();
    assert_eq!(plan(&files), None);
}

#[test]
fn eight_small_files_are_joined_and_seven_wait() {
    let mut files: Vec<FileFacts> = (1..=7).map(|id| file(id, 50_000, 0)).collect();
    files.insert(0, file(0, MILLION, 0));
    assert_eq!(plan(&files), None);
    files.push(file(8, 50_000, 0));
    let plan = plan(&files).unwrap();
    assert_eq!(plan.join, (1..=8).collect::<Vec<i64>>());
    assert_eq!((plan.rewrite, plan.reasons), (vec![], vec![Reason::SmallFiles]));
}

#[test]
fn a_file_with_few_rows_and_many_bytes_is_not_small() {
    let wide = |id| FileFacts { data_file_id: id, rows: 1000, bytes: 100 << 20, deleted: 0 };
    assert_eq!(plan(&(0..20).map(wide).collect::<Vec<_>>()), None);
}

#[test]
fn a_file_is_rewritten_when_more_than_three_tenths_of_it_are_deleted() {
    let with = |deleted| {
        let mut files: Vec<FileFacts> = (1..20).map(|id| file(id, MILLION, 0)).collect();
        files.push(file(20, MILLION, deleted));
        plan(&files)
    };
    assert_eq!(with(300_000), None);
    let plan = with(300_001).unwrap();
    assert_eq!((plan.join, plan.rewrite), (vec![], vec![20]));
    assert_eq!(plan.reasons, [Reason::DeletedRows]);
}

#[test]
fn of_a_table_with_many_deleted_rows_the_worst_files_are_rewritten_and_no_more() {
    let files = [file(1, MILLION, 160_000), file(2, MILLION, 170_000), file(3, MILLION, 150_000)];
    let plan = plan(&files).unwrap();
    assert_eq!(plan.rewrite, [2], "10 % are left after the worst file");
}

#[test]
fn a_handful_of_deleted_rows_is_no_reason() {
    assert_eq!(plan(&[file(1, 100, 90)]), None);
}

#[test]
fn delete_files_are_done_away_with_where_it_pays() {
    let few: Vec<FileFacts> = (0..40).map(|id| file(id, MILLION, 20_000)).collect();
    assert_eq!(plan(&few), None, "2 % of deleted rows pay for no rewrite");
    let many: Vec<FileFacts> = (0..18).map(|id| file(id, MILLION, 60_000 + id)).collect();
    let plan = plan(&many).unwrap();
    assert_eq!(plan.rewrite, [16, 17]);
    assert_eq!(plan.reasons, [Reason::DeleteFiles]);
}

#[test]
fn one_pass_has_a_limit_and_takes_the_worst_first() {
    let files: Vec<FileFacts> = (0..20).map(|id| file(id, MILLION, 300_000 + id)).collect();
    let plan = plan(&files).unwrap();
    assert_eq!(plan.rewrite, [16, 17, 18, 19]);
    let huge = [file(1, 50 * MILLION, 40 * MILLION)];
    assert_eq!(CompactionPolicy::default().plan(&huge).unwrap().rewrite, [1], "not never");
}

/// Fifty upserts of 1 % each into five million rows: what is written anew, and how many deleted
/// rows a reader meets at worst.
#[test]
fn random_upserts_cost_a_small_multiple_of_themselves() {
    const UPSERT: i64 = 50_000;
    let mut files: Vec<FileFacts> = (0..5).map(|id| file(id, MILLION, 0)).collect();
    let (mut next, mut rewritten, mut worst, mut passes, mut longest) = (5, 0, 0, 0, 0);
    for _ in 0..50 {
        let live: i64 = files.iter().map(FileFacts::live).sum();
        for file in &mut files {
            file.deleted += UPSERT * file.live() / live;
        }
        files.push(file(next, UPSERT, 0));
        next += 1;
        if let Some(plan) = plan(&files) {
            passes += 1;
            let (mut joined, mut rows) = (0, 0);
            for id in plan.join.iter().chain(&plan.rewrite) {
                let at = files.iter().position(|file| file.data_file_id == *id).unwrap();
                let old = files.remove(at);
                rows += old.rows;
                if plan.join.contains(id) {
                    joined += old.live();
                } else {
                    files.push(file(next, old.live(), 0));
                    next += 1;
                }
            }
            if joined > 0 {
                files.push(file(next, joined, 0));
                next += 1;
            }
            rewritten += rows;
            longest = longest.max(rows);
        }
        let rows: i64 = files.iter().map(|file| file.rows).sum();
        let deleted: i64 = files.iter().map(|file| file.deleted).sum();
        worst = worst.max(deleted * 1000 / rows);
    }
    assert!(worst <= 121, "{worst} per mille of the rows were deleted ones");
    assert!(rewritten / 50 <= 5 * UPSERT, "{} rows rewritten for each upsert", rewritten / 50);
    assert!(longest <= 3 * MILLION / 2, "{longest} rows in one pass");
    assert!(passes > 5 && files.len() < 25, "{passes} passes, {} files", files.len());
}

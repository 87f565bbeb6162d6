//! The differences of each reconciliation, by kind and by department.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use huiliu_core::reconcile::Reconciliation;
use huiliu_engine::{Session, record_text};
use huiliu_page::{Class, Differences, Kind, Owner};
use huiliu_sdk::Result;

use super::moment::Today;
use crate::hub::Hub;
use crate::reconcile::{class_counts, passed};

/// A rule and its field: one kind of differences.
type Key = (String, Option<String>);

/// How many differences of one department and kind.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Count {
    open: u64,
    settled: u64,
    opened_today: u64,
    closed_today: u64,
    oldest: Option<NaiveDate>,
}

/// Counts by department and kind.
type Counts = BTreeMap<(String, Key), Count>;

impl Hub {
    pub(super) async fn daily_differences(&self, today: &Today<'_>) -> Result<Vec<Differences>> {
        let mut all = Vec::new();
        let session = self.engine.session(None).await?;
        for rec in self.engine.pipelines().reconciliations.values() {
            let Some(built) = self.built(rec).await? else {
                all.push(Differences { title: rec.title.clone(), ..Differences::default() });
                continue;
            };
            let counts = self.difference_counts(&session, rec, today).await?;
            let unkeyed = counts.iter().filter(|((_, (rule, _)), _)| rule == "unkeyed");
            let unkeyed = unkeyed.map(|(_, count)| count.open + count.settled).sum();
            let classes = class_counts(&session, rec, unkeyed).await?;
            let above = passed(rec, &classes);
            let (kinds, owners) = arrange(rec, &counts, today);
            let order = rec.classes().into_iter().rev().chain(["unkeyed".to_owned()]);
            all.push(Differences {
                title: rec.title.clone(),
                keys: built.row_count.try_into().unwrap_or(0),
                compared_at: Some(today.text_of(&built.built_at)),
                classes: order
                    .map(|class| Class {
                        title: title(rec, &class, None),
                        keys: classes.get(&class).copied().unwrap_or(0),
                        is_above_level: above.contains(&class),
                    })
                    .collect(),
                kinds,
                owners,
            });
        }
        Ok(all)
    }

    async fn difference_counts(
        &self,
        session: &Session,
        rec: &Reconciliation,
        today: &Today<'_>,
    ) -> Result<Counts> {
        let mut counts = Counts::new();
        let tables = self.lake().table_versions().await?;
        if !tables.contains_key(&rec.differences()) || !tables.contains_key(&rec.events()) {
            return Ok(counts);
        }
        let standing = format!(
            "select coalesce(owner, '') as owner, rule, field,
                    count(case when state = 'open' then 1 end) as open,
                    count(case when state not in ('open', 'closed') then 1 end) as settled,
                    cast(min(case when state = 'open' then first_seen end) as date) as oldest
             from {} group by 1, 2, 3",
            rec.differences()
        );
        // What closed and came back on one day did both.
        let moved = format!(
            "select coalesce(d.owner, '') as owner, e.rule, e.field,
                    count(distinct case when e.to_state = 'closed' then e.difference_id end)
                      as closed_today,
                    count(distinct case when e.from_state is null or e.from_state = 'closed'
                                        then e.difference_id end) as opened_today
             from {} e join {} d on d.difference_id = e.difference_id
             where e.at >= timestamp '{} 00:00:00' group by 1, 2, 3",
            rec.events(),
            rec.differences(),
            today.day()
        );
        for sql in [standing, moved] {
            for batch in session.collect(&sql, None).await? {
                for row in 0..batch.num_rows() {
                    take(&mut counts, record_text(&batch, row)?.into_iter().collect());
                }
            }
        }
        Ok(counts)
    }
}

/// Adds a row of one of the two queries; each has only some of the columns.
fn take(counts: &mut Counts, mut row: BTreeMap<String, Option<String>>) {
    let mut text = |name: &str| row.remove(name).flatten();
    let kind = (text("rule").unwrap_or_default(), text("field"));
    let count = counts.entry((text("owner").unwrap_or_default(), kind)).or_default();
    let mut number =
        |name: &str| -> u64 { text(name).and_then(|text| text.parse().ok()).unwrap_or(0) };
    count.open += number("open");
    count.settled += number("settled");
    count.opened_today += number("opened_today");
    count.closed_today += number("closed_today");
    if let Some(day) = text("oldest").and_then(|day| day.parse().ok()) {
        count.oldest = Some(count.oldest.map_or(day, |oldest| oldest.min(day)));
    }
}

/// Kinds and departments, those with the most open differences first. Those without any that are
/// open, settled or of today are left out.
fn arrange(rec: &Reconciliation, counts: &Counts, today: &Today<'_>) -> (Vec<Kind>, Vec<Owner>) {
    let mut by_kind: BTreeMap<&Key, Kind> = BTreeMap::new();
    for ((_, key), count) in counts {
        let kind = by_kind.entry(key).or_insert_with(|| Kind {
            title: title(rec, &key.0, key.1.as_deref()),
            ..Kind::default()
        });
        kind.open += count.open;
        kind.settled += count.settled;
        kind.opened_today += count.opened_today;
        kind.closed_today += count.closed_today;
    }
    let mut kinds: Vec<(&Key, Kind)> = by_kind.into_iter().collect();
    kinds.retain(|(_, k)| k.open + k.settled + k.opened_today + k.closed_today > 0);
    kinds.sort_by_key(|(_, kind)| std::cmp::Reverse(kind.open));

    let mut by_owner: BTreeMap<&str, (Owner, Option<NaiveDate>)> = BTreeMap::new();
    for ((name, key), count) in counts {
        let Some(place) = kinds.iter().position(|(known, _)| *known == key) else { continue };
        let (owner, oldest) = by_owner.entry(name).or_insert_with(|| {
            let name = if name.is_empty() { "没有指明部门" } else { name.as_str() };
            let open = vec![0; kinds.len()];
            (Owner { name: name.to_owned(), open, ..Owner::default() }, None)
        });
        owner.open[place] += count.open;
        owner.settled += count.settled;
        owner.opened_today += count.opened_today;
        owner.closed_today += count.closed_today;
        *oldest = [*oldest, count.oldest].into_iter().flatten().min();
    }
    let mut owners: Vec<Owner> = by_owner
        .into_values()
        .map(|(mut owner, oldest)| {
            owner.oldest_workdays = oldest.and_then(|day| today.workdays(day, today.day()));
            owner
        })
        .filter(|o| o.all_open() + o.settled + o.opened_today + o.closed_today > 0)
        .collect();
    owners.sort_by_key(|owner| std::cmp::Reverse(owner.all_open()));
    (kinds.into_iter().map(|(_, kind)| kind).collect(), owners)
}

/// The name of a class or rule, for people.
fn title(rec: &Reconciliation, rule: &str, field: Option<&str>) -> String {
    if let Some(name) = rule.strip_prefix("missing_in_")
        && let Some(system) = rec.system(name)
    {
        return format!("{}缺失", rec.systems[system].title);
    }
    let field = field.map(|field| rec.field(field).map_or(field, |at| &rec.fields[at].title));
    match (rule, field) {
        ("mismatch", Some(field)) => format!("{field}不一致"),
        ("mismatch", None) => "内容不一致".to_owned(),
        ("matched", _) => "一致".to_owned(),
        ("pending", _) => "未到时限".to_owned(),
        ("duplicate_key", _) => "编号重复".to_owned(),
        ("unkeyed", _) => "没有编号".to_owned(),
        (other, _) => other.to_owned(),
    }
}

//! Single records: differences and lives.

use crate::console::desk::{Answer, Desk, go_on, segment};
use crate::console::pages::{difference, trace};
use crate::data::DifferenceQuery;
use crate::web::{Form, ReadNote};

/// The ledger.
pub(in crate::console) async fn differences_page(desk: Desk) -> Answer {
    let hub = desk.app.hub();
    let all = hub.reconciliations().await?;
    let query = DifferenceQuery {
        reconciliation: desk.asked("of").or_else(|| Some(all.first()?.name.clone())),
        state: desk.asked("state"),
        rule: desk.asked("rule"),
        field: desk.asked("field"),
        owner: desk.asked("owner"),
        system: desk.asked("system"),
        key: desk.asked("key"),
    };
    let list = match all.is_empty() {
        true => crate::data::Page { items: Vec::new(), next: None, total: None },
        false => hub.differences(&query, &desk.place()).await?,
    };
    let note = ReadNote::of_differences(&list.items);
    desk.show_records(&difference::ledger(&desk.page, &all, &query, &list), note)
}

/// Notes why differences are as they should be.
pub(in crate::console) async fn explain(desk: Desk, form: Form) -> Answer {
    let (of, key) = (form.get("of"), form.text("key")?);
    let deed = desk.deed(&form)?;
    let explained = desk.app.hub().explain(of, key, form.get("field"), &deed).await?;
    let to = format!("/trace?of={}&key={}", segment(of.unwrap_or_default()), segment(key));
    go_on(&to, &format!("explained.{}", explained.len()))
}

/// The life of one record.
pub(in crate::console) async fn trace_page(desk: Desk) -> Answer {
    let hub = desk.app.hub();
    let all = hub.reconciliations().await?;
    let of = desk.asked("of").or_else(|| Some(all.first()?.name.clone()));
    let Some(key) = desk.asked("key") else {
        let of = of.unwrap_or_default();
        return desk.show(&trace::search(&desk.page, &all, &of, ""));
    };
    let found = hub.trace(of.as_deref(), &key).await?;
    // A row without key is in no golden table, and still has a life.
    let decided = hub.decided(of.as_deref(), &key).await.ok();
    let sheet = trace::trace(&desk.page, &all, &found, decided.as_ref());
    desk.show_records(&sheet, ReadNote::of_trace(&found, decided.as_ref()))
}

use super::*;

fn stream(name: &str, is_full: bool) -> Stream {
    Stream {
        id: huiliu_sdk::StreamId::new("s"),
        name: name.to_owned(),
        select: Some(vec!["id".to_owned(), "a".to_owned()]),
        replication: None,
        key: vec!["id".to_owned()],
        cursor: (!is_full).then(|| "at".to_owned()),
        is_full,
        zone: chrono_tz::UTC,
        columns: std::collections::BTreeMap::new(),
        nullable: std::collections::BTreeMap::new(),
    }
}

fn catalog(metadata: &Value) -> Vec<Entry> {
    let entry = |id: &str| {
        json!({
            "tap_stream_id": id, "stream": "cases", "metadata": metadata,
            "schema": { "properties": { "id": {}, "a": {}, "b": {}, "at": {} } }
        })
    };
    let text = json!({ "streams": [entry("x-cases"), entry("y-cases")] }).to_string();
    read(text.as_bytes()).unwrap()
}

#[test]
fn a_choice_is_written_into_the_metadata() {
    let whole = json!([
        { "breadcrumb": [], "metadata": { "table-key-properties": ["id"] } },
        { "breadcrumb": ["properties", "b"], "metadata": { "selected": true } }
    ]);
    let mut entries = catalog(&whole);
    let stream = stream("x-cases", false);
    let chosen = choose(&mut entries, &[&stream]).unwrap();
    assert_eq!((chosen[0].id.as_str(), chosen[0].is_full_table), ("x-cases", false));
    let [taken, left] = entries.as_slice() else { panic!() };
    assert_eq!(taken.about("selected"), Some(&json!(true)));
    assert_eq!(taken.about("replication-method"), Some(&json!("INCREMENTAL")));
    assert_eq!(taken.about("replication-key"), Some(&json!("at")));
    assert_eq!(taken.0["replication_key"], "at");
    let selected = |name: &str| {
        let list = taken.0["metadata"].as_array().unwrap();
        list.iter().find(|item| is_of(item, &["properties", name])).unwrap()["metadata"]["selected"]
            .clone()
    };
    assert_eq!(["id", "a", "b", "at"].map(selected), [true, true, false, true].map(Value::from));
    assert_eq!(taken.schema().get("selected"), None);
    assert_eq!((left.about("selected"), &left.0["selected"]), (Some(&json!(false)), &json!(false)));
}

#[test]
fn a_tap_of_the_old_way_finds_its_choice_in_the_schema() {
    let mut entries = catalog(&json!([]));
    let chosen = choose(&mut entries, &[&stream("y-cases", true)]).unwrap();
    assert!(chosen[0].is_full_table);
    let schema = entries[1].schema();
    assert_eq!(schema["selected"], true);
    assert_eq!(schema["properties"]["b"]["selected"], false);
    assert_eq!(entries[1].about("view-key-properties"), Some(&json!(["id"])));
}

#[test]
fn what_the_tap_insists_on_stays() {
    for forced in [json!("LOG_BASED"), json!({ "replication-method": "LOG_BASED", "reason": "x" })]
    {
        let whole = [json!({
            "breadcrumb": [], "metadata": { "forced-replication-method": forced }
        })];
        let mut entries = catalog(&json!(whole));
        let chosen = choose(&mut entries, &[&stream("x-cases", true)]).unwrap();
        assert!(!chosen[0].is_full_table);
        assert_eq!(entries[0].about("replication-method"), None);
    }
}

#[test]
fn a_stream_or_column_that_is_not_there_is_told() {
    let mut entries = catalog(&json!([]));
    let error = choose(&mut entries, &[&stream("cases", true)]).unwrap_err();
    assert_eq!(error.code(), "E-STREAM");
    assert!(error.hint_text().unwrap().contains("x-cases, y-cases"));
    let mut wrong = stream("x-cases", true);
    wrong.select = Some(vec!["none".to_owned()]);
    assert_eq!(choose(&mut entries, &[&wrong]).unwrap_err().code(), "E-COLUMN-MISSING");
    for text in ["", "[]", r#"{"streams": {}}"#, r#"{"streams": [{}]}"#] {
        assert_eq!(read(text.as_bytes()).unwrap_err().code(), "E-SINGER-CATALOG", "{text}");
    }
}

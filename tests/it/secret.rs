//! Secrets at rest: no file of the data folder holds one in the clear, and no command says one.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use crate::hub::Hub;
use crate::office::Office;

const CANARY: &str = "canary=4711 含汉字";

/// Whether a file under `folder`, whatever it is, has these bytes.
fn holds(folder: &Path, bytes: &[u8]) -> Option<String> {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if let Some(found) = holds(&path, bytes) {
                return Some(found);
            }
        } else if std::fs::read(&path).unwrap().windows(bytes.len()).any(|part| part == bytes) {
            return Some(path.display().to_string());
        }
    }
    None
}

#[tokio::test]
async fn secrets_are_kept_encrypted_and_come_back_in_references() {
    let office = Office::new(
        "sqlite",
        "path = \"${secret:place}\"\n[[streams]]\nname = \"cases\"\n\
                              table = \"cases\"\nkey = [\"id\"]\nread = \"full\"\n",
    );
    office.edit("create table cases (id integer primary key); insert into cases values (1)").await;
    let hub = &office.hub;
    let early = hub.run_with(&["secret", "set", "place", "--reason", "the first"], "office.db\n");
    assert!(early.expect(0).err.contains("not in the audit"), "there is none yet");
    hub.run(&["run"]).expect(0);
    let set = ["secret", "set", "canary", "--reason", "a test"];
    assert_eq!(hub.run_with(&set, &format!("{CANARY}\n")).expect(0).said(), "");
    let file = hub.data().join("secrets");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(holds(&hub.data(), CANARY.as_bytes()), None);
    let listed = hub.run_json(&["secret", "list"]).expect(0).json();
    let expected = json!([
        { "name": "place", "encrypted": true }, { "name": "canary", "encrypted": true }
    ]);
    assert_eq!(listed["secrets"], expected);
    // It is in the audit who set it, not what it is.
    let audit = hub.run(&["audit", "list"]).expect(0).said();
    assert!(audit.contains("secret.set") && audit.contains("canary"), "{audit}");
    assert!(!audit.contains("4711"), "{audit}");

    // What was written by hand is read as it is, told, and then sealed; comments stay.
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("# ours\n{text}by_hand=plain-4712\n")).unwrap();
    let check = hub.run(&["check"]).expect(0);
    assert!(
        check.err.contains("by_hand") && !check.said().contains("plain-4712"),
        "{}",
        check.said()
    );
    hub.run(&["secret", "seal"]).expect(0);
    let audit = hub.run(&["audit", "list"]).expect(0).said();
    assert!(audit.contains("secret.seal") && audit.contains("by_hand"), "{audit}");
    assert_eq!(holds(&hub.data(), b"plain-4712"), None);
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("# ours\n"));
    assert!(!hub.run(&["check"]).expect(0).err.contains("by_hand"));
    hub.run(&["run"]).expect(0);

    hub.run(&["secret", "remove", "place", "--reason", "moved"]).expect(0);
    assert!(hub.run(&["run"]).expect(6).said().contains("E-SECRET-MISSING"));
    let gone = hub.run(&["secret", "remove", "place", "--reason", "moved"]);
    assert!(gone.expect(2).err.contains("E-SECRET-NAME"));
}

#[tokio::test]
async fn a_secret_opens_under_its_own_name_and_key_only() {
    let office = Office::new(
        "sqlite",
        "path = \"office.db\"\n[[streams]]\nname = \"cases\"\n\
                              table = \"cases\"\nkey = [\"id\"]\nread = \"full\"\n",
    );
    let hub = &office.hub;
    for (name, value) in [("a", "one"), ("b", "two")] {
        hub.run_with(&["secret", "set", name, "--reason", "a test"], value).expect(0);
    }
    let file = hub.data().join("secrets");
    let good = std::fs::read_to_string(&file).unwrap();
    let (a, b) = good.split_once('\n').unwrap();
    let swapped = format!("a={}\n{b}", b.trim().strip_prefix("b=").unwrap());
    for wrong in [swapped, format!("{}\n{b}", &a[..a.len() - 8]), "a=sealed:!\n".to_owned()] {
        std::fs::write(&file, &wrong).unwrap();
        let refused = hub.run(&["check"]).expect(6).err;
        assert!(refused.contains("E-KEY") && refused.contains("secret a "), "{refused}");
    }
    // Another key, and none.
    std::fs::write(&file, &good).unwrap();
    let key = hub.data().join("key");
    let other: Vec<u8> = (0..32).collect();
    std::fs::write(&key, other).unwrap();
    assert!(hub.run(&["check"]).expect(6).err.contains("E-KEY"));
    std::fs::remove_file(&key).unwrap();
    assert!(hub.run(&["check"]).expect(2).err.contains("E-KEY"));
    assert!(!key.exists(), "a new key opens nothing");
    for (name, value) in [("a/b", "x"), ("a", ""), ("a", "two\nlines")] {
        let refused =
            hub.run_with(&["secret", "set", name, "--reason", "a test"], value).expect(2).err;
        assert!(refused.contains("E-SECRET-"), "{refused}");
    }
}

/// Whatever the hub says and writes while it works with the whole city.
#[test]
fn no_secret_of_the_city_is_in_any_output_or_file() {
    let hub = Hub::shipped();
    let mut said = String::new();
    for arguments in [
        &["-vv", "demo", "--scale", "0.02", "--seed", "7"][..],
        &["-vv", "--log-format", "json", "run"],
        &["check"],
        &["systems"],
        &["runs"],
        &["runs", "show", "1"],
        &["quarantine", "list"],
        &["state", "list"],
        &["push", "list"],
        &["audit", "list"],
        &["secret", "list"],
        &["jobs", "list"],
        &["doctor"],
        &["plan"],
    ] {
        let done = hub.run(arguments);
        // Between commands the city is not there, so a run may end with what is not reached.
        assert!(matches!(done.code, Some(0..=4)), "{arguments:?}: {}", done.said());
        assert!(!done.said().contains("panicked"), "{arguments:?}: {}", done.said());
        said += &done.said();
    }
    let secrets = huiliu_city::credentials(&hub.city()).unwrap().by_name();
    assert!(secrets.len() > 5);
    // The other systems have theirs where they are.
    let places = std::fs::read_dir(hub.data()).unwrap().map(|entry| entry.unwrap().path());
    let places: Vec<_> = places.filter(|path| path.is_dir() && *path != hub.city()).collect();
    assert!(places.iter().any(|path| path.ends_with("lake")));
    for (name, value) in secrets {
        assert!(!said.contains(&value), "{name} was printed");
        for place in &places {
            assert_eq!(holds(place, value.as_bytes()), None, "{name}");
        }
        for file in ["huiliu.db", "secrets", "env"] {
            let bytes = std::fs::read(hub.data().join(file)).unwrap();
            assert!(
                !bytes.windows(value.len()).any(|part| part == value.as_bytes()),
                "{file}: {name}"
            );
        }
    }
}

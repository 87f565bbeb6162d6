//! What the API answers is what its description says, whatever is asked: schemathesis makes the
//! requests from `docs/openapi.json`, right ones and wrong ones, as each role.

use std::path::PathBuf;

use crate::hub::root;
use crate::serve::Service;
use crate::service::city;

/// How many made-up requests each operation gets, beside those at the limits of its parameters.
const EXAMPLES: &str = "4";
const SEED: &str = "2018";

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_one_that_the_description_allows() {
    let hub = city(65);
    let tokens: Vec<(&str, String)> = ["operator", "analyst", "auditor", "admin"]
        .map(|role| {
            hub.run(&["user", "add", role, "--title", "同事", "--role", role]).expect(0);
            let made = ["user", "token", "create", role, "--title", "test"];
            let made = hub.run_json(&made).expect(0).json();
            (role, made["secret"].as_str().unwrap().to_owned())
        })
        .into();
    let service = Service::start(&hub).await;
    let folder = tempfile::tempdir().unwrap();
    for (role, token) in tokens {
        let mut command = tokio::process::Command::new(schemathesis());
        command
            .current_dir(folder.path())
            .arg("run")
            .arg(root().join("docs/openapi.json"))
            .args(["--url", &format!("http://{}", service.web)])
            .args(["-H", &format!("Authorization: Bearer {token}")])
            .args(["--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES])
            .args(["--seed", SEED, "--generation-database", "none", "--warnings", "off"])
            .args(["--continue-on-failure", "--rate-limit", "45/s", "--no-color"])
            .args(["--checks", "not_a_server_error,status_code_conformance"])
            .args(["--checks", "content_type_conformance,response_schema_conformance"])
            // A stream of events goes on for as long as its run.
            .args(["--request-timeout", "30"]);
        let output = command.kill_on_drop(true).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        println!("{role}, seed {SEED}: {}", said.lines().last().unwrap_or_default());
        assert!(output.status.success(), "{role}: {said}");
        assert!(said.contains("generated"), "{role}: nothing was asked: {said}");
        assert!(!said.contains(&token), "{role}");
    }
}

/// The program, from the environment that `./test` prepares.
fn schemathesis() -> PathBuf {
    let folder = std::env::var_os("HUILIU_TEST_API").expect("./test sets HUILIU_TEST_API");
    PathBuf::from(folder).join("schemathesis/bin/st")
}

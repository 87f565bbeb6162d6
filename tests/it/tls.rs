//! `huiliu serve` with certificates.

use std::process::{Command as Program, Stdio};

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStderr, Command};

use crate::hub::Hub;
use crate::serve::with_analyst;
use crate::stop::terminate;

fn hub() -> Hub {
    let hub = Hub::edited();
    std::fs::remove_file(hub.project().join("config/jobs.toml")).unwrap();
    let tls = "[serve]\ntls = { certificate = \"tls/hub.pem\", key = \"tls/hub.key\" }\n";
    hub.edit("config/hub.toml", "[serve]\n", tls);
    let folder = hub.project().join("config/tls");
    std::fs::create_dir_all(&folder).unwrap();
    let made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=hub \
                -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout hub.key -out hub.pem";
    let mut openssl = Program::new("openssl");
    openssl.args(made.split_whitespace()).current_dir(folder);
    let output = openssl.output().expect("openssl is missing; ./test installs it");
    assert!(output.status.success(), "{output:?}");
    hub
}

async fn line(lines: &mut Lines<BufReader<ChildStderr>>, wanted: &str) -> String {
    loop {
        let line = lines.next_line().await.unwrap().expect("serve ended");
        if line.contains(wanted) {
            return line;
        }
    }
}

async fn curl(url: &str, certificate: &std::path::Path) -> String {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "20", "--cacert"]).arg(certificate).arg(url);
    let output = command.output().await.expect("curl is missing");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_service_speaks_tls_and_tells_what_is_wrong_with_a_new_certificate() {
    let hub = hub();
    let token = with_analyst(&hub);
    let any = "127.0.0.1:0";
    let mut command = hub.command(&["serve", "--pgwire", any, "--web", any, "--metrics", "off"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = Command::from(command).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let wire = line(&mut lines, "sslmode=verify-full").await;
    let port = wire.split_once(" port=").unwrap().1.split(' ').next().unwrap().to_owned();
    let url = line(&mut lines, "https://127.0.0.1:").await.trim().to_owned();
    let certificate = hub.project().join("config/tls/hub.pem");
    let trusted = std::fs::read(&certificate).unwrap();
    let kept = hub.project().join("trusted.pem");
    std::fs::write(&kept, trusted).unwrap();
    assert_eq!(curl(&format!("{url}/health"), &kept).await, "ok\n");
    let target = format!(
        "host=localhost port={port} user=fenxi dbname=huiliu sslmode=verify-full sslrootcert={}",
        kept.display()
    );
    let mut psql = Command::new("psql");
    psql.args(["-X", "-At", "-c", "select 1", &target]).env("PGPASSWORD", &token);
    let output = psql.output().await.unwrap();
    assert_eq!(output.stdout, b"1\n", "{output:?}");

    std::fs::write(&certificate, "nothing").unwrap();
    let told = async {
        let told = line(&mut lines, "the old certificate is kept").await;
        assert!(told.contains("E-SERVE-TLS") && told.contains("hub.pem"), "{told}");
    };
    let asking = async {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(200));
        loop {
            ticks.tick().await;
            assert_eq!(curl(&format!("{url}/health"), &kept).await, "ok\n");
        }
    };
    tokio::select! {
        () = told => {}
        () = asking => {}
    }
    assert_eq!(terminate(&mut process).await, Some(143));
    // A service that cannot begin so does not begin.
    let refused = hub.run(&["serve", "--pgwire", any, "--web", any]).expect(2);
    assert!(
        refused.err.contains("E-SERVE-TLS") && refused.err.contains("hub.pem"),
        "{}",
        refused.err
    );
}

#[test]
fn beyond_this_machine_the_console_needs_a_name() {
    let hub = hub();
    let refused = hub.run(&["serve", "--pgwire", "127.0.0.1:0", "--web", "0.0.0.0:0"]).expect(2);
    assert!(refused.err.contains("E-WEB-ADDRESS") && refused.err.contains("public_url"));
    let plain = Hub::edited();
    let here = "127.0.0.1:0";
    for (wire, web) in [("0.0.0.0:0", here), (here, "0.0.0.0:0")] {
        let refused = plain.run(&["serve", "--pgwire", wire, "--web", web]).expect(2);
        assert!(refused.err.contains("ADDRESS") && refused.err.contains("tls"), "{}", refused.err);
    }
}

//! A folder of an SFTP server: OpenSSH's own, on this machine, with keys of its own.

use std::io::Read;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use huiliu_sdk::{Endpoint, ErrorKind, Event, LoadMode, LoadRequest, RawPush, StreamId};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{configure, limited, raw, read, request, sha256};

struct Server {
    folder: TempDir,
    port: u16,
    daemon: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.daemon.kill().unwrap();
        self.daemon.wait().unwrap();
    }
}

fn keygen(path: &Path) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success());
}

fn public(path: &Path) -> String {
    let text = std::fs::read_to_string(path.with_extension("pub")).unwrap();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for key in ["host", "user", "stranger"] {
            keygen(&at(key));
        }
        std::fs::create_dir(at("drop")).unwrap();
        std::fs::copy(at("user.pub"), at("authorized")).unwrap();
        if Path::new("/run").metadata().unwrap().permissions().mode() & 0o200 != 0 {
            // Where the server runs as root it wants this folder of its package.
            drop(std::fs::create_dir("/run/sshd"));
        }
        // The port that is free now is taken at once.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\n\
             StrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nSubsystem sftp internal-sftp\n",
            at("host").display(),
            at("authorized").display()
        );
        std::fs::write(at("config"), config).unwrap();
        let daemon = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(at("config"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self { folder, port, daemon };
        server.wait();
        server
    }

    /// Waits until the server greets.
    fn wait(&mut self) {
        loop {
            assert!(self.daemon.try_wait().unwrap().is_none(), "the server has ended");
            let Ok(mut line) = TcpStream::connect(("127.0.0.1", self.port)) else { continue };
            let mut greeting = [0; 4];
            if line.read_exact(&mut greeting).is_ok() && &greeting == b"SSH-" {
                return;
            }
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.at("drop").join(name), content).unwrap();
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.at("drop")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn options(&self) -> Value {
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        json!({
            "path": self.at("drop"),
            "sftp": {
                "host": "127.0.0.1", "port": self.port, "user": String::from_utf8_lossy(&user).trim(),
                "key": self.at("user"), "host_key": [public(&self.at("host"))],
            },
        })
    }

    fn endpoint(&self, system: Value, stream: Value) -> Arc<dyn Endpoint> {
        let settings = json!({ "read": "incremental" });
        let mut raw = raw("/".into(), system, vec![(stream, settings)]);
        raw.pushes.push(RawPush {
            name: "p".into(),
            key: vec![],
            options: json!({ "file": "out.csv", "control": {} }),
        });
        configure(raw).map_err(|faults| faults.0).unwrap()
    }
}

#[tokio::test]
async fn a_drop_on_a_server_is_read_receipted_and_written() {
    let server = Server::start();
    let mut content = String::from("a\n");
    for row in 0..200_000 {
        content += &format!("办件{row}\n");
    }
    assert!(content.len() > 2 << 20, "more than all blocks that are asked for at once");
    server.put("a b'$.csv", &content);
    server.put("a b'$.ctl", format!("rows=200000\nsha256={}\n", sha256(&content)));
    server.put("b.csv", "a\n1\n");
    let stream = json!({ "pattern": "*.csv", "control": {}, "receipt": {} });
    let endpoint = server.endpoint(server.options(), stream);
    let cx = limited(16_384);
    assert_eq!(endpoint.probe(&cx).await.unwrap().summary, "folder readable, 2 files match");
    let first = read(&*endpoint, &cx, None, None).await.unwrap();
    assert_eq!((first.len(), first.complete), (200_000, Some(false)));
    assert_eq!(first.column("a")[199_999], "办件199999");
    // The receipt was left owing; the next read writes it and reads nothing again.
    let second = read(&*endpoint, &cx, first.resume(), None).await.unwrap();
    assert_eq!(second.len(), 0);
    assert_eq!(server.names(), ["a b'$.csv", "a b'$.csv.ack", "a b'$.ctl", "b.csv"]);

    let batch = RecordBatch::try_from_iter([(
        "a",
        Arc::new(StringArray::from_iter_values((0..100_000).map(|n| format!("办件{n}"))))
            as ArrayRef,
    )])
    .unwrap();
    for _ in 0..2 {
        let schema = batch.schema();
        let request = LoadRequest { push: StreamId::new("p"), schema, mode: LoadMode::Replace };
        let mut loader = endpoint.loader(&cx, request).await.unwrap();
        loader.write(&cx, batch.clone()).await.unwrap();
        assert_eq!(loader.finish(&cx).await.unwrap(), 100_000);
    }
    let third = read(&*endpoint, &cx, first.resume(), None).await.unwrap();
    assert_eq!((third.len(), third.origins[0].as_str()), (100_000, "out.csv"));
    assert!(server.names().iter().all(|name| !name.contains(".part")), "{:?}", server.names());
}

/// The port of a line to the server at `server`, which breaks off the first connection that has been
/// given so many bytes.
fn fragile(server: u16, most: u64) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let has_broken = Arc::new(AtomicBool::new(false));
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, has_broken) = (client.unwrap(), Arc::clone(&has_broken));
            let upstream = TcpStream::connect(("127.0.0.1", server)).unwrap();
            std::thread::spawn(move || {
                let most = if has_broken.load(Ordering::SeqCst) { u64::MAX } else { most };
                let (mut asks, mut asked) =
                    (client.try_clone().unwrap(), upstream.try_clone().unwrap());
                std::thread::spawn(move || drop(std::io::copy(&mut asks, &mut asked)));
                let given = std::io::copy(&mut (&upstream).take(most), &mut &client);
                if given.is_ok_and(|given| given == most) {
                    has_broken.store(true, Ordering::SeqCst);
                }
                // Either side may have gone first.
                drop(client.shutdown(Shutdown::Both));
                drop(upstream.shutdown(Shutdown::Both));
            });
        }
    });
    port
}

#[tokio::test]
async fn a_line_that_drops_in_a_file_gives_no_row_of_it_and_the_next_read_all() {
    let server = Server::start();
    let rows: String = (0..200_000).map(|row| format!("办件{row}\n")).collect();
    let content = format!("a\n{rows}");
    server.put("a.csv", &content);
    let mut system = server.options();
    system["sftp"]["port"] = json!(fragile(server.port, content.len() as u64 * 9 / 10));
    let endpoint = server.endpoint(system, json!({ "pattern": "*.csv" }));
    let cx = limited(16_384);
    let mut source = endpoint.source(&cx, request(None, None)).await.unwrap();
    let broken = loop {
        match source.next(&cx).await {
            Ok(Some(event)) => assert!(!matches!(event, Event::Rows(_)), "rows of half a file"),
            Ok(None) => panic!("the line did not drop"),
            Err(error) => break error,
        }
    };
    assert_eq!(broken.kind(), ErrorKind::Unreachable, "{broken}");
    let again = read(&*endpoint, &cx, None, None).await.unwrap();
    assert_eq!(again.len(), 200_000);
    assert_eq!(again.column("a")[199_999], "办件199999");
}

#[tokio::test]
async fn another_host_key_a_stranger_and_a_dead_port_are_told_apart() {
    let server = Server::start();
    server.put("a.csv", "a\n1\n");
    let cx = limited(10);
    let probe = |system: Value| {
        let endpoint = server.endpoint(system, json!({ "pattern": "*" }));
        let cx = cx.clone();
        async move { endpoint.probe(&cx).await.err().unwrap() }
    };
    let mut system = server.options();
    system["sftp"]["host_key"] = json!([public(&server.at("stranger"))]);
    let error = probe(system).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Auth, "E-SFTP-HOST-KEY"));
    let mut system = server.options();
    system["sftp"]["key"] = json!(server.at("stranger"));
    let error = probe(system).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Auth, "E-AUTH"));
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut system = server.options();
    system["sftp"]["port"] = json!(free);
    let error = probe(system).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unreachable, "E-CONNECT"));
    let mut system = server.options();
    system["sftp"]["host"] = json!("169.254.169.254");
    let error = probe(system).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "E-FORBIDDEN-ADDRESS"));
    let mut system = server.options();
    system["path"] = json!("/nowhere");
    assert_eq!(probe(system).await.code(), "E-FILE-MISSING");
}

#[tokio::test]
async fn links_on_the_server_are_refused() {
    let server = Server::start();
    std::os::unix::fs::symlink("/etc/passwd", server.at("drop").join("a.csv")).unwrap();
    let endpoint = server.endpoint(server.options(), json!({ "pattern": "*" }));
    let error = read(&*endpoint, &limited(10), None, None).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Permission, "E-PATH"));
}

#[test]
fn what_would_become_an_option_of_the_client_is_no_value() {
    let system = json!({ "path": "x", "sftp": {
        "host": "-oProxyCommand=x", "user": "a b", "key": "-k", "host_key": ["@revoked * x"],
    } });
    let faults = configure(raw("/".into(), system, vec![])).err().unwrap();
    let paths: Vec<&str> = faults.0.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["sftp.host", "sftp.user", "sftp.key", "sftp.host_key"]);
}

//! TLS of all doors, with certificates that openssl makes and clients that look at them.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use huiliu_serve::web::{App, WebOptions, WebSettings, router, serve};
use huiliu_serve::{FlightOptions, PgOptions, Tls, TlsFiles, start_flight, start_pg};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::stub::Nothing;
use crate::world::{ANALYST, World};

/// Longer than what is waited for ever takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// The request for TLS over the Postgres wire.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A folder of certificates.
struct Certificates(TempDir);

impl Certificates {
    /// Two authorities; of the first a certificate for `localhost` and one for a client.
    fn new() -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        for authority in ["ca", "stranger"] {
            made.openssl(&format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
                 -subj /CN={authority} -keyout {authority}.key -out {authority}.pem"
            ));
        }
        made.issue("ca", "server", "localhost");
        made.issue("ca", "client", "client");
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        command.args(arguments.split_whitespace()).current_dir(self.0.path());
        let output = command.output().expect("openssl is missing; ./test installs it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Makes `name.pem` and `name.key` for a host or a person.
    fn issue(&self, authority: &str, name: &str, subject: &str) {
        std::fs::write(self.path("names"), format!("subjectAltName=DNS:{subject}\n")).unwrap();
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={subject} \
             -keyout {name}.key -out {name}.csr"
        ));
        self.openssl(&format!(
            "x509 -req -days 2 -in {name}.csr -CA {authority}.pem -CAkey {authority}.key \
             -CAcreateserial -extfile names -out {name}.pem"
        ));
        let private = PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(self.path(&format!("{name}.key")), private).unwrap();
    }

    fn files(&self, client_ca: Option<&str>) -> TlsFiles {
        TlsFiles {
            certificate: self.path("server.pem"),
            key: self.path("server.key"),
            client_ca: client_ca.map(|name| self.path(name)),
        }
    }
}

/// All doors over TLS.
struct Doors {
    world: World,
    certificates: Certificates,
    web: SocketAddr,
    wire: SocketAddr,
    flight: SocketAddr,
}

impl Doors {
    async fn open(host: &str, client_ca: Option<&str>) -> Self {
        let (world, certificates) = (World::open().await, Certificates::new());
        let tls = Some(Tls::read(certificates.files(client_ca)).unwrap());
        let address: SocketAddr = format!("{host}:0").parse().unwrap();
        let settings = WebSettings { public_url: None, tls: true };
        let app = App::new(Arc::new(Nothing), world.accounts.clone(), world.gate.clone(), settings);
        let options = WebOptions { address, behind_proxy: false, tls: tls.clone() };
        let (web, served) =
            serve(router(&Arc::new(app)), options, world.cancel.clone()).await.unwrap();
        tokio::spawn(served);
        let options = PgOptions { address, tls: tls.clone() };
        let (wire, served) =
            start_pg(world.gate.clone(), options, world.cancel.clone()).await.unwrap();
        tokio::spawn(served);
        let options = FlightOptions { address, tls };
        let (flight, served) =
            start_flight(world.gate.clone(), options, world.cancel.clone()).await.unwrap();
        tokio::spawn(served);
        let (web, wire, flight) = (web.address, wire.address, flight.address);
        Self { world, certificates, web, wire, flight }
    }

    /// What curl gets of the web, with these options beside.
    async fn curl(&self, path: &str, options: &str) -> Output {
        let url = format!("https://localhost:{}{path}", self.web.port());
        let mut command = tokio::process::Command::new("curl");
        command.args(["-sS", "-i", "--max-time", "20"]).args(options.split_whitespace());
        command.arg(url).current_dir(self.certificates.0.path()).kill_on_drop(true);
        command.output().await.expect("curl is missing; ./test installs it")
    }

    /// What psql prints of `select 40 + 2`, or what it says.
    async fn psql(&self, options: &str) -> Result<String, String> {
        let mut command = tokio::process::Command::new("psql");
        let port = self.wire.port();
        let target = format!(
            "host=localhost hostaddr=127.0.0.1 port={port} dbname=huiliu user={ANALYST} {options}"
        );
        command.args(["-X", "-At", "-c", "select 40 + 2", &target]).kill_on_drop(true);
        command.env("PGPASSWORD", &self.world.token).env("PGCONNECT_TIMEOUT", "20");
        command.current_dir(self.certificates.0.path());
        let output = command.output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().trim().to_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }
}

impl Doors {
    /// What ADBC is told over Flight, which looks at the certificate of `authority` and may show one
    /// of its own; `tls` is left out of the address where it is not spoken.
    async fn adbc(&self, tls: &str, authority: &str, shown: Option<&str>) -> String {
        let folder = self.certificates.0.path().display();
        let port = self.flight.port();
        let shown = shown.map_or(String::new(), |name| {
            format!(
                "options[kind + 'mtls_cert_chain'] = open('{folder}/{name}.pem').read()
options[kind + 'mtls_private_key'] = open('{folder}/{name}.key').read()"
            )
        });
        let program = format!(
            "
import adbc_driver_flightsql.dbapi as flight, os
kind = 'adbc.flight.sql.client_option.'
options = {{'username': os.environ['PGUSER'], 'password': os.environ['PGPASSWORD'],
           kind + 'tls_root_certs': open('{folder}/{authority}.pem').read()}}
{shown}
try:
    with flight.connect('grpc{tls}://localhost:{port}', db_kwargs=options, autocommit=True) as db:
        with db.cursor() as cursor:
            cursor.execute('select 40 + 2')
            print(cursor.fetchone()[0])
except Exception as error:
    print('refused', error)
"
        );
        self.world.python(&program).await.trim().to_owned()
    }
}

fn body(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_web_speaks_tls_and_nothing_else() {
    let doors = Doors::open("127.0.0.1", None).await;
    let answer = doors.curl("/health", "--cacert ca.pem").await;
    assert!(answer.status.success() && body(&answer).ends_with("ok\n"), "{answer:?}");
    let tls12 = doors.curl("/health", "--cacert ca.pem --tls-max 1.2").await;
    assert!(tls12.status.success(), "{tls12:?}");
    for options in ["--cacert stranger.pem", "--cacert ca.pem --tls-max 1.1"] {
        assert!(!doors.curl("/health", options).await.status.success(), "{options}");
    }
    let login = format!(
        "--cacert ca.pem -H Content-Type:application/json -d \
         {{\"user\":\"{ANALYST}\",\"password\":\"{}\"}}",
        crate::world::PASSWORD
    );
    let answer = body(&doors.curl("/api/v1/login", &login).await);
    let cookie = answer.lines().find(|line| line.starts_with("set-cookie: ")).unwrap();
    assert!(cookie.starts_with("set-cookie: __Host-huiliu=") && cookie.contains("; Secure"));
    // Who knocks without TLS gets no page.
    let mut socket = TcpStream::connect(doors.web).await.unwrap();
    socket.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut told = Vec::new();
    socket.read_to_end(&mut told).await.ok();
    assert!(!told.starts_with(b"HTTP"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wire_speaks_tls_and_beyond_this_machine_nothing_else() {
    let here = Doors::open("127.0.0.1", None).await;
    let full = "sslmode=verify-full sslrootcert=ca.pem";
    assert_eq!(here.psql(full).await.unwrap(), "42");
    assert_eq!(here.psql("sslmode=disable").await.unwrap(), "42");
    let stranger = here.psql("sslmode=verify-full sslrootcert=stranger.pem").await.unwrap_err();
    assert!(stranger.contains("certificate verify failed"), "{stranger}");

    let anywhere = Doors::open("0.0.0.0", None).await;
    assert_eq!(anywhere.psql(full).await.unwrap(), "42");
    assert_eq!(anywhere.psql(&format!("{full} channel_binding=disable")).await.unwrap(), "42");
    let plain = anywhere.psql("sslmode=disable").await.unwrap_err();
    assert!(plain.contains("over TLS only"), "{plain}");
    // A request to cancel is answered with nothing, as ever.
    let mut socket = TcpStream::connect(("127.0.0.1", anywhere.wire.port())).await.unwrap();
    socket.write_all(&[0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 1, 0, 0, 0, 2]).await.unwrap();
    let mut told = Vec::new();
    tokio::time::timeout(PATIENCE, socket.read_to_end(&mut told)).await.unwrap().ok();
    assert!(told.is_empty(), "{told:?}");
    let answer = anywhere.curl("/health", "--cacert ca.pem").await;
    assert!(answer.status.success(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn flight_speaks_tls_and_nothing_else() {
    let doors = Doors::open("0.0.0.0", None).await;
    assert_eq!(doors.adbc("+tls", "ca", None).await, "42");
    let stranger = doors.adbc("+tls", "stranger", None).await;
    assert!(stranger.starts_with("refused") && stranger.contains("certificate"), "{stranger}");
    let plain = doors.adbc("", "ca", None).await;
    assert!(plain.starts_with("refused"), "{plain}");

    let doors = Doors::open("127.0.0.1", Some("ca.pem")).await;
    doors.certificates.issue("stranger", "forged", "client");
    assert_eq!(doors.adbc("+tls", "ca", Some("client")).await, "42");
    for shown in [None, Some("forged")] {
        let told = doors.adbc("+tls", "ca", shown).await;
        assert!(told.starts_with("refused"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_before_tls_is_not_taken_for_what_comes_after() {
    let doors = Doors::open("127.0.0.1", None).await;
    let mut startup = vec![0, 3, 0, 0];
    startup.extend(format!("user\0{ANALYST}\0database\0huiliu\0\0").bytes());
    let mut message = u32::try_from(startup.len() + 4).unwrap().to_be_bytes().to_vec();
    message.extend(startup);
    for (early, is_asked) in [(false, true), (true, false)] {
        let mut socket = TcpStream::connect(doors.wire).await.unwrap();
        let mut first = SSL_REQUEST.to_vec();
        if early {
            first.extend(&message);
        }
        socket.write_all(&first).await.unwrap();
        assert_eq!(socket.read_u8().await.unwrap(), b'S');
        let pem = std::fs::read(doors.certificates.path("ca.pem")).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let mut socket = TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
        if !early {
            socket.write_all(&message).await.unwrap();
        }
        let asked = tokio::time::timeout(PATIENCE, socket.read_u8()).await.unwrap();
        assert_eq!(asked.is_ok_and(|byte| byte == b'R'), is_asked, "early: {early}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_show_a_certificate_where_it_is_asked_for() {
    let doors = Doors::open("127.0.0.1", Some("ca.pem")).await;
    doors.certificates.issue("stranger", "forged", "client");
    let wire = "sslmode=verify-full sslrootcert=ca.pem";
    let shown = "--cacert ca.pem --cert client.pem --key client.key";
    let answer = doors.curl("/health", shown).await;
    assert!(answer.status.success() && body(&answer).ends_with("ok\n"), "{answer:?}");
    let with = format!("{wire} sslcert=client.pem sslkey=client.key");
    assert_eq!(doors.psql(&with).await.unwrap(), "42");
    for (web, psql) in [
        ("--cacert ca.pem", format!("{wire} sslcert=none sslkey=none")),
        (
            "--cacert ca.pem --cert forged.pem --key forged.key",
            format!("{wire} sslcert=forged.pem sslkey=forged.key"),
        ),
    ] {
        let answer = doors.curl("/health", web).await;
        assert!(!answer.status.success() && answer.stdout.is_empty(), "{web}: {answer:?}");
        assert!(doors.psql(&psql).await.is_err(), "{psql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_files_are_taken_and_broken_ones_are_not() {
    let doors = Doors::open("127.0.0.1", None).await;
    let certificates = &doors.certificates;
    let is_seen = async |authority: &str| {
        doors.curl("/health", &format!("--cacert {authority}.pem")).await.status.success()
    };
    // At each try the door may look at the files anew.
    let becomes_seen = async |authority: &str| {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        let until = async {
            while !is_seen(authority).await {
                ticks.tick().await;
            }
        };
        tokio::time::timeout(PATIENCE, until).await.expect("the new certificate is not shown");
    };
    assert!(is_seen("ca").await && !is_seen("stranger").await);
    certificates.issue("stranger", "server", "localhost");
    becomes_seen("stranger").await;
    assert!(!is_seen("ca").await);
    let full = "sslmode=verify-full sslrootcert=stranger.pem";
    assert_eq!(doors.psql(full).await.unwrap(), "42");

    for (name, broken) in [("server.pem", "no certificate"), ("server.key", "")] {
        let path = certificates.path(name);
        let good = std::fs::read(&path).unwrap();
        std::fs::write(&path, broken).unwrap();
        let mut ticks = tokio::time::interval(Duration::from_millis(300));
        for _ in 0..8 {
            ticks.tick().await;
            assert!(is_seen("stranger").await, "{name}");
        }
        std::fs::write(&path, good).unwrap();
    }
    certificates.issue("ca", "server", "localhost");
    becomes_seen("ca").await;
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let made = Certificates::new();
    made.openssl("pkcs8 -topk8 -in server.key -passout pass:x -out locked.key");
    let good = std::fs::read_to_string(made.path("server.pem")).unwrap();
    std::fs::write(made.path("cut.pem"), &good[..good.len() / 2]).unwrap();
    std::fs::write(made.path("empty.pem"), "").unwrap();
    let broken = good.replacen("MII", "M*I", 1);
    std::fs::write(made.path("broken.pem"), broken).unwrap();
    let whole = made.files(None);
    let certificate = |name: &str| TlsFiles { certificate: made.path(name), ..whole.clone() };
    let key = |name: &str| TlsFiles { key: made.path(name), ..whole.clone() };
    for (files, named, why) in [
        (certificate("gone.pem"), "gone.pem", "No such file"),
        (certificate("empty.pem"), "empty.pem", "no certificate"),
        (certificate("cut.pem"), "cut.pem", "its end is missing"),
        (certificate("broken.pem"), "broken.pem", "no base64"),
        (certificate("server.key"), "server.key", "no certificate"),
        (key("client.key"), "client.key", "not the key of"),
        (key("server.pem"), "server.pem", "no private key"),
        (key("locked.key"), "locked.key", "no private key"),
        (made.files(Some("gone.pem")), "gone.pem", "No such file"),
        (made.files(Some("empty.pem")), "empty.pem", "no certificate"),
    ] {
        let error = Tls::read(files).err().unwrap();
        let text = error.to_string();
        assert_eq!(error.code(), "E-SERVE-TLS", "{text}");
        assert!(text.contains(named) && text.contains(why), "{named} {why}: {text}");
        assert!(!text.contains("BEGIN") && !text.contains("MII"), "{text}");
    }
    assert!(Tls::read(made.files(Some("ca.pem"))).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_agrees_on_nothing_holds_up_nobody() {
    let doors = Doors::open("127.0.0.1", None).await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(doors.web).await.unwrap());
    }
    // Half of a first message is no more than none.
    silent[0].write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    for _ in 0..10 {
        let mut socket = TcpStream::connect(doors.wire).await.unwrap();
        socket.write_all(&SSL_REQUEST).await.unwrap();
        assert_eq!(socket.read_u8().await.unwrap(), b'S');
        silent.push(socket);
    }
    let answer = doors.curl("/health", "--cacert ca.pem").await;
    assert!(answer.status.success(), "{answer:?}");
    assert_eq!(doors.psql("sslmode=verify-full sslrootcert=ca.pem").await.unwrap(), "42");
    for mut socket in silent {
        let ended = tokio::time::timeout(PATIENCE, async {
            let mut told = Vec::new();
            socket.read_to_end(&mut told).await.ok();
        });
        assert!(ended.await.is_ok(), "it is not waited for without end");
    }
}

#![allow(clippy::unwrap_used, clippy::expect_used)] // test support stands outside of #[test]
//! A folder for a database server of one test, and certificates for it that nobody has signed but
//! the test itself. Servers refuse to run as root, so they get a user of their own.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A place to run a server in, and the server once it runs. Both end with this.
pub(crate) struct Place {
    folder: TempDir,
    /// User and group the server runs as; none when that is whoever runs the test.
    user: Option<(u32, u32)>,
    server: Option<Child>,
    pub(crate) port: u16,
}

impl Place {
    /// A place for a server that runs as `user` when the test is run by root.
    pub(crate) fn new(user: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let is_root = std::fs::metadata(folder.path()).unwrap().uid() == 0;
        let user = is_root.then(|| (id("-u", user), id("-g", user)));
        if user.is_some() {
            std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o711)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = Self { folder, user, server: None, port };
        std::fs::create_dir(place.path("server")).unwrap();
        place.give("server");
        place.sign();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Lets the server's user have a file.
    fn give(&self, name: &str) {
        if let Some((user, group)) = self.user {
            chown(self.path(name), Some(user), Some(group)).unwrap();
        }
    }

    /// Makes two authorities, and a certificate for the name `localhost` that the first signed.
    fn sign(&self) {
        let path = |name: &str| self.path(name).display().to_string();
        for authority in ["ca", "stranger"] {
            openssl(&[
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                &format!("/CN=Test {authority}"),
                "-keyout",
                &path(&format!("{authority}.key")),
                "-out",
                &path(&format!("{authority}.pem")),
            ]);
        }
        std::fs::write(self.path("names"), "subjectAltName=DNS:localhost\n").unwrap();
        let key = path("server/key.pem");
        openssl(&[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=localhost",
            "-keyout",
            &key,
            "-out",
            &path("request.pem"),
        ]);
        openssl(&[
            "x509",
            "-req",
            "-days",
            "2",
            "-in",
            &path("request.pem"),
            "-CA",
            &path("ca.pem"),
            "-CAkey",
            &path("ca.key"),
            "-CAcreateserial",
            "-extfile",
            &path("names"),
            "-out",
            &path("server/certificate.pem"),
        ]);
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
        self.give("server/key.pem");
        self.give("server/certificate.pem");
    }

    /// Runs a command of the server's to its end.
    pub(crate) fn prepare(&self, program: &Path, arguments: &[&str]) {
        let output = self.command(program, arguments).output();
        let output = output.unwrap_or_else(|e| panic!("{}: {e}", program.display()));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts the server.
    pub(crate) fn start(&mut self, program: &Path, arguments: &[&str]) {
        let log = std::fs::File::create(self.path("log")).unwrap();
        let mut command = self.command(program, arguments);
        command.stdout(Stdio::null()).stderr(log);
        self.server = Some(command.spawn().unwrap());
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.path("server"));
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    /// Fails with what the server has said, once it has ended.
    pub(crate) fn check(&mut self) {
        if let Some(server) = &mut self.server
            && let Some(status) = server.try_wait().unwrap()
        {
            let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
            panic!("the server ended with {status}: {log}");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            drop(server.kill());
            drop(server.wait());
        }
    }
}

fn id(what: &str, user: &str) -> u32 {
    let output = Command::new("id").args([what, user]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim().parse().unwrap_or_else(|_| panic!("there is no user {user}; ./test installs it"))
}

fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).output();
    let output = output.expect("openssl is missing; ./test installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

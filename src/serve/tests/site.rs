//! The web over a small lake, and a client that sends what it is told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use huiliu_core::access::Role;
use huiliu_serve::web::{App, WebOptions, WebSettings, router, serve};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::stub::Nothing;
use crate::world::{PASSWORD, World, add_user};

/// Bytes of a body that is sent with its head.
const SHORT: usize = 4_096;

/// The web with a user of each role.
pub(crate) struct Site {
    pub(crate) world: World,
    pub(crate) address: SocketAddr,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in small letters, and values.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e} in {}", self.body))
    }

    /// The code of a problem.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A browser that is logged in.
pub(crate) struct Session {
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

impl Site {
    pub(crate) async fn open() -> Self {
        let world = World::open().await;
        for (name, role) in
            [("operator", Role::Operator), ("auditor", Role::Auditor), ("admin", Role::Admin)]
        {
            add_user(&world.accounts, name, role).await;
        }
        Self::over(world).await
    }

    pub(crate) async fn over(world: World) -> Self {
        let app = App::new(
            Arc::new(Nothing),
            world.accounts.clone(),
            world.gate.clone(),
            WebSettings::default(),
        );
        let router = router(&Arc::new(app));
        let options =
            WebOptions { address: "127.0.0.1:0".parse().unwrap(), behind_proxy: false, tls: None };
        let (server, served) = serve(router, options, world.cancel.clone()).await.unwrap();
        tokio::spawn(served);
        Self { world, address: server.address }
    }

    /// Sends a request with these headers, again while too many were sent.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        loop {
            ticks.tick().await;
            let answer = self.send_once(method, path, headers, body).await;
            if !answer.body.contains("E-RATE") {
                return answer;
            }
        }
    }

    /// Sends a request from the address `127.0.0.place`, as somebody at another machine would, again
    /// while too many came from there.
    pub(crate) async fn send_from(
        &self,
        place: u8,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        loop {
            ticks.tick().await;
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::from(([127, 0, 0, place], 0))).unwrap();
            let socket = socket.connect(self.address).await.unwrap();
            let answer = self.send_over(socket, method, path, headers, body).await;
            if !answer.body.contains("E-RATE") {
                return answer;
            }
        }
    }

    /// Sends a request with these headers.
    pub(crate) async fn send_once(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let socket = TcpStream::connect(self.address).await.unwrap();
        self.send_over(socket, method, path, headers, body).await
    }

    async fn send_over(
        &self,
        mut socket: TcpStream,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n",
            self.address,
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        // A server that refuses a body may stop reading it, and its answer is lost where a part of the
        // body comes after that; so a short one comes with the head, as from most clients.
        let (with_head, rest) = body.split_at(if body.len() <= SHORT { body.len() } else { 0 });
        head.push_str(with_head);
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(rest.as_bytes()).await.ok();
        let mut bytes = Vec::new();
        socket.read_to_end(&mut bytes).await.ok();
        parse(&String::from_utf8_lossy(&bytes))
    }

    /// Sends JSON, as a program does.
    pub(crate) async fn json(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let headers = [&[("Content-Type", "application/json")], headers].concat();
        self.send(method, path, &headers, &body.to_string()).await
    }

    /// Logs somebody in.
    pub(crate) async fn login(&self, user: &str) -> Session {
        let body = serde_json::json!({ "user": user, "password": PASSWORD });
        let answer = self.json("POST", "/api/v1/login", &[], &body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let set = answer.header("set-cookie").unwrap();
        let cookie = set.split(';').next().unwrap().to_owned();
        Session { cookie, csrf: answer.json()["csrf"].as_str().unwrap().to_owned() }
    }
}

impl Session {
    /// The headers that a page of ours sends.
    pub(crate) fn headers(&self) -> [(&str, &str); 2] {
        [("Cookie", &self.cookie), ("X-CSRF-Token", &self.csrf)]
    }
}

fn parse(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|status| status.parse().ok()).unwrap_or(0);
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let is_chunked = headers
        .iter()
        .any(|(name, value)| name == "transfer-encoding" && value.eq_ignore_ascii_case("chunked"));
    let body = if is_chunked { unchunked(body) } else { body.to_owned() };
    Answer { status, headers, body }
}

fn unchunked(mut text: &str) -> String {
    let mut body = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap_or(0);
        let Some(chunk) = rest.get(..size).filter(|chunk| !chunk.is_empty()) else { break };
        body.push_str(chunk);
        text = rest.get(size + 2..).unwrap_or_default();
    }
    body
}

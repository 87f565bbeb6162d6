//! A client of the API, as a program or a browser is one.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const JSON: &str = "application/json";

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The JSON of an answer of this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.body);
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// The code of a problem.
    pub(crate) fn code(&self) -> String {
        let problem: Value = serde_json::from_str(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Somebody who is logged in, or a program with a token; or nobody.
#[derive(Clone, Default)]
pub(crate) struct Caller {
    pub(crate) address: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Caller {
    pub(crate) fn nobody(address: &str) -> Self {
        Self { address: address.to_owned(), headers: Vec::new() }
    }

    pub(crate) fn program(address: &str, token: &str) -> Self {
        let headers = vec![("Authorization".to_owned(), format!("Bearer {token}"))];
        Self { address: address.to_owned(), headers }
    }

    /// Whoever begins a session by `path`: a login, or the first account.
    pub(crate) async fn session(address: &str, path: &str, body: &Value) -> Self {
        let answer = Self::nobody(address).post(path, body).await;
        let set = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
        let cookie = set.and_then(|set| set.split(';').next()).map(str::to_owned);
        let me = answer.expect(200);
        let csrf = me["csrf"].as_str().unwrap().to_owned();
        let headers =
            vec![("Cookie".to_owned(), cookie.unwrap()), ("X-CSRF-Token".to_owned(), csrf)];
        Self { address: address.to_owned(), headers }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &body.to_string()).await
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        let bytes = self.exchange(method, &format!("/api/v1{path}"), JSON, body).await;
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        Answer { status: status(head), head: head.to_owned(), body: body.to_owned() }
    }

    /// Asks for anything the web has, again while too many were sent; the status and the body.
    pub(crate) async fn raw(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &str,
    ) -> (u16, Vec<u8>) {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(100));
        loop {
            ticks.tick().await;
            let bytes = self.exchange(method, path, kind, body).await;
            let end = bytes.windows(4).position(|part| part == b"\r\n\r\n").unwrap();
            let status = status(&String::from_utf8_lossy(&bytes[..end]));
            let body = bytes[end + 4..].to_vec();
            if status != 429 || !String::from_utf8_lossy(&body).contains("E-RATE") {
                return (status, body);
            }
        }
    }

    async fn exchange(&self, method: &str, path: &str, kind: &str, body: &str) -> Vec<u8> {
        let mut socket = TcpStream::connect(&self.address).await.unwrap();
        let mut request = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nContent-Type: {kind}\r\n\
             Content-Length: {}\r\nAccept-Language: zh-CN\r\n",
            self.address,
            body.len()
        );
        for (name, value) in &self.headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        socket.write_all(format!("{request}\r\n{body}").as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        socket.read_to_end(&mut bytes).await.unwrap();
        bytes
    }
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

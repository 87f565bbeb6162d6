//! HTTP over a raw socket: one request, one answer, no client library in between.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

pub(crate) async fn get(base: &str, path: &str, header: (&str, &str)) -> Answer {
    send(base, "GET", path, header, "").await
}

pub(crate) async fn post(base: &str, path: &str, header: (&str, &str), body: &Value) -> Answer {
    send(base, "POST", path, header, &body.to_string()).await
}

pub(crate) async fn send(
    base: &str,
    method: &str,
    path: &str,
    (name, value): (&str, &str),
    body: &str,
) -> Answer {
    let host = base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let path = path.replace(' ', "%20");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{name}: {value}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head[9..12].parse().unwrap();
    Answer { status, head: head.to_owned(), body: serde_json::from_str(body).unwrap() }
}

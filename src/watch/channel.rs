//! Sending one message: to a webhook, a group robot of 企业微信 or 钉钉, or into a file.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use huiliu_core::config::ChannelKind;
use huiliu_httpkit::{Client, Method, Request, Settings, Url, is_loopback};
use huiliu_runner::Channel;
use huiliu_sdk::{Cx, Error, ErrorKind, Result};
use huiliu_store::Notice;
use serde_json::{Value, json};
use sha2::Sha256;

/// For one attempt; what did not arrive by then is tried again later.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The longest answer that is read.
const LONGEST_ANSWER: u64 = 64 << 10;

/// Sends `notice`, whose text is `text`, over `channel`.
pub(super) async fn send(
    cx: &Cx,
    channel: &Channel,
    data: &Path,
    hub: &str,
    notice: &Notice,
    text: &str,
) -> Result<()> {
    if let Some(reference) = &channel.missing {
        let message = format!("channel {}: no value for {reference}", channel.name);
        return Err(Error::new(ErrorKind::Auth, "E-SECRET-MISSING", message)
            .hint("keep a secret: with `huiliu secret set`, put env: into the environment"));
    }
    let record = json!({
        "hub": hub,
        "state": if notice.is_on { "firing" } else { "recovered" },
        "kind": notice.alert.kind,
        "object": notice.alert.object,
        "detail": notice.alert.detail,
        "since": notice.alert.since,
        "changed_at": notice.changed_at,
        "text": text,
    });
    match (channel.kind, &channel.url, &channel.file) {
        (ChannelKind::File, _, Some(file)) => append(&data.join(file), &record),
        (ChannelKind::Webhook, Some(url), _) => {
            post(cx, address(channel, url)?, &record).await.map(|_| ())
        }
        (ChannelKind::Wecom, Some(url), _) => {
            let answer = post(cx, address(channel, url)?, &message(text)).await?;
            accepted(channel, &answer)
        }
        (ChannelKind::Dingtalk, Some(url), _) => {
            let mut url = address(channel, url)?;
            if let Some(secret) = &channel.secret {
                let at = cx.clock.now().timestamp_millis();
                url.query_pairs_mut()
                    .append_pair("timestamp", &at.to_string())
                    .append_pair("sign", &signature(at, secret)?);
            }
            let answer = post(cx, url, &message(text)).await?;
            accepted(channel, &answer)
        }
        _ => Err(Error::internal(format!("channel {} is not complete", channel.name))),
    }
}

/// What both kinds of group robots take.
fn message(text: &str) -> Value {
    json!({ "msgtype": "text", "text": { "content": text } })
}

fn address(channel: &Channel, url: &str) -> Result<Url> {
    // The parser's own words may quote the address, which holds the robot's key.
    let wrong = |message: &str| {
        let message = format!("channel {}: {message}", channel.name);
        Error::new(ErrorKind::Config, "E-URL", message).hint("write it like https://host/path")
    };
    let url = Url::parse(url).map_err(|_| wrong("the address is not a url"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("the address is neither http nor https"));
    }
    Ok(url)
}

/// 钉钉 signs the time in milliseconds and the secret, by the secret.
fn signature(at: i64, secret: &str) -> Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .map_err(|e| Error::internal("a signature could not be made").cause(e))?;
    mac.update(format!("{at}\n{secret}").as_bytes());
    Ok(BASE64.encode(mac.finalize().into_bytes()))
}

async fn post(cx: &Cx, url: Url, body: &Value) -> Result<Value> {
    let settings = Settings {
        timeout: TIMEOUT,
        max_response: LONGEST_ANSWER,
        attempts: 1,
        tls: url.scheme() == "https",
        loopback: is_loopback(&url),
        ..Settings::default()
    };
    // The path of a webhook is often its secret.
    let request = Request::new(Method::POST, url).shown_as("/…").json(body.to_string());
    let answer =
        Client::new(settings)?.send(cx, &request).await.map_err(|failure| failure.error)?;
    Ok(serde_json::from_slice(answer.body()).unwrap_or(Value::Null))
}

/// Robots answer 200 whatever they think of a message.
fn accepted(channel: &Channel, answer: &Value) -> Result<()> {
    let code = answer.get("errcode").and_then(Value::as_i64);
    if code == Some(0) {
        return Ok(());
    }
    let code = code.map_or("without a code".to_owned(), |code| format!("with code {code}"));
    let message = format!("channel {}: the robot refused the message {code}", channel.name);
    Err(Error::new(ErrorKind::Permission, "E-CHANNEL-REFUSED", message)
        .hint("check the robot's address, its key words and its secret; 钉钉 and 企业微信 take 20 messages a minute"))
}

fn append(file: &Path, record: &Value) -> Result<()> {
    let write = || -> std::io::Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = std::fs::File::options().create(true).append(true).open(file)?;
        file.write_all(format!("{record}\n").as_bytes())?;
        file.sync_data()
    };
    write().map_err(|e| {
        let message = format!("{} cannot be written", file.display());
        Error::new(ErrorKind::Permission, "E-CHANNEL-FILE", message)
            .hint("check that the data folder may be written")
            .cause(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use axum::Router;
    use axum::extract::{Query, State};
    use axum::routing::post;
    use huiliu_store::Alert;
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    /// What a robot was sent: the address's parameters and the body.
    type Mails = Arc<Mutex<Vec<(BTreeMap<String, String>, Value)>>>;

    /// A robot that answers `answer` to everything.
    async fn robot(answer: &'static str) -> (String, Mails) {
        let mails = Mails::default();
        let take = move |State(mails): State<Mails>,
                         Query(query): Query<BTreeMap<String, String>>,
                         body: String| async move {
            mails.lock().unwrap().push((query, serde_json::from_str(&body).unwrap()));
            answer
        };
        let router = Router::new().route("/robot/send", post(take)).with_state(Arc::clone(&mails));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url =
            format!("http://{}/robot/send?access_token=s3cret", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (url, mails)
    }

    fn channel(kind: ChannelKind, url: &str) -> Channel {
        let (url, secret) = (Some(url.to_owned()), None);
        Channel { name: "duty".into(), kind, url, secret, file: None, missing: None }
    }

    async fn tell(channel: &Channel) -> Result<()> {
        let alert = Alert {
            kind: "job_failed".into(),
            object: "morning".into(),
            detail: "E-CONNECT".into(),
            since: "2018-12-13T01:00:00Z".into(),
        };
        let notice = Notice {
            notice_id: 1,
            channel: channel.name.clone(),
            is_on: false,
            alert,
            changed_at: "2018-12-13T02:00:00Z".into(),
            attempts: 0,
        };
        send(&Cx::new(), channel, Path::new("."), "hub", &notice, "【恢复】morning").await
    }

    #[tokio::test]
    async fn each_kind_of_channel_gets_what_it_understands() {
        let (url, mails) = robot("{\"errcode\":0,\"errmsg\":\"ok\"}").await;
        tell(&channel(ChannelKind::Webhook, &url)).await.unwrap();
        tell(&channel(ChannelKind::Wecom, &url)).await.unwrap();
        let signed =
            Channel { secret: Some("SEC1".into()), ..channel(ChannelKind::Dingtalk, &url) };
        tell(&signed).await.unwrap();
        let mails = mails.lock().unwrap();
        let (_, hook) = &mails[0];
        assert_eq!((&hook["state"], &hook["object"]), (&json!("recovered"), &json!("morning")));
        let text = json!({ "msgtype": "text", "text": { "content": "【恢复】morning" } });
        assert_eq!((&mails[1].1, &mails[2].1), (&text, &text));
        assert!(!mails[1].0.contains_key("sign"));
        let query = &mails[2].0;
        assert_eq!(query["access_token"], "s3cret");
        let at: i64 = query["timestamp"].parse().unwrap();
        assert_eq!(query["sign"], signature(at, "SEC1").unwrap());
    }

    #[tokio::test]
    async fn what_a_robot_refuses_is_an_error_that_tells_no_secret() {
        let (url, _) = robot("{\"errcode\":310000,\"errmsg\":\"sign not match\"}").await;
        for kind in [ChannelKind::Wecom, ChannelKind::Dingtalk] {
            let error = tell(&channel(kind, &url)).await.unwrap_err();
            assert_eq!(error.code(), "E-CHANNEL-REFUSED");
            assert!(error.to_string().contains("310000"), "{error}");
        }
        // Nothing listens there.
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = tell(&channel(ChannelKind::Webhook, &format!("http://{closed}/s3cret"))).await;
        let error = error.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    }

    #[tokio::test]
    async fn no_message_goes_where_clouds_hand_out_credentials() {
        for url in ["http://169.254.169.254/latest", "http://[fd00:ec2::254]/", "http://0.0.0.0/"] {
            let error = tell(&channel(ChannelKind::Webhook, url)).await.unwrap_err();
            assert!(error.to_string().contains("the address is"), "{url}: {error}");
        }
        for url in ["ftp://host/", "nothing"] {
            let error = tell(&channel(ChannelKind::Webhook, url)).await.unwrap_err();
            assert_eq!(error.code(), "E-URL", "{url}");
        }
        let missing = Some("secret:duty".to_owned());
        let unset = Channel { missing, ..channel(ChannelKind::Webhook, "${secret:duty}") };
        assert_eq!(tell(&unset).await.unwrap_err().code(), "E-SECRET-MISSING");
    }

    #[test]
    fn a_message_is_signed_as_the_robot_expects() {
        // By `printf '1577262236757\nthis is secret' | openssl dgst -sha256 -hmac 'this is secret' -binary | base64`.
        assert_eq!(
            signature(1_577_262_236_757, "this is secret").unwrap(),
            "hmPWwU+7lVdm3ZZz0r9tSfx0L4Q26jWOZr9+Gs6EZQM="
        );
    }
}

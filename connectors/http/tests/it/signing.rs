//! Credentials, tokens and signatures, checked by servers that compute them themselves.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockDecryptMut, BlockEncryptMut, KeyInit};
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use huiliu_sdk::{Endpoint, ErrorKind, StreamSettings};
use md5::{Digest, Md5};
use serde_json::{Value, json};
use sha2::Sha256;
use sm2::dsa::signature::Verifier;
use sm2::dsa::{Signature, SigningKey};

use crate::{config, configure, read, serve, stream};

type Parameters = Query<HashMap<String, String>>;

fn endpoint(mut system: Value, url: &str, options: Value) -> Arc<dyn Endpoint> {
    system["url"] = json!(url);
    system["attempts"] = json!(2);
    let streams = vec![stream(StreamSettings::default(), options)];
    configure(config(system, streams, vec![])).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// The fields of a form.
fn form(body: &str) -> BTreeMap<String, String> {
    let url = huiliu_httpkit::Url::parse(&format!("http://form/?{body}")).unwrap();
    url.query_pairs().into_owned().collect()
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[tokio::test]
async fn x_tif_headers_are_the_digest_of_token_time_and_nonce() {
    let nonces = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&nonces);
    let answer = move |headers: HeaderMap| async move {
        let (time, nonce) = (text(&headers, "x-tif-timestamp"), text(&headers, "x-tif-nonce"));
        assert_eq!((time.len(), text(&headers, "x-tif-paasid")), (10, "city"));
        let wanted = hex(&Sha256::digest(format!("{time}tif-s3cret{nonce}{time}")));
        assert_eq!(text(&headers, "x-tif-signature"), wanted);
        let mut nonces = seen.lock().unwrap();
        nonces.push(nonce.to_owned());
        if nonces.len() == 1 {
            Err(StatusCode::SERVICE_UNAVAILABLE)
        } else {
            Ok(Json(json!([{"no": 1}])))
        }
    };
    let url = serve(Router::new().route("/c", get(answer))).await;
    let sign = json!({"algorithm": "sha256", "text": "{timestamp}{key}{nonce}{timestamp}",
        "key": "tif-s3cret", "values": {"paasid": "city"},
        "headers": {"x-tif-paasid": "{paasid}", "x-tif-timestamp": "{timestamp}",
            "x-tif-nonce": "{nonce}", "x-tif-signature": "{signature}"}});
    let endpoint = endpoint(json!({"sign": sign}), &url, json!({"path": "/c"}));
    assert_eq!(read(endpoint.as_ref()).await.unwrap().count(), 1);
    // The second attempt has a nonce of its own, or a gateway would take it for a replay.
    let nonces = nonces.lock().unwrap();
    assert!(nonces.len() == 2 && nonces[0] != nonces[1]);
}

#[tokio::test]
async fn a_sharing_platform_hands_out_its_key_first() {
    let exchanges = Arc::new(AtomicU32::new(0));
    let signed = |headers: &HeaderMap, key: &str| {
        let parts: String = ["gjgxjhpt_sid", "gjgxjhpt_rid", "gjgxjhpt_rtime"]
            .iter()
            .map(|name| text(headers, name))
            .collect();
        assert_eq!(text(headers, "gjgxjhpt_rtime").len(), 13);
        let mac = <Hmac<Sha256> as Mac>::new_from_slice(key.as_bytes()).unwrap();
        let wanted = BASE64.encode(mac.chain_update(parts).finalize().into_bytes());
        text(headers, "gjgxjhpt_sign") == wanted
    };
    let counted = Arc::clone(&exchanges);
    let exchange = move |headers: HeaderMap| async move {
        assert!(signed(&headers, "0123456789abcdef"));
        let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
        let cipher = ecb::Encryptor::<aes::Aes128>::new(b"0123456789abcdef".into());
        let secret = cipher.encrypt_padded_vec_mut::<Pkcs7>(format!("session-{number}").as_bytes());
        Json(json!({"code": "0", "data": {"secret": BASE64.encode(secret),
            "secretEndTime": 4_102_444_800_000_i64}}))
    };
    let asked = Arc::new(AtomicU32::new(0));
    let cases = move |headers: HeaderMap, Query(query): Parameters| async move {
        // The first key is refused from the second page on.
        let wanted =
            if asked.fetch_add(1, Ordering::SeqCst) == 0 { "session-1" } else { "session-2" };
        if !signed(&headers, wanted) {
            return Err(StatusCode::UNAUTHORIZED);
        }
        Ok(Json(if query["page"] == "3" { json!([]) } else { json!([{"no": query["page"]}]) }))
    };
    let router = Router::new().route("/secret", get(exchange)).route("/c", get(cases));
    let url = serve(router).await;
    let sign = json!({"algorithm": "hmac_sha256", "text": "{sid}{rid}{timestamp_ms}", "form": "base64",
        "key": "0123456789abcdef", "values": {"sid": "s_1", "rid": "r_1"},
        "headers": {"gjgxjhpt_sid": "{sid}", "gjgxjhpt_rid": "{rid}",
            "gjgxjhpt_rtime": "{timestamp_ms}", "gjgxjhpt_sign": "{signature}"},
        "exchange": {"path": "/secret", "secret": "/data/secret", "ends": "/data/secretEndTime",
            "cipher": {"algorithm": "aes", "key": "0123456789abcdef"}}});
    let options =
        json!({"path": "/c", "pagination": {"type": "page", "page": "page", "page_size": 1}});
    let endpoint = endpoint(json!({"sign": sign}), &url, options);
    assert_eq!(read(endpoint.as_ref()).await.unwrap().count(), 2);
    assert_eq!(exchanges.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn sorted_parameters_are_signed_with_the_secret_around_them() {
    let answer = |body: String| async move {
        let fields = form(&body);
        let mut signed = String::from("k3y-of-ems");
        for (name, value) in
            fields.iter().filter(|(name, value)| *name != "sign" && !value.is_empty())
        {
            signed.push_str(&format!("{name}{value}"));
        }
        signed.push_str("k3y-of-ems");
        let digest = hex(&Md5::digest(signed)).to_uppercase();
        assert_eq!(fields["sign"], digest, "{fields:?}");
        assert_eq!((fields["gotInfo"].as_str(), fields["page"].as_str()), ("办件 & 物流", "1"));
        Json(json!({"success": "T", "list": [{"no": 1}]}))
    };
    let url = serve(Router::new().route("/ems", post(answer))).await;
    let sign = json!({"algorithm": "md5", "form": "hex_upper", "key": "k3y-of-ems",
        "text": "{key}{parameters}{key}", "parameters": {"assign": "", "join": ""},
        "body": {"timestamp": "{time}", "sign": "{signature}"}});
    let options = json!({"path": "/ems", "method": "POST", "records": "/list",
        "form": {"method": "query", "gotInfo": "办件 & 物流", "empty": ""},
        "success": [{"pointer": "/success", "equals": "T"}],
        "pagination": {"type": "cursor", "param": "c", "next": "/next", "size": "page", "page_size": 1}});
    let endpoint = endpoint(json!({"sign": sign}), &url, options);
    assert_eq!(read(endpoint.as_ref()).await.unwrap().count(), 1);
}

#[tokio::test]
async fn a_body_is_encrypted_by_sm4_and_signed_by_sm2() {
    const KEY: &str = "0123456789abcdeffedcba9876543210";
    const PRIVATE: &str = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8";
    let answer = |Json(body): Json<Value>| async move {
        assert_eq!((&body["encType"], &body["appCode"]), (&json!("SM4"), &json!("city")));
        let cipher = ecb::Decryptor::<sm4::Sm4>::new_from_slice(&unhex(KEY)).unwrap();
        let sealed = unhex(body["data"]["encData"].as_str().unwrap());
        let plain = cipher.decrypt_padded_vec_mut::<Pkcs7>(&sealed).unwrap();
        let plain = String::from_utf8(plain).unwrap();
        assert_eq!(plain, r#"{"dept":"x","page":1}"#);
        let key = SigningKey::from_slice("1234567812345678", &unhex(PRIVATE)).unwrap();
        let signature = BASE64.decode(body["signData"].as_str().unwrap()).unwrap();
        let signature = Signature::from_slice(&signature).unwrap();
        let signed = format!("{}{plain}", body["timestamp"].as_str().unwrap());
        key.verifying_key().verify(signed.as_bytes(), &signature).unwrap();
        let cipher = ecb::Encryptor::<sm4::Sm4>::new_from_slice(&unhex(KEY)).unwrap();
        let sealed = cipher.encrypt_padded_vec_mut::<Pkcs7>(br#"{"list": [{"no": "1"}]}"#);
        Json(json!({"code": 0, "data": {"encData": hex(&sealed).to_uppercase()}}))
    };
    let url = serve(Router::new().route("/c", post(answer))).await;
    let system = |key: &str| {
        json!({
            "encrypt": {"cipher": {"key": key, "key_form": "hex"}, "form": "hex_upper",
                "request": "/data/encData", "answer": "/data/encData"},
            "sign": {"algorithm": "sm2", "key": PRIVATE, "key_form": "hex", "form": "base64",
                "text": "{timestamp}{plain}", "values": {"appCode": "city"},
                "body": {"/appCode": "{appCode}", "/encType": "SM4", "/timestamp": "{timestamp}",
                    "/signData": "{signature}"}},
        })
    };
    let options = json!({"path": "/c", "method": "POST", "body": {"dept": "x"}, "records": "/data/encData/list",
        "success": [{"pointer": "/code", "equals": "0"}],
        "pagination": {"type": "cursor", "param": "c", "next": "/next", "size": "page", "page_size": 1}});
    let good = endpoint(system(KEY), &url, options.clone());
    assert_eq!(read(good.as_ref()).await.unwrap().texts("no"), [Some("1".to_owned())]);
    let mut wrong = system("00");
    wrong["url"] = json!(url);
    let wrong = config(wrong, vec![stream(StreamSettings::default(), options)], vec![]);
    let errors = configure(wrong).err().unwrap();
    assert!(errors.0.iter().any(|error| error.path == "encrypt.cipher.key"), "{errors:?}");
}

#[tokio::test]
async fn client_credentials_are_used_until_they_expire() {
    let issued = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&issued);
    let token = move |headers: HeaderMap, body: String| async move {
        let form = form(&body);
        assert_eq!(form["grant_type"], "client_credentials");
        assert_eq!(form["scope"], "cases");
        let in_header = text(&headers, "authorization") == "Basic Y2l0eTpzM2NyZXQtb2YtY2l0eQ==";
        let in_body = form.get("client_secret").is_some_and(|secret| secret == "s3cret-of-city");
        assert!(in_header != in_body);
        let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
        // The first token lives for no time at all.
        let life = if number == 1 { 0 } else { 3600 };
        Json(
            json!({"access_token": format!("t{number}"), "token_type": "bearer", "expires_in": life}),
        )
    };
    let cases = |headers: HeaderMap, Query(query): Parameters| async move {
        let wanted = if query["page"] == "1" { "Bearer t1" } else { "Bearer t2" };
        assert_eq!(text(&headers, "authorization"), wanted);
        Json(if query["page"] == "4" { json!([]) } else { json!([{"no": query["page"]}]) })
    };
    let options =
        json!({"path": "/c", "pagination": {"type": "page", "page": "page", "page_size": 1}});
    for place in ["header", "body"] {
        issued.store(0, Ordering::SeqCst);
        let router = Router::new().route("/token", post(token.clone())).route("/c", get(cases));
        let url = serve(router).await;
        let auth = json!({"type": "oauth2", "path": "/token", "client_id": "city",
            "client_secret": "s3cret-of-city", "scope": "cases", "credentials": place});
        let endpoint = endpoint(json!({"auth": auth}), &url, options.clone());
        assert_eq!(read(endpoint.as_ref()).await.unwrap().count(), 3, "{place}");
        assert_eq!(issued.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn a_token_goes_into_header_query_or_field_and_xml_may_bring_it() {
    let login = |body: String| async move {
        let form = form(&body);
        assert_eq!((form["key"].as_str(), form["secret"].as_str()), ("city", "s3cret-of-city"));
        ([("content-type", "text/xml")], "<RESULT><TOKEN>t0ken-of-city</TOKEN></RESULT>")
    };
    let cases = |headers: HeaderMap, Query(query): Parameters, body: String| async move {
        let places = [
            text(&headers, "x-token") == "Token t0ken-of-city",
            query.get("token").is_some_and(|token| token == "t0ken-of-city"),
            body == "a=b&accessToken=t0ken-of-city",
        ];
        assert_eq!(places.iter().filter(|place| **place).count(), 1);
        Json(json!([{"no": places.iter().position(|place| *place)}]))
    };
    let router = Router::new().route("/getXmlToken", post(login)).route("/c", post(cases));
    let url = serve(router).await;
    for (index, place) in [
        json!({"header": "X-Token", "prefix": "Token "}),
        json!({"query": "token"}),
        json!({"field": "accessToken"}),
    ]
    .into_iter()
    .enumerate()
    {
        let mut auth = json!({"type": "login", "path": "/getXmlToken", "form": true, "format": "xml",
            "body": {"key": "city", "secret": "s3cret-of-city"}, "token": "/RESULT/TOKEN"});
        auth.as_object_mut().unwrap().extend(place.as_object().unwrap().clone());
        let options = json!({"path": "/c", "method": "POST", "form": {"a": "b"}});
        let endpoint = endpoint(json!({"auth": auth}), &url, options);
        let read = read(endpoint.as_ref()).await.unwrap();
        assert_eq!(read.texts("no"), [Some(index.to_string())]);
    }
}

#[tokio::test]
async fn a_token_refused_inside_a_good_status_is_renewed_once() {
    let logins = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&logins);
    let login = move || async move {
        Json(json!({"token": format!("t{}", counted.fetch_add(1, Ordering::SeqCst) + 1)}))
    };
    let cases = |headers: HeaderMap| async move {
        match text(&headers, "authorization") {
            "t2" => Json(json!({"code": 200, "list": [{"no": 1}]})),
            _ => Json(json!({"code": 401, "msg": "token t1 expired"})),
        }
    };
    let url = serve(Router::new().route("/t", post(login)).route("/c", get(cases))).await;
    let auth = json!({"type": "login", "path": "/t", "body": {}, "token": "/token"});
    let options = json!({"path": "/c", "records": "/list", "message": "/msg",
        "success": [{"pointer": "/code", "equals": "200"}]});
    let endpoint = endpoint(json!({"auth": auth}), &url, options);
    assert_eq!(read(endpoint.as_ref()).await.unwrap().count(), 1);
    assert_eq!(logins.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_api_key_may_go_into_the_address_and_never_into_a_message() {
    let answer = |Query(query): Parameters| async move {
        if query["apikey"] == "k3y-of-city" {
            Ok(Json(json!([{"no": 1}])))
        } else {
            Err(StatusCode::UNAUTHORIZED)
        }
    };
    let url = serve(Router::new().route("/c", get(answer))).await;
    let with = |value: &str| {
        let auth = json!({"type": "api_key", "query": "apikey", "value": value});
        endpoint(json!({"auth": auth}), &url, json!({"path": "/c"}))
    };
    assert_eq!(read(with("k3y-of-city").as_ref()).await.unwrap().count(), 1);
    let error = read(with("s3cret").as_ref()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(error.message().contains("?apikey") && !format!("{error:?}").contains("s3cret"));
}

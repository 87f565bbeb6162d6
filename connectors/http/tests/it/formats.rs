//! Bodies that are not JSON in UTF-8.

use axum::Router;
use axum::routing::{get, post};
use encoding_rs::GBK;
use huiliu_sdk::{ErrorKind, Result, StreamSettings};
use serde_json::{Value, json};

use crate::{Read, read, reader, serve, typed};

/// Reads `body`, which is sent as `kind` says.
async fn answered(kind: &'static str, body: Vec<u8>, options: Value) -> Result<Read> {
    let answer = move || async move { ([("content-type", kind)], body) };
    let url = serve(Router::new().route("/c", get(answer))).await;
    let mut options = options;
    options["path"] = json!("/c");
    read(reader(&url, StreamSettings::default(), options).as_ref()).await
}

fn gbk(text: &str) -> Vec<u8> {
    let (bytes, _, unfit) = GBK.encode(text);
    assert!(!unfit);
    bytes.into_owned()
}

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

#[tokio::test]
async fn lines_of_json_are_records() {
    let body = "{\"no\": 1, \"x\": {\"y\": \"a\"}}\r\n\n{\"no\": 2}\n[3]\n";
    let options = json!({"format": "ndjson"});
    let read = answered("application/x-ndjson", body.into(), options.clone()).await.unwrap();
    assert_eq!((read.texts("no"), read.rejected.len()), (some(&["1", "2"]), 1));
    let read = answered("application/x-ndjson", Vec::new(), options.clone()).await.unwrap();
    assert_eq!((read.count(), read.complete), (0, Some(true)));
    for (body, code) in [("{\"no\": 1}\n{\"no\":", "E-JSON"), ("<html>", "E-CONTENT")] {
        let error = answered("text/plain", body.into(), options.clone()).await.err().unwrap();
        assert_eq!(error.code(), code);
    }
}

#[tokio::test]
async fn csv_is_read_by_its_header_and_ragged_records_are_set_aside() {
    let body = "no|name\r\n001|\"张|三\"\r\n002\r\n003|李四\r\n";
    let options = json!({"format": "csv", "delimiter": "|"});
    let read = answered("text/csv", gbk(body), options.clone()).await.unwrap();
    assert_eq!(read.texts("no"), some(&["001", "003"]));
    assert_eq!(read.texts("name"), some(&["张|三", "李四"]));
    let ragged = &read.rejected[0];
    assert_eq!((read.rejected.len(), ragged.position, ragged.code), (1, 2, "E-RAGGED"));
    assert_eq!(ragged.raw, br#"{"_line":"[\"002\"]"}"#);
    for (body, code) in [
        ("no|name\n1|\"open\n2|x\n", "E-QUOTE"),
        ("", "E-HEADER"),
        ("no|no\n1|2\n", "E-HEADER"),
        ("<!DOCTYPE html>\n", "E-CONTENT"),
    ] {
        let error = answered("text/csv", body.into(), options.clone()).await.err().unwrap();
        assert_eq!(error.code(), code, "{body}");
    }
}

#[tokio::test]
async fn characters_are_read_whatever_header_and_declaration_say() {
    let text = r#"[{"name": "马鞍山市政务服务中心"}]"#;
    let options = json!({});
    let utf16: Vec<u8> =
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for (kind, body) in [
        ("application/json; charset=utf-8", gbk(text)),
        ("application/json", gbk(text)),
        ("application/json; charset=gbk", text.into()),
        ("application/json; charset=\"GB2312\"", gbk(text)),
        ("application/json", [b"\xef\xbb\xbf".as_slice(), text.as_bytes()].concat()),
        ("application/json; charset=utf-8", utf16),
    ] {
        let read = answered(kind, body, options.clone()).await.unwrap();
        assert_eq!(read.texts("name"), some(&["马鞍山市政务服务中心"]), "{kind}");
    }
    let xml = |declared: &str| {
        format!("<?xml version=\"1.0\" encoding=\"{declared}\"?><R><L><N>办件</N></L></R>")
    };
    let options = json!({"format": "xml", "records": "/R/L"});
    for body in
        [gbk(&xml("UTF-8")), gbk(&xml("GBK")), xml("GBK").into_bytes(), xml("UTF-8").into_bytes()]
    {
        let read = answered("text/xml", body, options.clone()).await.unwrap();
        assert_eq!(read.texts("N"), some(&["办件"]));
    }
    let damaged = b"[{\"name\": \"\xff\xff\x80\"}]".to_vec();
    for options in [json!({}), json!({"encoding": "utf-8"}), json!({"encoding": "gb18030"})] {
        let error = answered("application/json", damaged.clone(), options).await.err().unwrap();
        assert_eq!((error.code(), error.kind()), ("E-ENCODING", ErrorKind::Data));
    }
}

#[tokio::test]
async fn xml_becomes_fields_lists_and_nothing() {
    let body = r#"<?xml version="1.0"?><!-- x --><a:RESULT xmlns:a="urn:x" xmlns:xsi="urn:i">
        <STATUS>200</STATUS><LIST>
          <ROW id="1"><NO>A&amp;B&#x4E8C;</NO><NAME><![CDATA[<李>]]></NAME><MORE k="v">t</MORE></ROW>
          <ROW id="2"><NO>C</NO><NAME xsi:nil="true"/><NAME2/><TAG>x</TAG><TAG>y</TAG></ROW>
        </LIST></a:RESULT>"#;
    let options = json!({"format": "xml", "records": "/RESULT/LIST/ROW",
        "success": [{"pointer": "/RESULT/STATUS", "equals": "200"}],
        "fields": {"id": "@id", "no": "NO", "name": "NAME", "more": "/MORE/#text", "tags": "TAG"}});
    let read = answered("text/xml", body.into(), options.clone()).await.unwrap();
    assert_eq!(read.texts("id"), some(&["1", "2"]));
    assert_eq!(read.texts("no"), some(&["A&B二", "C"]));
    assert_eq!(read.texts("name"), [Some("<李>".to_owned()), None]);
    assert_eq!(read.texts("more"), [Some("t".to_owned()), None]);
    assert_eq!(read.texts("tags"), [None, Some(r#"["x","y"]"#.to_owned())]);
    let with = |list: &str| format!("<RESULT><STATUS>200</STATUS>{list}</RESULT>").into_bytes();
    for (list, count) in [
        ("<LIST><ROW><NO>1</NO></ROW></LIST>", 1),
        ("<LIST/>", 0),
        ("<LIST>\n  </LIST>", 0),
        ("<LIST><ROW/></LIST>", 0),
    ] {
        let read = answered("text/xml", with(list), options.clone()).await.unwrap();
        assert_eq!((read.count(), read.complete), (count, Some(true)), "{list}");
    }
    let error = answered("text/xml", with(""), options.clone()).await.err().unwrap();
    assert_eq!(error.code(), "E-SHAPE");
    let refused = b"<RESULT><STATUS>300</STATUS><DESC>no</DESC></RESULT>".to_vec();
    let error = answered("text/xml", refused, options).await.err().unwrap();
    assert_eq!(error.code(), "E-REMOTE");
}

#[tokio::test]
async fn hostile_xml_ends_at_once() {
    let laughs = r#"<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><l>&b;</l>"#.to_owned();
    let external = r#"<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]><l>&x;</l>"#.to_owned();
    let attributes: String = (0..1_000_000).map(|n| format!(" a{n}=\"\"")).collect();
    let wide = format!("<l{attributes}/>");
    let deep = "<a>".repeat(1_000_000);
    let many = format!("<l>{}</l>", "<a/>".repeat(1_000_001));
    for body in [laughs, external, wide, deep, many, "<l>&unknown;</l>".into()] {
        let start = std::time::Instant::now();
        let options = json!({"format": "xml", "records": "/l"});
        let error = answered("text/xml", body.into(), options).await.err().unwrap();
        assert_eq!((error.code(), error.kind()), ("E-XML", ErrorKind::Data));
        // Compiled with few optimisations, and with the way there and back.
        assert!(start.elapsed().as_secs() < 3);
    }
    for (body, code) in [
        ("<l><a></l>", "E-XML"),
        ("<l/><m/>", "E-XML"),
        ("<l/>rest", "E-XML"),
        ("", "E-XML"),
        ("{}", "E-XML"),
        ("<!doctype html><html></html>", "E-CONTENT"),
        ("<HTML><body/></HTML>", "E-CONTENT"),
    ] {
        let options = json!({"format": "xml", "records": "/l"});
        let error = answered("text/xml", body.into(), options).await.err().unwrap();
        assert_eq!(error.code(), code, "{body}");
    }
}

#[tokio::test]
async fn documents_inside_texts_are_opened() {
    let inner = r#"<DATA><ROW><NO>1</NO></ROW></DATA>"#;
    let middle = json!({"payload": inner}).to_string();
    let body = json!({"result": middle}).to_string();
    let options = json!({"records": "/result/payload/DATA/ROW",
        "nested": [{"pointer": "/result"}, {"pointer": "/result/payload", "format": "xml"}]});
    let read = answered("application/json", body.into_bytes(), options.clone()).await.unwrap();
    assert_eq!(read.texts("NO"), some(&["1"]));
    let error = answered("application/json", br#"{"result": "{"}"#.to_vec(), options).await;
    assert_eq!(error.err().map(|error| error.code()), Some("E-JSON"));
}

const SOAP_11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const SOAP_12: &str = "http://www.w3.org/2003/05/soap-envelope";

#[tokio::test]
async fn soap_is_wrapped_and_unwrapped_in_both_versions() {
    for (version, namespace) in [("1.1", SOAP_11), ("1.2", SOAP_12)] {
        let answer = move |headers: axum::http::HeaderMap, body: String| async move {
            let kind = headers["content-type"].to_str().unwrap().to_owned();
            let action = headers.get("soapaction").map(|value| value.to_str().unwrap().to_owned());
            match version {
                "1.1" => assert_eq!(
                    (kind.as_str(), action.as_deref()),
                    ("text/xml; charset=utf-8", Some("\"urn:query\""))
                ),
                _ => assert_eq!(kind, "application/soap+xml; charset=utf-8; action=\"urn:query\""),
            }
            assert!(body.contains(namespace));
            assert!(
                body.contains(
                    "<q:query xmlns:q=\"urn:q\"><page>1</page><dept>&lt;x&amp;</dept></q:query>"
                ),
                "{body}"
            );
            let inner = "&lt;ROWS&gt;&lt;ROW&gt;&lt;NO&gt;7&lt;/NO&gt;&lt;/ROW&gt;&lt;/ROWS&gt;";
            let content = format!(
                "<r:queryResponse xmlns:r=\"urn:q\"><return>{inner}</return></r:queryResponse>"
            );
            (
                [("content-type", "text/xml")],
                format!(
                    "<S:Envelope xmlns:S=\"{namespace}\"><S:Body>{content}</S:Body></S:Envelope>"
                ),
            )
        };
        let url = serve(Router::new().route("/ws", post(answer))).await;
        let options = json!({"path": "/ws", "method": "POST",
            "xml": "<q:query xmlns:q=\"urn:q\"><page>{page}</page><dept>&lt;x&amp;</dept></q:query>",
            "soap": {"version": version, "action": "urn:query"},
            "nested": [{"pointer": "/queryResponse/return", "format": "xml"}],
            "records": "/queryResponse/return/ROWS/ROW",
            "pagination": {"type": "cursor", "param": "c", "next": "/next", "size": "page", "page_size": 1}});
        let read = read(reader(&url, StreamSettings::default(), options).as_ref()).await.unwrap();
        assert_eq!(read.texts("NO"), some(&["7"]));
    }
}

#[tokio::test]
async fn a_soap_fault_is_an_error_with_its_code_and_reason() {
    let fault_11 = format!(
        "<e:Envelope xmlns:e=\"{SOAP_11}\"><e:Body><e:Fault><faultcode>e:Client.Key</faultcode><faultstring>no right</faultstring></e:Fault></e:Body></e:Envelope>"
    );
    let fault_12 = format!(
        "<e:Envelope xmlns:e=\"{SOAP_12}\"><e:Body><e:Fault><e:Code><e:Value>e:Receiver</e:Value></e:Code><e:Reason><e:Text xml:lang=\"zh\">系统忙</e:Text></e:Reason></e:Fault></e:Body></e:Envelope>"
    );
    let other = format!("<e:Envelope xmlns:e=\"{SOAP_11}\"><e:Body/></e:Envelope>");
    let cases = [
        (
            "1.1",
            500,
            "text/xml",
            fault_11.clone(),
            "E-SOAP-FAULT",
            ErrorKind::Data,
            "Client.Key: no right",
        ),
        ("1.1", 200, "text/xml", fault_11, "E-SOAP-FAULT", ErrorKind::Data, "Client.Key: no right"),
        (
            "1.2",
            500,
            "application/soap+xml",
            fault_12,
            "E-SOAP-FAULT",
            ErrorKind::Unreachable,
            "Receiver: 系统忙",
        ),
        ("1.2", 200, "text/xml", other, "E-SOAP", ErrorKind::Schema, "another version"),
        ("1.1", 200, "text/xml", "<a/>".into(), "E-SOAP", ErrorKind::Schema, "no SOAP envelope"),
        (
            "1.1",
            200,
            "multipart/related; type=\"application/xop+xml\"",
            "--x".into(),
            "E-CONTENT",
            ErrorKind::Schema,
            "several parts",
        ),
    ];
    for (version, status, kind, body, code, error_kind, words) in cases {
        let status = axum::http::StatusCode::from_u16(status).unwrap();
        let answer = move || async move { (status, [("content-type", kind)], body) };
        let url = serve(Router::new().route("/ws", post(answer))).await;
        let options =
            json!({"path": "/ws", "method": "POST", "xml": "<q/>", "soap": {"version": version}});
        let error =
            read(reader(&url, StreamSettings::default(), options).as_ref()).await.err().unwrap();
        assert_eq!((error.code(), error.kind()), (code, error_kind), "{error}");
        assert!(error.message().contains(words), "{error}");
    }
}

/// What stands beside the envelope comes as if it stood in it.
#[tokio::test]
async fn attachments_beside_an_envelope_are_read_where_it_refers_to_them() {
    let include =
        "<x:Include xmlns:x=\"http://www.w3.org/2004/08/xop/include\" href=\"cid:f%401\"/>";
    let envelope = format!(
        "<e:Envelope xmlns:e=\"{SOAP_12}\"><e:Body><list><case><id>1</id><file>{include}</file>\
         <scan type=\"png\">{include}</scan></case></list></e:Body></e:Envelope>"
    );
    let body = |tail: &str| {
        let mut body = b"--b=1\r\nContent-Type: image/png\r\nContent-ID: <f@1>\r\n\
            Content-Transfer-Encoding: binary\r\n\r\n"
            .to_vec();
        body.extend(b"\xff\x00\r\n--b\n");
        body.extend(
            format!(
                "\r\n--b=1\r\nContent-Type: application/xop+xml; charset=UTF-8\r\n\
                 Content-ID: <root>\r\n\r\n{envelope}\r\n--b=1{tail}"
            )
            .bytes(),
        );
        body
    };
    let of = |body: Vec<u8>| {
        let kind = "multipart/related; type=\"application/xop+xml\"; start=\"<root>\"; \
                    start-info=\"application/soap+xml\"; boundary=\"b=1\"";
        serve(
            Router::new()
                .route("/ws", post(move || async move { ([("content-type", kind)], body) })),
        )
    };
    let endpoint = |url: &str| {
        let options = json!({
            "path": "/ws", "method": "POST", "xml": "<q/>", "soap": {"version": "1.2"},
            "records": "/list/case",
            "fields": {"id": "id", "file": "file", "scan": "/scan/#text", "kind": "/scan/@type"},
        });
        reader(url, StreamSettings::default(), options)
    };
    let found = read(endpoint(&of(body("--\r\n")).await).as_ref()).await.unwrap();
    // The bytes ff 00 0d 0a 2d 2d 62 0a.
    assert_eq!(found.texts("file"), [Some("/wANCi0tYgo=".to_owned())]);
    assert_eq!(found.texts("scan"), [Some("/wANCi0tYgo=".to_owned())]);
    assert_eq!(found.texts("kind"), [Some("png".to_owned())]);
    // One that is cut off is none, and neither is one whose attachment is not there.
    let error = read(endpoint(&of(body("")).await).as_ref()).await.err().unwrap();
    assert_eq!((error.code(), error.kind()), ("E-CONTENT", ErrorKind::Schema), "{error}");
    let other = String::from_utf8_lossy(&body("--\r\n")).replace("<f@1>", "<f@2>").into_bytes();
    let error = read(endpoint(&of(other).await).as_ref()).await.err().unwrap();
    assert_eq!((error.code(), error.kind()), ("E-XML", ErrorKind::Data), "{error}");
}

#[tokio::test]
async fn a_declared_type_holds_for_texts_of_xml_and_csv() {
    let body = "<L><R><N>1</N><D>2018-06-12 09:00:00</D></R><R><N>x</N></R></L>";
    let answer = move || async move { body };
    let url = serve(Router::new().route("/c", get(answer))).await;
    let settings = StreamSettings {
        columns: typed(&[("N", "int"), ("D", "timestamp")]),
        ..StreamSettings::default()
    };
    let options = json!({"path": "/c", "format": "xml", "records": "/L/R"});
    let read = read(reader(&url, settings, options).as_ref()).await.unwrap();
    assert_eq!((read.count(), read.rejected.len()), (1, 1));
    assert_eq!(read.rejected[0].code, "E-TYPE");
}

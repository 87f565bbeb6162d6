//! SOAP around XML: envelopes, and faults as errors.

use huiliu_httpkit::{Answer, HeaderName, HeaderValue, header};
use huiliu_sdk::{Error, ErrorKind, Result};
use serde_json::Value;

use super::xml::Document;
use crate::config::{SoapOptions, SoapVersion};
use crate::pointer::{Pointer, scalar};

fn namespace(version: SoapVersion) -> &'static str {
    match version {
        SoapVersion::V11 => "http://schemas.xmlsoap.org/soap/envelope/",
        SoapVersion::V12 => "http://www.w3.org/2003/05/soap-envelope",
    }
}

/// The headers of a request, and what its body is; nothing if the action does not fit into them.
pub(crate) fn headers(
    options: &SoapOptions,
) -> Option<(Vec<(HeaderName, HeaderValue)>, HeaderValue)> {
    let action = &options.action;
    if action.contains(['"', '\\']) {
        return None;
    }
    match options.version {
        SoapVersion::V11 => {
            let kind = HeaderValue::from_static("text/xml; charset=utf-8");
            let action = HeaderValue::from_str(&format!("\"{action}\"")).ok()?;
            let headers = vec![
                (HeaderName::from_static("soapaction"), action),
                (header::ACCEPT, HeaderValue::from_static("text/xml")),
            ];
            Some((headers, kind))
        }
        SoapVersion::V12 => {
            let kind = format!("application/soap+xml; charset=utf-8; action=\"{action}\"");
            Some((Vec::new(), HeaderValue::from_str(&kind).ok()?))
        }
    }
}

/// `content` in an envelope.
pub(crate) fn envelope(version: SoapVersion, content: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="{}"><soap:Body>{content}</soap:Body></soap:Envelope>"#,
        namespace(version)
    )
}

/// What is inside the envelope's body; a fault there is an error.
pub(crate) fn opened(
    version: SoapVersion,
    answer: &Answer,
    document: Document,
    quote: &dyn Fn(&str) -> String,
) -> Result<Value> {
    let wrong = |what: &str| {
        Error::new(ErrorKind::Schema, "E-SOAP", format!("{}: {what}", answer.request()))
            .hint("check path and soap.version")
    };
    let Document { mut content, namespace: found } = document;
    let body = content.get_mut("Envelope").and_then(|envelope| envelope.get_mut("Body"));
    let Some(body) = body else { return Err(wrong("no SOAP envelope with a body")) };
    if let Some(fault) = body.get("Fault") {
        return Err(fault_error(answer, fault, quote));
    }
    if found.as_deref() != Some(namespace(version)) {
        return Err(wrong("the envelope is of another version of SOAP"));
    }
    Ok(body.take())
}

fn fault_error(answer: &Answer, fault: &Value, quote: &dyn Fn(&str) -> String) -> Error {
    let find = |places: &[&[&str]]| {
        let found = places.iter().find_map(|place| {
            Pointer(place.iter().map(|part| (*part).to_owned()).collect())
                .get(fault)
                .and_then(scalar)
        });
        quote(found.unwrap_or_default().trim())
    };
    let code = find(&[&["faultcode"], &["faultcode", "#text"], &["Code", "Value"]]);
    let reason = find(&[
        &["faultstring"],
        &["faultstring", "#text"],
        &["Reason", "Text"],
        &["Reason", "Text", "#text"],
        &["Reason", "Text", "0", "#text"],
    ]);
    // The prefix is the sender's own.
    let code = code.rsplit(':').next().unwrap_or_default();
    let kind = match code.split('.').next() {
        Some("Server" | "Receiver") => ErrorKind::Unreachable,
        _ => ErrorKind::Data,
    };
    let message = format!("{}: SOAP fault {code}: {reason}", answer.request());
    Error::new(kind, "E-SOAP-FAULT", message)
        .hint("Client and Sender mean that the request is wrong, Server and Receiver that the system failed")
}

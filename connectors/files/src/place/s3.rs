//! Objects of a store that speaks the protocol of S3. A folder is the part of their names before the
//! last `/`. Objects come in ranges of one version and go in parts, so that memory is bounded.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use huiliu_httpkit::{
    Answer, Client, Failure, HeaderName, HeaderValue, Method, Request, Settings, Url, header,
    is_loopback,
};
use huiliu_sdk::{Cx, Error, ErrorKind, Result};
use tempfile::NamedTempFile;
use tokio::runtime::Handle;

use super::{Entry, Place};
use crate::config::S3;
use crate::fault::broken;

mod answer;
mod sign;

use sign::{Signing, digest, encode};

/// Bytes of an object that are asked for at once.
const RANGE: u64 = 8 << 20;

/// Bytes that are sent at once; a larger object is sent in parts of so many.
const PART: u64 = 16 << 20;

/// Parts that an object has at most.
const PARTS: u64 = 10_000;

/// A folder of a bucket.
pub(crate) struct Bucket {
    options: S3,
    /// The start of all names, with its `/`; empty for the bucket itself.
    prefix: String,
    cx: Cx,
    runtime: Handle,
}

/// One request to the store.
struct Call<'a> {
    method: Method,
    /// The object's whole name; empty for the bucket.
    key: &'a str,
    /// Parameters in the order of their names.
    query: &'a [(&'a str, &'a str)],
    headers: &'a [(HeaderName, &'a str)],
    body: Vec<u8>,
    /// Whether it may be sent again when its answer was lost.
    is_repeatable: bool,
}

impl<'a> Call<'a> {
    fn new(method: Method, key: &'a str) -> Self {
        let is_repeatable = true;
        Self { method, key, query: &[], headers: &[], body: Vec::new(), is_repeatable }
    }
}

impl Bucket {
    /// Nothing is asked before it is needed; must be called where a runtime is.
    pub(crate) fn open(options: &S3, folder: &str, cx: &Cx) -> Self {
        let folder = folder.trim_matches('/');
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        Self { options: options.clone(), prefix, cx: cx.clone(), runtime: Handle::current() }
    }

    fn client(&self) -> Result<&Client> {
        if let Some(client) = self.options.client.get() {
            return Ok(client);
        }
        let client = Client::new(Settings {
            max_response: RANGE + (1 << 20),
            tls: self.options.base.scheme() == "https",
            ca: self.options.ca.clone(),
            loopback: is_loopback(&self.options.base),
            ..Settings::default()
        })?;
        Ok(self.options.client.get_or_init(|| client))
    }

    fn call(&self, call: &Call<'_>) -> Result<std::result::Result<Answer, Failure>> {
        let client = self.client()?;
        let url = self.url(call);
        let body = digest(&call.body);
        let make = || self.signed(call, &url, &body);
        Ok(self.runtime.block_on(client.send_made(&self.cx, make)))
    }

    fn url(&self, call: &Call<'_>) -> Url {
        let mut url = self.options.base.clone();
        let path = format!("{}{}", url.path(), encode(call.key, "/"));
        url.set_path(&path);
        let query: Vec<String> = (call.query.iter())
            .map(|(name, value)| format!("{}={}", encode(name, ""), encode(value, "")))
            .collect();
        url.set_query((!query.is_empty()).then(|| query.join("&")).as_deref());
        url
    }

    fn signed(&self, call: &Call<'_>, url: &Url, body: &str) -> Result<Request> {
        let mut host = url.host_str().unwrap_or_default().to_owned();
        if let Some(port) = url.port() {
            host.push_str(&format!(":{port}"));
        }
        let signing = Signing {
            method: call.method.as_str(),
            host: &host,
            path: url.path(),
            query: url.query().unwrap_or_default(),
            body,
            at: self.cx.clock.now(),
            region: &self.options.region,
            access_key: &self.options.access_key,
            secret_key: &self.options.secret_key,
        };
        let mut request = Request::new(call.method.clone(), url.clone())
            .shown_as(&format!("/{}/{}", self.options.bucket, call.key))
            .idempotent(call.is_repeatable);
        let (date, authorization) = (signing.date(), signing.authorization());
        let own = [
            (HeaderName::from_static("x-amz-content-sha256"), body),
            (HeaderName::from_static("x-amz-date"), date.as_str()),
            (header::AUTHORIZATION, authorization.as_str()),
        ];
        for (name, value) in own.iter().chain(call.headers) {
            let value = HeaderValue::from_str(value)
                .map_err(|_| Error::internal("a header of a request to the store is none"))?;
            request = request.header(name.clone(), value);
        }
        if !call.body.is_empty() {
            let kind = HeaderValue::from_static("application/octet-stream");
            request = request.content(kind, call.body.clone());
        }
        Ok(request)
    }

    /// The whole name of `name`, which is a name and no path.
    fn key(&self, name: &str) -> Result<String> {
        let is_odd = name.contains(['/', '\0']);
        if name.is_empty() || name == "." || name == ".." || is_odd {
            return Err(Error::new(
                ErrorKind::Permission,
                "E-PATH",
                format!("file {name} is no object of this folder"),
            ));
        }
        Ok(format!("{}{name}", self.prefix))
    }

    /// A range of an object, of the version `tag` if it is given.
    fn range(&self, key: &str, at: u64, tag: Option<&str>) -> Result<Range> {
        let bytes = format!("bytes={at}-{}", at + RANGE - 1);
        let mut headers = vec![(header::RANGE, bytes.as_str())];
        headers.extend(tag.map(|tag| (header::IF_MATCH, tag)));
        let call = Call { headers: &headers, ..Call::new(Method::GET, key) };
        match self.call(&call)? {
            Ok(answer) => Ok(Range::Bytes(answer)),
            Err(failure) => match (failure.status, code(&failure).as_deref()) {
                // An object without bytes has no range.
                (Some(416), _) => Ok(Range::None),
                (Some(404), code) if code != Some("NoSuchBucket") => Ok(Range::Missing),
                (Some(412), _) => Err(changed(key)),
                _ => Err(self.refused(failure)),
            },
        }
    }

    fn refused(&self, failure: Failure) -> Error {
        let bucket = &self.options.bucket;
        match code(&failure).as_deref() {
            Some("NoSuchBucket") => Error::new(
                ErrorKind::NotFound,
                "E-FILE-MISSING",
                format!("the store has no bucket {bucket}"),
            )
            .hint("check `bucket` and `endpoint`"),
            Some("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken") => Error::new(
                ErrorKind::Auth,
                "E-AUTH",
                "the store does not know the access key, or its secret is another one",
            )
            .hint("check `access_key`, `secret_key` and `region`"),
            Some("RequestTimeTooSkewed") => Error::new(
                ErrorKind::Auth,
                "E-AUTH",
                "the store's clock and that of this machine are too far apart",
            )
            .hint("set the clock of this machine"),
            Some(
                "AuthorizationHeaderMalformed"
                | "PermanentRedirect"
                | "IllegalLocationConstraintException",
            ) => Error::new(
                ErrorKind::Config,
                "E-URL",
                format!("bucket {bucket} is in another region, or at another address"),
            )
            .hint("correct `region` and `endpoint`"),
            Some("AccessDenied") => Error::new(
                ErrorKind::Permission,
                "E-FILE-PERMISSION",
                format!("the access key may not do this in bucket {bucket}"),
            )
            .hint("ask the store's operators to let it list and read, and write if it shall"),
            _ => failure.into(),
        }
    }

    /// Sends a call whose refusal needs no further look.
    fn told(&self, call: &Call<'_>) -> Result<Answer> {
        self.call(call)?.map_err(|failure| self.refused(failure))
    }

    /// Sends an object in one piece.
    fn put(&self, key: &str, body: Vec<u8>, name: &str, may_replace: bool) -> Result<()> {
        // One that must not replace would meet itself the second time.
        let only_new = [(header::IF_NONE_MATCH, "*")];
        let headers: &[(HeaderName, &str)] = if may_replace { &[] } else { &only_new };
        let call =
            Call { headers, body, is_repeatable: may_replace, ..Call::new(Method::PUT, key) };
        match self.call(&call)? {
            Ok(_) => Ok(()),
            Err(failure) if failure.status == Some(412) => Err(super::exists(name)),
            Err(failure) => Err(self.refused(failure)),
        }
    }

    /// Sends an object in parts, which appear together at the end.
    fn put_in_parts(
        &self,
        key: &str,
        file: &File,
        size: u64,
        name: &str,
        may_replace: bool,
    ) -> Result<()> {
        let start = Call {
            query: &[("uploads", "")],
            is_repeatable: false,
            ..Call::new(Method::POST, key)
        };
        let upload = self.told(&start)?;
        let upload = text_of(&upload)
            .and_then(|text| answer::element(text, "UploadId"))
            .ok_or_else(|| odd(&upload))?;
        let sent = self.send_parts(key, file, size, &upload).and_then(|parts| {
            let only_new = [(header::IF_NONE_MATCH, "*")];
            let headers: &[(HeaderName, &str)] = if may_replace { &[] } else { &only_new };
            let call = Call {
                query: &[("uploadId", upload.as_str())],
                headers,
                body: parts.into_bytes(),
                is_repeatable: false,
                ..Call::new(Method::POST, key)
            };
            match self.call(&call)? {
                // Such an answer can begin well and still tell a fault.
                Ok(answer) => match text_of(&answer).map(|text| answer::element(text, "ETag")) {
                    Some(Some(_)) => Ok(()),
                    _ => Err(odd(&answer)),
                },
                Err(failure) if failure.status == Some(412) => Err(super::exists(name)),
                Err(failure) => Err(self.refused(failure)),
            }
        });
        if sent.is_err() {
            // Parts that belong to nothing are in nobody's way, but cost room.
            let query = &[("uploadId", upload.as_str())];
            drop(self.call(&Call { query, ..Call::new(Method::DELETE, key) }));
        }
        sent
    }

    /// Sends the parts, and gives the list of them.
    fn send_parts(&self, key: &str, mut file: &File, size: u64, upload: &str) -> Result<String> {
        let part_size = PART.max(size.div_ceil(PARTS));
        let mut list = String::from("<CompleteMultipartUpload>");
        for number in 1..=size.div_ceil(part_size) {
            let mut body = Vec::new();
            let mut part = Read::by_ref(&mut file).take(part_size);
            part.read_to_end(&mut body).map_err(|cause| broken(key, cause))?;
            let number = number.to_string();
            let query = &[("partNumber", number.as_str()), ("uploadId", upload)];
            let answer = self.told(&Call { query, body, ..Call::new(Method::PUT, key) })?;
            let tag = answer.header("etag").ok_or_else(|| odd(&answer))?;
            let tag = tag.replace('&', "&amp;").replace('<', "&lt;");
            list += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>");
        }
        Ok(list + "</CompleteMultipartUpload>")
    }
}

/// What is at a range of an object.
enum Range {
    Bytes(Answer),
    /// The object has no bytes there.
    None,
    /// There is no such object.
    Missing,
}

impl Place for Bucket {
    fn list(&self, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut query = Vec::new();
            query.extend(token.as_deref().map(|token| ("continuation-token", token)));
            query.extend([("delimiter", "/"), ("encoding-type", "url"), ("list-type", "2")]);
            query.push(("prefix", self.prefix.as_str()));
            let answer = self.told(&Call { query: &query, ..Call::new(Method::GET, "") })?;
            let page = text_of(&answer).and_then(answer::page).ok_or_else(|| odd(&answer))?;
            for entry in page.entries {
                let Some(name) = entry.name.strip_prefix(&self.prefix) else {
                    return Err(odd(&answer));
                };
                // Some tools put an object there for the folder itself.
                if !name.is_empty() && !name.contains('/') && wanted(name) {
                    entries.push(Entry { name: name.to_owned(), ..entry });
                }
            }
            if page.next.is_some() && page.next == token {
                return Err(odd(&answer));
            }
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn open(&self, name: &str) -> Result<Option<File>> {
        let key = self.key(name)?;
        let failed = |cause| broken(name, cause);
        let mut file = tempfile::tempfile().map_err(failed)?;
        let mut tag: Option<String> = None;
        let mut at = 0;
        loop {
            let answer = match self.range(&key, at, tag.as_deref())? {
                Range::Missing if at == 0 => return Ok(None),
                Range::Missing => return Err(changed(name)),
                Range::None => break,
                Range::Bytes(answer) => answer,
            };
            file.write_all(answer.body()).map_err(failed)?;
            at += answer.body().len() as u64;
            // A store that knows no ranges has given all of it.
            let Some(range) = answer.header("content-range") else { break };
            let total = range.rsplit_once('/').and_then(|(_, total)| total.parse::<u64>().ok());
            let total = total.ok_or_else(|| odd(&answer))?;
            if at >= total {
                break;
            }
            // Without it the next range could be of another version.
            let found = answer.header("etag").ok_or_else(|| odd(&answer))?;
            if answer.body().is_empty() {
                return Err(odd(&answer));
            }
            tag = Some(found.to_owned());
        }
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        Ok(Some(file))
    }

    fn draft(&self) -> Result<NamedTempFile> {
        NamedTempFile::new().map_err(|cause| broken("being written", cause))
    }

    fn publish(&self, draft: NamedTempFile, name: &str, may_replace: bool) -> Result<()> {
        let key = self.key(name)?;
        let failed = |cause| broken(name, cause);
        // Stores that do not know the condition of a write are asked first.
        if !may_replace && !matches!(self.range(&key, 0, None)?, Range::Missing) {
            return Err(super::exists(name));
        }
        let mut file = draft.as_file();
        let size = file.metadata().map_err(failed)?.len();
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        if size > PART {
            return self.put_in_parts(&key, file, size, name, may_replace);
        }
        let mut body = Vec::new();
        file.read_to_end(&mut body).map_err(failed)?;
        self.put(&key, body, name, may_replace)
    }

    fn remove(&self, name: &str) -> Result<()> {
        let key = self.key(name)?;
        match self.call(&Call::new(Method::DELETE, &key))? {
            Err(failure) if failure.status != Some(404) => Err(self.refused(failure)),
            _ => Ok(()),
        }
    }
}

/// The code of a refusal, such as `NoSuchKey`.
fn code(failure: &Failure) -> Option<String> {
    let answer = failure.answer.as_ref()?;
    answer::element(text_of(answer)?, "Code")
}

fn text_of(answer: &Answer) -> Option<&str> {
    std::str::from_utf8(answer.body()).ok()
}

/// The store gave an answer that is none.
fn odd(answer: &Answer) -> Error {
    Error::new(
        ErrorKind::Schema,
        "E-CONTENT",
        format!("{}: an answer that a store of this kind does not give", answer.request()),
    )
    .hint("check `endpoint`: it may be that of the store's web pages, or a proxy is in between")
}

fn changed(name: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "E-FILE-CHANGED",
        format!("file {name} changed while it was read"),
    )
    .hint("let the sender write under another name, or give it the time it needs by `stable`")
}

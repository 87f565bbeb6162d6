//! Requests: how they are configured, and how they look before credentials and signatures are
//! put in.

use std::borrow::Cow;
use std::collections::BTreeMap;

use huiliu_httpkit::{HeaderName, HeaderValue, Method, Request, Url};
use huiliu_sdk::{ConfigErrors, Error, ErrorKind, Result};
use serde_json::{Map, Value};

use crate::body::soap;
use crate::config::{SoapOptions, SoapVersion};
use crate::faults::under;
use crate::pointer::{Pointer, scalar};
use crate::template::{Fault, Template, percent, xml};

/// The body of a request.
#[derive(Clone)]
pub(crate) enum Body {
    None,
    Json(Value),
    Form(Vec<(String, String)>),
    Text { kind: HeaderValue, text: String },
}

/// A request that may still be changed.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Body,
    pub(crate) idempotent: bool,
    /// The path that messages name, where the address's own holds values of records.
    pub(crate) shown: Option<String>,
}

impl Draft {
    /// A request without body. Reading twice changes nothing, whatever the method.
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: Vec::new(), body: Body::None, idempotent: true, shown: None }
    }

    /// Puts a value into a field of the body: a form's field or a JSON pointer. Says whether the
    /// body has such a place.
    pub(crate) fn put(&mut self, name: &str, value: Value) -> bool {
        match &mut self.body {
            Body::Json(body) => match Pointer::field(name) {
                Some(place) => place.put(body, value),
                None => return false,
            },
            Body::Form(fields) => {
                let name = name.trim_start_matches('/');
                let text = scalar(&value).unwrap_or_else(|| value.to_string());
                fields.retain(|(other, _)| other != name);
                fields.push((name.to_owned(), text));
            }
            Body::None | Body::Text { .. } => return false,
        }
        true
    }

    /// Adds a parameter of the address; one of the same name is replaced.
    pub(crate) fn query(&mut self, name: &str, value: &str) {
        let kept: Vec<(String, String)> = self
            .url
            .query_pairs()
            .filter(|(other, _)| other != name)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        self.url.query_pairs_mut().clear().extend_pairs(kept).append_pair(name, value);
    }

    /// The body as it is sent.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match &self.body {
            Body::None => "".into(),
            Body::Json(body) => body.to_string().into(),
            Body::Form(fields) => {
                let pairs: Vec<String> = fields
                    .iter()
                    .map(|(name, value)| format!("{}={}", percent(name), percent(value)))
                    .collect();
                pairs.join("&").into()
            }
            Body::Text { text, .. } => text.into(),
        }
    }

    /// The request itself.
    pub(crate) fn finish(&self) -> Request {
        let mut request =
            Request::new(self.method.clone(), self.url.clone()).idempotent(self.idempotent);
        for (name, value) in &self.headers {
            request = request.header(name.clone(), value.clone());
        }
        if let Some(path) = &self.shown {
            request = request.shown_as(path);
        }
        let text = self.text().into_owned();
        match &self.body {
            Body::None => request,
            Body::Json(_) => request.json(text),
            Body::Form(_) => {
                let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
                request.content(kind, text)
            }
            Body::Text { kind, .. } => request.content(kind.clone(), text),
        }
    }
}

/// Values by the names of their places.
pub(crate) type Values = BTreeMap<String, String>;

/// A body as configured.
enum BodyPlan {
    None,
    Json(Value),
    Form(Vec<(String, Template)>),
    Xml(Template),
}

/// What may be the body of a request, as configured.
#[derive(Default)]
pub(crate) struct BodyOptions {
    pub(crate) body: Option<Map<String, Value>>,
    pub(crate) form: Option<BTreeMap<String, String>>,
    pub(crate) xml: Option<String>,
    pub(crate) soap: Option<SoapOptions>,
}

/// A request as configured.
pub(crate) struct CallPlan {
    method: Method,
    base: Url,
    pub(crate) path: String,
    places: Option<Template>,
    params: Vec<(String, Template)>,
    body: BodyPlan,
    soap: Option<Envelope>,
}

/// How a SOAP request is sent: its version, its headers, and its content type.
type Envelope = (SoapVersion, Vec<(HeaderName, HeaderValue)>, HeaderValue);

impl CallPlan {
    /// Checks a request. Its texts may hold the places `names`, and XML also those of
    /// `parameters`.
    #[allow(clippy::too_many_arguments)] // each is one key of the configuration
    pub(crate) fn new(
        base: &Url,
        method: Method,
        path: &str,
        params: &BTreeMap<String, String>,
        options: BodyOptions,
        names: &[&str],
        parameters: &[&str],
        at: &str,
        errors: &mut ConfigErrors,
    ) -> Option<Self> {
        let before = errors.0.len();
        let bodies = [
            ("body", options.body.is_some()),
            ("form", options.form.is_some()),
            ("xml", options.xml.is_some()),
        ];
        let given: Vec<&str> =
            bodies.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
        if let [first, second, ..] = given[..] {
            errors.push(under(at, second), format!("cannot stand beside {first}"));
        }
        if let (Some(name), true) = (given.first(), method == Method::GET) {
            errors.push_with_hint(under(at, name), "a GET has no body", "set method = \"POST\"");
        }
        if options.soap.is_some() && options.xml.is_none() {
            errors.push(under(at, "xml"), "is missing beside soap");
        }
        let mut read = |text: &str, key: &str, also: &[&str]| {
            let knows = |name: &str| names.contains(&name) || also.contains(&name);
            template(text, &under(at, key), knows, errors)
        };
        let places = path.contains(['{', '}']).then(|| read(path, "path", &[]));
        let params = params
            .iter()
            .map(|(name, text)| (name.clone(), literal(text, names, &mut read, "params")))
            .collect();
        let body = match (options.body, options.form, options.xml) {
            (Some(body), ..) => BodyPlan::Json(Value::Object(body)),
            (None, Some(form), _) => {
                let field = |(name, text): (String, String)| {
                    (name, literal(&text, names, &mut read, "form"))
                };
                BodyPlan::Form(form.into_iter().map(field).collect())
            }
            (None, None, Some(text)) => BodyPlan::Xml(read(&text, "xml", parameters)),
            (None, None, None) => BodyPlan::None,
        };
        let soap = options.soap.and_then(|options| {
            let headers = soap::headers(&options);
            if headers.is_none() {
                errors.push(under(at, "soap.action"), "does not fit into a header");
            }
            headers.map(|(headers, kind)| (options.version, headers, kind))
        });
        address(base, path, at, errors)?;
        if errors.0.len() > before {
            return None;
        }
        let (base, path) = (base.clone(), path.to_owned());
        Some(Self { method, base, path, places, params, body, soap })
    }

    /// The request with these values in its places and these parameters.
    pub(crate) fn draft(&self, values: &Values, parameters: &[(String, Value)]) -> Result<Draft> {
        let value = |name: &str| values.get(name).map(|value| Cow::Borrowed(value.as_str()));
        let mut draft = Draft::new(self.method.clone(), self.address(values)?);
        draft.shown = self.places.as_ref().map(|_| self.shown());
        for (name, template) in &self.params {
            draft.url.query_pairs_mut().append_pair(name, &template.fill(value));
        }
        draft.body = match &self.body {
            BodyPlan::None => Body::None,
            BodyPlan::Json(body) => Body::Json(filled(body, values)),
            BodyPlan::Form(fields) => Body::Form(
                fields
                    .iter()
                    .map(|(name, template)| (name.clone(), template.fill(value)))
                    .collect(),
            ),
            BodyPlan::Xml(template) => self.xml(template, values, parameters)?,
        };
        if matches!(draft.body, Body::Text { .. }) {
            let soap = self.soap.iter().flat_map(|(_, headers, _)| headers.iter().cloned());
            draft.headers.extend(soap);
            return Ok(draft);
        }
        for (name, value) in parameters {
            if !draft.put(name, value.clone()) {
                let text = scalar(value).unwrap_or_default();
                draft.url.query_pairs_mut().append_pair(name, &text);
            }
        }
        Ok(draft)
    }

    fn xml(&self, template: &Template, values: &Values, also: &[(String, Value)]) -> Result<Body> {
        let find = |name: &str| {
            let parameter = also.iter().find(|(other, _)| other == name);
            parameter.and_then(|(_, value)| scalar(value)).or_else(|| values.get(name).cloned())
        };
        let unfit = std::cell::Cell::new(false);
        let text = template.fill(|name| {
            let value = find(name)?;
            let escaped = xml(&value);
            unfit.set(unfit.get() || escaped.is_none());
            escaped.map(Cow::Owned)
        });
        if unfit.get() {
            return Err(unfit_value(&self.path));
        }
        Ok(self.enclosed(text))
    }

    /// `text` as the body, inside SOAP if that is asked for.
    pub(crate) fn enclosed(&self, text: String) -> Body {
        match &self.soap {
            Some((version, _, kind)) => {
                Body::Text { kind: kind.clone(), text: soap::envelope(*version, &text) }
            }
            None => Body::Text {
                kind: HeaderValue::from_static("application/xml; charset=utf-8"),
                text,
            },
        }
    }

    /// The XML of records in the place `{records}`; nothing if there is no XML around them.
    pub(crate) fn around(&self, records: &str) -> Option<Body> {
        let BodyPlan::Xml(template) = &self.body else { return None };
        let value = |name: &str| (name == "records").then_some(Cow::Borrowed(records));
        Some(self.enclosed(template.fill(value)))
    }

    fn shown(&self) -> String {
        format!("{}{}", self.base.path().trim_end_matches('/'), self.path)
    }

    fn address(&self, values: &Values) -> Result<Url> {
        let unfit = || unfit_value(&self.path);
        let path = match &self.places {
            None => self.path.clone(),
            Some(template) => {
                // A value that is no step of its own could lead elsewhere.
                let leads_away = |value: &String| matches!(value.as_str(), "" | "." | "..");
                if values.iter().any(|(name, value)| template.has(name) && leads_away(value)) {
                    return Err(unfit());
                }
                template.fill(|name| values.get(name).map(|value| percent(value).into()))
            }
        };
        Url::parse(&format!("{}{path}", self.base.as_str().trim_end_matches('/')))
            .map_err(|_| unfit())
    }
}

fn unfit_value(path: &str) -> Error {
    let message = format!("{path}: a value does not fit into its place in the request");
    Error::new(ErrorKind::Data, "E-PLACE", message)
        .hint("values in a path must not be empty, and texts for XML not hold control characters")
}

/// A text that is a template only where there are names for places.
fn literal(
    text: &str,
    names: &[&str],
    read: &mut impl FnMut(&str, &str, &[&str]) -> Template,
    key: &str,
) -> Template {
    if names.is_empty() { Template::plain(text) } else { read(text, key, &[]) }
}

/// A JSON body with values in the places of its texts. Other braces stay as they are.
fn filled(body: &Value, values: &Values) -> Value {
    match body {
        Value::String(text) if !values.is_empty() => {
            match Template::parse(text, |name| values.contains_key(name)) {
                Ok(template) => template.fill(|name| values.get(name).map(Into::into)).into(),
                Err(_) => body.clone(),
            }
        }
        Value::Array(items) => items.iter().map(|item| filled(item, values)).collect(),
        Value::Object(table) => Value::Object(
            table.iter().map(|(key, value)| (key.clone(), filled(value, values))).collect(),
        ),
        other => other.clone(),
    }
}

/// A template, or a fault.
pub(crate) fn template(
    text: &str,
    at: &str,
    knows: impl Fn(&str) -> bool,
    errors: &mut ConfigErrors,
) -> Template {
    match Template::parse(text, knows) {
        Ok(template) => template,
        Err(Fault::Unknown(name)) => {
            errors.push(at, format!("there is no value `{{{name}}}` here"));
            Template::default()
        }
        Err(Fault::Brace) => {
            errors.push_with_hint(at, "a brace is open", "write {{ and }} for braces themselves");
            Template::default()
        }
    }
}

/// The address of `path` under `base`, or a fault.
pub(crate) fn address(base: &Url, path: &str, at: &str, errors: &mut ConfigErrors) -> Option<Url> {
    let at = under(at, "path");
    if !path.starts_with('/') {
        errors.push(at, "does not start with a slash");
        return None;
    }
    if path.contains(['?', '#']) {
        errors.push_with_hint(at, "holds a query or fragment", "put parameters under params");
        return None;
    }
    let url = Url::parse(&format!("{}{path}", base.as_str().trim_end_matches('/'))).ok();
    if url.is_none() {
        errors.push(at, "does not make an address");
    }
    url
}

//! `${env:NAME}` and `${secret:name}`: values that stay out of the configuration.

use std::collections::BTreeMap;

use serde_json::Value;

/// Where references are looked up. Its values never print.
#[derive(Clone, Default)]
pub struct Resolver {
    environment: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
}

/// A reference without a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// `env:NAME` or `secret:name`.
    pub reference: String,
    /// Path of the key that asks for it.
    pub path: String,
    /// Line of that key in its file, from 1.
    pub line: usize,
}

impl Resolver {
    /// A resolver over an environment and the stored secrets.
    pub fn new(environment: BTreeMap<String, String>, secrets: BTreeMap<String, String>) -> Self {
        Self { environment, secrets }
    }

    /// Puts values in place of references in all text of `value`; lists those without one,
    /// which stay as they are.
    pub fn resolve(&self, value: &mut Value) -> Vec<Missing> {
        let mut missing = Vec::new();
        self.walk(value, "", &mut missing);
        missing
    }

    fn walk(&self, value: &mut Value, path: &str, missing: &mut Vec<Missing>) {
        match value {
            Value::String(text) if text.contains("${") => {
                *text = self.expand(text, path, missing);
            }
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.walk(item, &format!("{path}[{index}]"), missing);
                }
            }
            Value::Object(entries) => {
                for (key, item) in entries {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.walk(item, &path, missing);
                }
            }
            _ => {}
        }
    }

    fn expand(&self, text: &str, path: &str, missing: &mut Vec<Missing>) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            out.push_str(&rest[..start]);
            let Some(length) = rest[start..].find('}') else { break };
            let reference = &rest[start + 2..start + length];
            let found = match reference.split_once(':') {
                Some(("env", name)) => self.environment.get(name),
                Some(("secret", name)) => self.secrets.get(name),
                _ => None,
            };
            match found {
                Some(value) => out.push_str(value),
                None => {
                    // Only the document knows lines; `parse_system` fills them in.
                    missing.push(Missing {
                        reference: reference.to_owned(),
                        path: path.to_owned(),
                        line: 1,
                    });
                    out.push_str(&rest[start..=start + length]);
                }
            }
            rest = &rest[start + length + 1..];
        }
        out.push_str(rest);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_and_missing_ones_named() {
        let environment = [("HOST".to_owned(), "h".to_owned())].into();
        let secrets = [("key".to_owned(), "s".to_owned())].into();
        let resolver = Resolver::new(environment, secrets);
        let mut value = serde_json::json!({
            "url": "http://${env:HOST}/${secret:key}", "auth": {"token": "${secret:none}"}
        });
        let missing = resolver.resolve(&mut value);
        assert_eq!(value["url"], "http://h/s");
        assert_eq!(
            missing,
            [Missing { reference: "secret:none".into(), path: "auth.token".into(), line: 1 }]
        );
    }
}

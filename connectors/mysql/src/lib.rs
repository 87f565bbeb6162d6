//! Reads and writes MariaDB and MySQL databases.

use std::sync::Arc;

use huiliu_sdk::{Capabilities, ConfigErrors, Connector, Endpoint, RawConfig, Spec};

/// The kind `mysql`.
#[derive(Debug, Clone, Copy, Default)]
pub struct MySqlConnector;

impl Connector for MySqlConnector {
    fn spec(&self) -> Spec {
        let none = serde_json::json!({ "type": "object", "properties": {} });
        Spec {
            kind: "mysql",
            title: "MariaDB and MySQL database",
            capabilities: Capabilities::default(),
            system_schema: none.clone(),
            stream_schema: none.clone(),
            push_schema: none,
        }
    }

    fn configure(&self, _raw: RawConfig) -> Result<Arc<dyn Endpoint>, ConfigErrors> {
        let mut faults = ConfigErrors::default();
        faults.push("kind", "this kind of system is being built");
        Err(faults)
    }
}

//! Reading `config/alerts.toml`.

use std::path::Path;

use huiliu_core::config::{AlertsFile, Faults, Resolver, alerts_schema};

use super::{LoadFailure, fault_in, read_config};
use crate::watch::Alerts;

/// What is watched and who is told; nobody without the file.
pub(super) fn load(
    root: &Path,
    resolver: &Resolver,
    faults: &mut Faults,
) -> Result<Alerts, LoadFailure> {
    let file = root.join("config/alerts.toml");
    if !file.exists() {
        return Ok(Alerts::default());
    }
    let Some(config) = read_config::<AlertsFile>(&file, &alerts_schema(), faults) else {
        return Ok(Alerts::default());
    };
    for (place, message, hint) in config.faults() {
        faults.0.push(fault_in(&file, &place, message, hint)?);
    }
    Ok(Alerts::new(config, resolver))
}

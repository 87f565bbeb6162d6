//! What one needs to enter the services; decided by the seed.

use std::fmt;
use std::path::Path;

use huiliu_sdk::Result;

use crate::folder::finished;
use crate::seed::hex;

/// Keys of the services of one city.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Names the hub to the province.
    pub province_app_key: String,
    /// Proves it to the province.
    pub province_app_secret: String,
    /// Opens the investment platform.
    pub investment_api_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// The keys of the finished city in `dir`.
pub fn credentials(dir: &Path) -> Result<Credentials> {
    let seed = finished(dir)?.seed;
    Ok(Credentials {
        province_app_key: hex(seed, "province app key", 16),
        province_app_secret: hex(seed, "province app secret", 40),
        investment_api_key: hex(seed, "investment api key", 32),
    })
}

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
    /// Names the hub to the portal.
    pub portal_app_id: String,
    /// Signs requests to the portal.
    pub portal_app_secret: String,
    /// Opens the app's platform.
    pub app_token: String,
    /// Names the hub to the platform on which enterprises are started.
    pub enterprise_client: String,
    /// Proves it there.
    pub enterprise_secret: String,
    /// Names the hub to the department of human resources.
    pub hrss_key: String,
    /// Proves it there.
    pub hrss_secret: String,
}

impl Credentials {
    /// All of them by their names.
    pub fn by_name(self) -> [(&'static str, String); 10] {
        [
            ("province_app_key", self.province_app_key),
            ("province_app_secret", self.province_app_secret),
            ("investment_api_key", self.investment_api_key),
            ("portal_app_id", self.portal_app_id),
            ("portal_app_secret", self.portal_app_secret),
            ("app_token", self.app_token),
            ("enterprise_client", self.enterprise_client),
            ("enterprise_secret", self.enterprise_secret),
            ("hrss_key", self.hrss_key),
            ("hrss_secret", self.hrss_secret),
        ]
    }
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
        portal_app_id: hex(seed, "portal app id", 16),
        portal_app_secret: hex(seed, "portal app secret", 40),
        app_token: hex(seed, "app token", 48),
        enterprise_client: hex(seed, "enterprise client", 16),
        enterprise_secret: hex(seed, "enterprise secret", 40),
        hrss_key: hex(seed, "hrss key", 16),
        hrss_secret: hex(seed, "hrss secret", 40),
    })
}

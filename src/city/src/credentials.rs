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
    /// Names the hub to the micro portal.
    pub micro_client: String,
    /// Proves it there.
    pub micro_secret: String,
    /// Names the hub to electronic supervision.
    pub supervision_user: String,
    /// Proves it there.
    pub supervision_password: String,
    /// Names the hub to the postal express.
    pub ems_key: String,
    /// Signs requests to it.
    pub ems_secret: String,
    /// Names the hub to the first vertical system.
    pub vertical_1_key: String,
    /// Proves it there.
    pub vertical_1_secret: String,
    /// Names the hub to the second vertical system.
    pub vertical_2_user: String,
    /// Proves it there.
    pub vertical_2_password: String,
}

impl Credentials {
    /// All of them by their names.
    pub fn by_name(self) -> [(&'static str, String); 20] {
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
            ("micro_client", self.micro_client),
            ("micro_secret", self.micro_secret),
            ("supervision_user", self.supervision_user),
            ("supervision_password", self.supervision_password),
            ("ems_key", self.ems_key),
            ("ems_secret", self.ems_secret),
            ("vertical_1_key", self.vertical_1_key),
            ("vertical_1_secret", self.vertical_1_secret),
            ("vertical_2_user", self.vertical_2_user),
            ("vertical_2_password", self.vertical_2_password),
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
        micro_client: hex(seed, "micro client", 16),
        micro_secret: hex(seed, "micro secret", 40),
        supervision_user: hex(seed, "supervision user", 12),
        supervision_password: hex(seed, "supervision password", 24),
        ems_key: hex(seed, "ems key", 16),
        ems_secret: hex(seed, "ems secret", 40),
        vertical_1_key: hex(seed, "vertical 1 key", 16),
        vertical_1_secret: hex(seed, "vertical 1 secret", 40),
        vertical_2_user: hex(seed, "vertical 2 user", 16),
        vertical_2_password: hex(seed, "vertical 2 password", 40),
    })
}

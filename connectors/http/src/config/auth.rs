//! How a system lets us in.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Format, Secret};

/// How a system lets us in.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum AuthOptions {
    /// It lets everybody in.
    #[default]
    None,
    /// A fixed token in the header `Authorization: Bearer`.
    Bearer {
        /// The token, as `${secret:name}`.
        #[schemars(example = &"${secret:city_token}")]
        token: Secret,
    },
    /// User and password in the header `Authorization: Basic`.
    Basic {
        /// The user.
        #[schemars(example = &"huiliu")]
        user: String,
        /// The password, as `${secret:name}`.
        #[schemars(example = &"${secret:city_password}")]
        password: Secret,
    },
    /// A key in a header or parameter of its own.
    ApiKey {
        /// Name of the header, such as `ApiKey`.
        #[schemars(example = &"ApiKey")]
        header: Option<String>,
        /// Name of the address's parameter, where there is no header.
        #[schemars(example = &"apikey")]
        query: Option<String>,
        /// The key, as `${secret:name}`.
        #[schemars(example = &"${secret:city_key}")]
        value: Secret,
    },
    /// A token by OAuth 2 client credentials, used until it expires or is refused.
    Oauth2 {
        /// Path to which the request for a token is posted.
        #[schemars(example = &"/oauth2/token")]
        path: String,
        /// The client's id.
        #[schemars(example = &"huiliu")]
        client_id: String,
        /// The client's secret, as `${secret:name}`.
        #[schemars(example = &"${secret:city_client}")]
        client_secret: Secret,
        /// What is asked for.
        #[schemars(example = &"cases.read")]
        scope: Option<String>,
        /// Where id and secret go. Default: header.
        #[serde(default)]
        credentials: ClientCredentials,
    },
    /// A token fetched by logging in, and fetched again when it expires.
    Login {
        /// Path to which the login is posted.
        #[schemars(example = &"/api/token")]
        path: String,
        /// What is posted.
        #[schemars(extend("examples" = [{"appKey": "${secret:key}", "appSecret": "${secret:secret}"}]))]
        body: Map<String, Value>,
        /// Whether the body is sent as a form instead of JSON. Default: false.
        #[serde(default)]
        #[schemars(example = true)]
        form: bool,
        /// How the answer is written. Default: json.
        #[serde(default)]
        format: Format,
        /// JSON pointer to the token in the answer, such as `/data/token`.
        #[schemars(example = &"/data/token")]
        token: String,
        /// Header that carries the token. Default: Authorization, unless `query` or `field` is
        /// given.
        #[schemars(example = &"X-Access-Token", extend("default" = "Authorization"))]
        header: Option<String>,
        /// Parameter of the address that carries the token.
        #[schemars(example = &"access_token")]
        query: Option<String>,
        /// Field of the body (a form field or a JSON pointer) that carries the token.
        #[schemars(example = &"accessToken")]
        field: Option<String>,
        /// Text before the token in the header, such as `Bearer ` with its space. Default: none.
        #[serde(default)]
        #[schemars(example = &"Bearer ")]
        prefix: String,
        /// How long a token is used, such as `25m`. Default: until it is refused.
        #[schemars(example = &"25m")]
        ttl: Option<String>,
        /// JSON pointer to the number of seconds for which the token is valid.
        #[schemars(example = &"/data/expiresIn")]
        expires_in: Option<String>,
    },
}

/// Where a client's id and secret go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientCredentials {
    /// Into the header `Authorization: Basic`.
    #[default]
    Header,
    /// Into the form beside `grant_type`.
    Body,
}

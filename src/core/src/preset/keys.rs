//! The keys by which a system file uses presets, for its schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Spelling;

/// Keys at the top of a file of a system with tables.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct SystemPresetKeys {
    /// Presets whose tables are all read: a family such as `up_pro`, a table of one such as
    /// `up_pro_accept`, or a list. A stream of the same name below stands in place of theirs.
    #[serde(default)]
    #[schemars(example = &"up_pro")]
    preset: Option<OneOrMore>,
    /// What follows the names of the tables of all presets, such as `_rsj`. Of a list, each is
    /// read.
    #[serde(default)]
    #[schemars(example = ["_rsj", "_zjj"])]
    suffix: Option<OneOrMore>,
    /// How this system spells the columns of presets. Default: as the preset says.
    #[serde(default)]
    names: Option<Spelling>,
}

/// Keys of a stream over a table.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct StreamPresetKeys {
    /// The preset of the table, such as `up_pro_accept`: its name, key, cursor, flag and columns.
    /// What stands in this stream goes before it.
    #[serde(default)]
    #[schemars(example = &"up_pro_accept")]
    preset: Option<String>,
    /// What follows the name of the preset's table, such as `_rsj`. Of a list, each is a stream.
    #[serde(default)]
    #[schemars(example = &"_rsj")]
    suffix: Option<OneOrMore>,
    /// How the table spells the columns of the preset. Default: as the preset says.
    #[serde(default)]
    names: Option<Spelling>,
    /// Columns of the preset that this table does not have.
    #[serde(default)]
    #[schemars(example = ["cd_batch"])]
    without: Vec<String>,
    /// Reads only the marks that were put on rows which a push has brought here.
    #[serde(default)]
    #[schemars(example = true)]
    receipts: bool,
    /// Columns that have another name in the table: lake column = column of the table. All other
    /// keys name columns as in the lake.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "project_no": "PROJ_CODE" }))]
    fields: BTreeMap<String, String>,
}

/// Keys of a push into a table.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct PushPresetKeys {
    /// The preset of the table, such as `up_pro_accept`: its name, key and flag. What stands in
    /// this push goes before it.
    #[serde(default)]
    #[schemars(example = &"up_pro_accept")]
    preset: Option<String>,
    /// What follows the name of the preset's table, such as `_rsj`.
    #[serde(default)]
    #[schemars(example = &"_rsj")]
    suffix: Option<String>,
    /// How the table spells the columns of the preset. Default: as the preset says.
    #[serde(default)]
    names: Option<Spelling>,
    /// Columns of the preset that this table does not have.
    #[serde(default)]
    #[schemars(example = ["cd_batch"])]
    without: Vec<String>,
    /// Columns that have another name in the table: our column = column of the table.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "project_no": "PROJ_CODE" }))]
    fields: BTreeMap<String, String>,
    /// Columns that have one value in all records, such as the flag of what is new.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "region_id": "340500" }))]
    set: BTreeMap<String, Value>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

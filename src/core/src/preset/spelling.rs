//! How a source spells the names that the lake has in small letters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the columns of a source are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Spelling {
    /// `project_no`, as in the lake.
    #[default]
    Lower,
    /// `PROJECT_NO`.
    Upper,
    /// `ProjectNo`, as the national interfaces have it.
    Camel,
}

impl Spelling {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Lower, Self::Upper, Self::Camel];

    /// The word in a configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Lower => "lower",
            Self::Upper => "upper",
            Self::Camel => "camel",
        }
    }

    /// A column of the lake as the source writes it; `camel` where that follows no rule.
    pub(crate) fn column(self, name: &str, camel: Option<&str>) -> String {
        match self {
            Self::Lower => name.to_owned(),
            Self::Upper => name.to_uppercase(),
            Self::Camel => camel.map_or_else(|| camel_case(name), str::to_owned),
        }
    }

    /// A table's name. The wire names of the national interfaces are those of columns only.
    pub(crate) fn table(self, name: &str) -> String {
        match self {
            Self::Lower => name.to_lowercase(),
            Self::Upper => name.to_uppercase(),
            Self::Camel => name.to_owned(),
        }
    }
}

fn camel_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for part in name.split('_') {
        let mut letters = part.chars();
        out.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        out.push_str(letters.as_str());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled_as_the_source_has_them() {
        for (name, camel, upper) in
            [("project_no", "ProjectNo", "PROJECT_NO"), ("legal", "Legal", "LEGAL")]
        {
            assert_eq!(Spelling::Camel.column(name, None), camel);
            assert_eq!(Spelling::Upper.column(name, None), upper);
            assert_eq!(Spelling::Lower.column(name, Some("Odd")), name);
        }
        assert_eq!(Spelling::Camel.column("cd_time", Some("Cd_time")), "Cd_time");
        assert_eq!(Spelling::Camel.table("up_pro_accept"), "up_pro_accept");
        assert_eq!(Spelling::Lower.table("PRE_NODE"), "pre_node");
    }
}

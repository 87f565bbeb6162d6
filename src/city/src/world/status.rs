//! The hub's case states, and how each copy writes them.

/// A case's state in the hub's own codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// 30
    Accepted,
    /// 31
    NotAccepted,
    /// 50
    Granted,
    /// 51
    Denied,
    /// 52
    Returned,
    /// 53
    Voided,
    /// 55
    Forwarded,
    /// 56
    Deleted,
    /// 57
    FinishedOther,
}

impl Status {
    /// Whether such a case counts.
    pub(crate) fn counts(self) -> bool {
        !matches!(self, Self::NotAccepted | Self::Voided | Self::Deleted)
    }

    /// The early result list, which the city still uses; no result row for the rest.
    pub(crate) fn city_code(self) -> Option<&'static str> {
        match self {
            Self::Granted => Some("0"),
            Self::Returned => Some("1"),
            Self::Voided => Some("2"),
            Self::Deleted => Some("3"),
            Self::Forwarded => Some("4"),
            Self::FinishedOther => Some("6"),
            Self::Accepted | Self::NotAccepted | Self::Denied => None,
        }
    }

    /// The later result list, which the province uses, and the department of planning; null for the
    /// rest.
    pub(crate) fn province_code(self) -> Option<&'static str> {
        match self {
            Self::Granted => Some("0"),
            Self::Denied => Some("1"),
            Self::Voided => Some("2"),
            Self::Deleted => Some("3"),
            Self::Forwarded => Some("4"),
            Self::Returned => Some("5"),
            Self::NotAccepted => Some("6"),
            Self::Accepted | Self::FinishedOther => None,
        }
    }

    /// The words of the other departments' own systems.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Accepted | Self::Denied | Self::Deleted | Self::FinishedOther => "受理",
            Self::NotAccepted => "不予受理",
            Self::Granted => "出证办结",
            Self::Returned => "退回办结",
            Self::Voided => "作废办结",
            Self::Forwarded => "转报办结",
        }
    }
}

//! The reports there are, as a fact can name them. Not here: what they say.

use super::ids::{PoolId, UserId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A text that names no report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no report has this name")]
pub struct NotAReport;

macro_rules! reports {
    ($($variant:ident => $name:literal,)+) => {
        /// Positional in the log: new ones go at the end.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum ReportName { $($variant),+ }

        impl ReportName {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// As in a path: `license-position`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

reports! {
    LicensePosition => "license-position",
    Holders => "holders",
    Person => "person",
    PeakUse => "peak-use",
    DaysOverCap => "days-over-cap",
    Refunds => "refunds",
    SellOuts => "sell-outs",
    IdleSeats => "idle-seats",
    UntargetedSeats => "untargeted-seats",
    Drift => "drift",
    TrueUp => "true-up",
    AccessLog => "access-log",
    Diff => "diff",
    DiffByPerson => "diff-by-person",
    Cap => "cap",
    Certificate => "certificate",
    Review => "review",
}

/// What a report was asked with: positions and ids, never a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct ReportAsked {
    /// `None` where now was asked for.
    pub as_of: Option<u64>,
    pub from: Option<u64>,
    pub to: Option<u64>,
    pub pool: Option<PoolId>,
    pub user: Option<UserId>,
    pub days: Option<u32>,
}

impl fmt::Display for ReportName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ReportName {
    type Err = NotAReport;
    fn from_str(text: &str) -> Result<Self, NotAReport> {
        Self::ALL.iter().copied().find(|known| known.name() == text).ok_or(NotAReport)
    }
}

//! The auditor's questions, each one file: what it is called, what it asks for, what its columns mean, and how its rows come
//! about. A row names the positions that prove it.
//!
//! Here: the table of them, and what all have in common. Not here: how a row looks as JSON or CSV (`rows.rs`), who may ask.

mod access_log;
mod between;
mod cap;
pub(super) mod courses;
mod days_over_cap;
mod diff;
mod diff_by_person;
mod drift;
mod holders;
mod idle_seats;
pub(super) mod intervals;
mod license_position;
pub(super) mod peak_use;
mod person;
mod refunds;
mod rows;
mod sell_outs;
mod source;
mod true_up;
mod untargeted_seats;

pub use rows::{Cell, CsvRows, Key, Output, Row, Rows, csv_header, csv_record};
pub use source::{Hindsight, Label, Source};

use super::as_of::AsOfError;
use crate::domain::ids::{PoolId, UserId};
use crate::domain::report::ReportName;
use crate::domain::time::Time;
use crate::ledger::ReadError;
use std::io;

/// Every report, in the order in which they are listed.
pub const REPORTS: &[&Report] = &[
    &license_position::REPORT,
    &holders::REPORT,
    &person::REPORT,
    &peak_use::REPORT,
    &days_over_cap::REPORT,
    &refunds::REPORT,
    &sell_outs::REPORT,
    &idle_seats::REPORT,
    &untargeted_seats::REPORT,
    &drift::REPORT,
    &true_up::REPORT,
    &access_log::REPORT,
    &diff::REPORT,
    &diff_by_person::REPORT,
    &cap::REPORT,
];

/// One question.
pub struct Report {
    pub name: ReportName,
    /// What it answers, in a sentence.
    pub about: &'static str,
    pub parameters: &'static [Parameter],
    pub columns: &'static [Column],
    read: fn(&Source<'_>, &Asked, &mut Output<'_>) -> Result<(), ReportError>,
}

/// What can be asked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// The point at which everything is looked at.
    AsOf,
    /// Up to where the log is known of that point.
    AsKnownAt,
    /// The beginning of a period.
    From,
    /// Its end.
    To,
    /// The first of two points that are compared.
    FromPoint,
    /// The second one.
    ToPoint,
    Pool,
    User,
    Days,
}

impl Asking {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AsOf => "as_of",
            Self::AsKnownAt => "as_known_at",
            Self::From | Self::FromPoint => "from",
            Self::To | Self::ToPoint => "to",
            Self::Pool => "pool",
            Self::User => "user",
            Self::Days => "days",
        }
    }

    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::AsOf => "A position, or a time: everything as it was then. Without it, now",
            Self::AsKnownAt => {
                "A position, or a time: what was known up to there of as_of. Seats count from when they were granted or given \
                 back, where that was told, and not from when it was recorded"
            }
            Self::From => "The first position that counts, or the time from which on. Without it, the beginning",
            Self::To => "The last position that counts, or the time until which. Without it, now",
            Self::FromPoint => "A position, or a time: everything as it was then is compared",
            Self::ToPoint => "A position, or a time: with everything as it was then",
            Self::Pool => "The pool's id or key",
            Self::User => "The user's id, or the user name that was borne at the point that is looked at",
            Self::Days => "A number of days",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    pub asking: Asking,
    pub is_required: bool,
}

const fn may(asking: Asking) -> Parameter {
    Parameter { asking, is_required: false }
}

const fn must(asking: Asking) -> Parameter {
    Parameter { asking, is_required: true }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub about: &'static str,
}

const fn column(name: &'static str, about: &'static str) -> Column {
    Column { name, about }
}

const POOL: Column = column("pool", "The pool's id");
const POOL_KEY: Column = column("pool_key", "The pool's key at its provider");
const EVIDENCE: Column = column("evidence", "Positions of the events that prove the row");

/// What a report is asked with, looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The first position of the period, and the instant at which it begins.
    pub first: u64,
    pub since: Time,
    pub pool: Option<PoolId>,
    pub user: Option<UserId>,
    pub days: Option<u32>,
}

/// Why a report broke off.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(transparent)]
    AsOf(#[from] AsOfError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("writing the report failed: {0}")]
    Write(#[from] io::Error),
}

impl Report {
    #[must_use]
    pub fn find(name: ReportName) -> Option<&'static Self> {
        REPORTS.iter().copied().find(|report| report.name == name)
    }

    #[must_use]
    pub fn takes(&self, asking: Asking) -> bool {
        self.parameters.iter().any(|parameter| parameter.asking == asking)
    }

    /// Whether it reads a whole state: as of now that is taken once, with its position.
    #[must_use]
    pub fn reads_state(&self) -> bool {
        matches!(
            self.name,
            ReportName::Holders | ReportName::IdleSeats | ReportName::UntargetedSeats | ReportName::TrueUp
        )
    }

    /// The required parameters that are not in `given`.
    pub fn missing<'a>(&self, given: impl Fn(Asking) -> bool + 'a) -> impl Iterator<Item = Asking> + 'a {
        let required = self.parameters.iter().filter(|parameter| parameter.is_required);
        required.map(|parameter| parameter.asking).filter(move |asking| !given(*asking))
    }

    /// Hands its rows to `out` in the order of their keys, from behind the key that `out` begins with. Blocking.
    ///
    /// # Errors
    /// When the log can't be read, or `out` takes no more.
    pub fn read(&self, source: &Source<'_>, asked: &Asked, out: &mut Output<'_>) -> Result<(), ReportError> {
        (self.read)(source, asked, out)?;
        out.taken()
    }
}

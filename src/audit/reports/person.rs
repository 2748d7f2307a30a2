//! Everything that a person ever held: seats held as a user, not those of the devices.

use super::{
    Asked, Asking, Cell, Column, EVIDENCE, Key, Output, POOL, POOL_KEY, Report, ReportError, Source, column, may, must,
};
use crate::domain::ids::Holder;
use crate::domain::report::ReportName;
use crate::domain::subject::Subject;
use crate::domain::time::DAY_MICROS;
use crate::projection::holdings::{Beginning, Holding, Holdings};
use std::ops::ControlFlow;

pub(super) const REPORT: Report = Report {
    name: ReportName::Person,
    about: "Every seat that a user ever held, from when to when, and why it came and went.",
    parameters: &[must(Asking::User), may(Asking::Pool), may(Asking::AsOf)],
    columns: COLUMNS,
    read,
};

const COLUMNS: &[Column] = &[
    column("user", "The user's id"),
    POOL,
    POOL_KEY,
    column("began_at", "When the seat was granted, or first seen"),
    column("began_because", "What it was granted for, or seen_at_store"),
    column("first_used_at", "When the app was first in use under it; empty if it never was"),
    column("ended_at", "When the seat was gone; empty while it is held"),
    column("ended_because", "Why it went"),
    column("days", "Whole days held, up to the point that is looked at"),
    EVIDENCE,
];

fn read(source: &Source<'_>, asked: &Asked, out: &mut Output<'_>) -> Result<(), ReportError> {
    let Some(user) = asked.user else { return Ok(()) };
    let mut fold = Holdings::new(Holder::User(user));
    let mut holdings = Vec::new();
    source.each_event(Subject::User(user), 0..source.position + 1, |recorded| {
        holdings.extend(fold.take(recorded));
        ControlFlow::Continue(())
    })?;
    holdings.extend(fold.into_open());
    holdings.retain(|holding: &Holding| asked.pool.is_none_or(|pool| pool == holding.pool));
    holdings.sort_by_key(|holding| holding.began_position);
    for holding in holdings {
        let key = Key(holding.began_position, 0, 0);
        let Some(label) = source.label(holding.pool)? else { continue };
        let (ended_at, cause) = holding.ended.map(|(_, at, cause)| (at, cause)).unzip();
        let micros = ended_at.unwrap_or(source.until).0 - holding.began_at.0;
        let beginning = match holding.beginning {
            Beginning::Granted(cause) => Cell::word(&cause),
            Beginning::SeenAtStore => Cell::Word("seen_at_store"),
        };
        let cells = vec![
            Cell::id(user),
            Cell::id(holding.pool),
            Cell::id(&label.key),
            Cell::Time(holding.began_at),
            beginning,
            Cell::or_nothing(holding.first_used_at, Cell::Time),
            Cell::or_nothing(ended_at, Cell::Time),
            Cell::or_nothing(cause, |cause| Cell::word(&cause)),
            Cell::Count(u64::try_from(micros / DAY_MICROS).unwrap_or(0)),
            Cell::evidence(holding.positions),
        ];
        if out.row(key, cells).is_break() {
            break;
        }
    }
    Ok(())
}

//! Why a count is what it is: the events that changed it, in order, each with what it added and what came of it.

use super::hindsight::{Moment, each_pool_event_at};
use super::sentence::{actor_name, sentence};
use super::tally;
use crate::domain::command::Door;
use crate::domain::event::{Event, Recorded};
use crate::domain::facts::Owned;
use crate::domain::ids::{PoolId, TenantId};
use crate::domain::time::Time;
use crate::ledger::{Ledger, ReadError};
use crate::projection::figures::{Figures, PoolFigures};
use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

/// A count of a pool that can be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    Owned,
    Held,
    Reserved,
    InUse,
    Releasing,
    Foreign,
    Free,
    OverBy,
    Queued,
    Installed,
    Unlicensed,
    Refused,
}

impl Figure {
    pub const ALL: [Self; 12] = [
        Self::Owned,
        Self::Held,
        Self::Reserved,
        Self::InUse,
        Self::Releasing,
        Self::Foreign,
        Self::Free,
        Self::OverBy,
        Self::Queued,
        Self::Installed,
        Self::Unlicensed,
        Self::Refused,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Owned => "owned",
            Self::Held => "held",
            Self::Reserved => "reserved",
            Self::InUse => "in_use",
            Self::Releasing => "releasing",
            Self::Foreign => "foreign",
            Self::Free => "free",
            Self::OverBy => "over_by",
            Self::Queued => "queued",
            Self::Installed => "installed",
            Self::Unlicensed => "unlicensed",
            Self::Refused => "refused",
        }
    }

    #[must_use]
    pub fn of(self, figures: &Figures) -> Owned {
        match self {
            Self::Owned => figures.owned,
            Self::Free => figures.free,
            Self::Held => Owned::Count(figures.held),
            Self::Reserved => Owned::Count(figures.reserved),
            Self::InUse => Owned::Count(figures.in_use),
            Self::Releasing => Owned::Count(figures.releasing),
            Self::Foreign => Owned::Count(figures.foreign),
            Self::OverBy => Owned::Count(figures.over_by),
            Self::Queued => Owned::Count(figures.queued),
            Self::Installed => Owned::Count(figures.installed),
            Self::Unlicensed => Owned::Count(figures.unlicensed),
            Self::Refused => Owned::Count(figures.refused),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Figure {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|figure| figure.name() == text);
        found.ok_or_else(|| format!("there is no such figure; use one of {}", names()))
    }
}

/// One event that changed the figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub position: u64,
    pub recorded_at: Time,
    pub occurred_at: Option<Time>,
    /// `root`, `ledger` or `token_3`.
    pub actor: String,
    pub door: Door,
    pub command_id: Option<String>,
    pub reason: Option<String>,
    /// What happened, for a person.
    pub sentence: String,
    /// What the event added; `None` where the figure was or became unlimited.
    pub delta: Option<i64>,
    /// The figure just after the event.
    pub value: Owned,
}

/// A page of the events behind a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    pub steps: Vec<Step>,
    /// Ask again with `after` set to this for the next page.
    pub next_after: Option<u64>,
    /// The figure at the position that was asked about.
    pub value: Owned,
}

/// The events that count at a moment and changed the figure, from behind position `after` on, at most `limit`. A pool that
/// was not yet listed has no events and counts 0. Reads the events of the page alone, except in hindsight. Blocking.
///
/// # Errors
/// When there is no such tenant or position, or the log can't be read.
pub fn explain(
    ledger: &Ledger,
    tenant: TenantId,
    pool: PoolId,
    figure: Figure,
    moment: Moment,
    after: Option<u64>,
    limit: usize,
) -> Result<Explanation, ReadError> {
    if moment.known.is_some() {
        return explain_in_hindsight(ledger, tenant, pool, figure, moment, after, limit);
    }
    let Some(tally) = tally(ledger, tenant, pool, moment.position)? else {
        return Ok(Explanation { steps: Vec::new(), next_after: None, value: Owned::Count(0) });
    };
    let past = ledger.past();
    let value_at = |position| tally.figures_at(position, &past).map_or(Owned::Count(0), |figures| figure.of(&figures));
    let mut value = after.map_or(Owned::Count(0), value_at);
    let first = after.map_or(0, |after| after.saturating_add(1));
    let until = tally.figures_from(first, &past).take_while(|(position, _)| *position <= moment.position);
    let mut changes = until.filter_map(|(position, figures)| {
        let before = std::mem::replace(&mut value, figure.of(&figures));
        let is_beginning = position == tally.listed_position();
        (before != value || is_beginning).then_some((position, before, value))
    });
    let page: Vec<(u64, Owned, Owned)> = changes.by_ref().take(limit).collect();
    let is_more = past.checked(changes.next().is_some())?;
    let positions: Vec<u64> = page.iter().map(|(position, ..)| *position).collect();
    let events = ledger.events_at(tenant, &positions)?;
    let steps: Vec<Step> =
        events.iter().zip(&page).map(|(recorded, (_, before, value))| Step::of(recorded, *before, *value)).collect();
    let next_after = steps.last().filter(|_| is_more).map(|step| step.position);
    Ok(Explanation { steps, next_after, value: past.checked(value_at(moment.position))? })
}

/// The same as it was known later: every event about the pool is read.
fn explain_in_hindsight(
    ledger: &Ledger,
    tenant: TenantId,
    pool: PoolId,
    figure: Figure,
    moment: Moment,
    after: Option<u64>,
    limit: usize,
) -> Result<Explanation, ReadError> {
    let mut fold = PoolFigures::in_hindsight(pool);
    let mut value = figure.of(&fold.figures());
    let mut steps: Vec<Step> = Vec::new();
    let mut is_more = false;
    each_pool_event_at(ledger, tenant, pool, moment, |recorded| {
        fold.take(&recorded.event);
        let before = std::mem::replace(&mut value, figure.of(&fold.figures()));
        // a pool begins with its listing, whatever it counts then
        let is_beginning = matches!(recorded.event, Event::PoolListed { pool: listed, .. } if listed == pool);
        if (before == value && !is_beginning) || after.is_some_and(|after| recorded.position <= after) {
            return ControlFlow::Continue(());
        }
        if steps.len() < limit {
            steps.push(Step::of(recorded, before, value));
        } else {
            is_more = true;
        }
        ControlFlow::Continue(())
    })?;
    let next_after = steps.last().filter(|_| is_more).map(|step| step.position);
    Ok(Explanation { steps, next_after, value })
}

impl Step {
    fn of(recorded: &Recorded, before: Owned, value: Owned) -> Self {
        let envelope = &recorded.envelope;
        Self {
            position: recorded.position,
            recorded_at: envelope.recorded_at,
            occurred_at: envelope.occurred_at,
            actor: actor_name(envelope.actor),
            door: envelope.door,
            command_id: envelope.command_id.clone(),
            reason: envelope.reason.clone(),
            sentence: sentence(&recorded.event),
            delta: difference(before, value),
            value,
        }
    }
}

fn difference(before: Owned, after: Owned) -> Option<i64> {
    let (Owned::Count(before), Owned::Count(after)) = (before, after) else { return None };
    i64::try_from(i128::from(after) - i128::from(before)).ok()
}

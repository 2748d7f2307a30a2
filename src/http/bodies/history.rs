//! Refusals, digests, and counts over time, as answers show them.

use super::people::TargetView;
use crate::audit::explain::Step;
use crate::audit::sentence::actor_name;
use crate::audit::timeline::{DayPoint, Point};
use crate::domain::asked::CommandKind;
use crate::domain::command::Door;
use crate::domain::event::{Event, Recorded};
use crate::domain::rejection::{Figures, Rejection, RejectionClass};
use crate::domain::time::{Day, Time};
use crate::http::problem::owned_json;
use crate::http::wire::text::OwnedWord;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// The state in 32 bytes
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct DigestBody {
    /// In hexadecimal digits
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub(in crate::http) digest: String,
    pub(in crate::http) position: u64,
}

/// A command that a rule refused, and how often the same was asked
#[derive(Serialize, ToSchema)]
#[schema(as = Refusal)]
pub(in crate::http) struct RefusalBody {
    pub(in crate::http) position: u64,
    #[schema(value_type = String, format = DateTime)]
    recorded_at: Time,
    #[schema(value_type = Option<String>, format = DateTime)]
    occurred_at: Option<Time>,
    actor: String,
    #[schema(value_type = String)]
    door: Door,
    command_id: Option<String>,
    #[schema(value_type = String)]
    command: CommandKind,
    pool: Option<String>,
    holder: Option<String>,
    /// Whom it was to be assigned to
    target: Option<TargetView>,
    /// The name of the rule, as a problem's type has it
    reason: &'static str,
    /// The pool's figures at that moment, where seats are what is missing
    figures: Option<RefusalFigures>,
    /// The batch that was undone because of it. The figures are then those that the commands before it had left
    batch: Option<RefusedBatch>,
    /// How often: 1, and the repeats that were counted
    pub(in crate::http) times: u64,
}

#[derive(Serialize, ToSchema)]
struct RefusedBatch {
    /// The command's place in it, from 0
    place: u32,
    commands: u32,
}

#[derive(Serialize, ToSchema)]
struct RefusalFigures {
    #[schema(value_type = OwnedWord)]
    owned: Value,
    held: u64,
    #[schema(value_type = OwnedWord)]
    free: Value,
    queued: u64,
    short_by: Option<u64>,
}

impl RefusalBody {
    /// `None` for an event that is no refusal: a receipt of a command that named nothing real or made no sense is none.
    pub(in crate::http) fn of(recorded: &Recorded) -> Option<Self> {
        let (Event::CommandRefused { command, pool, holder, target, rejection }
        | Event::BatchRefused { place: _, commands: _, command, pool, holder, target, rejection }) = &recorded.event
        else {
            return None;
        };
        let batch = if let Event::BatchRefused { place, commands, .. } = recorded.event {
            Some(RefusedBatch { place, commands })
        } else {
            None
        };
        let envelope = &recorded.envelope;
        (rejection.class() == RejectionClass::Conflict).then(|| Self {
            position: recorded.position,
            recorded_at: envelope.recorded_at,
            occurred_at: envelope.occurred_at,
            actor: actor_name(envelope.actor),
            door: envelope.door,
            command_id: envelope.command_id.clone(),
            command: *command,
            pool: pool.map(|pool| pool.to_string()),
            holder: holder.map(|holder| holder.to_string()),
            target: target.map(Into::into),
            reason: rejection.name(),
            figures: figures(rejection),
            batch,
            times: 1,
        })
    }
}

fn figures(rejection: &Rejection) -> Option<RefusalFigures> {
    let (figures, short_by): (&Figures, _) = if let Rejection::NotEnoughSeats { figures, short_by, .. } = rejection {
        (figures, Some(*short_by))
    } else if let Rejection::NoSeatAvailable { figures, .. } = rejection {
        (figures, Some(1))
    } else if let Rejection::RefundExceedsFreeSeats { figures, .. } = rejection {
        (figures, None)
    } else {
        return None;
    };
    Some(RefusalFigures {
        owned: owned_json(figures.owned),
        held: figures.held,
        free: owned_json(figures.free()),
        queued: figures.queued,
        short_by,
    })
}

/// An event that changed a figure
#[derive(Serialize, ToSchema)]
#[schema(as = Step)]
pub(in crate::http) struct StepBody {
    position: u64,
    #[schema(value_type = String, format = DateTime)]
    recorded_at: Time,
    #[schema(value_type = Option<String>, format = DateTime)]
    occurred_at: Option<Time>,
    actor: String,
    #[schema(value_type = String)]
    door: Door,
    command_id: Option<String>,
    reason: Option<String>,
    /// What happened, for a person
    sentence: String,
    /// What the event added; null where the figure was or became unlimited
    delta: Option<i64>,
    /// The figure just after the event
    #[schema(value_type = OwnedWord)]
    value: Value,
}

impl From<Step> for StepBody {
    fn from(step: Step) -> Self {
        let Step { position, recorded_at, occurred_at, actor, door, command_id, reason, sentence, delta, value } = step;
        let value = owned_json(value);
        Self { position, recorded_at, occurred_at, actor, door, command_id, reason, sentence, delta, value }
    }
}

/// The events behind a figure, in order
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ExplanationBody {
    pool: String,
    figure: String,
    /// The figure at `position`
    #[schema(value_type = OwnedWord)]
    value: Value,
    items: Vec<StepBody>,
    #[schema(required)]
    next_cursor: Option<String>,
    position: u64,
}

/// Counts just after an event, or at the end of a day in UTC
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct TimelinePoint {
    /// Of the last event that changed anything
    position: u64,
    /// Of a point
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    recorded_at: Option<Time>,
    /// Of a point as it was known later: when the event occurred, as far as that counts
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    placed_at: Option<Time>,
    /// Of a day
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    day: Option<Day>,
    #[schema(value_type = OwnedWord)]
    owned: Value,
    held: u64,
    #[schema(value_type = OwnedWord)]
    free: Value,
    /// Of a day: the most that was held at any moment of it
    #[serde(skip_serializing_if = "Option::is_none")]
    held_max: Option<u64>,
}

impl From<Point> for TimelinePoint {
    fn from(point: Point) -> Self {
        let Point { position, recorded_at, placed_at, owned, held, free } = point;
        let (owned, free) = (owned_json(owned), owned_json(free));
        Self { position, recorded_at: Some(recorded_at), placed_at, day: None, owned, held, free, held_max: None }
    }
}

impl From<DayPoint> for TimelinePoint {
    fn from(point: DayPoint) -> Self {
        let DayPoint { day, position, owned, held, free, held_max } = point;
        let (owned, free) = (owned_json(owned), owned_json(free));
        Self {
            position,
            recorded_at: None,
            placed_at: None,
            day: Some(day),
            owned,
            held,
            free,
            held_max: Some(held_max),
        }
    }
}

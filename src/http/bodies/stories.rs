//! Explanations in sentences and as data: how a holder came to a seat or to none, and why a command was refused.

use super::history::RefusalBody;
use crate::audit::events::EventView;
use crate::audit::sentence::{cause_words, sentence};
use crate::audit::story::{Standing, WaitsFor};
use crate::audit::why_not::WhyNot;
use crate::domain::event::Recorded;
use crate::domain::state::SeatState;
use crate::http::problem::owned_json;
use crate::http::problem_pages;
use crate::http::wire::text::OwnedWord;
use crate::ledger::Ledger;
use crate::projection::figures::Figures;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// An event, and what it says to a person
#[derive(Serialize, ToSchema)]
#[schema(as = ToldEvent)]
pub(in crate::http) struct ToldBody {
    sentence: String,
    #[serde(flatten)]
    event: EventView,
}

impl ToldBody {
    pub(in crate::http) fn of(ledger: &Ledger, recorded: &Recorded) -> Self {
        Self { sentence: sentence(&recorded.event), event: EventView::of(ledger, recorded) }
    }
}

/// How a holder stands with a pool, and the events that brought it there
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct SeatStoryBody {
    pool: String,
    holder: String,
    /// What the events come to, for a person
    sentence: String,
    standing: StandingWord,
    /// The state of the seat, where one is held
    #[schema(value_type = Option<String>)]
    seat: Option<SeatState>,
    /// The position that brought the standing about
    since_position: Option<u64>,
    /// The newest refusal that names pool and holder; `GET /refusals/{position}/explain` says why
    refused_at: Option<u64>,
    items: Vec<ToldBody>,
    #[schema(required)]
    next_cursor: Option<String>,
    position: u64,
}

/// Where a holder stands with a pool
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum StandingWord {
    Never,
    Holds,
    Waits,
    Lapsed,
    GaveBack,
    LeftTheQueue,
}

impl StandingWord {
    /// The word, the seat's state, and the sentence.
    pub(in crate::http) fn of(standing: Standing, who: &str, since: Option<u64>) -> (Self, Option<SeatState>, String) {
        let since = since.map(|position| format!(" (position {position})")).unwrap_or_default();
        match standing {
            Standing::Never => {
                (Self::Never, None, format!("{who} has never held a seat of this pool, nor waited for one"))
            }
            Standing::Holds(state) => {
                let word = match state {
                    SeatState::Reserved => "reserved and not installed",
                    SeatState::InUse => "in use",
                    SeatState::Releasing => "being released, and counted until the provider confirms it",
                    SeatState::Foreign => "given by someone else at the store",
                };
                (Self::Holds, Some(state), format!("{who} holds a seat: {word}{since}"))
            }
            Standing::Waits(waits_for) => {
                let why = match waits_for {
                    WaitsFor::Seat => "none is free",
                    WaitsFor::Resumption => "the pool is suspended, and grants nothing until it is resumed",
                    WaitsFor::Serving => {
                        "the queue is paused until the next complete sync: the provider had not enough"
                    }
                };
                (Self::Waits, None, format!("{who} waits for a seat{since}: {why}"))
            }
            Standing::Lapsed(cause) => {
                let said = "gets none by itself again: a new assignment, an install or a grant would give one";
                (Self::Lapsed, None, format!("{who} lost the seat, {}{since}, and {said}", cause_words(cause)))
            }
            Standing::GaveBack(cause) => {
                (Self::GaveBack, None, format!("{who} holds no seat any more: {}{since}", cause_words(cause)))
            }
            Standing::LeftTheQueue(cause) => (
                Self::LeftTheQueue,
                None,
                format!("{who} left the queue without a seat: {}{since}", cause_words(cause)),
            ),
        }
    }
}

/// Why a command was refused
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct WhyNotBody {
    refusal: RefusalBody,
    /// What was refused, for a person
    sentence: String,
    /// What the rule means, and what helps
    cause: &'static str,
    fix: &'static str,
    /// The pool's figures at the refusal's position
    figures: Option<FiguresThen>,
    /// For lack of seats: the event that took the last one; none was free since
    last_seat: Option<ToldBody>,
    /// The event that brought about what the rule met, where the history tells it for certain
    because: Option<ToldBody>,
}

/// A pool's counts at a position
#[derive(Serialize, ToSchema)]
struct FiguresThen {
    #[schema(value_type = OwnedWord)]
    owned: Value,
    held: u64,
    reserved: u64,
    in_use: u64,
    releasing: u64,
    foreign: u64,
    #[schema(value_type = OwnedWord)]
    free: Value,
    over_by: u64,
    queued: u64,
}

impl WhyNotBody {
    /// `None` for what is no refusal.
    pub(in crate::http) fn of(ledger: &Ledger, why: &WhyNot) -> Option<Self> {
        let page = problem_pages::find(why.rejection.name())?;
        let then = |figures: Figures| FiguresThen {
            owned: owned_json(figures.owned),
            held: figures.held,
            reserved: figures.reserved,
            in_use: figures.in_use,
            releasing: figures.releasing,
            foreign: figures.foreign,
            free: owned_json(figures.free),
            over_by: figures.over_by,
            queued: figures.queued,
        };
        let told = |recorded: &Option<Recorded>| recorded.as_ref().map(|recorded| ToldBody::of(ledger, recorded));
        Some(Self {
            refusal: RefusalBody::of(&why.refusal)?,
            sentence: sentence(&why.refusal.event),
            cause: page.cause,
            fix: page.fix,
            figures: why.figures.map(then),
            last_seat: told(&why.last_seat),
            because: told(&why.because),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_hears_for_what() {
        let said = |waits_for| StandingWord::of(Standing::Waits(waits_for), "user_1", Some(9)).2;
        assert_eq!(said(WaitsFor::Seat), "user_1 waits for a seat (position 9): none is free");
        for (waits_for, why) in [(WaitsFor::Resumption, "the pool is suspended"), (WaitsFor::Serving, "is paused")] {
            let said = said(waits_for);
            assert!(said.contains(why) && !said.contains("free"), "{said}");
        }
    }
}

//! The times during which something held of a pool, from the event that began it to the one that ended it.

use super::ReportError;
use super::courses::{Condition, Part, Step, at, each_turn_back, walk};
use super::source::{Label, Source};
use crate::audit::READ_EVENTS_MAX;
use crate::audit::part::seats::queue;
use crate::domain::command::Envelope;
use crate::domain::event::{Event, Recorded, Target};
use crate::domain::facts::GrantCause;
use crate::domain::ids::Holder;
use crate::domain::time::Time;
use crate::projection::courses::Course;
use crate::projection::holders::seat_of;
use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};

/// So many of those who waited are named.
const WAITING_MAX: usize = 20;

/// One time, as far as it lies in the period.
#[derive(Debug, Clone)]
pub(in crate::audit) struct Interval {
    pub(in crate::audit) began_position: u64,
    pub(in crate::audit) began_at: Time,
    /// What began it; it may stand before the period.
    pub(in crate::audit) began_by: Event,
    pub(in crate::audit) ended: Option<(u64, Time)>,
    /// The course at which `over_by` was at its most.
    pub(in crate::audit) worst: Course,
    /// Holders who were queued or refused for lack of a seat while it lasted, the first ones of them.
    pub(super) waiting: Vec<Holder>,
    pub(super) waiting_count: u64,
    pub(super) refused: u64,
    waited: BTreeSet<Holder>,
}

impl Interval {
    fn begun(recorded: &Recorded, course: Course, queue: Vec<Holder>) -> Self {
        let mut begun = Self {
            began_position: recorded.position,
            began_at: recorded.envelope.recorded_at,
            began_by: recorded.event.clone(),
            ended: None,
            worst: course,
            waiting: Vec::new(),
            waiting_count: 0,
            refused: 0,
            waited: BTreeSet::new(),
        };
        queue.into_iter().for_each(|holder| begun.waits(holder));
        begun
    }

    /// The holder who took the seat with which it began.
    pub(super) fn begun_by_seat_of(&self) -> Option<Holder> {
        seat_of(&self.began_by).map(|(_, holder)| holder)
    }

    fn notes(&mut self, event: &Event) {
        let holder = if let Event::CommandRefused { holder, target, rejection, .. }
        | Event::BatchRefused { holder, target, rejection, .. } = event
            && rejection.is_for_lack_of_seats()
        {
            self.refused += 1;
            // of an assignment it is said whom it was for, and not who would hold the seat
            holder.or(target.and_then(one_of))
        } else if let Event::Queued { holder, .. } = event {
            Some(*holder)
        } else {
            None
        };
        if let Some(holder) = holder {
            self.waits(holder);
        }
    }

    fn waits(&mut self, holder: Holder) {
        if self.waited.insert(holder) {
            self.waiting_count += 1;
            if self.waiting.len() < WAITING_MAX {
                self.waiting.push(holder);
            }
        }
    }

    fn is_at(&mut self, course: Course) {
        if course.over_by() > self.worst.over_by() {
            self.worst = course;
        }
    }
}

fn one_of(target: Target) -> Option<Holder> {
    match target {
        Target::User(user) => Some(user.into()),
        Target::Device(device) => Some(device.into()),
        Target::Group { .. } => None,
    }
}

/// Those of a period, in the order in which they began, also what had begun before it and what goes on.
pub(in crate::audit) fn intervals(
    source: &Source<'_>,
    label: &Label,
    condition: Condition,
    positions: Range<u64>,
    each: &mut dyn FnMut(Interval) -> ControlFlow<()>,
) -> Result<(), ReportError> {
    let before = positions.start.checked_sub(1);
    let mut following = Following { source, label, condition, before, open: None, ended: None, each };
    following.goes_on_with_what_began_before()?;
    let (mut is_enough, mut failed) = (false, None);
    walk(source, label, positions, |stretch, extremes| condition.matters_in(stretch, extremes), &mut |part| {
        let Part::Step(step) = part else { return ControlFlow::Continue(()) };
        let flow = following.take(&step).unwrap_or_else(|error| {
            failed = Some(error);
            ControlFlow::Break(())
        });
        is_enough = flow.is_break();
        flow
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    if !is_enough && following.tell_ended().is_continue() {
        let _enough = following.open.take().map(following.each);
    }
    Ok(())
}

/// A condition that is followed through a pool's events.
struct Following<'s, 'e> {
    source: &'s Source<'s>,
    label: &'s Label,
    condition: Condition,
    /// The last position before the period.
    before: Option<u64>,
    open: Option<Interval>,
    /// What ended last, where, and the envelope of that: what follows of the same command may go on with it.
    ended: Option<(Interval, u64, Envelope)>,
    each: &'e mut dyn FnMut(Interval) -> ControlFlow<()>,
}

impl Following<'_, '_> {
    fn goes_on_with_what_began_before(&mut self) -> Result<(), ReportError> {
        let Some(before) = self.before else { return Ok(()) };
        let course = at(self.source, self.label, before)?.filter(|course| self.condition.holds(Some(course)));
        if let Some(course) = course
            && let Some(begun) = self.begun_first(before, None)?
        {
            self.open = Some(Interval::begun(&begun, course, self.queue_at(before)?));
        }
        Ok(())
    }

    fn take(&mut self, step: &Step<'_>) -> Result<ControlFlow<()>, ReportError> {
        let (recorded, holds) = (step.recorded, self.condition.holds(step.after.as_ref()));
        if let Some((_, ended, ended_by)) = &self.ended {
            let is_over = *ended_by != recorded.envelope || (holds && !self.is_given_on(*ended, recorded)?);
            if is_over && self.tell_ended().is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        match (self.open.take(), step.after) {
            (None, Some(course)) if holds => self.open = Some(self.begins(recorded, course)?),
            (Some(mut interval), Some(course)) if holds => {
                interval.notes(&recorded.event);
                interval.is_at(course);
                self.open = Some(interval);
            }
            (Some(mut interval), _) => {
                interval.ended = Some((recorded.position, recorded.envelope.recorded_at));
                self.ended = Some((interval, recorded.position, recorded.envelope.clone()));
                if !self.condition.outlasts_a_command() {
                    return Ok(self.tell_ended());
                }
            }
            (None, _) => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    fn tell_ended(&mut self) -> ControlFlow<()> {
        self.ended.take().map_or(ControlFlow::Continue(()), |(interval, ..)| (self.each)(interval))
    }

    /// What is not over yet, or a new one.
    fn begins(&mut self, recorded: &Recorded, course: Course) -> Result<Interval, ReportError> {
        if let Some((mut interval, ..)) = self.ended.take() {
            interval.ended = None;
            interval.is_at(course);
            return Ok(interval);
        }
        // the period may begin within the command
        if let Some(before) = self.before
            && let Some(last) = recorded.position.checked_sub(1)
            && self.is_given_on(last, recorded)?
            && let Some(begun) = self.begun_first(last, Some(recorded))?
        {
            return Ok(Interval::begun(&begun, course, self.queue_at(before)?));
        }
        Ok(Interval::begun(recorded, course, self.queue_at(recorded.position)?))
    }

    /// The event with which began what holds at a position, or what ended before it and goes on with another.
    fn begun_first(&self, position: u64, next: Option<&Recorded>) -> Result<Option<Recorded>, ReportError> {
        let (mut next, mut begun) = (next.cloned(), None);
        each_turn_back(self.source, self.label, self.condition, position, |holds, recorded| {
            let may_go_on = if holds {
                let last = recorded.position.saturating_sub(1);
                let may_go_on = self.is_given_on(last, &recorded)?;
                begun = Some(recorded.clone());
                next = Some(recorded);
                may_go_on
            } else {
                let is_of_it = |next: &&Recorded| next.envelope == recorded.envelope;
                let next = next.as_ref().filter(is_of_it);
                next.map_or(Ok(false), |next| self.is_given_on(recorded.position, next))?
            };
            Ok(if may_go_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        Ok(begun)
    }

    /// Whether a command gave a seat to the next holder that it had freed itself, at a position or later. Records do not say
    /// of which command they are; those of one stand together and have one envelope.
    fn is_given_on(&self, freed: u64, granted: &Recorded) -> Result<bool, ReportError> {
        let Event::SeatGranted { cause: GrantCause::Queue | GrantCause::Regrant | GrantCause::Coverage, .. } =
            &granted.event
        else {
            return Ok(false);
        };
        if !self.condition.outlasts_a_command() {
            return Ok(false);
        }
        let mut next = freed;
        while next < granted.position {
            let limit = usize::try_from(granted.position - next).unwrap_or(usize::MAX).min(READ_EVENTS_MAX);
            let between = self.source.ledger.events(self.source.tenant, next, limit)?;
            self.source.work.set(self.source.work.get() + between.len() as u64);
            if between.is_empty() || between.iter().any(|recorded| recorded.envelope != granted.envelope) {
                return Ok(false);
            }
            next += between.len() as u64;
        }
        Ok(true)
    }

    fn queue_at(&self, position: u64) -> Result<Vec<Holder>, ReportError> {
        match self.condition {
            Condition::Over => Ok(Vec::new()),
            Condition::SoldOut => {
                let (source, pool) = (self.source, self.label.pool);
                let queue = queue(source.ledger, (source.tenant, position), pool)?;
                source.work.set(source.work.get() + queue.len() as u64);
                Ok(queue)
            }
        }
    }
}

//! The times during which something held of a pool, from the event that began it to the one that ended it.

use super::ReportError;
use super::courses::{Condition, Part, at, began, walk};
use super::source::{Label, Source};
use crate::domain::event::{Event, Recorded};
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
    fn begun(recorded: &Recorded, course: Course) -> Self {
        Self {
            began_position: recorded.position,
            began_at: recorded.envelope.recorded_at,
            began_by: recorded.event.clone(),
            ended: None,
            worst: course,
            waiting: Vec::new(),
            waiting_count: 0,
            refused: 0,
            waited: BTreeSet::new(),
        }
    }

    /// The holder who took the seat with which it began.
    pub(super) fn begun_by_seat_of(&self) -> Option<Holder> {
        seat_of(&self.began_by).map(|(_, holder)| holder)
    }

    fn notes(&mut self, event: &Event) {
        let holder = if let Event::CommandRefused { holder, rejection, .. }
        | Event::BatchRefused { holder, rejection, .. } = event
            && rejection.is_for_lack_of_seats()
        {
            self.refused += 1;
            *holder
        } else if let Event::Queued { holder, .. } = event {
            Some(*holder)
        } else {
            None
        };
        if let Some(holder) = holder.filter(|holder| self.waited.insert(*holder)) {
            self.waiting_count += 1;
            if self.waiting.len() < WAITING_MAX {
                self.waiting.push(holder);
            }
        }
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
    let start = positions.start.checked_sub(1).map(|before| at(source, label, before)).transpose()?.flatten();
    let mut open = match (start, positions.start.checked_sub(1)) {
        (Some(course), Some(before)) if condition.holds(Some(&course)) => {
            began(source, label, condition, before)?.map(|recorded| Interval::begun(&recorded, course))
        }
        (_, _) => None,
    };
    let mut is_enough = false;
    walk(source, label, positions, |stretch, extremes| condition.matters_in(stretch, extremes), &mut |part| {
        let Part::Step(step) = part else { return ControlFlow::Continue(()) };
        let holds = condition.holds(step.after.as_ref());
        match (&mut open, step.after) {
            (None, Some(course)) if holds => open = Some(Interval::begun(step.recorded, course)),
            (Some(interval), Some(course)) if holds => {
                interval.notes(&step.recorded.event);
                if course.over_by() > interval.worst.over_by() {
                    interval.worst = course;
                }
            }
            (Some(interval), _) => {
                interval.ended = Some((step.recorded.position, step.recorded.envelope.recorded_at));
                let flow = open.take().map_or(ControlFlow::Continue(()), &mut *each);
                is_enough = flow.is_break();
                return flow;
            }
            (None, _) => {}
        }
        ControlFlow::Continue(())
    })?;
    if let Some(interval) = open.filter(|_| !is_enough) {
        let _enough = each(interval);
    }
    Ok(())
}

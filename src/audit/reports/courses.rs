//! A pool's course read from its marks: where it stood, and step by step where that matters.

use super::ReportError;
use super::source::{Label, Source};
use crate::domain::event::Recorded;
use crate::domain::subject::Subject;
use crate::domain::time::Time;
use crate::projection::change::Change;
use crate::projection::courses::{Course, Extremes, Stretch};
use std::ops::{ControlFlow, Range};

/// What may hold of a pool for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::audit) enum Condition {
    Over,
    SoldOut,
}

impl Condition {
    pub(super) fn holds(self, course: Option<&Course>) -> bool {
        course.is_some_and(|course| match self {
            Self::Over => course.over_by() > 0,
            Self::SoldOut => course.is_sold_out(),
        })
    }

    fn ever_holds(self, extremes: &Extremes) -> bool {
        match self {
            Self::Over => extremes.was_over,
            Self::SoldOut => extremes.was_sold_out,
        }
    }

    fn ever_fails(self, extremes: &Extremes) -> bool {
        match self {
            Self::Over => extremes.was_within,
            Self::SoldOut => extremes.was_not_sold_out,
        }
    }

    /// Whether what a command ends and goes on with was not over: nobody could take the seat of a sell-out in between.
    pub(super) fn outlasts_a_command(self) -> bool {
        match self {
            Self::Over => false,
            Self::SoldOut => true,
        }
    }

    /// Whether what lies there has to be read event by event to follow the condition.
    pub(super) fn matters_in(self, stretch: &Stretch, extremes: &Extremes) -> bool {
        self.holds(stretch.before.as_ref()) || self.ever_holds(extremes)
    }
}

/// What a walk meets.
pub(super) enum Part<'e> {
    /// Nothing of interest: its extremes say enough.
    Passed(Extremes),
    Step(Step<'e>),
}

/// One event about the pool, and the course behind it.
pub(super) struct Step<'e> {
    pub(super) recorded: &'e Recorded,
    pub(super) after: Option<Course>,
}

pub(super) fn stepped(course: Option<Course>, label: &Label, recorded: &Recorded) -> Option<Course> {
    let Some((pool, change)) = Change::of(&recorded.event).filter(|(pool, _)| *pool == label.pool) else {
        return course;
    };
    debug_assert_eq!(pool, label.pool, "an event of another pool");
    match (course, change) {
        (None, Change::Listed { owned, distribution_policy, .. }) => {
            Some(Course::listed(owned, distribution_policy, recorded.position))
        }
        (Some(mut course), change) => {
            course.take(change, recorded.position);
            Some(course)
        }
        (None, _) => None,
    }
}

/// Just after a position; `None` before the pool was listed.
pub(in crate::audit) fn at(source: &Source<'_>, label: &Label, position: u64) -> Result<Option<Course>, ReportError> {
    if position >= label.head {
        return Ok(Some(label.course.now));
    }
    let positions = position..position + 1;
    let Some(stretch) = label.course.stretches(&positions).into_iter().next() else { return Ok(None) };
    let mut course = stretch.before;
    source.each_event(Subject::Pool(label.pool), stretch.positions.start..positions.end, |recorded| {
        course = stepped(course, label, recorded);
        ControlFlow::Continue(())
    })?;
    Ok(course)
}

/// Meets everything within some positions in order, until `each` has enough. A stretch that lies within them whole is read
/// only where `matters` says so.
pub(super) fn walk(
    source: &Source<'_>,
    label: &Label,
    positions: Range<u64>,
    matters: impl Fn(&Stretch, &Extremes) -> bool,
    each: &mut dyn FnMut(Part<'_>) -> ControlFlow<()>,
) -> Result<(), ReportError> {
    for stretch in label.course.stretches(&positions) {
        let is_within = positions.start <= stretch.positions.start && stretch.positions.end <= positions.end;
        if let Some(extremes) = stretch.extremes.filter(|extremes| is_within && !matters(&stretch, extremes)) {
            if each(Part::Passed(extremes)).is_break() {
                return Ok(());
            }
            continue;
        }
        let (mut course, mut is_enough) = (stretch.before, false);
        let read = stretch.positions.start..stretch.positions.end.min(positions.end);
        source.each_event(Subject::Pool(label.pool), read, |recorded| {
            course = stepped(course, label, recorded);
            if recorded.position < positions.start {
                return ControlFlow::Continue(());
            }
            let flow = each(Part::Step(Step { recorded, after: course }));
            is_enough = flow.is_break();
            flow
        })?;
        if is_enough {
            return Ok(());
        }
    }
    Ok(())
}

/// The events up to a position with which a condition began to hold (`true`) or ceased to, the last one first, until `each`
/// has enough.
pub(super) fn each_turn_back(
    source: &Source<'_>,
    label: &Label,
    condition: Condition,
    position: u64,
    mut each: impl FnMut(bool, Recorded) -> Result<ControlFlow<()>, ReportError>,
) -> Result<(), ReportError> {
    for stretch in label.course.stretches(&(0..position + 1)).into_iter().rev() {
        let is_whole = stretch.positions.end <= position + 1;
        let held_before = condition.holds(stretch.before.as_ref());
        let turns =
            |extremes| if held_before { condition.ever_fails(extremes) } else { condition.ever_holds(extremes) };
        if is_whole && stretch.extremes.as_ref().is_some_and(|extremes| !turns(extremes)) {
            continue;
        }
        let (mut course, mut held, mut turned) = (stretch.before, held_before, Vec::new());
        let read = stretch.positions.start..stretch.positions.end.min(position + 1);
        source.each_event(Subject::Pool(label.pool), read, |recorded| {
            course = stepped(course, label, recorded);
            let holds = condition.holds(course.as_ref());
            if std::mem::replace(&mut held, holds) != holds {
                turned.push((holds, recorded.clone()));
            }
            ControlFlow::Continue(())
        })?;
        for (holds, recorded) in turned.into_iter().rev() {
            if each(holds, recorded)?.is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The positions that say what a course owns and holds.
pub(super) fn evidence(course: &Course) -> impl Iterator<Item = u64> + use<> {
    [Some(course.owned_position), course.held_position].into_iter().flatten()
}

/// Where and when a period's first state is taken from.
pub(super) fn extremes_at_start(course: &Course, since: Time) -> Extremes {
    Extremes::of(course, course.held_position.unwrap_or(course.owned_position), since)
}

//! Which number stands for a subject in the index, and which for an event in the entry of a subject: both stand in files.

use super::{Key, Step};
use crate::domain::command::Actor;
use crate::domain::event::Recorded;
use crate::domain::ids::{DeviceId, Holder, PoolId, UserId};
use crate::domain::placing::{LateStep, Lateness};
use crate::domain::seat_step::SeatStep;
use crate::domain::subject::Subject;
use std::ops::Range;

/// The codes of seats: of one pool together, its users by their ids and then its devices.
const SEATS: u64 = 1 << 63;
const POOL_BITS: u32 = 33;
/// Seats of a pool beyond so many are not told apart from each other; no tenant has as many.
const POOL_MAX: u64 = (1 << 29) - 1;
/// The same of one holder together. From here on an entry says what was done, in the lowest bits of what is its position else.
const HELD: u64 = 1 << 62;
const HOLDER_BITS: u32 = 29;
const STEP_BITS: u32 = 5;
/// What came late of one pool, by how late; of such an entry the lowest bits say which part of the step.
const LATE_KIND: u64 = 10;
const LATE_OF_KIND: u64 = 32;
const LATE_BITS: u32 = 4;
/// What one command does to a pool or to somebody are a few events in a row, and what one caller does are many: one entry tells of
/// all of them, with how many follow the first in its lowest bits.
const ROW_BITS: u32 = 2;
const ROW_BITS_OF_ACTORS: u32 = 5;

/// By kind, then by id; stands in files.
pub(super) fn code(subject: Subject) -> u64 {
    let (kind, id) = match subject {
        Subject::Pool(pool) => (0, pool.0),
        Subject::User(user) => (1, user.0),
        Subject::Device(device) => (2, device.0),
        Subject::Group(group) => (3, group.0),
        Subject::Assignment(assignment) => (4, assignment.0),
        Subject::Actor(Actor::Ledger) => (5, 0),
        Subject::Actor(Actor::Root) => (5, 1),
        Subject::Actor(Actor::Token(token)) => (6, token.0),
        Subject::Refusals => (7, 0),
        Subject::Type(event_type) => (8, u32::from(event_type.number())),
        Subject::Review(review) => (9, review.0),
        Subject::Late(step) => (LATE_KIND, u32::from(step.number())),
        Subject::LateOf(pool, step) => (LATE_OF_KIND + u64::from(step.number()), pool.0),
        Subject::Own(Holder::User(user)) => (20, user.0),
        Subject::Own(Holder::Device(device)) => (21, device.0),
        Subject::Seat(pool, holder) => {
            return SEATS | u64::from(pool.0).min(POOL_MAX) << POOL_BITS | place_of(holder);
        }
        Subject::Held(holder, pool) => return HELD | place_of(holder) << HOLDER_BITS | u64::from(pool.0).min(POOL_MAX),
    };
    kind << 32 | u64::from(id)
}

/// So many numbers [`kind`] gives.
pub(super) const KINDS: usize = 66;

/// Which part of the codes one is in; the parts are in the order of the codes.
pub(super) fn kind(code: u64) -> usize {
    match code {
        SEATS.. => KINDS - 1,
        HELD.. => KINDS - 2,
        _ => usize::try_from(code >> 32).map_or(KINDS - 3, |kind| kind.min(KINDS - 3)),
    }
}

/// Users by their ids, then devices by theirs.
fn place_of(holder: Holder) -> u64 {
    match holder {
        Holder::User(user) => user.0.into(),
        Holder::Device(device) => 1 << 32 | u64::from(device.0),
    }
}

fn holder_at(place: u64) -> Holder {
    let id = u32::try_from(place & u64::from(u32::MAX)).expect("the lower half of a place");
    if place >> 32 & 1 == 0 { Holder::User(UserId(id)) } else { Holder::Device(DeviceId(id)) }
}

/// What an entry may say of an event beside where it stands.
#[derive(Clone, Copy)]
pub(super) struct Marks {
    step: u8,
    late_part: u8,
}

impl Marks {
    pub(super) fn of(recorded: &Recorded) -> Self {
        let step = SeatStep::of(&recorded.event).map_or(0, SeatStep::number);
        Self { step, late_part: Lateness::of(recorded).map_or(0, Lateness::part) }
    }
}

/// In an entry of a code, what the lowest bits of what stands for an event say.
#[derive(Clone, Copy)]
enum Lowest {
    Position,
    Step,
    LatePart,
    /// How many events in a row follow, in so many bits.
    Row(u32),
}

fn lowest(code: u64) -> Lowest {
    match code >> 32 {
        _ if code >= HELD => Lowest::Step,
        // pools, users, devices
        0..=2 => Lowest::Row(ROW_BITS),
        5 | 6 => Lowest::Row(ROW_BITS_OF_ACTORS),
        LATE_KIND | LATE_OF_KIND.. => Lowest::LatePart,
        _ => Lowest::Position,
    }
}

impl Lowest {
    fn bits(self) -> u32 {
        match self {
            Self::Position => 0,
            Self::Step => STEP_BITS,
            Self::LatePart => LATE_BITS,
            Self::Row(bits) => bits,
        }
    }

    fn row_max(self) -> u64 {
        match self {
            Self::Row(bits) => 1 << bits,
            Self::Position | Self::Step | Self::LatePart => 1,
        }
    }
}

/// So many of the lowest bits of what stands for an event are no position.
fn mark_bits(code: u64) -> u32 {
    lowest(code).bits()
}

/// The most events in a row that an entry of a code tells of.
pub(super) fn row_max(code: u64) -> u64 {
    lowest(code).row_max()
}

/// What stands for an event in the entry of a code, and the most events in a row that one tells of.
pub(super) fn stamp_and_row(code: u64, position: u64, marks: Marks) -> (u64, u64) {
    let lowest = lowest(code);
    let mark = match lowest {
        Lowest::Position | Lowest::Row(_) => 0,
        Lowest::Step => marks.step,
        Lowest::LatePart => marks.late_part,
    };
    (position << lowest.bits() | u64::from(mark), lowest.row_max())
}

/// What stands for an event in the entry of a code.
pub(super) fn stamp(code: u64, position: u64, marks: Marks) -> u64 {
    stamp_and_row(code, position, marks).0
}

/// The positions of the row that an entry tells of.
pub(super) fn row_in(code: u64, stamp: u64) -> Range<u64> {
    let first = position_in(code, stamp);
    first..first + 1 + (stamp & (row_max(code) - 1))
}

/// What stands for a row that is longer by one; `None` where no entry tells of so many.
pub(super) fn longer(row: u64, row_max: u64) -> Option<u64> {
    (row & (row_max - 1) < row_max - 1).then(|| row + 1)
}

/// The first stamp of a position.
pub(super) fn first_stamp(code: u64, position: u64) -> u64 {
    position.min(u64::MAX >> mark_bits(code)) << mark_bits(code)
}

pub(super) fn position_in(code: u64, stamp: u64) -> u64 {
    stamp >> mark_bits(code)
}

pub(super) fn holder_in_seat(code: u64) -> Holder {
    holder_at(code & ((1 << POOL_BITS) - 1))
}

/// `None` for a number that no program of this version writes.
pub(super) fn steps_in(stamps: &[(Key, u64)]) -> Option<Vec<Step>> {
    let step = |stamp: u64| SeatStep::from_number(u8::try_from(stamp & ((1 << STEP_BITS) - 1)).ok()?);
    stamps.iter().map(|(_, stamp)| Some((stamp >> STEP_BITS, step(*stamp)?))).collect()
}

/// Which pool of a holder a code of [`Subject::Held`] is of.
pub(super) fn held_in(code: u64) -> Option<(Holder, PoolId)> {
    let code = code & !HELD;
    let pool = PoolId(u32::try_from(code & POOL_MAX).ok()?);
    Some((holder_at(code >> HOLDER_BITS), pool))
}

/// The pool with the last code of a holder.
pub(super) fn last_pool() -> PoolId {
    u32::try_from(POOL_MAX).map(PoolId).expect("fewer bits than an id has")
}

/// Of what stands for a fact that came late by a step, where it stands and how late it was.
pub(super) fn late_in(code: u64, step: LateStep, stamp: u64) -> Option<(u64, Lateness)> {
    let part = u8::try_from(stamp & ((1 << LATE_BITS) - 1)).ok()?;
    Some((position_in(code, stamp), Lateness::of_part(step, part)?))
}

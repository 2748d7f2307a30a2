//! Room in memory for the bodies of calls that bring much, for all of them together. It is taken as bytes arrive, so that who
//! announces much and says nothing holds nothing, and is given back when the answer is made. Not here: what the bytes mean.

use super::problem::Problem;
use futures::future::{Either, select};
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Of bodies that are in memory at once, together, and one more beside them: who comes later waits with its body unread.
const BYTES_MAX: usize = 128 << 20;
const PLACE_BYTES: usize = 64 << 10;

/// Clones are one.
#[derive(Clone)]
pub(super) struct Room {
    places: Arc<Semaphore>,
    /// Where every place is taken by bodies of which the rest waits for one, none would ever come to its end: one at a time goes
    /// on beside them.
    beside: Arc<Semaphore>,
}

/// What one body takes of it.
pub(super) struct Taken {
    room: Room,
    places: Option<OwnedSemaphorePermit>,
    beside: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// At least as much as one body of the size that is allowed takes.
    pub(super) fn new(body_bytes_max: usize) -> Self {
        let places = BYTES_MAX.max(body_bytes_max) / PLACE_BYTES + 1;
        Self { places: Arc::new(Semaphore::new(places)), beside: Arc::new(Semaphore::new(1)) }
    }

    /// Of a body of which nothing has come.
    pub(super) fn nothing(&self) -> Taken {
        Taken { room: self.clone(), places: None, beside: None }
    }
}

impl Taken {
    /// Waits until there is room for as much of the body as this.
    pub(super) async fn hold(&mut self, bytes: usize) -> Result<(), Problem> {
        let taken = self.places.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = bytes.div_ceil(PLACE_BYTES).saturating_sub(taken);
        if more == 0 || self.beside.is_some() {
            return Ok(());
        }
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let places = pin!(Arc::clone(&self.room.places).acquire_many_owned(more));
        let beside = pin!(Arc::clone(&self.room.beside).acquire_owned());
        match select(places, beside).await {
            Either::Left((found, _)) => {
                let found = found.map_err(|closed| Problem::internal(&closed))?;
                match &mut self.places {
                    Some(places) => places.merge(found),
                    None => self.places = Some(found),
                }
            }
            Either::Right((found, _)) => self.beside = Some(found.map_err(|closed| Problem::internal(&closed))?),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    const QUARTER: usize = BYTES_MAX / 4;

    fn has_room(taken: &mut Taken, bytes: usize) -> bool {
        taken.hold(bytes).now_or_never().is_some_and(|held| held.is_ok())
    }

    #[test]
    fn a_body_holds_what_has_come_of_it_and_gives_it_back() {
        let room = Room::new(QUARTER);
        let all = room.places.available_permits();
        let mut taken = room.nothing();
        assert_eq!(room.places.available_permits(), all);
        for (bytes, places) in [(1, 1), (PLACE_BYTES, 1), (PLACE_BYTES + 1, 2), (QUARTER, QUARTER / PLACE_BYTES)] {
            assert!(has_room(&mut taken, bytes));
            assert_eq!(all - room.places.available_permits(), places, "{bytes}");
        }
        drop(taken);
        assert_eq!(room.places.available_permits(), all);
    }

    #[test]
    fn bodies_that_fill_the_room_before_they_end_go_on_one_after_the_other() {
        let room = Room::new(QUARTER);
        let mut bodies: Vec<Taken> = (0..8).map(|_| room.nothing()).collect();
        for taken in &mut bodies {
            assert!(has_room(taken, QUARTER / 2));
        }
        let mut late = room.nothing();
        assert!(has_room(&mut late, PLACE_BYTES), "the last place");
        let mut first = bodies.remove(0);
        assert!(has_room(&mut first, QUARTER), "beside the others");
        for taken in &mut bodies {
            assert!(!has_room(taken, QUARTER));
        }
        assert!(!has_room(&mut late, QUARTER));
        // each that ends leaves room for the next
        while !bodies.is_empty() {
            drop(first);
            first = bodies.remove(0);
            assert!(has_room(&mut first, QUARTER));
        }
        assert!(has_room(&mut late, QUARTER));
    }
}

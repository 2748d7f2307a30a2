//! Seats granted and given back: users made first, calls gathered within the store's limits, events waited for, and whatever
//! did not plainly succeed read again before anything is said of it. Whoever can't be told is unknown.
//!
//! Not here: which seats (an engine's), and the shape of a call (`client`).

mod group;
mod open;
mod users;
mod verdict;

pub use open::OpenGrants;
pub use users::KnownUsers;

use super::super::terms::{Request, Settled, Sought, StoreHolder, Trouble};
use super::client::{AppleClient, Refused};
use super::connector::{AppleConnector, asset_of, not_ours, of_holder};
use super::errors::{AppleError, Meaning};
use super::limits::AppleLimits;
use super::lists::AssignmentsAsked;
use super::pass::holder;
use super::wire::{Assignment, EventStatus};
use crate::clock::monotonic;
use futures::StreamExt as _;
use futures::stream;
use group::{Batch, Seat, batches};
use open::Until;
use std::collections::{BTreeMap, BTreeSet};
use verdict::{Verdict, judge, names};

/// Events waited for at one time.
const EVENTS_MAX: usize = 4;
/// Readings at one time.
const READINGS_PARALLEL: usize = 5;
/// Up to so many holders are read one by one; beyond it the assets are.
const HOLDERS_ONE_BY_ONE: usize = 16;

/// Of each seat: settled, or surely not done and why.
type Carried = Vec<(Seat, Result<Settled, AppleError>)>;

/// What became of a call.
enum Sent {
    /// The store would not take it whole.
    Split([Batch; 2]),
    Ended(Verdict),
    /// The same of all its seats.
    All(Batch, Settled),
}

impl AppleConnector {
    /// Asks the store for what is sought, and answers for each request what became of it. Takes as long as the store does, at
    /// most the patience of the settings for each of three steps.
    pub async fn settle(&self, requests: Vec<Request>) -> Vec<(Request, Settled)> {
        let asked = async { Ok((self.unit().await?, self.client().limits().await?)) };
        let (unit, limits) = match asked.await {
            Ok(known) => known,
            Err(trouble) => return all_of(requests, &Settled::NotSent(trouble)),
        };
        if let Some(other) = self.client().taken_over_by() {
            return all_of(requests, &Settled::NotSent(Trouble::TakenOver(other)));
        }
        let mut sought: BTreeMap<Sought, BTreeSet<Seat>> = BTreeMap::new();
        let mut emails: BTreeMap<String, Option<String>> = BTreeMap::new();
        let mut from_before: BTreeSet<Seat> = BTreeSet::new();
        for request in &requests {
            let Some(asset) = asset_of(&unit, &request.pool) else { continue };
            if request.is_from_before {
                from_before.insert((asset.clone(), request.holder.clone()));
            }
            sought.entry(request.sought).or_default().insert((asset, request.holder.clone()));
            if let (Sought::Grant, StoreHolder::User(id)) = (request.sought, &request.holder) {
                let email = emails.entry(id.clone()).or_default();
                *email = email.take().or_else(|| request.email.clone());
            }
        }
        // what is given back first can be granted again
        let released = sought.remove(&Sought::Release).unwrap_or_default();
        let released = self.release(released, &from_before, &limits).await;
        let granted = self.grant(sought.remove(&Sought::Grant).unwrap_or_default(), emails, &limits).await;
        let settled = |of: Sought, carried: Carried| -> BTreeMap<Seat, Settled> {
            carried.into_iter().map(|(seat, it)| (seat, it.unwrap_or_else(|error| error.settled(of)))).collect()
        };
        let (released, granted) = (settled(Sought::Release, released), settled(Sought::Grant, granted));
        let outcome = |request: &Request| {
            let asset = asset_of(&unit, &request.pool)?;
            let of = match request.sought {
                Sought::Release => &released,
                Sought::Grant => &granted,
            };
            of.get(&(asset, request.holder.clone())).cloned()
        };
        let answer = |request: Request| {
            let settled = outcome(&request).unwrap_or_else(|| Settled::NotSent(not_ours()));
            (request, settled)
        };
        requests.into_iter().map(answer).collect()
    }

    /// What is taken back is gone once no grant that was asked for before can give it anew.
    async fn release(&self, seats: BTreeSet<Seat>, from_before: &BTreeSet<Seat>, limits: &AppleLimits) -> Carried {
        // before anything is sent: a grant that ends later may come after it
        let open = self.still_open(&seats, from_before).await;
        let mut carried = self.carry(Sought::Release, seats, limits).await;
        for (seat, settled) in &mut carried {
            if *settled == Ok(Settled::Released) && open.contains(seat) {
                *settled = Ok(Settled::Unknown("the store is still at an earlier grant of the seat".into()));
            }
        }
        carried
    }

    /// Of these the seats that an earlier grant may still give. Events of a run before this one are not known: they are given
    /// the time that an event of this one is given.
    async fn still_open(&self, seats: &BTreeSet<Seat>, from_before: &BTreeSet<Seat>) -> BTreeSet<Seat> {
        let events = self.open.lock().events_of(seats);
        let looks =
            events.into_iter().map(|event| async move { self.client().has_ended(&event).await.then_some(event) });
        let ended: Vec<Option<String>> = stream::iter(looks).buffer_unordered(READINGS_PARALLEL).collect().await;
        let now = monotonic();
        let is_early = now < self.begun_at + self.client().settings().patience;
        let mut open = self.open.lock();
        open.close(&ended.into_iter().flatten().collect(), now);
        let is_open = |seat: &&Seat| open.has(seat) || (is_early && from_before.contains(*seat));
        seats.iter().filter(is_open).cloned().collect()
    }

    fn note_open(&self, sought: Sought, batch: &Batch, until: Until) {
        if sought == Sought::Grant {
            self.open.lock().note(batch, until);
        }
    }

    /// Users are made first. One whom the store did not know after all is made anew, once.
    async fn grant(
        &self,
        seats: BTreeSet<Seat>,
        emails: BTreeMap<String, Option<String>>,
        limits: &AppleLimits,
    ) -> Carried {
        let (mut carried, mut wanted) = (vec![], seats);
        for is_last in [false, true] {
            let of = |seat: &Seat| match &seat.1 {
                StoreHolder::User(id) => emails.get(id).map(|email| (id.clone(), email.clone())),
                StoreHolder::Device(_) => None,
            };
            let unmade = self.register(wanted.iter().filter_map(of).collect(), limits).await;
            let (lost, sent): (BTreeSet<Seat>, BTreeSet<Seat>) =
                wanted.into_iter().partition(|seat| user_of(seat).is_some_and(|id| unmade.contains_key(id)));
            carried.extend(lost.into_iter().filter_map(|seat| {
                let settled = unmade.get(user_of(&seat)?)?.clone();
                Some((seat, Ok(settled)))
            }));
            let is_unknown = |it: &(Seat, Result<Settled, AppleError>)| {
                !is_last && user_of(&it.0).is_some() && it.1.as_ref().is_err_and(|e| e.meaning() == Meaning::NoSuchUser)
            };
            let (again, settled): (Carried, Carried) =
                self.carry(Sought::Grant, sent, limits).await.into_iter().partition(is_unknown);
            carried.extend(settled);
            wanted = again.into_iter().map(|(seat, _)| seat).collect();
            if wanted.is_empty() {
                break;
            }
            self.known.lock().forget(wanted.iter().filter_map(user_of));
        }
        carried
    }

    async fn carry(&self, sought: Sought, seats: BTreeSet<Seat>, limits: &AppleLimits) -> Carried {
        let (mut carried, mut doubted) = (vec![], vec![]);
        let mut work = batches(&seats, limits);
        while !work.is_empty() {
            let calls = work.drain(..).map(|batch| self.send(sought, batch));
            let sent: Vec<Sent> = stream::iter(calls).buffer_unordered(EVENTS_MAX).collect().await;
            for sent in sent {
                match sent {
                    Sent::Split(halves) => work.extend(halves),
                    Sent::Ended(verdict) => {
                        carried.extend(verdict.done.into_iter().map(|seat| (seat, Ok(done(sought)))));
                        doubted.extend(verdict.doubted);
                    }
                    Sent::All(batch, settled) => carried.extend(batch.seats().map(|seat| (seat, Ok(settled.clone())))),
                }
            }
        }
        carried.extend(self.verify(sought, doubted).await);
        carried
    }

    async fn send(&self, sought: Sought, batch: Batch) -> Sent {
        let body = batch.body();
        let queued = match sought {
            Sought::Grant => self.client().associate(&body).await,
            Sought::Release => self.client().disassociate(&body).await,
        };
        match queued {
            Ok(Ok(event)) => match self.client().end_of(&event).await {
                Ok(status) => Sent::Ended(judge(&batch, &status)),
                Err(words) => {
                    self.note_open(sought, &batch, Until::Ended(event));
                    Sent::All(batch, Settled::Unknown(words))
                }
            },
            Ok(Err(no)) if no.error.is_of_a_part() => halves(batch, no),
            Ok(Err(no)) => Sent::All(batch, Settled::NotSent(no.trouble())),
            Err(failed) if failed.may_have_happened => {
                self.note_open(sought, &batch, Until::Past(monotonic() + self.client().settings().patience));
                Sent::All(batch, Settled::Unknown(failed.trouble.to_string()))
            }
            Err(failed) => Sent::All(batch, Settled::NotSent(failed.trouble)),
        }
    }

    /// Reads what is doubted: a seat that is as wanted is settled whatever was said of it.
    async fn verify(&self, sought: Sought, doubted: Vec<(Seat, AppleError)>) -> Carried {
        let holders: BTreeSet<&StoreHolder> = doubted.iter().map(|((_, holder), _)| holder).collect();
        let is_by_holder = holders.len() <= HOLDERS_ONE_BY_ONE;
        let readings: Vec<AssignmentsAsked> = if is_by_holder {
            holders.into_iter().map(|holder| of_holder(None, holder)).collect()
        } else {
            let assets: BTreeSet<_> = doubted.iter().map(|((asset, _), _)| asset).collect();
            let of_asset = |asset: &super::wire::AssetKey| AssignmentsAsked {
                adam_id: Some(asset.adam_id.clone()),
                pricing_param: Some(asset.pricing_param.clone()),
                ..AssignmentsAsked::default()
            };
            assets.into_iter().map(of_asset).collect()
        };
        let read = readings.into_iter().map(|asked| async move { self.client().assignments(&asked, |_| ()).await });
        let read: Vec<_> = stream::iter(read).buffered(READINGS_PARALLEL).collect().await;
        let mut there: BTreeSet<Seat> = BTreeSet::new();
        let mut trouble = None;
        for listed in read {
            match listed {
                Ok(listed) => there.extend(listed.records.into_iter().filter_map(seat_of)),
                Err(error) => trouble = Some(Trouble::from(error)),
            }
        }
        let verdict = |(seat, error): (Seat, AppleError)| {
            let is_there = there.contains(&seat);
            let settled = match (&trouble, is_there == (sought == Sought::Grant)) {
                // what was seen was seen, and what was not may stand where nothing could be read
                (_, true) if is_there => Ok(done(sought)),
                (Some(trouble), _) => Ok(Settled::Unknown(trouble.to_string())),
                (None, true) => Ok(done(sought)),
                (None, false) => Err(error),
            };
            (seat, settled)
        };
        doubted.into_iter().map(verdict).collect()
    }
}

impl AppleClient {
    /// Whether nothing more comes of an event. What can't be found out has not ended.
    async fn has_ended(&self, event_id: &str) -> bool {
        match self.event(event_id).await {
            Ok(Ok(status)) => is_over(&status),
            Ok(Err(no)) => no.error.meaning() == Meaning::NoSuchEvent,
            Err(_) => false,
        }
    }

    /// Waits for an event's end; in words, why its end is not known.
    pub(super) async fn end_of(&self, event_id: &str) -> Result<EventStatus, String> {
        let settings = self.settings();
        let end = monotonic() + settings.patience;
        loop {
            tokio::time::sleep(settings.poll_interval).await;
            match self.event(event_id).await {
                Ok(Ok(status)) if is_over(&status) => return Ok(status),
                Ok(Ok(_)) => {}
                Ok(Err(no)) if no.trouble().passes() => {}
                Ok(Err(no)) => return Err(no.trouble().to_string()),
                Err(trouble) if trouble.passes() => {}
                Err(trouble) => return Err(trouble.to_string()),
            }
            if monotonic() >= end {
                return Err("the store is still at it".into());
            }
        }
    }
}

fn is_over(status: &EventStatus) -> bool {
    ["COMPLETE", "FAILED"].iter().any(|word| status.event_status.eq_ignore_ascii_case(word))
}

fn halves(batch: Batch, no: Refused) -> Sent {
    let info = no.info.unwrap_or_default();
    let is_named = |asset: &_, holder: &_| info != Default::default() && names(&info, (asset, holder));
    match batch.split(is_named) {
        Some(halves) => Sent::Split(halves),
        None => {
            let doubted = batch.seats().map(|seat| (seat, no.error)).collect();
            Sent::Ended(Verdict { done: vec![], doubted })
        }
    }
}

fn done(sought: Sought) -> Settled {
    match sought {
        Sought::Grant => Settled::Granted,
        Sought::Release => Settled::Released,
    }
}

fn user_of(seat: &Seat) -> Option<&String> {
    match &seat.1 {
        StoreHolder::User(id) => Some(id),
        StoreHolder::Device(_) => None,
    }
}

fn seat_of(assignment: Assignment) -> Option<Seat> {
    let holder = holder(&assignment)?;
    Some((assignment.key, holder))
}

fn all_of(requests: Vec<Request>, settled: &Settled) -> Vec<(Request, Settled)> {
    requests.into_iter().map(|request| (request, settled.clone())).collect()
}

//! The recorded history as a judge of the service: pools counted event by event, with the laws of the rules' chapter 3
//! asserted at every position; and which events each command left. Knows nothing but what `GET /events` shows.

use crate::harness::Tenant;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One pool as its events tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// `None` is without limit.
    pub(crate) owned: Option<u64>,
    is_open: bool,
    is_declared: bool,
    /// By holder: whether the seat is in use.
    pub(crate) seats: BTreeMap<String, bool>,
    /// Those of them that are on their way back.
    releasing: BTreeSet<String>,
    /// By device and user, with the holder whose seat each uses.
    installs: BTreeMap<(String, Option<String>), Option<String>>,
    pub(crate) queue: BTreeSet<String>,
    /// Why nobody who waits is served: the pool is suspended, or its store had not enough.
    unserved: BTreeSet<&'static str>,
}

impl Counted {
    pub(crate) fn held(&self) -> u64 {
        self.seats.len() as u64
    }

    pub(crate) fn cap(&self) -> Option<u64> {
        self.owned.filter(|_| !self.is_open)
    }

    pub(crate) fn has_free_seat(&self) -> bool {
        self.cap().is_none_or(|cap| self.held() < cap)
    }

    fn installs_of(&mut self, holder: &str) -> impl Iterator<Item = &mut Option<String>> {
        let is_of = move |(device, user): &(String, Option<String>)| match holder.split_once(':') {
            Some(("user", id)) => user.as_deref() == Some(id),
            Some(("device", id)) => device == id,
            Some(_) | None => panic!("{holder} is no holder"),
        };
        self.installs.iter_mut().filter(move |(key, _)| is_of(key)).map(|(_, seat)| seat)
    }

    /// The installs that waited for a seat of this holder use it from now on; answers whether there were any.
    fn attach(&mut self, holder: &str) -> bool {
        let waiting: Vec<_> = self.installs_of(holder).filter(|seat| seat.is_none()).collect();
        let were_any = !waiting.is_empty();
        waiting.into_iter().for_each(|seat| *seat = Some(holder.to_owned()));
        were_any
    }

    fn orphan(&mut self, holder: &str) {
        self.installs_of(holder).filter(|seat| seat.as_deref() == Some(holder)).for_each(|seat| *seat = None);
    }
}

/// A tenant's history, up to `next`.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    pub(crate) next: u64,
    pub(crate) pools: BTreeMap<String, Counted>,
    pub(crate) grants: u64,
    pub(crate) refusals_for_lack: u64,
    /// By command id: its first and its last position.
    pub(crate) commands: BTreeMap<String, (u64, u64)>,
    command: Option<String>,
    /// Departed users and retired devices.
    gone: BTreeSet<String>,
}

impl History {
    /// Takes in what was recorded since.
    pub(crate) fn read_on(&mut self, t: &Tenant) -> Vec<Value> {
        let events = t.list(&format!("/events?from={}", self.next));
        for event in &events {
            self.take(event);
        }
        self.end_of_command();
        events
    }

    fn take(&mut self, event: &Value) {
        assert_eq!(event["position"], self.next, "law 7: positions have no gaps: {event}");
        let id = event["command_id"].as_str();
        // what time brings has no id: where one tick ends and the next begins is not said
        if id != self.command.as_deref() {
            self.end_of_command();
        }
        if let Some(id) = id {
            let (_, last) = self.commands.entry(id.to_owned()).or_insert((self.next, self.next));
            assert!(*last == self.next || *last + 1 == self.next, "law 6: {id} was done at {last} and again: {event}");
            *last = self.next;
        }
        self.command = id.map(str::to_owned);
        self.next += 1;
        self.count(event);
    }

    /// At the last position of a command nobody waits while a seat is free.
    fn end_of_command(&self) {
        for (id, pool) in &self.pools {
            let may_wait = !pool.has_free_seat() || !pool.unserved.is_empty();
            assert!(pool.queue.is_empty() || may_wait, "{id} before {}: {pool:?}", self.next);
        }
    }

    fn count(&mut self, event: &Value) {
        let data = &event["data"];
        match (event["type"].as_str(), data["user"].as_str(), data["device"].as_str()) {
            (Some("user_departed"), Some(user), _) => drop(self.gone.insert(format!("user:{user}"))),
            (Some("user_returned"), Some(user), _) => drop(self.gone.remove(&format!("user:{user}"))),
            (Some("device_retired"), _, Some(device)) => drop(self.gone.insert(format!("device:{device}"))),
            (Some("device_returned"), _, Some(device)) => drop(self.gone.remove(&format!("device:{device}"))),
            _ => {}
        }
        let (Some(id), Some(kind)) = (data["pool"].as_str(), event["type"].as_str()) else { return };
        let pool = self.pools.entry(id.to_owned()).or_default();
        pool.is_declared |= data["key"]["declared"].is_object();
        let of_stores = ["seat_releasing", "foreign_seat_seen", "seat_taken_back", "requeued", "serving_paused"];
        assert!(!pool.is_declared || !of_stores.contains(&kind), "not in a declared pool: {event}");
        let holder = || data["holder"].as_str().expect("a holder").to_owned();
        match kind {
            "pool_listed" | "capacity_changed" => pool.owned = data["owned"]["count"].as_u64(),
            "pool_delisted" => pool.owned = Some(0),
            "seat_granted" => {
                assert!(pool.has_free_seat(), "law 1: a grant above the cap: {event} to {pool:?}");
                assert!(!self.gone.contains(&holder()), "a grant to one who is gone: {event}");
                pool.queue.remove(&holder());
                let before = pool.seats.insert(holder(), data["in_use"] == true);
                assert_eq!(before, None, "one seat a holder: {event}");
                if data["in_use"] == true {
                    pool.attach(&holder());
                }
                self.grants += 1;
            }
            "seat_taken" => assert_eq!(pool.seats.insert(holder(), true), Some(false), "{event}"),
            "seat_idle" => assert_eq!(pool.seats.insert(holder(), false), Some(true), "{event}"),
            "seat_released" => {
                pool.releasing.remove(&holder());
                pool.orphan(&holder());
                assert!(pool.seats.remove(&holder()).is_some(), "{event}");
            }
            "seat_releasing" => {
                assert!(pool.seats.insert(holder(), false).is_some(), "nothing to give back: {event}");
                assert!(pool.releasing.insert(holder()), "given back twice: {event}");
                pool.orphan(&holder());
            }
            "seat_taken_back" | "seat_release_refused" => {
                assert!(pool.releasing.remove(&holder()), "not on its way back: {event}");
                // as it was, unless it was installed or uninstalled meanwhile
                let in_use = pool.attach(&holder());
                pool.seats.insert(holder(), in_use);
            }
            "installed" => drop(pool.installs.insert(key(data), data["seat"].as_str().map(str::to_owned))),
            "install_licensed" => {
                let install = pool.installs.get_mut(&key(data)).unwrap_or_else(|| panic!("not installed: {event}"));
                *install = data["seat"].as_str().map(str::to_owned);
            }
            "uninstalled" => assert!(pool.installs.remove(&key(data)).is_some(), "not installed: {event}"),
            "foreign_seat_seen" => assert_eq!(pool.seats.insert(holder(), false), None, "one seat a holder: {event}"),
            "foreign_seat_adopted" => {
                pool.queue.remove(&holder());
                assert!(pool.seats.insert(holder(), data["in_use"] == true).is_some(), "{event}");
                if data["in_use"] == true {
                    pool.attach(&holder());
                }
            }
            "serving_paused" => drop(pool.unserved.insert("paused")),
            "serving_resumed" => drop(pool.unserved.remove("paused")),
            "pool_suspended" => drop(pool.unserved.insert("suspended")),
            "pool_resumed" => drop(pool.unserved.remove("suspended")),
            "queued" | "requeued" => assert!(pool.queue.insert(holder()), "one place a holder: {event}"),
            "dequeued" => assert!(pool.queue.remove(&holder()), "{event}"),
            "command_refused" => {
                let refused = &data["rejection"];
                let one_more = &refused["no_seat_available"];
                let some_more = &refused["not_enough_seats"];
                let figures = if one_more.is_null() { &some_more["figures"] } else { &one_more["figures"] };
                if !figures.is_null() {
                    let held = (figures["owned"]["count"].as_u64(), figures["held"].as_u64());
                    assert_eq!(held, (pool.cap(), Some(pool.held())), "the refusal's figures: {event}");
                    let target = &data["target"];
                    // one device may be needed by all who have installed there
                    let is_installed = |device| pool.installs.keys().any(|(on, _)| Some(on.as_str()) == device);
                    let is_for_one = one_more.is_object()
                        || target["user"].is_string()
                        || (target["device"].is_string() && !is_installed(target["device"].as_str()));
                    // whose own seat is on its way back gets no second one; an install may be its device's
                    let is_own = |going: &String| data["holder"] == **going || going.starts_with("device:");
                    let is_going = data["command"] == "install" && pool.releasing.iter().any(is_own);
                    let may_refuse = !pool.has_free_seat() || !pool.unserved.is_empty() || is_going;
                    assert!(!is_for_one || may_refuse, "refused while a seat was free: {event} of {pool:?}");
                    self.refusals_for_lack += 1;
                }
            }
            _ => {}
        }
        if kind == "pool_listed" || kind == "distribution_policy_changed" {
            pool.is_open = data["distribution_policy"] == "open";
        }
    }

    /// The figures that the service shows are those of the history, and the parts add up.
    pub(crate) fn equals_the_figures_of(&self, t: &Tenant) {
        let pools = t.list("/pools");
        assert_eq!(pools.len(), self.pools.len());
        for shown in pools {
            let count = |field: &str| shown[field].as_u64().unwrap_or_else(|| panic!("{field} of {shown}"));
            let pool = &self.pools[shown["id"].as_str().expect("an id")];
            let in_use = pool.seats.values().filter(|in_use| **in_use).count() as u64;
            assert_eq!((count("held"), count("in_use")), (pool.held(), in_use), "law 3: {shown}");
            assert_eq!((shown["owned"].as_u64(), count("queued")), (pool.owned, pool.queue.len() as u64), "{shown}");
            let parts = ["reserved", "in_use", "releasing", "foreign"].map(count).iter().sum::<u64>();
            assert_eq!(count("held"), parts, "law 2: {shown}");
            match pool.cap() {
                Some(cap) => assert_eq!(cap + count("over_by"), count("held") + count("free"), "law 2: {shown}"),
                None => assert_eq!((count("over_by"), &shown["free"]), (0, &"unlimited".into()), "law 2: {shown}"),
            }
        }
    }
}

/// Of an install.
fn key(data: &Value) -> (String, Option<String>) {
    let device = data["device"].as_str().unwrap_or_else(|| panic!("on no device: {data}"));
    (device.to_owned(), data["user"].as_str().map(str::to_owned))
}

//! What a moment is by the plain words of the rules, from the list of events alone: which of them count, and the fold of those
//! in order. Written as simply as it can be, and from nothing of the service but `GET /events`.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A point in a history, as a query names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    Position(u64),
    Micros(i64),
}

/// An instant, and how much of the log may tell of it; without an instant the last one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) as_of: Option<Point>,
    pub(super) known: Option<Point>,
}

pub(super) fn micros(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().expect("a time").parse().expect("a time");
    time.as_microsecond()
}

pub(super) fn text(micros: i64) -> String {
    format!("{:.6}", jiff::Timestamp::from_microsecond(micros).expect("a time"))
}

/// One event, with what the rules place it by.
pub(super) struct Fact {
    pub(super) position: u64,
    pub(super) kind: String,
    pub(super) data: Value,
    pub(super) recorded: i64,
    /// Where it stands in time: when it occurred, for facts about seats and installs, else when it was recorded.
    pub(super) placed: i64,
    /// It is about a seat or an install.
    pub(super) is_placed: bool,
}

pub(super) struct Facts(pub(super) Vec<Fact>);

impl Facts {
    pub(super) fn of(events: &[Value]) -> Self {
        let mut chains: BTreeMap<String, i64> = BTreeMap::new();
        let facts = events.iter().map(|event| {
            let (kind, data) = (event["type"].as_str().expect("a type").to_owned(), event["data"].clone());
            let recorded = micros(&event["recorded_at"]);
            let chain = match kind.as_str() {
                "seat_granted" | "seat_taken" | "seat_idle" | "seat_released" => {
                    Some(format!("seat {} {}", data["pool"], data["holder"]))
                }
                "installed" | "install_licensed" | "uninstalled" => {
                    Some(format!("install {} {} {}", data["pool"], data["device"], data["user"]))
                }
                "seat_releasing" | "seat_confirmed" | "foreign_seat_seen" => panic!("not in a declared pool: {event}"),
                _ => None,
            };
            let is_placed = chain.is_some();
            let placed = chain.map_or(recorded, |chain| {
                let occurred = event["occurred_at"].as_str().map(|_| micros(&event["occurred_at"]));
                let told = occurred.filter(|occurred| *occurred <= recorded).unwrap_or(recorded);
                // never before the one before it
                let placed = told.max(chains.get(&chain).copied().unwrap_or(i64::MIN));
                chains.insert(chain, placed);
                placed
            });
            let position = event["position"].as_u64().expect("a position");
            Fact { position, kind, data, recorded, placed, is_placed }
        });
        Self(facts.collect())
    }

    pub(super) fn head(&self) -> u64 {
        self.0.len() as u64 - 1
    }

    /// The last position of a point.
    pub(super) fn position(&self, point: Point) -> u64 {
        match point {
            Point::Position(position) => position,
            Point::Micros(time) => {
                self.0.iter().rposition(|fact| fact.recorded <= time).expect("within the history") as u64
            }
        }
    }

    pub(super) fn known(&self, moment: Moment) -> u64 {
        moment.known.map_or(self.head(), |known| self.position(known))
    }

    /// The position that an answer names.
    pub(super) fn shown(&self, moment: Moment) -> u64 {
        moment.as_of.map_or(self.head(), |as_of| self.position(as_of)).min(self.known(moment))
    }

    /// The facts that count, in the order of the log.
    pub(super) fn of_moment(&self, moment: Moment) -> Vec<&Fact> {
        let (known, shown) = (self.known(moment), self.shown(moment));
        let is_listed = |fact: &Fact| {
            let listing = self.0.iter().find(|one| one.kind == "pool_listed" && one.data["pool"] == fact.data["pool"]);
            !fact.is_placed || listing.is_some_and(|listing| listing.position <= shown)
        };
        let counts = |fact: &&Fact| match (moment.known, moment.as_of) {
            (None, _) | (Some(_), None) => fact.position <= shown,
            (Some(_), Some(Point::Micros(time))) => fact.position <= known && fact.placed <= time && is_listed(fact),
            (Some(_), Some(Point::Position(at))) => {
                let instant = self.0[usize::try_from(at).expect("a place")].recorded;
                fact.position <= known && (fact.placed, fact.position) <= (instant, at) && is_listed(fact)
            }
        };
        self.0.iter().filter(counts).collect()
    }
}

#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) in_use: bool,
    pub(super) since: i64,
    pub(super) since_position: u64,
    pub(super) granted: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Install {
    pub(super) seat: Option<String>,
    pub(super) since: i64,
    pub(super) since_position: u64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    pub(super) owned: Value,
    pub(super) is_open: bool,
    pub(super) is_removed: bool,
    pub(super) seats: BTreeMap<String, Seat>,
    /// By place.
    pub(super) queue: BTreeMap<u64, String>,
    /// By device and user.
    pub(super) installs: BTreeMap<(String, String), Install>,
    pub(super) refused: u64,
}

impl Pool {
    pub(super) fn cap(&self) -> Option<u64> {
        self.owned["count"].as_u64().filter(|_| !self.is_open)
    }

    /// As `GET /pools` shows them.
    pub(super) fn figures(&self) -> BTreeMap<&'static str, Value> {
        let (held, in_use) = (self.seats.len() as u64, self.seats.values().filter(|seat| seat.in_use).count() as u64);
        let unlicensed = self.installs.values().filter(|install| install.seat.is_none()).count();
        let unlimited = json!("unlimited");
        BTreeMap::from([
            ("owned", self.owned["count"].as_u64().map_or(unlimited.clone(), Value::from)),
            ("held", held.into()),
            ("reserved", (held - in_use).into()),
            ("in_use", in_use.into()),
            ("releasing", 0.into()),
            ("foreign", 0.into()),
            ("free", self.cap().map_or(unlimited, |cap| cap.saturating_sub(held).into())),
            ("over_by", self.cap().map_or(0, |cap| held.saturating_sub(cap)).into()),
            ("queued", self.queue.len().into()),
            ("installed", self.installs.len().into()),
            ("unlicensed", unlicensed.into()),
            ("refused", self.refused.into()),
        ])
    }

    fn attach(&mut self, holder: &str) {
        for ((device, user), install) in &mut self.installs {
            let is_its = holder == format!("device:{device}") || holder == format!("user:{user}");
            if is_its && install.seat.is_none() {
                install.seat = Some(holder.to_owned());
            }
        }
    }

    fn detach(&mut self, holder: &str) {
        let its = self.installs.values_mut().filter(|install| install.seat.as_deref() == Some(holder));
        its.for_each(|install| install.seat = None);
    }

    /// An install is licensed by a seat that is in use.
    fn license(&mut self, key: &(String, String), seat: &Value) {
        if let Some(holder) = seat.as_str().filter(|holder| self.seats.get(*holder).is_some_and(|seat| seat.in_use)) {
            self.installs.get_mut(key).expect("licensed after it was seen").seat = Some(holder.to_owned());
        }
    }
}

/// Everything that the reads are compared with.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) name: String,
    pub(super) language: String,
    pub(super) pools: Vec<Pool>,
    /// Departed or not, retired or not, by number.
    pub(super) users: Vec<bool>,
    pub(super) devices: Vec<bool>,
    /// Members in the order in which they joined; `None` once deleted.
    pub(super) groups: Vec<Option<Vec<String>>>,
    /// Pool, and whether it has ended.
    pub(super) assignments: Vec<(String, bool)>,
    pub(super) syncs: Vec<String>,
    pub(super) tools: BTreeMap<String, bool>,
    pub(super) drifts: u64,
    pub(super) refusals: BTreeMap<u64, u64>,
    pub(super) reviews: Vec<String>,
    pub(super) tokens: u64,
}

impl State {
    /// `in_hindsight`: seats and installs are what they are since they occurred, else since that was recorded.
    pub(super) fn of(facts: &[&Fact], in_hindsight: bool) -> Self {
        let mut state = Self::default();
        for fact in facts {
            state.take(fact, if in_hindsight { fact.placed } else { fact.recorded });
        }
        state
    }

    pub(super) fn take(&mut self, fact: &Fact, at: i64) {
        let data = &fact.data;
        let word = |field: &str| data[field].as_str().unwrap_or_default().to_owned();
        match fact.kind.as_str() {
            "tenant_created" => {
                self.name = word("name");
                self.language = data["settings"]["language"].as_str().expect("a language").to_owned();
            }
            "settings_changed" => self.language = data["settings"]["language"].as_str().expect("one").to_owned(),
            "user_added" => self.users.push(false),
            "user_departed" | "user_returned" => {
                self.users[number(&word("user"))] = fact.kind == "user_departed";
            }
            "device_added" => self.devices.push(false),
            "device_retired" | "device_returned" => {
                self.devices[number(&word("device"))] = fact.kind == "device_retired";
            }
            "group_added" => self.groups.push(Some(Vec::new())),
            "group_deleted" => self.groups[number(&word("group"))] = None,
            "members_added" | "members_removed" => {
                let members = self.groups[number(&word("group"))].as_mut().expect("a living group");
                for member in data["members"].as_array().expect("members") {
                    let member = member.as_str().expect("a holder").to_owned();
                    members.retain(|one| *one != member);
                    if fact.kind == "members_added" {
                        members.push(member);
                    }
                }
            }
            "assignment_made" => self.assignments.push((word("pool"), false)),
            "assignment_ended" => self.assignments[number(&word("assignment"))].1 = true,
            "sync_started" => self.syncs.push("running".into()),
            "sync_completed" => self.syncs[number(&word("sync"))] = "completed".into(),
            "tool_activated" | "tool_deactivated" => {
                self.tools.insert(word("tool"), fact.kind == "tool_activated");
            }
            "drift_found" => self.drifts += 1,
            "review_opened" => self.reviews.push("open".into()),
            "review_cancelled" => self.reviews[number(&word("review"))] = "cancelled".into(),
            "token_issued" => self.tokens += 1,
            "refusals_counted" => {
                let first = data["position"].as_u64().expect("a position");
                *self.refusals.entry(first).or_default() += data["count"].as_u64().expect("a count");
            }
            "command_refused" | "batch_refused" if is_refusal(data) => {
                *self.refusals.entry(fact.position).or_default() += 1
            }
            _ => {}
        }
        if let Some(pool) = data["pool"].as_str().map(number) {
            if fact.kind == "pool_listed" {
                self.pools.push(Pool::default());
            }
            self.take_of_pool(pool, fact, at);
        }
    }

    fn take_of_pool(&mut self, pool: usize, fact: &Fact, at: i64) {
        let (data, position) = (&fact.data, fact.position);
        let pool = &mut self.pools[pool];
        let holder = data["holder"].as_str().unwrap_or_default().to_owned();
        let part = |field: &str| data[field].as_str().unwrap_or("-").to_owned();
        let key = (part("device"), part("user"));
        let enter = |seat: &mut Seat, in_use| (seat.in_use, seat.since, seat.since_position) = (in_use, at, position);
        match fact.kind.as_str() {
            "pool_listed" => {
                pool.owned = data["owned"].clone();
                pool.is_open = data["distribution_policy"] == "open";
            }
            "capacity_changed" => pool.owned = data["owned"].clone(),
            "distribution_policy_changed" => pool.is_open = data["distribution_policy"] == "open",
            "pool_delisted" => (pool.owned, pool.is_removed) = (json!({"count": 0}), true),
            "pool_relisted" => pool.is_removed = false,
            "seat_granted" => {
                pool.queue.retain(|_, waiting| *waiting != holder);
                let in_use = data["in_use"] == true;
                let seat = Seat { in_use, since: at, since_position: position, granted: position };
                assert!(pool.seats.insert(holder.clone(), seat).is_none(), "one seat a holder");
                if in_use {
                    pool.attach(&holder);
                }
            }
            "seat_taken" => enter(pool.seats.get_mut(&holder).expect("a seat"), true),
            "seat_idle" => {
                pool.detach(&holder);
                enter(pool.seats.get_mut(&holder).expect("a seat"), false);
            }
            "seat_released" => {
                pool.detach(&holder);
                assert!(pool.seats.remove(&holder).is_some(), "a seat is released from its holder");
            }
            "queued" => drop(pool.queue.insert(position, holder)),
            "dequeued" => pool.queue.retain(|_, waiting| *waiting != holder),
            "installed" => {
                let install = Install { seat: None, since: at, since_position: position };
                assert!(pool.installs.insert(key.clone(), install).is_none(), "installed once");
                pool.license(&key, &data["seat"]);
            }
            "install_licensed" => pool.license(&key, &data["seat"]),
            "uninstalled" => assert!(pool.installs.remove(&key).is_some(), "uninstalled what was installed"),
            "command_refused" | "batch_refused" if is_refusal(data) => pool.refused += 1,
            "refusals_counted" => pool.refused += data["count"].as_u64().expect("a count"),
            _ => {}
        }
    }

    /// Everybody of whom a seat or an install tells.
    pub(super) fn told_of(&self) -> BTreeSet<String> {
        let of_pool = |pool: &Pool| {
            let installs = pool.installs.keys();
            let installed = installs.flat_map(|(device, user)| [format!("device:{device}"), format!("user:{user}")]);
            pool.seats.keys().cloned().chain(installed).collect::<Vec<_>>()
        };
        self.pools.iter().flat_map(of_pool).collect()
    }
}

/// `user_7` is 7.
pub(super) fn number(id: &str) -> usize {
    id.rsplit('_').next().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no id: {id}"))
}

/// A rule said no. What named nothing real or made no sense leaves its receipt alone.
fn is_refusal(data: &Value) -> bool {
    let said = &data["rejection"];
    let with_figures = said.as_object().and_then(|said| said.keys().next());
    let name = said.as_str().or(with_figures.map(String::as_str)).expect("a reason");
    !name.ends_with("_not_found")
        && !["all_users_not_allowed", "holder_kind_not_allowed", "licensing_not_allowed"].contains(&name)
}

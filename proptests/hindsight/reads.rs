//! Each read of a moment, compared with what the naive fold says: ids, states, counts, times.

use super::naive::{Fact, Facts, Moment, Point, Pool, State, micros, number, text};
use crate::harness::{Answer, Tenant};
use rand::RngExt as _;
use rand::rngs::SmallRng;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const FIGURES: [&str; 12] = [
    "owned",
    "held",
    "reserved",
    "in_use",
    "releasing",
    "foreign",
    "free",
    "over_by",
    "queued",
    "installed",
    "unlicensed",
    "refused",
];

/// Who asks, of which moment, and what is true of it.
struct Asked<'a> {
    t: &'a Tenant,
    facts: &'a Facts,
    moment: Moment,
    counted: Vec<&'a Fact>,
    truth: State,
    /// `as_of=...&as_known_at=...`
    query: String,
    position: u64,
}

pub(super) fn are_those_of(t: &Tenant, facts: &Facts, moment: Moment, random: &mut SmallRng) {
    let written = |point: Point| match point {
        Point::Position(position) => position.to_string(),
        Point::Micros(time) => text(time),
    };
    let named = [("as_of", moment.as_of), ("as_known_at", moment.known)];
    let given = named.into_iter().filter_map(|(name, point)| Some(format!("{name}={}", written(point?))));
    let counted = facts.of_moment(moment);
    let truth = State::of(&counted, moment.known.is_some());
    let query = given.collect::<Vec<_>>().join("&");
    let asked = Asked { t, facts, moment, counted, truth, query, position: facts.shown(moment) };
    asked.pools();
    asked.people();
    asked.the_rest();
    asked.the_log(random);
    asked.figures(random);
    asked.timelines(random);
    asked.stories(random);
    // a report as of now is as of its own trace
    if !asked.query.is_empty() {
        asked.reports();
    }
}

impl Asked<'_> {
    fn joint(&self, path: &str) -> String {
        format!("{path}{}{}", if path.contains('?') { '&' } else { '?' }, self.query)
    }

    #[track_caller]
    fn get(&self, path: &str) -> Answer {
        self.t.get(&self.joint(path))
    }

    /// One thing; the answer names the moment's position.
    #[track_caller]
    fn one(&self, path: &str) -> Value {
        let body = self.get(path).ok();
        assert_eq!(body["position"], self.position, "{}", self.joint(path));
        body
    }

    /// A list, read in pages of a size that divides none.
    #[track_caller]
    fn list(&self, path: &str) -> Vec<Value> {
        let (mut items, mut page) = (Vec::new(), self.joint(&format!("{path}{}limit=3", joint(path))));
        loop {
            let body = self.t.get(&page).ok();
            assert_eq!(body["position"], self.position, "{page}");
            items.extend(body["items"].as_array().expect("items").clone());
            match body["next_cursor"].as_str() {
                // a cursor needs nothing but itself
                Some(cursor) => page = format!("{path}{}limit=3&cursor={cursor}", joint(path)),
                None => return items,
            }
        }
    }

    #[track_caller]
    fn same(&self, what: &str, found: impl Into<Value>, truth: impl Into<Value>) {
        let (found, truth): (Value, Value) = (found.into(), truth.into());
        assert_eq!(found, truth, "{what} of {} ({})", self.t.name, self.query);
    }

    fn pools(&self) {
        let pools = self.list("/pools");
        self.same("pools", pools.len(), self.truth.pools.len());
        let apps = self.list("/apps");
        let of_apps: usize = apps.iter().map(|app| app["pools"].as_array().expect("pools").len()).sum();
        self.same("pools of apps", of_apps, pools.len());
        for (at, (shown, pool)) in pools.iter().zip(&self.truth.pools).enumerate() {
            let id = format!("pool_{at}");
            self.same("a pool's id", shown["id"].clone(), id.clone());
            let mut one = self.one(&format!("/pools/{id}"));
            one.as_object_mut().expect("a pool").remove("position");
            self.same("a pool by itself", one, shown.clone());
            for (figure, truth) in pool.figures() {
                self.same(&format!("{figure} of {id}"), shown[figure].clone(), truth);
            }
            self.same("a pool's state", shown["state"].clone(), if pool.is_removed { "removed" } else { "active" });
            self.seats(&id, pool);
            self.installs(&id, pool);
            let queue = self.list(&format!("/pools/{id}/queue")).into_iter();
            let queue: Vec<_> = queue.map(|one| json!([one["place"], one["since_position"], one["holder"]])).collect();
            let waiting = pool.queue.iter().zip(1..).map(|((at, holder), place)| json!([place, at, holder]));
            self.same("a queue", queue, waiting.collect::<Vec<_>>());
            let plan = self.t.post(&self.joint(&format!("/pools/{id}/deficit/plan")), json!({})).ok();
            self.same("a plan", plan["over_by"].clone(), pool.figures()["over_by"].clone());
        }
        self.get(&format!("/pools/pool_{}", pools.len())).problem("pool-not-found");
    }

    fn seats(&self, id: &str, pool: &Pool) {
        let shown = |seat: &Value| {
            json!([
                seat["holder"],
                seat["state"],
                micros(&seat["since"]),
                seat["since_position"],
                seat["granted_position"],
                seat["devices"]
            ])
        };
        let truth = |holder: &String| {
            let seat = &pool.seats[holder];
            let licensed = pool.installs.iter().filter(|(_, install)| install.seat.as_ref() == Some(holder));
            let devices: BTreeSet<_> = licensed.map(|((device, _), _)| number(device)).collect();
            let devices: Vec<_> = devices.into_iter().map(|device| format!("device_{device}")).collect();
            let state = if seat.in_use { "in_use" } else { "reserved" };
            json!([holder, state, seat.since, seat.since_position, seat.granted, devices])
        };
        let found: Vec<_> = self.list(&format!("/pools/{id}/seats")).iter().map(shown).collect();
        self.same("the seats of a pool", found, sorted(pool.seats.keys()).into_iter().map(truth).collect::<Vec<_>>());
        for holder in pool.seats.keys() {
            let one = self.one(&format!("/pools/{id}/seats/{holder}"));
            self.same("one seat", shown(&one), truth(holder));
            let (kind, who) = holder.split_once(':').expect("a kind");
            let its = self.list(&format!("/{kind}s/{who}/seats"));
            let its = its.iter().find(|seat| seat["pool"] == id).expect("it is among the holder's");
            self.same("a holder's seat", shown(its), truth(holder));
        }
    }

    fn installs(&self, id: &str, pool: &Pool) {
        let shown = |one: &Value| {
            json!([
                one["device"],
                one["user"].as_str().unwrap_or("-"),
                one["seat"],
                one["licensed"],
                micros(&one["since"]),
                one["since_position"]
            ])
        };
        let mut keys: Vec<_> = pool.installs.keys().collect();
        keys.sort_by_key(|(device, user)| (number(device), (user != "-").then(|| number(user))));
        let truth = |key: &(String, String)| {
            let install = &pool.installs[key];
            json!([key.0, key.1, install.seat, install.seat.is_some(), install.since, install.since_position])
        };
        let found: Vec<_> = self.list(&format!("/pools/{id}/installs")).iter().map(shown).collect();
        self.same("the installs of a pool", found, keys.iter().map(|key| truth(key)).collect::<Vec<_>>());
        for device in keys.iter().map(|(device, _)| device).collect::<BTreeSet<_>>() {
            let its = self.list(&format!("/devices/{device}/installs"));
            let its: Vec<_> = its.iter().filter(|one| one["pool"] == id).map(shown).collect();
            let truth: Vec<_> = keys.iter().filter(|key| &key.0 == device).map(|key| truth(key)).collect();
            self.same("the installs on a device", its, truth);
        }
    }

    fn people(&self) {
        let told_of = self.truth.told_of();
        for (kind, truth) in [("user", &self.truth.users), ("device", &self.truth.devices)] {
            let gone = |one: &Value| if kind == "user" { !one["departed"].is_null() } else { one["retired"] == true };
            let shown = self.list(&format!("/{kind}s"));
            self.same("people", shown.iter().map(gone).collect::<Vec<_>>(), truth.clone());
            for at in 0..8 {
                let id = format!("{kind}_{at}");
                if at < truth.len() {
                    let one = self.one(&format!("/{kind}s/{id}"));
                    self.same("one of them", json!([one["id"], gone(&one)]), json!([id, truth[at]]));
                    let held = self.truth.pools.iter().filter(|pool| pool.seats.contains_key(&format!("{kind}:{id}")));
                    self.same("seats of one", self.list(&format!("/{kind}s/{id}/seats")).len(), held.count());
                } else {
                    self.get(&format!("/{kind}s/{id}")).problem(&format!("{kind}-not-found"));
                    let seats = self.get(&format!("/{kind}s/{id}/seats"));
                    let is_found = told_of.contains(&format!("{kind}:{id}"));
                    if is_found { drop(seats.ok()) } else { drop(seats.problem(&format!("{kind}-not-found"))) }
                }
            }
        }
        let groups = self.list("/groups");
        let truth = self.truth.groups.iter().enumerate().filter_map(|(at, members)| Some((at, members.as_ref()?)));
        let truth: Vec<_> = truth.collect();
        self.same("groups", groups.len(), truth.len());
        for ((at, members), shown) in truth.into_iter().zip(groups) {
            self.same(
                "a group",
                json!([shown["id"], shown["members_count"]]),
                json!([format!("group_{at}"), members.len()]),
            );
            self.same("one group", self.one(&format!("/groups/group_{at}"))["members"].clone(), members.clone());
            let listed = self.list(&format!("/groups/group_{at}/members"));
            let listed: Vec<_> = listed.into_iter().map(|one| one["holder"].clone()).collect();
            self.same("members", listed, members.clone());
        }
    }

    fn the_rest(&self) {
        let all = self.list("/assignments?ended=true");
        let shown: Vec<_> = all.iter().map(|one| json!([one["pool"], one["ended"]])).collect();
        let truth: Vec<_> = self.truth.assignments.iter().map(|(pool, ended)| json!([pool, ended])).collect();
        self.same("assignments", shown, truth);
        let living = self.truth.assignments.iter().filter(|(_, ended)| !ended);
        self.same("living assignments", self.list("/assignments").len(), living.clone().count());
        let of_office = living.filter(|(pool, _)| pool == "pool_0").count();
        self.same("of a pool", self.list("/assignments?pool=pool_0").len(), of_office);
        if let Some((pool, ended)) = self.truth.assignments.last() {
            let last = self.one(&format!("/assignments/assignment_{}", self.truth.assignments.len() - 1));
            self.same("one assignment", json!([last["pool"], last["ended"]]), json!([pool, ended]));
        }
        let syncs: Vec<_> = self.list("/syncs").into_iter().map(|sync| sync["state"].clone()).collect();
        self.same("syncs", syncs, self.truth.syncs.clone());
        if let Some(state) = self.truth.syncs.last() {
            let one = self.one(&format!("/syncs/sync_{}", self.truth.syncs.len() - 1));
            self.same("one sync", one["state"].clone(), state.clone());
        }
        let tools = self.list("/tools").into_iter().map(|tool| json!([tool["tool"], tool["active"]]));
        let truth: Vec<_> = self.truth.tools.iter().map(|(name, active)| json!([name, active])).collect();
        self.same("tools", tools.collect::<Vec<_>>(), truth);
        self.same("drift", self.list("/drift").len() as u64, self.truth.drifts);
        self.same("tokens", self.list("/tokens").len() as u64, self.truth.tokens);
        self.same("held by the brake", self.list("/directory/held").len(), 0);
        self.list("/store-accounts");
        self.one("/store-accounts/declared");
        self.same("the tenant", self.one("")["name"].clone(), self.truth.name.clone());
        self.same("settings", self.one("/settings")["language"].clone(), self.truth.language.clone());
        let reviews: Vec<_> = self.list("/reviews").into_iter().map(|review| review["state"].clone()).collect();
        self.same("reviews", reviews, self.truth.reviews.clone());
        if let Some(state) = self.truth.reviews.last() {
            let path = format!("/reviews/review_{}", self.truth.reviews.len() - 1);
            self.same("one review", self.one(&path)["state"].clone(), state.clone());
        }
        self.same("the list of reports", self.get("/reports").ok()["position"].clone(), self.position);
    }

    fn the_log(&self, random: &mut SmallRng) {
        let events = self.list("/events?type=seat_granted,installed,user_added");
        let kinds = ["seat_granted", "installed", "user_added"];
        let truth = self.facts.0.iter().filter(|fact| fact.position <= self.position);
        let truth = truth.filter(|fact| kinds.contains(&fact.kind.as_str())).map(|fact| fact.position);
        let positions: Vec<_> = events.iter().map(|event| event["position"].clone()).collect();
        self.same("events", positions, truth.collect::<Vec<_>>());
        let at = random.random_range(0..=self.facts.head());
        let event = self.get(&format!("/events/{at}"));
        if at <= self.position {
            assert_eq!(event.ok()["type"], self.facts.0[usize::try_from(at).expect("a place")].kind);
        } else {
            event.problem("position-not-reached");
        }
        let lines = self.get("/export/events?format=ndjson");
        self.same("an export", lines.text.lines().count() as u64, self.position + 1);
        let refusals = self.list("/refusals").into_iter().map(|one| json!([one["position"], one["times"]]));
        let truth: Vec<_> = self.truth.refusals.iter().map(|(at, times)| json!([at, times])).collect();
        self.same("refusals", refusals.collect::<Vec<_>>(), truth);
        if let Some(at) = self.truth.refusals.keys().last() {
            self.same("why not", self.one(&format!("/refusals/{at}/explain"))["refusal"]["position"].clone(), *at);
        }
        let digest = self.get("/digest");
        if self.moment.known.is_some() {
            digest.problem("invalid-query");
        } else {
            self.same("a digest", digest.ok()["position"].clone(), self.position);
        }
    }

    fn figures(&self, random: &mut SmallRng) {
        for at in 0..self.truth.pools.len() {
            let figure = FIGURES[random.random_range(0..FIGURES.len())];
            let path = format!("/pools/pool_{at}/explain?figure={figure}");
            self.same(&path, self.one(&path)["value"].clone(), self.truth.pools[at].figures()[figure].clone());
            // the events that changed it, one by one
            let (mut state, mut steps, mut before) = (State::default(), Vec::new(), Value::Null);
            for fact in &self.counted {
                state.take(fact, fact.recorded);
                let Some(now) = state.pools.get(at).map(|pool| pool.figures()[figure].clone()) else { continue };
                if now != before {
                    steps.push(json!([fact.position, now]));
                    before = now;
                }
            }
            let shown = self.list(&path).into_iter().map(|step| json!([step["position"], step["value"]]));
            self.same(&path, shown.collect::<Vec<_>>(), steps);
        }
    }

    fn timelines(&self, random: &mut SmallRng) {
        let is_placed = self.moment.known.is_some();
        for (at, _) in self.truth.pools.iter().enumerate() {
            let path = format!("/pools/pool_{at}/timeline");
            let points = self.list(&path);
            let time = |point: &Value| micros(&point[if is_placed { "placed_at" } else { "recorded_at" }]);
            assert!(points.windows(2).all(|pair| time(&pair[0]) <= time(&pair[1])), "{path} {}", self.query);
            let counts = |pool: &Pool| {
                let mut figures = pool.figures();
                json!([figures.remove("owned"), figures.remove("held"), figures.remove("free")])
            };
            let shown = |point: &Value| json!([point["owned"], point["held"], point["free"]]);
            let last = points.last().expect("its listing");
            self.same("the end of a timeline", shown(last), counts(&self.truth.pools[at]));
            // at each point it says what an answer of that instant says, known as far
            let one = &points[random.random_range(0..points.len())];
            let instant = if is_placed {
                Moment {
                    as_of: Some(Point::Micros(time(one))),
                    known: Some(Point::Position(self.facts.known(self.moment))),
                }
            } else {
                Moment { as_of: Some(Point::Position(one["position"].as_u64().expect("one"))), known: None }
            };
            let then = State::of(&self.facts.of_moment(instant), false);
            let of_instant = points.iter().rfind(|point| !is_placed || time(point) == time(one));
            let of_instant = if is_placed { of_instant.expect("one") } else { one };
            self.same("a point of a timeline", shown(of_instant), counts(&then.pools[at]));
            // a day's last word
            let days = self.list(&format!("{path}?bucket=day"));
            let day = |point: &Value| text(time(point)).split('T').next().expect("a day").to_owned();
            for shown_day in &days {
                let of_day =
                    points.iter().rfind(|point| day(point).as_str() <= shown_day["day"].as_str().expect("a day"));
                self.same("a day of a timeline", shown(shown_day), shown(of_day.expect("none before its listing")));
            }
            assert!(days.last().expect("one").get("day").is_some_and(|last_day| last_day.as_str() >= Some(&day(last))));
        }
    }

    fn stories(&self, random: &mut SmallRng) {
        for _ in 0..3 {
            let pool = random.random_range(0..self.truth.pools.len().max(1));
            let holder = format!("user:user_{}", random.random_range(0..4));
            let Some(of) = self.truth.pools.get(pool) else { continue };
            let story = self.one(&format!("/pools/pool_{pool}/seats/{holder}/explain"));
            let (seat, waits) = (of.seats.get(&holder), of.queue.values().any(|one| *one == holder));
            let state = seat.map(|seat| if seat.in_use { "in_use" } else { "reserved" });
            self.same("a story's seat", story["seat"].clone(), state);
            match (seat.is_some(), waits) {
                (true, _) => self.same("a story", story["standing"].clone(), "holds"),
                (false, true) => self.same("a story", story["standing"].clone(), "waits"),
                (false, false) => assert!(story["standing"] != "holds" && story["standing"] != "waits", "{story}"),
            }
        }
    }

    fn reports(&self) {
        let rows = self.list("/reports/license-position");
        let truth = self.truth.pools.iter().map(|pool| {
            let figures = pool.figures();
            json!([figures["owned"], figures["held"], figures["free"], figures["over_by"]])
        });
        let shown = rows.iter().map(|row| json!([row["owned"], row["held"], row["free"], row["over_by"]]));
        self.same("license position", shown.collect::<Vec<_>>(), truth.collect::<Vec<_>>());
        for (at, pool) in self.truth.pools.iter().enumerate() {
            let rows = self.list(&format!("/reports/holders?pool=pool_{at}"));
            let shown = rows.iter().map(|row| json!([row["holder"], row["state"], micros(&row["since"])]));
            let truth = sorted(pool.seats.keys()).into_iter().map(|holder| {
                let seat = &pool.seats[holder];
                json!([holder, if seat.in_use { "in_use" } else { "reserved" }, seat.since])
            });
            self.same("holders", shown.collect::<Vec<_>>(), truth.collect::<Vec<_>>());
            let listed: Vec<_> = rows.iter().map(|row| row["holder"].as_str().expect("an id").to_owned()).collect();
            assert_eq!(self.holders_in_file(&format!("holders?pool=pool_{at}")), listed, "{}", self.query);
        }
        let untargeted = self.list("/reports/untargeted-seats");
        let listed: Vec<_> = untargeted.iter().map(|row| row["holder"].as_str().expect("an id").to_owned()).collect();
        assert_eq!(self.holders_in_file("untargeted-seats"), listed, "{}", self.query);
        assert!(untargeted.len() <= self.truth.pools.iter().map(|pool| pool.seats.len()).sum(), "{}", self.query);
    }

    /// The same report as a CSV.
    fn holders_in_file(&self, report: &str) -> Vec<String> {
        let file = self.get(&format!("/reports/{report}{}format=csv", joint(report)));
        let mut reader = csv::Reader::from_reader(file.text.as_bytes());
        let column = reader.headers().expect("a header").iter().position(|name| name == "holder").expect("a column");
        reader.records().map(|row| row.expect("a row")[column].to_owned()).collect()
    }
}

fn joint(path: &str) -> char {
    if path.contains('?') { '&' } else { '?' }
}

/// Users by number, then devices.
fn sorted<'a>(holders: impl Iterator<Item = &'a String>) -> Vec<&'a String> {
    let mut holders: Vec<_> = holders.collect();
    holders.sort_by_key(|holder| (!holder.starts_with("user:"), number(holder)));
    holders
}

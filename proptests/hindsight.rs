//! Every read of the past, also as it was known later, against a fold of the events that count (`naive.rs`), for random
//! histories and random pairs of instants.

mod life;
mod naive;
mod reads;

use crate::harness::{Service, Tenant, encode};
use naive::{Facts, Moment, Point, text};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

/// Histories, commands of each, and pairs of instants of each.
const HISTORIES: u64 = 6;
const COMMANDS: usize = 90;
const MOMENTS: usize = 14;

fn any_point(random: &mut SmallRng, facts: &Facts) -> Point {
    let at = random.random_range(0..=facts.head());
    if random.random_bool(0.4) {
        return Point::Position(at);
    }
    // also between two events, and on the very instant at which something is placed
    let fact = &facts.0[usize::try_from(at).expect("a place")];
    let last = facts.0.last().expect("an event").recorded;
    let time = if random.random_bool(0.5) { fact.placed } else { fact.recorded + random.random_range(-2..2_000_000) };
    Point::Micros(time.clamp(facts.0[0].recorded, last))
}

fn any_moment(random: &mut SmallRng, facts: &Facts) -> Moment {
    let late: Vec<_> = facts.0.iter().filter(|fact| fact.placed < fact.recorded).collect();
    if random.random_bool(0.5) && !late.is_empty() {
        // of an instant of which something was heard later
        let fact = late[random.random_range(0..late.len())];
        let as_of = fact.placed + random.random_range(0..fact.recorded - fact.placed);
        let as_of = as_of.clamp(facts.0[0].recorded, facts.0.last().expect("an event").recorded);
        let known = Point::Position(random.random_range(fact.position.saturating_sub(2)..=facts.head()));
        return Moment { as_of: Some(Point::Micros(as_of)), known: Some(known) };
    }
    let point = |random: &mut SmallRng, share| random.random_bool(share).then(|| any_point(random, facts));
    let (as_of, known) = (point(random, 0.9), point(random, 0.8));
    // most who ask this ask from the present
    let known = known.map(|known| if random.random_bool(0.3) { Point::Position(facts.head()) } else { known });
    Moment { as_of, known }
}

#[test]
fn every_read_of_the_past_is_the_fold_of_what_counted_then() {
    let service = Service::start();
    let mut late = 0;
    for seed in 0..HISTORIES {
        let t = life::lived(&service, seed, COMMANDS);
        let mut random = SmallRng::seed_from_u64(1000 + seed);
        for _ in 0..MOMENTS {
            // who reads a report leaves an event, later than all that is compared
            let facts = Facts::of(&t.list("/events"));
            service.advance_seconds(1);
            let moment = any_moment(&mut random, &facts);
            let counted = facts.of_moment(moment);
            late += counted.iter().filter(|fact| fact.position > facts.shown(moment)).count();
            reads::are_those_of(&t, &facts, moment, &mut random);
        }
    }
    assert!(late > 120, "only {late} facts counted before they were recorded");
}

/// Ada's laptop was offline: it tells two days later what happened on it.
fn told_late() -> (Tenant, i64) {
    let t = Tenant::shared();
    t.owns("office", 1);
    t.user("ada");
    t.device("laptop");
    let installed_at = naive::micros(&t.get("").ok()["created_at"]) - 3_600_000_000;
    (t, installed_at)
}

#[test]
fn what_is_asked_wrongly_of_what_was_known_is_named() {
    let (t, before) = told_late();
    let head = t.head();
    let wrong = |query: &str| t.get(&format!("/pools?{query}"));
    for garbage in ["", "-1", "yesterday", "2026-13-01T00:00:00Z", "99999999999999999999999", &"9".repeat(500)] {
        let problem = wrong(&format!("as_of=1&as_known_at={}", encode(garbage))).problem("invalid-query");
        assert_eq!(problem["parameter"], "as_known_at", "{problem}");
        let problem = wrong(&format!("as_of={}&as_known_at=1", encode(garbage))).problem("invalid-query");
        assert_eq!(problem["parameter"], "as_of", "{problem}");
    }
    let beyond = wrong(&format!("as_known_at={}", head + 1)).problem("position-not-reached");
    assert_eq!(beyond["parameter"], "as_known_at");
    assert_eq!(wrong("as_known_at=2100-01-01T00:00:00Z").problem("position-not-reached")["parameter"], "as_known_at");
    assert_eq!(wrong(&format!("as_known_at={}", text(before))).problem("before-history")["parameter"], "as_known_at");
    wrong(&format!("as_of={}&as_known_at=1", head + 1)).problem("position-not-reached");
    wrong(&format!("as_of={}&as_known_at=1", text(before))).problem("before-history");
    wrong("as_known_at=1&as_known_at=2").problem("invalid-query");
    // what was known on an earlier day of a later one is what was known on the earlier one
    let reversed = wrong(&format!("as_of={head}&as_known_at=2")).ok();
    assert_eq!(reversed["position"], 2);

    // where there are positions and nothing else
    t.post("/reviews", json!({"name": "who", "pools": ["declared:office"], "undecided": "keep"})).created();
    for path in ["/digest?", "/reviews/review_0/seats?", "/reviews/review_0/seats?format=csv&"] {
        let problem = t.get(&format!("{path}as_known_at=1")).problem("invalid-query");
        assert_eq!(problem["parameter"], "as_known_at", "{path}");
    }
    for report in ["person?user=ada@example.org&", "peak-use?", "drift?", "idle-seats?days=1&", "true-up?", "cap?"] {
        let problem = t.get(&format!("/reports/{report}as_known_at=1")).problem("invalid-query");
        assert_eq!(problem["parameter"], "as_known_at", "{report}");
    }
    t.get("/diff?from=1&to=2&as_known_at=2").problem("invalid-query");

    // a cursor of one moment, cut and bent
    t.user("bob");
    let page = t.get(&format!("/users?limit=1&as_of=3&as_known_at={}", t.head())).ok();
    let cursor = page["next_cursor"].as_str().map_or("", |cursor| cursor).to_owned();
    for bent in [&cursor[..cursor.len().min(14)], &format!("{cursor}AAAA"), "AAAA"] {
        let answer = t.get(&format!("/users?cursor={bent}"));
        assert!(answer.status == 400 || answer.status == 200, "{}", answer.text);
    }
}

#[test]
fn a_report_that_came_late_is_seen_by_who_knows_of_it() {
    let service = Service::start();
    let t = service.tenant();
    t.owns("office", 1);
    let before_ada = t.head();
    service.advance_days(1);
    for name in ["ada", "bob"] {
        t.user(name);
    }
    t.device("laptop");
    t.assign_to_user("office", "bob", "required").created();
    let knew = t.head();
    let office = |query: &str| t.get(&format!("/pools/declared:office?{query}")).ok();
    let day = |days: i64| (naive::micros(&t.get("").ok()["created_at"]) + days * 86_400_000_000) + 3_600_000_000;
    service.advance_days(1);
    // on the first day, before anybody was known, the app was there already
    let report = json!({"pool": "declared:office", "device": "laptop", "user": "ada@example.org", "report": true,
        "occurred_at": text(day(0))});
    t.post("/installs", report).created();
    let asked = format!("as_of={}", text(day(0)));
    assert_eq!((&office(&asked)["installed"], &office(&asked)["position"]), (&json!(0), &json!(before_ada)));
    let told = office(&format!("{asked}&as_known_at={}", t.head()));
    assert_eq!((&told["installed"], &told["unlicensed"]), (&json!(1), &json!(1)));
    assert_eq!(office(&format!("{asked}&as_known_at={knew}"))["installed"], 0, "nobody knew that then");
    let known = format!("{asked}&as_known_at={}", t.head());
    let installs = t.get(&format!("/pools/declared:office/installs?{known}")).ok();
    assert_eq!(
        (&installs["items"][0]["user"], &installs["items"][0]["since"]),
        (&json!("user_0"), &json!(text(day(0))))
    );
    // they are found by what tells of them, and are not among those who were known
    assert_eq!(t.list(&format!("/users?{known}")).len(), 0);
    t.get(&format!("/users/user_0?{known}")).problem("user-not-found");
    t.get(&format!("/users/user_1/seats?{known}")).problem("user-not-found");
    t.get(&format!("/users/user_0/seats?{known}")).ok();
    assert_eq!(t.list(&format!("/devices/device_0/installs?{known}")).len(), 1);

    // bob leaves; that ada has the seat since yesterday is heard now, so by hindsight there were two of one
    t.post("/users/bob@example.org/departure", json!({"cause": "deactivated"})).ok();
    t.assign("office", json!({"user": "ada@example.org"}), "required", json!({"occurred_at": text(day(1))})).created();
    let now = office(&format!("as_of={}&as_known_at={}", text(day(1)), t.head()));
    assert_eq!((&now["held"], &now["over_by"], &now["free"]), (&json!(2), &json!(1), &json!(0)));
    let seats = t.list(&format!("/pools/declared:office/seats?as_of={}&as_known_at={}", text(day(1)), t.head()));
    assert_eq!(seats[0]["since"], json!(text(day(1))));
    let head = t.head();
    let access = t.list(&format!("/reports/holders?pool=declared:office&as_of={knew}&as_known_at={head}"));
    assert_eq!(access.len(), 1, "position {knew} is before that day");
    let log = t.list("/reports/access-log");
    assert_eq!((&log[0]["as_of"], &log[0]["to"]), (&json!(knew), &json!(head)), "{log:?}");
}

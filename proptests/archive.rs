//! Counts of the past that lie on disk, seen from outside: what is said of a position stays what was said when it was the last
//! one, behind `kill -9` as well, and behind a start that had to make a damaged archive anew.

use crate::harness::{Service, Tenant, verify};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;

/// In a call: counts of a pool go into the archive by 1,024 events.
const LINES: usize = 2_000;
const DEVICES: usize = 24;
const POOL: &str = "declared:app";

/// What a pool was said to be, by position.
type Told = BTreeMap<u64, Value>;

/// A pool that one person installs and uninstalls all day, on one device after the other.
struct Busy {
    t: Tenant,
    user: String,
    devices: Vec<String>,
    turns: usize,
    told: Told,
}

impl Busy {
    fn of(t: Tenant) -> Self {
        t.owns("app", 1000);
        let user = t.user("ada");
        t.assign_to_user("app", "ada", "available").created();
        let devices = (0..DEVICES).map(|n| t.device(&format!("device-{n}"))).collect();
        Self { t, user, devices, turns: 0, told: Told::new() }
    }

    /// Some thousand events, behind which it is installed on one device more than before.
    fn turn(&mut self) {
        let line = |kind: &str, device: &String| {
            json!({"type": kind, "pool": POOL, "device": device, "user": self.user}).to_string()
        };
        let stays = &self.devices[self.turns];
        let others = &self.devices[self.turns + 1..];
        let mut lines = vec![line("install", stays)];
        for device in others.iter().cycle().take(LINES / 2) {
            lines.extend([line("install", device), line("uninstall", device)]);
        }
        let call = self.t.call(reqwest::Method::POST, "/commands");
        let answer = call.body("application/x-ndjson", lines.join("\n")).send();
        assert!(!answer.text.contains("refused"), "{:.2000}", answer.text);
        self.turns += 1;
        let said = self.t.pool("app");
        assert_eq!(said["installed"], self.turns, "{said}");
        self.told.insert(self.t.head(), said);
    }

    fn past(&self) -> Told {
        let path = |position: &u64| format!("/pools/{POOL}?as_of={position}");
        self.told.keys().map(|position| (*position, self.t.get(&path(position)).ok())).collect()
    }

    fn is_as_told(&self) {
        for ((position, was), (_, now)) in self.told.iter().zip(self.past()) {
            assert_eq!(figures(was), figures(&now), "at {position}");
        }
    }
}

/// Everything of a pool but where it was read.
fn figures(said: &Value) -> Value {
    let mut said = said.clone();
    said.as_object_mut().expect("a pool").remove("position");
    said
}

/// It answers as it did at the time, and whatever it leaves behind is what it wrote.
fn ends_well(service: &mut Service, busy: &Busy) {
    service.start_again();
    busy.is_as_told();
    service.stop();
    let (is_whole, words) = verify(&service.data());
    assert!(is_whole, "{words}");
}

#[test]
fn the_past_is_what_was_told_behind_kills_and_damage() {
    let mut service = Service::start();
    let file = service.data().join("archive/1.archive");
    let mut busy = Busy::of(service.tenant());
    (0..4).for_each(|_| busy.turn());
    busy.is_as_told();
    let empty = fs::metadata(&file).expect("an archive").len();
    service.stop();
    let filled = fs::metadata(&file).expect("an archive").len();
    assert!(filled > empty + 1000, "counts went into it with the last snapshot: {empty} and {filled} bytes");
    for _ in 0..3 {
        service.start_again();
        busy.is_as_told();
        (0..2).for_each(|_| busy.turn());
        service.kill();
    }
    ends_well(&mut service, &busy);

    let mut bytes = fs::read(&file).expect("an archive");
    // in each entry, and not where the file says what it is
    bytes.iter_mut().skip(100).step_by(50).for_each(|byte| *byte ^= 1);
    fs::write(&file, bytes).expect("written back");
    let (is_whole, words) = verify(&service.data());
    assert!(!is_whole && words.contains("archive"), "{words}");
    service.start_again();
    // what does not lie there any more is folded from the log
    busy.is_as_told();
    service.log_with("the archive of counts is damaged and will be made anew at the next start");
    assert!(service.root().get("/readyz").text.contains("the archive of past counts"), "an engineer is told");
    service.kill();
    ends_well(&mut service, &busy);
}

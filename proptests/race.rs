//! Many connections at once: no seat is handed out twice, none is held back, and every command is done once, as the
//! recorded history itself says.

use crate::crowd::{Crowd, Town};
use crate::harness::{Said, Service, Tenant, call_of};
use crate::history::History;
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

const TOWN: Town = Town { people: 600, devices: 200, pools: 10, seats: 50 };
const CONNECTIONS: u64 = 64;
const COMMANDS: u64 = 20_000;
/// Commands that two connections are to send at the same time.
const HOT_MAX: usize = 8;

/// One connection, what was said to it, and which ids a batch took back.
struct Racer {
    t: Tenant,
    crowd: Crowd,
    sent: u64,
    said: Vec<(Value, Said)>,
    undone: BTreeSet<String>,
}

impl Racer {
    fn run(&mut self, commands: u64, is_greedy: bool, hot: &Mutex<Vec<Value>>) {
        let end = self.sent + commands;
        while self.sent < end {
            match self.crowd.below(100) {
                0..45 => {
                    let command = self.next(is_greedy);
                    if self.crowd.below(10) == 0 && hot.lock().len() < HOT_MAX {
                        hot.lock().push(command.clone());
                    }
                    self.single(command);
                }
                45..55 => {
                    let another = hot.lock().pop();
                    if let Some(command) = another {
                        self.single(command);
                    }
                }
                55..60 if !self.said.is_empty() => self.again(),
                60..65 if !is_greedy => self.atomic(),
                _ => {
                    let mut commands: Vec<Value> =
                        (0..2 + self.crowd.below(30)).map(|_| self.next(is_greedy)).collect();
                    if self.crowd.below(4) == 0 {
                        commands.extend(commands.first().cloned());
                    }
                    self.bulk(commands);
                }
            }
        }
    }

    fn next(&mut self, is_greedy: bool) -> Value {
        if is_greedy { self.crowd.grab() } else { self.crowd.act() }
    }

    fn heard(&mut self, command: Value, said: Said) {
        self.crowd.heard(&command, &said);
        self.said.push((command, said));
    }

    fn single(&mut self, command: Value) {
        self.sent += 1;
        loop {
            if let Some(said) = Said::of(&call_of(&self.t, &command).send()) {
                return self.heard(command, said);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// An earlier command once more, the other way or the same.
    fn again(&mut self) {
        let at = self.crowd.below(u32::try_from(self.said.len()).expect("few enough")) as usize;
        let command = self.said[at].0.clone();
        if self.crowd.below(2) == 0 { self.single(command) } else { self.bulk(vec![command]) }
    }

    fn results(&self, path: &str, commands: &[Value], is_ndjson: bool) -> Option<Vec<Value>> {
        let call = self.t.call(reqwest::Method::POST, path);
        let answer = if is_ndjson {
            let lines: Vec<String> = commands.iter().map(Value::to_string).collect();
            call.body("application/x-ndjson", lines.join("\n")).send()
        } else {
            call.json(&commands.to_vec().into()).send()
        };
        if answer.status == 503 {
            return None;
        }
        assert_eq!(answer.status, 200, "{}", answer.text);
        let results: Vec<Value> = if is_ndjson {
            answer.text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
        } else {
            answer.body["results"].as_array().expect("results").clone()
        };
        assert_eq!(results.len(), commands.len());
        Some(results)
    }

    fn bulk(&mut self, commands: Vec<Value>) {
        self.sent += commands.len() as u64;
        let is_ndjson = self.crowd.below(2) == 0;
        let results = loop {
            match self.results("/commands", &commands, is_ndjson) {
                Some(results) => break results,
                None => thread::sleep(Duration::from_millis(20)),
            }
        };
        for (command, result) in commands.into_iter().zip(results) {
            assert_eq!(result["id"], command["id"]);
            match Said::of_result(&result) {
                Some(said) => self.heard(command, said),
                None => self.single(command),
            }
        }
    }

    /// All or nothing: where one was refused, it leaves its refusal, the others leave nothing.
    fn atomic(&mut self) {
        let commands: Vec<Value> = (0..3).map(|_| self.next(false)).collect();
        self.sent += 3;
        let Some(results) = self.results("/commands?atomic=true", &commands, false) else { return };
        for (command, result) in commands.into_iter().zip(results) {
            if result["problem"]["type"] == "/problems/batch-refused" {
                self.undone.insert(command["id"].as_str().expect("an id").to_owned());
            } else {
                self.heard(command, Said::of_result(&result).expect("judged"));
            }
        }
    }
}

fn all_at_once(racers: &mut [Racer], commands: u64, is_greedy: bool) {
    let hot = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for racer in racers {
            let hot = &hot;
            scope.spawn(move || racer.run(commands, is_greedy, hot));
        }
    });
}

#[test]
fn no_seat_is_handed_out_twice_and_none_is_held_back_in_a_race() {
    let service = Service::start();
    let t = service.tenant();
    TOWN.build(&t);
    let mut racers: Vec<Racer> = (0..CONNECTIONS)
        .map(|n| Racer {
            t: Tenant::new(&service.root(), &t.name),
            crowd: Crowd::new(TOWN, format!("racer-{n}"), n),
            sent: 0,
            said: Vec::new(),
            undone: BTreeSet::new(),
        })
        .collect();
    // first everything, at last only what takes seats: then every pool must be full
    let share = COMMANDS.div_ceil(CONNECTIONS);
    all_at_once(&mut racers, share * 4 / 5, false);
    all_at_once(&mut racers, share - share * 4 / 5, true);
    let sent: u64 = racers.iter().map(|racer| racer.sent).sum();
    assert!(sent >= COMMANDS, "{sent}");

    let mut history = History::default();
    let events = history.read_on(&t);
    history.equals_the_figures_of(&t);
    for pool in history.pools.values() {
        assert_eq!((pool.held(), pool.owned), (50, Some(50)), "a pool that more want than it has is full");
    }
    assert!(history.grants > 1000 && history.refusals_for_lack > 100, "there was a race: {}", history.grants);

    let mut said: BTreeMap<&str, &Said> = BTreeMap::new();
    for (command, one) in racers.iter().flat_map(|racer| &racer.said) {
        let id = command["id"].as_str().expect("an id");
        let first = said.entry(id).or_insert(one);
        assert_eq!(*first, one, "law 6: every answer to {id} is the first");
    }
    for (id, one) in &said {
        let (first, last) = history.commands[*id];
        assert_eq!(last, one.position, "{id}");
        let kind = events[usize::try_from(last).expect("a place")]["type"].as_str().expect("a type");
        let is_refused = matches!(kind, "command_refused" | "batch_refused");
        let is_unchanged = kind == "command_unchanged";
        assert_eq!((is_refused, is_unchanged), (one.status == "refused", one.status == "unchanged"), "{id}");
        assert!(first == last || one.status == "done", "{id}");
    }
    for id in history.commands.keys() {
        assert!(said.contains_key(id.as_str()), "{id} is in the log, and nobody was told");
    }
    for id in racers.iter().flat_map(|racer| &racer.undone) {
        assert!(!history.commands.contains_key(id), "{id} was taken back with its batch");
    }
    eprintln!(
        "{sent} commands, {} ids, {} events, {} grants, {} refused for lack of seats",
        said.len(),
        events.len(),
        history.grants,
        history.refusals_for_lack
    );
}

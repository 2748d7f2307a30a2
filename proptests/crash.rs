//! `kill -9` of the real service, again and again on one folder: what was acknowledged is there, what was not is done once
//! when it is sent again. And, seen from outside, that no answer goes out before its group is on stable storage.

mod traced;

use crate::crowd::{Crowd, Town};
use crate::harness::{Options, Said, Service, Tenant, call_of, is_budget_full, replay, verify};
use crate::history::History;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const TOWN: Town = Town { people: 80, devices: 20, pools: 4, seats: 10 };
const CONNECTIONS: u64 = 5;
/// So many earlier commands are sent again after each crash; all of them at the end of a long run would say no more.
const EARLIER: u32 = 40;

/// One who asks, and what became of each command: the status code and what was said, if anything was.
struct Asker {
    t: Tenant,
    crowd: Crowd,
    asked: Vec<(Value, Option<(u16, Said)>)>,
}

impl Asker {
    /// Until the service is gone.
    fn run(&mut self, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            let command =
                if self.crowd.below(20) == 0 && !self.asked.is_empty() { self.earlier().0 } else { self.crowd.act() };
            let answer = call_of(&self.t, &command).try_send();
            let said = answer.ok().and_then(|answer| Said::of(&answer).map(|said| (answer.status, said)));
            let is_gone = said.is_none();
            if let Some((_, said)) = &said {
                self.crowd.heard(&command, said);
            }
            self.asked.push((command, said));
            if is_gone {
                return;
            }
        }
    }

    fn earlier(&mut self) -> (Value, Option<(u16, Said)>) {
        let at = self.crowd.below(u32::try_from(self.asked.len()).expect("few enough"));
        self.asked[at as usize].clone()
    }

    /// Sends what was asked since `from` again, and some of what was asked before: the first answer comes.
    fn ask_again(&mut self, from: usize) {
        let recent = self.asked.len() - from;
        for place in from..self.asked.len() {
            let (command, first) = self.asked[place].clone();
            let said = self.again(&command, first.as_ref());
            if first.is_none() {
                self.crowd.heard(&command, &said.1);
            }
            self.asked[place].1 = Some(said);
        }
        if recent < self.asked.len() {
            for _ in 0..EARLIER {
                let (command, first) = self.earlier();
                self.again(&command, first.as_ref());
            }
        }
    }

    fn again(&self, command: &Value, first: Option<&(u16, Said)>) -> (u16, Said) {
        let answer = call_of(&self.t, command).send();
        let said = (answer.status, Said::of(&answer).unwrap_or_else(|| panic!("{command}: {}", answer.text)));
        assert!(first.is_none_or(|first| *first == said), "{command}: first {first:?}, now {said:?}");
        said
    }
}

#[test]
fn an_acknowledged_command_survives_every_kill() {
    let kills = if is_budget_full() { 100 } else { 25 };
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let environment =
        [("SEATLEDGER_CHECKPOINT_SECONDS", "1"), ("SEATLEDGER_SEGMENT_BYTES", "65536"), ("SEATLEDGER_LOG", "warn")];
    let environment = environment.map(|(name, value)| (name, value.to_owned())).to_vec();
    let mut service = Service::start_with(Options { environment, ..Options::default() });
    let t = service.tenant();
    TOWN.build(&t);
    let mut askers: Vec<Asker> = (0..CONNECTIONS)
        .map(|n| {
            let crowd = Crowd::new(TOWN, format!("asker-{n}"), seed.wrapping_add(n));
            Asker { t: Tenant::new(&service.root(), &t.name), crowd, asked: Vec::new() }
        })
        .collect();
    let mut dice = Crowd::new(TOWN, "dice".to_owned(), seed.wrapping_sub(1));
    let mut history = History::default();
    let (mut answered, mut unanswered, mut killed, mut rounds) = (0, 0, 0, 0);
    while killed < kills {
        rounds += 1;
        let from: Vec<usize> = askers.iter().map(|asker| asker.asked.len()).collect();
        // every fourth lives long enough to be hit in a checkpoint
        let life = if dice.below(4) == 0 { 900 + dice.below(400) } else { 5 + dice.below(300) };
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for asker in &mut askers {
                scope.spawn(|| asker.run(&is_over));
            }
            thread::sleep(Duration::from_millis(life.into()));
            service.kill();
            is_over.store(true, Ordering::Relaxed);
        });
        killed += 1;
        for (asker, from) in askers.iter().zip(&from) {
            let heard = asker.asked[*from..].iter().filter(|(_, said)| said.is_some()).count();
            answered += heard;
            unanswered += asker.asked.len() - from - heard;
        }
        if dice.below(5) == 0 {
            let (is_whole, words) = verify(&service.data());
            assert!(is_whole, "after kill {killed}: {words}");
        }
        while killed < kills && dice.below(3) == 0 {
            service.start_and_kill(Duration::from_millis(dice.below(250).into()));
            killed += 1;
        }
        service.start_again();
        history.read_on(&t);
        for (asker, from) in askers.iter().zip(&from) {
            for (command, said) in &asker.asked[*from..] {
                if let Some((_, said)) = said {
                    is_in(&history, command, said);
                }
            }
        }
        thread::scope(|scope| {
            for (asker, from) in askers.iter_mut().zip(&from) {
                scope.spawn(move || asker.ask_again(*from));
            }
        });
        history.read_on(&t);
        history.equals_the_figures_of(&t);
    }
    // the whole history once more, from its beginning, with every answer that was ever given
    let mut history = History::default();
    let events = history.read_on(&t);
    let mut ids = 0;
    for (command, said) in askers.iter().flat_map(|asker| &asker.asked) {
        let (_, said) = said.as_ref().expect("asked again after each kill");
        is_in(&history, command, said);
        ids += 1;
    }
    for asker in &mut askers {
        for _ in 0..20 {
            let (command, _) = asker.earlier();
            let id = command["id"].as_str().expect("an id");
            let (first, last) = history.commands[id];
            let whole: Vec<Value> = t.list(&format!("/events?command={id}"));
            let run = usize::try_from(first).expect("a place")..=usize::try_from(last).expect("a place");
            assert_eq!(whole, events[run], "{id} is whole");
        }
    }
    let shown = t.get("/digest").ok();
    service.stop();
    let (is_whole, words) = verify(&service.data());
    assert!(is_whole, "{words}");
    let (position, digest) = replay(&service.data()).remove(&t.name).expect("the tenant");
    assert_eq!((&shown["position"], &shown["digest"]), (&position.into(), &digest.into()), "replay and memory");
    eprintln!(
        "{killed} kills in {rounds} rounds: {answered} answered, {unanswered} not; {ids} asked, {} events",
        events.len()
    );
    assert!(answered > kills && unanswered > kills / 2, "it was killed under load: {answered}, {unanswered}");
}

/// What the log says of itself while nobody asks for anything: a checkpoint that fails ends the service.
#[test]
fn a_log_that_stops_behind_the_last_command_ends_the_service() {
    let environment = vec![("SEATLEDGER_CHECKPOINT_SECONDS", "1".to_owned())];
    let mut service = Service::start_with(Options { environment, ..Options::default() });
    std::fs::remove_file(service.data().join("anchor")).expect("there is one");
    // it may be gone before it answers
    let body = serde_json::json!({"name": "Acme"});
    let _answer = service.root().call(reqwest::Method::PUT, "/v1/tenants/acme").json(&body).try_send();
    assert_eq!(service.ended().code(), Some(70), "{}", service.log());
    assert!(service.log().contains("seatledger: the log has stopped: the checkpoint failed"), "{}", service.log());
}

#[test]
fn a_stop_without_its_last_checkpoint_is_no_success() {
    let mut service = Service::start();
    service.tenant();
    std::fs::remove_file(service.data().join("anchor")).expect("there is one");
    service.tell_to_stop();
    assert_eq!(service.ended().code(), Some(70), "{}", service.log());
}

fn is_in(history: &History, command: &Value, said: &Said) {
    let run = history.commands.get(command["id"].as_str().expect("an id"));
    let (first, last) = run.unwrap_or_else(|| panic!("acknowledged and lost: {command}: {said:?}"));
    assert_eq!(*last, said.position, "{command} from {first}: {said:?}");
}

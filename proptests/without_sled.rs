//! Sled is the log that is read, and nothing hangs on it: gone, cut off or scribbled over, it costs a rebuild.

use crate::crowd::{Crowd, Town};
use crate::harness::{Options, Said, Service, Tenant, call_of, verify};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const TOWN: Town = Town { people: 40, devices: 10, pools: 3, seats: 6 };

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files.extend(files_under(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

fn cut(file: &Path, percent_left: u64) {
    let file = fs::File::options().write(true).open(file).expect("a file of sled");
    let length = file.metadata().expect("its length").len();
    file.set_len(length * percent_left / 100).expect("cut");
}

fn scribble(file: &Path, random: &mut StdRng) {
    let mut bytes = fs::read(file).expect("a file of sled");
    // the used part: sled's files begin with it and end with zeros
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for _ in 0..used.div_ceil(50) {
        let at = random.random_range(0..used);
        bytes[at] = random.random();
    }
    fs::write(file, bytes).expect("written back");
}

type Spoil = fn(&Path, &mut StdRng);

/// What can happen to the folder of sled, each with its name.
const SPOILS: &[(&str, Spoil)] = &[
    ("deleted", |sled, _| fs::remove_dir_all(sled).expect("removed")),
    ("emptied", |sled, _| files_under(sled).iter().for_each(|file| fs::remove_file(file).expect("removed"))),
    ("cut to nothing", |sled, _| files_under(sled).iter().for_each(|file| cut(file, 0))),
    ("cut in half", |sled, _| files_under(sled).iter().for_each(|file| cut(file, 50))),
    ("cut short", |sled, _| files_under(sled).iter().for_each(|file| cut(file, 3))),
    ("scribbled over", |sled, random| files_under(sled).iter().for_each(|file| scribble(file, random))),
    ("lacking one file", |sled, random| {
        let files = files_under(sled);
        fs::remove_file(&files[random.random_range(0..files.len())]).expect("removed");
    }),
    ("a file", |sled, _| {
        fs::remove_dir_all(sled).expect("removed");
        fs::write(sled, "no folder").expect("written");
    }),
];

/// Everything of a tenant that counts.
fn everything(t: &Tenant) -> (Vec<Value>, Value, Vec<Value>) {
    (t.list("/events"), t.get("/digest").ok(), t.list("/pools"))
}

fn spoiled(is_killed: bool) {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let environment = vec![("SEATLEDGER_CHECKPOINT_SECONDS", "1".to_owned())];
    let mut service = Service::start_with(Options { environment, ..Options::default() });
    let t = service.tenant();
    TOWN.build(&t);
    let mut crowd = Crowd::new(TOWN, "asker".to_owned(), seed);
    for (name, spoil) in SPOILS {
        let mut asked = Vec::new();
        for _ in 0..40 {
            let command = crowd.act();
            let said = Said::of(&call_of(&t, &command).send()).expect("judged");
            crowd.heard(&command, &said);
            asked.push((command, said));
        }
        let before = everything(&t);
        if is_killed {
            service.kill()
        } else {
            service.stop()
        }
        spoil(&service.data().join("sled"), &mut random);
        service.start_again();
        assert_eq!(everything(&t), before, "sled was {name}");
        for (command, said) in &asked {
            assert_eq!(Said::of(&call_of(&t, command).send()).as_ref(), Some(said), "sled was {name}");
        }
    }
    service.stop();
    let (is_whole, words) = verify(&service.data());
    assert!(is_whole, "{words}");
    assert!(!service.log().contains("panicked"), "nobody is shown a panic: {}", service.log());
}

#[test]
fn a_spoiled_sled_of_a_stopped_service_costs_a_rebuild_and_nothing_else() {
    spoiled(false);
}

#[test]
fn a_spoiled_sled_after_a_kill_costs_a_rebuild_and_nothing_else() {
    spoiled(true);
}

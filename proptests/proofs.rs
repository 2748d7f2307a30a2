//! Proofs of a large log, taken one by one from the real service and checked offline: what an event's proof weighs, that
//! every one holds, and that any two heads are one history. A few of a small log by default; of a million events, 10,000
//! and 1,000, in the full budget. Not here: proofs that are bad (`bad_input/evidence.rs`), other implementations
//! (`strangers.rs`).

use crate::crowd::{Crowd, Town};
use crate::harness::{Options, Said, Service, Tenant, is_budget_full};
use crate::merkle_log::{head, key};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::RngExt as _;
use seatledger::clock::monotonic;
use seatledger::merkle::{Hash, Peaks, ProofFile, TileAddress, check_consistency, entries_in_bundle};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const PROOF_BYTES_MAX: usize = 2 << 10;
const BATCH_COMMANDS: usize = 1_000;

struct Plan {
    events: u64,
    proofs: usize,
    pairs: usize,
}

fn plan() -> Plan {
    if is_budget_full() {
        Plan { events: 1_000_000, proofs: 10_000, pairs: 1_000 }
    } else {
        Plan { events: 3_000, proofs: 200, pairs: 100 }
    }
}

/// A tenant with so many events, out of a town that is busy.
fn grown(service: &Service, events: u64) -> Tenant {
    let town = Town { people: 2_000, devices: 200, pools: 40, seats: 400 };
    let town = if events < 100_000 { Town { people: 200, devices: 20, pools: 4, seats: 40 } } else { town };
    let t = service.tenant();
    town.build(&t);
    let mut crowd = Crowd::new(town, "asker".to_owned(), rand::random());
    while t.head() + 1 < events {
        let commands: Vec<Value> = (0..BATCH_COMMANDS).map(|_| crowd.act()).collect();
        let results = t.post("/commands", commands.clone().into()).ok();
        for (command, result) in commands.iter().zip(results["results"].as_array().expect("results")) {
            if let Some(said) = Said::of_result(result) {
                crowd.heard(command, &said);
            }
        }
    }
    t
}

/// The largest, and the one that 99 of 100 do not exceed.
fn extent<T: Copy + Ord>(of: &mut [T]) -> (T, T) {
    of.sort_unstable();
    (of[of.len() - 1], of[(of.len() - 1) * 99 / 100])
}

#[test]
fn every_proof_of_a_large_log_is_small_and_holds_offline() {
    let plan = plan();
    let environment = vec![("SEATLEDGER_LOG", "warn".to_owned())];
    let service = Service::start_with(Options { environment, ..Options::default() });
    let t = grown(&service, plan.events);
    let (newest, key) = (head(&t), key(&t));
    let mut random = rand::rng();
    let (mut bytes, mut files, mut times) = (vec![], vec![], vec![]);
    for _ in 0..plan.proofs {
        let position = random.random_range(0..plan.events);
        let begun = monotonic();
        let answer = t.get(&format!("/log/proofs/{position}"));
        times.push(begun.elapsed());
        assert_eq!(answer.status, 200, "{position}: {}", answer.text);
        // the record, which may have as many bytes as it likes, stands in a line of its own
        let record = answer.text.lines().find(|line| line.starts_with("extra ")).map_or(0, |line| line.len() + 1);
        let size = answer.bytes.len() - record;
        assert!(size <= PROOF_BYTES_MAX, "the proof of {position} has {size} bytes besides its record");
        bytes.push(size);
        files.push(answer.bytes.len());
        let proof = ProofFile::parse(&answer.bytes).expect("a proof");
        let (_, head) = proof.check(&key).unwrap_or_else(|error| panic!("the proof of {position}: {error}"));
        assert_eq!((proof.index, head.root), (position, newest.root));
    }
    let ((most, p99), (longest, slow)) = (extent(&mut bytes), extent(&mut times));
    eprintln!("{} proofs of {} events: at most {most} bytes besides the record, p99 {p99}", plan.proofs, newest.size);
    let (most, p99) = extent(&mut files);
    eprintln!("the files, with record and head: at most {most} bytes, p99 {p99}");
    eprintln!("over HTTP, one after the other: at most {longest:?}, p99 {slow:?}");

    // roots that nobody told us: out of the records themselves
    let pairs: Vec<(u64, u64)> = (0..plan.pairs)
        .map(|_| {
            let (a, b) = (random.random_range(1..=newest.size), random.random_range(1..=newest.size));
            (a.min(b), a.max(b))
        })
        .collect();
    let roots = roots(&t, newest.size, pairs.iter().flat_map(|(from, to)| [*from, *to]));
    assert_eq!(roots[&newest.size], newest.root);
    let mut times: Vec<Duration> = vec![];
    for (from, to) in pairs {
        let begun = monotonic();
        let body = t.get(&format!("/log/consistency?from={from}&to={to}")).ok();
        times.push(begun.elapsed());
        let path: Vec<Hash> = body["hashes"].as_array().expect("hashes").iter().map(hash).collect();
        check_consistency(from, to, &path, &roots[&from], &roots[&to])
            .unwrap_or_else(|error| panic!("{from} to {to}: {error}"));
        // and of no other history
        let mut other = roots[&from];
        other[0] ^= 1;
        assert!(check_consistency(from, to, &path, &other, &roots[&to]).is_err(), "{from} to {to}");
    }
    let (longest, slow) = extent(&mut times);
    eprintln!("{} pairs of heads are one history: at most {longest:?}, p99 {slow:?}", plan.pairs);
}

fn hash(text: &Value) -> Hash {
    let bytes = STANDARD.decode(text.as_str().expect("a text")).expect("base64");
    Hash::try_from(bytes).expect("32 bytes")
}

/// The roots that the records have at these sizes.
fn roots(t: &Tenant, size: u64, wanted: impl Iterator<Item = u64>) -> BTreeMap<u64, Hash> {
    let mut roots: BTreeMap<u64, Hash> = wanted.chain([size]).map(|size| (size, Hash::default())).collect();
    let mut peaks = Peaks::default();
    for index in 0..size.div_ceil(256) {
        let width = u16::try_from((size - index * 256).min(256)).expect("at most 256");
        let bundle = t.get(&format!("/log/{}", TileAddress::entries(index, width)));
        for record in entries_in_bundle(&bundle.bytes, width).expect("a bundle") {
            peaks.push(record);
            if let Some(root) = roots.get_mut(&peaks.leaves()) {
                *root = peaks.root();
            }
        }
    }
    roots
}

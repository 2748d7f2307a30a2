//! The judge of a flip. It runs `verify`, or that part of it which looks at the file: what a part finds, the whole finds,
//! since the whole's findings are those of all parts; and of every so many flips the whole is run beside the part. A flip
//! that nothing is found of must be without effect. Not here: which flips there are.

use super::flips::{Flip, ROUNDS, kind};
use super::store::{copy, scratch};
use crate::harness::block_on;
use seatledger::clock::Clock;
use seatledger::ledger::evidence::{Signing, TileAddress, Witnessing};
use seatledger::ledger::verify::{Verification, verify};
use seatledger::ledger::{Ledger, LedgerOptions, LogOptions, MasterKeySource, NoProgress};
use seatledger::log::{Damage, WalkReport, receipts, snapshot, subjects, walk};
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Of so many flips that a part has judged, the whole judges one besides.
const IN_FULL_EVERY: u64 = 100;
/// Of so many flips without effect, the ledger is opened on one.
const OPENED_EVERY: u64 = 500;

/// What came of one flip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judged {
    Named { has_position: bool },
    WithoutEffect { is_opened: bool },
    Missed(String),
}

/// What a ledger on the folder shows of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    slug: String,
    digest: (u64, [u8; 32]),
    head: String,
    bundles: Vec<Vec<u8>>,
    cosigned: Option<String>,
    /// Days, heads, and times of the authority.
    stamps: Vec<(String, String, Option<String>)>,
}

/// A copy of the store that is flipped and flipped back.
pub(crate) struct Look {
    folder: tempfile::TempDir,
    before: Verification,
    walked_bare: WalkReport,
    shown: Vec<Shown>,
    same: u64,
}

/// What a part of the verification says.
enum Part {
    Found(Vec<Damage>),
    /// It has seen everything that the file is for, and that is as before.
    Same,
    Unsure,
}

fn key() -> MasterKeySource {
    MasterKeySource::DataFolder
}

fn walked(dir: &Path) -> WalkReport {
    let mut report = walk(dir, &NoProgress, &mut |_| ControlFlow::Continue(()));
    report.notes.clear();
    report
}

fn damages(report: &WalkReport) -> Vec<Damage> {
    let slot = report.bad_anchor_slot.map(|_| Damage { file: "anchor".into(), ..Damage::default() });
    let lists = [&report.damages, &report.head_damages, &report.sled_damages, &report.tile_damages];
    lists.into_iter().flatten().cloned().chain(slot).collect()
}

fn words(file: &str, what: impl ToString) -> Part {
    Part::Found(vec![Damage { file: file.into(), what: what.to_string(), ..Damage::default() }])
}

impl Look {
    pub(crate) fn at(data: &Path) -> Self {
        let folder = scratch();
        let (whole, bare) = (folder.path().join("whole"), folder.path().join("bare"));
        copy(data, &whole);
        // the same files without sled, whose opening takes longer than everything else
        fs::create_dir(&bare).expect("a folder");
        for entry in fs::read_dir(&whole).expect("a folder").map(|entry| entry.expect("an entry")) {
            if entry.file_name() != "sled" {
                symlink(entry.path(), bare.join(entry.file_name())).expect("a link");
            }
        }
        let mut before = verify(&whole, Some(&key()), false, &NoProgress);
        assert!(before.is_whole(), "{:?}", before.findings);
        before.log.notes.clear();
        let walked_bare = walked(&bare);
        let mut look = Self { folder, before, walked_bare, shown: vec![], same: 0 };
        look.shown = look.open().expect("it opens");
        look
    }

    pub(crate) fn whole(&self) -> PathBuf {
        self.folder.path().join("whole")
    }

    pub(crate) fn judge(&mut self, n: u64, flip: &Flip) -> Judged {
        flip.make(&self.whole());
        let judged = match self.part(flip) {
            Part::Found(found) if n.is_multiple_of(IN_FULL_EVERY) => {
                let part = named(flip, &found);
                let whole = self.in_full(flip);
                if matches!(whole, Judged::Named { .. }) == matches!(part, Judged::Named { .. }) {
                    part
                } else {
                    Judged::Missed(format!("the part says {part:?}, the whole {whole:?}"))
                }
            }
            Part::Found(found) => named(flip, &found),
            Part::Same if !n.is_multiple_of(IN_FULL_EVERY) => self.without_effect(),
            Part::Same | Part::Unsure => self.in_full(flip),
        };
        flip.make(&self.whole());
        judged
    }

    /// Judges whatever was done to the copy: a finding must name one of the places, by the file or by what it is part of.
    pub(crate) fn pieces(&self, places: &[&Path]) -> Judged {
        let found = verify(&self.whole(), Some(&key()), false, &NoProgress);
        if let Some(first) = found.findings.first() {
            let parts: Vec<String> = places.iter().map(|place| part_of(place)).collect();
            let names = |damage: &&Damage| parts.iter().any(|part| damage.to_string().contains(part));
            return match found.findings.iter().find(names) {
                Some(damage) => Judged::Named { has_position: damage.position.is_some() },
                None => Judged::Missed(format!("it is not named: {first}")),
            };
        }
        if found.tenants != self.before.tenants {
            return Judged::Missed(format!("nothing is found, and the states are others: {:?}", found.notes));
        }
        // a key that lies elsewhere is no damage, so a note has to do; the start says the rest
        let is_noted = found.notes.iter().any(|note| places.iter().any(|place| note.contains(&part_of(place))));
        match self.open() {
            Ok(shown) if is_same_or_older(&shown, &self.shown) => Judged::WithoutEffect { is_opened: true },
            Ok(_) | Err(_) if is_noted => Judged::Named { has_position: false },
            Ok(_) => Judged::Missed(format!("it opens, and shows something else: {:?}", found.notes)),
            Err(why) => Judged::Missed(format!("nothing is found, and it does not open: {why}")),
        }
    }

    fn part(&self, flip: &Flip) -> Part {
        let of_walk = |report: &WalkReport, before: &WalkReport| match damages(report) {
            found if !found.is_empty() => Part::Found(found),
            _ if report == before => Part::Same,
            _ => Part::Unsure,
        };
        let of_runs = |read: std::io::Result<Result<_, String>>, kind| match read {
            Ok(Ok(_)) => Part::Unsure,
            Ok(Err(what)) => words(kind, what),
            Err(error) => words(kind, error),
        };
        match flip.kind().as_str() {
            "journal" | "anchor" | "manifest" | "READY" | "tiles" => {
                of_walk(&walked(&self.folder.path().join("bare")), &self.walked_bare)
            }
            "sled" => of_walk(&walked(&self.whole()), &self.before.log),
            // the walk knows no signatures
            ROUNDS => match of_walk(&walked(&self.folder.path().join("bare")), &self.walked_bare) {
                Part::Same => Part::Unsure,
                told @ (Part::Found(_) | Part::Unsure) => told,
            },
            "receipts" => of_runs(receipts::verify(&self.whole()).map(|read| read.map(|_| ())), "receipts"),
            "subjects" => of_runs(subjects::verify(&self.whole()).map(|read| read.map(|_| ())), "subjects"),
            "snapshots" => match snapshot::check(&self.whole().join(&flip.file)) {
                Ok(_) => Part::Unsure,
                Err(error) => words(&flip.file.to_string_lossy(), error),
            },
            _ => Part::Unsure,
        }
    }

    fn in_full(&mut self, flip: &Flip) -> Judged {
        let mut found = verify(&self.whole(), Some(&key()), false, &NoProgress);
        if !found.is_whole() {
            return named(flip, &found.findings);
        }
        found.log.notes.clear();
        let of =
            |it: &Verification| (it.tenants.clone(), it.log.clone(), it.keys, it.receipts, it.positions, it.snapshots);
        let signed = |it: &Verification| (it.cosignatures, it.timestamps);
        if of(&found) == of(&self.before) && signed(&found) == signed(&self.before) {
            self.without_effect()
        } else {
            Judged::Missed(format!("nothing is found, and it is not as before: {:?}", found.notes))
        }
    }

    fn without_effect(&mut self) -> Judged {
        self.same += 1;
        let is_opened = self.same % OPENED_EVERY == 1;
        match is_opened.then(|| self.open()) {
            Some(Err(why)) => Judged::Missed(format!("nothing is found, and it does not open: {why}")),
            Some(Ok(shown)) if shown != self.shown => Judged::Missed("it opens, and shows something else".into()),
            Some(Ok(_)) | None => Judged::WithoutEffect { is_opened },
        }
    }

    /// Opens the ledger itself on a copy, and answers what it shows.
    fn open(&self) -> Result<Vec<Shown>, String> {
        let place = scratch();
        let dir = place.path().join("data");
        copy(&self.whole(), &dir);
        let listed = fs::read_to_string(dir.join("cosigned/keys")).unwrap_or_default();
        let witnesses = listed.lines().filter_map(|line| line.parse().ok()).collect();
        let witnessing = Witnessing { witnesses, quorum: 1 };
        let signing = Signing { every: Duration::ZERO, witnessing, ..Signing::default() };
        let options = LedgerOptions { log: LogOptions::new(&dir), master_key: key(), clock: Clock::system(), signing };
        let ledger = Ledger::open(options, &NoProgress).map_err(|error| error.to_string())?;
        let mut shown = vec![];
        for (tenant, slug) in ledger.tenants() {
            let said = |error: seatledger::ledger::ReadError| error.to_string();
            let digest = ledger.digest(tenant).map_err(said)?;
            let (size, mut bundles) = (digest.0 + 1, vec![]);
            for index in 0..size.div_ceil(256) {
                let width = u16::try_from((size - index * 256).min(256)).expect("at most 256");
                bundles.extend(ledger.tile(tenant, &TileAddress::entries(index, width)).map_err(said)?);
            }
            let head = ledger.signed_over(tenant, size).map_err(said)?.note.clone();
            let cosigned = ledger.cosigned_head(tenant).map(|head| head.note.clone());
            let stamps = ledger.timestamps(tenant, None).map_err(said)?.into_iter();
            let stamps = stamps
                .map(|stamp| (stamp.date.to_string(), stamp.note, stamp.response.map(|(_, time)| time.to_string())));
            shown.push(Shown { slug, digest, head, bundles, cosigned, stamps: stamps.collect() });
        }
        block_on(ledger.stop());
        Ok(shown)
    }
}

/// Whether a ledger shows what it showed before. What witnesses and authorities have signed may be older, or gone: nothing else
/// in the folder tells of it, and it proves what it proved.
fn is_same_or_older(shown: &[Shown], before: &[Shown]) -> bool {
    let text = |note: &String| note.split("\n\n").next().unwrap_or_default().to_owned();
    let size = |note: &String| note.lines().nth(1).and_then(|size| size.parse::<u64>().ok());
    let is_so = |(now, then): (&Shown, &Shown)| {
        let is_older = now.cosigned.as_ref().is_none_or(|now| {
            then.cosigned.as_ref().is_some_and(|then| size(now) < size(then) || text(now) == text(then))
        });
        let is_part = now.stamps.iter().all(|stamp| {
            then.stamps.iter().any(|known| stamp.1 == known.1 && (stamp.2.is_none() || stamp.2 == known.2))
        });
        let ours = |one: &Shown| (one.slug.clone(), one.digest, text(&one.head), one.bundles.clone());
        is_older && is_part && ours(now) == ours(then)
    };
    shown.len() == before.len() && shown.iter().zip(before).all(is_so)
}

/// The folder or file in the data folder, without the numbers that manifests have.
fn part_of(place: &Path) -> String {
    match kind(place) {
        key if key == "master.key" => "master key".into(),
        rounds if rounds == ROUNDS => "heads".into(),
        kind => kind,
    }
}

/// Whether one of the findings names the flip's place.
fn named(flip: &Flip, found: &[Damage]) -> Judged {
    let file = flip.file.to_string_lossy();
    let (kind, path) = (flip.kind(), file.as_ref());
    let place = match kind.as_str() {
        // what is damaged is told, and not which of its files
        "sled" | "receipts" | "subjects" => kind.as_str(),
        "master.key" => "master key",
        _ => path,
    };
    match found.iter().find(|damage| damage.to_string().contains(place)) {
        Some(damage) => Judged::Named { has_position: damage.position.is_some() },
        None => {
            Judged::Missed(format!("it is not named: {}", found.first().map(ToString::to_string).unwrap_or_default()))
        }
    }
}

//! A second reader, written from `schemas/log-format.md` alone, without any of the log's own code: what it finds must be
//! what was written. It keeps the document honest.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::super::*;

fn u16le(b: &[u8]) -> usize {
    usize::from(u16::from_le_bytes(b[..2].try_into().expect("two")))
}
fn u32le(b: &[u8]) -> u32 {
    u32::from_le_bytes(b[..4].try_into().expect("four"))
}
fn u64le(b: &[u8]) -> u64 {
    u64::from_le_bytes(b[..8].try_into().expect("eight"))
}

fn varint(b: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = b[0];
        *b = &b[1..];
        value |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return value;
        }
    }
    unreachable!("a varint ends")
}

#[derive(Default)]
struct Stream {
    records: Vec<Vec<u8>>,
    chain: [u8; 32],
}

/// Segment table, group table, frame table.
fn read_journal(dir: &Path) -> (u64, BTreeMap<u32, Stream>) {
    let mut names: Vec<_> =
        fs::read_dir(dir.join("journal")).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    names.retain(|name| name.extension().is_some_and(|e| e == "segment"));
    names.sort();
    let files: Vec<Vec<u8>> = names.iter().map(|name| fs::read(name).expect("a segment")).collect();
    let mut streams: BTreeMap<u32, Stream> = BTreeMap::new();
    let mut last_group = 0;
    for (i, file) in files.iter().enumerate() {
        assert_eq!(&file[..8], b"SLSEGMT1");
        assert_eq!(names[i].file_stem().expect("a name").to_string_lossy(), format!("{:010}", u32le(&file[8..])));
        assert_eq!(crc32fast::hash(&file[..508]), u32le(&file[508..]));
        let end = files[i + 1..].iter().map(|later| u64le(&later[16..])).min().unwrap_or(u64::MAX);
        let mut at = 512;
        while last_group + 1 < end && at + 2 < file.len() && u16le(&file[at..]) > 0 {
            let frame = &file[at..at + u16le(&file[at..])];
            let mut crc = crc32fast::Hasher::new();
            crc.update(&file[24..40]);
            crc.update(&frame[..2]);
            crc.update(&frame[6..]);
            assert_eq!(crc.finalize(), u32le(&frame[2..]));
            assert_eq!(frame[6..10], file[8..12]);
            let mut body = &frame[11..];
            let tenant = u32::try_from(varint(&mut body)).expect("32 bits");
            let (group, first, count) = (varint(&mut body), varint(&mut body), varint(&mut body));
            let (part, parts) = (varint(&mut body), varint(&mut body));
            assert_eq!(frame[10] == 1, part == parts);
            assert_eq!(group, last_group + 1);
            let (previous, rest) = body.split_at(32);
            let (mut records, chain) = rest.split_at(rest.len() - 32);
            let hashed = Sha256::new()
                .chain_update(previous)
                .chain_update(tenant.to_le_bytes())
                .chain_update(first.to_le_bytes())
                .chain_update(u32::try_from(count).expect("32 bits").to_le_bytes())
                .chain_update(records);
            assert_eq!(&hashed.finalize()[..], chain);
            let stream = streams.entry(tenant).or_default();
            assert_eq!((first, previous), (stream.records.len() as u64, stream.chain.as_slice()));
            stream.chain = chain.try_into().expect("32");
            for _ in 0..count {
                let len = usize::try_from(varint(&mut records)).expect("small");
                stream.records.push(records[..len].to_vec());
                records = &records[len..];
            }
            assert!(records.is_empty());
            last_group += u64::from(part == parts);
            at += frame.len();
        }
    }
    (last_group, streams)
}

#[test]
fn a_reader_written_from_the_document_finds_every_record() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = || LogOptions { segment_bytes: 16 << 10, disk_floor_bytes: 0, ..LogOptions::new(dir.path()) };
    let mut expected: BTreeMap<u32, Vec<Vec<u8>>> = BTreeMap::new();
    let mut last = 0;
    let mut log_id = [0; 16];
    for life in 0..3u64 {
        let (mut log, report) = Log::open(options(), &NoProgress).expect("opened");
        log_id = report.log_id;
        for n in 0..40u64 {
            let mut group = Group::new();
            for tenant in [0, 300, 70_000] {
                for at in 0..(n * 7 + u64::from(tenant)) % 90 {
                    let record = format!("{life} {n} {tenant} {at}").into_bytes();
                    group.push(tenant, &record);
                    expected.entry(tenant).or_default().push(record);
                }
            }
            last = log.append(&group).expect("appended").group;
            if n == 20 {
                log.checkpoint_now().expect("a checkpoint");
            }
        }
        if life == 2 {
            log.close().expect("closed");
        } // else: dropped as by a kill, so that segments overlap
    }
    let (last_group, streams) = read_journal(dir.path());
    assert_eq!(last_group, last);
    let found: BTreeMap<u32, Vec<Vec<u8>>> = streams.iter().map(|(t, stream)| (*t, stream.records.clone())).collect();
    assert!(found == expected);

    // READY
    let words = format!("seatledger-log 1 {}", hex::encode(log_id));
    let line = format!("{words} {:08x}\n", crc32fast::hash(words.as_bytes()));
    assert_eq!(fs::read_to_string(dir.path().join("READY")).expect("a file"), line);

    // anchor and manifest
    let anchor = fs::read(dir.path().join("anchor")).expect("a file");
    assert_eq!(anchor.len(), 8_192);
    let newer = anchor.chunks(4_096).max_by_key(|slot| u64le(&slot[8..])).expect("two slots");
    assert_eq!((&newer[..8], u64le(&newer[16..])), (b"SLANCHR1".as_slice(), last));
    assert_eq!(crc32fast::hash(&newer[..4_092]), u32le(&newer[4_092..]));
    let manifest = fs::read(dir.path().join(format!("manifest-{:016}", u64le(&newer[24..])))).expect("a file");
    assert_eq!(&Sha256::digest(&manifest)[..], &newer[32..64]);
    assert_eq!(
        (&manifest[..8], &manifest[8..24], u64le(&manifest[32..])),
        (b"SLMANIF1".as_slice(), log_id.as_slice(), last)
    );
    let mut at = 40 + 4 + 12 * usize::try_from(u32le(&manifest[40..])).expect("small");
    assert_eq!((u32le(&manifest[at..]), u32le(&manifest[at + 4..])), (0, 3), "none dropped, three tenants");
    at += 8;
    for (tenant, stream) in &streams {
        let size = u64le(&manifest[at + 4..]);
        assert_eq!((u32le(&manifest[at..]), size), (*tenant, stream.records.len() as u64));
        assert_eq!(manifest[at + 12..at + 44], stream.chain);
        assert_eq!(manifest[at + 44..at + 76], tree_head(&stream.records));
        at += 76 + 32 * usize::try_from(size.count_ones()).expect("small");
    }
    assert_eq!(at, manifest.len());
}

fn tree_head(records: &[Vec<u8>]) -> [u8; 32] {
    match records {
        [] => Sha256::digest([]).into(),
        [one] => Sha256::new().chain_update([0]).chain_update(one).finalize().into(),
        many => {
            let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
            Sha256::new()
                .chain_update([1])
                .chain_update(tree_head(left))
                .chain_update(tree_head(right))
                .finalize()
                .into()
        }
    }
}

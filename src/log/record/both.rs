//! What we write and read ourselves, held against bincode: the same bytes, the same values, and the same bytes refused.

use super::read::{self, Blocks, Slice};
use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// Each shape that something recorded or folded has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Shapes {
    flag: bool,
    small: (u8, i8, u16, i16, i32),
    numbers: Vec<(u32, u64, i64)>,
    text: String,
    maybe: Option<Option<String>>,
    hash: [u8; 32],
    nothing: (),
    tagged: Vec<Tagged>,
    by_key: BTreeMap<String, Wrapped>,
    set: BTreeSet<(u64, u32)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Wrapped(u64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Tagged {
    Unit,
    One(i64),
    Two(u8, String),
    Named { at: u64, by: Option<u32> },
}

/// As wide as it happens to be.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64u32).prop_map(|(number, shift)| number >> shift)
}

fn tagged() -> impl Strategy<Value = Tagged> {
    prop_oneof![
        Just(Tagged::Unit),
        number().prop_map(|number| Tagged::One(number.cast_signed())),
        (any::<u8>(), ".{0,3}").prop_map(|(one, two)| Tagged::Two(one, two)),
        (number(), any::<Option<u32>>()).prop_map(|(at, by)| Tagged::Named { at, by }),
    ]
}

fn shapes() -> impl Strategy<Value = Shapes> {
    let narrow = number().prop_map(|number| u32::try_from(number & 0xffff_ffff).unwrap());
    let numbers = prop::collection::vec((narrow, number(), number().prop_map(u64::cast_signed)), 0..5);
    let first = (any::<bool>(), any::<(u8, i8, u16, i16, i32)>(), numbers, ".{0,300}", any::<Option<Option<String>>>());
    let by_key = prop::collection::btree_map(".{0,3}", number().prop_map(Wrapped), 0..4);
    let set = prop::collection::btree_set((number(), any::<u32>()), 0..4);
    let second = (any::<[u8; 32]>(), prop::collection::vec(tagged(), 0..4), by_key, set);
    (first, second).prop_map(|((flag, small, numbers, text, maybe), (hash, tagged, by_key, set))| Shapes {
        flag,
        small,
        numbers,
        text,
        maybe,
        hash,
        nothing: (),
        tagged,
        by_key,
        set,
    })
}

fn bincodes<T: Serialize>(value: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, bincode::config::standard()).unwrap()
}

/// What bincode reads, and how many bytes it leaves; with the limit that records were always read under.
fn bincode_reads<T: DeserializeOwned>(bytes: &[u8]) -> Option<(T, usize)> {
    let config = bincode::config::standard().with_limit::<{ crate::log::RECORD_BYTES_MAX }>();
    let (value, used) = bincode::serde::decode_from_slice(bytes, config).ok()?;
    Some((value, bytes.len() - used))
}

fn we_read<T: DeserializeOwned>(bytes: &[u8]) -> Option<(T, usize)> {
    let mut source = Slice(bytes);
    let value = read::read(&mut source).ok()?;
    Some((value, source.0.len()))
}

fn in_blocks<T: DeserializeOwned>(bytes: &[u8], block_bytes: usize) -> Option<T> {
    let mut blocks = bytes.chunks(block_bytes);
    read::read(&mut Blocks::new(|block: &mut Vec<u8>| {
        block.clear();
        block.extend_from_slice(blocks.next().unwrap_or_default());
    }))
    .ok()
}

/// The same bytes with one of them changed, and with the end cut off.
fn bent(bytes: &[u8], at: usize, byte: u8) -> [Vec<u8>; 2] {
    let at = at % bytes.len();
    let mut changed = bytes.to_vec();
    changed[at] = byte;
    [changed, bytes[..at].to_vec()]
}

fn same<T: DeserializeOwned + PartialEq + Debug>(bytes: &[u8], block_bytes: usize) -> Result<(), TestCaseError> {
    let theirs = bincode_reads::<T>(bytes);
    prop_assert_eq!(we_read::<T>(bytes), theirs.as_ref().map(|_| bincode_reads(bytes).unwrap()));
    prop_assert_eq!(in_blocks::<T>(bytes, block_bytes), theirs.map(|(value, _)| value));
    Ok(())
}

fn recorded(wire: OwnedWire) -> Recorded {
    let OwnedWire { recorded_at, occurred_at, actor, door, command, reason, event } = wire;
    let (recorded_at, occurred_at) = (Time(recorded_at), occurred_at.map(Time));
    let content_hash = command.as_ref().map_or(0, |command| u64::from_be_bytes(command.content_hash));
    let command_id = command.map(|command| command.id.into_text());
    let envelope = Envelope { recorded_at, occurred_at, actor, door, command_id, content_hash, reason };
    Recorded { position: 7, envelope, event }
}

proptest! {
    #[test]
    fn each_shape_is_written_and_read_as_bincode_does(
        shapes in shapes(), at in any::<usize>(), byte in any::<u8>(), block_bytes in 1..80usize,
    ) {
        let bytes = bincodes(&shapes);
        let mut ours = Vec::new();
        let mut blocks = 0;
        encode_in_blocks(&shapes, block_bytes, &mut |block| {
            blocks += 1;
            ours.append(block);
            Ok(())
        }).unwrap();
        prop_assert_eq!(&ours, &bytes);
        prop_assert!(blocks >= 1);
        same::<Shapes>(&bytes, block_bytes)?;
        for bent in bent(&bytes, at, byte) {
            same::<Shapes>(&bent, block_bytes)?;
        }
    }

    #[test]
    fn a_record_is_read_as_bincode_does_also_where_it_is_none(
        which in any::<usize>(), changes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..3),
    ) {
        let records = golden::records();
        let mut bytes = records[which % records.len()].clone();
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let theirs = bincode_reads::<OwnedWire>(&bytes[1..]);
        let theirs = theirs.filter(|(_, left)| bytes[0] == RECORD_VERSION && *left == 0).map(|(wire, _)| recorded(wire));
        prop_assert_eq!(decode(7, &bytes).ok(), theirs);
    }
}

#[test]
fn a_hostile_length_is_given_no_room() {
    let hostile = [&[253][..], &[0xff; 8]].concat();
    assert!(we_read::<String>(&hostile).is_none() && we_read::<Vec<u64>>(&hostile).is_none());
    assert!(in_blocks::<String>(&hostile, 4).is_none() && in_blocks::<Vec<u64>>(&hostile, 4).is_none());
    assert!(in_blocks::<BTreeMap<u64, String>>(&hostile, 4).is_none());
    let map = in_blocks::<crate::domain::state::Chunked<u64, u64>>(&hostile, 4);
    assert!(map.is_none());
    assert!(in_blocks::<crate::domain::state::Dense<u64>>(&hostile, 4).is_none());
}

#[test]
fn a_digest_is_the_hash_of_what_bincode_writes_also_where_it_is_hashed_beside() {
    for tokens in [0, 3, 9_000] {
        let mut tenant = Tenant::default();
        let token = crate::domain::state::Token {
            id: crate::domain::ids::TokenId(4711),
            name: "a name that takes some room in the block that is hashed".into(),
            role: crate::domain::facts::Role::Admin,
            hash: [9; 32],
            expires_at: None,
            is_revoked: false,
            since: Time(1_790_000_000_000_000),
        };
        tenant.tokens = vec![token; tokens];
        let bytes = bincodes(&tenant.without_names());
        assert!(tokens < 9_000 || bytes.len() > 2 * BLOCK_BYTES, "{} bytes", bytes.len());
        assert_eq!(digest(&tenant), <[u8; 32]>::from(Sha256::digest(&bytes)));
    }
}

#[test]
fn pools_by_key_are_written_and_read_as_an_ordered_map() {
    let key = |n: u32| crate::domain::key::PoolKey::Declared { sku: format!("app{n}") };
    let all = || (0..40).rev().map(|n| (key(n), crate::domain::ids::PoolId(n)));
    let bytes = bincodes(&all().collect::<BTreeMap<_, _>>());
    let keys: crate::domain::state::PoolKeys = all().collect();
    assert_eq!(bincodes(&keys), bytes);
    assert!(in_blocks(&bytes, 7) == Some(keys));
}

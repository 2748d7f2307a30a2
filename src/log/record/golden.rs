//! The bytes of every kind of record as they were when their version was released, and the types that they are made of, in
//! `schemas/events/`: what a reader in another language goes by. Golden bytes are added to, never changed.

use super::*;
use crate::domain::asked::{About, CommandKind};
use crate::domain::event::Target;
use crate::domain::event_type::EventType;
use crate::domain::facts::{
    AssignmentEndCause, CapacityCause, DeficitPolicy, DepartureCause, DequeueCause, DistributionPolicy, DriftKind,
    DriftResolution, GrantCause, GroupKind, HeldBy, InstalledBy, Intent, ItemSkipReason, Join, KeepOrRelease,
    Licensing, Mode, Owned, ReleaseCause, Role, SkipReason,
};
use crate::domain::ids::Holder;
use crate::domain::key::{LicenseType, PoolKey, Provider};
use crate::domain::rejection::Rejection;
use crate::domain::report::ReportName;
use serde_json::Value;
use serde_reflection::{Tracer, TracerConfig};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// One record in words and in bytes.
#[derive(Serialize, Deserialize)]
struct Sample {
    envelope: Envelope,
    event: Value,
    /// In hexadecimal digits; empty until it is released.
    record: String,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas/events").join(format!("v{RECORD_VERSION}"))
}

fn samples(path: &std::path::Path) -> Vec<Sample> {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A record of each kind.
pub(super) fn records() -> Vec<Vec<u8>> {
    let samples = samples(&folder().join("golden.json")).into_iter();
    samples.map(|sample| hex::decode(sample.record).unwrap()).filter(|record| !record.is_empty()).collect()
}

#[test]
fn records_are_written_and_read_as_they_were_when_they_were_released() {
    let path = folder().join("golden.json");
    let mut samples = samples(&path);
    let mut kinds = BTreeSet::new();
    let mut is_new = false;
    for sample in &mut samples {
        let event: Event = serde_json::from_value(sample.event.clone()).unwrap();
        kinds.insert(event.event_type());
        let mut bytes = Vec::new();
        encode(&sample.envelope, &event, &mut bytes).unwrap();
        if sample.record.is_empty() {
            sample.record = hex::encode(&bytes);
            is_new = true;
        }
        assert_eq!(hex::encode(&bytes), sample.record, "{}: other bytes than it was released with", event.type_name());
        let back = decode(4, &bytes).unwrap();
        assert_eq!(back, Recorded { position: 4, envelope: sample.envelope.clone(), event });
        assert_eq!(serde_json::to_value(&back.event).unwrap(), sample.event, "the words are those of the event");
    }
    let missing: Vec<_> = EventType::ALL.iter().filter(|kind| !kinds.contains(kind)).map(|kind| kind.name()).collect();
    assert!(missing.is_empty(), "no golden bytes for {missing:?}: add them with an empty record");
    if is_new {
        std::fs::write(&path, serde_json::to_string_pretty(&samples).unwrap() + "\n").unwrap();
        panic!("records that had no bytes have them now, in golden.json: look at them, and run this again");
    }
}

#[test]
fn the_types_of_a_record_are_published() {
    let mut tracer = Tracer::new(TracerConfig::default());
    tracer.trace_simple_type::<OwnedWire>().unwrap();
    macro_rules! trace {
        ($($kind:ty),+ $(,)?) => { $( tracer.trace_simple_type::<$kind>().unwrap(); )+ };
    }
    trace!(
        Event,
        OwnedId,
        Actor,
        Door,
        Target,
        About,
        CommandKind,
        Rejection,
        Holder,
        PoolKey,
        Provider,
        LicenseType,
        Owned,
        AssignmentEndCause,
        CapacityCause,
        DeficitPolicy,
        DepartureCause,
        DequeueCause,
        DistributionPolicy,
        DriftKind,
        DriftResolution,
        GrantCause,
        GroupKind,
        HeldBy,
        InstalledBy,
        Intent,
        ItemSkipReason,
        Join,
        KeepOrRelease,
        Licensing,
        Mode,
        ReleaseCause,
        ReportName,
        Role,
        SkipReason,
    );
    let types = serde_json::to_string_pretty(&tracer.registry().unwrap()).unwrap() + "\n";
    expect_test::expect_file![folder().join("types.json")].assert_eq(&types);
}

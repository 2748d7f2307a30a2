//! A witness through starts, whatever lines strangers hang under a head that a log has signed.

use super::*;
use crate::merkle::{Checkpoint, NOTE_BYTES_MAX, NoteError, SIGNATURES_MAX, Signature};

const LOG: &str = "ledger.example/seats/00ff/contoso";

fn log() -> Signer {
    Signer::new(LOG, &[1; 32]).unwrap()
}

fn head(root: u8) -> Note {
    Checkpoint::new(LOG, 9, [root; 32]).signed(&log())
}

fn args(dir: &Path) -> Args {
    let logs = dir.join("logs");
    fs::write(&logs, format!("{}\n", log().verifier_key(KeyKind::Plain))).unwrap();
    Args { data: dir.join("witness"), name: "witness.example/w1".into(), logs, listen: String::new() }
}

fn ask(witness: &Witness, old: u64, note: &Note) -> Result<String, Refusal> {
    witness.cosign(Submission { old, path: vec![], checkpoint: note.to_string() }.to_string().as_bytes()).unwrap()
}

fn junk(name: &str) -> Signature {
    Signature { name: name.to_owned(), key_id: 7, bytes: vec![7] }
}

/// The note on disk.
fn kept(args: &Args) -> Note {
    let mut files = fs::read_dir(args.data.join(SEEN)).unwrap();
    Note::parse(&fs::read(files.next().unwrap().unwrap().path()).unwrap()).unwrap()
}

/// The head with these lines is cosigned or not, as it may be; the witness comes up again and refuses a fork of it.
#[track_caller]
fn goes_on(lines: impl FnOnce(&Witness, &Note) -> Vec<Signature>) {
    let place = tempfile::tempdir().unwrap();
    let args = args(place.path());
    let witness = Witness::open(&args).unwrap();
    let mut note = head(3);
    note.signatures = lines(&witness, &note);
    let line: Signature = ask(&witness, 0, &note).unwrap().trim_end().parse().unwrap();
    assert_eq!(kept(&args), Note { signatures: vec![log().sign(&note.text), line], ..note.clone() });
    assert!(ask(&witness, 9, &note).is_ok(), "the same head once more");
    drop(witness);
    let witness = Witness::open(&args).unwrap();
    assert!(matches!(ask(&witness, 9, &head(4)), Err(Refusal::Fork { size: 9, .. })));
    assert!(ask(&witness, 9, &note).is_ok());
}

#[test]
fn as_many_lines_as_a_note_may_have_stop_no_witness() {
    goes_on(|_, note| {
        let others = (1..SIGNATURES_MAX).map(|n| junk(&format!("stranger{n}")));
        note.signatures.iter().cloned().chain(others).collect()
    });
    goes_on(|_, note| note.signatures.iter().cycle().take(SIGNATURES_MAX).cloned().collect());
}

#[test]
fn a_note_as_long_as_it_may_be_stops_no_witness() {
    goes_on(|_, note| {
        let with = |name: &str| vec![note.signatures[0].clone(), junk(name)];
        let short = Note { signatures: with("s"), ..note.clone() }.to_string().len();
        let lines = with(&"s".repeat(NOTE_BYTES_MAX - short + 1));
        assert_eq!(Note { signatures: lines.clone(), ..note.clone() }.to_string().len(), NOTE_BYTES_MAX);
        lines
    });
}

#[test]
fn a_line_in_the_witness_s_own_name_stops_no_witness() {
    goes_on(|witness, note| {
        let own = Signature { bytes: vec![0; 72], ..witness.signer.cosign("another text\n", 7) };
        vec![own, note.signatures[0].clone()]
    });
}

#[test]
fn a_head_that_leaves_no_room_for_a_cosignature_is_not_cosigned() {
    let place = tempfile::tempdir().unwrap();
    let args = args(place.path());
    let witness = Witness::open(&args).unwrap();
    let mut checkpoint = Checkpoint::new(LOG, 9, [3; 32]);
    let extension = NOTE_BYTES_MAX - checkpoint.signed(&log()).to_string().len() - 1;
    checkpoint.extensions.push("x".repeat(extension));
    let note = checkpoint.signed(&log());
    assert_eq!(note.to_string().len(), NOTE_BYTES_MAX);
    assert_eq!(ask(&witness, 0, &note), Err(Refusal::Checkpoint(NoteError::TooLong.into())));
    drop(witness);
    let witness = Witness::open(&args).unwrap();
    assert!(ask(&witness, 0, &head(3)).is_ok(), "nothing was kept of it");
}

#[test]
fn a_file_that_can_t_be_trusted_is_named_with_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    let args = args(place.path());
    let mut note = head(3);
    drop(Witness::open(&args).unwrap());
    note.signatures.extend((0..SIGNATURES_MAX).map(|n| junk(&format!("stranger{n}"))));
    fs::write(args.data.join(SEEN).join("00"), note.to_string()).unwrap();
    let refused = Witness::open(&args).map(|_| ()).unwrap_err();
    assert_eq!(refused.code(), exit::FILE);
    assert!(refused.to_string().contains("any history of its log would be cosigned"), "{refused}");
}

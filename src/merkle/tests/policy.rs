//! Policies as C2SP tlog-policy writes them: the document's example in every combination, and every way to write one wrong.

use super::super::*;
use super::{Forest, ok};

const LOG: &str = "ledger.example/seats/00ff/contoso";

fn log(n: u8) -> Signer {
    Signer::new(LOG, &[n; 32]).unwrap()
}

fn witness(name: &str) -> Signer {
    let mut secret = [9; 32];
    name.bytes().zip(&mut secret).for_each(|(byte, into)| *into = byte);
    Signer::new(&format!("witness.example/{name}"), &secret).unwrap()
}

fn key(signer: &Signer, kind: KeyKind) -> String {
    signer.verifier_key(kind).to_string()
}

/// The example of the document, with keys.
fn example() -> String {
    let mut text = format!("# two organizations\n\nlog {}\n", key(&log(1), KeyKind::Plain));
    for name in ["X1", "X2", "X3", "Y1", "Y2", "Y3"] {
        text.push_str(&format!(
            "\twitness  {name} {} https://{name}.example/\n",
            key(&witness(name), KeyKind::Cosigner)
        ));
    }
    text + "group X-witnesses 2 X1 X2 X3\ngroup Y-witnesses any Y1 Y2 Y3\ngroup X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
}

fn head(signers: &[&str]) -> String {
    let forest = Forest::of(9);
    let text = Checkpoint::new(LOG, 9, ok(root_at(&forest, 9))).to_string();
    let mut signatures = vec![log(1).sign(&text)];
    signatures.extend(signers.iter().map(|name| witness(name).cosign(&text, 1_800_000_000)));
    Note { text, signatures }.to_string()
}

#[test]
fn the_example_of_the_document_counts_what_it_says() {
    let policy = Policy::parse(example().as_bytes()).unwrap();
    assert_eq!((policy.logs().len(), policy.witnesses().count()), (1, 6));
    let names = ["X1", "X2", "X3", "Y1", "Y2", "Y3"];
    for chosen in 0..64_u32 {
        let signers: Vec<&str> = (0..6).filter(|n| chosen >> n & 1 == 1).map(|n| names[n]).collect();
        let (xs, ys) = ((chosen & 7).count_ones(), (chosen >> 3).count_ones());
        let opened = policy.open(head(&signers).as_bytes(), None);
        if xs >= 2 && ys >= 1 {
            assert_eq!(opened.unwrap().0.size, 9, "{signers:?}");
        } else {
            assert_eq!(opened, Err(Unmet::Quorum { cosigned: signers.len(), known: 6 }));
        }
    }
    // one witness twice is one, a stranger none, and a wrong signature is worse than none
    assert!(policy.open(head(&["X1", "X1", "Y1", "Z1"]).as_bytes(), None).is_err());
    let good = head(&["X1", "X2", "Y1"]);
    let mut note = Note::parse(good.as_bytes()).unwrap();
    note.signatures[1].bytes[20] ^= 1;
    assert!(matches!(policy.open(note.to_string().as_bytes(), None), Err(Unmet::Cosignature(_))));
    let mut note = Note::parse(good.as_bytes()).unwrap();
    note.signatures.remove(0);
    assert!(matches!(policy.open(note.to_string().as_bytes(), None), Err(Unmet::Log(_))), "the log must have signed");
}

#[test]
fn policies_without_witnesses_or_without_logs() {
    let log_line = format!("log {}\n", key(&log(1), KeyKind::Plain));
    let nobody = Policy::parse(format!("{log_line}quorum none").as_bytes()).unwrap();
    assert!(nobody.open(head(&[]).as_bytes(), None).is_ok());
    let no_log = Policy::parse(b"quorum none\n").unwrap();
    assert_eq!(no_log.open(head(&[]).as_bytes(), None), Err(Unmet::NoLog));
    let keys = LogKeys::only(log(1).verifier_key(KeyKind::Plain));
    assert!(no_log.open(head(&[]).as_bytes(), Some(&keys)).is_ok());
    let one = format!("{log_line}witness none-such {}\nquorum none-such", key(&witness("X1"), KeyKind::Cosigner));
    let one = Policy::parse(one.as_bytes()).unwrap();
    assert!(one.open(head(&["X1"]).as_bytes(), None).is_ok() && one.open(head(&["X2"]).as_bytes(), None).is_err());
    // what we write is read
    let witnesses = ["X1", "X2", "X3"].map(|name| witness(name).verifier_key(KeyKind::Cosigner));
    for (needed, signers) in [(0, vec![]), (1, vec!["X2"]), (2, vec!["X1", "X3"]), (3, vec!["X1", "X2", "X3"])] {
        let text = Policy::text(&[log(1).verifier_key(KeyKind::Plain)], &witnesses, needed);
        let policy = Policy::parse(text.as_bytes()).unwrap();
        assert!(policy.open(head(&signers).as_bytes(), None).is_ok(), "{text}");
        assert_eq!(
            policy.open(head(&signers[..signers.len().saturating_sub(1)]).as_bytes(), None).is_ok(),
            needed == 0
        );
    }
}

#[test]
fn what_is_no_policy_is_named_with_its_line() {
    use PolicyError as E;
    let (l, w, x) =
        (key(&log(1), KeyKind::Plain), key(&witness("X1"), KeyKind::Cosigner), key(&witness("X2"), KeyKind::Cosigner));
    let unknown = |line, name: &str| E::Unknown { line, name: name.to_owned() };
    let cases = [
        (String::new(), E::Quorum),
        (format!("log {l}\n"), E::Quorum),
        ("quorum none\nquorum none\n".into(), E::Quorum),
        ("quorum a".into(), unknown(1, "a")),
        (format!("log {l}\nlog {l}\nquorum none"), E::SameKey(2)),
        (format!("log {w}\nquorum none"), E::Kind(1)),
        (format!("witness a {l}\nquorum none"), E::Kind(1)),
        ("log x\nquorum none".into(), E::Key { line: 1, error: KeyError::Form }),
        (format!("witness a {w}\nwitness b {w}\nquorum none"), E::SameKey(2)),
        (format!("witness a {w}\nwitness a {x}\nquorum none"), E::SameName(2)),
        (format!("witness none {w}\nquorum none"), E::SameName(1)),
        (format!("witness a {w}\ngroup a any a\nquorum a"), E::SameName(2)),
        (format!("group g any a\nwitness a {w}\nquorum g"), unknown(1, "a")),
        (format!("witness a {w}\ngroup g any a\ngroup h any a\nquorum g"), unknown(3, "a")),
        (format!("witness a {w}\ngroup g any a a\nquorum g"), unknown(2, "a")),
        (format!("witness a {w}\ngroup g any none\nquorum g"), unknown(2, "none")),
        (format!("witness a {w}\ngroup g 2 a\nquorum g"), E::GroupCount(2)),
        (format!("witness a {w}\ngroup g 0 a\nquorum g"), E::GroupCount(2)),
        (format!("witness a {w}\ngroup g 01 a\nquorum g"), E::GroupCount(2)),
        (format!("witness a {w}\ngroup g any\nquorum g"), E::GroupCount(2)),
        ("quorum".into(), E::Line(1)),
        ("\n\nforest a\n".into(), E::Line(3)),
        ("quorum none\r\n".into(), E::NotText),
        (" ".repeat(POLICY_BYTES_MAX + 1), E::TooLong),
        (
            (0..=255_u8).map(|n| format!("log {}\n", key(&log(n), KeyKind::Plain))).collect::<String>()
                + &format!("witness a {w}\n"),
            E::Quorum,
        ),
        (
            (0..300_u32)
                .map(|n| {
                    format!(
                        "log {}\n",
                        key(
                            &Signer::new(LOG, &[n.to_be_bytes(); 8].concat().try_into().unwrap()).unwrap(),
                            KeyKind::Plain
                        )
                    )
                })
                .collect(),
            E::TooMany,
        ),
    ];
    for (text, error) in cases {
        assert_eq!(Policy::parse(text.as_bytes()), Err(error), "{text:.300}");
    }
    assert_eq!(Policy::parse(&[0xff, 0xfe]), Err(E::NotText));
}

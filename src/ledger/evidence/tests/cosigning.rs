//! What witnesses answer while newer heads are signed.

use super::super::*;
use super::{live, open_with};
use crate::merkle::{KeyKind, Note, Signer};

fn witness(n: u8) -> Signer {
    Signer::new(&format!("witness.example/w{n}"), &[n; 32]).unwrap()
}

fn text(head: &SignedHead) -> String {
    Note::parse(head.note.as_bytes()).unwrap().text
}

#[tokio::test]
async fn a_signature_that_comes_late_is_checked_and_a_wrong_one_is_in_nobody_s_way() {
    let dir = tempfile::tempdir().unwrap();
    let [bad, good] = [1, 2].map(|n| witness(n).verifier_key(KeyKind::Cosigner));
    let witnessing = Witnessing { witnesses: vec![bad.clone(), good.clone()], quorum: 1 };
    let signing = Signing { witnessing, every: Duration::ZERO, ..Signing::default() };
    let ledger = open_with(dir.path(), signing).unwrap();
    live(&ledger, 5).await;
    let tenant = TenantId(1);
    ledger.signed_over(tenant, 5).unwrap();
    let asked = ledger.ask_to_cosign(tenant).unwrap();
    live(&ledger, 1).await;
    let newer = ledger.signed_over(tenant, 6).unwrap();
    let garbage = Signature { bytes: vec![7; 72], ..witness(1).cosign(&text(&asked), 7) };
    for wrong in [garbage, witness(1).cosign(&text(&newer), 7), witness(2).cosign(&text(&asked), 7)] {
        let refused = ledger.add_cosignature(tenant, asked.size, &bad, wrong).unwrap_err();
        assert!(refused.contains("is not over this text"), "{refused}");
        assert_eq!(ledger.cosigned_head(tenant), None);
    }
    assert_eq!(ledger.add_cosignature(tenant, asked.size, &good, witness(2).cosign(&text(&asked), 7)), Ok(false));
    let cosigned = ledger.cosigned_head(tenant).unwrap();
    let signers: Vec<String> =
        Note::parse(cosigned.note.as_bytes()).unwrap().signatures.into_iter().map(|line| line.name).collect();
    assert_eq!((cosigned.size, signers.len(), signers.last().map(String::as_str)), (5, 2, Some(good.name())));
    // what nobody was asked to sign
    let refused = ledger.add_cosignature(tenant, 4, &good, witness(2).cosign(&text(&asked), 7)).unwrap_err();
    assert!(refused.contains("no head over 4 records lies before the witnesses"), "{refused}");
    ledger.stop().await;
}

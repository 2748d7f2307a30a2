//! Timestamps of a real authority (`openssl ts`), and every way in which an answer may not be one of what was asked.

use super::protocol::{Authorities, RESPONSE_BYTES_MAX, TimestampError, TimestampRequest, check_kept};
use std::fs;
use std::path::Path;
use std::process::Command;

const CONFIG: &str = "\
[tsa]
default_tsa = ours
[ours]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = millisecs:500
clock_precision_digits = 3
ordering = no
tsa_name = yes
ess_cert_id_chain = no
certs = chain.pem
";

fn openssl(folder: &Path, args: &[&str]) -> bool {
    let output = Command::new("openssl").current_dir(folder).args(args).output().unwrap();
    if !output.status.success() {
        eprintln!("openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    output.status.success()
}

/// An authority below a CA, in a folder. `None` where there is no openssl.
pub(in crate::ledger::evidence) fn authority(rsa: bool) -> Option<tempfile::TempDir> {
    Command::new("openssl").arg("version").output().ok()?;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let key =
        if rsa { vec!["-newkey", "rsa:2048"] } else { vec!["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"] };
    let new = [vec!["req", "-nodes"], key].concat();
    let ca = ["-x509", "-days", "2", "-subj", "/CN=root", "-keyout", "ca.key", "-out", "ca.pem"];
    assert!(openssl(at, &[new.clone(), ca.to_vec()].concat()));
    for (name, usage) in [("tsa", "critical,timeStamping"), ("web", "serverAuth")] {
        let (key, out, subject) = (format!("{name}.key"), format!("{name}.pem"), format!("/CN={name}"));
        assert!(openssl(at, &[new.clone(), vec!["-subj", &subject, "-keyout", &key, "-out", "request"]].concat()));
        fs::write(at.join("usage"), format!("extendedKeyUsage={usage}\n")).unwrap();
        let sign =
            ["x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"];
        assert!(openssl(at, &[sign.to_vec(), vec!["-extfile", "usage", "-out", &out]].concat()));
    }
    fs::copy(at.join("ca.pem"), at.join("chain.pem")).unwrap();
    fs::write(at.join("serial"), "01\n").unwrap();
    fs::write(at.join("config"), CONFIG).unwrap();
    Some(folder)
}

/// The authority's answer to a request.
pub(in crate::ledger::evidence) fn answered(at: &Path, request: &TimestampRequest) -> Vec<u8> {
    fs::write(at.join("query"), &request.der).unwrap();
    assert!(openssl(at, &["ts", "-reply", "-config", "config", "-queryfile", "query", "-out", "reply"]));
    fs::read(at.join("reply")).unwrap()
}

/// Its answer to somebody who asks for no certificate, with another year in it.
pub(in crate::ledger::evidence) fn dated_back(at: &Path, bytes: &[u8]) -> Vec<u8> {
    fs::write(at.join("data"), bytes).unwrap();
    assert!(openssl(at, &["ts", "-query", "-data", "data", "-sha256", "-no_nonce", "-out", "query"]));
    assert!(openssl(at, &["ts", "-reply", "-config", "config", "-queryfile", "query", "-out", "reply"]));
    with_another_year(fs::read(at.join("reply")).unwrap())
}

/// The first time that says a year, a month and so on is that of the TSTInfo.
fn with_another_year(mut response: Vec<u8>) -> Vec<u8> {
    let year = response.windows(16).position(|some| some[0] == 0x18 && some[2..16].iter().all(u8::is_ascii_digit));
    let year = year.unwrap() + 2;
    response[year..year + 4].copy_from_slice(b"2001");
    response
}

#[test]
fn a_time_that_nobody_signed_is_none() {
    let Some(folder) = authority(false) else { return };
    let at = folder.path();
    let request = TimestampRequest::new(b"a head", [1; 8]).unwrap();
    let not_signed = |checked: Result<jiff::Timestamp, TimestampError>, words: &str| {
        assert!(matches!(&checked, Err(TimestampError::NotSigned(why)) if why == words), "{checked:?}");
    };
    let unsigned = dated_back(at, b"a head");
    let edited = with_another_year(answered(at, &request));
    for (response, words) in [(&unsigned, "no certificate came with it"), (&edited, "it is over something else")] {
        not_signed(check_kept(response, b"a head", None), words);
        not_signed(request.check(response, None), words);
    }
}

#[test]
fn an_authoritys_timestamp_is_taken_and_openssl_takes_what_was_kept() {
    for rsa in [false, true] {
        let Some(folder) = authority(rsa) else { return };
        let at = folder.path();
        let ours = Authorities::from_pem(&fs::read(at.join("ca.pem")).unwrap()).unwrap();
        for (nonce, chain) in [([0; 8], "no"), ([0xff; 8], "yes"), ([7; 8], "no")] {
            let config = CONFIG.replace("ess_cert_id_chain = no", &format!("ess_cert_id_chain = {chain}"));
            fs::write(at.join("config"), config).unwrap();
            let request = TimestampRequest::new(b"a head", nonce).unwrap();
            let response = answered(at, &request);
            let time = request.check(&response, Some(&ours)).unwrap();
            assert_eq!(request.check(&response, None), Ok(time));
            assert_eq!(check_kept(&response, b"a head", Some(&ours)), Ok(time));
            let age = jiff::Timestamp::UNIX_EPOCH.until(time).unwrap().get_seconds();
            assert!(age > 1_700_000_000, "{time}");
            fs::write(at.join("data"), "a head").unwrap();
            let verify = ["ts", "-verify", "-data", "data", "-in", "reply", "-CAfile", "ca.pem"];
            assert!(openssl(at, &verify), "a stranger takes it");
            assert!(openssl(at, &["ts", "-verify", "-queryfile", "query", "-in", "reply", "-CAfile", "ca.pem"]));
        }
    }
}

#[test]
fn what_is_no_timestamp_of_what_was_asked_is_named() {
    let Some(folder) = authority(false) else { return };
    let at = folder.path();
    let ours = Authorities::from_pem(&fs::read(at.join("ca.pem")).unwrap()).unwrap();
    let request = TimestampRequest::new(b"a head", [1; 8]).unwrap();
    let good = answered(at, &request);
    use TimestampError as E;
    let other = TimestampRequest::new(b"a head", [2; 8]).unwrap();
    assert_eq!(other.check(&good, Some(&ours)), Err(E::WrongNonce));
    let other = TimestampRequest::new(b"another head", [1; 8]).unwrap();
    assert_eq!(other.check(&good, Some(&ours)), Err(E::WrongImprint));
    assert_eq!(request.check(&vec![0x30; RESPONSE_BYTES_MAX + 1], None), Err(E::TooLong));
    for garbage in [&b""[..], b"<html>", &good[..good.len() - 1], &[good.as_slice(), b"x"].concat()] {
        assert!(matches!(request.check(garbage, Some(&ours)), Err(E::Unreadable(_))), "{} bytes", garbage.len());
    }
    // an authority that says no
    fs::write(at.join("config"), CONFIG.replace("digests = sha256", "digests = sha512")).unwrap();
    let refused = request.check(&answered(at, &request), None);
    assert!(matches!(refused, Err(E::Rejected { status: 2, .. })), "{refused:?}");
    // another root, and a certificate that is for something else
    let Some(elsewhere) = authority(false) else { return };
    let theirs = Authorities::from_pem(&fs::read(elsewhere.path().join("ca.pem")).unwrap()).unwrap();
    let refused = request.check(&good, Some(&theirs));
    assert!(matches!(&refused, Err(E::NotSigned(why)) if why.contains("not trusted")), "{refused:?}");
    assert!(request.check(&good, None).is_ok(), "whose it is nobody asks, and it is as it was signed");
    // any bit: fields that nobody has signed may differ, as the roots that came with it, and what is read of it may not
    let time = request.check(&good, Some(&ours)).unwrap();
    let mut untouched = 0;
    for bit in (0..good.len() * 8).step_by(3) {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(then) = request.check(&bytes, Some(&ours)) {
            assert_eq!(then, time, "bit {bit}");
            untouched += 3;
        }
    }
    assert!(untouched * 2 < good.len() * 8, "{untouched} of {} bits", good.len() * 8);
    for pem in [&b""[..], b"x", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(matches!(Authorities::from_pem(pem), Err(E::Authority(_))));
    }
}

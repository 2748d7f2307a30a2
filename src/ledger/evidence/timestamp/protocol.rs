//! RFC 3161: the request for a timestamp, and whether an answer is one for what was asked. The structures are those of the
//! document, as far as they are looked into. Not here: the way to the authority, and files.

use der::asn1::{Any, BitString, Int, ObjectIdentifier, OctetString};
use der::{Decode, Encode, Sequence, Tag, Tagged};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512, digest};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// A longer answer is not read.
pub const RESPONSE_BYTES_MAX: usize = 64 << 10;
const CERTIFICATES_MAX: usize = 16;

const ID_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const ID_SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const ID_SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
const ID_SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const ID_TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const ID_CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const ID_MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const ID_SIGNING_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
const ID_SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
/// id-kp-timeStamping, 1.3.6.1.5.5.7.3.8, as DER writes it behind tag and length.
const TIME_STAMPING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];

/// Why an answer is no timestamp of what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    #[error("an answer of more than {RESPONSE_BYTES_MAX} bytes is not read")]
    TooLong,
    #[error("it is not the DER of a TimeStampResp: {0}")]
    Unreadable(String),
    #[error("the authority says no (status {status}): {why}")]
    Rejected { status: u8, why: String },
    #[error("it holds no signed TSTInfo: {0}")]
    NoToken(&'static str),
    #[error("it is a timestamp of something else: the message imprint is another one")]
    WrongImprint,
    #[error("it answers another request: the nonce is another one, or missing")]
    WrongNonce,
    #[error("its time is none: {0}")]
    NoTime(String),
    #[error("its signature can't be trusted: {0}")]
    NotSigned(String),
    #[error("the certificates of the authority can't be read: {0}")]
    Authority(String),
}

/// A request, and what the answer must repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampRequest {
    pub der: Vec<u8>,
    imprint: [u8; 32],
    nonce: Vec<u8>,
}

/// Whose timestamps are trusted.
#[derive(Debug, Clone)]
pub struct Authorities(Vec<CertificateDer<'static>>);

#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
struct AlgorithmIdentifier {
    oid: ObjectIdentifier,
    #[asn1(optional = "true")]
    parameters: Option<Any>,
}

#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
struct MessageImprint {
    algorithm: AlgorithmIdentifier,
    hashed: OctetString,
}

#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
struct TimeStampReq {
    version: u8,
    imprint: MessageImprint,
    nonce: Int,
    cert_req: bool,
}

#[derive(Sequence)]
struct TimeStampResp {
    status: PkiStatusInfo,
    #[asn1(optional = "true")]
    token: Option<ContentInfo>,
}

#[derive(Sequence)]
struct PkiStatusInfo {
    status: u8,
    #[asn1(optional = "true")]
    texts: Option<Vec<String>>,
    #[asn1(optional = "true")]
    failures: Option<BitString>,
}

#[derive(Sequence)]
struct ContentInfo {
    kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    content: Any,
}

#[derive(Sequence)]
struct SignedData {
    version: u8,
    digests: Any,
    content: Content,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    certificates: Option<Vec<Any>>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    revocations: Option<Vec<Any>>,
    signers: Any,
}

#[derive(Sequence)]
struct Content {
    kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    bytes: Option<OctetString>,
}

#[derive(Sequence)]
struct SignerInfo {
    version: u8,
    signer: Any,
    digest: AlgorithmIdentifier,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    signed: Option<Vec<Any>>,
    algorithm: AlgorithmIdentifier,
    signature: OctetString,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    unsigned: Option<Vec<Any>>,
}

#[derive(Sequence)]
struct Attribute {
    kind: ObjectIdentifier,
    values: Any,
}

#[derive(Sequence)]
struct TstInfo {
    version: u8,
    policy: ObjectIdentifier,
    imprint: MessageImprint,
    serial: Any,
    time: Any,
    #[asn1(optional = "true")]
    accuracy: Option<Accuracy>,
    #[asn1(default = "Default::default")]
    ordering: bool,
    #[asn1(optional = "true")]
    nonce: Option<Int>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    authority: Option<Any>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    extensions: Option<Vec<Any>>,
}

#[derive(Sequence)]
struct Accuracy {
    #[asn1(optional = "true")]
    seconds: Option<Int>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    millis: Option<Int>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    micros: Option<Int>,
}

fn unreadable(error: impl std::fmt::Display) -> TimestampError {
    TimestampError::Unreadable(error.to_string())
}

fn not_signed(why: impl std::fmt::Display) -> TimestampError {
    TimestampError::NotSigned(why.to_string())
}

impl TimestampRequest {
    /// Asks for a timestamp of these bytes, with the authority's certificate. The nonce is eight random bytes.
    ///
    /// # Errors
    /// When they can't be written, which a sound program never sees.
    pub fn new(bytes: &[u8], nonce: [u8; 8]) -> Result<Self, TimestampError> {
        let imprint: [u8; 32] = Sha256::digest(bytes).into();
        let mut nonce = nonce;
        // positive, and in its shortest form
        if let Some(first) = nonce.first_mut() {
            *first = (*first & 0x3f) | 0x40;
        }
        let parameters = Some(Any::new(Tag::Null, []).map_err(unreadable)?);
        let request = TimeStampReq {
            version: 1,
            imprint: MessageImprint {
                algorithm: AlgorithmIdentifier { oid: ID_SHA_256, parameters },
                hashed: OctetString::new(imprint).map_err(unreadable)?,
            },
            nonce: Int::new(&nonce).map_err(unreadable)?,
            cert_req: true,
        };
        Ok(Self { der: request.to_der().map_err(unreadable)?, imprint, nonce: nonce.to_vec() })
    }

    /// The time in an answer to this request, once everything about it is right: granted, of these bytes, of this request, signed
    /// by the certificate that came with it, and, where authorities are named, that one theirs for timestamps.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, response: &[u8], authorities: Option<&Authorities>) -> Result<Timestamp, TimestampError> {
        let (info, time) = open(response, &self.imprint, authorities)?;
        let is_ours = info.nonce.is_some_and(|nonce| nonce.as_bytes() == self.nonce);
        if is_ours { Ok(time) } else { Err(TimestampError::WrongNonce) }
    }
}

/// The time in an answer that was kept: its nonce was compared then. Without authorities it may be anybody's, and is still as
/// it was signed.
///
/// # Errors
/// What is wrong with it.
pub fn check_kept(
    response: &[u8],
    bytes: &[u8],
    authorities: Option<&Authorities>,
) -> Result<Timestamp, TimestampError> {
    open(response, &Sha256::digest(bytes).into(), authorities).map(|(_, time)| time)
}

fn open(
    response: &[u8],
    imprint: &[u8; 32],
    authorities: Option<&Authorities>,
) -> Result<(TstInfo, Timestamp), TimestampError> {
    let Token { signed, content, info, time } = token(response, imprint)?;
    let sent = certificates_of(&signed)?;
    let end = signed_by(&signed, &content, &sent)?;
    if let Some(authorities) = authorities {
        authorities.check_chain(&end, &sent, time)?;
    }
    Ok((info, time))
}

/// What is in an answer that says yes.
struct Token {
    signed: SignedData,
    /// The bytes of `info`, which are signed.
    content: Vec<u8>,
    info: TstInfo,
    time: Timestamp,
}

fn token(response: &[u8], imprint: &[u8; 32]) -> Result<Token, TimestampError> {
    if response.len() > RESPONSE_BYTES_MAX {
        return Err(TimestampError::TooLong);
    }
    let TimeStampResp { status, token } = TimeStampResp::from_der(response).map_err(unreadable)?;
    // granted, or granted with modifications
    if status.status > 1 {
        let failures = status.failures.map(|bits| format!("failures {}", hex::encode(bits.raw_bytes())));
        let why: Vec<String> = status.texts.unwrap_or_default().into_iter().chain(failures).collect();
        let why: String = why.join("; ").chars().filter(|c| !c.is_control()).take(500).collect();
        return Err(TimestampError::Rejected { status: status.status, why });
    }
    let token = token.ok_or(TimestampError::NoToken("there is none"))?;
    if token.kind != ID_SIGNED_DATA {
        return Err(TimestampError::NoToken("it is no SignedData"));
    }
    let signed: SignedData = token.content.decode_as().map_err(unreadable)?;
    let bytes = signed.content.bytes.as_ref().filter(|_| signed.content.kind == ID_TST_INFO);
    let content = bytes.ok_or(TimestampError::NoToken("what is signed is no TSTInfo"))?.as_bytes().to_vec();
    let info = TstInfo::from_der(&content).map_err(unreadable)?;
    if info.imprint.algorithm.oid != ID_SHA_256 || info.imprint.hashed.as_bytes() != imprint {
        return Err(TimestampError::WrongImprint);
    }
    let time = time_of(&info.time)?;
    Ok(Token { signed, content, info, time })
}

/// `YYYYMMDDhhmmss[.f...]Z`: the document allows fractions of a second.
fn time_of(time: &Any) -> Result<Timestamp, TimestampError> {
    let text = String::from_utf8_lossy(time.value()).into_owned();
    let none = || TimestampError::NoTime(text.chars().filter(|c| !c.is_control()).take(40).collect());
    let (whole, fraction) =
        text.strip_suffix('Z').map(|text| text.split_once('.').unwrap_or((text, ""))).ok_or_else(none)?;
    let is_plain =
        whole.len() == 14 && fraction.len() <= 9 && whole.chars().chain(fraction.chars()).all(|c| c.is_ascii_digit());
    if time.tag() != Tag::GeneralizedTime || !is_plain {
        return Err(none());
    }
    let part =
        |from: usize, to: usize| whole.get(from..to).and_then(|digits| digits.parse::<i8>().ok()).ok_or_else(none);
    let year = whole.get(..4).and_then(|digits| digits.parse().ok()).ok_or_else(none)?;
    let nanos = format!("{fraction:0<9}").parse().map_err(|_| none())?;
    let time = DateTime::new(year, part(4, 6)?, part(6, 8)?, part(8, 10)?, part(10, 12)?, part(12, 14)?, nanos);
    let time = time.and_then(|time| TimeZone::UTC.to_timestamp(time));
    time.map_err(|_| none())
}

impl Authorities {
    /// From certificates in PEM.
    ///
    /// # Errors
    /// When there are none.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TimestampError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let found = found.map_err(|error| TimestampError::Authority(error.to_string()))?;
        if found.is_empty() {
            return Err(TimestampError::Authority("there are none in PEM".into()));
        }
        for certificate in &found {
            anchor_from_trusted_cert(certificate).map_err(|error| TimestampError::Authority(error.to_string()))?;
        }
        Ok(Self(found))
    }

    /// Whether one of these has signed this certificate, for timestamps.
    fn check_chain(
        &self,
        end: &EndEntityCert<'_>,
        sent: &[CertificateDer<'_>],
        time: Timestamp,
    ) -> Result<(), TimestampError> {
        let anchors: Vec<TrustAnchor<'_>> =
            self.0.iter().filter_map(|root| anchor_from_trusted_cert(root).ok()).collect();
        let then = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(time.as_second()).unwrap_or(0)));
        let usage = KeyUsage::required(TIME_STAMPING);
        let chain = end.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, sent, then, usage, None, None);
        chain.map(|_| ()).map_err(|error| not_signed(format!("its certificate is not trusted: {error}")))
    }
}

/// The certificate of those that were sent whose key has signed this. One is asked for, so an answer without any can't be
/// told from one that was written by hand.
fn signed_by<'s>(
    signed: &SignedData,
    content: &[u8],
    sent: &'s [CertificateDer<'static>],
) -> Result<EndEntityCert<'s>, TimestampError> {
    if sent.is_empty() {
        return Err(not_signed("no certificate came with it"));
    }
    let signers: Vec<Any> = signers_of(&signed.signers)?;
    let [signer] = signers.as_slice() else { return Err(not_signed("there is not one signature")) };
    let signer: SignerInfo = signer.decode_as().map_err(unreadable)?;
    let attributes = signer.signed.as_ref().ok_or_else(|| not_signed("it has no signed attributes"))?;
    let mut message = vec![];
    for attribute in attributes {
        message.extend(attribute.to_der().map_err(unreadable)?);
    }
    // what is signed is the set, and not the field that it stands in
    let message = Any::new(Tag::Set, message).and_then(|set| set.to_der()).map_err(unreadable)?;
    let read = |attribute: &Any| attribute.decode_as::<Attribute>().map_err(unreadable);
    let attributes: Vec<Attribute> = attributes.iter().map(read).collect::<Result<_, _>>()?;
    let of = |kind| attributes.iter().find(|attribute| attribute.kind == kind).map(|found| found.values.value());
    let algorithm = [(ID_SHA_256, &SHA256), (ID_SHA_384, &SHA384), (ID_SHA_512, &SHA512)]
        .into_iter()
        .find_map(|(oid, algorithm)| (oid == signer.digest.oid).then_some(algorithm))
        .ok_or_else(|| not_signed(format!("its digest {} is not one of SHA-2", signer.digest.oid)))?;
    let hashed = OctetString::new(digest(algorithm, content).as_ref()).and_then(|hash| hash.to_der());
    if of(ID_MESSAGE_DIGEST) != Some(hashed.map_err(unreadable)?.as_slice()) {
        return Err(not_signed("it is over something else"));
    }
    if of(ID_CONTENT_TYPE) != Some(ID_TST_INFO.to_der().map_err(unreadable)?.as_slice()) {
        return Err(not_signed("it is not over a TSTInfo"));
    }
    let named = |certificate: &CertificateDer<'_>| {
        let has =
            |kind, hash: &[u8]| of(kind).is_some_and(|value| value.windows(hash.len()).any(|window| window == hash));
        has(ID_SIGNING_CERTIFICATE_V2, digest(&SHA256, certificate).as_ref())
            || has(ID_SIGNING_CERTIFICATE, digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate).as_ref())
    };
    let signature = signer.signature.as_bytes();
    let mut why = not_signed("it names no certificate that came with it");
    // those of a chain may be named, too; the signer's is the one whose key it is
    for certificate in sent.iter().filter(|certificate| named(certificate)) {
        let end = EndEntityCert::try_from(certificate).map_err(not_signed)?;
        if ALL_VERIFICATION_ALGS.iter().any(|with| end.verify_signature(*with, &message, signature).is_ok()) {
            return Ok(end);
        }
        why = not_signed("it is not one of the certificate's key");
    }
    Err(why)
}

/// The entries of a set, in whatever order they came.
fn signers_of(set: &Any) -> Result<Vec<Any>, TimestampError> {
    let mut entries = vec![];
    let mut rest = set.value();
    while !rest.is_empty() {
        let mut reader = der::SliceReader::new(rest).map_err(unreadable)?;
        let entry = Any::decode(&mut reader).map_err(unreadable)?;
        let taken = usize::try_from(entry.encoded_len().map_err(unreadable)?).map_err(unreadable)?;
        rest = rest.get(taken..).ok_or_else(|| unreadable("a set is cut off"))?;
        entries.push(entry);
        if entries.len() > CERTIFICATES_MAX {
            return Err(not_signed("there are too many of them"));
        }
    }
    Ok(entries)
}

fn certificates_of(signed: &SignedData) -> Result<Vec<CertificateDer<'static>>, TimestampError> {
    let sent = signed.certificates.as_deref().unwrap_or_default();
    if sent.len() > CERTIFICATES_MAX {
        return Err(not_signed("too many certificates came with it"));
    }
    sent.iter().map(|one| one.to_der().map(CertificateDer::from).map_err(unreadable)).collect()
}

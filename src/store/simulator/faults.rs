//! What goes wrong at a simulated store: by chance from a seed, or as a switch says for the next call of a kind. Chance is
//! drawn from the seed, the call's kind and its number, so that two kinds of calls do not disturb each other. Not here: what
//! a fault means to a store's own state (stuck events, drifting pages); its simulator asks `strikes`.

use super::listener;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Every call, in place of the name of one kind.
pub const ANY: &str = "*";
const SHOTS_MAX: usize = 1000;
const ANSWER_BYTES_MAX: usize = 64 << 20;
const SLOW_MS: u64 = 3000;
/// Of 429 and 503.
pub const RETRY_AFTER_SECONDS: u64 = 1;

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// 429 with `Retry-After`; nothing was done.
    TooManyRequests,
    /// 503 with `Retry-After`; nothing was done.
    Unavailable,
    /// 500; nothing was done.
    InternalError,
    /// The connection ends without an answer; nothing was done.
    CutBefore,
    /// The connection ends without an answer; all was done.
    CutAfter,
    /// The connection ends in the middle of the answer; all was done.
    CutInAnswer,
    /// The answer can't be read; all was done.
    WrongJson,
    /// The answer comes late; all was done before it waited.
    SlowAnswer,
    /// Apple: an event stays `PENDING` for long; it was carried out at once, or is at the end.
    StuckPending,
    /// One holder of several fails for no good reason.
    HolderFails,
    /// Apple: the failures of an event name nobody.
    UnnamedFailure,
    LostNotification,
    RepeatedNotification,
    /// And with it: out of order.
    LateNotification,
    /// A page begins a little before or after the place where the last one ended.
    PageDrift,
    /// Apple: every version that was handed out before becomes invalid.
    VersionInvalid,
    /// Figures of a while ago.
    StaleFigures,
    /// Apple: the list of all assignments as it was a while ago, what was given last is not on it.
    StaleList,
}

impl Fault {
    /// What can happen to any call, whatever it asks.
    pub const OF_CALLS: [Self; 8] = [
        Self::TooManyRequests,
        Self::Unavailable,
        Self::InternalError,
        Self::CutBefore,
        Self::CutAfter,
        Self::CutInAnswer,
        Self::WrongJson,
        Self::SlowAnswer,
    ];

    /// Left out, the call does nothing at the store.
    fn comes_before(self) -> bool {
        match self {
            Self::TooManyRequests | Self::Unavailable | Self::InternalError | Self::CutBefore => true,
            Self::CutAfter
            | Self::CutInAnswer
            | Self::WrongJson
            | Self::SlowAnswer
            | Self::StuckPending
            | Self::HolderFails
            | Self::UnnamedFailure
            | Self::LostNotification
            | Self::RepeatedNotification
            | Self::LateNotification
            | Self::PageDrift
            | Self::VersionInvalid
            | Self::StaleFigures
            | Self::StaleList => false,
        }
    }
}

/// How often each strikes, in thousandths.
pub type FaultRates = BTreeMap<Fault, u16>;

/// What is to go wrong at the next calls of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shot {
    /// As the simulator names its calls, or `*`.
    pub operation: String,
    pub fault: Fault,
    /// So many calls of the kind go well before.
    #[serde(default)]
    pub after: u32,
    #[serde(default = "once")]
    pub times: u32,
}

fn once() -> u32 {
    1
}

#[derive(Default)]
struct Inner {
    seed: u64,
    rates: FaultRates,
    shots: Vec<Shot>,
    drawn: BTreeMap<String, u64>,
    struck: BTreeMap<Fault, u64>,
}

/// One for a simulator.
pub struct Faults {
    inner: Mutex<Inner>,
    latency_ms: AtomicU64,
    slow_ms: AtomicU64,
    is_held: watch::Sender<bool>,
}

impl Faults {
    #[must_use]
    pub fn new(seed: u64, rates: FaultRates) -> Self {
        let inner = Mutex::new(Inner { seed, rates, ..Inner::default() });
        let (latency_ms, slow_ms) = (AtomicU64::new(0), AtomicU64::new(SLOW_MS));
        Self { inner, latency_ms, slow_ms, is_held: watch::Sender::new(false) }
    }

    /// Every call takes so long, without being a fault.
    pub fn set_latency(&self, latency: Duration) {
        self.latency_ms.store(u64::try_from(latency.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What a slow answer waits.
    pub fn set_slow(&self, wait: Duration) {
        self.slow_ms.store(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Calls that come from now on wait at the door until `let_go`; nothing of them is done before.
    pub fn hold(&self) {
        self.is_held.send_replace(true);
    }

    pub fn let_go(&self) {
        self.is_held.send_replace(false);
    }

    pub fn set(&self, seed: Option<u64>, rates: FaultRates) {
        let mut inner = self.inner.lock();
        inner.rates = rates;
        if let Some(seed) = seed {
            inner.seed = seed;
            inner.drawn.clear();
        }
    }

    /// Nothing goes wrong any more, what was asked for the next calls included.
    pub fn off(&self) {
        let mut inner = self.inner.lock();
        inner.rates.clear();
        inner.shots.clear();
    }

    /// # Errors
    /// When too many wait already.
    pub fn next(&self, shot: Shot) -> Result<(), String> {
        let mut inner = self.inner.lock();
        if inner.shots.len() >= SHOTS_MAX {
            return Err(format!("{SHOTS_MAX} faults are waiting already"));
        }
        inner.shots.push(shot);
        Ok(())
    }

    /// The next call of a kind fails so.
    ///
    /// # Errors
    /// When too many wait already.
    pub fn next_call(&self, operation: &str, fault: Fault) -> Result<(), String> {
        self.next(Shot { operation: operation.to_owned(), fault, after: 0, times: 1 })
    }

    #[must_use]
    pub fn rates(&self) -> FaultRates {
        self.inner.lock().rates.clone()
    }

    #[must_use]
    pub fn waiting(&self) -> Vec<Shot> {
        self.inner.lock().shots.clone()
    }

    /// How often each has struck.
    #[must_use]
    pub fn struck(&self) -> BTreeMap<Fault, u64> {
        self.inner.lock().struck.clone()
    }

    /// Whether this goes wrong, now, at this kind of call.
    pub fn strikes(&self, operation: &str, fault: Fault) -> bool {
        self.one_of(operation, &[fault]).is_some()
    }

    /// The first of these that strikes.
    fn one_of(&self, operation: &str, faults: &[Fault]) -> Option<Fault> {
        let mut inner = self.inner.lock();
        let shot = inner.shot(operation, faults);
        let found = shot.or_else(|| faults.iter().copied().find(|fault| inner.by_chance(operation, *fault)));
        if let Some(fault) = found {
            *inner.struck.entry(fault).or_default() += 1;
        }
        found
    }

    /// A number below `bound`, by chance; 0 for a bound of 0.
    pub fn below(&self, operation: &str, bound: usize) -> usize {
        let drawn = self.inner.lock().draw(operation);
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        usize::try_from(drawn.checked_rem(bound).unwrap_or(0)).unwrap_or(0)
    }

    /// Answers a call, unless something goes wrong before, and spoils the answer where it goes wrong after. `refusal` is how
    /// the store words 429, 503 and 500; `Retry-After` is added here.
    pub async fn around(
        &self,
        operation: &str,
        refusal: impl FnOnce(StatusCode) -> Response,
        call: impl Future<Output = Response>,
    ) -> Response {
        let mut is_held = self.is_held.subscribe();
        // it fails only where the sender is gone, which is ours
        let _free = is_held.wait_for(|is_held| !is_held).await.is_ok();
        let latency = Duration::from_millis(self.latency_ms.load(Ordering::Relaxed));
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let fault = self.one_of(operation, &Fault::OF_CALLS);
        let refused = |status| {
            let mut response = refusal(status);
            if status != StatusCode::INTERNAL_SERVER_ERROR {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
            }
            response
        };
        match fault.filter(|fault| fault.comes_before()) {
            Some(Fault::TooManyRequests) => return refused(StatusCode::TOO_MANY_REQUESTS),
            Some(Fault::Unavailable) => return refused(StatusCode::SERVICE_UNAVAILABLE),
            Some(Fault::InternalError) => return refused(StatusCode::INTERNAL_SERVER_ERROR),
            Some(_) => return listener::cut(),
            None => {}
        }
        let response = call.await;
        if fault == Some(Fault::SlowAnswer) {
            tokio::time::sleep(Duration::from_millis(self.slow_ms.load(Ordering::Relaxed))).await;
            return response;
        }
        if fault == Some(Fault::CutAfter) {
            return listener::cut();
        }
        if fault == Some(Fault::CutInAnswer) {
            return cut_in_answer(response).await;
        }
        if fault == Some(Fault::WrongJson) {
            return spoiled(response, self.below(operation, 3)).await;
        }
        response
    }
}

async fn cut_in_answer(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, ANSWER_BYTES_MAX).await.unwrap_or_default();
    let half = bytes.slice(..bytes.len() / 2);
    let pieces = stream::iter([Ok(half), Err(io::Error::other("cut by a fault"))]);
    let mut response = Response::from_parts(parts, Body::from_stream(pieces));
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response
}

/// The same status, with a text that is half of the answer, no JSON at all, or JSON of another kind.
async fn spoiled(response: Response, how: usize) -> Response {
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, ANSWER_BYTES_MAX).await.unwrap_or_default();
    let body = match how {
        0 => Body::from(bytes.slice(..bytes.len() / 2)),
        1 => Body::from("<html><body>The service is being looked after.</body></html>"),
        _ => Body::from("[17]"),
    };
    (parts.status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

impl Inner {
    fn shot(&mut self, operation: &str, faults: &[Fault]) -> Option<Fault> {
        let fits = |shot: &Shot| (shot.operation == operation || shot.operation == ANY) && faults.contains(&shot.fault);
        let at = self.shots.iter().position(fits)?;
        let shot = self.shots.get_mut(at)?;
        if shot.after > 0 {
            shot.after -= 1;
            return None;
        }
        let fault = shot.fault;
        shot.times = shot.times.saturating_sub(1);
        if shot.times == 0 {
            self.shots.remove(at);
        }
        Some(fault)
    }

    fn by_chance(&mut self, operation: &str, fault: Fault) -> bool {
        let Some(rate) = self.rates.get(&fault).copied().filter(|rate| *rate > 0) else { return false };
        self.draw(operation) % 1000 < u64::from(rate)
    }

    /// SplitMix64 over the seed, the kind of call and its number.
    fn draw(&mut self, operation: &str) -> u64 {
        let count = self.drawn.entry(operation.to_owned()).or_default();
        *count += 1;
        // FNV-1a
        let name = operation
            .bytes()
            .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
        mix(self.seed ^ mix(name ^ mix(*count)))
    }
}

fn mix(of: u64) -> u64 {
    let mixed = of.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(seed: u64, rate: u16) -> Vec<bool> {
        let faults = Faults::new(seed, FaultRates::from([(Fault::CutAfter, rate)]));
        (0..2000).map(|_| faults.strikes("assign", Fault::CutAfter)).collect()
    }

    #[test]
    fn one_seed_gives_the_same_faults_and_about_as_many_as_asked() {
        assert_eq!(struck(7, 100), struck(7, 100));
        assert_ne!(struck(7, 100), struck(8, 100));
        let count = struck(7, 100).into_iter().filter(|it| *it).count();
        assert!((150..250).contains(&count), "{count} of 2000");
        assert!(struck(7, 0).into_iter().all(|it| !it));
        assert!(struck(7, 1000).into_iter().all(|it| it));
    }

    #[tokio::test]
    async fn a_call_waits_while_calls_are_held() {
        let faults = Faults::new(1, FaultRates::new());
        let call =
            || faults.around("assign", |status| status.into_response(), async { StatusCode::OK.into_response() });
        faults.hold();
        let mut held = std::pin::pin!(call());
        assert!(futures::poll!(&mut held).is_pending());
        faults.let_go();
        assert_eq!((held.await.status(), call().await.status()), (StatusCode::OK, StatusCode::OK));
    }

    #[test]
    fn a_switch_strikes_the_calls_it_names_and_no_more() {
        let faults = Faults::new(1, FaultRates::new());
        faults.next(Shot { operation: "assign".into(), fault: Fault::CutAfter, after: 1, times: 2 }).expect("room");
        let strikes = |operation| faults.strikes(operation, Fault::CutAfter);
        assert!(!strikes("seats"));
        assert_eq!(
            [strikes("assign"), strikes("assign"), strikes("assign"), strikes("assign")],
            [false, true, true, false]
        );
        faults.next_call(ANY, Fault::CutAfter).expect("room");
        assert!(!faults.strikes("seats", Fault::PageDrift));
        assert!(strikes("seats"));
        assert_eq!(faults.struck(), BTreeMap::from([(Fault::CutAfter, 3)]));
    }
}

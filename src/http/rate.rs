//! How often a caller may ask: a bucket of requests per caller that fills at a steady rate. Not here: who the caller is.

use super::auth::Counted;
use crate::clock::monotonic;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Instant;

/// Callers remembered at once; full buckets are forgotten first.
const CALLERS_MAX: usize = 10_000;

/// Requests per second, and as many at once.
#[derive(Debug, Clone, Copy)]
pub struct RateLimits {
    /// For callers with a good token; 0 is without limit.
    pub requests_per_s: u32,
    /// For calls without one.
    pub strangers_per_s: u32,
}

pub(super) struct Rate {
    limits: RateLimits,
    buckets: Mutex<HashMap<Counted, Bucket>>,
}

struct Bucket {
    left: f64,
    at: Instant,
}

impl Rate {
    pub(super) fn new(limits: RateLimits) -> Self {
        Self { limits, buckets: Mutex::new(HashMap::new()) }
    }

    /// Takes one request, or says how many seconds to wait.
    pub(super) fn take(&self, counted: Counted) -> Result<(), u64> {
        let per_s = match counted {
            Counted::Root | Counted::Token(..) => self.limits.requests_per_s,
            Counted::Stranger(_) => self.limits.strangers_per_s,
        };
        if per_s == 0 {
            return Ok(());
        }
        let (now, full) = (monotonic(), f64::from(per_s));
        let mut buckets = self.buckets.lock();
        if buckets.len() >= CALLERS_MAX && !buckets.contains_key(&counted) {
            buckets.retain(|_, bucket| bucket.left + now.duration_since(bucket.at).as_secs_f64() * full < full);
            if buckets.len() >= CALLERS_MAX {
                return Err(1);
            }
        }
        let bucket = buckets.entry(counted).or_insert(Bucket { left: full, at: now });
        bucket.left = (bucket.left + now.duration_since(bucket.at).as_secs_f64() * full).min(full);
        bucket.at = now;
        if bucket.left < 1.0 {
            return Err(1);
        }
        bucket.left -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_turned_away_once_its_bucket_is_empty_and_others_are_not() {
        let rate = Rate::new(RateLimits { requests_per_s: 0, strangers_per_s: 3 });
        let from = |last| Counted::Stranger([10, 0, 0, last].into());
        assert_eq!((0..5).map(|_| rate.take(from(1)).is_ok()).filter(|ok| *ok).count(), 3);
        assert_eq!(rate.take(from(2)), Ok(()));
        assert!((0..1000).all(|_| rate.take(Counted::Root).is_ok()));
    }
}

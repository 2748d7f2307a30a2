//! The date that stands on every answer, made once a second on each thread.

use crate::clock::{monotonic, wall};
use std::cell::RefCell;
use std::time::{Duration, Instant};

thread_local! {
    static DATE: RefCell<Date> = const { RefCell::new(Date { text: String::new(), good_until: None }) };
}

struct Date {
    text: String,
    good_until: Option<Instant>,
}

/// As hyper puts it there too.
pub(super) fn put(out: &mut Vec<u8>) {
    DATE.with_borrow_mut(|date| {
        let now = monotonic();
        if date.good_until.is_none_or(|end| end <= now) {
            let wall = wall().0;
            date.text = text(wall);
            let left = 1_000_000 - wall.rem_euclid(1_000_000);
            date.good_until = Some(now + Duration::from_micros(left.unsigned_abs()));
        }
        out.extend_from_slice(date.text.as_bytes());
    });
}

fn text(micros: i64) -> String {
    let at = jiff::Timestamp::from_microsecond(micros).unwrap_or_default();
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_reads_as_http_writes_it() {
        assert_eq!(text(784_111_777_000_000), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(text(1_790_000_000_999_999), "Mon, 21 Sep 2026 14:13:20 GMT");
        let mut out = vec![];
        put(&mut out);
        assert_eq!(out.len(), "Sun, 06 Nov 1994 08:49:37 GMT".len());
    }
}

//! Instants as data. Nothing here reads a clock.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub i64);

/// Microseconds of a day without leap seconds.
pub const DAY_MICROS: i64 = 86_400_000_000;

/// Microseconds of an hour.
pub const HOUR_MICROS: i64 = 3_600_000_000;

impl Time {
    /// The same time of day, so many days later; saturates at the end of time.
    #[must_use]
    pub fn plus_days(self, days: u32) -> Self {
        Self(self.0.saturating_add(i64::from(days).saturating_mul(DAY_MICROS)))
    }

    /// The calendar day in UTC.
    #[must_use]
    pub fn day(self) -> Day {
        Day(i32::try_from(self.0.div_euclid(DAY_MICROS)).unwrap_or(i32::MAX))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(stamp) => write!(f, "{stamp:.6}"),
            Err(_) => write!(f, "{} microseconds since 1970", self.0),
        }
    }
}

impl std::str::FromStr for Time {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let stamp: jiff::Timestamp = text.parse().map_err(|e| format!("{text:?} is not an RFC 3339 time: {e}"))?;
        Ok(Self(stamp.as_microsecond()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { s.serialize_i64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            String::deserialize(d)?.parse().map_err(D::Error::custom)
        } else {
            i64::deserialize(d).map(Self)
        }
    }
}

/// Where days are counted from.
const EPOCH: jiff::civil::Date = jiff::civil::date(1970, 1, 1);

/// A calendar day in UTC, as days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

impl Day {
    /// The first instant of this day.
    #[must_use]
    pub fn start(self) -> Time {
        Time(i64::from(self.0).saturating_mul(DAY_MICROS))
    }

    /// The first instant after this day.
    #[must_use]
    pub fn end(self) -> Time {
        Time((i64::from(self.0) + 1).saturating_mul(DAY_MICROS))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match EPOCH.checked_add(jiff::SignedDuration::from_hours(24 * i64::from(self.0))) {
            Ok(date) => write!(f, "{date}"),
            Err(_) => write!(f, "{} days since 1970", self.0),
        }
    }
}

impl std::str::FromStr for Day {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let date: jiff::civil::Date = text.parse().map_err(|e| format!("{text:?} is not a date: {e}"))?;
        // counted as a date: its instants would have to leave room for every time zone, and the last day has none
        let days = date.duration_since(EPOCH).as_hours() / 24;
        i32::try_from(days).map(Self).map_err(|e| format!("{text:?} is out of range: {e}"))
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { s.serialize_i32(self.0) }
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            String::deserialize(d)?.parse().map_err(D::Error::custom)
        } else {
            i32::deserialize(d).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_and_written_up_to_the_last_one() {
        for (text, days) in [
            ("1969-12-31", -1),
            ("1970-01-01", 0),
            ("2000-02-29", 11_016),
            ("9999-12-30", 2_932_895),
            ("9999-12-31", 2_932_896),
            ("-009999-01-01", -4_371_587),
        ] {
            let day: Day = text.parse().unwrap();
            assert_eq!((day, day.to_string().as_str()), (Day(days), text));
            assert_eq!((day.start().day(), day.end().day()), (day, Day(days + 1)));
        }
        assert!("10000-01-01".parse::<Day>().is_err() && "2027-02-29".parse::<Day>().is_err());
        assert_eq!(Day(i32::MAX).to_string(), "2147483647 days since 1970");
    }

    #[test]
    fn what_lies_behind_the_last_day_saturates() {
        let end = Day(2_932_896).end();
        assert_eq!(end.plus_days(1), Time(end.0 + DAY_MICROS));
        assert_eq!(
            (Time(i64::MAX - 1).plus_days(u32::MAX), Day(i32::MAX).end().plus_days(u32::MAX) > end),
            (Time(i64::MAX), true)
        );
    }
}

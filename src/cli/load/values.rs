//! What people write into cells: dates, money, counts, yes and no. Each parser takes a trimmed, not blank text and says
//! what is wrong with it. Not here: which column holds what.

use jiff::civil::Date;

/// In which order a date like 3/4/23 is written where the numbers do not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DateOrder {
    /// 11/24/2008
    Mdy,
    /// 24/11/2008
    Dmy,
}

/// A day, in the ways in which lists write one: 2022-03-18, 11/24/2008, 1/23/23, 24.11.2008, 24 Nov 2008, Nov 24, 2008, with
/// or without a time behind it. Two digits of a year mean 1969 to 2068.
pub(super) fn day(text: &str, order: DateOrder) -> Result<Date, String> {
    let wrong = || format!("{text:?} is no date");
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    // between digits it begins the time; elsewhere it is a letter of OCT, SEPT or AUGUST
    let is_time = |at: usize| {
        let (before, behind) = text.split_at(at);
        is_digit(before.chars().next_back()) && is_digit(behind.chars().nth(1))
    };
    let spaced: String = text.char_indices().map(|(at, c)| if c == 'T' && is_time(at) { ' ' } else { c }).collect();
    let words: Vec<&str> =
        spaced.split([' ', '-', '/', '.', ',', '\u{a0}']).filter(|word| !word.is_empty()).collect();
    let month_named = |word: &str| {
        let names = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
        let start = word.get(..3)?.to_ascii_lowercase();
        names.iter().position(|name| *name == start).and_then(|at| i8::try_from(at + 1).ok())
    };
    let number = |word: &str| word.parse::<i16>().map_err(|_| wrong());
    let small = |word: &str| word.parse::<i8>().map_err(|_| wrong());
    let [first, second, third, ..] = words.as_slice() else { return Err(wrong()) };
    if first.len() == 4 {
        let month = month_named(second).map_or_else(|| small(second), Ok)?;
        return date(number(first)?, month, small(third)?).ok_or_else(wrong);
    }
    let year = year(third).ok_or_else(wrong)?;
    if let Some(month) = month_named(second) {
        return date(year, month, small(first)?).ok_or_else(wrong);
    }
    if let Some(month) = month_named(first) {
        return date(year, month, small(second.trim_end_matches(|c: char| c.is_alphabetic()))?).ok_or_else(wrong);
    }
    let (one, two) = (small(first)?, small(second)?);
    let is_day_first = if text.contains('.') { true } else { order == DateOrder::Dmy };
    let (as_asked, the_other) = if is_day_first { ((two, one), (one, two)) } else { ((one, two), (two, one)) };
    // a thirteenth month can only be a day
    date(year, as_asked.0, as_asked.1).or_else(|| date(year, the_other.0, the_other.1)).ok_or_else(wrong)
}

fn year(word: &str) -> Option<i16> {
    let number: i16 = word.parse().ok()?;
    match word.len() {
        2 if number < 69 => Some(2000 + number),
        2 => Some(1900 + number),
        4 => Some(number),
        _ => None,
    }
}

fn date(year: i16, month: i8, day: i8) -> Option<Date> {
    if !(1900..=2200).contains(&year) {
        return None;
    }
    Date::new(year, month, day).ok()
}

/// Money: a currency and its smallest units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Money {
    pub(super) currency: String,
    pub(super) minor_units: u64,
}

/// Money, as in `$12.58`, `1,234.56`, `1.234,56 €`, `EUR 12`, `free`. `default` is the currency where none stands.
pub(super) fn money(text: &str, default: &str) -> Result<Money, String> {
    if ["free", "-", "n/a", "none"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Ok(Money { currency: default.to_owned(), minor_units: 0 });
    }
    let wrong = || format!("{text:?} is no amount of money");
    let mut currency = default.to_owned();
    for (sign, code) in [("€", "EUR"), ("£", "GBP"), ("¥", "JPY"), ("₹", "INR"), ("$", "USD")] {
        if text.contains(sign) {
            code.clone_into(&mut currency);
        }
    }
    let letters: String = text.chars().filter(char::is_ascii_alphabetic).collect();
    if letters.len() == 3 {
        currency = letters.to_ascii_uppercase();
    } else if !letters.is_empty() {
        return Err(wrong());
    }
    let digits: String = text.chars().filter(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '-')).collect();
    if digits.contains('-') {
        return Err(format!("{text:?} is less than nothing"));
    }
    let (whole, part) = decimal(&digits).ok_or_else(wrong)?;
    let minor_digits: usize = if matches!(currency.as_str(), "JPY" | "KRW" | "VND" | "CLP") { 0 } else { 2 };
    let kept: String = part.chars().chain(std::iter::repeat('0')).take(minor_digits).collect();
    if part.chars().skip(minor_digits).any(|digit| digit != '0') {
        return Err(format!("{text:?} has more decimals than {currency} has"));
    }
    let minor_units = format!("{whole}{kept}").parse().map_err(|_| wrong())?;
    Ok(Money { currency, minor_units })
}

/// The digits before and after the decimal sign. The last of `.` and `,` is that sign, unless three digits follow a sign that
/// stands alone or again.
fn decimal(text: &str) -> Option<(String, String)> {
    let plain = |part: &str| part.chars().filter(char::is_ascii_digit).collect::<String>();
    let whole_only = |text: &str| Some((plain(text), String::new())).filter(|(whole, _)| !whole.is_empty());
    let Some((head, tail)) = text.rsplit_once(['.', ',']) else { return whole_only(text) };
    let sign = text.get(head.len()..=head.len())?;
    let has_other = head.contains(if sign == "." { ',' } else { '.' });
    if head.contains(sign) || (tail.len() == 3 && !has_other) {
        return whole_only(text);
    }
    let whole = plain(head);
    Some((if whole.is_empty() { "0".into() } else { whole }, tail.to_owned()))
}

/// Seats: a count, or without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seats {
    Count(u64),
    Unlimited,
}

/// More than anybody buys: a number above it is a serial number in the wrong column.
const SEATS_MAX: u64 = 1_000_000_000;

pub(super) fn seats(text: &str) -> Result<Seats, String> {
    if ["unlimited", "site", "∞", "no limit"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Ok(Seats::Unlimited);
    }
    let wrong = || format!("{text:?} is no number of seats");
    if text.contains('-')
        || text.chars().any(|c| !c.is_ascii_digit() && !matches!(c, '.' | ',' | ' ' | '\u{a0}' | '\''))
    {
        return Err(wrong());
    }
    let compact: String = text.chars().filter(|c| !matches!(c, ' ' | '\u{a0}' | '\'')).collect();
    let (whole, part) = decimal(&compact).ok_or_else(wrong)?;
    if part.chars().any(|digit| digit != '0') {
        return Err(format!("{text:?} is no whole number of seats"));
    }
    let count: u64 = whole.parse().map_err(|_| wrong())?;
    if count > SEATS_MAX { Err(format!("{text:?} are more seats than anybody buys")) } else { Ok(Seats::Count(count)) }
}

/// What a list says of its used seats, in the receipt's words. An error is what a person should look at.
pub(super) fn used(text: &str, owned: Option<&str>) -> Result<String, String> {
    let Ok(Seats::Count(used)) = seats(text) else { return Err(format!("{text:?} is no number of seats: not noted")) };
    match owned.map(seats) {
        Some(Ok(Seats::Count(owned))) if used > owned => {
            Err(format!("the list counts {used} as used, more than the {owned} owned"))
        }
        Some(Ok(Seats::Count(owned))) => Ok(format!("the list counts {used} of {owned} as used: no seat is given")),
        Some(Ok(Seats::Unlimited) | Err(_)) | None => Ok(format!("the list counts {used} as used: no seat is given")),
    }
}

/// Yes or no. Other words, like `sometimes`, are neither.
pub(super) fn flag(text: &str) -> Result<bool, String> {
    let is_one_of = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of(&["yes", "y", "true", "t", "1", "on", "x", "active", "enabled", "ja", "oui"]) {
        Ok(true)
    } else if is_one_of(&["no", "n", "false", "f", "0", "off", "inactive", "disabled", "nein", "non"]) {
        Ok(false)
    } else {
        Err(format!("{text:?} is neither yes nor no"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        day(text, DateOrder::Mdy).map_or_else(|fault| fault, |date| date.to_string())
    }

    #[test]
    fn dates_are_read_in_every_way_in_which_lists_write_them() {
        for (text, date) in [
            ("11/24/2008", "2008-11-24"),
            ("1/23/23", "2023-01-23"),
            ("10/27/28", "2028-10-27"),
            ("2022-03-18", "2022-03-18"),
            ("2022/3/8", "2022-03-08"),
            ("2022-03-18T10:00:00Z", "2022-03-18"),
            ("12/31/1981 00:00", "1981-12-31"),
            ("24/11/2008", "2008-11-24"),
            ("24.11.2008", "2008-11-24"),
            ("3.4.21", "2021-04-03"),
            ("24 Nov 2008", "2008-11-24"),
            ("24-Nov-08", "2008-11-24"),
            ("24-OCT-2008", "2008-10-24"),
            ("SEPT 3, 2008", "2008-09-03"),
            ("AUGUST 3, 2008", "2008-08-03"),
            ("Nov 24, 2008", "2008-11-24"),
            ("November 3rd, 2008", "2008-11-03"),
            ("02/30/2016", "\"02/30/2016\" is no date"),
            ("soon", "\"soon\" is no date"),
            ("13/13/2013", "\"13/13/2013\" is no date"),
            ("0000-00-00", "\"0000-00-00\" is no date"),
        ] {
            assert_eq!(read(text), date);
        }
        assert_eq!(day("3/4/23", DateOrder::Dmy).map(|date| date.to_string()), Ok("2023-04-03".into()));
    }

    #[test]
    fn money_is_read_with_its_signs() {
        let read = |text: &str| {
            money(text, "USD").map_or_else(|fault| fault, |money| format!("{} {}", money.minor_units, money.currency))
        };
        for (text, amount) in [
            ("$12.58", "1258 USD"),
            ("$0.41", "41 USD"),
            ("2266.13", "226613 USD"),
            ("1,234.5", "123450 USD"),
            ("1.234,56 €", "123456 EUR"),
            ("1,234", "123400 USD"),
            ("EUR 12", "1200 EUR"),
            ("¥1200", "1200 JPY"),
            ("free", "0 USD"),
            (".5", "50 USD"),
            ("-3", "\"-3\" is less than nothing"),
            ("12.345678", "\"12.345678\" has more decimals than USD has"),
            ("call us", "\"call us\" is no amount of money"),
            ("$", "\"$\" is no amount of money"),
        ] {
            assert_eq!(read(text), amount);
        }
    }

    #[test]
    fn seats_are_whole_numbers_or_without_limit() {
        assert_eq!(seats("56"), Ok(Seats::Count(56)));
        assert_eq!(seats("1,000"), Ok(Seats::Count(1000)));
        assert_eq!(seats("12.0"), Ok(Seats::Count(12)));
        assert_eq!(seats("Unlimited"), Ok(Seats::Unlimited));
        for wrong in ["-1", "1.5", "many", "99999999999999999999999", "4242424242"] {
            assert!(seats(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sometimes_is_neither_yes_nor_no() {
        assert_eq!(["TRUE", "Yes", "1"].map(flag), [Ok(true), Ok(true), Ok(true)]);
        assert_eq!(["no", "FALSE", "0"].map(flag), [Ok(false), Ok(false), Ok(false)]);
        assert_eq!(flag("sometimes"), Err("\"sometimes\" is neither yes nor no".into()));
    }
}

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
    let words: Vec<&str> = spaced.split([' ', '-', '/', '.', ',', '\u{a0}']).filter(|word| !word.is_empty()).collect();
    let month_named = |word: &str| {
        let names = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
        let start = word.get(..3)?.to_ascii_lowercase();
        names.iter().position(|name| *name == start).and_then(|at| i8::try_from(at + 1).ok())
    };
    let number = |word: &str| word.parse::<i16>().map_err(|_| wrong());
    let small = |word: &str| word.parse::<i8>().map_err(|_| wrong());
    let [first, second, third, ..] = words.as_slice() else { return Err(wrong()) };
    if first.len() == 4 && first.bytes().all(|byte| byte.is_ascii_digit()) {
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

/// The currencies of ISO 4217 by the number of their decimals.
const CURRENCIES: [(usize, &str); 3] = [
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (
        2,
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP \
         CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR \
         JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN \
         NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP \
         SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD YER ZAR ZMW ZWG",
    ),
];

fn decimals(currency: &str) -> Option<usize> {
    CURRENCIES.iter().find(|(_, codes)| codes.split(' ').any(|code| code == currency)).map(|(decimals, _)| *decimals)
}

/// Money, as in `$12.58`, `1,234.56`, `1.234,56 €`, `EUR 12`, `free`. `default` is the currency where none stands.
pub(super) fn money(text: &str, default: &str) -> Result<Money, String> {
    if ["free", "-", "n/a", "none"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Ok(Money { currency: default.to_owned(), minor_units: 0 });
    }
    let wrong = || format!("{text:?} is no amount of money");
    // a minus in one of its forms, or the brackets of bookkeepers
    if text.contains([
        '-', '\u{2212}', '\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{fe63}', '\u{ff0d}', '(', ')',
    ]) {
        return Err(format!("{text:?} is less than nothing"));
    }
    let mut currency = default.to_owned();
    for (sign, code) in [("€", "EUR"), ("£", "GBP"), ("¥", "JPY"), ("₹", "INR"), ("$", "USD")] {
        if text.contains(sign) {
            code.clone_into(&mut currency);
        }
    }
    let letters: String = text.chars().filter(|c| c.is_alphabetic()).collect();
    if !letters.is_empty() {
        currency = Some(letters.to_uppercase()).filter(|code| decimals(code).is_some()).ok_or_else(wrong)?;
    }
    let minor_digits = decimals(&currency).unwrap_or(2);
    let digits: String = text.chars().filter(|c| c.is_ascii_digit() || matches!(c, '.' | ',')).collect();
    if minor_digits == 3 && is_thousands(&digits) && digits.contains(',') {
        return Err(format!("{text:?} can be read in two ways: {currency} has three decimals"));
    }
    let (whole, part) = decimal(&digits, minor_digits).ok_or_else(wrong)?;
    let kept: String = part.chars().chain(std::iter::repeat('0')).take(minor_digits).collect();
    if part.chars().skip(minor_digits).any(|digit| digit != '0') {
        return Err(format!("{text:?} has more decimals than {currency} has"));
    }
    let minor_units = format!("{whole}{kept}").parse().map_err(|_| wrong())?;
    Ok(Money { currency, minor_units })
}

/// Whether one sign stands in the number, where a sign of thousands may stand: behind one to three digits that are more than 0,
/// and before three.
fn is_thousands(text: &str) -> bool {
    let Some((head, tail)) = text.split_once(['.', ',']) else { return false };
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    (1..=3).contains(&head.len()) && tail.len() == 3 && is_number(tail) && !head.starts_with('0')
}

/// The digits of a number that a sign divides into groups: the first of one to three, the last of three, and those between of
/// three, or of two as in India.
fn grouped(text: &str, sign: char) -> Option<String> {
    let groups: Vec<&str> = text.split(sign).collect();
    let (first, rest) = groups.split_first()?;
    let (last, between) = rest.split_last()?;
    let is_well = (1..=3).contains(&first.len())
        && !first.starts_with('0')
        && last.len() == 3
        && between.iter().all(|group| matches!(group.len(), 2 | 3));
    is_well.then(|| groups.concat())
}

/// The digits before and after the decimal sign. The last of `.` and `,` is that sign, unless it stands again, or alone where
/// it can be one of thousands; a number with three decimals has none alone.
fn decimal(text: &str, decimals: usize) -> Option<(String, String)> {
    let Some((head, tail)) = text.rsplit_once(['.', ',']) else {
        return Some((text.to_owned(), String::new())).filter(|(whole, _)| !whole.is_empty());
    };
    let (sign, other) =
        if text.get(head.len()..).is_some_and(|rest| rest.starts_with('.')) { ('.', ',') } else { (',', '.') };
    let whole = match (head.contains(sign), head.contains(other)) {
        (true, true) => return None,
        (true, false) => return Some((grouped(text, sign)?, String::new())),
        (false, true) => grouped(head, other)?,
        (false, false) if decimals != 3 && is_thousands(text) => return Some((format!("{head}{tail}"), String::new())),
        (false, false) if head.is_empty() && tail.is_empty() => return None,
        (false, false) if head.is_empty() => "0".to_owned(),
        (false, false) => head.to_owned(),
    };
    Some((whole, tail.to_owned()))
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
    let (whole, part) = decimal(&compact, 0).ok_or_else(wrong)?;
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

/// The build of a system: the third part of Windows' `10.0.22631.4460`, the first of `22631.4460`, or a plain number. Of other
/// versions, as of `14.5`, no part is one.
pub(super) fn os_build(text: &str) -> Result<u32, String> {
    let parts: Vec<&str> = text.split('.').collect();
    let build = match parts.as_slice() {
        ["10", "0", build] | ["10", "0", build, _] | [build] => Some(*build),
        [build, _] => Some(*build).filter(|build| build.len() == 5),
        [..] => None,
    };
    let is_number = parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    build
        .filter(|_| is_number)
        .and_then(|build| build.parse().ok())
        .ok_or_else(|| format!("{text:?} is no build number"))
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
            ("July 4, 2008", "2008-07-04"),
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
            ("1.234", "123400 USD"),
            ("1,234,567", "123456700 USD"),
            ("₹12,34,567.50", "123456750 INR"),
            ("1234.000", "123400 USD"),
            ("KWD 12.500", "12500 KWD"),
            ("KWD 1,234.500", "1234500 KWD"),
            ("1200 ISK", "1200 ISK"),
            ("-3", "\"-3\" is less than nothing"),
            ("\u{2212}3", "\"\u{2212}3\" is less than nothing"),
            ("(3.50)", "\"(3.50)\" is less than nothing"),
            ("$0.125", "\"$0.125\" has more decimals than USD has"),
            ("1234.567", "\"1234.567\" has more decimals than USD has"),
            ("KWD 1,234", "\"KWD 1,234\" can be read in two ways: KWD has three decimals"),
            ("12 per", "\"12 per\" is no amount of money"),
            ("1.2.3", "\"1.2.3\" is no amount of money"),
            ("1.234,567,890", "\"1.234,567,890\" is no amount of money"),
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
        assert_eq!(seats("1234.000"), Ok(Seats::Count(1234)));
        assert_eq!(seats("1 234"), Ok(Seats::Count(1234)));
        assert_eq!(seats("Unlimited"), Ok(Seats::Unlimited));
        for wrong in ["-1", "1.5", "1.2.3", "0.125", "many", "99999999999999999999999", "4242424242"] {
            assert!(seats(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_build_is_the_part_of_a_version_that_is_one() {
        for text in ["10.0.22631.4460", "10.0.22631", "22631.4460", "22631"] {
            assert_eq!(os_build(text), Ok(22631), "{text}");
        }
        for text in ["14.5", "17.1.2", "23F79", "10.0.x.1", "10.0.22631.", "99999999999", "1.22631"] {
            assert_eq!(os_build(text), Err(format!("{text:?} is no build number")));
        }
    }

    #[test]
    fn sometimes_is_neither_yes_nor_no() {
        assert_eq!(["TRUE", "Yes", "1"].map(flag), [Ok(true), Ok(true), Ok(true)]);
        assert_eq!(["no", "FALSE", "0"].map(flag), [Ok(false), Ok(false), Ok(false)]);
        assert_eq!(flag("sometimes"), Err("\"sometimes\" is neither yes nor no".into()));
    }
}

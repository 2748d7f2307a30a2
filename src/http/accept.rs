//! Which form of an answer a caller likes best, as `Accept` says it (RFC 9110, 12.5.1). Not here: which forms there are.

use axum::http::{HeaderMap, header};
use std::cmp::Ordering;

/// What one range of the header says of a media type.
struct Said {
    /// 2 for the very type, 1 for `text/*`, 0 for `*/*`: the closest range counts.
    closeness: u8,
    weight: f32,
    place: usize,
}

/// The forms that are accepted, the best first: by weight, then as the header names them, then in the order in which they are
/// given, each with its media types. All of them where nothing is said.
pub(super) fn accepted<F: Copy>(headers: &HeaderMap, forms: &[(F, &[&str])]) -> Vec<F> {
    let mut ranges = Vec::new();
    for value in headers.get_all(header::ACCEPT) {
        // what is no text accepts nothing
        let Ok(text) = value.to_str() else { return Vec::new() };
        ranges.extend(text.split(',').map(|range| range.trim().to_ascii_lowercase()).filter(|range| !range.is_empty()));
    }
    if ranges.is_empty() {
        return forms.iter().map(|(form, _)| *form).collect();
    }
    let of_form = |(form, types): &(F, &[&str])| {
        let said = types.iter().filter_map(|kind| closest(&ranges, kind)).filter(|said| said.weight > 0.0);
        Some((*form, said.min_by(better_first)?))
    };
    let mut known: Vec<(F, Said)> = forms.iter().filter_map(of_form).collect();
    known.sort_by(|(_, a), (_, b)| better_first(a, b));
    known.into_iter().map(|(form, _)| form).collect()
}

fn better_first(a: &Said, b: &Said) -> Ordering {
    b.weight.total_cmp(&a.weight).then(a.place.cmp(&b.place))
}

fn closest(ranges: &[String], kind: &str) -> Option<Said> {
    let all = ranges.iter().enumerate().filter_map(|(place, range)| {
        let mut parts = range.split(';').map(str::trim);
        let closeness = closeness(parts.next()?, kind)?;
        // a weight that can't be read is none
        let mut weights = parts.filter_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
        let weight = weights.find(|weight| (0.0..=1.0).contains(weight)).unwrap_or(1.0);
        Some(Said { closeness, weight, place })
    });
    all.reduce(|best, said| if said.closeness > best.closeness { said } else { best })
}

fn closeness(range: &str, kind: &str) -> Option<u8> {
    match range.strip_suffix("/*") {
        _ if range == kind => Some(2),
        Some("*") => Some(0),
        Some(main) if kind.split('/').next() == Some(main) => Some(1),
        Some(_) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const FORMS: &[(char, &[&str])] = &[
        ('n', &["application/x-ndjson", "application/ndjson"]),
        ('c', &["text/csv"]),
        ('p', &["application/vnd.apache.parquet"]),
    ];

    fn of(values: &[&'static str]) -> String {
        let values = values.iter().map(|value| (header::ACCEPT, HeaderValue::from_static(value)));
        accepted(&values.collect(), FORMS).into_iter().collect()
    }

    #[test]
    fn the_heaviest_is_first_and_what_weighs_nothing_is_excluded() {
        for (value, best) in [
            ("text/csv;q=0, application/x-ndjson", "n"),
            ("text/csv;q=0.2, application/x-ndjson;q=0.9", "nc"),
            ("text/csv; q=0.5 , application/x-ndjson; q=0.4", "cn"),
            ("text/csv, application/ndjson", "cn"),
            ("application/ndjson, text/csv", "nc"),
            ("TEXT/CSV;Q=1.000;header=present", "c"),
            ("*/*", "ncp"),
            ("*/*, text/csv", "npc"),
            ("text/csv, */*;q=0.1", "cnp"),
            ("text/csv;q=0, */*", "np"),
            ("*/*;q=0, text/csv;q=0.001", "c"),
            ("application/*", "np"),
            ("application/*;q=0.3, application/vnd.apache.parquet;q=0.4", "pn"),
            ("application/x-ndjson;q=0, application/ndjson;q=0.5", "n"),
            ("text/csv;q=2, application/ndjson;q=x", "cn"),
            ("text/*", "c"),
            ("text/html", ""),
            ("text/csv;q=0", ""),
            ("", "ncp"),
            (" , ", "ncp"),
        ] {
            assert_eq!(of(&[value]), best, "{value:?}");
        }
    }

    #[test]
    fn two_headers_are_one_list_and_none_accepts_all() {
        assert_eq!(of(&["text/csv;q=0.1", "application/ndjson"]), "nc");
        assert_eq!(of(&[]), "ncp");
        let odd = HeaderValue::from_bytes(b"text/csv\xff").unwrap();
        assert!(accepted(&HeaderMap::from_iter([(header::ACCEPT, odd)]), FORMS).is_empty());
    }
}

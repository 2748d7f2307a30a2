//! Parts of the history by where they begin and end, as a list, a stream and a file.

use crate::harness::{Service, Tenant, encode};
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

/// Two users, and two days later another two, a minute apart; when the second and the third one came.
fn two_days(service: &Service) -> (Tenant, String, String) {
    let t = service.tenant();
    let came = |name: &str| {
        service.advance_seconds(60);
        t.user(name);
        t.get(&format!("/events/{}", t.head())).ok()["recorded_at"].as_str().expect("a time").to_owned()
    };
    let (_, early) = (came("ada"), came("bob"));
    service.advance_days(2);
    let (late, _) = (came("cy"), came("dan"));
    (t, early, late)
}

/// A time, so many seconds later.
fn later(time: &str, seconds: i64) -> String {
    let time: jiff::Timestamp = time.parse().expect("a time");
    (time + jiff::SignedDuration::from_secs(seconds)).to_string()
}

#[test]
fn a_range_that_ends_before_it_begins_is_refused_by_its_name() {
    let service = Service::start();
    let (t, early, late) = two_days(&service);
    let (head, next, early, late) = (t.head(), t.head() + 1, encode(&early), encode(&late));
    for list in ["/events?", "/refusals?", "/export/events?", "/export/events?proof=true&", "/events/stream?"] {
        for range in [
            format!("from={late}&to={early}"),
            "from=3&to=2".to_owned(),
            format!("from={next}&to={head}"),
            format!("from=3&to={early}"),
            format!("from={late}&to=1"),
        ] {
            t.get(&format!("{list}{range}")).problem("range-reversed");
        }
    }
    for (range, count) in [
        (format!("from={early}&to={early}"), 1),
        (format!("from={late}&to={late}"), 1),
        ("from=2&to=2".to_owned(), 1),
        (format!("from=2&to={late}"), 2),
        (format!("from={late}&to={}", head + 5), 2),
        // who asks for what is new finds nothing, and is not wrong
        (format!("from={next}"), 0),
        (format!("from={next}&to={late}"), 0),
        (format!("from={next}&to={}", next + 5), 0),
    ] {
        assert_eq!(t.list(&format!("/events?{range}")).len(), count, "{range}");
    }
}

#[test]
fn a_stream_ends_at_a_time_that_was_still_to_come() {
    let service = Service::start();
    let t = service.tenant();
    t.user("ada");
    let now = t.get("/events/1").ok()["recorded_at"].as_str().expect("a time").to_owned();
    let path = format!("/events/stream?from=0&type=user_added&to={}", encode(&later(&now, 3600)));
    let reader = {
        let t = t.clone();
        std::thread::spawn(move || t.call(Method::GET, &path).within(Duration::from_secs(20)).send())
    };
    // a stream that began too late for that ends there as well
    std::thread::sleep(Duration::from_millis(300));
    service.advance_seconds(1800);
    t.user("bob");
    service.advance_seconds(3600);
    // nothing that it tells of says that the time has come
    t.device("D1");
    let told = reader.join().expect("the stream ends");
    let positions: Vec<&str> = told.text.lines().filter_map(|line| line.strip_prefix("id:")).map(str::trim).collect();
    assert_eq!((told.status, positions), (200, vec!["1", "2"]));
}

#[test]
fn a_csv_has_a_header_unless_it_goes_on_from_a_position() {
    let service = Service::start();
    let (t, early, late) = two_days(&service);
    let csv = |range: &str| t.get(&format!("/export/events?format=csv{range}")).text;
    let whole = csv("");
    let header = whole.lines().next().expect("a header");
    assert!(header.starts_with("position,recorded_at,"), "{header}");
    for range in [format!("&from={}", encode(&late)), format!("&from={}&to={0}", encode(&early)), "&from=0&to=2".into()]
    {
        assert!(csv(&range).starts_with(header), "{range}");
    }
    assert_eq!(csv(&format!("&from={}", encode(&late))).lines().count(), 3);
    assert_eq!(csv("&from=0&to=2") + &csv("&from=3"), whole);
}

#[test]
fn a_time_that_began_before_the_period_is_measured_whole_and_its_most_is_of_the_period() {
    let service = Service::start();
    let t = service.tenant();
    t.owns("office", 3);
    for name in ["ada", "bob", "cy"] {
        t.user(name);
        t.assign_to_user("office", name, "required").created();
    }
    t.owns("office", 1);
    service.advance_days(2);
    t.departs("bob", json!({"cause": "deactivated"})).ok();
    service.advance_days(1);
    t.user("dan");
    let late = format!("?from={}", t.head());
    let measured = |report: &str, period: &str| {
        let rows = t.list(&format!("/reports/{report}{period}"));
        let row = rows.into_iter().rfind(|row| row["seconds"].is_u64()).expect("a time");
        (row["over_by_max"].as_u64(), row["seconds"].as_u64())
    };
    for report in ["cap", "sell-outs"] {
        assert_eq!(measured(report, ""), (Some(2), Some(3 * 86_400)), "{report}");
        assert_eq!(measured(report, &late), (Some(1), Some(3 * 86_400)), "{report}");
        let about = t.list("/reports").into_iter().find(|one| one["name"] == report).expect("the report");
        for (column, says) in [("over_by_max", "within the period"), ("seconds", "also before the period")] {
            let columns = about["columns"].as_array().expect("columns");
            let found = columns.iter().find(|one| one["name"] == column).expect("the column");
            assert!(found["about"].as_str().is_some_and(|about| about.contains(says)), "{report}: {found}");
        }
    }
}

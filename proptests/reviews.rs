//! Access reviews through the service: who decides, by list and by spreadsheet, what the end does, and that the report of
//! it stays.

use crate::harness::{Answer, Service, Tenant, encode, user};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What spreadsheets and careless programs trip over.
const AWKWARD: [&str; 6] = [
    "=HYPERLINK(\"http://x\",\"y\")@example.org",
    "+49 30 12345@example.org",
    "'quoted'@example.org",
    "semi;colon, comma \"and quotes\"@example.org",
    "-2+3@example.org",
    "Zoë 🎈@example.org",
];

/// A pool whose seats six awkward names, a device and dora hold; the ninth person waits.
fn organization() -> Tenant {
    let t = Tenant::shared();
    t.owns("office", 8);
    let mut members: Vec<String> = AWKWARD.iter().map(|name| format!("user:{name}")).collect();
    for name in AWKWARD {
        t.user(name);
    }
    t.user("dora");
    t.user("waits");
    t.device("kiosk");
    members.extend(["device:kiosk", "user:dora", "user:waits"].map(str::to_owned));
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    t.group("all", "mixed", &members);
    t.assign("office", json!({"group": "all"}), "required", json!({"mode": "fill"})).created();
    t
}

fn open(t: &Tenant, body: Value) -> String {
    let mut review = json!({"name": "autumn", "pools": ["declared:office"], "undecided": "keep"});
    let (Value::Object(fields), Value::Object(more)) = (&mut review, body) else { panic!("objects") };
    fields.extend(more);
    let opened = t.post("/reviews", review).created();
    assert_eq!(opened["state"], "open");
    text(&opened["review"])
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn decide(t: &Tenant, review: &str, rows: Value) -> Answer {
    t.post(&format!("/reviews/{review}/decisions"), json!({"decisions": rows}))
}

fn sheet(t: &Tenant, review: &str, body: impl Into<Vec<u8>>) -> Answer {
    t.call(Method::POST, &format!("/reviews/{review}/decisions")).body("text/csv", body.into()).send()
}

fn progress(t: &Tenant, review: &str) -> String {
    let progress = t.get(&format!("/reviews/{review}")).ok()["progress"].clone();
    let of = |word: &str| progress[word].as_u64().expect("a count");
    let (kept, released, undecided, gone) = (of("kept"), of("released"), of("undecided"), of("gone"));
    assert_eq!(of("seats"), kept + released + undecided + gone);
    format!("kept {kept}, released {released}, undecided {undecided}, gone {gone}")
}

/// The seats of a review: holder to what is said of it.
fn seats(t: &Tenant, review: &str, more: &str) -> BTreeMap<String, Value> {
    let listed = t.list(&format!("/reviews/{review}/seats{more}"));
    listed.into_iter().map(|seat| (text(&seat["holder"]), seat)).collect()
}

fn holder(t: &Tenant, name: &str) -> String {
    format!("user:{}", text(&t.get(&format!("/users/{}", encode(&user(name)))).ok()["id"]))
}

fn verdicts(answer: Answer) -> Vec<String> {
    let verdict = |result: &Value| match result["problem"]["type"].as_str() {
        Some(kind) => kind.trim_start_matches("/problems/").to_owned(),
        None => text(&result["status"]),
    };
    answer.ok()["results"].as_array().expect("a list").iter().map(verdict).collect()
}

#[test]
fn a_review_from_its_opening_to_its_report() {
    let t = organization();
    let reviewer = t.as_role("auditor");
    let token = t.list("/tokens").pop().unwrap()["token_id"].as_str().unwrap().to_owned();
    let review = open(&t, json!({"reviewers": [token]}));
    assert_eq!(progress(&t, &review), "kept 0, released 0, undecided 8, gone 0");
    let dora = holder(&t, "dora");
    decide(&t.as_role("operator"), &review, json!([])).problem("forbidden");
    decide(&t.as_role("connector"), &review, json!([])).problem("forbidden");
    let row = |holder: &str, decision: &str| json!({"pool": "declared:office", "holder": holder, "decision": decision});
    let rows = json!([
        {"pool": "pool_0", "holder": dora, "decision": "release", "comment": "left the team\nin May"},
        row("user:dora@example.org", "keep"), row("device:kiosk", "release"), row("user:waits@example.org", "keep"),
        row("user:nobody@example.org", "keep"), row("user:dora@example.org", "perhaps"), 7, row("device:kiosk", "release"),
    ]);
    assert_eq!(
        verdicts(decide(&reviewer, &review, rows)),
        [
            "taken",
            "taken",
            "taken",
            "seat-not-in-review",
            "user-not-found",
            "unreadable-request",
            "unreadable-request",
            "unchanged"
        ]
    );
    assert_eq!(progress(&t, &review), "kept 1, released 1, undecided 6, gone 0");
    let before_end = t.head();
    // the last word on a seat counts, and both are in the history
    let found = t.list(&format!("/events?type=review_decided&review={review}&user=dora@example.org"));
    let said: Vec<&Value> = found.iter().map(|event| &event["data"]["decision"]).collect();
    assert_eq!(said, ["release", "keep"]);
    assert_eq!((&found[0]["actor"], &found[0]["data"]["comment"]), (&json!(token), &json!("left the team\nin May")));

    t.post(&format!("/pools/declared:office/seats/user:{}/reclaim", encode(AWKWARD[0])), json!({})).ok();
    assert_eq!(progress(&t, &review), "kept 1, released 1, undecided 5, gone 1");
    let ended = t.post(&format!("/reviews/{review}/end"), json!({})).ok();
    assert_eq!((&ended["state"], &ended["released"]), (&json!("ended"), &json!(1)));
    t.post(&format!("/reviews/{review}/end"), json!({})).unchanged();
    t.post(&format!("/reviews/{review}/cancel"), json!({})).problem("review-not-open");
    assert_eq!(verdicts(decide(&reviewer, &review, json!([row("device:kiosk", "keep")]))), ["review-not-open"]);
    assert_eq!(progress(&t, &review), "kept 6, released 1, undecided 0, gone 1");
    assert_eq!(t.figures("office"), "owned 8: reserved 7, free 1");

    // the report stays as it was, whatever comes later
    let report = seats(&t, &review, "");
    assert_eq!(report.len(), 8);
    let told = |holder: &str| {
        let seat = &report[holder];
        let text = |field: &str| seat[field].as_str().unwrap_or("-").to_owned();
        ["state", "decision", "outcome", "reason"].map(text).join(" ")
    };
    assert_eq!(told(&dora), "reserved keep kept decided");
    assert_eq!(told(&holder(&t, AWKWARD[1])), "reserved - kept undecided");
    assert_eq!(told(&holder(&t, AWKWARD[0])), "reserved - gone reclaimed");
    let kiosk = report.keys().find(|holder| holder.starts_with("device:")).unwrap();
    assert_eq!(told(kiosk), "reserved release released decided");
    assert_eq!((&report[kiosk]["name"], &report[kiosk]["decided_by"]), (&json!("kiosk"), &json!(token)));
    t.post("/pools/declared:office/seats/user:dora@example.org/reclaim", json!({})).ok();
    t.departs(AWKWARD[1], json!({"cause": "deactivated"})).ok();
    assert_eq!(seats(&t, &review, ""), report);
    let past = seats(&t, &review, &format!("?as_of={before_end}"));
    assert_eq!(past[kiosk]["outcome"], "released", "as things stood it would be");
    assert_eq!(past[&holder(&t, AWKWARD[0])]["outcome"], "kept");
    assert_eq!(t.get(&format!("/reviews/{review}?as_of={before_end}")).ok()["state"], "open");
    let kinds: Vec<Value> =
        t.list(&format!("/events?review={review}")).iter().map(|event| event["type"].clone()).collect();
    assert_eq!((&kinds[0], &kinds[kinds.len() - 1]), (&json!("review_opened"), &json!("review_ended")));
}

#[test]
fn a_spreadsheet_goes_out_and_comes_back() {
    let t = organization();
    let review = open(&t, json!({"undecided": "release"}));
    let path = format!("/reviews/{review}/seats?format=csv");
    let out = t.get(&path);
    assert_eq!((out.status, out.header("content-type")), (200, Some("text/csv; charset=utf-8")));
    let mut reader = csv::Reader::from_reader(out.text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let place = |name: &str| header.iter().position(|column| column == name).unwrap();
    let mut rows: Vec<Vec<String>> =
        reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    assert_eq!(rows.len(), 8);
    for row in &rows {
        assert!(row.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r'])), "a formula: {row:?}");
    }
    let names: Vec<&str> = rows.iter().map(|row| row[place("name")].as_str()).collect();
    assert!(names.contains(&"'=HYPERLINK(\"http://x\",\"y\")@example.org"), "{names:?}");
    assert!(names.contains(&"''quoted'@example.org"), "{names:?}");

    // filled in by hand: odd cases, comments of every kind, one row left as it is
    let comments = ["=1+1", "two\r\nlines, \"quoted\"", "", "'apostrophe", "  spaces  ", "@x", "", ""];
    for (at, row) in rows.iter_mut().enumerate() {
        row[place("decision")] = if at == 7 { "" } else { ["keep", " Keep", "RELEASE"][at % 3] }.to_owned();
        row[place("comment")] = comments[at].to_owned();
    }
    let written = |rows: &[Vec<String>], delimiter: u8| {
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
        writer.write_record(&header).unwrap();
        rows.iter().for_each(|row| writer.write_record(row).unwrap());
        writer.into_inner().unwrap()
    };
    let taken = sheet(&t, &review, written(&rows, b';')).ok();
    assert_eq!((&taken["taken"], &taken["unchanged"], &taken["refused"]), (&json!(7), &json!(1), &json!(0)), "{taken}");
    let kept: Vec<Value> = t.list(&format!("/reviews/{review}/seats")).iter().map(|s| s["comment"].clone()).collect();
    let expected = json!(["=1+1", "two\nlines, \"quoted\"", null, "'apostrophe", "spaces", "@x", null, null]);
    assert_eq!(json!(kept), expected);

    // what comes out now goes in again and changes nothing
    let again = t.get(&path).text;
    let taken = sheet(&t, &review, again.clone()).ok();
    assert_eq!((&taken["taken"], &taken["unchanged"], &taken["refused"]), (&json!(0), &json!(8), &json!(0)), "{taken}");
    t.post(&format!("/reviews/{review}/end"), json!({})).ok();
    assert_eq!(progress(&t, &review), "kept 5, released 3, undecided 0, gone 0");
    let report = t.get(&path).text;
    assert_eq!(report.lines().count(), again.lines().count(), "the report has the same rows");
    assert!(report.contains("released,decided") && report.contains("released,undecided"), "{report}");
}

#[test]
fn what_can_t_be_read_is_named_and_the_rest_goes_on() {
    let t = organization();
    let review = open(&t, json!({}));
    let part = |text: &str| sheet(&t, &review, text);
    part("pool,holder,decision,notes\n").problem("unreadable-request");
    part("pool,decision\n").problem("unreadable-request");
    part("").problem("unreadable-request");
    let file =
        b"pool,holder,decision\npool_0,device:kiosk,maybe\npool_0,device:kiosk,keep,more\n\xff,device:kiosk,keep\n\
                 nowhere,device:kiosk,keep\npool_0,somebody,keep\npool_0,,keep\npool_0,device:kiosk,keep\n";
    assert_eq!(
        verdicts(sheet(&t, &review, file.to_vec())),
        [
            "unreadable-request",
            "unreadable-request",
            "unreadable-request",
            "pool-not-found",
            "meaningless-request",
            "unreadable-request",
            "taken"
        ]
    );
    decide(&t, &review, json!({"no": "list"})).problem("unreadable-request");
    decide(&t, "review_7", json!([])).problem("review-not-found");
    decide(&t, "elsewhere", json!([])).problem("review-not-found");
    let at = format!("/reviews/{review}/decisions");
    t.call(Method::POST, &at).body("text/html", "<p>").send().problem("unsupported-media-type");
    t.call(Method::POST, &at).body("application/json", "[1,").send().problem("unreadable-request");
    let many = vec![json!({"pool": "pool_0", "holder": "device:kiosk", "decision": "keep"}); 10_001];
    decide(&t, &review, json!(many)).problem("too-large");
    let long = json!([{"pool": "pool_0", "holder": "device:kiosk", "decision": "keep", "comment": "x".repeat(513)},
        {"pool": "pool_0", "holder": "device:kiosk", "decision": "keep", "by": "me"},
        {"pool": "pool_0", "holder": "device:kiosk", "decision": "keep", "comment": "bell\u{7}"}]);
    assert_eq!(verdicts(decide(&t, &review, long)), ["unreadable-request"; 3]);

    let post = |more: Value| {
        let mut body = json!({"name": "n", "pools": ["declared:office"], "undecided": "keep"});
        let (Value::Object(fields), Value::Object(more)) = (&mut body, more) else { panic!("objects") };
        fields.extend(more);
        t.post("/reviews", body)
    };
    post(json!({"pools": []})).problem("meaningless-request");
    post(json!({"pools": ["declared:nothing"]})).problem("pool-not-found");
    post(json!({"pools": vec!["declared:office"; 201]})).problem("meaningless-request");
    post(json!({"ends_at": "2001-01-01T00:00:00Z"})).problem("ends-in-past");
    post(json!({"ends_at": "tomorrow"})).problem("unreadable-request");
    post(json!({"reviewers": ["token_99"]})).problem("token-not-found");
    post(json!({"undecided": "perhaps"})).problem("unreadable-request");
    post(json!({"name": "  "})).problem("unreadable-request");
    t.as_role("directory");
    let directory = t.list("/tokens").pop().unwrap()["token_id"].clone();
    post(json!({"reviewers": [directory]})).problem("reviewer-not-allowed");
    t.as_role("auditor").post("/reviews", json!({})).problem("forbidden");
    t.get("/reviews/review_9/seats").problem("review-not-found");
    t.get(&format!("/reviews/{review}/seats?format=xml")).problem("not-acceptable");
    t.post(&format!("/reviews/{review}/end"), json!({"now": true})).problem("unreadable-request");
}

#[test]
fn the_same_key_gives_the_first_answer_again_and_a_list_of_commands_decides_as_well() {
    let t = organization();
    let open = || {
        let body = json!({"name": "n", "pools": ["declared:office"], "undecided": "keep"});
        t.call(Method::POST, "/reviews").json(&body).key("r1").send().created()
    };
    let review = open()["review"].as_str().unwrap().to_owned();
    assert_eq!(open()["review"], json!(review));
    assert_eq!(t.list("/reviews").len(), 1);
    let rows = json!({"decisions": [{"pool": "pool_0", "holder": "device:kiosk", "decision": "release"},
        {"pool": "pool_0", "holder": "user:waits@example.org", "decision": "keep"}]});
    let at = format!("/reviews/{review}/decisions");
    let send = |rows: &Value| {
        let mut results = t.call(Method::POST, &at).json(rows).key("d1").send().ok()["results"].clone();
        // each call has an id of its own
        results[1]["problem"].as_object_mut().unwrap().remove("request_id");
        results
    };
    let first = send(&rows);
    t.post(&format!("/reviews/{review}/cancel"), json!({})).ok();
    assert_eq!(first[0]["status"], "taken");
    let again = send(&rows);
    assert_eq!(again, first, "judged before it was cancelled");

    let review =
        t.post("/reviews", json!({"name": "n", "pools": ["declared:office"], "undecided": "release"})).created();
    let command = json!([{"id": "b1", "type": "decide_review", "review": review["review"], "pool": "declared:office",
        "holder": "device:kiosk", "decision": "keep"}]);
    assert_eq!(t.post("/commands", command).ok()["results"][0]["status"], "done");
    let review = review["review"].as_str().unwrap();
    let etag = t.get(&format!("/reviews/{review}")).header("etag").unwrap().to_owned();
    decide(&t, review, json!([{"pool": "pool_0", "holder": "user:dora@example.org", "decision": "keep"}])).ok();
    let end = |etag: &str| t.call(Method::POST, &format!("/reviews/{review}/end")).header("if-match", etag).send();
    end(&etag).problem("precondition-failed");
    end(t.get(&format!("/reviews/{review}")).header("etag").unwrap()).ok();
    assert_eq!(progress(&t, review), "kept 2, released 6, undecided 0, gone 0");
}

#[test]
fn a_review_ends_by_itself_also_after_a_restart() {
    let mut service = Service::start();
    let t = service.tenant();
    t.owns("office", 3);
    for name in ["ada", "bob", "cy"] {
        t.user(name);
        t.assign_to_user("office", name, "required").created();
    }
    let day: jiff::civil::Date = t.today().parse().unwrap();
    let end = day.checked_add(jiff::Span::new().days(3)).unwrap();
    let review = open(&t, json!({"undecided": "release", "ends_at": format!("{end}T00:00:00Z")}));
    decide(&t, &review, json!([{"pool": "declared:office", "holder": "user:ada@example.org", "decision": "keep"}]))
        .ok();
    service.kill();
    service.start_again();
    assert_eq!(progress(&t, &review), "kept 1, released 0, undecided 2, gone 0");
    service.advance_days(4);
    assert_eq!(progress(&t, &review), "kept 1, released 2, undecided 0, gone 0");
    let ended = t.list("/events?type=review_ended");
    assert_eq!((&ended[0]["actor"], &ended[0]["door"]), (&json!("ledger"), &json!("timer")));
    assert_eq!(t.figures("office"), "owned 3: reserved 1, free 2");
}

/// More seats than are carried out at once: the service dies between two parts.
#[test]
fn a_large_review_goes_on_after_a_restart() {
    const HOLDERS: usize = 4500;
    let mut service = Service::start();
    let t = service.tenant();
    t.owns("office", HOLDERS);
    let name = |n: usize| format!("u{n}@example.org");
    let users = (0..HOLDERS).map(|n| json!({"type": "put_user", "user": name(n), "user_name": name(n)}));
    t.post("/commands", json!(users.collect::<Vec<_>>())).ok();
    let members: Vec<String> = (0..HOLDERS).map(name).collect();
    t.put("/groups/all", json!({"kind": "users", "members": members})).ok();
    t.assign_to_group("office", "all", "required").created();
    let review = open(&t, json!({"undecided": "release"}));
    let mut file = "pool,holder,decision\n".to_owned();
    (0..HOLDERS).for_each(|n| file += &format!("pool_0,user:user_{n},{}\n", if n % 9 == 0 { "keep" } else { "" }));
    let taken = sheet(&t, &review, file).ok();
    assert_eq!((&taken["taken"], &taken["unchanged"], &taken["refused"]), (&json!(500), &json!(4000), &json!(0)));
    let ended = t.post(&format!("/reviews/{review}/end"), json!({})).ok();
    assert_eq!(ended["state"], "closing");
    service.kill();
    service.start_again();
    for _ in 0..50 {
        if t.get(&format!("/reviews/{review}")).ok()["state"] == "ended" {
            break;
        }
        service.advance_seconds(1);
    }
    assert_eq!(progress(&t, &review), "kept 500, released 4000, undecided 0, gone 0");
    assert_eq!(t.figures("office"), format!("owned {HOLDERS}: reserved 500, free 4000"));
    let released = t.list("/events?type=seat_released");
    assert!(released.iter().all(|event| event["data"]["cause"] == "reviewed"));
    assert_eq!(released.len(), 4000);
    assert_eq!(seats(&t, &review, "").len(), HOLDERS);
}

#[test]
fn reading_the_seats_leaves_one_trace_an_hour_for_each_who_reads() {
    let t = organization();
    let review = open(&t, json!({}));
    let auditor = t.as_role("auditor");
    let opened = t.get(&format!("/reviews/{review}")).ok()["opened_position"].as_u64().expect("a position");
    let told = || -> Vec<Value> {
        let rows = t.list("/reports/access-log");
        rows.into_iter().filter(|row| row["report"] == "review").collect()
    };
    assert_eq!(told().len(), 0);
    // page by page, and as a spreadsheet: one reading
    let mut path = format!("/reviews/{review}/seats?limit=3");
    let mut pages = 0;
    loop {
        let page = auditor.get(&path).ok();
        pages += 1;
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/reviews/{review}/seats?limit=3&cursor={}", encode(cursor));
    }
    assert_eq!(pages, 3);
    auditor.get(&format!("/reviews/{review}/seats?format=csv"));
    let rows = told();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((rows[0]["from"].as_u64(), rows[0]["as_of"].is_null()), (Some(opened), true));
    assert!(rows[0]["actor"].as_str().is_some_and(|actor| actor.starts_with("token_")), "{rows:?}");
    let evidence = rows[0]["evidence"][0].as_u64().expect("a position");
    let event = t.get(&format!("/events/{evidence}")).ok();
    assert_eq!(event["type"], "report_read");
    // somebody else's reading is another one, and one of the past, too
    t.get(&format!("/reviews/{review}/seats")).ok();
    auditor.get(&format!("/reviews/{review}/seats?as_of={opened}")).ok();
    assert_eq!(told().len(), 3);
    // what is not there, and was not there then, is not read
    t.get("/reviews/review_77/seats").problem("review-not-found");
    t.get(&format!("/reviews/{review}/seats?as_of={}", opened - 1)).problem("review-not-found");
    t.get(&format!("/reviews/{review}/seats?format=xml")).problem("not-acceptable");
    assert_eq!(told().len(), 3);
}

//! Personal data that is erased, through the real service: the name is nowhere any more, and everything else is as it was.

use crate::harness::{Answer, ROOT_TOKEN, Service, Tenant, replay, run_program, verify};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const WHO: &str = "hopper";
const NAME: &str = "hopper@example.org";

/// Somebody who had a seat and has left; their id.
fn who_left(t: &Tenant) -> String {
    t.owns("editor", 2);
    let profile = json!({"user_name": NAME, "display_name": "Grace Hopper", "emails": [NAME], "external_id": "E-1906"});
    let id = t.put(&format!("/users/{NAME}"), profile).created()["user"].as_str().expect("an id").to_owned();
    t.assign_to_user("editor", WHO, "required").created();
    t.departs(WHO, json!({"cause": "deactivated"})).ok();
    id
}

/// The wrapped keys of a key file, without what an erased one leaves.
fn wrapped(keys: &[u8]) -> Vec<&[u8]> {
    keys[128..].chunks_exact(80).filter(|slot| slot[0] == 1).map(|slot| &slot[28..76]).collect()
}

/// Whether a file below a folder holds these bytes.
fn is_anywhere(folder: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(folder).expect("a folder").any(|entry| {
        let path = entry.expect("an entry").path();
        if path.is_dir() { is_anywhere(&path, bytes) } else { holds(&fs::read(&path).expect("a file"), bytes) }
    })
}

fn holds(text: &[u8], bytes: &[u8]) -> bool {
    text.windows(bytes.len()).any(|window| window == bytes)
}

fn names_of(t: &Tenant, user: &str) -> (Value, Value) {
    let body = t.get(&format!("/users/{user}")).ok();
    (body["user_name"].clone(), body["erased"].clone())
}

fn erase(t: &Tenant, user: &str) -> Answer {
    t.post(&format!("/users/{user}/erasure"), json!({}))
}

#[test]
fn an_erased_person_has_no_name_anywhere_and_the_history_stays() {
    let mut service = Service::start();
    let t = service.tenant();
    t.user("ada");
    t.owns("editor", 2);
    erase(&t, "ada@example.org").problem("user-not-departed");
    erase(&t, "nobody").problem("user-not-found");
    let user = who_left(&t);
    let keys = service.data().join("subject.keys");
    let before = fs::read(&keys).expect("the keys");
    let (figures, came) = (t.figures("editor"), t.head());
    for role in ["operator", "directory", "connector", "auditor"] {
        erase(&t.as_role(role), &user).problem("forbidden");
    }
    assert_eq!(names_of(&t, &user), (json!(NAME), json!(false)));
    let answer = erase(&t, NAME).ok();
    assert_eq!((&answer["status"], &answer["user"]), (&json!("done"), &json!(user)));
    assert_eq!(erase(&t, &user).unchanged()["user"], user);

    let after = fs::read(&keys).expect("the keys");
    let gone: Vec<&[u8]> = wrapped(&before).into_iter().filter(|key| !wrapped(&after).contains(key)).collect();
    assert_eq!(gone.len(), 1);
    for round in 0..2 {
        assert_eq!(names_of(&t, &user), (Value::Null, json!(true)));
        assert_eq!(t.get(&format!("/users/{user}?as_of={came}")).ok()["user_name"], Value::Null);
        t.get(&format!("/users/{NAME}")).problem("user-not-found");
        t.get(&format!("/users/{NAME}?as_of={came}")).problem("user-not-found");
        let everything = ["/users", "/events?limit=1000", "/reports/holders", "/export/events?format=ndjson"]
            .map(|path| t.get(path).text);
        assert!(everything.iter().all(|text| !text.contains("hopper") && !text.contains("Grace") && !text.is_empty()));
        assert!(everything[1].contains("names_erased") && everything[1].contains("seat_granted"));
        assert_eq!(t.figures("editor"), figures);
        if round == 0 {
            service.kill();
            assert!(!is_anywhere(&service.data(), gone[0]) && !is_anywhere(&service.data(), NAME.as_bytes()));
            let (is_whole, words) = verify(&service.data());
            assert!(is_whole && words.contains("1 erased"), "{words}");
            service.start_again();
        }
    }
    let digest = t.get("/digest").ok();
    service.stop();
    let replayed = replay(&service.data());
    assert!(replayed.values().any(|(_, told)| *told == digest["digest"]), "{replayed:?} {digest}");
}

#[test]
fn who_was_erased_learns_no_name_and_somebody_new_may_have_it() {
    let service = Service::shared();
    let t = service.tenant();
    let user = who_left(&t);
    erase(&t, &user).ok();
    t.put(&format!("/users/{user}"), json!({"user_name": "other@contoso.example"})).problem("names-erased");
    t.post(&format!("/users/{user}/return"), json!({})).problem("names-erased");
    let new = t.user(WHO);
    assert_ne!(new, user);
    assert_eq!((names_of(&t, &new), names_of(&t, &user)), ((json!(NAME), json!(false)), (Value::Null, json!(true))));
    assert_eq!(t.get(&format!("/users/{NAME}")).ok()["id"], new);
    // a trial says what would be said
    let ask = json!([{"type": "put_user", "user": user, "user_name": "x@contoso.example"}]);
    let tried = t.post("/simulations", ask).text;
    assert!(tried.contains("names-erased"), "{tried}");

    let device = t.device("SN-1");
    t.post(&format!("/devices/{device}/erasure"), json!({})).problem("device-not-retired");
    t.post("/devices/SN-1/retirement", json!({})).ok();
    t.post("/devices/SN-1/erasure", json!({})).ok();
    let body = t.get(&format!("/devices/{device}")).ok();
    assert_eq!((&body["serial"], &body["device_id"], &body["erased"]), (&Value::Null, &Value::Null, &json!(true)));
    assert_ne!(t.device("SN-1"), device);
}

#[test]
fn a_batch_that_is_undone_erases_nobody() {
    let service = Service::shared();
    let t = service.tenant();
    let user = who_left(&t);
    let erasure = json!({"type": "erase", "holder": format!("user:{user}")});
    let refused = json!({"type": "assign", "pool": "declared:nothing", "target": {"user": user}, "intent": "required"});
    let answer = t.post("/commands?atomic=true", json!([erasure, refused])).ok();
    assert!(answer["results"].as_array().expect("results").iter().all(|result| result["status"] == "refused"));
    assert_eq!(names_of(&t, &user), (json!(NAME), json!(false)));
    // with an id of its own, and again: what was done is said again
    let with_id = json!([{"type": "erase", "holder": format!("user:{NAME}"), "id": "erase-1"}]);
    let [first, again] = [(); 2].map(|()| t.post("/commands", with_id.clone()).ok()["results"][0].clone());
    assert_eq!((&first["status"], &again["position"]), (&json!("done"), &first["position"]));
    assert_eq!(names_of(&t, &user), (Value::Null, json!(true)));
}

#[test]
fn a_backup_from_after_it_has_no_key_and_a_seat_in_a_grace_is_still_to_be_given_back() {
    let mut service = Service::start();
    let t = service.tenant();
    let user = who_left(&t);
    t.patch("/settings", json!({"departure_grace_days": 3})).ok();
    t.user("bob");
    t.assign_to_user("editor", "bob", "required").created();
    t.departs("bob", json!({"cause": "deactivated"})).ok();
    let problem = erase(&t, "bob@example.org").problem("seats-still-held");
    assert_eq!(problem["held"], 1);
    let keys = fs::read(service.data().join("subject.keys")).expect("the keys");
    erase(&t, &user).ok();
    let gone = keys[128 + 28..][..48].to_vec();
    let to = service.data().with_file_name("after.tar");
    let url = t.url("/");
    let base = url.split("/v1/").next().expect("a base").to_owned();
    let token = service.data().with_file_name("token");
    fs::write(&token, ROOT_TOKEN).expect("a file");
    let (to, token) = (to.to_str().expect("text"), token.to_str().expect("text"));
    let (code, _, err) = run_program(&["backup", "--url", &base, "--token-file", token, "--to", to]);
    assert_eq!(code, Some(0), "{err}");
    let backup = fs::read(to).expect("a backup");
    assert!(holds(&keys, &gone) && !holds(&backup, &gone) && holds(&backup, &wrapped(&keys)[1][..48]));
    service.stop();
}

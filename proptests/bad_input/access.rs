//! Callers who may not: without a token, with one of another tenant, with a dead one, with the wrong role; and that neither
//! tokens nor personal names are left where they should not be. Not here: what callers send.

use super::Untouched;
use crate::harness::{Client, Options, ROOT_TOKEN, Service, Tenant, encode};
use reqwest::Method;
use serde_json::json;

#[test]
fn who_is_not_known_sees_nothing() {
    let u = Untouched::new();
    let t = &u.tenant;
    let there = |client: &Client| [client.get("/pools"), client.put("/users/eve", json!({"user_name": "eve"}))];
    let strangers = [
        "wrong",
        "sl_0_0_00",
        "sl_99999999999_0_x",
        "sl__",
        &"t".repeat(600),
        &ROOT_TOKEN[1..],
        &format!("{ROOT_TOKEN}x"),
    ];
    for token in strangers {
        for answer in there(&t.with_token(token)) {
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"seatledger\""));
            u.bad(answer, "unauthorized");
        }
    }
    for answer in there(&t.without_token()) {
        u.bad(answer, "unauthorized");
    }
    for scheme in ["Basic cm9vdDpyb290", "Bearer", "Bearer ", ROOT_TOKEN] {
        u.bad(t.without_token().call(Method::GET, "/pools").header("authorization", scheme).send(), "unauthorized");
    }
    // whether a tenant is there is not told to strangers, nor to the tokens of others
    let other = t.neighbour().as_role("admin");
    let theirs = t.service().root().below(&format!("/v1/tenants/{}", t.name));
    for client in [other.asking(&theirs), other.asking(&t.service().root().below("/v1/tenants/nobody"))] {
        for answer in there(&client) {
            u.bad(answer, "unauthorized");
        }
    }
    u.bad(other.asking(&t.service().root()).get("/v1/tenants"), "forbidden");
    u.bad(other.asking(&t.service().root()).put("/v1/tenants/mine", json!({"name": "mine"})), "forbidden");
    u.bad(other.asking(&t.service().root()).post("/v1/clock", json!({"advance_seconds": 1})), "forbidden");
}

#[test]
fn revoked_and_expired_tokens_open_nothing() {
    let service = Service::start();
    let t = service.tenant();
    let now = t.get("").ok()["created_at"].as_str().unwrap().to_owned();
    let soon = service_time_after(&service, 0);
    assert!(soon >= now);
    let made = t
        .post(
            "/tokens",
            json!({"name": "for an hour", "role": "auditor", "expires_at": service_time_after(&service, 3600)}),
        )
        .created();
    for past in [soon.as_str(), "1926-11-28T00:00:00Z"] {
        let mistyped = json!({"name": "for no time", "role": "auditor", "expires_at": past});
        t.post("/tokens", mistyped).problem("ends-in-past");
    }
    assert_eq!(t.list("/tokens").len(), 1);
    let guest = t.with_token(made["token"].as_str().unwrap());
    guest.get("/pools").ok();
    service.advance_seconds(3599);
    guest.get("/pools").ok();
    service.advance_seconds(1);
    guest.get("/pools").problem("unauthorized");
    let revoked = t.as_role("auditor");
    let id = t.list("/tokens").last().unwrap()["token_id"].as_str().unwrap().to_owned();
    revoked.get("/pools").ok();
    assert_eq!(t.delete(&format!("/tokens/{id}")).ok()["token_id"], id);
    revoked.get("/pools").problem("unauthorized");
    assert_eq!(t.delete(&format!("/tokens/{id}")).unchanged()["token_id"], id);
}

/// The service's time so many seconds from now, as it writes times.
pub(super) fn service_time_after(service: &Service, seconds: i64) -> String {
    let now = service.root().post("/v1/clock", json!({"advance_seconds": 0})).body["now"]
        .as_str()
        .expect("the time")
        .to_owned();
    let now: jiff::Timestamp = now.parse().expect("a time");
    (now + jiff::SignedDuration::from_secs(seconds)).to_string()
}

#[test]
fn a_role_does_what_it_is_for_and_nothing_else() {
    let t = Tenant::shared();
    t.owns("office", 1);
    let roles = ["operator", "connector", "directory", "auditor"].map(|role| (role, t.as_role(role)));
    let u = Untouched { head: t.head(), tenant: t.clone() };
    let body = json!({"no_such_field": 1});
    // who may send it is told by the field that is not known, who may not by 403
    let calls = [
        (Method::POST, "/assignments", vec!["operator"]),
        (Method::DELETE, "/assignments/assignment_0", vec!["operator"]),
        (Method::POST, "/installs", vec!["operator", "connector"]),
        (Method::POST, "/uninstalls", vec!["operator", "connector"]),
        (Method::POST, "/pools/declared:office/refunds", vec!["operator"]),
        (Method::POST, "/pools/declared:office/seats/user:ada/reclaim", vec!["operator"]),
        (Method::POST, "/pools/declared:office/deficit/resolve", vec!["operator"]),
        (Method::PATCH, "/pools/declared:office/policy", vec![]),
        (Method::PATCH, "/settings", vec![]),
        (Method::PUT, "/store-accounts/apple-business", vec![]),
        (Method::PUT, "/tools/intune", vec![]),
        (Method::POST, "/tokens", vec![]),
        (Method::DELETE, "/tokens/token_0", vec![]),
        (Method::POST, "/syncs", vec!["operator"]),
        (Method::POST, "/inventory", vec!["connector"]),
        (Method::PUT, "/devices/laptop", vec!["connector"]),
        (Method::POST, "/devices/laptop/retirement", vec!["connector"]),
        (Method::PUT, "/users/ada", vec!["directory"]),
        (Method::POST, "/users/ada/departure", vec!["directory"]),
        (Method::PUT, "/groups/sales", vec!["directory"]),
        (Method::DELETE, "/groups/sales", vec!["directory"]),
    ];
    for (method, path, allowed) in calls {
        for (role, client) in &roles {
            let expected = if allowed.contains(role) { "unreadable-request" } else { "forbidden" };
            u.bad(client.call(method.clone(), path).json(&body).send(), expected);
        }
    }
}

#[test]
fn neither_secrets_nor_personal_names_reach_the_log_or_the_disk_in_plain() {
    let options = Options { environment: vec![("SEATLEDGER_LOG", "debug".into())], ..Default::default() };
    let mut service = Service::start_with(options);
    let t = service.tenant();
    let secret = t.post("/tokens", json!({"name": "scanner", "role": "connector"})).created()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    t.owns("office", 1);
    let names = [
        "zaphod@heartofgold.example",
        "Zaphod Beeblebrox",
        "zb@mail.example",
        "HR-424242",
        "SERIAL-ZB-1",
        "DEVICE-ZB-1",
    ];
    let user = json!({"user_name": names[0], "display_name": names[1], "emails": [names[2]], "external_id": names[3]});
    let path = format!("/users/{}", encode(names[0]));
    t.put(&path, user).created();
    let device = json!({"platform": "windows", "join": "entra", "enrolled": true, "serial": names[4], "device_id": names[5], "primary_user": names[0]});
    t.put(&format!("/devices/{}", names[4]), device).created();
    t.put("/groups/crew", json!({"kind": "users", "members": [names[0]]})).created();
    t.assign("office", json!({"user": names[0]}), "required", json!({})).created();
    t.post("/installs", json!({"pool": "declared:office", "device": names[4], "user": names[0]})).created();
    // and what is wrong about them
    t.put(&path, json!({"user_name": names[0], "emails": names[2], "display_name": names[1]}))
        .problem("unreadable-request");
    t.put(&path, json!({"user_name": names[0], names[1]: 1})).problem("unreadable-request");
    t.put(&path, json!({"user_name": format!("{}\u{0}", names[0])})).problem("unreadable-request");
    t.put("/groups/crew", json!({"kind": "devices", "members": [names[5]]})).problem("group-kind-fixed");
    t.put("/groups/other", json!({"kind": "users", "members": [names[1]]})).problem("unknown-members");
    t.post(&format!("{path}/departure"), json!({"cause": names[1]})).problem("unreadable-request");
    t.get(&format!("/pools/{}", names[1].replace(' ', "%20"))).problem("pool-not-found");
    t.with_token(&secret).put(&path, json!({"user_name": names[0]})).problem("forbidden");
    t.with_token(&format!("{secret}0")).get("/pools").problem("unauthorized");
    service.stop();
    service.start_again();
    t.post(&format!("{path}/departure"), json!({"cause": "deleted"})).ok();
    service.stop();
    let log = service.log();
    assert!(log.contains("judged"), "something was logged");
    for word in names.iter().copied().chain([secret.as_str(), ROOT_TOKEN]) {
        let line = log.lines().find(|line| line.contains(word));
        assert!(line.is_none(), "{word:?} stands in the log: {line:?}");
    }
    let mut folders = vec![service.data()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let bytes = std::fs::read(entry.path()).unwrap();
            for word in names.iter().copied().chain([secret.as_str(), ROOT_TOKEN]) {
                let is_there = bytes.windows(word.len()).any(|window| window == word.as_bytes());
                assert!(!is_there, "{word:?} stands in {}", entry.path().display());
            }
        }
    }
}

/// An address that the service may not ask, so that the account is linked and nobody is asked.
const NOWHERE: &str = "http://127.0.0.1:9";

#[test]
fn a_repeat_puts_no_other_store_credentials_in_the_place_of_those_that_are_kept() {
    let service = Service::start();
    let t = service.tenant();
    let path = "/store-accounts/microsoft-store";
    let given = |key: &str, secret: &str| {
        let account = json!({
            "account_id": "contoso.example", "settings": {"client_id": "seatledger", "base_url": NOWHERE},
            "credentials": {"client_secret": secret},
        });
        t.call(Method::PUT, path).key(key).json(&account).send()
    };
    let kept = || {
        let file = service.data().join("credentials").join(format!("{}.microsoft-store.json", t.name));
        let text = std::fs::read_to_string(file).unwrap();
        ["secret-a", "secret-b", "secret-c"].into_iter().filter(|secret| text.contains(secret)).collect::<Vec<_>>()
    };
    let first = given("k1", "secret-a").created();
    assert_eq!(kept(), ["secret-a"]);
    given("k2", "secret-b").ok();
    assert_eq!(kept(), ["secret-b"]);
    let again = given("k1", "secret-a");
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.created(), first);
    assert_eq!(kept(), ["secret-b"], "what was renewed since stays");
    given("k1", "secret-c").problem("idempotency-key-reused");
    given("k2", "secret-c").problem("idempotency-key-reused");
    assert_eq!(kept(), ["secret-b"]);
}

#[test]
fn a_secret_among_the_settings_of_a_store_account_goes_nowhere() {
    let u = Untouched::new();
    for (provider, settings, named) in [
        ("microsoft-store", json!({"client_id": "seatledger", "client_secret": "hush-hush"}), "client_secret"),
        ("microsoft-store", json!({"client_id": {"id": "seatledger", "secret": "hush-hush"}}), "client_id"),
        ("apple-business", json!({"content_tokens": ["hush-hush"]}), "content_tokens"),
        ("apple-business", json!({"poll_millis": "hush-hush"}), "poll_millis"),
        ("declared", json!({"password": "hush-hush"}), "password"),
    ] {
        let account = json!({"account_id": format!("of-{}", u.tenant.name), "settings": settings});
        let answer = u.tenant.put(&format!("/store-accounts/{provider}"), account);
        assert!(!answer.text.contains("hush-hush"), "{}", answer.text);
        let problem = u.bad(answer, "unreadable-request");
        assert!(problem["detail"].as_str().is_some_and(|said| said.contains(named)), "{problem}");
    }
}

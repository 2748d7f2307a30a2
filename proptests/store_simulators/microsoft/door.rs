//! Tokens and who is let in.

use super::{Store, token};
use serde_json::json;

const GOOD: [(&str, &str); 3] =
    [("grant_type", "client_credentials"), ("client_id", "seatledger"), ("client_secret", SECRET)];
const SECRET: &str = "the-simulated-secret-of-seatledger";
const RESOURCE: (&str, &str) = ("resource", "https%3A%2F%2Fonestore.microsoft.com");

fn form(fields: &[(&str, &str)]) -> String {
    fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// The good form with one field another; an empty value leaves it out.
fn but(name: &str, value: &str) -> String {
    let fields = GOOD.into_iter().chain([RESOURCE]).filter(|(n, _)| *n != name).collect::<Vec<_>>();
    let other = if value.is_empty() { vec![] } else { vec![(name, value)] };
    form(&[fields, other].concat())
}

#[test]
fn a_token_is_handed_out_for_the_right_words_alone() {
    let store = Store::with_seats(1);
    let table = [
        ("contoso.example", but("nothing", ""), 200, ""),
        ("CONTOSO.example", but("nothing", ""), 200, ""),
        ("fabrikam.example", but("nothing", ""), 400, "invalid_request"),
        ("contoso.example", but("client_id", "stranger"), 400, "unauthorized_client"),
        ("contoso.example", but("client_secret", "guessed"), 401, "invalid_client"),
        ("contoso.example", but("client_secret", ""), 400, "invalid_request"),
        ("contoso.example", but("grant_type", "password"), 400, "unsupported_grant_type"),
        ("contoso.example", but("resource", "https%3A%2F%2Fgraph.microsoft.com"), 400, "invalid_resource"),
        ("contoso.example", but("resource", ""), 400, "invalid_request"),
        ("contoso.example", format!("{}&client_id=again", but("nothing", "")), 400, "invalid_request"),
    ];
    for (tenant, form, status, error) in table {
        let came = store.raw.post_form(&format!("/{tenant}/oauth2/token"), &form);
        assert_eq!((came.status, came.json["error"].as_str().unwrap_or_default()), (status, error), "{form}");
    }
    let json = json!({"grant_type": "client_credentials"});
    store.raw.post_json("/contoso.example/oauth2/token", &json).is(400);
    store.raw.get("/contoso.example/oauth2/token").is(405);
}

#[test]
fn the_two_endpoints_write_their_figures_as_they_do() {
    let store = Store::with_seats(1);
    let first = store.raw.post_form("/contoso.example/oauth2/token", &but("nothing", "")).is(200).json;
    assert_eq!((&first["expires_in"], &first["expires_on"]), (&json!("3599"), &json!("1780311599")));
    let scope = |value| form(&[&GOOD[..], &[("scope", value)]].concat());
    let path = "/contoso.example/oauth2/v2.0/token";
    let second = store.raw.post_form(path, &scope("https%3A%2F%2Fonestore.microsoft.com%2F.default")).is(200).json;
    assert_eq!((&second["expires_in"], &second["token_type"]), (&json!(3599), &json!("Bearer")));
    let bearer = format!("Bearer {}", second["access_token"].as_str().expect("a token"));
    store.raw.with("authorization", &bearer).get("/V1/Inventory").is(200);
    for wrong in ["https%3A%2F%2Fonestore.microsoft.com", "openid"] {
        assert_eq!(store.raw.post_form(path, &scope(wrong)).is(400).json["error"], "invalid_scope");
    }
}

#[test]
fn nobody_is_let_in_without_a_token_that_is_good_now() {
    let store = Store::with_seats(1);
    let bearer = token(&store.raw);
    let with = |value: &str| store.raw.with("authorization", value).get("/V1/Inventory");
    assert_eq!(store.raw.get("/V1/Inventory").is(401).headers["www-authenticate"], "Bearer");
    for wrong in [bearer.as_str(), "Basic c2VhdGxlZGdlcg==", "Bearer made-up", &format!("bearer{bearer}")] {
        with(wrong).is(401);
    }
    let good = format!("Bearer {bearer}");
    with(&good).is(200);
    store.advance(3598);
    with(&good).is(200);
    store.advance(1);
    with(&good).is(401);
    let renewed = format!("Bearer {}", token(&store.raw));
    with(&renewed).is(200);
    store.raw.post("/simulator/tokens/expire").is(204);
    with(&renewed).is(401);
}

#[test]
fn a_tool_that_the_store_has_not_activated_gets_a_token_and_nothing_for_it() {
    let store = Store::with_seats(1);
    let switch = |on: bool| {
        let body = json!({"client_id": "seatledger", "is_active": on});
        store.raw.post_json("/simulator/tools/activation", &body).is(204);
    };
    switch(false);
    let bearer = format!("Bearer {}", token(&store.raw));
    let tool = store.raw.with("authorization", &bearer);
    tool.get("/V1/Inventory").is(403);
    switch(true);
    tool.get("/V1/Inventory").is(200);
    let unknown = json!({"client_id": "stranger", "is_active": true});
    store.raw.post_json("/simulator/tools/activation", &unknown).is(404);
}

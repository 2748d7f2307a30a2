//! What could be read in two ways is not carried out in either: a parameter that is none, a field that stands twice, a list in the
//! place of an object; and what can be read in one way alone is.

use super::Untouched;
use reqwest::Method;
use serde_json::json;

#[test]
fn a_trial_and_a_batch_that_are_asked_for_in_other_words_are_refused_and_not_carried_out() {
    let u = Untouched::new();
    let (t, root) = (&u.tenant, u.tenant.service().root());
    let tenant = format!("/v1/tenants/{}", t.name);
    let nothing = json!({"complete": true, "items": []});
    let fly = json!([{"type": "put_user", "user": "eve", "user_name": "eve"}, {"type": "fly"}]);
    for (method, path, body, name) in [
        (Method::POST, "/inventory?dry_run=true", &nothing, "dry_run"),
        (Method::POST, "/commands?Atomic=true", &fly, "Atomic"),
        (Method::POST, "/commands?atomic=true&atomic=false", &fly, "atomic"),
        (Method::POST, "/assignments?limit=1", &json!({}), "limit"),
        (Method::PUT, "/users/eve?dry_run=true", &json!({"user_name": "eve"}), "dry_run"),
        (Method::PATCH, "/settings?x=1", &json!({"sync_enabled": false}), "x"),
        (Method::DELETE, "/groups/sales?cursor=x", &json!({}), "cursor"),
    ] {
        let answer = root.call(method, &format!("{tenant}{path}")).json(body).send();
        assert_eq!(u.bad(answer, "invalid-query")["parameter"], name, "{path}");
    }
}

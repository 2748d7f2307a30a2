//! What is read in a browser, and the last day that there is.

use crate::harness::{Service, Tenant};
use serde_json::json;

#[test]
fn pages_load_nothing_and_stand_in_no_frame() {
    let service = Service::shared();
    let root = service.root().without_token();
    for path in ["/docs", "/problems", "/problems/not-found"] {
        let page = root.get(path);
        assert!(page.status == 200 && page.text.starts_with("<!doctype html>"), "{path}");
        let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
        assert_eq!(page.header("content-security-policy"), Some(policy), "{path}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"), "{path}");
        for word in ["<script", "src=", "style=\"", "<link", "<img"] {
            assert!(!page.text.contains(word), "{path}: the policy forbids {word}");
        }
    }
}

/// As many systems write what has no end.
#[test]
fn the_last_day_that_there_is_ends_an_entitlement_as_any_other() {
    let t = Tenant::shared();
    t.inventory(true, &[json!({"sku": "office", "owned": 5, "ends_on": "9999-12-31"}), json!({"sku": "mail"})]).ok();
    assert_eq!(t.pool("office")["ends_on"], "9999-12-31");
    assert_eq!(t.figures("office"), "owned 5: free 5");
    let beyond = t.inventory(true, &[json!({"sku": "office", "owned": 5, "ends_on": "10000-01-01"})]);
    assert_eq!(beyond.status, 400);
}

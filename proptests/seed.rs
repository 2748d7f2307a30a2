//! The seed suite: one test per line of the table in the rules' last chapter, named after the promise, through HTTP.

use crate::harness::Tenant;
use serde_json::json;

#[test]
fn how_many_licenses_are_available_and_used_is_tracked_through_a_life() {
    let t = Tenant::shared();
    t.owns("office", 3);
    assert_eq!(t.figures("office"), "owned 3: free 3");
    t.user("ada");
    t.device("laptop");
    t.assign_to_user("office", "ada", "required").created();
    assert_eq!(t.figures("office"), "owned 3: reserved 1, free 2");
    t.install("office", "laptop", "ada").created();
    assert_eq!(t.figures("office"), "owned 3: in_use 1, free 2");
    t.uninstall("office", "laptop", "ada").ok();
    assert_eq!(t.figures("office"), "owned 3: free 3");
    t.inventory(true, &[json!({"sku": "office", "owned": 5})]).ok();
    assert_eq!(t.figures("office"), "owned 5: free 5");
}

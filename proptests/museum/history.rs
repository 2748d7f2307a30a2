//! What could not be said afterwards: who held what, since when, who was refused, and why a count is what it is.

use crate::harness::Tenant;
use serde_json::json;

/// 14, snipe-it#7846: who has which license, since when, at what cost?
#[test]
fn who_has_what_since_when_and_at_what_cost_is_one_read() {
    let t = Tenant::shared();
    t.inventory(true, &[json!({"sku": "office", "owned": 2, "price": {"currency": "EUR", "minor_units": 12_900}})])
        .ok();
    t.user("ada");
    let granted = t.assign_to_user("office", "ada", "required").created();
    let seats = t.list("/users/ada@example.org/seats");
    assert_eq!(seats.len(), 1);
    assert_eq!((&seats[0]["pool_key"], &seats[0]["state"]), (&json!("declared:office"), &json!("reserved")));
    assert!(seats[0]["since"].as_str().unwrap().ends_with('Z'));
    assert_eq!(seats[0]["since_position"], granted["position"]);
    assert_eq!(seats[0]["assignments"], json!([granted["assignment"]]));
    assert_eq!(t.pool("office")["price"], json!({"currency": "EUR", "minor_units": 12_900}));
}

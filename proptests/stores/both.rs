//! One organization at both stores: each account has its own worker, which has nothing to do with the other's seats.

use super::microsoft::{self, upn};
use super::{Shop, apple, service_for_all};
use serde_json::json;
use std::sync::Arc;

#[test]
fn what_waits_for_one_store_is_no_business_of_the_other() {
    let (windows, tablets) = (microsoft::Store::with_seats(3), apple::Store::with_seats(3));
    let service = Arc::new(service_for_all(&[windows.simulator.url(), tablets.simulator.base_url()]));
    let shop = windows.linked(&service);
    shop.synced();
    let other = tablets.linked_to(Shop { tenant: shop.tenant.clone(), provider: "apple-business" }, json!({}));
    other.synced();
    for (shop, key) in [(&shop, microsoft::POOL), (&other, apple::POOL)] {
        for name in ["ada", "bob"] {
            shop.assign(key, &upn(name), "required").created();
        }
        shop.settled();
    }
    // nobody is let in at one of them, and seats are given back at both
    tablets.order(json!({"order": "expire_tokens", "uid": apple::UNIT}));
    shop.tenant.post(&format!("/users/{}/departure", upn("bob")), json!({"cause": "deactivated"})).ok();
    super::eventually(|| {
        let (here, there) = (shop.connector(), other.connector());
        let is_so = here["releasing"] == 0 && there["releasing"] == 1 && there["read_only"] == true;
        if is_so { Ok(()) } else { Err(json!([here, there])) }
    });
    assert_eq!(shop.figures(microsoft::POOL), "owned 3, held 1, reserved 1");
    assert_eq!(other.figures(apple::POOL), "owned 3, held 2, reserved 1, releasing 1");
    // told once, by the worker whose seat it is
    let sent = shop.tenant.list("/events?type=seat_release_sent");
    assert_eq!(sent.len(), 2, "{sent:?}");
}

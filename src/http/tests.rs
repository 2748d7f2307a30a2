//! The published contract against the file that keeps it.

use std::path::Path;

#[test]
fn the_kept_contract_is_the_published_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/openapi.json");
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    let published = super::openapi_text().unwrap();
    let differs = kept.lines().zip(published.lines()).position(|(kept, published)| kept != published);
    assert!(
        kept == published,
        "schemas/openapi.json differs from the contract at line {}; renew it with \
         `cargo run -- openapi > schemas/openapi.json` and look at the difference",
        differs.unwrap_or_else(|| kept.lines().count().min(published.lines().count())) + 1
    );
}

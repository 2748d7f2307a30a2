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

#[test]
fn the_reader_counts_as_refusals_what_the_contract_answers_with_409() {
    let file = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let types: serde_json::Value = serde_json::from_str(&file("events/v1/types.json")).unwrap();
    let rejections = types["Rejection"]["ENUM"].as_object().unwrap().values();
    let names = rejections.map(|variant| variant.as_object().unwrap().keys().next().unwrap().as_str());
    let is_conflict = |name: &&str| {
        let page = super::problem_pages::find(&name.replace('_', "-"));
        page.unwrap_or_else(|| panic!("{name} has no page")).status == 409
    };
    let mut conflicts: Vec<&str> = names.filter(is_conflict).collect();
    let reader = file("reader/seatledger_log.py");
    let (_, rest) = reader.split_once("CONFLICTS = set(\"\"\"").unwrap();
    let mut read: Vec<&str> = rest.split_once("\"\"\"").unwrap().0.split_whitespace().collect();
    conflicts.sort_unstable();
    read.sort_unstable();
    assert_eq!(read, conflicts);
}

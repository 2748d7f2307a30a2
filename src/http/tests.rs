//! The published contract against the file that keeps it.

use serde_json::Value;
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

/// Every object below `content` of an answer or a request: media type and schema, references followed.
fn contents<'d>(document: &'d Value, at: &'d Value, found: &mut Vec<(&'d str, &'d Value)>) {
    let Some(fields) = at.as_object() else {
        return at.as_array().into_iter().flatten().for_each(|entry| contents(document, entry, found));
    };
    for (name, value) in fields {
        let types = value.as_object().filter(|_| name == "content").into_iter().flatten();
        found.extend(types.filter(|(media_type, _)| media_type.contains('/')).map(|(media_type, content)| {
            let schema = &content["schema"];
            let named = schema["$ref"].as_str().and_then(|name| document.pointer(name.trim_start_matches('#')));
            (media_type.as_str(), named.unwrap_or(schema))
        }));
        contents(document, value, found);
    }
}

#[test]
fn bodies_that_are_no_json_are_strings_in_the_contract_and_files_are_binary_ones() {
    let document: Value = serde_json::from_str(&super::openapi_text().unwrap()).unwrap();
    let mut found = vec![];
    contents(&document, &document["paths"], &mut found);
    let mut files = 0;
    for (media_type, schema) in found.iter().filter(|(media_type, _)| !media_type.ends_with("json")) {
        let is_file =
            ["application/x-tar", "application/vnd.apache.parquet", "application/octet-stream"].contains(media_type);
        files += u32::from(is_file);
        assert_eq!(schema["type"], "string", "{media_type}: {schema}");
        assert_eq!(schema["format"] == "binary", is_file, "{media_type}: {schema}");
    }
    assert_eq!(files, 7, "two kinds of tiles, a backup, a bundle, an export and two reports");
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

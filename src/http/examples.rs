//! Examples in the published contract: for every operation a path, a query and a body that go well on the organization of
//! README's session. `ops/contract/run` makes that organization and asks each of them.

use serde_json::{Value, json};
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::{OpenApi, RefOr, Schema};

/// Puts the examples in, and what every path parameter is.
pub(super) fn add(contract: &mut OpenApi) {
    // a parameter of several parts is one to whoever reads the contract
    for path in contract.paths.paths.keys().filter(|path| path.contains("{*")).cloned().collect::<Vec<_>>() {
        if let Some(item) = contract.paths.paths.remove(&path) {
            contract.paths.paths.insert(path.replace("{*", "{"), item);
        }
    }
    for item in contract.paths.paths.values_mut() {
        let PathItem { get, put, post, delete, patch, .. } = item;
        for operation in [get, put, post, delete, patch].into_iter().flatten() {
            add_to(operation);
        }
    }
}

fn add_to(operation: &mut Operation) {
    let id = operation.operation_id.clone().unwrap_or_default();
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        parameter.schema = parameter.schema.take().map(without_null);
        if parameter.parameter_in == ParameterIn::Path {
            let (said, example) = path_example(&id, &parameter.name);
            parameter.description.get_or_insert_with(|| said.to_owned());
            *parameter = ParameterBuilder::from(parameter.clone()).example(Some(example.into())).build();
        } else if parameter.name == "from" && id == "log_consistency" {
            *parameter = ParameterBuilder::from(parameter.clone()).example(Some(1.into())).build();
        } else if parameter.name == "figure" {
            *parameter = ParameterBuilder::from(parameter.clone()).example(Some("held".into())).build();
        }
    }
    let body = match &mut operation.request_body {
        Some(RefOr::T(body)) => body.content.get_mut("application/json"),
        Some(RefOr::Ref(_)) | None => None,
    };
    if let (Some(RefOr::T(content)), Some(example)) = (body, body_example(&id)) {
        content.example = Some(example);
    }
}

/// A parameter that may be left out is left out, and not sent as the word null.
fn without_null(schema: RefOr<Schema>) -> RefOr<Schema> {
    let mut value = serde_json::to_value(&schema).unwrap_or_default();
    if let Some(kinds) = value.get_mut("type").and_then(Value::as_array_mut) {
        kinds.retain(|kind| kind != "null");
    }
    serde_json::from_value(value).unwrap_or(schema)
}

/// What a part of a path is, and one that is there; what ends something has one of its own.
fn path_example(operation: &str, name: &str) -> (&'static str, &'static str) {
    match (name, operation) {
        ("tenant", _) => ("The tenant's name", "contoso"),
        ("pool", "reclaim") => ("The pool's id or key", "declared:viewer"),
        ("pool", "grant") => ("The pool's id or key", "declared:short"),
        ("pool", "refund") => ("The pool's id or key", "declared:shrinking"),
        ("pool", "issue_offline_license") => ("The pool's id or key", "declared:viewer"),
        ("pool", "seat" | "seat_story") => ("The pool's id or key", "declared:steady"),
        ("pool", _) => ("The pool's id or key", "declared:editor"),
        ("holder", "seat" | "seat_story") => ("user:<ref> or device:<ref>", "user:u7@contoso.example"),
        ("holder", "reclaim") => ("user:<ref> or device:<ref>", "user:dora@contoso.example"),
        ("holder", _) => ("user:<ref> or device:<ref>", "user:ada@contoso.example"),
        ("user", "depart" | "return_user") => ("The user's id or user name", "carl@contoso.example"),
        ("user", _) => ("The user's id or user name", "ada@contoso.example"),
        ("device", "retire_device") => ("The device's id, serial number or device id", "D2"),
        ("device", _) => ("The device's id, serial number or device id", "D1"),
        ("group", "delete_group") => ("The group's id or external id", "leavers"),
        ("group", _) => ("The group's id or external id", "office"),
        ("assignment", "unassign") => ("The assignment's id", "assignment_2"),
        ("assignment", _) => ("The assignment's id", "assignment_0"),
        ("app", _) => ("The app's id", "app_0"),
        ("sync", "confirm_sync") => ("The sync's id", "sync_1"),
        ("sync", _) => ("The sync's id", "sync_0"),
        ("held", _) => ("The id of what is held back", "held_0"),
        ("review", "end_review") => ("The review's id", "review_1"),
        ("review", "cancel_review") => ("The review's id", "review_2"),
        ("review", _) => ("The review's id", "review_0"),
        ("token", _) => ("The token's id", "token_1"),
        ("tool", "delete_tool") => ("The management tool's name", "old-tool"),
        ("tool", _) => ("The management tool's name", "intune"),
        ("provider", _) => ("microsoft-store, apple-business or declared", "microsoft-store"),
        ("report", _) => ("The report's name", "license-position"),
        ("level", _) => ("0 for leaf hashes, and up: a number from 0 to 63", "0"),
        ("index", _) => {
            ("Groups of three digits, all but the last with an x before them; the width of a partial tile", "000.p/1")
        }
        ("position", "why_not") => ("The position of a refusal", "1"),
        ("position", _) => ("A position of the log", "3"),
        (_, _) => ("The last part of a problem's type", "no-seat-available"),
    }
}

fn body_example(operation: &str) -> Option<Value> {
    let install = json!({"pool": "declared:editor", "device": "D1", "user": "ada@contoso.example"});
    let commands = json!([
        {"id": "c1", "type": "put_user", "user": "eve@contoso.example", "user_name": "eve@contoso.example"},
        {"id": "c2", "type": "assign", "pool": "declared:editor", "target": {"user": "eve@contoso.example"}, "intent": "required"},
    ]);
    Some(match operation {
        "put_tenant" => json!({"name": "Contoso"}),
        "assign" => {
            json!({"pool": "declared:editor", "target": {"user": "dora@contoso.example"}, "intent": "required"})
        }
        "install" | "uninstall" => install,
        "depart" => json!({"cause": "deactivated"}),
        "refund" => json!({
            "order": "ORD-1", "quantity": 1, "ordered_on": "2026-11-24", "amount": {"currency": "EUR", "minor_units": 4900},
        }),
        "issue_offline_license" => json!({"user": "ada@contoso.example"}),
        "set_policy" => json!({"on_uninstall": "keep", "reservation_timeout_days": 90}),
        "put_user" => json!({
            "user_name": "ada@contoso.example", "external_id": "ada", "display_name": "Ada", "emails": ["ada@contoso.example"],
        }),
        "put_group" => json!({"kind": "users", "members": ["ada@contoso.example", "bob@contoso.example"]}),
        "put_device" => json!({
            "platform": "windows", "join": "entra", "enrolled": true, "os_build": 22631, "serial": "D1",
            "primary_user": "ada@contoso.example",
        }),
        "change_settings" => json!({"departure_grace_days": 0, "brake": {"share": 20, "at_least": 25}}),
        "link_store_account" => json!({"account_id": "contoso-msfb", "settings": {"client_id": "91abf2c4"}}),
        "open_review" => json!({
            "name": "Autumn 2026", "pools": ["declared:steady"], "undecided": "keep", "ends_at": "2099-12-31T00:00:00Z",
        }),
        "decide_review" => json!({"decisions": [
            {"pool": "declared:steady", "holder": "user:u7@contoso.example", "decision": "keep", "comment": "uses it"},
        ]}),
        "put_tool" => json!({"name": "Intune"}),
        "hear" => json!({
            "notificationId": "7f7c", "notificationType": "ASSET_COUNT", "uId": "2049025000431439",
            "notification": {"adamId": "408709785", "pricingParam": "STDQ", "countDelta": 5},
        }),
        "start_sync" => json!({"provider": "declared"}),
        "issue_token" => json!({"name": "helpdesk", "role": "operator"}),
        "advance_clock" => json!({"advance_seconds": 60}),
        "put_inventory" => json!({"complete": false, "language": "en-US", "items": [{
            "sku": "editor", "license_type": "online", "name": "Editor", "publisher": "Contoso", "owned": 100_000,
            "distribution_policy": "restricted", "price": {"currency": "EUR", "minor_units": 4900}, "encrypted": false,
            "related_set": null,
        }]}),
        "commands" | "simulate" | "simulations" => commands,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    #[test]
    fn every_body_and_every_part_of_a_path_has_an_example() {
        let contract = serde_json::to_value(crate::http::openapi()).unwrap();
        for (path, calls) in contract["paths"].as_object().unwrap() {
            for (method, call) in calls.as_object().unwrap() {
                for parameter in call["parameters"].as_array().into_iter().flatten().filter(|p| p["in"] == "path") {
                    assert!(parameter["example"].is_string(), "{method} {path}: {}", parameter["name"]);
                }
                let body = &call["requestBody"]["content"]["application/json"];
                assert!(
                    *body == Value::Null || body["example"] != Value::Null,
                    "{method} {path} has a body without one"
                );
            }
        }
    }
}

//! Commands that come by the thousand, read straight from their bytes: assignments, installs and uninstalls as most are
//! written. Whatever is of another kind, is written in a rarer way or has anything wrong with it goes the long way
//! (`mod.rs`), which reads every command and says what is wrong. Not here: any error; what this reads, that reads alike.

use super::kind::Kind;
use super::text::{Reference, Word};
use super::{Wire, hash_of};
use crate::domain::command::{Command, Intake, TargetRef};
use crate::domain::facts::{Intent, Licensing, Mode};
use crate::http::auth::Caller;
use crate::http::refs;
use crate::ledger::Ask;
use serde::de::value::BorrowedStrDeserializer;
use serde::{Deserialize, Deserializer, Serialize};

/// Every field that these kinds have, by name: so the long way's hash has them too. Borrowed, so that a text with an escape
/// in it is none of these; given once and never `null`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Fields<'a> {
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    all_users: Option<bool>,
    #[serde(borrow, default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    device: Option<&'a str>,
    #[serde(borrow, default, deserialize_with = "given", skip_serializing)]
    pub(in crate::http) id: Option<&'a str>,
    #[serde(default, deserialize_with = "word", skip_serializing_if = "Option::is_none")]
    intent: Option<Intent>,
    #[serde(default, deserialize_with = "word", skip_serializing_if = "Option::is_none")]
    licensing: Option<Licensing>,
    #[serde(default, deserialize_with = "word", skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    #[serde(borrow, default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    occurred_at: Option<&'a str>,
    #[serde(borrow, default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pool: Option<&'a str>,
    #[serde(borrow, default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    report: Option<bool>,
    #[serde(borrow, default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    target: Option<Target<'a>>,
    #[serde(borrow, rename = "type", default, deserialize_with = "given", skip_serializing)]
    pub(in crate::http) kind: Option<&'a str>,
    #[serde(borrow, default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Target<'a> {
    #[serde(borrow, default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    device: Option<&'a str>,
    #[serde(borrow, default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    exclude: Option<&'a str>,
    #[serde(borrow, default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(borrow, default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
}

fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(d: D) -> Result<Option<T>, D::Error> {
    T::deserialize(d).map(Some)
}

/// A word that is written as a text. To serde `{"user": null}` is the word as well, and the long way hashes what was written.
fn word<'de, T: Deserialize<'de>, D: Deserializer<'de>>(d: D) -> Result<Option<T>, D::Error> {
    let text = <&'de str>::deserialize(d)?;
    T::deserialize(BorrowedStrDeserializer::new(text)).map(Some)
}

/// The fields of a command, if they are such.
pub(in crate::http) fn fields(bytes: &[u8]) -> Option<Fields<'_>> {
    // serde reads a list as the fields of an object in their order
    let has_list = bytes.iter().fold(false, |has_list, byte| has_list | (*byte == b'['));
    if has_list {
        return None;
    }
    // of what is text as a whole serde need not look at each word again
    serde_json::from_str(std::str::from_utf8(bytes).ok()?).ok()
}

/// Whether commands of this kind may be read here.
pub(in crate::http) fn may_be(kind: Kind) -> bool {
    matches!(kind, Kind::Assign | Kind::Install | Kind::Uninstall)
}

impl Wire {
    /// A single call's command, whose kind its path says.
    pub(in crate::http) fn of_bytes(caller: &Caller, kind: Kind, bytes: &[u8], is_repeatable: bool) -> Option<Self> {
        if !may_be(kind) {
            return None;
        }
        let fields = fields(bytes).filter(|fields| fields.id.is_none() && fields.kind.is_none())?;
        Self::of_fields(caller, kind, &fields, is_repeatable)
    }

    pub(in crate::http) fn of_fields(
        caller: &Caller,
        kind: Kind,
        fields: &Fields<'_>,
        is_repeatable: bool,
    ) -> Option<Self> {
        Some(Self {
            kind,
            ask: Ask::Intake(Intake::Command(command(caller, kind, fields)?)),
            occurred_at: fields.occurred_at.map(|at| at.parse().ok()).map_or(Some(None), |at| at.map(Some))?,
            reason: match fields.reason {
                Some(reason) => Some(Word::of(reason)?.to_owned()),
                None => None,
            },
            content_hash: if is_repeatable { hash_of(kind, fields) } else { 0 },
            members: Vec::new(),
        })
    }
}

fn command(caller: &Caller, kind: Kind, fields: &Fields<'_>) -> Option<Command> {
    if !may_be(kind) {
        return None;
    }
    let pool = refs::pool(Reference::of(fields.pool?)?).ok()?;
    if kind == Kind::Assign {
        let is_of_an_install =
            fields.device.is_some() || fields.user.is_some() || fields.all_users.is_some() || fields.report.is_some();
        let target = target(caller, fields.target.as_ref().filter(|_| !is_of_an_install)?)?;
        let (intent, mode, licensing) = (fields.intent?, fields.mode, fields.licensing);
        return Some(Command::Assign { pool, target, intent, mode, licensing });
    }
    let is_of_an_assignment =
        fields.target.is_some() || fields.intent.is_some() || fields.mode.is_some() || fields.licensing.is_some();
    let device = caller.device(Reference::of(fields.device.filter(|_| !is_of_an_assignment)?)?).ok()?;
    let user = match (fields.user, fields.all_users.unwrap_or(false)) {
        (Some(user), false) => Some(caller.user(Reference::of(user)?).ok()?),
        (None, true) => None,
        (Some(_), true) | (None, false) => return None,
    };
    let is_report = fields.report.unwrap_or(false);
    Some(if kind == Kind::Install {
        Command::Install { pool, device, user, is_report }
    } else {
        Command::Uninstall { pool, device, user, is_report }
    })
}

fn target(caller: &Caller, target: &Target<'_>) -> Option<TargetRef> {
    match target {
        Target { user: Some(user), device: None, group: None, exclude: None } => {
            Some(TargetRef::User(caller.user(Reference::of(user)?).ok()?))
        }
        Target { user: None, device: Some(device), group: None, exclude: None } => {
            Some(TargetRef::Device(caller.device(Reference::of(device)?).ok()?))
        }
        Target { user: None, device: None, group: Some(group), exclude } => {
            let exclude = match exclude {
                Some(exclude) => Some(refs::group(Reference::of(exclude)?).ok()?),
                None => None,
            };
            Some(TargetRef::Group { group: refs::group(Reference::of(group)?).ok()?, exclude })
        }
        Target { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::Actor;
    use crate::domain::ids::TenantId;
    use crate::http::fixture::service;
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    fn caller(dir: &std::path::Path) -> Caller {
        Caller { service: service(dir, 1 << 20), tenant: TenantId(0), actor: Actor::Root, role: None }
    }

    /// What a text comes to, both ways; `None` where it is left to the long way, which then may say anything.
    fn both(caller: &Caller, kind: Kind, text: &str) -> Option<String> {
        let told = |wire: Wire| {
            let Wire { kind, ask, occurred_at, reason, content_hash, members } = wire;
            format!("{kind:?} {ask:?} {occurred_at:?} {reason:?} {content_hash:x} {members:?}")
        };
        let quick = Wire::of_bytes(caller, kind, text.as_bytes(), true).map(told)?;
        let fields: Map<String, Value> = serde_json::from_str(text).unwrap();
        let long = Wire::read(caller, kind, fields, true).map(told);
        assert_eq!(quick, long.unwrap_or_else(|problem| panic!("{text}: {problem:?}")), "{text}");
        Some(quick)
    }

    fn value() -> impl Strategy<Value = Value> {
        let word = prop::sample::select(vec![
            "",
            " ",
            "u1",
            "user_3",
            "name:user_3",
            "device_2",
            "declared:app",
            " declared: app ",
            "\u{a0}u1 ",
            "name: u1",
            " device_2",
            "pool_1",
            "required",
            "uninstall",
            "fill",
            "user",
            "2026-11-26T00:00:00Z",
            "2026-11-26T01:00:00.5+01:00",
            "ä",
            "a\"b",
            "a\nb",
            "\u{7f}",
            "assign",
        ]);
        let plain = prop_oneof![
            word.prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            Just(Value::Null),
            Just(json!(7)),
            Just(json!([]))
        ];
        let names = prop::sample::select(vec!["user", "device", "group", "exclude", "more"]);
        let object = prop::collection::btree_map(names.prop_map(str::to_owned), plain.clone(), 0..3);
        prop_oneof![4 => plain, 1 => object.prop_map(|fields| Value::Object(fields.into_iter().collect()))]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_read_straight_is_read_alike_on_the_long_way(
            changes in prop::collection::vec((0..3usize, prop::collection::vec((0..14usize, prop::option::of(value())), 0..4)), 200),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let caller = caller(dir.path());
            let names = ["pool", "target", "intent", "mode", "licensing", "device", "user", "all_users", "report", "occurred_at", "reason", "id", "type", "more"];
            for (kind, changes) in changes {
                let (kind, good) = [
                    (Kind::Assign, json!({"pool": "declared:app", "target": {"user": "u1"}, "intent": "required"})),
                    (Kind::Install, json!({"pool": "pool_1", "device": "d1", "user": "u1"})),
                    (Kind::Uninstall, json!({"pool": "pool_1", "device": "d1", "all_users": true})),
                ][kind].clone();
                let Value::Object(mut fields) = good else { unreachable!() };
                for (name, value) in changes {
                    match value {
                        Some(value) => fields.insert(names[name].to_owned(), value),
                        None => fields.remove(names[name]),
                    };
                }
                both(&caller, kind, &Value::Object(fields).to_string());
            }
        }
    }

    #[test]
    fn what_most_clients_send_is_read_straight_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let caller = caller(dir.path());
        for (kind, text) in [
            (Kind::Assign, r#"{"pool":"declared:app1","target":{"user":"u1"},"intent":"required"}"#),
            (Kind::Assign, r#" { "target" : {"device":"device_2"}, "intent":"available", "pool":"pool_1" } "#),
            (
                Kind::Assign,
                r#"{"pool":"pool_1","target":{"group":"g","exclude":"h"},"intent":"required","mode":"fill","reason":"new people"}"#,
            ),
            (Kind::Assign, r#"{"pool":"pool_1","target":{"user":"zoë"},"intent":"uninstall","licensing":"user"}"#),
            (
                Kind::Install,
                r#"{"pool":"pool_1","device":"d","user":"u","report":true,"occurred_at":"2026-11-26T01:00:00+01:00"}"#,
            ),
            (Kind::Uninstall, r#"{"pool":"pool_1","device":"d","all_users":true,"report":false}"#),
        ] {
            assert!(both(&caller, kind, text).is_some(), "{text}");
        }
        let assigned = |pool: &str, user: &str, reason: &str| {
            let text = json!({"pool": pool, "target": {"user": user}, "intent": "required", "reason": reason});
            let wire = Wire::of_bytes(&caller, Kind::Assign, text.to_string().as_bytes(), false).unwrap();
            both(&caller, Kind::Assign, &text.to_string());
            format!("{:?} {:?}", wire.ask, wire.reason)
        };
        assert_eq!(assigned(" declared: app1\u{2003}", " u1 ", "new "), assigned("declared:app1", "u1", "new"));
        for (kind, text) in [
            (Kind::Assign, r#"{"pool":"pool_1","target":{"user":"u\u0041"},"intent":"required"}"#),
            (Kind::Assign, r#"{"pool":"pool_1","target":{"user":"u1"},"intent":"required","mode":null}"#),
            (Kind::Assign, r#"{"pool":"pool_1","target":{"user":"u1"},"intent":"required","intent":"required"}"#),
            (Kind::Assign, r#"{"pool":"pool_1","target":{"user":"u1","user":"u2"},"intent":"required"}"#),
            (Kind::Assign, r#"{"pool":"pool_1","target":{"user":"u1"},"intent":"required","device":"d"}"#),
            (Kind::Assign, r#"{"pool":"pool_1","target":{"user":"u1"},"intent":"required","id":"1"}"#),
            (Kind::Assign, r#"{"pool":"pool_1","target":{"user":"u1"},"intent":"required"} x"#),
            (Kind::Install, r#"{"pool":"pool_1","device":"d","user":"u","all_users":true}"#),
            (Kind::Grant, r#"{"pool":"pool_1","device":"d","user":"u"}"#),
            (Kind::Assign, r#"{"pool":"pool_1","target":["device_2"],"intent":"required"}"#),
            (Kind::Assign, r#"{"pool":"pool_1","target":{"user":"u1"},"intent":{"required":null}}"#),
            (Kind::Assign, r#"{"pool":"pool_1","target":{"user":"u1"},"intent":"required","licensing":{"user":null}}"#),
            (Kind::Assign, "[]"),
            (Kind::Assign, ""),
        ] {
            assert!(Wire::of_bytes(&caller, kind, text.as_bytes(), true).is_none(), "{text}");
        }
    }
}

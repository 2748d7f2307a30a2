//! Answers that go out by the thousand, written straight into the body: those of assignments, installs and uninstalls. What
//! they say is what `answers.rs` says of every kind; fields in the order of their names, as there. Not here: refusals.

use crate::domain::answer::{Answer, Status};
use crate::domain::asked::About;
use crate::domain::facts::SkipReason;
use crate::domain::ids::{AssignmentId, DeviceId, Holder, PoolId, UserId};
use crate::http::wire::kind::Kind;
use serde::Serialize;

/// What stands beside an answer.
#[derive(Clone, Copy)]
pub(in crate::http) struct Beside<'a> {
    pub(in crate::http) position: Option<u64>,
    pub(in crate::http) list: Option<InList<'a>>,
}

/// What a line of a list says besides.
#[derive(Clone, Copy)]
pub(in crate::http) struct InList<'a> {
    pub(in crate::http) id: Option<&'a str>,
    pub(in crate::http) is_repeat: bool,
}

/// `Some` in a list alone, where a line without an id or a problem says `null`.
type Listed<T> = Option<Option<T>>;

#[derive(Serialize)]
struct Assigned<'a> {
    assignment: Option<AssignmentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Listed<&'a str>,
    position: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Listed<()>,
    queued: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeated: Option<bool>,
    reserved: u64,
    skipped: Vec<Skipped>,
    status: &'static str,
}

#[derive(Serialize)]
struct Skipped {
    holder: Holder,
    reason: SkipReason,
}

#[derive(Serialize)]
struct Installed<'a> {
    device: DeviceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Listed<&'a str>,
    licensed: bool,
    pool: PoolId,
    position: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Listed<()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeated: Option<bool>,
    seat: Option<Holder>,
    status: &'static str,
    user: Option<UserId>,
}

#[derive(Serialize)]
struct Uninstalled<'a> {
    device: DeviceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Listed<&'a str>,
    pool: PoolId,
    position: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Listed<()>,
    released: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeated: Option<bool>,
    status: &'static str,
    user: Option<UserId>,
}

/// Writes the answer to a command that was not refused; `false`, and nothing is written, where it is not one of these.
pub(in crate::http) fn write(out: &mut Vec<u8>, kind: Kind, answer: &Answer, beside: Beside<'_>) -> bool {
    let status = match answer.status {
        Status::Done => "done",
        Status::Unchanged => "unchanged",
        Status::Refused => return false,
    };
    let Beside { position, list } = beside;
    let (id, problem) = (list.map(|list| list.id), list.map(|_| None));
    let repeated = list.and_then(|list| list.is_repeat.then_some(true));
    let written = if kind == Kind::Assign {
        let (assignment, queued, reserved) = (answer.assignment, answer.queued, answer.reserved);
        let skipped =
            answer.skipped.iter().map(|(holder, reason)| Skipped { holder: *holder, reason: *reason }).collect();
        let body = Assigned { assignment, id, position, problem, queued, repeated, reserved, skipped, status };
        serde_json::to_writer(out, &body)
    } else if let (Kind::Install, Some(install)) = (kind, answer.install) {
        let (pool, device, user, seat) = (install.pool, install.device, install.user, install.seat);
        let licensed = seat.is_some();
        let body = Installed { device, id, licensed, pool, position, problem, repeated, seat, status, user };
        serde_json::to_writer(out, &body)
    } else if let (Kind::Uninstall, Some(About::Install { pool, device, user })) = (kind, answer.about) {
        let released = answer.released;
        let body = Uninstalled { device, id, pool, position, problem, released, repeated, status, user };
        serde_json::to_writer(out, &body)
    } else {
        return false;
    };
    written.expect("ids, counts and words can be written as JSON, and a list takes every byte");
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::answer::InstallAnswer;
    use crate::domain::ids::GroupId;
    use crate::http::answers::said;
    use serde_json::Value;

    /// The same as the long way has it.
    fn long(kind: Kind, answer: &Answer, beside: Beside<'_>) -> String {
        let mut body = said(kind, answer);
        body.insert("position".to_owned(), beside.position.into());
        if let Some(InList { id, is_repeat }) = beside.list {
            body.insert("id".to_owned(), id.into());
            body.insert("problem".to_owned(), Value::Null);
            if is_repeat {
                body.insert("repeated".to_owned(), true.into());
            }
        }
        Value::Object(body).to_string()
    }

    #[test]
    fn what_is_written_straight_is_what_the_long_way_says() {
        let (pool, device, user) = (PoolId(3), DeviceId(4), Some(UserId(5)));
        let skipped = vec![
            (Holder::User(UserId(1)), SkipReason::UserDeparted),
            (Holder::Device(device), SkipReason::DeviceRetired),
        ];
        let install = |seat| Some(InstallAnswer { pool, device, user, seat });
        let about = Some(About::Install { pool, device, user: None });
        let made = Answer { assignment: Some(AssignmentId(7)), reserved: 2, queued: 1, ..Answer::default() };
        let answers = [
            Answer { status: Status::Unchanged, ..made.clone() },
            Answer { skipped, ..made.clone() },
            made,
            Answer { install: install(Some(Holder::User(UserId(5)))), about, ..Answer::default() },
            Answer { install: install(None), ..Answer::default() },
            Answer { about, released: 1, ..Answer::default() },
            Answer { group: Some(GroupId(1)), about: Some(About::Pool(pool)), ..Answer::default() },
            Answer::default(),
        ];
        let lists =
            [None, Some(InList { id: None, is_repeat: false }), Some(InList { id: Some("a\"ä"), is_repeat: true })];
        let mut written = [0; 3];
        for answer in &answers {
            for beside in lists.iter().flat_map(|list| [Some(9), None].map(|position| Beside { position, list: *list }))
            {
                for kind in Kind::ALL {
                    let mut out = b"before".to_vec();
                    if write(&mut out, kind, answer, beside) {
                        assert_eq!(String::from_utf8(out).unwrap(), format!("before{}", long(kind, answer, beside)));
                        let count = [Kind::Assign, Kind::Install, Kind::Uninstall].iter().position(|of| *of == kind);
                        written[count.unwrap()] += 1;
                    } else {
                        assert_eq!(out, b"before", "{kind:?}");
                    }
                }
            }
        }
        assert_eq!(written, [48, 12, 12]);
    }
}

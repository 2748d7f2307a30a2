//! Answers that go out by the thousand, written straight into the body: those of assignments, installs and uninstalls. What
//! they say is what `answers.rs` says of every kind; fields in the order of their names, as there. Not here: refusals.

use crate::domain::answer::{Answer, InstallAnswer, Status};
use crate::domain::asked::About;
use crate::domain::facts::SkipReason;
use crate::domain::ids::{AssignmentId, DeviceId, Holder, PoolId, UserId};
use crate::http::fields::Fields;
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

fn user(user: UserId) -> (&'static str, u32) {
    (UserId::PREFIX, user.0)
}

impl Beside<'_> {
    fn id(&self, fields: &mut Fields<'_>) {
        match self.list {
            Some(InList { id: Some(id), .. }) => fields.value("id", &id),
            Some(InList { id: None, .. }) => fields.null("id"),
            None => {}
        }
    }

    fn position(&self, fields: &mut Fields<'_>) {
        match self.position {
            Some(position) => fields.number("position", position),
            None => fields.null("position"),
        }
    }

    fn problem(&self, fields: &mut Fields<'_>) {
        if self.list.is_some() {
            fields.null("problem");
        }
    }

    fn repeated(&self, fields: &mut Fields<'_>) {
        if self.list.is_some_and(|list| list.is_repeat) {
            fields.flag("repeated", true);
        }
    }
}

#[derive(Serialize)]
struct Skipped {
    holder: Holder,
    reason: SkipReason,
}

/// Writes the answer to a command that was not refused; `false`, and nothing is written, where it is not one of these.
pub(in crate::http) fn write(out: &mut Vec<u8>, kind: Kind, answer: &Answer, beside: Beside<'_>) -> bool {
    let status = match answer.status {
        Status::Done => "done",
        Status::Unchanged => "unchanged",
        Status::Refused => return false,
    };
    if kind == Kind::Assign {
        assigned(Fields::of(out), answer, status, beside);
    } else if let (Kind::Install, Some(install)) = (kind, &answer.install) {
        installed(Fields::of(out), install, status, beside);
    } else if let (Kind::Uninstall, Some(About::Install { pool, device, user })) = (kind, answer.about) {
        uninstalled(Fields::of(out), (pool, device, user), answer.released, status, beside);
    } else {
        return false;
    }
    true
}

fn assigned(mut fields: Fields<'_>, answer: &Answer, status: &str, beside: Beside<'_>) {
    fields.id("assignment", answer.assignment.map(|id| (AssignmentId::PREFIX, id.0)));
    beside.id(&mut fields);
    beside.position(&mut fields);
    beside.problem(&mut fields);
    fields.number("queued", answer.queued);
    beside.repeated(&mut fields);
    fields.number("reserved", answer.reserved);
    let skipped = answer.skipped.iter().map(|(holder, reason)| Skipped { holder: *holder, reason: *reason });
    fields.value("skipped", &skipped.collect::<Vec<_>>());
    fields.word("status", status);
    fields.end();
}

fn installed(mut fields: Fields<'_>, install: &InstallAnswer, status: &str, beside: Beside<'_>) {
    fields.id("device", Some((DeviceId::PREFIX, install.device.0)));
    beside.id(&mut fields);
    fields.flag("licensed", install.seat.is_some());
    fields.id("pool", Some((PoolId::PREFIX, install.pool.0)));
    beside.position(&mut fields);
    beside.problem(&mut fields);
    beside.repeated(&mut fields);
    fields.value("seat", &install.seat);
    fields.word("status", status);
    fields.id("user", install.user.map(user));
    fields.end();
}

fn uninstalled(
    mut fields: Fields<'_>,
    (pool, device, of): (PoolId, DeviceId, Option<UserId>),
    released: u64,
    status: &str,
    beside: Beside<'_>,
) {
    fields.id("device", Some((DeviceId::PREFIX, device.0)));
    beside.id(&mut fields);
    fields.id("pool", Some((PoolId::PREFIX, pool.0)));
    beside.position(&mut fields);
    beside.problem(&mut fields);
    fields.number("released", released);
    beside.repeated(&mut fields);
    fields.word("status", status);
    fields.id("user", of.map(user));
    fields.end();
}

#[cfg(test)]
mod tests {
    use super::*;
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

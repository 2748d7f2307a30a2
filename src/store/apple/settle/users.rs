//! Users that a grant needs: those whom the store does not know are made. Who is known is remembered, so that a grant asks
//! for it once; the store's word that somebody is unknown takes the memory back.

use super::super::super::terms::{Settled, Sought, Trouble};
use super::super::connector::AppleConnector;
use super::super::errors::{AppleError, Meaning};
use super::super::limits::AppleLimits;
use super::super::wire::{EventStatus, UserBody, UsersBody};
use std::collections::{BTreeMap, BTreeSet};

/// Remembered; beyond it all is forgotten and asked for again.
const KNOWN_MAX: usize = 1_000_000;
/// Up to so many are asked for one by one; beyond it all users are read.
const ONE_BY_ONE: usize = 4;

/// Active users that the store is known to have.
#[derive(Default)]
pub struct KnownUsers {
    ids: BTreeSet<String>,
    /// Who is not among `ids` is not there.
    is_whole: bool,
}

impl std::fmt::Debug for KnownUsers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KnownUsers({})", self.ids.len())
    }
}

impl KnownUsers {
    fn learn(&mut self, ids: impl IntoIterator<Item = String>) {
        self.ids.extend(ids);
        if self.ids.len() > KNOWN_MAX {
            *self = Self::default();
        }
    }

    pub(super) fn forget<'a>(&mut self, ids: impl IntoIterator<Item = &'a String>) {
        for id in ids {
            self.ids.remove(id);
        }
    }
}

/// Users by id, each with an address where one is known.
type Users = BTreeMap<String, Option<String>>;

impl AppleConnector {
    /// Makes those who are missing. Of whom could not be made it says what becomes of the grant.
    pub(super) async fn register(&self, users: Users, limits: &AppleLimits) -> BTreeMap<String, Settled> {
        let missing = match self.missing(users).await {
            Ok(missing) => missing,
            Err((asked, trouble)) => {
                return asked.into_keys().map(|id| (id, Settled::NotSent(trouble.clone()))).collect();
            }
        };
        let mut unmade = BTreeMap::new();
        let all: Vec<(String, Option<String>)> = missing.into_iter().collect();
        let mut work: Vec<Vec<(String, Option<String>)>> = all.chunks(limits.users.max(1)).map(<[_]>::to_vec).collect();
        while let Some(chunk) = work.pop() {
            let body = UsersBody { users: chunk.iter().map(user_body).collect() };
            let ids = || chunk.iter().map(|(id, _)| id.clone());
            let queued = match self.client().create_users(&body).await {
                Ok(queued) => queued,
                Err(failed) => {
                    if failed.may_have_happened {
                        self.known.lock().is_whole = false;
                    }
                    unmade.extend(ids().map(|id| (id, Settled::NotSent(failed.trouble.clone()))));
                    continue;
                }
            };
            let (made, failed) = match queued {
                Ok(event) => match self.client().end_of(&event).await {
                    Ok(status) => judge(ids().collect(), &status),
                    Err(words) => {
                        // the user may be there later; the seat was not asked for
                        self.known.lock().is_whole = false;
                        let trouble = Trouble::Unreachable(format!("a user is still being made: {words}"));
                        unmade.extend(ids().map(|id| (id, Settled::NotSent(trouble.clone()))));
                        continue;
                    }
                },
                Err(no) if no.error.is_of_a_part() && chunk.len() > 1 => {
                    let (left, right) = chunk.split_at(chunk.len() / 2);
                    work.extend([left.to_vec(), right.to_vec()]);
                    continue;
                }
                Err(no) => (vec![], ids().map(|id| (id, no.error)).collect()),
            };
            let (there, failed): (Vec<_>, Vec<_>) =
                failed.into_iter().partition(|(_, error)| error.meaning() == Meaning::UserExists);
            self.known.lock().learn(made.into_iter().chain(there.into_iter().map(|(id, _)| id)));
            unmade.extend(failed.into_iter().map(|(id, error)| (id, error.settled(Sought::Grant))));
        }
        unmade
    }

    /// Those whom the store does not have.
    async fn missing(&self, mut users: Users) -> Result<Users, (Users, Trouble)> {
        let is_whole = {
            let known = self.known.lock();
            users.retain(|id, _| !known.ids.contains(id));
            known.is_whole
        };
        if users.is_empty() || is_whole {
            return Ok(users);
        }
        let is_many = users.len() > ONE_BY_ONE;
        let asked: Vec<Option<&str>> =
            if is_many { vec![None] } else { users.keys().map(|id| Some(id.as_str())).collect() };
        let mut found = vec![];
        for asked in asked {
            match self.client().users(asked, |_| ()).await {
                Ok(listed) => found.extend(listed.records),
                Err(trouble) => return Err((users, trouble)),
            }
        }
        let active = found.into_iter().filter(super::super::wire::User::is_active).map(|user| user.client_user_id);
        let mut known = self.known.lock();
        known.is_whole = is_many;
        known.learn(active);
        users.retain(|id, _| !known.ids.contains(id));
        Ok(users)
    }
}

fn user_body((id, email): &(String, Option<String>)) -> UserBody {
    UserBody { client_user_id: id.clone(), email: email.clone(), managed_apple_id: None }
}

/// Who was made, and who was not for which reason.
fn judge(ids: Vec<String>, status: &EventStatus) -> (Vec<String>, Vec<(String, AppleError)>) {
    let named = |id: &String| {
        let of = |failure: &&super::super::wire::Failure| {
            failure.error_info.as_ref().is_some_and(|info| info.client_user_ids.contains(id))
        };
        status.failures.iter().find(of).map(|failure| AppleError::in_event(failure.error_number))
    };
    let (failed, rest): (Vec<_>, Vec<_>) = ids.into_iter().map(|id| (named(&id), id)).partition(|(e, _)| e.is_some());
    let failed: Vec<_> = failed.into_iter().filter_map(|(error, id)| error.map(|error| (id, error))).collect();
    let rest: Vec<String> = rest.into_iter().map(|(_, id)| id).collect();
    let short = status.num_requested.saturating_sub(status.num_completed);
    let has_unnamed =
        status.failures.iter().any(|f| f.error_info.as_ref().is_none_or(|i| i.client_user_ids.is_empty()));
    if has_unnamed || short > i64::try_from(failed.len()).unwrap_or(i64::MAX) {
        let number = status.failures.first().filter(|_| has_unnamed).map_or(9603, |failure| failure.error_number);
        let all = rest.into_iter().map(|id| (id, AppleError::in_event(number)));
        return (vec![], failed.into_iter().chain(all).collect());
    }
    (rest, failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_user_is_made_or_not_for_a_reason() {
        let status: EventStatus = serde_json::from_value(json!({
            "eventStatus": "FAILED", "numRequested": 3, "numCompleted": 1,
            "failures": [
                {"errorNumber": 9716, "errorInfo": {"clientUserIds": ["ada"]}},
                {"errorNumber": 9717, "errorInfo": {"clientUserIds": ["bob"]}},
            ],
        }))
        .expect("a status");
        let (made, failed) = judge(vec!["ada".into(), "bob".into(), "cyd".into()], &status);
        assert_eq!(made, ["cyd"]);
        let failed: Vec<_> = failed.into_iter().map(|(id, error)| (id, error.number)).collect();
        assert_eq!(failed, [("ada".to_owned(), 9716), ("bob".to_owned(), 9717)]);
        let silent: EventStatus =
            serde_json::from_value(json!({"eventStatus": "FAILED", "numRequested": 2, "numCompleted": 1}))
                .expect("one");
        assert_eq!(judge(vec!["ada".into(), "bob".into()], &silent).1.len(), 2, "who of them is not known");
    }
}

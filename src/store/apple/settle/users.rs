//! Users that a grant needs: those whom the store does not know are made. Who is known is remembered, so that a grant asks
//! for it once; the store's word that somebody is unknown takes the memory back.

use super::super::super::terms::{Settled, Sought, Trouble};
use super::super::connector::AppleConnector;
use super::super::errors::{AppleError, Meaning};
use super::super::limits::AppleLimits;
use super::super::wire::{EventStatus, Failure, User, UserBody, UsersBody};
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
                    Ok(status) => {
                        let Judged { made, failed, doubted } = judge(ids().collect(), &status);
                        let absent = self.absent_of(doubted).await;
                        unmade.extend(absent);
                        (made, failed)
                    }
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
        match self.read_users(users.keys().map(String::as_str).collect()).await {
            Ok(active) => {
                users.retain(|id, _| !active.contains(id));
                Ok(users)
            }
            Err(trouble) => Err((users, trouble)),
        }
    }

    /// Those of the store's active users who are among these, and maybe others.
    async fn read_users(&self, ids: Vec<&str>) -> Result<BTreeSet<String>, Trouble> {
        let is_many = ids.len() > ONE_BY_ONE;
        let asked = if is_many { vec![None] } else { ids.into_iter().map(Some).collect() };
        let mut active = BTreeSet::new();
        for asked in asked {
            let listed = self.client().users(asked, |_| ()).await?;
            let found = listed.records.into_iter().filter(User::is_active);
            active.extend(found.map(|user| user.client_user_id));
        }
        let mut known = self.known.lock();
        known.is_whole |= is_many;
        known.learn(active.iter().cloned());
        Ok(active)
    }

    /// Reads who of those in doubt was made after all, and says of the others what becomes of the grant.
    async fn absent_of(&self, doubted: Doubted) -> BTreeMap<String, Settled> {
        let Doubted { ids, why, failed_max } = doubted;
        if ids.is_empty() {
            return BTreeMap::new();
        }
        let active = match self.read_users(ids.iter().map(String::as_str).collect()).await {
            Ok(active) => active,
            Err(trouble) => return ids.into_iter().map(|id| (id, Settled::NotSent(trouble.clone()))).collect(),
        };
        let absent: Vec<String> = ids.into_iter().filter(|id| !active.contains(id)).collect();
        // more than have failed are not listed yet, and which of them is not said
        let why = why.filter(|_| failed_max.is_none_or(|most| absent.len() <= most)).unwrap_or(NO_REASON);
        absent.into_iter().map(|id| (id, why.settled(Sought::Grant))).collect()
    }
}

fn user_body((id, email): &(String, Option<String>)) -> UserBody {
    UserBody { client_user_id: id.clone(), email: email.clone(), managed_apple_id: None }
}

/// What the store says of users in an event.
struct Judged {
    made: Vec<String>,
    /// By name.
    failed: Vec<(String, AppleError)>,
    doubted: Doubted,
}

/// Somebody failed, and the store does not name them: these may be it.
#[derive(Default)]
struct Doubted {
    ids: Vec<String>,
    /// Where one reason alone is given for nobody by name.
    why: Option<AppleError>,
    /// No more than so many of them failed, where the store counts.
    failed_max: Option<usize>,
}

/// Nothing is refused for it: it is asked again.
const NO_REASON: AppleError = AppleError { number: 9603, status: 0 };

fn judge(ids: Vec<String>, status: &EventStatus) -> Judged {
    let named = |id: &String| {
        let of = |failure: &&Failure| failure.error_info.as_ref().is_some_and(|info| info.client_user_ids.contains(id));
        status.failures.iter().find(of).map(|failure| AppleError::in_event(failure.error_number))
    };
    let (failed, rest): (Vec<_>, Vec<_>) = ids.into_iter().map(|id| (named(&id), id)).partition(|(e, _)| e.is_some());
    let failed: Vec<_> = failed.into_iter().filter_map(|(error, id)| error.map(|error| (id, error))).collect();
    let rest: Vec<String> = rest.into_iter().map(|(_, id)| id).collect();
    let is_unnamed = |f: &&Failure| f.error_info.as_ref().is_none_or(|info| info.client_user_ids.is_empty());
    let reasons: BTreeSet<i64> = status.failures.iter().filter(is_unnamed).map(|f| f.error_number).collect();
    let short = usize::try_from(status.num_requested.saturating_sub(status.num_completed)).unwrap_or(0);
    if reasons.is_empty() && short <= failed.len() {
        return Judged { made: rest, failed, doubted: Doubted::default() };
    }
    let mut reason = reasons.iter().map(|number| AppleError::in_event(*number));
    let why = reason.next().filter(|only| reason.next().is_none() && only.meaning() != Meaning::UserExists);
    let failed_max = (status.num_requested > 0).then(|| short.saturating_sub(failed.len()));
    Judged { made: vec![], failed, doubted: Doubted { ids: rest, why, failed_max } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ids(of: &[&str]) -> Vec<String> {
        of.iter().map(|id| (*id).to_owned()).collect()
    }

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
        let judged = judge(ids(&["ada", "bob", "cyd"]), &status);
        assert_eq!((judged.made, judged.doubted.ids), (ids(&["cyd"]), vec![]));
        let failed: Vec<_> = judged.failed.into_iter().map(|(id, error)| (id, error.number)).collect();
        assert_eq!(failed, [("ada".to_owned(), 9716), ("bob".to_owned(), 9717)]);
    }

    #[test]
    fn a_failure_that_names_nobody_puts_in_doubt_whom_no_other_names() {
        let unnamed = |failures: serde_json::Value, completed: i64| {
            let status = json!({"eventStatus": "FAILED", "numRequested": 3, "numCompleted": completed,
                "failures": failures});
            let judged = judge(ids(&["ada", "bob", "cyd"]), &serde_json::from_value(status).expect("a status"));
            let Doubted { ids, why, failed_max } = judged.doubted;
            assert!(judged.made.is_empty());
            (ids, why.map(|error| error.number), failed_max)
        };
        let of_ada = json!({"errorNumber": 9717, "errorInfo": {"clientUserIds": ["ada"]}});
        let (rest, barred) = (ids(&["bob", "cyd"]), json!({"errorNumber": 9635}));
        assert_eq!(unnamed(json!([of_ada, barred]), 1), (rest, Some(9635), Some(1)), "and not the first one's reason");
        let all = ids(&["ada", "bob", "cyd"]);
        assert_eq!(unnamed(json!([barred, {"errorNumber": 9641}]), 1), (all.clone(), None, Some(2)));
        assert_eq!(unnamed(json!([{"errorNumber": 9716}]), 2), (all.clone(), None, Some(1)), "there, it says");
        assert_eq!(unnamed(json!([]), 1), (all, None, Some(2)), "who of them is not known");
    }
}

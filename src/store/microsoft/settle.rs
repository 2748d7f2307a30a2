//! Granting and giving back: pool by pool, in bulk where there are several, and with a read before anything is called failed
//! whose answer was lost. Not here: when to ask again.

use super::client::{Answered, BULK_MAX, MicrosoftClient, Missing};
use super::connector::{look, online};
use super::mapping::label;
use super::wire::{BulkResult, ProductKey, Seat, SeatAction};
use crate::store::terms::{Request, Settled, Sought, StoreHolder, Trouble};
use crate::store::transport::Failed;
use futures::{StreamExt as _, stream};
use std::collections::{BTreeMap, BTreeSet};

/// Pools at one time; within a pool one call follows the other, since the first to ask get the last seats.
const PARALLEL: usize = 6;
const LOOKS_PARALLEL: usize = 6;
const REASON_CHARS_MAX: usize = 100;
const NOT_ONLINE: &str = "NotOnline";
const ONLY_USERS: &str = "only a user holds a seat of this store";

/// One user, and where in the list it is asked for.
struct Member {
    upn: String,
    places: Vec<usize>,
}

/// What one call is to do.
struct Turn {
    sought: Sought,
    members: Vec<Member>,
}

pub(super) async fn all(client: &MicrosoftClient, requests: Vec<Request>) -> Vec<(Request, Settled)> {
    let mut pools: BTreeMap<ProductKey, Vec<(usize, String, Sought)>> = BTreeMap::new();
    let mut settled: BTreeMap<usize, Settled> = BTreeMap::new();
    for (place, request) in requests.iter().enumerate() {
        match (online(&request.pool), &request.holder) {
            (Some(key), StoreHolder::User(upn)) => {
                pools.entry(key).or_default().push((place, upn.clone(), request.sought));
            }
            (Some(_), StoreHolder::Device(_)) => {
                settled.insert(place, refused(request.sought, ONLY_USERS));
            }
            (None, _) => {
                settled.insert(place, refused(request.sought, NOT_ONLINE));
            }
        }
    }
    let asked_for = &requests;
    let work = stream::iter(pools).map(|(key, asked)| async move {
        let mut outcomes = vec![];
        for turn in turns(asked) {
            outcomes.extend(take(client, &key, turn, asked_for).await);
        }
        outcomes
    });
    settled.extend(work.buffer_unordered(PARALLEL).collect::<Vec<_>>().await.into_iter().flatten());
    let unsettled = || Settled::Unknown("it was left out".into());
    let outcome = |(place, request)| (request, settled.remove(&place).unwrap_or_else(unsettled));
    requests.into_iter().enumerate().map(outcome).collect()
}

fn refused(sought: Sought, why: &str) -> Settled {
    match sought {
        Sought::Grant => Settled::Refused(why.to_owned()),
        Sought::Release => Settled::ReleaseRefused(why.to_owned()),
    }
}

/// Releases first, unless one user is in both; then as they come. No user twice in a turn.
fn turns(mut asked: Vec<(usize, String, Sought)>) -> Vec<Turn> {
    let of = |sought| -> BTreeSet<String> {
        asked.iter().filter(|(_, _, it)| *it == sought).map(|(_, upn, _)| upn.to_lowercase()).collect()
    };
    if of(Sought::Grant).is_disjoint(&of(Sought::Release)) {
        asked.sort_by_key(|(_, _, sought)| *sought == Sought::Grant);
    }
    let mut turns: Vec<Turn> = vec![];
    for (place, upn, sought) in asked {
        let last = turns.last_mut().filter(|turn| turn.sought == sought);
        match last {
            Some(turn) => {
                if let Some(known) = turn.members.iter_mut().find(|member| is(&member.upn, &upn)) {
                    known.places.push(place);
                } else if turn.members.len() < BULK_MAX {
                    turn.members.push(Member { upn, places: vec![place] });
                } else {
                    turns.push(Turn { sought, members: vec![Member { upn, places: vec![place] }] });
                }
            }
            None => turns.push(Turn { sought, members: vec![Member { upn, places: vec![place] }] }),
        }
    }
    turns
}

fn is(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

async fn take(client: &MicrosoftClient, key: &ProductKey, turn: Turn, requests: &[Request]) -> Vec<(usize, Settled)> {
    let Turn { sought, members } = turn;
    let mut outcomes = match members.as_slice() {
        [member] => vec![one(client, key, &member.upn, sought).await],
        several => together(client, key, several, sought).await,
    };
    for (member, outcome) in members.iter().zip(&mut outcomes).filter(|_| sought == Sought::Release) {
        let asked = member.places.iter().filter_map(|place| requests.get(*place));
        let old: Vec<&StoreHolder> = asked.flat_map(|request| &request.old_names).collect();
        *outcome = under_old_names(client, key, &member.upn, old, outcome.clone()).await;
    }
    let spread = |(member, outcome): (&Member, Settled)| {
        member.places.iter().map(move |place| (*place, outcome.clone())).collect::<Vec<_>>()
    };
    members.iter().zip(outcomes).flat_map(spread).collect()
}

/// A store that knows nobody of today's name may not have heard of it, and then the seat stands under an older one.
async fn under_old_names(
    client: &MicrosoftClient,
    key: &ProductKey,
    upn: &str,
    old: Vec<&StoreHolder>,
    said: Settled,
) -> Settled {
    let (mut known_as, mut settled) = (upn, said);
    for name in old {
        let (Settled::Released, StoreHolder::User(name)) = (&settled, name) else { return settled };
        match client.seat(key, known_as).await {
            Ok(Answered::NotFound(Missing::User)) => {}
            Ok(_) => return settled,
            Err(failed) => return Settled::Unknown(failed.trouble.to_string()),
        }
        settled = one(client, key, name, Sought::Release).await;
        known_as = name;
    }
    settled
}

async fn one(client: &MicrosoftClient, key: &ProductKey, upn: &str, sought: Sought) -> Settled {
    let answered = match sought {
        Sought::Grant => client.assign(key, upn).await,
        Sought::Release => client.reclaim(key, upn).await,
    };
    match answered {
        Ok(Answered::Good(seat)) => confirmed(client, key, upn, sought, &seat).await,
        Ok(Answered::NotFound(missing @ Missing::Something)) => {
            unless_so(client, key, upn, sought, not_found(sought, missing)).await
        }
        Ok(Answered::NotFound(missing)) => not_found(sought, missing),
        Ok(Answered::Conflict(reason)) => unless_so(client, key, upn, sought, conflict(sought, reason, upn)).await,
        Ok(Answered::Bad) => refused(sought, "the store finds the request invalid"),
        Err(failed) => in_doubt(client, key, upn, sought, failed).await,
    }
}

async fn confirmed(client: &MicrosoftClient, key: &ProductKey, upn: &str, sought: Sought, seat: &Seat) -> Settled {
    match sought {
        Sought::Release => Settled::Released,
        Sought::Grant if seat.is_active() && is(&seat.assigned_to, upn) => Settled::Granted,
        Sought::Grant => match look(client, key, upn).await {
            Ok(true) => Settled::Granted,
            Ok(false) => Settled::Unknown("the store showed another seat than was asked for".into()),
            Err(trouble) => Settled::Unknown(trouble.to_string()),
        },
    }
}

fn not_found(sought: Sought, missing: Missing) -> Settled {
    let later = |words: &str| Settled::NotSent(Trouble::Refused { status: 404, words: words.to_owned() });
    match (sought, missing) {
        (Sought::Release, Missing::Seat | Missing::User | Missing::Inventory) => Settled::Released,
        (Sought::Grant, Missing::Inventory) => Settled::Refused("the store has no such pool".into()),
        (Sought::Grant, Missing::User) => later("the store does not know the user, or not yet"),
        (Sought::Grant, Missing::Seat) | (_, Missing::Something) => later("the store does not say what it misses"),
    }
}

/// Letters and digits, so that `NoSeatsAvailable` is `No seats available`.
fn squeezed(reason: &str) -> String {
    reason.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
}

/// The words for it are not documented.
fn says_not_enough(reason: &str) -> bool {
    let reason = squeezed(reason);
    ["noseatsavailable", "noseatavailable", "noavailableseat", "notenough", "insufficient", "exhaust", "outofseats"]
        .iter()
        .any(|word| reason.contains(word))
}

/// A reason of the store's, unless it names somebody.
fn shown(reason: &str, upn: &str) -> String {
    let reason = label(reason, REASON_CHARS_MAX).unwrap_or_default();
    let who = upn.split('@').next().unwrap_or(upn).to_lowercase();
    if reason.is_empty() || reason.contains('@') || reason.to_lowercase().contains(&who) {
        return "the store gives no reason that can be shown".into();
    }
    reason
}

/// `NotOnline` is the one conflict that is documented; another without a reason is most likely that no seat is left.
fn conflict(sought: Sought, reason: Option<String>, upn: &str) -> Settled {
    match (sought, reason) {
        (_, Some(reason)) if squeezed(&reason).contains("online") => refused(sought, NOT_ONLINE),
        (Sought::Grant, Some(reason)) if says_not_enough(&reason) => Settled::NotEnough,
        (Sought::Grant, None) => Settled::NotEnough,
        (_, Some(reason)) => refused(sought, &shown(&reason, upn)),
        (Sought::Release, None) => refused(sought, "the store gives no reason"),
    }
}

/// The answer was lost, or none came: a read says what is so now.
async fn in_doubt(client: &MicrosoftClient, key: &ProductKey, upn: &str, sought: Sought, failed: Failed) -> Settled {
    if !failed.may_have_happened {
        return Settled::NotSent(failed.trouble);
    }
    match (sought, look(client, key, upn).await) {
        (Sought::Grant, Ok(true)) => Settled::Granted,
        (Sought::Release, Ok(false)) => Settled::Released,
        (Sought::Grant, Ok(false)) | (Sought::Release, Ok(true)) => Settled::NotSent(failed.trouble),
        (_, Err(_)) => Settled::Unknown(failed.trouble.to_string()),
    }
}

async fn together(client: &MicrosoftClient, key: &ProductKey, members: &[Member], sought: Sought) -> Vec<Settled> {
    let names: Vec<String> = members.iter().map(|member| member.upn.clone()).collect();
    let action = match sought {
        Sought::Grant => SeatAction::Assign,
        Sought::Release => SeatAction::Reclaim,
    };
    let answered = client.bulk(key, &names, action).await;
    match answered {
        Ok(Answered::Good(result)) => {
            let result = &result;
            each(&names, |upn| in_bulk(client, key, upn, sought, result)).await
        }
        Ok(Answered::Conflict(reason)) => {
            each(&names, |upn| unless_so(client, key, upn, sought, conflict(sought, reason.clone(), upn))).await
        }
        Ok(Answered::NotFound(missing @ Missing::Inventory)) => {
            names.iter().map(|_| not_found(sought, missing)).collect()
        }
        // one of them spoils the call for all
        Ok(Answered::Bad | Answered::NotFound(_)) => {
            let mut outcomes = vec![];
            for upn in &names {
                outcomes.push(one(client, key, upn, sought).await);
            }
            outcomes
        }
        Err(failed) => each(&names, |upn| in_doubt(client, key, upn, sought, failed.clone())).await,
    }
}

async fn each<'n, F: Future<Output = Settled>>(names: &'n [String], act: impl Fn(&'n str) -> F) -> Vec<Settled> {
    let acts: Vec<F> = names.iter().map(|upn| act(upn)).collect();
    stream::iter(acts).buffered(LOOKS_PARALLEL).collect().await
}

/// Done where it is listed as done; else the reason counts, unless a read shows that what is sought is so.
async fn in_bulk(client: &MicrosoftClient, key: &ProductKey, upn: &str, sought: Sought, said: &BulkResult) -> Settled {
    let done = said.seats.iter().flatten().find(|seat| is(&seat.assigned_to, upn));
    let failed = said.failed.iter().flatten().find(|failed| is(&failed.user_name, upn));
    match (failed, done) {
        (None, Some(_)) if sought == Sought::Release => return Settled::Released,
        (None, Some(seat)) if seat.is_active() => return Settled::Granted,
        (None, Some(_) | None) | (Some(_), _) => {}
    }
    let Some(failed) = failed else {
        let otherwise = Settled::Unknown("the store left the user out of its answer".into());
        return unless_so(client, key, upn, sought, otherwise).await;
    };
    if sought == Sought::Grant && failed.reason.as_deref().is_some_and(says_not_enough) {
        return unless_so(client, key, upn, sought, Settled::NotEnough).await;
    }
    // what words a reason may have is not documented; what the call for one answers is
    one(client, key, upn, sought).await
}

/// An earlier attempt of the same call may have done it, and its answer was lost: only a read lets it be called failed.
async fn unless_so(
    client: &MicrosoftClient,
    key: &ProductKey,
    upn: &str,
    sought: Sought,
    otherwise: Settled,
) -> Settled {
    match (sought, look(client, key, upn).await) {
        (Sought::Grant, Ok(true)) => Settled::Granted,
        (Sought::Release, Ok(false)) => Settled::Released,
        (Sought::Grant, Ok(false)) | (Sought::Release, Ok(true)) => otherwise,
        // a pool without seats can't be looked into
        (_, Err(Trouble::Refused { status: 409, .. })) => otherwise,
        (_, Err(trouble)) => Settled::Unknown(trouble.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(list: &[(&str, Sought)]) -> Vec<(usize, String, Sought)> {
        list.iter().enumerate().map(|(place, (upn, sought))| (place, (*upn).to_owned(), *sought)).collect()
    }

    /// As `Grant ada [0, 2]`.
    fn shape(turns: &[Turn]) -> Vec<String> {
        let of = |turn: &Turn| {
            let members = turn.members.iter().map(|it| format!("{} {:?}", it.upn, it.places));
            format!("{:?} {}", turn.sought, members.collect::<Vec<_>>().join(", "))
        };
        turns.iter().map(of).collect()
    }

    #[test]
    fn releases_come_first_unless_one_is_in_both_and_nobody_stands_twice_in_a_call() {
        use Sought::{Grant, Release};
        let mixed = turns(asked(&[("ada", Grant), ("bob", Release), ("ADA", Grant), ("cyd", Grant)]));
        assert_eq!(shape(&mixed), ["Release bob [1]", "Grant ada [0, 2], cyd [3]"]);
        let both = turns(asked(&[("ada", Grant), ("ada", Release), ("ada", Grant)]));
        assert_eq!(both.iter().map(|turn| turn.sought).collect::<Vec<_>>(), [Grant, Release, Grant]);
        let names: Vec<String> = (0..60).map(|number| format!("u{number}")).collect();
        let many = turns(asked(&names.iter().map(|name| (name.as_str(), Grant)).collect::<Vec<_>>()));
        assert_eq!(many.iter().map(|turn| turn.members.len()).collect::<Vec<_>>(), [25, 25, 10]);
    }

    #[test]
    fn a_conflict_means_what_its_reason_says_and_names_nobody() {
        let upn = "ada@a.example";
        let said = |sought, reason: Option<&str>| conflict(sought, reason.map(str::to_owned), upn);
        use Sought::{Grant, Release};
        assert_eq!(said(Grant, Some("NotOnline")), Settled::Refused("NotOnline".into()));
        assert_eq!(said(Grant, Some("Not online")), Settled::Refused("NotOnline".into()));
        assert_eq!(said(Release, Some("NotOnline")), Settled::ReleaseRefused("NotOnline".into()));
        assert_eq!(said(Grant, Some("No seats available")), Settled::NotEnough);
        assert_eq!(said(Grant, Some("NoSeatsAvailable")), Settled::NotEnough);
        assert_eq!(said(Grant, None), Settled::NotEnough);
        assert_eq!(said(Grant, Some("UserBlocked")), Settled::Refused("UserBlocked".into()));
        let hidden = Settled::Refused("the store gives no reason that can be shown".into());
        assert_eq!(said(Grant, Some("Ada may not")), hidden);
        assert_eq!(said(Grant, Some("bob@a.example is blocked")), hidden);
    }

    #[test]
    fn what_is_not_found_is_gone_already_or_may_come() {
        use Sought::{Grant, Release};
        assert_eq!(not_found(Release, Missing::Seat), Settled::Released);
        assert_eq!(not_found(Release, Missing::User), Settled::Released);
        assert!(matches!(not_found(Release, Missing::Something), Settled::NotSent(_)));
        assert!(matches!(not_found(Grant, Missing::User), Settled::NotSent(_)));
        assert!(matches!(not_found(Grant, Missing::Inventory), Settled::Refused(_)));
    }
}

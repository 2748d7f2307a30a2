//! What an event's status says of each seat of its call. A failure that names a seat is a doubt and no verdict: the seat may be
//! as wanted all the same, and a reading decides. Pure.

use super::super::errors::AppleError;
use super::super::wire::{ErrorInfo, EventStatus};
use super::group::{Batch, Seat};
use crate::store::terms::StoreHolder;

/// How an event ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) done: Vec<Seat>,
    pub(super) doubted: Vec<(Seat, AppleError)>,
}

/// Said of a seat whose failure has no reason.
const NO_REASON: AppleError = AppleError { number: 9603, status: 0 };

/// Whether an error's details name this seat. Details without a name name all.
pub(super) fn names(info: &ErrorInfo, (asset, holder): (&super::super::wire::AssetKey, &StoreHolder)) -> bool {
    let ErrorInfo { client_user_ids, serial_numbers, assets, assignments } = info;
    let is_holder = match holder {
        StoreHolder::User(id) => client_user_ids.contains(id),
        StoreHolder::Device(serial) => serial_numbers.contains(serial),
    };
    if !assignments.is_empty() {
        let of = |a: &super::super::wire::Assignment| super::super::pass::holder(a).as_ref() == Some(holder);
        return assignments.iter().any(|a| a.key == *asset && of(a));
    }
    let has_holders = !client_user_ids.is_empty() || !serial_numbers.is_empty();
    (assets.is_empty() || assets.contains(asset)) && (!has_holders || is_holder)
}

fn is_empty(info: &ErrorInfo) -> bool {
    *info == ErrorInfo::default()
}

pub(super) fn judge(batch: &Batch, status: &EventStatus) -> Verdict {
    let mut verdict = Verdict::default();
    let (named, unnamed): (Vec<_>, Vec<_>) =
        status.failures.iter().partition(|f| f.error_info.as_ref().is_some_and(|info| !is_empty(info)));
    let is_failed = status.event_status.eq_ignore_ascii_case("FAILED");
    let mut rest = vec![];
    for seat in batch.seats() {
        let of_seat = |info: &ErrorInfo| names(info, (&seat.0, &seat.1));
        match named.iter().find(|failure| failure.error_info.as_ref().is_some_and(of_seat)) {
            Some(failure) => verdict.doubted.push((seat, AppleError::in_event(failure.error_number))),
            None => rest.push(seat),
        }
    }
    // what the figures say failed and nothing names may be any of the rest
    let failed = status.num_requested.saturating_sub(status.num_completed).max(0);
    let explained = i64::try_from(verdict.doubted.len()).unwrap_or(i64::MAX);
    let is_silent = is_failed && status.failures.is_empty() && status.num_requested == 0;
    if !unnamed.is_empty() || failed > explained || is_silent {
        let error = unnamed.first().map_or(NO_REASON, |failure| AppleError::in_event(failure.error_number));
        verdict.doubted.extend(rest.into_iter().map(|seat| (seat, error)));
    } else {
        verdict.done = rest;
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::super::super::wire::AssetKey;
    use super::*;
    use serde_json::{Value, json};

    /// What stays done, and what is doubted for which reason, as `asset/holder`.
    fn judged(status: Value) -> (Vec<String>, Vec<String>) {
        let asset = |id: &str| AssetKey { adam_id: id.into(), pricing_param: "STDQ".into() };
        let holders = vec![StoreHolder::User("ada".into()), StoreHolder::Device("C02".into())];
        let batch = Batch { assets: vec![asset("1"), asset("2")], holders };
        let status: EventStatus = serde_json::from_value(status).expect("a status");
        let verdict = judge(&batch, &status);
        let name = |(asset, holder): &Seat| match holder {
            StoreHolder::User(id) | StoreHolder::Device(id) => format!("{}/{id}", asset.adam_id),
        };
        let doubted = verdict.doubted.iter().map(|(seat, error)| format!("{} {}", name(seat), error.number));
        (verdict.done.iter().map(name).collect(), doubted.collect())
    }

    #[test]
    fn each_seat_is_done_or_doubted() {
        let table: [(Value, &[&str], &[&str]); 8] = [
            (
                json!({"eventStatus": "COMPLETE", "numRequested": 4, "numCompleted": 4}),
                &["1/ada", "1/C02", "2/ada", "2/C02"],
                &[],
            ),
            (
                json!({"eventStatus": "FAILED", "numRequested": 4, "numCompleted": 2,
                       "failures": [{"errorNumber": 9609, "errorInfo": {"clientUserIds": ["ada"]}}]}),
                &["1/C02", "2/C02"],
                &["1/ada 9609", "2/ada 9609"],
            ),
            (
                json!({"eventStatus": "FAILED", "numRequested": 4, "numCompleted": 3,
                       "failures": [{"errorNumber": 9709,
                                     "errorInfo": {"clientUserIds": ["ada"], "assets": [{"adamId": "2"}]}}]}),
                &["1/ada", "1/C02", "2/C02"],
                &["2/ada 9709"],
            ),
            (
                json!({"eventStatus": "FAILED", "failures": [{"errorNumber": 9709,
                       "errorInfo": {"assignments": [{"adamId": "1", "serialNumber": "C02"}]}}]}),
                &["1/ada", "2/ada", "2/C02"],
                &["1/C02 9709"],
            ),
            // an asset alone stands for all its holders
            (
                json!({"eventStatus": "FAILED", "failures": [{"errorNumber": 9707, "errorInfo": {"assets": [{"adamId": 1}]}}]}),
                &["2/ada", "2/C02"],
                &["1/ada 9707", "1/C02 9707"],
            ),
            // fewer are done than failures explain: all the rest is doubted
            (
                json!({"eventStatus": "FAILED", "numRequested": 4, "numCompleted": 1,
                       "failures": [{"errorNumber": 9609, "errorInfo": {"clientUserIds": ["ada"]}}]}),
                &[],
                &["1/ada 9609", "2/ada 9609", "1/C02 9603", "2/C02 9603"],
            ),
            (
                json!({"eventStatus": "FAILED", "failures": [{"errorNumber": 9709}]}),
                &[],
                &["1/ada 9709", "1/C02 9709", "2/ada 9709", "2/C02 9709"],
            ),
            (json!({"eventStatus": "FAILED"}), &[], &["1/ada 9603", "1/C02 9603", "2/ada 9603", "2/C02 9603"]),
        ];
        for (status, done, doubted) in table {
            let (found_done, found_doubted) = judged(status.clone());
            assert_eq!(found_done, done, "{status}");
            assert_eq!(found_doubted, doubted, "{status}");
        }
    }
}

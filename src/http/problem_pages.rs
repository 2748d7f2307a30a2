//! The pages behind the `type` of every problem: cause, fix, and status. Not here: when a problem arises.

use super::problem::Problem;
use crate::domain::facts::Owned;
use crate::domain::rejection::{Figures, Rejection, Remedies};
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

/// What one kind of problem means.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) name: &'static str,
    pub(crate) status: u16,
    pub(crate) title: &'static str,
    pub(crate) cause: &'static str,
    pub(crate) fix: &'static str,
}

const fn page(name: &'static str, status: u16, title: &'static str, cause: &'static str, fix: &'static str) -> Page {
    Page { name, status, title, cause, fix }
}

/// Every problem there is, by status.
#[rustfmt::skip]
pub(crate) const PAGES: &[Page] = &[
    page("idempotency-key-invalid", 400, "The idempotency key can't be used",
        "A key is 1 to 64 printable ASCII characters; calls that make a token or a tenant, or set the clock, take none.",
        "Send another key, or none."),
    page("invalid-cursor", 400, "The cursor is not one of this list",
        "The cursor was changed, belongs to another list, or to the same list with other filters.",
        "Start from the first page, and pass on next_cursor as it is."),
    page("invalid-query", 400, "A query parameter can't be read",
        "A parameter has a value that it can't have, is given twice, or is none that this call knows: a mistyped name would be answered as if it had not been asked.",
        "Change what the detail names."),
    page("unreadable-request", 400, "The request can't be read",
        "The body is no JSON, has the wrong shape, names a field twice or one that this call does not know; or the request has no Host, or says twice what may be said once.",
        "Send what the contract at /openapi.json says; the detail names the place."),
    page("unauthorized", 401, "Nobody is known by this token",
        "There is no token, or none that is good for this tenant, or it was revoked, or it has expired.",
        "Send Authorization: Bearer <token> with a living token of this tenant."),
    page("forbidden", 403, "The token's role does not allow this",
        "Each call is for certain roles.",
        "Use a token of a role that the detail names."),
    page("app-not-found", 404, "No such app",
        "No app has this id.",
        "GET /apps lists them."),
    page("assignment-not-found", 404, "No such assignment",
        "No assignment has this id.",
        "GET /assignments lists them."),
    page("before-history", 404, "The history begins later",
        "?as_of= names a time before the first event.",
        "Ask for a later time."),
    page("device-not-found", 404, "No such device",
        "No device has this id, serial number or device id.",
        "GET /devices lists them; PUT /devices/{device} makes one known."),
    page("drift-not-found", 404, "No such drift",
        "No drift has this id.",
        "GET /drift lists them."),
    page("group-not-found", 404, "No such group",
        "No living group has this id.",
        "GET /groups lists them."),
    page("head-not-cosigned", 404, "No head has its quorum yet",
        "Too few witnesses have cosigned a head that covers this, or the service asks for no quorum.",
        "Ask again; GET /log/witnesses says how the witnesses are. Without ?cosigned= the last head comes as it is."),
    page("held-not-found", 404, "Nothing is held under this id",
        "The id is unknown, or was confirmed already.",
        "GET /directory/held lists what waits."),
    page("not-found", 404, "There is nothing at this path",
        "No call of the contract has this path.",
        "See /openapi.json for the calls there are."),
    page("not-a-refusal", 404, "The event is no refusal",
        "The position holds an event of another kind, or the receipt of a command that named nothing real.",
        "GET /refusals lists the refusals with their positions."),
    page("pool-not-found", 404, "No such pool",
        "No pool has this id or key.",
        "GET /pools lists them."),
    page("position-not-reached", 404, "The ledger has not reached this position",
        "?as_of=, a range or a cursor names a position or time that is not there yet.",
        "Ask for a position up to the head; every answer names it."),
    page("problem-not-found", 404, "No such problem",
        "No problem has this name.",
        "See /problems."),
    page("report-not-found", 404, "No such report",
        "No report has this name.",
        "GET /reports lists them."),
    page("review-not-found", 404, "No such review",
        "No review has this id.",
        "GET /reviews lists them."),
    page("seat-not-found", 404, "The holder has no seat of this pool",
        "There is no seat to act on.",
        "GET /pools/{pool}/seats lists the holders."),
    page("seat-not-in-review", 404, "The seat is not one of the review",
        "The review is not about this pool, or the holder had no seat of it when the review was opened.",
        "GET /reviews/{review}/seats lists the seats."),
    page("store-account-not-found", 404, "No such store account",
        "No account of this provider is linked.",
        "PUT /store-accounts/{provider} links one."),
    page("sync-not-found", 404, "No such sync",
        "No sync has this id.",
        "GET /syncs lists them."),
    page("tenant-not-found", 404, "No such tenant",
        "There is no tenant of this name.",
        "Create it with PUT /v1/tenants/{tenant} by the root token."),
    page("tile-not-found", 404, "The tree has no such tile yet",
        "The tile, or as many of its hashes as are asked for, begin behind the head.",
        "Ask for the tiles that GET /log/checkpoint implies: a tree of s records has floor(s / 256^level) hashes on a level."),
    page("token-not-found", 404, "No such token",
        "No token has this id.",
        "GET /tokens lists them."),
    page("tool-not-found", 404, "No such tool",
        "No management tool has this name.",
        "GET /tools lists them."),
    page("user-not-found", 404, "No such user",
        "No living user has this id or user name. One who was deleted is found by id alone, to be read and where a seat or an install ends.",
        "GET /users lists them; PUT /users/{user} makes one known."),
    page("method-not-allowed", 405, "The path is there, the method is not",
        "The path takes other methods.",
        "Use one of the methods in the Allow header."),
    page("not-acceptable", 406, "No such form of the answer",
        "The answer can't be given in what Accept or ?format= asks for.",
        "Ask for one of the forms that the detail names."),
    page("request-timeout", 408, "The request took too long to arrive",
        "The body did not come in time.",
        "Send it faster, or in smaller pieces."),
    page("assignment-exists", 409, "The target has this app assigned in another way",
        "The same pool and target are assigned with another intent, mode, licensing or exclusion group.",
        "End that assignment first."),
    page("batch-refused", 409, "Another command of the batch was refused",
        "With ?atomic=true a batch is done as a whole or not at all.",
        "Mend the command that has a problem of its own, and send the batch again."),
    page("clock-not-manual", 409, "The clock is not manual",
        "Time can be advanced only on a service started with --clock manual.",
        "Start it so, for demos and tests."),
    page("connector-not-running", 409, "No connector runs for this provider",
        "A sync of a store is run by its connector, and this account has none that runs; a declared inventory is sent with POST /inventory.",
        "The detail, and GET /store-accounts/{provider}, say why it does not run: give the credentials with PUT there, or mend what it names. Or send the inventory."),
    page("device-name-taken", 409, "Another device has this name",
        "A serial number or device id belongs to one device.",
        "Retire or rename the other one first."),
    page("device-not-eligible", 409, "The device may not carry this app",
        "A Windows device has to be joined and at build 10586 or later, an Apple device enrolled.",
        "See the device's facts with GET /devices/{device}."),
    page("device-not-retired", 409, "The device is not retired",
        "The names of a device that is in use are needed.",
        "POST /devices/{device}/retirement first."),
    page("device-retired", 409, "The device is retired",
        "A retired device carries no app.",
        "PUT /devices/{device} enrols it again."),
    page("drift-already-resolved", 409, "The drift is resolved",
        "Something else explained it before.",
        "Nothing is left to be explained."),
    page("group-kind-fixed", 409, "The kind of a group is fixed",
        "A group keeps the kind it was created with.",
        "Delete it and make a new one."),
    page("names-erased", 409, "The names were erased",
        "Somebody had what this user or device was called erased for good: it learns no new names and does not come back.",
        "PUT the person or the device under a name, not under the old id: that is a new one."),
    page("no-seat-available", 409, "No seat is free",
        "All seats of the pool are held.",
        "Take one of the remedies; a queued holder keeps the place."),
    page("not-assigned", 409, "Nobody assigned this app to the holder",
        "No assignment that prevails reaches the user or the device.",
        "Assign it, or report the install as a fact with report: true."),
    page("not-enough-seats", 409, "Not enough seats for everybody",
        "The pool can't cover every holder of the target; nothing was reserved.",
        "Take one of the remedies, or assign with mode fill."),
    page("nothing-held", 409, "Nothing is held back",
        "The brake holds nothing of this sync.",
        "Nothing is to be confirmed."),
    page("order-already-refunded", 409, "The order was refunded",
        "There is one refund per order number.",
        "See the refund in GET /events?type=refund_recorded."),
    page("pool-removed", 409, "The pool was removed",
        "The app has left the inventory.",
        "Assign another pool, or sync again."),
    page("pool-suspended", 409, "The pool is suspended",
        "Its store account's token expired, or another tool took it over; figures are stale and grants are refused.",
        "Renew the token, then sync."),
    page("refund-exceeds-free-seats", 409, "More seats are to go back than are free",
        "Only seats that nobody holds can be refunded, and a refund that explains a drift is of no more seats than owned fell by: a drift that is no drop leaves none.",
        "Free seats first, or refund fewer. GET /drift says what kind each is, before and after."),
    page("refund-window-closed", 409, "The refund comes too late",
        "A paid order can be refunded from its day to the 29th day after it, UTC.",
        "Nothing can be given back any more."),
    page("review-not-open", 409, "The review is not open",
        "It was closed, or cancelled: it takes no decisions, and what is carried out can't be cancelled.",
        "GET /reviews/{review} says how it ended; POST /reviews opens another one."),
    page("review-seat-gone", 409, "The seat is gone",
        "It ended after the review was opened. A seat that the holder was given again is another one, which the review is not about.",
        "Nothing is to be decided."),
    page("seat-not-revocable", 409, "The seat can't be taken back",
        "It is irrevocable (a book), or was granted by somebody else at the store.",
        "An irrevocable seat counts for good; a foreign one is reclaimed at the store, or adopted."),
    page("seats-still-held", 409, "Seats are still held",
        "A refund that removes the app needs all its seats back first. Names are erased once the holder has given back every seat that can be: the store knows the holder by name.",
        "Unassign or reclaim them, or wait for the store, and ask again."),
    page("store-account-already-linked", 409, "A store account is linked for good",
        "The provider has another account linked here, or another tenant has linked this one, alone or as a unit of its account.",
        "An account can't be swapped."),
    page("store-account-not-linked", 409, "No store account is linked",
        "The provider's inventory needs a linked account.",
        "PUT /store-accounts/{provider} first."),
    page("sync-disabled", 409, "Syncing is switched off",
        "The tenant's setting sync_enabled is false.",
        "PATCH /settings with sync_enabled true."),
    page("sync-running", 409, "Another sync of this account runs",
        "One sync of an account runs at a time, and the one named in sync does less than was asked: it reads what changed, or only looks.",
        "Wait for its end with GET /syncs/{sync}, and ask again."),
    page("tenant-exists", 409, "The tenant is there already",
        "A tenant of this name exists.",
        "Choose another name."),
    page("too-many-reviews", 409, "Too many reviews are under way",
        "At most 100 reviews may wait for their end.",
        "End or cancel one first."),
    page("user-departed", 409, "The user has left",
        "A departed user is given no seat.",
        "POST /users/{user}/return if they are back."),
    page("user-not-departed", 409, "The user has not left",
        "The names of somebody who is here are needed.",
        "POST /users/{user}/departure first."),
    page("user-name-taken", 409, "Another user has this name",
        "A user name belongs to one living user.",
        "Rename or delete the other one first."),
    page("precondition-failed", 412, "Somebody was faster",
        "The resource has changed since the state that If-Match names, or there is none yet, for which even * does not hold.",
        "Read it again, and decide again."),
    page("too-large", 413, "The request is too large",
        "The body, or one of its values, is above the bound of this call.",
        "Send less at once: POST /commands can be cut into parts. An inventory that is complete and the members of a group can't: \
         they have room for 32 MiB, unless the service was started with another bulk_bytes_max, and for a million values."),
    page("unsupported-media-type", 415, "The body is of the wrong type",
        "This call reads application/json; POST /commands reads application/x-ndjson too.",
        "Set Content-Type accordingly."),
    page("range-reversed", 422, "The range ends before it begins",
        "What from names lies behind what to names.",
        "Exchange the two."),
    page("all-users-not-allowed", 422, "This pool is held by users alone",
        "An install for all users needs a seat of the device.",
        "Name the user."),
    page("amount-not-zero", 422, "A free app is refunded with 0",
        "The pool is free of charge, so its refund is of 0.",
        "Send minor_units 0."),
    page("bundle-too-large", 422, "There are more events than one bundle holds",
        "An evidence bundle has at most 10,000 events, and at most 64 MiB of them in words.",
        "Choose fewer: with from and to, type, pool, user or device. GET /log/tile has all records of a log."),
    page("certificate-too-large", 422, "There is more to certify than one file holds",
        "A certificate is at most 8 MiB; each pool, and each time that one was above its cap, takes a line.",
        "Ask for shorter periods, or for one pool."),
    page("drift-of-another-pool", 422, "The drift is of another pool",
        "explains names a drift of a pool that this refund is not for.",
        "Name a drift of this pool."),
    page("ends-in-past", 422, "The end lies in the past",
        "ends_at of a review, or expires_at of a token, is not after now.",
        "Send a later time, or none: then POST /reviews/{review}/end ends the review, and DELETE /tokens/{token_id} the token."),
    page("holder-kind-not-allowed", 422, "This pool is not held by such a holder",
        "The pool's seats are for users.",
        "Name a user."),
    page("idempotency-key-reused", 422, "The id was used for another command",
        "Within a tenant an id belongs to one command for good.",
        "Use a new id for a new command."),
    page("inventory-repeats-key", 422, "The inventory names an item twice",
        "Two items have the same sku and license type; nothing was taken.",
        "Send each item once."),
    page("licensing-not-allowed", 422, "This pool leaves no choice of licensing",
        "Licensing by user or device can be chosen only where the pool allows both.",
        "Leave licensing out."),
    page("meaningless-request", 422, "The request reads well and means nothing",
        "A value is out of its range, or two values contradict each other.",
        "Change what the detail names."),
    page("member-kind-mismatch", 422, "Some members are not of the group's kind",
        "A group of users takes users, a group of devices takes devices.",
        "Leave them out, or make a mixed group."),
    page("mode-not-allowed", 422, "A mode goes with required alone",
        "An available or uninstall assignment reserves nothing, so it has no mode.",
        "Leave mode out."),
    page("name-mismatch", 422, "The path and the body name different users",
        "A new user is created under the name that the body gives.",
        "Use the same user_name in both."),
    page("not-an-offline-pool", 422, "The pool has no offline licenses",
        "Offline licenses are issued for offline pools.",
        "Use the pool with license_type offline."),
    page("ordered-in-future", 422, "The order is dated in the future",
        "ordered_on is after today (UTC).",
        "Send the day of the order."),
    page("quantity-zero", 422, "Nothing is to be refunded",
        "quantity is 0.",
        "Send the number of seats."),
    page("reviewer-not-allowed", 422, "The token is not for a reviewer",
        "A token of the role connector or directory is a program's; reviews are decided by people.",
        "Name tokens of the role admin, operator or auditor."),
    page("unknown-members", 422, "Some members are not known",
        "The list names users or devices that the ledger does not know; nothing was changed.",
        "Make them known first, or leave them out; unknown names them."),
    page("too-many-requests", 429, "Too many requests",
        "This credential, or this address, asks more often than it may.",
        "Wait as long as Retry-After says."),
    page("internal-error", 500, "The service failed",
        "Something broke that should not.",
        "Look into the service's log for this request id, and report it."),
    page("disk-low", 503, "The disk is nearly full",
        "The floor of free disk space is reached; commands are refused before anything could be lost. Departures are still taken, until less than a quarter of the floor is left.",
        "Make room on the disk of the data folder."),
    page("head-not-signed", 503, "No head could be signed",
        "The disk did not take the new signed head, or the tree is behind the log; the history itself is as it was.",
        "Try again after Retry-After; the detail and the service's log name the cause."),
    page("log-stopped", 503, "The log has stopped",
        "A write or a sync failed, or the service is stopping; the command may or may not have been recorded.",
        "Send the command again under the same id once the service is back: it then gives its first answer."),
    page("overloaded", 503, "Too many requests are under way",
        "The bound on requests at once is reached, or one tenant has its share of the event streams, exports, reads of the past or long reads (large pages, plans) under way.",
        "Try again after Retry-After."),
    page("queue-full", 503, "Too many commands wait",
        "The queue of the writer is full; nothing of this command was recorded.",
        "Try again after Retry-After; a command with an id can be sent again safely."),
    page("receipts-not-whole", 503, "The index of command ids is damaged",
        "A part of it can't be read, so whether this id was used before can't be said. Commands without an id are taken.",
        "Restart the service: the start makes the index anew from the log. Then send the command again under the same id."),
    page("shutting-down", 503, "The service is stopping",
        "It takes no new work.",
        "Try again once it is back."),
    page("position-timeout", 504, "The position was not reached in time",
        "?at_least= names a position that the ledger has not reached within 5 s.",
        "Ask again, or for an earlier position."),
    page("request-too-slow", 504, "The answer took too long",
        "The call did not end within its time.",
        "Ask for less at once. A command with an id can be sent again safely."),
];

/// The page of a name.
#[must_use]
pub(crate) fn find(name: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.name == name)
}

const EXAMPLE_POSITION: u64 = 42;

/// Refusals that say in figures what is missing, each as it could be.
fn shortages() -> [Rejection; 4] {
    let figures = Figures { owned: Owned::Count(100), held: 98, queued: 0 };
    let remedies = Remedies { uninstall_would_free: 3, narrow_would_free: 12, buy_would_free: 3 };
    let none_free = Figures { held: 100, queued: 2, ..figures };
    [
        Rejection::NotEnoughSeats { short_by: 3, figures, remedies },
        Rejection::NoSeatAvailable { figures: none_free, remedies },
        Rejection::RefundExceedsFreeSeats { quantity: 5, figures },
        Rejection::SeatsStillHeld { held: 98 },
    ]
}

impl Page {
    fn example(&self) -> String {
        let shortage = shortages().into_iter().find(|rejection| rejection.name() == self.name);
        let problem = shortage.map_or_else(
            || Problem::new(self.name, self.cause),
            |rejection| Problem::of_rejection(&rejection, EXAMPLE_POSITION),
        );
        format!("{:#}", problem.to_json())
    }

    fn html(&self) -> String {
        let Self { name, status, title, cause, fix } = self;
        let example = escaped(&self.example());
        document(
            title,
            &format!(
                "<p><a href=\"/problems\">All problems</a></p><h1>{title}</h1><p><code>{name}</code>, status {status}</p>\
                 <h2>Cause</h2><p>{}</p><h2>Fix</h2><p>{}</p><h2>Example</h2><pre>{example}</pre>",
                escaped(cause),
                escaped(fix)
            ),
        )
    }
}

/// A page loads nothing and stands in no frame; its style is in it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// A page as it is sent.
pub(super) fn sent(page: String) -> Response {
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(page)).into_response()
}

/// A page with the house's few lines of style.
pub(super) fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} - seatledger</title><style>\
         body{{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}}\
         pre{{background:#8882;padding:1em;overflow:auto}}td,th{{text-align:left;vertical-align:top;padding:.2em .8em .2em 0}}\
         :root{{color-scheme:light dark}}</style></head><body>{body}</body></html>"
    )
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The page of one problem.
#[utoipa::path(get, path = "/problems/{name}", tag = "problems", operation_id = "problem", security(()),
    params(("name" = String, Path, description = "The last part of a problem's type", example = "no-seat-available")),
    responses((status = 200, body = String, content_type = "text/html"), super::contract::ReadProblems))]
pub(super) async fn show(super::inputs::Places(name): super::inputs::Places<String>) -> Response {
    match find(&name) {
        Some(page) => sent(page.html()),
        None => Problem::new("problem-not-found", "no problem has this name").into_response(),
    }
}

/// The list of all problems.
#[utoipa::path(get, path = "/problems", tag = "problems", operation_id = "problems", security(()),
    responses((status = 200, body = String, content_type = "text/html")))]
pub(super) async fn list() -> Response {
    let rows: String = PAGES
        .iter()
        .map(|Page { name, status, title, .. }| {
            format!("<tr><td>{status}</td><td><a href=\"/problems/{name}\">{name}</a></td><td>{title}</td></tr>")
        })
        .collect();
    let body = document("Problems", &format!("<h1>Problems</h1><table>{rows}</table>"));
    ([(header::CACHE_CONTROL, "max-age=3600")], sent(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_once_and_says_what_to_do() {
        for (at, page) in PAGES.iter().enumerate() {
            assert!(PAGES[at + 1..].iter().all(|other| other.name != page.name), "{} stands twice", page.name);
            assert!(!page.cause.is_empty() && !page.fix.is_empty(), "{}", page.name);
            assert!((400..600).contains(&page.status));
        }
    }

    #[test]
    fn an_example_has_what_the_answer_has() {
        let example =
            |name: &str| -> serde_json::Value { serde_json::from_str(&find(name).unwrap().example()).unwrap() };
        let seats = example("not-enough-seats");
        assert_eq!([&seats["short_by"], &seats["owned"], &seats["free"], &seats["position"]], [3, 100, 2, 42]);
        assert_eq!(seats["remedies"][2]["action"], "buy_more");
        assert!(example("no-seat-available")["detail"].as_str().unwrap().contains("2 wait in the queue"));
        assert_eq!(example("refund-exceeds-free-seats")["quantity"], 5);
        assert_eq!(example("seats-still-held")["held"], 98);
        let of_page = example("pool-not-found");
        assert_eq!(
            [&of_page["type"], &of_page["status"]],
            [&serde_json::json!("/problems/pool-not-found"), &404.into()]
        );
    }
}

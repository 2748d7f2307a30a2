//! Access reviews: opened over pools, shown seat by seat, decided, ended. Handlers parse, submit and render; what the end
//! does to a seat is decided elsewhere.

use crate::audit::hindsight::Moment;
use crate::audit::part::Wanted;
use crate::domain::answer::Status;
use crate::domain::command::Door as Through;
use crate::domain::facts::Role;
use crate::domain::ids::{Holder, PoolId, ReviewId};
use crate::domain::report::{ReportAsked, ReportName};
use crate::domain::state::{ReadKey, Review, Tenant};
use crate::http::auth::Caller;
use crate::http::bodies::reviews::{ReviewBody, ReviewSeatBody, SealedSeat};
use crate::http::contract::{
    BulkHeaders, CommandAnswer, CommandHeaders, CommandProblems, IfMatchHeader, IfMatchProblems, ReadProblems,
};
use crate::http::decisions::{Row, UnreadDecisions};
use crate::http::door::{Door, Tally, submission};
use crate::http::files::{self, Sink};
use crate::http::inputs::{Asked, Body, Places};
use crate::http::problem::{Problem, ProblemBody};
use crate::http::reading::{Belonging, Listed, Page, PageQuery, Place, ReadQuery, Reading};
use crate::http::sheet;
use crate::http::traces;
use crate::http::wire::bodies::{DecisionsBody, ReviewBody as NewReviewBody};
use crate::http::wire::kind::Kind;
use crate::http::{accept, answers};
use crate::ledger::SubmitError;
use crate::projection::View;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::Write as _;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// So many decisions are handed to the writer at once: others get their turn between two runs.
const RUN_DECISIONS_MAX: usize = 2000;
/// So many seats of a review of the past are told at once for its file.
const SEATS_AT_ONCE: usize = 500;

/// Freezes who holds the pools, for people to decide seat by seat. The name is not for personal data.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/reviews", tag = "reviews",
    params(("tenant" = String, Path), CommandHeaders),
    request_body = NewReviewBody,
    responses((status = 200, body = CommandAnswer), (status = 201, body = CommandAnswer), CommandProblems))]
pub(in crate::http) async fn open_review(door: Door, body: Body) -> Result<Response, Problem> {
    door.command(Kind::OpenReview, [], body).await
}

/// Ends a review: seats that are to be released are taken back, some thousand at once.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/reviews/{review}/end", tag = "reviews",
    params(("tenant" = String, Path), ("review" = String, Path), CommandHeaders, IfMatchHeader),
    responses((status = 200, body = CommandAnswer), CommandProblems, IfMatchProblems))]
pub(in crate::http) async fn end_review(
    door: Door,
    places: Places<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, review)) = places;
    door.command(Kind::EndReview, [("review", review)], body).await
}

/// Cancels a review: nothing of it is carried out.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/reviews/{review}/cancel", tag = "reviews",
    params(("tenant" = String, Path), ("review" = String, Path), CommandHeaders, IfMatchHeader),
    responses((status = 200, body = CommandAnswer), CommandProblems, IfMatchProblems))]
pub(in crate::http) async fn cancel_review(
    door: Door,
    places: Places<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let Places((_, review)) = places;
    door.command(Kind::CancelReview, [("review", review)], body).await
}

/// The reviews, oldest first.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/reviews", tag = "reviews",
    params(("tenant" = String, Path), ReadQuery, PageQuery),
    responses((status = 200, body = Listed<ReviewBody>), ReadProblems))]
pub(in crate::http) async fn reviews(reading: Reading, Asked(page): Asked<PageQuery>) -> Result<Response, Problem> {
    reading
        .wanting(Wanted::Reviews)
        .list(page, "", |view, after, limit| {
            let from = after.and_then(|after| after.parse::<ReviewId>().ok()).map_or(0, |after| after.index() + 1);
            let rest = view.state.reviews.iter().skip(from);
            Ok(Page::of(rest, limit, |review| review.id.to_string(), |review| ReviewBody::of(review)))
        })
        .await
}

/// One review and how far it is.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/reviews/{review}", tag = "reviews",
    params(("tenant" = String, Path), ("review" = String, Path), ReadQuery),
    responses((status = 200, body = ReviewBody), ReadProblems))]
pub(in crate::http) async fn review(reading: Reading, places: Places<(String, String)>) -> Result<Response, Problem> {
    let Places((_, review)) = places;
    let id = review_id(&review);
    reading
        .wanting(Wanted::Reviews)
        .one(move |view| {
            let review = found(&view.state, id)?;
            Ok((ReviewBody::of(review), Some(review.etag)))
        })
        .await
}

/// What is no id is the id of no review.
fn review_id(text: &str) -> ReviewId {
    text.parse().unwrap_or(ReviewId(u32::MAX))
}

fn found(state: &Tenant, id: ReviewId) -> Result<&Review, Problem> {
    let review = state.reviews.get(id.index()).map(AsRef::as_ref);
    review.ok_or_else(|| Problem::new("review-not-found", "no review has this id"))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct SeatsQuery {
    /// `json` or `csv`; goes before Accept
    #[param(pattern = "^(json|csv)$")]
    format: Option<String>,
}

/// The frozen seats with what is decided on each, by pool and holder: as a list, or as a CSV of all of them, which comes
/// back to `/decisions` with its column filled in. Once the review is over they are shown as they were at its end. Like a report
/// it leaves a trace of who read it.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/reviews/{review}/seats", tag = "reviews",
    params(("tenant" = String, Path), ("review" = String, Path), SeatsQuery, ReadQuery, PageQuery),
    responses((status = 200, content((Listed<ReviewSeatBody> = "application/json"), (String = "text/csv"))),
        (status = 406, description = "No such form of the answer", body = ProblemBody, content_type = "application/problem+json"),
        ReadProblems))]
pub(in crate::http) async fn review_seats(
    Belonging { reading, to, page }: Belonging,
    headers: HeaderMap,
    Asked(query): Asked<SeatsQuery>,
) -> Result<Response, Problem> {
    let id = review_id(&to);
    reading.knows_positions_alone("the seats of a review are those at the position where it was opened")?;
    let is_csv = is_csv(query.format.as_deref(), &headers)?;
    let place = Place::of(&reading, page, "").await?;
    let begun_at = place.cursor().map(|(moment, _)| moment.position);
    let (reading, traced) = {
        let look = move || traced(&reading, id, begun_at).map(|traced| (reading, traced));
        tokio::task::spawn_blocking(look).await.map_err(|error| Problem::internal(&error))??
    };
    if let Some((asked, position)) = traced {
        traces::report_read(&reading.caller, ReportName::Review, asked, position).await?;
    }
    if is_csv {
        return written(reading, id).await;
    }
    let caller = reading.caller.clone();
    let listed = move || {
        let (page, position) = rows(&reading, &place, id)?;
        let ledger = &reading.caller.service.ledger;
        let items: Vec<ReviewSeatBody> = page.items.into_iter().map(|seat| seat.opened(ledger)).collect();
        place.listed(items, page.next, Moment::at(position))
    };
    caller.look_back(listed).await
}

/// How a reading of a review's seats is told, and of which position: the review by the position where it was opened. `None` for
/// a page of what was begun as of now within the hour, and for a point before there was the review. Blocking.
fn traced(reading: &Reading, id: ReviewId, begun_at: Option<u64>) -> Result<Option<(ReportAsked, u64)>, Problem> {
    let as_of = reading.asked_moment()?.map(|moment| moment.position);
    let (caller, now) = (&reading.caller, reading.caller.service.ledger.clock().now());
    caller.service.ledger.read(caller.tenant, |view| {
        let opened = found(&view.state, id)?.opened_at;
        let asked = |as_of| ReportAsked { as_of, from: Some(opened), ..ReportAsked::default() };
        let key = ReadKey { actor: caller.actor, report: ReportName::Review, asked: asked(None) };
        let is_going_on = begun_at.is_some() && as_of.is_none() && view.state.reads.is_fresh(&key, now);
        let position = as_of.or(begun_at);
        if is_going_on || position.is_some_and(|position| position < opened) {
            return Ok(None);
        }
        Ok(Some((asked(position), position.unwrap_or(view.state.next_position.saturating_sub(1)))))
    })?
}

/// A page of a review's seats, and the position that it speaks of. Blocking.
fn rows(reading: &Reading, place: &Place, id: ReviewId) -> Result<(Page<SealedSeat>, u64), Problem> {
    let caller = &reading.caller;
    let after = place.cursor().and_then(|(_, after)| {
        let (pool, holder) = after.split_once(' ')?;
        Some((pool.parse().ok()?, holder.parse().ok()?))
    });
    let look = |view: &View| page_of(&view.state, found(&view.state, id)?, after, place.limit());
    let position = match place.cursor() {
        Some((moment, _)) => Some(moment.position),
        None => reading.asked_moment()?.map(|moment| moment.position),
    };
    let (now, seen) = caller.service.ledger.read(caller.tenant, |view| {
        let head = view.state.next_position.saturating_sub(1);
        let position = position.unwrap_or(head);
        let shown_at = shown_at(found(&view.state, id)?, position);
        Ok::<_, Problem>(if shown_at == head { (Some(look(view)), position) } else { (None, position) })
    })??;
    match now {
        Some(page) => Ok((page?, seen)),
        None => {
            let wanted = Wanted::ReviewSeats { review: id, after, limit: place.limit() };
            let view = state_of(caller, id, seen, &wanted)?;
            look(&view).map(|page| (page, seen)).map_err(|problem| problem.at(seen))
        }
    }
}

/// A review that is over has its seats and decisions in the state just before its end.
fn shown_at(review: &Review, position: u64) -> u64 {
    match review.ended {
        Some((_, ended)) if ended <= position => ended.saturating_sub(1),
        Some(_) | None => position,
    }
}

/// The state in which a review's seats are those of this position. Blocking.
fn state_of(caller: &Caller, id: ReviewId, position: u64, wanted: &Wanted) -> Result<Arc<View>, Problem> {
    let shown_at =
        caller.service.ledger.read(caller.tenant, |view| found(&view.state, id).map(|r| shown_at(r, position)))??;
    caller.view_of(Moment::at(shown_at), wanted)
}

fn page_of(
    state: &Tenant,
    review: &Review,
    after: Option<(PoolId, Holder)>,
    limit: usize,
) -> Result<Page<SealedSeat>, Problem> {
    let seats = state.seats_of_review(review, after);
    Ok(Page::of(
        seats,
        limit,
        |seat| format!("{} {}", seat.pool, seat.holder),
        |seat| SealedSeat::of(state, review, seat),
    ))
}

/// Some seats of a review of the past, behind one.
fn a_part(review: ReviewId, after: Option<(PoolId, Holder)>) -> Wanted {
    Wanted::ReviewSeats { review, after, limit: SEATS_AT_ONCE }
}

async fn written(reading: Reading, id: ReviewId) -> Result<Response, Problem> {
    let place = reading.caller.service.exports.take(Some(reading.caller.tenant))?;
    let asking = reading.caller.clone();
    let look = move || {
        let caller = reading.caller.clone();
        let (ledger, is_past) = (&caller.service.ledger, reading.is_past());
        let is_now = |state: &Tenant| Ok::<_, Problem>(!is_past && found(state, id)?.ended.is_none());
        // what is under way is written from a copy: nobody waits for the file
        if ledger.read(caller.tenant, |view| is_now(&view.state))?? {
            let view = caller.service.as_of.published(ledger, caller.tenant)?;
            if is_now(&view.state)? {
                let position = view.state.next_position.saturating_sub(1);
                return Ok((caller, view, position, true));
            }
        }
        let position = reading.moment()?.position;
        let view = state_of(&caller, id, position, &a_part(id, None))?;
        found(&view.state, id).map_err(|problem| problem.at(position))?;
        Ok::<_, Problem>((caller, view, position, false))
    };
    let (caller, view, position, is_now) = asking.look_back(look).await?;
    let name = format!("{}-{id}-{position}.csv", view.state.slug);
    let reader = caller.clone();
    let body = files::written(&caller.service, Some(caller.clone()), place, move |sink: &mut Sink| {
        sheet::write_header(sink).map_err(|error| error.to_string())?;
        let (mut view, mut after) = (view, None);
        loop {
            let Some(review) = view.state.reviews.get(id.index()) else { return Ok(()) };
            let mut left = if is_now { usize::MAX } else { SEATS_AT_ONCE };
            for seat in view.state.seats_of_review(review, after) {
                if left == 0 {
                    break;
                }
                left -= 1;
                after = Some((seat.pool, seat.holder));
                let seat = SealedSeat::of(&view.state, review, seat).opened(&reader.service.ledger);
                sheet::write_seat(sink, &seat).map_err(|error| error.to_string())?;
            }
            if left > 0 {
                return Ok(());
            }
            // what there is goes out while the next part is made
            sink.flush().map_err(|error| error.to_string())?;
            view =
                state_of(&reader, id, position, &a_part(id, after)).map_err(|problem| problem.detail().to_owned())?;
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (HeaderName::from_static("seatledger-position"), position.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::VARY, "accept".to_owned()),
    ];
    Ok((headers, body).into_response())
}

fn is_csv(asked: Option<&str>, headers: &HeaderMap) -> Result<bool, Problem> {
    let unknown = || Problem::new("not-acceptable", "seats are application/json or text/csv (format=json, csv)");
    match asked {
        Some("json") => return Ok(false),
        Some("csv") => return Ok(true),
        Some(_) => return Err(unknown()),
        None => {}
    }
    let forms: &[(bool, &[&str])] = &[(false, &["application/json"]), (true, &["text/csv"])];
    accept::accepted(headers, forms).first().copied().ok_or_else(unknown)
}

/// What became of one decision
#[derive(Serialize, ToSchema)]
#[schema(as = DecisionReceipt)]
struct ReceiptBody {
    /// The decision's place in the list, from 1; of a CSV its row below the header
    row: usize,
    pool: String,
    holder: String,
    /// `taken`, `unchanged` (it was decided so, or left undecided) or `refused`
    status: &'static str,
    /// Null for what was not judged
    #[schema(required)]
    position: Option<u64>,
    #[schema(required, value_type = Option<ProblemBody>)]
    problem: Option<Value>,
}

/// One receipt a row, in order, and their counts
#[derive(Serialize, ToSchema)]
#[schema(as = DecisionReceipts)]
pub(in crate::http) struct ReceiptsBody {
    results: Vec<ReceiptBody>,
    taken: usize,
    unchanged: usize,
    refused: usize,
    position: u64,
}

/// Decisions on seats of an open review, by its reviewers: as JSON, or as the CSV of its seats with `decision` filled in
/// (`keep`, `release`; empty leaves the seat as it is). A row that is refused leaves the others alone.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/reviews/{review}/decisions", tag = "reviews",
    params(("tenant" = String, Path), ("review" = String, Path), BulkHeaders),
    request_body(content((DecisionsBody = "application/json"), (String = "text/csv"))),
    responses((status = 200, body = ReceiptsBody), CommandProblems))]
pub(in crate::http) async fn decide_review(
    caller: Caller,
    places: Places<(String, String)>,
    decisions: UnreadDecisions,
) -> Result<Response, Problem> {
    let Places((_, review)) = places;
    let id = review_id(&review);
    caller.service.ledger.read(caller.tenant, |view| found(&view.state, id).map(|_| ()))??;
    caller.must_review(id)?;
    let decisions = decisions.whole(&caller.service).await?;
    let (rows, _room) = {
        let caller = caller.clone();
        tokio::task::spawn_blocking(move || decisions.read(&caller, id))
            .await
            .map_err(|error| Problem::internal(&error))??
    };
    let (mut results, mut tally) = (Vec::with_capacity(rows.len()), Tally::default());
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let mut part: Vec<Row> = rows.by_ref().take(RUN_DECISIONS_MAX).collect();
        if let Err(problem) = caller.must_be_good() {
            // nothing was judged yet
            if results.is_empty() {
                return Err(problem);
            }
            let decisions = part.iter_mut().filter(|row| matches!(row.read, Ok(Some(_))));
            decisions.for_each(|row| row.read = Err(problem.clone()));
        }
        judge(&caller, part, &mut results, &mut tally).await?;
        // others that this thread serves have waited for the rendering
        tokio::task::yield_now().await;
    }
    let count = |status: &str| results.iter().filter(|result| result.status == status).count();
    let (taken, unchanged, refused) = (count("taken"), count("unchanged"), count("refused"));
    let position = caller.service.ledger.head(caller.tenant)?;
    tally.say(position);
    let body = json!(ReceiptsBody { results, taken, unchanged, refused, position });
    Ok(crate::http::door::answered(StatusCode::OK, position, answers::fields_of(body)).into_response())
}

/// Hands the rows that mean something to the writer, and adds everyone's receipt.
async fn judge(
    caller: &Caller,
    part: Vec<Row>,
    results: &mut Vec<ReceiptBody>,
    tally: &mut Tally,
) -> Result<(), Problem> {
    let mut batch = Vec::new();
    let mut pending = Vec::with_capacity(part.len());
    for Row { id, pool, holder, read } in part {
        let read = read.map(|wire| wire.map(|wire| batch.push(submission(caller, wire, id, None, Through::Bulk))));
        pending.push((pool, holder, read));
    }
    let count = batch.len();
    let judged = match caller.service.ledger.submit_all(caller.tenant, batch, false).await {
        Ok(judged) => judged,
        // nothing was judged yet: the call as a whole can be sent again
        Err(error) if results.is_empty() => return Err(error.into()),
        Err(error) => vec![Err(error); count],
    };
    let mut judged = judged.into_iter();
    for (pool, holder, read) in pending {
        let (status, position, problem) = match read {
            Err(problem) => ("refused", None, Some(problem)),
            Ok(None) => ("unchanged", None, None),
            Ok(Some(())) => {
                match tally.note(Kind::DecideReview, judged.next().unwrap_or(Err(SubmitError::Stopped)), true) {
                    Err(error) => ("refused", None, Some(error.into())),
                    Ok(outcome) => {
                        let refusal = outcome.answer.rejection.as_ref();
                        let refusal = refusal.map(|rejection| answers::refused(rejection, outcome.position, &[]));
                        let status = match outcome.answer.status {
                            Status::Done => "taken",
                            Status::Unchanged => "unchanged",
                            Status::Refused => "refused",
                        };
                        (status, Some(outcome.position), refusal)
                    }
                }
            }
        };
        let (row, problem) = (results.len() + 1, problem.map(|problem| problem.to_json()));
        results.push(ReceiptBody { row, pool, holder, status, position, problem });
    }
    Ok(())
}

impl Caller {
    /// Whether the caller may decide in this review: who is named in it; where nobody is, whoever may open one. That there
    /// is no such review is the judge's to say.
    ///
    /// # Errors
    /// When it is for others.
    pub(in crate::http) fn must_review(&self, id: ReviewId) -> Result<(), Problem> {
        let reviewers = self
            .service
            .ledger
            .read(self.tenant, |view| view.state.reviews.get(id.index()).map(|review| review.reviewers.clone()))?;
        let is_for = match (reviewers, self.role, self.actor) {
            (_, None | Some(Role::Admin), _) => return Ok(()),
            (Some(reviewers), Some(_), crate::domain::command::Actor::Token(token)) if !reviewers.is_empty() => {
                reviewers.contains(&token)
            }
            (Some(_), Some(_), _) => return self.must_be(&[Role::Operator]),
            (None, Some(_), _) => return self.must_be(Kind::DecideReview.roles()),
        };
        if is_for {
            return Ok(());
        }
        Err(Problem::new("forbidden", "the review names its reviewers, and this token is none of them"))
    }
}

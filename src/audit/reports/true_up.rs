//! What would have to be bought so that everybody who has or wants a seat is licensed, and what could be given back.

use super::courses::{at, evidence};
use super::{
    Asked, Asking, Cell, Column, EVIDENCE, Key, Label, Output, POOL, POOL_KEY, Report, ReportError, Source, column, may,
};
use crate::domain::facts::Owned;
use crate::domain::report::ReportName;
use crate::ledger::ReadError;
use crate::projection::View;
use crate::projection::figures::{Figures, holders_without_seat};
use crate::projection::tallies::Passes;
use std::sync::Arc;

pub(super) const REPORT: Report = Report {
    name: ReportName::TrueUp,
    about: "For each pool: the seats that would have to be bought for everybody who holds one, waits for one or has the app \
            installed without one; and the seats that nobody needs, with what both cost.",
    parameters: &[may(Asking::AsOf), may(Asking::Pool)],
    columns: COLUMNS,
    read,
};

const COLUMNS: &[Column] = &[
    POOL,
    POOL_KEY,
    column("owned", "Seats owned, or unlimited"),
    column("held", "Seats held"),
    column(
        "releasing",
        "Of them, those that go back once the provider confirms it, also where the holder wants it back",
    ),
    column("queued", "Holders who wait for a seat"),
    column("without_seat", "Holders who have the app installed without a seat and do not wait for one"),
    column(
        "to_buy",
        "held, less releasing that nobody wants back, with queued and without_seat, above owned; 0 for what has no cap",
    ),
    column("could_give_back", "owned above held, queued and without_seat; 0 for what has no cap"),
    column("currency", "Of the price; empty where the provider states none"),
    column("price", "Of one seat, in the smallest unit of the currency"),
    column("to_buy_cost", "to_buy times price"),
    column("saving", "could_give_back times price"),
    EVIDENCE,
];

fn read(source: &Source<'_>, asked: &Asked, out: &mut Output<'_>) -> Result<(), ReportError> {
    let view = source.at_hand();
    for label in source.pools(asked, out.after.map_or(0, |after| after.0.saturating_add(1))) {
        let label = label?;
        let key = Key(label.pool.0.into(), 0, 0);
        let Wanting { figures, without_seat, regrants } = wanting(source, view.as_ref(), &label)?;
        let Some(course) = at(source, &label, source.position)? else { continue };
        let (price_position, price) = label.course.price_at(source.position).unzip();
        let wanted = figures.queued + without_seat;
        let (to_buy, could_give_back) = course.cap().map_or((0, 0), |cap| {
            let needed = figures.held - figures.releasing + regrants + wanted;
            (needed.saturating_sub(cap), cap.saturating_sub(figures.held + wanted))
        });
        let cost = |seats| Cell::cost(Owned::Count(seats), price);
        let cells = vec![
            Cell::id(label.pool),
            Cell::id(&label.key),
            Cell::Owned(figures.owned),
            Cell::Count(figures.held),
            Cell::Count(figures.releasing),
            Cell::Count(figures.queued),
            Cell::Count(without_seat),
            Cell::Count(to_buy),
            Cell::Count(could_give_back),
            Cell::or_nothing(price, |price| Cell::Text(price.currency.clone())),
            Cell::or_nothing(price, |price| Cell::Count(price.minor_units)),
            cost(to_buy),
            cost(could_give_back),
            Cell::evidence(evidence(&course).chain(price_position)),
        ];
        if out.row(key, cells).is_break() || out.looked(source.worked() + figures.unlicensed, key).is_break() {
            break;
        }
    }
    Ok(())
}

/// A pool's counts, how many have its app without a seat and without waiting for one, and how many want a seat back that is
/// being released.
struct Wanting {
    figures: Figures,
    without_seat: u64,
    regrants: u64,
}

fn wanting(source: &Source<'_>, view: Option<&Arc<View>>, label: &Label) -> Result<Wanting, ReportError> {
    if let Some(view) = view {
        let pool = view.state.pool(label.pool);
        let (without_seat, regrants) = (holders_without_seat(pool), pool.regrants.len() as u64);
        return Ok(Wanting { figures: Figures::of(pool), without_seat, regrants });
    }
    let tally = source.ledger.read(source.tenant, |now| now.tallies.pool(label.pool).cloned())?;
    let (past, position) = (source.ledger.past(), source.position);
    let told = tally.and_then(|tally| {
        let (_, figures) = tally.at(position, &Passes::default(), &past)?;
        let (without_seat, regrants) = (tally.without_seat_at(position, &past), tally.regrants_at(position, &past));
        Some(Wanting { figures, without_seat, regrants })
    });
    past.checked(told)?.ok_or(ReportError::Read(ReadError::NotReached(source.position)))
}

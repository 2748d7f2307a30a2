//! What is owned, what of it is held, by how much a pool is above its cap, and what that costs at the listed price.

use super::courses::{at, evidence, stepped};
use super::{
    Asked, Asking, Cell, Column, EVIDENCE, Key, Output, POOL, POOL_KEY, Report, ReportError, Source, column, may,
};
use crate::domain::facts::Owned;
use crate::domain::report::ReportName;

pub(super) const REPORT: Report = Report {
    name: ReportName::LicensePosition,
    about: "What each pool owns, how much of it is held and by how much it is above its cap, with the cost at the price \
            listed then.",
    parameters: &[may(Asking::AsOf), may(Asking::AsKnownAt), may(Asking::Pool)],
    columns: COLUMNS,
    read,
};

const COLUMNS: &[Column] = &[
    POOL,
    POOL_KEY,
    column("state", "active, suspended or removed"),
    column("distribution_policy", "restricted, or open: then nothing is capped"),
    column("owned", "Seats owned, or unlimited"),
    column("held", "Seats held"),
    column("free", "Seats that a grant could take, or unlimited"),
    column("over_by", "Seats held above the cap"),
    column("currency", "Of the price; empty where the provider states none"),
    column("price", "Of one seat, in the smallest unit of the currency"),
    column("owned_cost", "owned times price"),
    column("held_cost", "held times price"),
    column("over_cost", "over_by times price"),
    EVIDENCE,
];

fn read(source: &Source<'_>, asked: &Asked, out: &mut Output<'_>) -> Result<(), ReportError> {
    for label in source.pools(asked, out.after.map_or(0, |after| after.0.saturating_add(1))) {
        let label = label?;
        let course = at(source, &label, source.position)?;
        let course = source.late(label.pool).fold(course, |course, late| stepped(course, &label, late));
        let Some(course) = course else { continue };
        let (price_position, price) = label.course.price_at(source.position).unzip();
        let cost = |seats| Cell::cost(seats, price);
        let key = Key(label.pool.0.into(), 0, 0);
        let cells = vec![
            Cell::id(label.pool),
            Cell::id(&label.key),
            Cell::word(&course.state),
            Cell::word(&course.distribution_policy),
            Cell::Owned(course.owned),
            Cell::Count(course.held),
            Cell::Owned(course.free()),
            Cell::Count(course.over_by()),
            Cell::or_nothing(price, |price| Cell::Text(price.currency.clone())),
            Cell::or_nothing(price, |price| Cell::Count(price.minor_units)),
            cost(course.owned),
            cost(Owned::Count(course.held)),
            cost(Owned::Count(course.over_by())),
            Cell::evidence(evidence(&course).chain(price_position)),
        ];
        if out.row(key, cells).is_break() || out.looked(source.worked(), key).is_break() {
            break;
        }
    }
    Ok(())
}

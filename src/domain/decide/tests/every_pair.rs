//! The whole table of transitions (rules.md §4) as data: what every cause makes of every state, in every kind of pool.
//! The matches have no arm for everything else, so a new state or cause has to say what it does.

use super::scenario::{Scenario, Step, user};
use super::steps::{
    Kind, absent, adopted, available, confirmed, days_pass, deactivated, deficit_resolved, grant_refused, granted,
    installed, item, listed, not_enough, on_uninstall, reclaimed, release_confirmed, release_refused, release_sent,
    reservations_time_out_after, seen, told_of, unassigned, uninstalled, untargeted,
};
use crate::domain::command::ProviderReport;
use crate::domain::facts::{KeepOrRelease, ReleaseCause};
use crate::domain::ids::PoolId;
use crate::domain::state::SeatState;

/// What ada may have of the pool; she is covered by an `available` assignment, and was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Nothing,
    Reserved,
    ReservedUnconfirmed,
    InUse,
    InUseUnconfirmed,
    Releasing,
    ReleasingSent,
    Foreign,
}

/// What may happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Granted,
    Installed,
    UninstalledWherePolicyReleases,
    UninstalledWherePolicyKeeps,
    CoverageEndsWherePolicyKeeps,
    CoverageEndsWherePolicyReleases,
    TimedOut,
    Departed,
    Reclaimed,
    PlanCarriedOut,
    GrantConfirmed,
    GrantRefused,
    NotEnoughAtStore,
    ReleaseSent,
    ReleaseConfirmed,
    ReleaseRefused,
    Seen,
    Absent,
    Adopted,
}

/// What comes of it: another state or none, nothing at all, or a refusal by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Becomes(SeatState),
    Gone,
    Same,
    Refused(&'static str),
}

fn states_of(state: Option<SeatState>) -> &'static [State] {
    match state {
        None => &[State::Nothing],
        Some(SeatState::Reserved) => &[State::Reserved, State::ReservedUnconfirmed],
        Some(SeatState::InUse) => &[State::InUse, State::InUseUnconfirmed],
        Some(SeatState::Releasing) => &[State::Releasing, State::ReleasingSent],
        Some(SeatState::Foreign) => &[State::Foreign],
    }
}

fn causes_of(cause: ReleaseCause) -> &'static [Cause] {
    match cause {
        ReleaseCause::Uninstalled => &[Cause::UninstalledWherePolicyReleases, Cause::UninstalledWherePolicyKeeps],
        ReleaseCause::Unassigned | ReleaseCause::Uncovered | ReleaseCause::Ineligible => {
            &[Cause::CoverageEndsWherePolicyKeeps, Cause::CoverageEndsWherePolicyReleases]
        }
        ReleaseCause::TimedOut => &[Cause::TimedOut],
        // A retired device gives its seats back as a departed user does; `leaving` tells of it.
        ReleaseCause::Departed | ReleaseCause::DeviceRetired => &[Cause::Departed],
        // A review takes seats as a reclaim does; `reviewing` tells of it.
        ReleaseCause::Reclaimed | ReleaseCause::Reviewed => &[Cause::Reclaimed],
        ReleaseCause::DeficitPlan => &[Cause::PlanCarriedOut],
        ReleaseCause::RefusedByProvider => &[Cause::GrantRefused],
        ReleaseCause::NotEnoughAtProvider => &[Cause::NotEnoughAtStore],
        ReleaseCause::Lost | ReleaseCause::EndedAtStore => &[Cause::Absent],
    }
}

fn causes_in(report: ProviderReport) -> &'static [Cause] {
    match report {
        ProviderReport::GrantConfirmed { .. } => &[Cause::GrantConfirmed],
        ProviderReport::GrantRefused { .. } => &[Cause::GrantRefused, Cause::NotEnoughAtStore],
        ProviderReport::ReleaseSent { .. } => &[Cause::ReleaseSent],
        ProviderReport::ReleaseConfirmed { .. } => &[Cause::ReleaseConfirmed],
        ProviderReport::ReleaseRefused { .. } => &[Cause::ReleaseRefused],
        ProviderReport::SeatSeen { .. } => &[Cause::Seen],
        ProviderReport::SeatAbsent { .. } => &[Cause::Absent],
        // About the pool, not about a seat.
        ProviderReport::Suspended | ProviderReport::Resumed => &[],
    }
}

const EVERY_STATE: [Option<SeatState>; 5] =
    [None, Some(SeatState::Reserved), Some(SeatState::InUse), Some(SeatState::Releasing), Some(SeatState::Foreign)];

/// Every cause once: those behind a release, those in a report, and a person's commands.
fn every_cause() -> Vec<Cause> {
    let releases = [
        ReleaseCause::Uninstalled,
        ReleaseCause::Unassigned,
        ReleaseCause::TimedOut,
        ReleaseCause::Departed,
        ReleaseCause::Reclaimed,
        ReleaseCause::DeficitPlan,
        ReleaseCause::RefusedByProvider,
        ReleaseCause::NotEnoughAtProvider,
        ReleaseCause::Lost,
    ];
    let holder = user("ada").into();
    let reports = [
        ProviderReport::GrantConfirmed { holder },
        ProviderReport::ReleaseSent { holder },
        ProviderReport::ReleaseConfirmed { holder },
        ProviderReport::ReleaseRefused { holder },
        ProviderReport::SeatSeen { holder },
    ];
    let releases = releases.into_iter().flat_map(causes_of);
    let reports = reports.into_iter().flat_map(causes_in);
    releases.chain(reports).chain(&[Cause::Granted, Cause::Installed, Cause::Adopted]).copied().collect()
}

/// The table. `release` is what it calls *release*; an irrevocable seat is not released.
fn expected(kind: Kind, state: State, cause: Cause) -> Outcome {
    use Outcome::{Becomes, Gone, Refused, Same};
    use State as S;
    let is_irrevocable = kind == Kind::Books;
    let release = match (is_irrevocable, kind.is_confirmed()) {
        (true, _) => Same,
        (false, true) => Becomes(SeatState::Releasing),
        (false, false) => Gone,
    };
    match cause {
        Cause::Granted => match state {
            S::Nothing | S::Foreign => Becomes(SeatState::Reserved),
            S::Releasing => Becomes(SeatState::InUse),
            S::Reserved | S::ReservedUnconfirmed | S::InUse | S::InUseUnconfirmed | S::ReleasingSent => Same,
        },
        Cause::Installed => match state {
            S::Nothing | S::Reserved | S::ReservedUnconfirmed | S::Releasing | S::Foreign => Becomes(SeatState::InUse),
            S::InUse | S::InUseUnconfirmed => Same,
            S::ReleasingSent => Refused("no-seat-available"),
        },
        Cause::UninstalledWherePolicyReleases => match state {
            S::InUse | S::InUseUnconfirmed if is_irrevocable => Becomes(SeatState::Reserved),
            S::InUse | S::InUseUnconfirmed => release,
            S::Nothing | S::Reserved | S::ReservedUnconfirmed | S::Releasing | S::ReleasingSent | S::Foreign => Same,
        },
        Cause::UninstalledWherePolicyKeeps => match state {
            S::InUse | S::InUseUnconfirmed => Becomes(SeatState::Reserved),
            S::Nothing | S::Reserved | S::ReservedUnconfirmed | S::Releasing | S::ReleasingSent | S::Foreign => Same,
        },
        Cause::CoverageEndsWherePolicyKeeps => match state {
            S::Reserved | S::ReservedUnconfirmed => release,
            S::Nothing | S::InUse | S::InUseUnconfirmed | S::Releasing | S::ReleasingSent | S::Foreign => Same,
        },
        Cause::CoverageEndsWherePolicyReleases | Cause::Departed | Cause::PlanCarriedOut => match state {
            S::Reserved | S::ReservedUnconfirmed | S::InUse | S::InUseUnconfirmed => release,
            S::Nothing | S::Releasing | S::ReleasingSent | S::Foreign => Same,
        },
        Cause::TimedOut => match state {
            S::Reserved => release,
            S::Nothing
            | S::ReservedUnconfirmed
            | S::InUse
            | S::InUseUnconfirmed
            | S::Releasing
            | S::ReleasingSent
            | S::Foreign => Same,
        },
        Cause::Reclaimed => match state {
            S::Nothing => Refused("seat-not-found"),
            S::Foreign => Refused("seat-not-revocable"),
            S::Reserved | S::ReservedUnconfirmed | S::InUse | S::InUseUnconfirmed if is_irrevocable => {
                Refused("seat-not-revocable")
            }
            S::Reserved | S::ReservedUnconfirmed | S::InUse | S::InUseUnconfirmed => release,
            S::Releasing | S::ReleasingSent => Same,
        },
        Cause::GrantRefused | Cause::NotEnoughAtStore => match state {
            S::ReservedUnconfirmed | S::InUseUnconfirmed => Gone,
            S::Nothing | S::Reserved | S::InUse | S::Releasing | S::ReleasingSent | S::Foreign => Same,
        },
        Cause::GrantConfirmed | Cause::ReleaseSent => Same,
        Cause::ReleaseConfirmed => match state {
            S::Releasing | S::ReleasingSent => Gone,
            S::Nothing | S::Reserved | S::ReservedUnconfirmed | S::InUse | S::InUseUnconfirmed | S::Foreign => Same,
        },
        Cause::ReleaseRefused => match state {
            S::Releasing | S::ReleasingSent => Becomes(SeatState::InUse),
            S::Nothing | S::Reserved | S::ReservedUnconfirmed | S::InUse | S::InUseUnconfirmed | S::Foreign => Same,
        },
        Cause::Seen => match state {
            S::Nothing => Becomes(SeatState::Foreign),
            S::Reserved
            | S::ReservedUnconfirmed
            | S::InUse
            | S::InUseUnconfirmed
            | S::Releasing
            | S::ReleasingSent
            | S::Foreign => Same,
        },
        Cause::Absent => match state {
            S::Reserved | S::InUse if is_irrevocable => Same,
            S::Reserved | S::InUse | S::Releasing | S::ReleasingSent | S::Foreign => Gone,
            S::Nothing | S::ReservedUnconfirmed | S::InUseUnconfirmed => Same,
        },
        Cause::Adopted => match state {
            S::Nothing => Refused("seat-not-found"),
            S::Foreign => Becomes(SeatState::Reserved),
            S::Reserved | S::ReservedUnconfirmed | S::InUse | S::InUseUnconfirmed | S::Releasing | S::ReleasingSent => {
                Same
            }
        },
    }
}

/// How ada comes to this state, where the kind of pool knows it.
fn way_to(kind: Kind, state: State) -> Option<Vec<Step>> {
    let (unconfirmed, is_revocable) = (kind.is_confirmed(), kind != Kind::Books);
    let granted = vec![granted("ada")];
    let confirmed = if kind.is_confirmed() { vec![confirmed("ada")] } else { Vec::new() };
    let installed = vec![installed("laptop", "ada")];
    let reclaimed = vec![reclaimed("ada")];
    match state {
        State::Nothing => Some(Vec::new()),
        State::Reserved => Some([granted, confirmed].concat()),
        State::ReservedUnconfirmed => unconfirmed.then_some(granted),
        State::InUse => Some([granted, confirmed, installed].concat()),
        State::InUseUnconfirmed => unconfirmed.then(|| [granted, installed].concat()),
        State::Releasing => (unconfirmed && is_revocable).then(|| [granted, confirmed, installed, reclaimed].concat()),
        State::ReleasingSent => (unconfirmed && is_revocable)
            .then(|| [granted, confirmed, installed, reclaimed, vec![release_sent("ada")]].concat()),
        State::Foreign => Some(vec![seen("ada")]),
    }
}

/// What has to hold before, and then what happens.
fn happening(kind: Kind, state: State, cause: Cause) -> (Vec<Step>, Step) {
    let machine = match state {
        State::InUse | State::InUseUnconfirmed => "tablet",
        State::Nothing
        | State::Reserved
        | State::ReservedUnconfirmed
        | State::Releasing
        | State::ReleasingSent
        | State::Foreign => "laptop",
    };
    let (keep, release) = (KeepOrRelease::Keep, KeepOrRelease::Release);
    match cause {
        Cause::Granted => (vec![], granted("ada")),
        // Where an install is on record already, the same one is licensed now.
        Cause::Installed => (vec![], installed(machine, "ada")),
        Cause::UninstalledWherePolicyReleases => (vec![on_uninstall(release)], uninstalled("laptop", "ada")),
        Cause::UninstalledWherePolicyKeeps => (vec![on_uninstall(keep)], uninstalled("laptop", "ada")),
        Cause::CoverageEndsWherePolicyKeeps => (vec![untargeted(keep)], unassigned(0)),
        Cause::CoverageEndsWherePolicyReleases => (vec![untargeted(release)], unassigned(0)),
        Cause::TimedOut => (vec![reservations_time_out_after(7)], days_pass(7)),
        Cause::Departed => (vec![], deactivated("ada")),
        Cause::Reclaimed => (vec![], reclaimed("ada")),
        Cause::PlanCarriedOut => (vec![told_of(kind, vec![item(kind, "office", 0)])], deficit_resolved()),
        Cause::GrantConfirmed => (vec![], confirmed("ada")),
        Cause::GrantRefused => (vec![], grant_refused("ada")),
        Cause::NotEnoughAtStore => (vec![], not_enough("ada")),
        Cause::ReleaseSent => (vec![], release_sent("ada")),
        Cause::ReleaseConfirmed => (vec![], release_confirmed("ada")),
        Cause::ReleaseRefused => (vec![], release_refused("ada")),
        Cause::Seen => (vec![], seen("ada")),
        Cause::Absent => (vec![], absent("ada")),
        Cause::Adopted => (vec![], adopted("ada")),
    }
}

fn outcome(given: &[Step], when: &Step) -> Outcome {
    let mut scenario = Scenario::after(given);
    let seat =
        |scenario: &Scenario| scenario.tenant.pool(PoolId(0)).seats.get(&user("ada").into()).map(|seat| seat.state);
    let before = seat(&scenario);
    let answer = scenario.play(when).answer();
    scenario.assert_the_fold_is_the_state();
    match (answer.rejection, seat(&scenario)) {
        (Some(rejection), after) => {
            assert_eq!(before, after, "refused, but changed");
            Outcome::Refused(rejection.name())
        }
        (None, after) if after == before => Outcome::Same,
        (None, None) => Outcome::Gone,
        (None, Some(after)) => Outcome::Becomes(after),
    }
}

#[test]
fn every_pair_of_state_and_cause_has_a_row_a_refusal_or_changes_nothing() {
    let (mut wrong, mut pairs) = (Vec::new(), 0);
    for kind in Kind::ALL {
        for state in EVERY_STATE.into_iter().flat_map(states_of).copied() {
            let Some(way) = way_to(kind, state) else { continue };
            for cause in every_cause() {
                let (before, when) = happening(kind, state, cause);
                let given = [vec![listed(kind, 2), available("ada")], way.clone(), before].concat();
                let (found, wanted) = (outcome(&given, &when), expected(kind, state, cause));
                pairs += 1;
                if found != wanted {
                    wrong.push(format!("{kind:?}: {state:?} and {cause:?}: {found:?}, the table says {wanted:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    assert_eq!(pairs, 19 * (8 + 4 + 8 + 6 + 4));
}

//! What the ledger must come to for people, devices and groups of both in declared pools, in counts and sets: the rules'
//! chapter 4 without a log or a name, and the brake on what a directory ends. Not here: providers, timers of pools.

mod pool;

use pool::Pool;
use std::cmp::Reverse;
use std::collections::BTreeSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    User(u32),
    Device(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    One(Holder),
    Group(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    Required { is_fill: bool },
    Available,
    Uninstall,
}

const HOUR: u64 = 3_600_000_000;

/// An app on a device, for one user or for all of them.
pub(crate) type Install = (u32, Option<u32>);

/// What is done; pools and groups are named by their places.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Assign(usize, Target, Intent),
    Unassign(usize, Target),
    Install {
        pool: usize,
        install: Install,
        is_report: bool,
    },
    Uninstall(usize, Install),
    /// A user departs, a device is retired; and both come back.
    Leave(Holder),
    Return(Holder),
    Members(usize, Vec<Holder>),
    Owns(usize, u64),
    KeepOnUninstall(usize, bool),
    Reclaim(usize, Holder),
    Grant(usize, Holder),
    ResolveDeficit(usize),
    GraceDays(u64),
    /// A person's word on what the brake has held longest.
    Confirm,
}

/// What reaches a holder in a pool.
#[derive(Debug, Clone, Copy, Default)]
struct Reach {
    required: bool,
    available: bool,
    uninstall: bool,
}

impl Reach {
    fn is_covered(self) -> bool {
        self.required || (self.available && !self.uninstall)
    }

    fn is_to_go(self) -> bool {
        self.uninstall && !self.required
    }
}

/// Why seats end. The brake judges what a directory says of many, and counts whatever a directory ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Unassigned,
    Returned,
    Uncovered,
    Gone,
    /// The last install of somebody's seat was on a device that is retired; which grant of that holder it was.
    Retired(u64),
    /// Was `Retired`, and the app was installed again.
    Moot,
}

type Ending = (usize, Holder, Cause);

#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) pools: Vec<Pool>,
    groups: Vec<Vec<Holder>>,
    /// Departed users and retired devices: nothing covers them.
    pub(crate) gone: BTreeSet<Holder>,
    /// In microseconds, as everything about time here.
    now: u64,
    grace_days: u64,
    /// When a departed user's seats will go.
    graces: BTreeSet<(u64, Holder)>,
    /// More than so many percent, and at least so many seats, wait for a person.
    brake: (u64, u64),
    /// For each seat that a directory ended: when, and how many were held just before.
    ended: Vec<(u64, u64)>,
    /// What waits, oldest first, also what has come to nothing since.
    held: Vec<Vec<Ending>>,
    /// Whether something waited before what is done now, or waits since.
    is_holding: bool,
}

impl Model {
    /// So many pools that own so many seats each, and so many groups without members.
    pub(crate) fn new(pools: usize, owned: u64, groups: usize, brake: (u64, u64)) -> Self {
        let pool = Pool { owned, ..Pool::default() };
        Self { pools: vec![pool; pools], groups: vec![vec![]; groups], brake, ..Self::default() }
    }

    /// How many seats wait in each of the brake's bundles in which some do.
    pub(crate) fn waiting(&self) -> Vec<usize> {
        let counts = self.held.iter().map(|held| held.iter().filter(|ending| self.still_ends(**ending)).count());
        counts.filter(|count| *count > 0).collect()
    }

    fn is_waiting(&self, held: &[Ending]) -> bool {
        held.iter().any(|ending| self.still_ends(*ending))
    }

    fn still_ends(&self, (pool, holder, cause): Ending) -> bool {
        let Some((in_use, grant)) = self.pools[pool].seats.get(&holder) else { return false };
        match cause {
            Cause::Gone => self.gone.contains(&holder) && !self.is_in_grace(holder),
            Cause::Unassigned | Cause::Returned | Cause::Uncovered => {
                !self.covers(pool, holder) && !self.is_in_grace(holder)
            }
            Cause::Retired(of) => !in_use && *grant == of && !self.is_kept_unused(pool, holder),
            Cause::Moot => false,
        }
    }

    fn members(&self, target: Target) -> Vec<Holder> {
        let all = match target {
            Target::One(holder) => vec![holder],
            Target::Group(group) => self.groups[group].clone(),
        };
        all.into_iter().filter(|holder| !self.gone.contains(holder)).collect()
    }

    fn reach(&self, pool: usize, holder: Holder) -> Reach {
        let mut reach = Reach::default();
        let assignments = self.pools[pool].assignments.iter();
        for (_, intent) in assignments.filter(|(target, _)| self.members(**target).contains(&holder)) {
            match intent {
                Intent::Required { .. } => reach.required = true,
                Intent::Available => reach.available = true,
                Intent::Uninstall => reach.uninstall = true,
            }
        }
        reach
    }

    fn covers(&self, pool: usize, holder: Holder) -> bool {
        self.reach(pool, holder).is_covered()
    }

    fn is_in_grace(&self, holder: Holder) -> bool {
        self.graces.iter().any(|(_, user)| *user == holder)
    }

    /// A fact that changes what reaches these: what ends by it, who waited for that, and what begins.
    fn change(&mut self, holders: &[Holder], cause: Cause, fact: impl FnOnce(&mut Self)) {
        let pairs = (0..self.pools.len()).flat_map(|pool| holders.iter().map(move |holder| (pool, *holder)));
        let before: Vec<_> = pairs.map(|(pool, holder)| (pool, holder, self.reach(pool, holder))).collect();
        fact(self);
        let mut endings = vec![];
        for (pool, holder, before) in &before {
            let after = self.reach(*pool, *holder);
            let has_ended = before.is_covered() && !after.is_covered();
            let one = &mut self.pools[*pool];
            if has_ended {
                one.lapsed.remove(holder);
            }
            if !after.required {
                one.queue.retain(|waiting| waiting != holder);
            }
            let is_reserved = one.seats.get(holder).is_some_and(|(in_use, _)| !in_use);
            if is_reserved && (has_ended || (after.is_to_go() && !before.is_to_go())) {
                endings.push((*pool, *holder, cause));
            }
        }
        self.end(endings);
        for (pool, holder, _) in before {
            if self.reach(pool, holder).required {
                self.pools[pool].provide(holder);
            }
        }
    }

    /// Ends seats for one cause, unless the brake holds them all.
    fn end(&mut self, endings: Vec<Ending>) {
        let Some((_, holder, cause)) = endings.first().copied() else { return };
        let recent: Vec<_> = self.ended.iter().filter(|(at, _)| at + HOUR > self.now).collect();
        let held_at_start = recent.first().map_or_else(|| self.seats_held(), |(_, held)| *held);
        let (ending, (percent, at_least)) = ((recent.len() + endings.len()) as u64, self.brake);
        let crosses = ending * 100 > held_at_start * percent && ending >= at_least;
        let is_held = match (cause, holder) {
            (Cause::Unassigned | Cause::Returned, _) => false,
            // one person's departure alone never is
            (Cause::Gone, Holder::User(_)) => self.is_holding || (crosses && !recent.is_empty()),
            (Cause::Uncovered | Cause::Gone | Cause::Retired(_) | Cause::Moot, _) => self.is_holding || crosses,
        };
        if !is_held {
            return self.carry_out(&endings);
        }
        for (pool, holder, _) in &endings {
            let one = &mut self.pools[*pool];
            let has_install = one.installs.values().any(|seat| *seat == Some(*holder));
            one.seats.entry(*holder).and_modify(|(in_use, _)| *in_use = has_install);
        }
        self.held.push(endings);
        self.is_holding = true;
    }

    fn carry_out(&mut self, endings: &[Ending]) {
        for (pool, holder, cause) in endings {
            if self.pools[*pool].seats.contains_key(holder) {
                if *cause != Cause::Unassigned {
                    self.ended.push((self.now, self.seats_held()));
                }
                let lapses = matches!(cause, Cause::Retired(_)) && self.covers(*pool, *holder);
                self.pools[*pool].release(*holder, lapses);
            }
        }
        endings.iter().for_each(|(pool, holder, _)| self.license_by_people(*pool, *holder));
        endings.iter().for_each(|(pool, ..)| self.pools[*pool].serve());
    }

    fn take_back(&mut self, pool: usize, holder: Holder) {
        let covered = self.covers(pool, holder);
        self.pools[pool].release(holder, covered);
        self.license_by_people(pool, holder);
        self.pools[pool].serve();
    }

    fn license_by_people(&mut self, pool: usize, holder: Holder) {
        for user in self.pools[pool].license_by_people(holder) {
            self.is_used_again(pool, user);
        }
    }

    /// A seat that was to end with its last install does not.
    fn is_used_again(&mut self, pool: usize, holder: Holder) {
        for (at, of, cause) in self.held.iter_mut().flatten().filter(|(_, _, c)| matches!(c, Cause::Retired(_))) {
            if (*at, *of) == (pool, holder) {
                *cause = Cause::Moot;
            }
        }
    }

    fn seats_held(&self) -> u64 {
        self.pools.iter().map(|pool| pool.seats.len() as u64).sum()
    }

    fn all_of(&self, holder: Holder) -> Vec<Ending> {
        let held = (0..self.pools.len()).filter(|pool| self.pools[*pool].seats.contains_key(&holder));
        held.map(|pool| (pool, holder, Cause::Gone)).collect()
    }

    /// The clock was advanced, or a restart has set it.
    pub(crate) fn is_now(&mut self, now: u64) {
        self.now = now;
        self.is_holding = self.held.iter().any(|held| self.is_waiting(held));
        while let Some((until, user)) = self.graces.first().copied().filter(|(until, _)| *until <= now) {
            self.graces.remove(&(until, user));
            self.end(self.all_of(user));
        }
    }

    pub(crate) fn take(&mut self, act: &Act) {
        self.is_holding = self.held.iter().any(|held| self.is_waiting(held));
        match act.clone() {
            Act::Assign(pool, target, intent) => self.assign(pool, target, intent),
            Act::Unassign(pool, target) => self.change(&self.members(target), Cause::Unassigned, |model| {
                model.pools[pool].assignments.remove(&target);
            }),
            Act::Install { pool, install, is_report } => self.install(pool, install, is_report),
            Act::Uninstall(pool, install) => self.uninstall(pool, install),
            Act::Leave(holder) => self.leave(holder),
            Act::Return(holder) => {
                let is_user = matches!(holder, Holder::User(_));
                self.change(&[holder], if is_user { Cause::Returned } else { Cause::Uncovered }, |model| {
                    model.gone.remove(&holder);
                    if let Holder::Device(device) = holder {
                        for pool in &mut model.pools {
                            pool.retired.remove(&device);
                        }
                    }
                    model.graces.retain(|(_, user)| *user != holder);
                });
            }
            Act::Members(group, members) => {
                let old = self.groups[group].clone();
                let (stay, go): (Vec<_>, Vec<_>) = old.iter().partition(|member| members.contains(member));
                let come: Vec<_> = members.into_iter().filter(|member| !old.contains(member)).collect();
                self.change(&[&go[..], &come].concat(), Cause::Uncovered, |model| {
                    model.groups[group] = [stay, come.clone()].concat();
                });
            }
            Act::Owns(pool, owned) => {
                self.pools[pool].owned = owned;
                self.pools[pool].serve();
            }
            Act::KeepOnUninstall(pool, is_kept) => self.pools[pool].is_kept_on_uninstall = is_kept,
            Act::Reclaim(pool, holder) if self.pools[pool].seats.contains_key(&holder) => {
                self.take_back(pool, holder);
            }
            Act::Grant(pool, holder) if self.covers(pool, holder) && self.pools[pool].free() > 0 => {
                self.pools[pool].lapsed.remove(&holder);
                self.pools[pool].provide(holder);
            }
            Act::Reclaim(..) | Act::Grant(..) => {}
            Act::ResolveDeficit(pool) => self.resolve(pool),
            Act::GraceDays(days) => self.grace_days = days,
            Act::Confirm => self.confirm(),
        }
    }

    fn assign(&mut self, pool: usize, target: Target, intent: Intent) {
        let members = self.members(target);
        let one = &self.pools[pool];
        let lacking = members.iter().filter(|holder| !one.seats.contains_key(holder)).count() as u64;
        let (needed, is_required) = match intent {
            Intent::Required { is_fill } => (if is_fill { 0 } else { lacking }, true),
            Intent::Available => (1, false),
            Intent::Uninstall => (0, false),
        };
        let is_gone = matches!(target, Target::One(holder) if self.gone.contains(&holder));
        if !is_gone && !one.assignments.contains_key(&target) && needed <= one.free() {
            self.change(&members, Cause::Unassigned, |model| {
                let one = &mut model.pools[pool];
                one.assignments.insert(target, intent);
                one.lapsed.retain(|holder| !(is_required && members.contains(holder)));
            });
        }
    }

    /// By a seat that the device or the user holds, or by one for whom it covers.
    fn install(&mut self, pool: usize, install: Install, is_report: bool) {
        let (device, user) = (Holder::Device(install.0), install.1.map(Holder::User));
        let of_user = user.map(|user| self.reach(pool, user)).unwrap_or_default();
        let of_device = self.reach(pool, device);
        let user_objects = of_user.is_to_go() && !of_device.required;
        let by_device = Some(device).filter(|_| of_device.is_covered() && !user_objects);
        let covered = by_device.or(user.filter(|_| of_user.is_covered()));
        let is_retired = self.gone.contains(&device);
        let one = &mut self.pools[pool];
        let seated = [Some(device), user].into_iter().flatten().find(|holder| one.seats.contains_key(holder));
        let by = seated.or(covered.filter(|_| one.free() > 0)).filter(|_| !is_retired);
        match (one.installs.get(&install).copied().flatten(), by) {
            (None, Some(holder)) => {
                if seated.is_none() {
                    one.grant(holder, true);
                }
                one.seats.entry(holder).and_modify(|(in_use, _)| *in_use = true);
                one.installs.insert(install, Some(holder));
                self.is_used_again(pool, holder);
            }
            (None, None) if is_report => drop(one.installs.insert(install, None)),
            (None, None) | (Some(_), _) => {}
        }
    }

    fn uninstall(&mut self, pool: usize, install: Install) {
        if let Some(holder) = self.unused_without(pool, install) {
            self.take_back(pool, holder);
        }
    }

    /// Takes an install away; whose seat is to end with it.
    fn unused_without(&mut self, pool: usize, install: Install) -> Option<Holder> {
        let holder = self.pools[pool].installs.remove(&install)??;
        let is_kept = self.is_kept_unused(pool, holder);
        let one = &mut self.pools[pool];
        if one.installs.values().any(|seat| *seat == Some(holder)) {
            return None;
        }
        if is_kept {
            one.seats.entry(holder).and_modify(|(in_use, _)| *in_use = false);
        }
        Some(holder).filter(|_| !is_kept)
    }

    fn is_kept_unused(&self, pool: usize, holder: Holder) -> bool {
        self.pools[pool].is_kept_on_uninstall && (self.covers(pool, holder) || self.is_in_grace(holder))
    }

    fn leave(&mut self, holder: Holder) {
        if !self.gone.insert(holder) {
            return;
        }
        for pool in &mut self.pools {
            pool.queue.retain(|waiting| *waiting != holder);
            pool.lapsed.remove(&holder);
        }
        match holder {
            Holder::User(_) => {
                self.pools
                    .iter_mut()
                    .for_each(|pool| pool.assignments.retain(|target, _| *target != Target::One(holder)));
                if self.grace_days > 0 {
                    self.graces.insert((self.now + self.grace_days * 24 * HOUR, holder));
                } else {
                    self.end(self.all_of(holder));
                }
            }
            Holder::Device(device) => {
                for pool in &mut self.pools {
                    pool.retired.insert(device);
                }
                let mut endings = self.all_of(holder);
                for pool in 0..self.pools.len() {
                    let installs: Vec<_> = self.pools[pool].installs.keys().copied().collect();
                    for install in installs.into_iter().filter(|(on, _)| *on == device) {
                        if let Some(of) = self.unused_without(pool, install).filter(|of| *of != holder) {
                            let (_, grant) = self.pools[pool].seats[&of];
                            endings.push((pool, of, Cause::Retired(grant)));
                        }
                    }
                }
                self.end(endings);
            }
        }
    }

    fn resolve(&mut self, pool: usize) {
        let one = &self.pools[pool];
        let over = one.seats.len().saturating_sub(usize::try_from(one.owned).expect("few"));
        let ranked = one.seats.iter().map(|(holder, (in_use, grant))| {
            let (covered, stays) = (self.covers(pool, *holder), !self.is_in_grace(*holder));
            (stays, covered, *in_use && stays, Reverse(*grant), *holder)
        });
        let mut plan: Vec<_> = ranked.collect();
        plan.sort();
        plan.truncate(over);
        plan.iter().for_each(|(_, covered, _, _, holder)| self.pools[pool].release(*holder, *covered));
        plan.iter().for_each(|(.., holder)| self.license_by_people(pool, *holder));
    }

    fn confirm(&mut self) {
        let Some(first) = self.held.iter().position(|held| self.is_waiting(held)) else { return };
        let mut endings = self.held.remove(first);
        endings.retain(|ending| self.still_ends(*ending));
        self.carry_out(&endings);
        let held = std::mem::take(&mut self.held);
        self.held = held.into_iter().filter(|held| self.is_waiting(held)).collect();
        if self.held.is_empty() {
            self.ended.clear();
        }
    }
}

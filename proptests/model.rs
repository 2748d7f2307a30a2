//! What the ledger must come to for people, groups of people and their devices in declared pools, in counts and sets: the
//! rules' chapter 4 without a log, a clock or a name. Not here: device seats, providers, grace, timers.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    User(u32),
    Group(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    Required { is_fill: bool },
    Available,
    Uninstall,
}

/// What is done; pools and groups are named by their places.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Assign(usize, Target, Intent),
    Unassign(usize, Target),
    Install { pool: usize, device: u32, user: u32, is_report: bool },
    Uninstall { pool: usize, device: u32, user: u32 },
    Depart(u32),
    Return(u32),
    Members(usize, Vec<u32>),
    Retire(u32),
    Enroll(u32),
    Owns(usize, u64),
    KeepOnUninstall(usize, bool),
    Reclaim(usize, u32),
    Grant(usize, u32),
    ResolveDeficit(usize),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Pool {
    pub(crate) owned: u64,
    is_kept_on_uninstall: bool,
    /// By user: whether it is in use, and the how-manieth grant it was.
    pub(crate) seats: BTreeMap<u32, (bool, u64)>,
    pub(crate) queue: Vec<u32>,
    lapsed: BTreeSet<u32>,
    /// By device and user: whether a seat licenses it.
    pub(crate) installs: BTreeMap<(u32, u32), bool>,
    assignments: BTreeMap<Target, Intent>,
    grants: u64,
}

impl Pool {
    pub(crate) fn owning(owned: u64) -> Self {
        Self { owned, ..Self::default() }
    }

    fn free(&self) -> u64 {
        self.owned.saturating_sub(self.seats.len() as u64)
    }

    fn grant(&mut self, user: u32, by_install: bool) {
        self.queue.retain(|waiting| *waiting != user);
        self.lapsed.remove(&user);
        let mut in_use = by_install;
        for (_, licensed) in self.installs.iter_mut().filter(|((_, of), _)| *of == user) {
            (*licensed, in_use) = (true, true);
        }
        self.grants += 1;
        assert!(self.seats.insert(user, (in_use, self.grants)).is_none(), "one seat a holder");
    }

    fn serve(&mut self) {
        while self.free() > 0 && !self.queue.is_empty() {
            self.grant(self.queue[0], false);
        }
    }

    fn provide(&mut self, user: u32, is_new_assignment: bool) {
        if self.seats.contains_key(&user) || (self.lapsed.contains(&user) && !is_new_assignment) {
        } else if self.free() > 0 {
            self.grant(user, false);
        } else if !self.queue.contains(&user) {
            self.lapsed.remove(&user);
            self.queue.push(user);
        }
    }

    fn release(&mut self, user: u32, lapses: bool) {
        self.seats.remove(&user);
        self.installs.iter_mut().filter(|((_, of), _)| *of == user).for_each(|(_, licensed)| *licensed = false);
        if lapses {
            self.lapsed.insert(user);
        }
    }
}

/// Required, available, to be uninstalled: what reaches a user in a pool.
type Reach = (bool, bool, bool);

fn is_covered((required, available, uninstall): Reach) -> bool {
    required || (available && !uninstall)
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) pools: Vec<Pool>,
    pub(crate) groups: Vec<Vec<u32>>,
    pub(crate) departed: BTreeSet<u32>,
    /// Those whom a return may have offered seats: what `/grant` says to them is not predicted.
    pub(crate) returned: BTreeSet<u32>,
    pub(crate) retired: BTreeSet<u32>,
}

impl Model {
    fn reach(&self, pool: usize, user: u32) -> Reach {
        let mut reach = (false, false, false);
        if self.departed.contains(&user) {
            return reach;
        }
        for (target, intent) in &self.pools[pool].assignments {
            let is_reached = match target {
                Target::User(one) => *one == user,
                Target::Group(group) => self.groups[*group].contains(&user),
            };
            match intent {
                Intent::Required { .. } => reach.0 |= is_reached,
                Intent::Available => reach.1 |= is_reached,
                Intent::Uninstall => reach.2 |= is_reached,
            }
        }
        reach
    }

    fn members(&self, target: Target) -> Vec<u32> {
        let all = match target {
            Target::User(user) => vec![user],
            Target::Group(group) => self.groups[group].clone(),
        };
        all.into_iter().filter(|user| !self.departed.contains(user)).collect()
    }

    /// After a change of who is reached: what ends, for whom, and who waited for it.
    fn end(&mut self, pool: usize, before: &[(u32, Reach)]) {
        for (user, before) in before {
            let after = self.reach(pool, *user);
            let has_ended = is_covered(*before) && !is_covered(after);
            let to_go = |(required, _, uninstall): Reach| uninstall && !required;
            let one = &mut self.pools[pool];
            if has_ended {
                one.lapsed.remove(user);
            }
            if !after.0 {
                one.queue.retain(|waiting| waiting != user);
            }
            let is_reserved = one.seats.get(user).is_some_and(|(in_use, _)| !in_use);
            if is_reserved && (has_ended || (to_go(after) && !to_go(*before))) {
                one.release(*user, false);
            }
        }
        self.pools[pool].serve();
    }

    fn settle(&mut self, pool: usize, before: &[(u32, Reach)]) {
        self.end(pool, before);
        for (user, before) in before {
            if self.reach(pool, *user).0 && !before.0 {
                self.pools[pool].provide(*user, false);
            }
        }
    }

    fn reaches(&self, pool: usize, users: &[u32]) -> Vec<(u32, Reach)> {
        users.iter().map(|user| (*user, self.reach(pool, *user))).collect()
    }

    fn uninstall(&mut self, pool: usize, device: u32, user: u32) {
        let covered = is_covered(self.reach(pool, user));
        let one = &mut self.pools[pool];
        if one.installs.remove(&(device, user)) != Some(true) {
            return;
        }
        if one.installs.iter().any(|((_, of), licensed)| *of == user && *licensed) {
            return;
        }
        if one.is_kept_on_uninstall && covered {
            if let Some((in_use, _)) = one.seats.get_mut(&user) {
                *in_use = false;
            }
        } else {
            one.release(user, covered);
            one.serve();
        }
    }

    pub(crate) fn take(&mut self, act: &Act) {
        match act.clone() {
            Act::Assign(pool, target, intent) => self.assign(pool, target, intent),
            Act::Unassign(pool, target) => {
                let before = self.reaches(pool, &self.members(target));
                if self.pools[pool].assignments.remove(&target).is_some() {
                    self.settle(pool, &before);
                }
            }
            Act::Install { pool, device, user, is_report } => self.install(pool, device, user, is_report),
            Act::Uninstall { pool, device, user } => self.uninstall(pool, device, user),
            Act::Depart(user) => {
                if self.departed.insert(user) {
                    for pool in &mut self.pools {
                        pool.queue.retain(|waiting| *waiting != user);
                        pool.lapsed.remove(&user);
                        pool.assignments.remove(&Target::User(user));
                        pool.release(user, false);
                        pool.serve();
                    }
                }
            }
            Act::Return(user) => {
                if self.departed.remove(&user) {
                    self.returned.insert(user);
                    for pool in 0..self.pools.len() {
                        self.settle(pool, &[(user, Reach::default())]);
                    }
                }
            }
            Act::Members(group, members) => {
                let old = self.groups[group].clone();
                let removed = old.iter().copied().filter(|user| !members.contains(user));
                let added: Vec<u32> = members.iter().copied().filter(|user| !old.contains(user)).collect();
                let changed: Vec<u32> = removed.chain(added.iter().copied()).collect();
                let touched: Vec<usize> = (0..self.pools.len())
                    .filter(|pool| self.pools[*pool].assignments.contains_key(&Target::Group(group)))
                    .collect();
                let before: Vec<_> = touched.iter().map(|pool| (*pool, self.reaches(*pool, &changed))).collect();
                self.groups[group].retain(|user| members.contains(user));
                self.groups[group].extend(added);
                before.iter().for_each(|(pool, before)| self.settle(*pool, before));
            }
            Act::Retire(device) => {
                if self.retired.insert(device) {
                    for pool in 0..self.pools.len() {
                        let installs: Vec<_> = self.pools[pool].installs.keys().copied().collect();
                        for (on, user) in installs.into_iter().filter(|(on, _)| *on == device) {
                            self.uninstall(pool, on, user);
                        }
                    }
                }
            }
            Act::Enroll(device) => {
                self.retired.remove(&device);
            }
            Act::Owns(pool, owned) => {
                self.pools[pool].owned = owned;
                self.pools[pool].serve();
            }
            Act::KeepOnUninstall(pool, is_kept) => self.pools[pool].is_kept_on_uninstall = is_kept,
            Act::Reclaim(pool, user) => {
                let covered = is_covered(self.reach(pool, user));
                if self.pools[pool].seats.contains_key(&user) {
                    self.pools[pool].release(user, covered);
                    self.pools[pool].serve();
                }
            }
            Act::Grant(pool, user) => {
                let covered = is_covered(self.reach(pool, user));
                let one = &mut self.pools[pool];
                if covered && one.free() > 0 && !one.seats.contains_key(&user) {
                    one.grant(user, false);
                }
            }
            Act::ResolveDeficit(pool) => {
                let over =
                    self.pools[pool].seats.len().saturating_sub(usize::try_from(self.pools[pool].owned).expect("few"));
                let rank = |(user, (in_use, grant)): (&u32, &(bool, u64))| {
                    let covered = is_covered(self.reach(pool, *user));
                    ((covered, *in_use), std::cmp::Reverse(*grant), *user, covered)
                };
                let mut plan: Vec<_> = self.pools[pool].seats.iter().map(rank).collect();
                plan.sort();
                plan.into_iter().take(over).for_each(|(_, _, user, covered)| self.pools[pool].release(user, covered));
            }
        }
    }

    fn assign(&mut self, pool: usize, target: Target, intent: Intent) {
        let members = self.members(target);
        let one = &self.pools[pool];
        let lacking = members.iter().filter(|user| !one.seats.contains_key(user)).count() as u64;
        let needed = match intent {
            Intent::Required { is_fill: false } => lacking,
            Intent::Available => 1,
            Intent::Required { is_fill: true } | Intent::Uninstall => 0,
        };
        let is_gone = matches!(target, Target::User(user) if self.departed.contains(&user));
        if is_gone || one.assignments.contains_key(&target) || needed > one.free() {
            return;
        }
        let before = self.reaches(pool, &members);
        self.pools[pool].assignments.insert(target, intent);
        self.end(pool, &before);
        if matches!(intent, Intent::Required { .. }) {
            members.iter().for_each(|user| self.pools[pool].provide(*user, true));
        }
    }

    fn install(&mut self, pool: usize, device: u32, user: u32, is_report: bool) {
        let covered = is_covered(self.reach(pool, user));
        let is_retired = self.retired.contains(&device);
        let one = &mut self.pools[pool];
        if one.installs.get(&(device, user)) == Some(&true) {
            return;
        }
        let has_seat = one.seats.contains_key(&user);
        if !is_retired && (has_seat || (covered && one.free() > 0)) {
            if !has_seat {
                one.grant(user, true);
            }
            one.seats.entry(user).and_modify(|(in_use, _)| *in_use = true);
            one.installs.insert((device, user), true);
        } else if is_report {
            one.installs.entry((device, user)).or_insert(false);
        }
    }
}

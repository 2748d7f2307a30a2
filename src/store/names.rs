//! Between the ledger's holders and the names that a store has for them. Plain names live here while a pass is compared or
//! a request is made, and nowhere else.

use super::compare::Names;
use super::terms::StoreHolder;
use crate::domain::command::{DeviceRef, UserRef};
use crate::domain::event::Event;
use crate::domain::event_type::EventType;
use crate::domain::ids::{Holder, PoolId, TenantId};
use crate::domain::personal::{Personal, UserProfile};
use crate::domain::state::Tenant;
use crate::ledger::{EventQuery, Ledger};
use std::collections::BTreeMap;

/// How the store spelled the holders of seats when it was last read, or granted them: somebody may have been renamed since.
pub type OldNames = BTreeMap<(PoolId, Holder), StoreHolder>;

/// Changes of a name that are read at one time.
const RENAMES_PAGE: usize = 20;

/// As a name: it may look like one of our ids, and is none.
#[must_use]
pub fn forced(name: &str) -> String {
    format!("name:{name}")
}

/// A name of the store's as the ledger looks it up.
#[derive(Debug, Clone, Copy)]
pub enum Reference {
    User(UserRef),
    Device(DeviceRef),
}

impl Reference {
    #[must_use]
    pub fn of(ledger: &Ledger, tenant: TenantId, name: &StoreHolder) -> Self {
        match name {
            StoreHolder::User(name) => Self::User(ledger.user_ref(tenant, &forced(name))),
            StoreHolder::Device(serial) => Self::Device(ledger.device_ref(tenant, &forced(serial))),
        }
    }

    /// Who has the name in this state.
    #[must_use]
    pub fn find(self, tenant: &Tenant) -> Option<Holder> {
        match self {
            Self::User(UserRef::Id(user)) => Some(Holder::User(user)),
            Self::User(UserRef::Name(blind)) => tenant.names.user(blind).map(Holder::User),
            Self::Device(DeviceRef::Id(device)) => Some(Holder::Device(device)),
            Self::Device(DeviceRef::Name { serial, .. }) => tenant.names.device_by_serial(serial).map(Holder::Device),
        }
    }
}

/// Looks names up in a state and in the vault. Blocking.
pub struct Directory<'a> {
    pub ledger: &'a Ledger,
    pub id: TenantId,
    pub tenant: &'a Tenant,
    pub old: &'a OldNames,
}

impl Directory<'_> {
    /// What the store is to call a holder; `None` once the person is erased, and for a device without a serial number.
    #[must_use]
    pub fn name(&self, holder: Holder) -> Option<StoreHolder> {
        Self::open(self.ledger, holder, &self.tenant.names.of(holder)?.personal).0
    }

    /// The holder's name, and its first mail address or a user name that is one.
    #[must_use]
    pub fn open(ledger: &Ledger, holder: Holder, personal: &Personal) -> (Option<StoreHolder>, Option<String>) {
        match holder {
            Holder::User(_) => match ledger.user_profile(personal) {
                Some(UserProfile { user_name, emails, .. }) => {
                    let named = user_name.contains('@').then(|| user_name.clone());
                    (Some(StoreHolder::User(user_name)), emails.into_iter().next().or(named))
                }
                None => (None, None),
            },
            Holder::Device(_) => {
                let serial = ledger.device_names(personal).and_then(|names| names.serial);
                (serial.map(StoreHolder::Device), None)
            }
        }
    }
}

/// The name that an event gives a holder.
fn named_in(ledger: &Ledger, event: &Event, holder: Holder) -> Option<StoreHolder> {
    let (of, personal) = if let Event::UserAdded { user, profile } | Event::UserChanged { user, profile } = event {
        (Holder::User(*user), profile)
    } else if let Event::DeviceAdded { device, names, .. } | Event::DeviceChanged { device, names, .. } = event {
        (Holder::Device(*device), names)
    } else {
        return None;
    };
    if of != holder {
        return None;
    }
    Directory::open(ledger, holder, personal).0
}

/// What a holder was called since a position, the latest first. Blocking, and dear.
pub fn names_since(ledger: &Ledger, tenant: TenantId, holder: Holder, position: u64) -> Vec<StoreHolder> {
    let named = vec![EventType::UserAdded, EventType::UserChanged, EventType::DeviceAdded, EventType::DeviceChanged];
    let (user, device) = match holder {
        Holder::User(user) => (Some(user), None),
        Holder::Device(device) => (None, Some(device)),
    };
    let mut query = EventQuery { types: named, user, device, newest_first: true, ..EventQuery::default() };
    query.limit = RENAMES_PAGE;
    let mut names = Vec::new();
    // what can't be read any more names nobody, and its seat is waited for
    'pages: while let Ok(page) = ledger.query(tenant, &query) {
        for recorded in &page.events {
            if let Some(name) = named_in(ledger, &recorded.event, holder) {
                if !names.contains(&name) {
                    names.push(name);
                }
                // and the one that the holder had at that moment
                if recorded.position <= position {
                    break 'pages;
                }
            }
        }
        match page.next {
            Some(next) => query.to = Some(next),
            None => break,
        }
    }
    names
}

impl Names for Directory<'_> {
    fn of(&self, pool: PoolId, holder: Holder) -> Vec<StoreHolder> {
        self.old.get(&(pool, holder)).cloned().into_iter().chain(self.name(holder)).collect()
    }

    fn since(&self, holder: Holder, position: u64) -> Vec<StoreHolder> {
        names_since(self.ledger, self.id, holder, position)
    }

    fn holder(&self, name: &StoreHolder) -> Option<Holder> {
        Reference::of(self.ledger, self.id, name).find(self.tenant)
    }

    fn was_ours(&self, pool: PoolId, holder: Holder) -> bool {
        let (user, device) = match holder {
            Holder::User(user) => (Some(user), None),
            Holder::Device(device) => (None, Some(device)),
        };
        let granted = vec![EventType::SeatGranted, EventType::ForeignSeatAdopted];
        let query = EventQuery { types: granted, pool: Some(pool), user, device, limit: 1, ..EventQuery::default() };
        // where the index can't be asked, one more pass is waited for
        self.ledger.query(self.id, &query).map_or(true, |page| !page.events.is_empty())
    }
}

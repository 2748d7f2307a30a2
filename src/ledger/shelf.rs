//! What is published: one view a tenant, taken from every group after it is durable and before anyone is answered. Not
//! here: questions about it.

use super::ReadError;
use crate::domain::event::Recorded;
use crate::domain::ids::TenantId;
use crate::domain::state::{LOOK_AHEAD, Tenant};
use crate::log::archive::Put;
use crate::log::writer::Audience;
use crate::projection::{Gone, View};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use tokio::sync::watch;

/// What is published: one view a tenant.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) tenants: RwLock<Vec<Arc<Desk>>>,
    pub(super) slugs: RwLock<HashMap<String, TenantId>>,
}

pub(super) struct Desk {
    pub(super) view: RwLock<View>,
    pub(super) head: watch::Sender<u64>,
}

impl Audience for Arc<Shelf> {
    type Copy = Vec<View>;
    type Gone = Vec<Gone>;

    fn copy(&self) -> Vec<View> {
        self.tenants.read().iter().map(|desk| desk.view.read().clone()).collect()
    }

    fn archive(copy: &mut Vec<View>, put: &mut Put<'_>) -> io::Result<Vec<Gone>> {
        copy.iter_mut().map(|view| view.archive(put)).collect()
    }

    fn let_go(&mut self, gone: Vec<Gone>) {
        for (desk, gone) in self.tenants.read().iter().zip(gone) {
            desk.view.write().let_go(&gone);
        }
    }

    fn states(&self) -> Vec<Tenant> {
        self.tenants.read().iter().map(|desk| desk.view.read().state.clone()).collect()
    }

    fn restore(&mut self, copy: Vec<View>) {
        let mut slugs = self.slugs.write();
        *self.tenants.write() = (0..)
            .map(TenantId)
            .zip(copy)
            .map(|(tenant, view)| {
                slugs.insert(view.state.slug.clone(), tenant);
                let head = watch::Sender::new(view.state.next_position.saturating_sub(1));
                Arc::new(Desk { view: RwLock::new(view), head })
            })
            .collect();
    }

    fn take(&mut self, _group: u64, records: &[(TenantId, Recorded)]) {
        for part in records.chunk_by(|(a, _), (b, _)| a == b) {
            let (Some((tenant, _)), Some((_, last))) = (part.first(), part.last()) else { continue };
            let desk = self.desk_or_new(*tenant);
            let slug = {
                let mut view = desk.view.write();
                for next in part.chunks(LOOK_AHEAD) {
                    view.state.look_ahead(next.iter().map(|(_, recorded)| &recorded.event));
                    next.iter().for_each(|(_, recorded)| view.take(recorded));
                }
                view.state.slug.clone()
            };
            if !self.slugs.read().contains_key(&slug) {
                self.slugs.write().insert(slug, *tenant);
            }
            desk.head.send_replace(last.position);
        }
    }
}

impl Shelf {
    pub(super) fn desk(&self, tenant: TenantId) -> Result<Arc<Desk>, ReadError> {
        self.tenants.read().get(tenant.index()).cloned().ok_or(ReadError::TenantNotFound)
    }

    fn desk_or_new(&self, tenant: TenantId) -> Arc<Desk> {
        if let Ok(desk) = self.desk(tenant) {
            return desk;
        }
        let mut tenants = self.tenants.write();
        while tenants.len() <= tenant.index() {
            tenants.push(Arc::new(Desk { view: RwLock::new(View::new()), head: watch::Sender::new(0) }));
        }
        Arc::clone(tenants.last().expect("a desk was just put there"))
    }
}

//! What speaks of a part of the history: a head over exactly so many records, and a certificate; and the keys that go with it. Not
//! here: what a certificate says (`audit::certificate`), and bundles (`audit::bundle`).

use super::{Hash, VerifierKey};
use crate::domain::ids::TenantId;
use crate::ledger::{Ledger, ReadError};
use crate::merkle::{Note, root_at};

impl Ledger {
    /// A signed head over exactly so many records, at least one: the last one, with its cosignatures, if that is it; else
    /// one of an older size, of which the last head is a continuation. Blocking.
    ///
    /// # Errors
    /// When there are not so many, the log can't be read, or the disk said no.
    pub fn checkpoint_at(&self, tenant: TenantId, size: u64) -> Result<(Hash, String), ReadError> {
        let last = self.signed_over(tenant, size)?;
        if last.size == size {
            return Ok((last.root, last.note.clone()));
        }
        let tree = self.0.writer.reader().tree(tenant.0);
        let root = root_at(&tree, size).map_err(|error| ReadError::Log(format!("the head of {size}: {error}")))?;
        let slug = self.0.shelf.slug(tenant).ok_or(ReadError::TenantNotFound)?;
        let note = self.0.evidence.heads.sign_older(&slug, size, root);
        note.map(|note| (root, note)).map_err(|error| ReadError::NotSigned(error.to_string()))
    }

    /// Signs the lines of a certificate of this tenant.
    ///
    /// # Errors
    /// When there is no such tenant, or no note can have these lines.
    pub fn certify(&self, tenant: TenantId, lines: &str) -> Result<Note, ReadError> {
        let slug = self.0.shelf.slug(tenant).ok_or(ReadError::TenantNotFound)?;
        self.0.evidence.heads.certify(&slug, lines).map_err(|error| ReadError::NotSigned(error.to_string()))
    }

    /// The keys of the witnesses that are asked to cosign heads.
    #[must_use]
    pub fn witness_keys(&self) -> Vec<VerifierKey> {
        self.0.evidence.cosigned().witnessing().witnesses.clone()
    }
}

//! The tenant itself: its name, settings, credentials, store accounts and management tools.

use super::{Judge, Ruling, Verdict};
use crate::domain::asked::About;
use crate::domain::event::Event;
use crate::domain::facts::{Role, SettingsPatch};
use crate::domain::ids::TokenId;
use crate::domain::key::Provider;
use crate::domain::rejection::Rejection;
use crate::domain::report::{ReportAsked, ReportName};
use crate::domain::state::ReadKey;
use crate::domain::time::Time;

impl Judge<'_> {
    pub(super) fn rename_tenant(&mut self, name: &str) -> Verdict {
        if self.tenant.name == name {
            return Verdict::Unchanged(About::Tenant);
        }
        self.emit(Event::TenantRenamed { name: name.to_owned() });
        Verdict::Done
    }

    pub(super) fn change_settings(&mut self, patch: &SettingsPatch) -> Verdict {
        let mut settings = self.tenant.settings.clone();
        if let Some(language) = &patch.language {
            settings.language.clone_from(language);
        }
        settings.sync_enabled = patch.sync_enabled.unwrap_or(settings.sync_enabled);
        settings.departure_grace_days = patch.departure_grace_days.unwrap_or(settings.departure_grace_days);
        settings.return_window_days = patch.return_window_days.unwrap_or(settings.return_window_days);
        settings.brake = patch.brake.unwrap_or(settings.brake);
        if settings == self.tenant.settings {
            return Verdict::Unchanged(About::Tenant);
        }
        self.emit(Event::SettingsChanged { settings });
        Verdict::Done
    }

    pub(super) fn issue_token(&mut self, name: &str, role: Role, hash: [u8; 32], expires_at: Option<Time>) -> Ruling {
        if expires_at.is_some_and(|end| end <= self.now) {
            return Err(Rejection::EndsInPast);
        }
        let token = TokenId::at(self.tenant.tokens.len());
        self.emit(Event::TokenIssued { token, name: name.to_owned(), role, hash, expires_at });
        Ok(Verdict::Done)
    }

    /// Taken from any role: reading changes nothing and leaves a trace. The same read by the same actor within an hour is one.
    pub(super) fn read_report(&mut self, report: ReportName, asked: ReportAsked, position: u64) -> Verdict {
        let key = ReadKey { actor: self.actor, report, asked };
        if self.tenant.reads.is_fresh(&key, self.now) {
            return Verdict::Unchanged(About::Tenant);
        }
        self.emit(Event::ReportRead { report, asked, position });
        Verdict::Done
    }

    /// Asked again after a cut, it is so already.
    pub(super) fn rotate_log_key(&mut self, old_key: Option<&str>, new_key: &str, is_old_key_lost: bool) -> Verdict {
        if self.tenant.log_keys.last().is_some_and(|last| last.new_key == new_key) {
            return Verdict::Unchanged(About::Tenant);
        }
        let (old_key, new_key) = (old_key.map(str::to_owned), new_key.to_owned());
        self.emit(Event::LogKeyRotated { old_key, new_key, is_old_key_lost });
        Verdict::Done
    }

    pub(super) fn revoke_token(&mut self, token: TokenId) -> Ruling {
        let entry = self.tenant.tokens.get(token.index()).ok_or(Rejection::TokenNotFound)?;
        if entry.is_revoked {
            return Ok(Verdict::Unchanged(About::Token(token)));
        }
        self.emit(Event::TokenRevoked { token });
        Ok(Verdict::Done)
    }

    /// Once linked, an account can't be swapped for another, and no two tenants may link the same one.
    pub(super) fn link_store_account(
        &mut self,
        provider: Provider,
        account_id: &str,
        settings: &str,
        is_linked_elsewhere: bool,
    ) -> Ruling {
        match self.tenant.accounts.get(&provider) {
            Some(linked) if !linked.is(provider, account_id) => return Err(Rejection::StoreAccountAlreadyLinked),
            Some(linked) => {
                self.precondition(linked.etag)?;
                if linked.settings == settings {
                    return Ok(Verdict::Unchanged(About::StoreAccount(provider)));
                }
                self.emit(Event::StoreAccountChanged { provider, settings: settings.to_owned() });
            }
            None if is_linked_elsewhere => return Err(Rejection::StoreAccountAlreadyLinked),
            None => {
                self.precondition_of_new()?;
                let (account_id, settings) = (account_id.to_owned(), settings.to_owned());
                self.emit(Event::StoreAccountLinked { provider, account_id, settings });
            }
        }
        Ok(Verdict::Done)
    }

    /// As an account itself: no two tenants have one, and it stays.
    pub(super) fn link_store_unit(&mut self, provider: Provider, unit: &str, is_linked_elsewhere: bool) -> Ruling {
        let account = self.tenant.accounts.get(&provider).ok_or(Rejection::StoreAccountNotLinked)?;
        if account.has(provider, unit) {
            return Ok(Verdict::Unchanged(About::StoreAccount(provider)));
        }
        if is_linked_elsewhere {
            return Err(Rejection::StoreAccountAlreadyLinked);
        }
        self.emit(Event::StoreUnitLinked { provider, unit: unit.to_owned() });
        Ok(Verdict::Done)
    }

    pub(super) fn activate_tool(&mut self, tool: &str, name: &str) -> Verdict {
        if self.tenant.tools.get(tool).is_some_and(|known| known.is_active && known.name == name) {
            return Verdict::Unchanged(About::Tool);
        }
        self.emit(Event::ToolActivated { tool: tool.to_owned(), name: name.to_owned() });
        Verdict::Done
    }

    pub(super) fn deactivate_tool(&mut self, tool: &str) -> Ruling {
        let known = self.tenant.tools.get(tool).ok_or(Rejection::ToolNotFound)?;
        if !known.is_active {
            return Ok(Verdict::Unchanged(About::Tool));
        }
        self.emit(Event::ToolDeactivated { tool: tool.to_owned() });
        Ok(Verdict::Done)
    }
}

//! Who may ask: applications of the tenant's directory with their secrets, which of them the store has activated as
//! management tools, and the tokens that were handed out. Not here: how a token is asked for over HTTP (`oauth`).

use crate::domain::time::Time;
use ring::digest::{SHA256, digest};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use subtle::ConstantTimeEq as _;

use super::super::clock::later;

/// What a token is for; an identifier and no address to call.
pub const AUDIENCE: &str = "https://onestore.microsoft.com";
const TOOLS_MAX: usize = 100;
/// The oldest tokens go first.
const TOKENS_MAX: usize = 10_000;

/// An application registered in the directory.
#[derive(Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    pub client_id: String,
    pub client_secret: String,
    /// Activated in the store's settings as a management tool.
    pub is_active: bool,
}

struct Token {
    client_id: String,
    ends_at: Time,
}

/// Tools and tokens of one tenant.
pub struct Gate {
    tenant: String,
    seed: u64,
    lifetime: Duration,
    tools: BTreeMap<String, Tool>,
    tokens: BTreeMap<String, Token>,
    /// In the order in which they were handed out.
    handed_out: VecDeque<String>,
    count: u64,
}

/// Why no token is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoToken {
    OtherTenant,
    UnknownClient,
    WrongSecret,
    OtherAudience,
}

/// Why a call is turned away at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Away {
    NoToken,
    BadToken,
    Expired,
    NotActivated,
}

impl Gate {
    pub(super) fn new(tenant: String, seed: u64, lifetime: Duration, tools: Vec<Tool>) -> Self {
        let tools = tools.into_iter().take(TOOLS_MAX).map(|tool| (tool.client_id.clone(), tool)).collect();
        let (tokens, handed_out) = (BTreeMap::new(), VecDeque::new());
        Self { tenant, seed, lifetime, tools, tokens, handed_out, count: 0 }
    }

    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Registers a tool, or changes one; `false` when there is no room for another.
    pub fn register(&mut self, tool: Tool) -> bool {
        let is_known = self.tools.contains_key(&tool.client_id);
        if !is_known && self.tools.len() >= TOOLS_MAX {
            return false;
        }
        self.tools.insert(tool.client_id.clone(), tool);
        true
    }

    /// As the store's settings would: its tokens stay good at the directory and are of no use here. `false` for a tool
    /// that nobody registered.
    pub fn activate(&mut self, client_id: &str, is_active: bool) -> bool {
        let tool = self.tools.get_mut(client_id);
        tool.map(|tool| tool.is_active = is_active).is_some()
    }

    /// Every token that was handed out ends now.
    pub fn expire_tokens(&mut self, now: Time) {
        for token in self.tokens.values_mut() {
            token.ends_at = token.ends_at.min(now);
        }
    }

    /// How long the tokens last that are handed out from here on.
    pub fn set_lifetime(&mut self, lifetime: Duration) {
        self.lifetime = lifetime;
    }

    pub(super) fn hand_out(
        &mut self,
        now: Time,
        tenant: &str,
        (client_id, secret): (&str, &str),
        audience: &str,
    ) -> Result<(String, Duration), NoToken> {
        if !tenant.eq_ignore_ascii_case(&self.tenant) {
            return Err(NoToken::OtherTenant);
        }
        let tool = self.tools.get(client_id).ok_or(NoToken::UnknownClient)?;
        if !bool::from(tool.client_secret.as_bytes().ct_eq(secret.as_bytes())) {
            return Err(NoToken::WrongSecret);
        }
        if audience != AUDIENCE {
            return Err(NoToken::OtherAudience);
        }
        self.count += 1;
        let token = hex::encode(digest(&SHA256, format!("{}:{}:{client_id}", self.seed, self.count).as_bytes()));
        let token = format!("simulated.{token}");
        if self.handed_out.len() >= TOKENS_MAX
            && let Some(oldest) = self.handed_out.pop_front()
        {
            self.tokens.remove(&oldest);
        }
        self.handed_out.push_back(token.clone());
        let ends_at = later(now, self.lifetime);
        self.tokens.insert(token.clone(), Token { client_id: client_id.to_owned(), ends_at });
        Ok((token, self.lifetime))
    }

    /// Which tool a call comes from, by its `Authorization` header.
    pub(super) fn admit(&self, now: Time, authorization: Option<&str>) -> Result<String, Away> {
        let bearer = authorization.ok_or(Away::NoToken)?.strip_prefix("Bearer ").ok_or(Away::BadToken)?;
        let token = self.tokens.get(bearer).ok_or(Away::BadToken)?;
        if token.ends_at <= now {
            return Err(Away::Expired);
        }
        match self.tools.get(&token.client_id) {
            Some(tool) if tool.is_active => Ok(token.client_id.clone()),
            Some(_) | None => Err(Away::NotActivated),
        }
    }
}

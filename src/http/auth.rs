//! Who asks: the bearer token of a request, found and compared in constant time. Not here: what a role may do
//! (`wire/kind.rs` and each read say that).

use super::Service;
use super::parameters;
use super::problem::Problem;
use super::said;
use crate::domain::command::Actor;
use crate::domain::facts::Role;
use crate::domain::ids::{TenantId, TokenId};
use axum::extract::{ConnectInfo, FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// A caller who may do something in one tenant.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) service: Arc<Service>,
    pub(super) tenant: TenantId,
    pub(super) actor: Actor,
    /// `None` is root, good for everything.
    pub(super) role: Option<Role>,
}

impl Caller {
    /// # Errors
    /// When the role is none of these; an admin may do whatever its tenant's tokens may.
    pub(super) fn must_be(&self, roles: &[Role]) -> Result<(), Problem> {
        match self.role {
            None | Some(Role::Admin) => Ok(()),
            Some(role) if roles.contains(&role) => Ok(()),
            Some(role) => {
                let words: Vec<&str> =
                    std::iter::once(&Role::Admin).chain(roles).map(|role| role_name(*role)).collect();
                Err(Problem::new(
                    "forbidden",
                    format!("this call is for {}; the token is of {}", words.join(", "), role_name(role)),
                ))
            }
        }
    }
}

impl Caller {
    /// Whether the token is still good: for what goes on after it was found.
    pub(super) fn is_good(&self) -> bool {
        let Actor::Token(token) = self.actor else { return true };
        let now = self.service.ledger.clock().now();
        self.service
            .ledger
            .read(self.tenant, |view| view.state.tokens.get(token.index()).is_some_and(|token| token.is_good_at(now)))
            .unwrap_or(false)
    }

    /// # Errors
    /// When it is not: a body may have been coming for a minute since it was asked.
    pub(super) fn must_be_good(&self) -> Result<(), Problem> {
        if self.is_good() { Ok(()) } else { Err(no_good_token()) }
    }
}

fn no_good_token() -> Problem {
    Problem::new("unauthorized", "the token is not known, not of this tenant, revoked or expired")
}

pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::Operator => "operator",
        Role::Connector => "connector",
        Role::Directory => "directory",
        Role::Auditor => "auditor",
    }
}

/// Whose calls are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Counted {
    Root,
    Token(TenantId, TokenId),
    /// Calls without a good token, by where they come from.
    Stranger(IpAddr),
}

enum Known {
    Root,
    Token { tenant: TenantId, token: TokenId, role: Role },
}

const TOKEN_BYTES_MAX: usize = 512;

/// A new token: which tenant's and which one stands in it, so that finding it takes one look.
pub(super) fn new_token(tenant: TenantId, token: TokenId) -> Result<String, Problem> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| Problem::internal(&error))?;
    Ok(format!("sl_{}_{}_{}", tenant.0, token.0, hex::encode(secret)))
}

pub(super) fn hash_of(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn bearer(authorization: &[u8]) -> Option<&str> {
    let (scheme, token) = said::text(authorization)?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= TOKEN_BYTES_MAX).then_some(token)
}

fn find(service: &Service, token: &str) -> Option<Known> {
    let hash = hash_of(token);
    if bool::from(hash.ct_eq(&service.root_hash)) {
        return Some(Known::Root);
    }
    let mut words = token.strip_prefix("sl_")?.splitn(3, '_');
    let tenant = TenantId(words.next()?.parse().ok()?);
    let id = TokenId(words.next()?.parse().ok()?);
    let now = service.ledger.clock().now();
    let found = service.ledger.read(tenant, |view| {
        let token = view.state.tokens.get(id.index())?;
        (bool::from(hash.ct_eq(&token.hash)) && token.is_good_at(now)).then_some(token.role)
    });
    found.ok().flatten().map(|role| Known::Token { tenant, token: id, role })
}

fn peer(parts: &Parts) -> IpAddr {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map_or(IpAddr::from([0, 0, 0, 0]), |info| info.0.ip())
}

fn authorization(parts: &Parts) -> Option<&[u8]> {
    parts.headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes)
}

fn take_turn(service: &Service, counted: Counted) -> Result<(), Problem> {
    service.rate.take(counted).map_err(|wait_s| {
        Problem::new("too-many-requests", "more requests came than this caller may send").retry_after(wait_s)
    })
}

/// Whether somebody asks who has a good token, whatever it is good for.
pub(super) fn is_known(authorization: Option<&[u8]>, service: &Service) -> bool {
    who(authorization, service).is_some()
}

fn who(authorization: Option<&[u8]>, service: &Service) -> Option<Known> {
    find(service, bearer(authorization?)?)
}

/// Finds out who asks, and holds them to their rate.
fn known(authorization: Option<&[u8]>, peer: IpAddr, service: &Service) -> Result<Known, Problem> {
    let known = who(authorization, service);
    let counted = match &known {
        Some(Known::Root) => Counted::Root,
        Some(Known::Token { tenant, token, .. }) => Counted::Token(*tenant, *token),
        None => Counted::Stranger(peer),
    };
    take_turn(service, counted)?;
    known.ok_or_else(|| {
        if authorization.is_some() {
            return no_good_token();
        }
        Problem::new("unauthorized", "no token was sent")
    })
}

impl FromRequestParts<Arc<Service>> for Caller {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Problem> {
        let known = known(authorization(parts), peer(parts), service)?;
        let params = RawPathParams::from_request_parts(parts, service).await;
        let params = params.map_err(|error| Problem::unreadable(format!("the path: {}", error.body_text())))?;
        let slug = params.iter().find(|(name, _)| *name == "tenant").map(|(_, slug)| slug.to_owned());
        let slug = slug.ok_or_else(|| Problem::unreadable("the path names no tenant"))?;
        let caller = Self::in_tenant(service, known, &slug)?;
        parameters::check(parts)?;
        Ok(caller)
    }
}

impl Caller {
    /// Who asks something of the tenant that the path names.
    pub(super) fn of(
        service: &Arc<Service>,
        authorization: Option<&[u8]>,
        peer: IpAddr,
        slug: &str,
    ) -> Result<Self, Problem> {
        Self::in_tenant(service, known(authorization, peer, service)?, slug)
    }

    fn in_tenant(service: &Arc<Service>, known: Known, slug: &str) -> Result<Self, Problem> {
        let found = service.ledger.tenant(slug);
        let (tenant, actor, role) = match (known, found) {
            (Known::Root, Some(tenant)) => (tenant, Actor::Root, None),
            (Known::Root, None) => return Err(Problem::new("tenant-not-found", "there is no tenant of this name")),
            (Known::Token { tenant, token, role }, Some(found)) if tenant == found => {
                (tenant, Actor::Token(token), Some(role))
            }
            // whether another tenant exists is none of this caller's business
            (Known::Token { .. }, _) => return Err(no_good_token()),
        };
        Ok(Self { service: Arc::clone(service), tenant, actor, role })
    }
}

/// Somebody without a token of ours, held to a stranger's rate.
pub(super) struct Stranger;

impl FromRequestParts<Arc<Service>> for Stranger {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Problem> {
        take_turn(service, Counted::Stranger(peer(parts)))?;
        Ok(Self)
    }
}

/// The holder of the root token.
pub(super) struct Root {
    pub(super) service: Arc<Service>,
}

impl FromRequestParts<Arc<Service>> for Root {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Problem> {
        match known(authorization(parts), peer(parts), service)? {
            Known::Root => {
                parameters::check(parts)?;
                Ok(Self { service: Arc::clone(service) })
            }
            Known::Token { .. } => Err(Problem::new("forbidden", "this call is for the root token")),
        }
    }
}

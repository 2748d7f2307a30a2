//! Apple's App and Book Management API v2 as a client: one connector for one organizational unit and its content token.
//!
//! ```text
//! engine ─ account, pass, settle, look ─▶ connector ─▶ client ─▶ transport ─▶ Apple
//!                                 hints ◀─ notifications ◀──────────────────── Apple
//! ```
//!
//! Not here: the route that notifications come in by (`http`), and what a ledger makes of an answer (`domain`).

mod client;
mod config;
mod connector;
mod errors;
mod limits;
mod lists;
mod notifications;
mod pass;
mod settle;
mod subscriptions;
mod token;
pub mod wire;

pub use client::{APPLE_URL, AppleClient, AppleSettings, Refused};
pub use config::NotificationSettings;
pub use connector::AppleConnector;
pub use limits::AppleLimits;
pub use lists::{AssignmentsAsked, ListTrouble, Listed};
pub use notifications::{Ear, Heard, Hint, NOTIFICATION_BYTES_MAX, NotHeard, SeatTold};
pub use settle::{KnownUsers, OpenGrants};
pub use token::{BadContentToken, ContentToken};

//! The museum: public failures of tools that hand out licenses, each re-created from scratch through HTTP and named after what
//! went wrong, with our outcome. The number before each is its place in the collection; the reference is for the reader.
//!
//! Later, with what they need: 11 (snipe-it#14597, departures by SCIM), 15 (snipe-it#19212, a campaign of its own; what it
//! stands on, holders as of a position and reclaims, is `history::holders_are_frozen_for_a_review_and_decided_one_by_one`),
//! 28 (fleet#28069, two writers at one store), 39 (Apple's duplicate callbacks). 40 is a promise of the seed (`seed.rs`).

mod counts;
mod doors;
mod history;
mod leaving;

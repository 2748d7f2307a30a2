//! The real program under test: started on a folder of its own, spoken to over HTTP, stopped or killed, started again.
//! Here also the words in which the suites say what an organization is. Not here: anything that knows the ledger from inside.

mod budget;
mod client;
mod commands;
mod journal;
mod organization;
mod program;
mod service;

pub(crate) use budget::{asked_number, asked_words, is_budget_full};
pub(crate) use client::{Answer, Client, block_on, encode};
pub(crate) use commands::{Said, call_of};
pub(crate) use journal::grants_in;
pub(crate) use organization::{Tenant, user};
pub(crate) use program::{asked, load, refused_to_serve, replay, run_program, verify, verify_against};
pub(crate) use service::{Options, ROOT_TOKEN, Service};

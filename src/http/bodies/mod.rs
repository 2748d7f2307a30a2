//! What things look like in answers, converted by hand from the state that is shown. Not here: which of them is asked for.

pub(super) mod apps;
pub(super) mod commands;
pub(super) mod history;
pub(super) mod people;
pub(super) mod pools;
pub(super) mod reports;
pub(super) mod reviews;
pub(super) mod seats;
pub(super) mod stories;
pub(super) mod syncs;

//! Rules by example: given, when, then. Each file tells of one paragraph of the rules; `scenario` is how they tell it.

mod anything;
mod assigning;
mod at_the_store;
mod braking;
mod by_connector;
mod connector_steps;
mod covering;
mod erasing;
mod every_pair;
mod giving_back;
mod holding;
mod installing;
mod leaving;
mod reaching;
mod refunding;
mod refusing;
mod reviewing;
mod reviews_anytime;
mod scenario;
mod steps;
mod syncing;
mod ticking;
mod transitions;
mod ways_out;

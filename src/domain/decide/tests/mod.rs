//! Rules by example: given, when, then. Each file tells of one paragraph of the rules; `scenario` is how they tell it.

mod anything;
mod at_the_store;
mod every_pair;
mod scenario;
mod steps;
mod transitions;

//! Our connectors against the simulators of the stores, with what goes wrong between them. Here: nothing but the list. Not
//! here: the simulators against their protocols (`store_simulators`).

mod apple;
mod microsoft;

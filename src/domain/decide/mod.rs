//! Rules: what a command does to a state, or why it may not. Every door goes through [`decide`].

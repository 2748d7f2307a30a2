//! The log as a whole, on real files and in memory. Not here: tests of one format, which stand in its file.

mod both_ways;
mod first;
mod format;
mod kill;
mod limits;
mod rot;
mod trees;

//! Lives of a small organization on real files, and what the audit says of them.

mod bundles;
mod certificates;
#[cfg(feature = "parquet")]
mod columns;
mod erasures;
mod figures;
mod files;
mod import;
mod kept;
mod life;
mod naive;
mod naive_diff;
mod naive_lists;
mod parts;
mod parts_late;
mod parts_small;
mod past;
mod reports;
mod reports_late;
mod stories;
mod told;

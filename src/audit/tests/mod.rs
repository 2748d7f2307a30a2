//! Lives of a small organization on real files, and what the audit says of them.

mod figures;
mod files;
mod life;
mod past;

//! Tests of the crate through its public door.

mod golden;
mod hierarchies;
mod properties;
mod reference;
mod rendering;
mod rules;
mod summary;
mod tables;
mod worked;

//! Integration tests: one binary, so that the engine is linked once.

mod determinism;
mod docs;
mod golden;
mod limits;
mod props;
mod registry;
mod s3;
mod scalars;
mod slt;
mod support;

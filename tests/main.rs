//! Integration tests: one binary, so that the engine is linked once.

mod props;
mod determinism;
mod limits;
mod s3;
mod slt;
mod support;

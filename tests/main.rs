//! Integration tests: one binary, so that the engine is linked once.

mod s3;
mod slt;
mod support;

//! Arbitrary bytes as saved models, driven by coverage: `cargo +nightly fuzz run load_model`.
//!
//! The input goes in as it is, with its digest put right, and as the state of every model; what is accepted makes rows.
//! Start with files of FIT_MODEL in `fuzz/corpus/load_model`.

#![no_main]

#[path = "../../crates/models/tests/damage/drive.rs"]
mod drive;
#[path = "../../crates/models/tests/damage/sealing.rs"]
mod sealing;

use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

fuzz_target!(|bytes: &[u8]| {
    drive::file(bytes);
    let content = &bytes[..bytes.len().saturating_sub(32)];
    let digest = Sha256::digest(content);
    drive::file(&[content, digest.as_slice()].concat());
    if let Some(parts) = sealing::Parts::of(bytes) {
        drive::file(&parts.file());
        drive::state(&parts.state());
    }
    drive::state(&[bytes, &sealing::checksum(bytes)].concat());
});

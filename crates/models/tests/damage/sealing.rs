//! Saved models in parts, and put together again with lengths, checksums and the digest right: what damaged content needs to
//! get past the first checks.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// A file taken apart.
#[derive(Clone)]
pub struct Parts {
    /// The header as JSON.
    pub header: Value,
    /// The state of the model without its checksum, and the other sections.
    pub sections: Vec<Vec<u8>>,
}

/// FNV-1a, as at the end of a model's state.
pub fn checksum(bytes: &[u8]) -> [u8; 8] {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
    hash.to_le_bytes()
}

impl Parts {
    /// Of a file that is whole; `None` for anything else.
    pub fn of(file: &[u8]) -> Option<Self> {
        let length = u64::from_le_bytes(file.get(16..24)?.try_into().ok()?) as usize;
        let header: Value = serde_json::from_slice(file.get(24..24usize.checked_add(length)?)?).ok()?;
        let mut rest = &file[24 + length..];
        let mut sections = vec![];
        for section in header["body"].as_array()? {
            let (own, after) = rest.split_at_checked(section["length"].as_u64()? as usize)?;
            sections.push(own.to_vec());
            rest = after;
        }
        let state = sections.first_mut()?;
        state.truncate(state.len().checked_sub(8)?);
        Some(Self { header, sections })
    }

    /// The state of the model alone, as its `load` takes it.
    pub fn state(&self) -> Vec<u8> {
        let mut state = self.sections[0].clone();
        state.extend(checksum(&state));
        state
    }

    /// The file.
    pub fn file(&self) -> Vec<u8> {
        let mut header = self.header.clone();
        let mut body = self.state();
        let mut lengths = vec![body.len()];
        for section in &self.sections[1..] {
            lengths.push(section.len());
            body.extend(section);
        }
        let mut offset = 0;
        if let Some(sections) = header["body"].as_array_mut() {
            for (section, length) in sections.iter_mut().zip(lengths).filter(|(section, _)| section.is_object()) {
                section["offset"] = offset.into();
                section["length"] = length.into();
                offset += length;
            }
        }
        sealed(&header.to_string(), &body)
    }
}

/// A file of any header and body.
pub fn sealed(header: &str, body: &[u8]) -> Vec<u8> {
    let length = (header.len() as u64).to_le_bytes();
    let mut file = [b"LOOKALIKE MODEL\n", &length[..], header.as_bytes(), body].concat();
    let digest = Sha256::digest(&file);
    file.extend(digest.as_slice());
    file
}

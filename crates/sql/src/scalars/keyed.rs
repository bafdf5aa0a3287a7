//! Keyed hashes: what pseudonyms and shifts of dates are made of.

use datafusion::common::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::settings::Settings;

/// HMAC-SHA256 (RFC 2104, FIPS 180-4) under the session's key. Purpose and domain are hashed before the text, so that
/// hashes for one say nothing about those for another.
pub(super) struct Keyed(Hmac<Sha256>);

impl Keyed {
    /// The hash for a purpose, which is the name of the function that asks, and a domain. An error says how to set the
    /// key where there is none.
    pub fn new(options: &ConfigOptions, purpose: &str, domain: &str) -> Result<Self> {
        let key = options.extensions.get::<Settings>().and_then(Settings::pseudonym_key).ok_or_else(|| {
            DataFusionError::Execution(format!(
                "{purpose}: the session has no key; SET lookalike.pseudonym_key = '...' with a secret of at least 16 bytes \
                 gives it one"
            ))
        })?;
        let mut mac = Hmac::new_from_slice(key)
            .map_err(|_| DataFusionError::Internal("HMAC takes keys of every length".into()))?;
        mac.update(purpose.as_bytes());
        // With the length in front no domain and text run together into those of another call.
        mac.update(&[0]);
        mac.update(&(domain.len() as u64).to_be_bytes());
        mac.update(domain.as_bytes());
        Ok(Self(mac))
    }

    /// The first 16 bytes of the hash of a text as one number.
    pub fn hash(&self, text: &str) -> u128 {
        let digest = self.0.clone().chain_update(text.as_bytes()).finalize().into_bytes();
        digest.iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte))
    }
}

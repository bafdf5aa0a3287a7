//! Settings of a session below `lookalike.`.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use datafusion::common::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use datafusion::error::{DataFusionError, Result};
use datafusion::prelude::SessionConfig;

/// Bytes that a key needs at least.
const SHORTEST_KEY: usize = 16;

/// What stands for a key wherever settings are listed. It is too short to be one, so that settings that were copied
/// from a listing are refused instead of used.
const HIDDEN: &str = "(hidden)";

/// The settings. The key is in none of its printed forms: plans, listings and logs may be shown.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    pseudonym_key: Option<Arc<[u8]>>,
}

impl Settings {
    /// Adds the settings to a configuration that has none.
    pub fn add_to(config: &mut SessionConfig) {
        if config.options().extensions.get::<Self>().is_none() {
            config.options_mut().extensions.insert(Self::default());
        }
    }

    /// The key of pseudonyms, if set.
    pub fn pseudonym_key(&self) -> Option<&[u8]> {
        self.pseudonym_key.as_deref()
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("pseudonym_key", &self.pseudonym_key.as_ref().map(|_| HIDDEN)).finish()
    }
}

impl ConfigExtension for Settings {
    const PREFIX: &'static str = "lookalike";
}

impl ExtensionOptions for Settings {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "pseudonym_key" if value.is_empty() => self.pseudonym_key = None,
            "pseudonym_key" if value.len() < SHORTEST_KEY => {
                return Err(DataFusionError::Configuration(format!(
                    "lookalike.pseudonym_key has {} bytes, allowed are {SHORTEST_KEY} and more; the empty string takes \
                     the key away",
                    value.len()
                )));
            }
            "pseudonym_key" => self.pseudonym_key = Some(value.as_bytes().into()),
            _ => {
                return Err(DataFusionError::Configuration(format!(
                    "there is no setting lookalike.{key} (settings: lookalike.pseudonym_key)"
                )));
            }
        }
        Ok(())
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        vec![ConfigEntry {
            key: "lookalike.pseudonym_key".into(),
            value: self.pseudonym_key.as_ref().map(|_| HIDDEN.into()),
            description: "Secret of at least 16 bytes behind pseudonym() and date_shift(); never shown.",
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_never_shown() {
        let mut config = SessionConfig::new();
        Settings::add_to(&mut config);
        let key = "correct horse battery staple";
        config.options_mut().set("lookalike.pseudonym_key", key).unwrap();
        // A second registration keeps it.
        Settings::add_to(&mut config);
        let settings = config.options().extensions.get::<Settings>().unwrap();
        assert_eq!(settings.pseudonym_key(), Some(key.as_bytes()));
        let shown = format!("{settings:?} {:?} {config:?} {:?}", config.options().entries(), config.to_props());
        assert!(shown.contains(HIDDEN) && !shown.contains("horse"), "{shown}");
        // Neither text nor bytes.
        assert!(!shown.contains("104, 111, 114, 115, 101"));

        for bad in ["horse", HIDDEN] {
            let error = config.options_mut().set("lookalike.pseudonym_key", bad).unwrap_err().to_string();
            assert!(error.contains("allowed are 16 and more") && !error.contains(bad), "{error}");
        }
        config.options_mut().set("lookalike.pseudonym_key", "").unwrap();
        assert_eq!(config.options().extensions.get::<Settings>().unwrap().pseudonym_key(), None);
        let error = config.options_mut().set("lookalike.seed", key).unwrap_err().to_string();
        assert!(error.contains("there is no setting lookalike.seed") && !error.contains(key), "{error}");
    }
}

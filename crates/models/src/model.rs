//! What a generator is, and the list of them.

use lookalike_core::{Error, Frame, Job, Options, ParamSpec, Result, Stream, Values, closest, list_names};

use crate::{
    arf::Arf, auto::Auto, bayes_net::BayesNet, cart::Cart, copy::Copy, ctgan::Ctgan, gan::Gan, gaussian::Gaussian,
    gaussian_copula::GaussianCopula, glow::Glow, independent::Independent, medgan::MedGan, realnvp::RealNvp,
    rows::Rows, smote::Smote, tabddpm::TabDdpm, tablegan::TableGan, transformer::Transformer, vae::Vae, vq_vae::VqVae,
    wgan::Wgan,
};

/// A kind of generator.
pub trait Model: Sync {
    /// Name in SQL, equal to the module's.
    fn name(&self) -> &'static str;
    /// What it does, one sentence.
    fn summary(&self) -> &'static str;
    /// The paper it follows.
    fn source(&self) -> &'static str;
    /// Its options.
    fn params(&self) -> &'static [ParamSpec];
    /// Whether its [`Fitted::sample_given`] makes rows around given values; without, they are had by rejection.
    fn conditions(&self) -> bool {
        false
    }
    /// The model and its options that this one stands for on these rows; `None` for all but `auto`. `filter_copies` says whether
    /// copies of the rows will be left out of what is made.
    fn choose(
        &self,
        _rows: &Rows,
        _options: &Options,
        _filter_copies: bool,
        _seed: u64,
        _job: &Job,
    ) -> Result<Option<(&'static dyn Model, Options)>> {
        Ok(None)
    }
    /// Learns from rows in canonical order. `options` were checked against [`Model::params`]; `seed` keys every random
    /// number drawn while learning. Fails when cancelled, without memory, or on data the model cannot hold.
    fn fit(&self, rows: &Rows, options: &Options, seed: u64, job: &Job) -> Result<Box<dyn Fitted>>;
    /// Reads what [`Fitted::save`] wrote. A data error for another model, another format version or damaged bytes.
    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Fitted>>;
}

/// A generator that has learned.
pub trait Fitted: Send + Sync {
    /// So many new rows: one [`Values`] per column of the training rows, [`Values::Omitted`] for identifiers. Numbers
    /// are in the domain's units, not yet on its grid ([`lookalike_core::NumberDomain::snap`] puts them there). The
    /// stream alone decides the rows.
    fn sample(&self, rows: usize, rng: &mut Stream) -> Result<Vec<Values>>;
    /// So many new rows whose given columns hold the given values: `(column, values)` in ascending order of columns, values
    /// in the form of [`Fitted::sample`], on the model's own grid and one a row. The other columns are drawn from the model's
    /// distribution given these. `None` where the model cannot ([`Model::conditions`] is false).
    fn sample_given(&self, _given: &[(usize, Values)], _rows: usize, _rng: &mut Stream) -> Result<Option<Vec<Values>>> {
        Ok(None)
    }
    /// The logarithm of the density of each row under the model, before values are put on their grids; the rows have the
    /// columns of the training rows. Categories, NULLs and numbers of a share of their own count with their probability,
    /// other numbers with their density in the domain's units; minus infinity for what the model never makes. `None` where
    /// the model has no such density in closed form.
    fn log_likelihood(&self, _rows: &Frame) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }
    /// The state as bytes: a model loaded from them samples the same rows bit for bit. They hold summaries of the
    /// training rows (see each model), so they are as confidential as those.
    fn save(&self) -> Result<Vec<u8>>;
    /// What it learned from.
    fn report(&self) -> FitReport;
    /// How the training of an iterative model went, an entry an epoch; empty for models in closed form.
    fn history(&self) -> &[Epoch] {
        &[]
    }
}

/// One pass over the training rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epoch {
    /// Mean loss over the rows trained on, as the model defines it (see its page).
    pub loss: f64,
    /// The same of the rows held out; NaN without such.
    pub held_out: f64,
    /// Seconds since the training began; NaN in a model that was loaded.
    pub seconds: f64,
}

/// What a model learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FitReport {
    /// Training rows.
    pub rows: u64,
    /// Persons they belong to; as many as rows without a `privacy_unit`.
    pub units: u64,
    /// Passes over the rows made by an iterative model; 0 for models in closed form.
    pub epochs: u32,
}

/// Every generator.
pub static MODELS: &[&dyn Model] = &[
    &Auto,
    &Independent,
    &Gaussian,
    &GaussianCopula,
    &BayesNet,
    &Cart,
    &Arf,
    &Vae,
    &VqVae,
    &Gan,
    &Wgan,
    &Ctgan,
    &TableGan,
    &MedGan,
    &RealNvp,
    &Glow,
    &Transformer,
    &TabDdpm,
    &Smote,
    &Copy,
];

/// The model of that name, in any case. An argument error that names the closest and lists all otherwise.
pub fn model(name: &str) -> Result<&'static dyn Model> {
    MODELS.iter().copied().find(|m| m.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
        let names = || MODELS.iter().map(|m| m.name());
        let hint = closest(name, names()).map(|c| format!("; did you mean '{c}'?")).unwrap_or_default();
        Error::argument(format!("unknown model '{name}'{hint} (allowed: {})", list_names(names())))
    })
}

/// The model's options in tests that walk over all of them: the defaults, but few epochs, and leave for controls.
#[cfg(test)]
pub(crate) fn quick(model: &dyn Model) -> Options {
    use lookalike_core::Value;
    let given = [("epochs", Value::Int(3)), ("pretrain_epochs", Value::Int(3)), ("control", Value::Bool(true))];
    let given = given.into_iter().filter(|(name, _)| model.params().iter().any(|p| p.name == *name));
    let given: Vec<(String, Value)> = given.map(|(name, value)| (name.to_string(), value)).collect();
    Options::check(model.params(), &given).unwrap()
}

/// Whether a model learns by epochs: after the three of [`quick`] it is near nothing yet. How near it comes is on its page.
#[cfg(test)]
pub(crate) fn is_iterative(model: &dyn Model) -> bool {
    model.params().iter().any(|p| p.name == "epochs")
}

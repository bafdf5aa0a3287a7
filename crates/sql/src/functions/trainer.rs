//! The generators of the models crate as those that attacks train, and the options that say which.

use lookalike_attacks::{Trained, Trainer};
use lookalike_core::{Default, Frame, Job, Options, ParamKind, ParamSpec, Result};
use lookalike_models::{MODELS, SynthesizeParams, Synthesizer, model};

use super::common::{options_of, refuse_unused};

const MODEL: ParamSpec = ParamSpec {
    name: "model",
    kind: ParamKind::Text,
    default: Default::Text("auto"),
    purpose: "Generator, as LOOKALIKE_MODELS() lists them.",
};

const MIN_CATEGORY_COUNT: ParamSpec = ParamSpec {
    name: "min_category_count",
    kind: ParamKind::Int { min: 1, max: u32::MAX as i64 },
    default: Default::Int(5),
    purpose: "Categories held by fewer persons are never emitted.",
};

const FILTER_COPIES: ParamSpec = ParamSpec {
    name: "filter_copies",
    kind: ParamKind::Bool,
    default: Default::Bool(true),
    purpose: "Rows that equal an input row in all columns but identifiers are drawn again.",
};

const CONSTRAINTS: ParamSpec = ParamSpec {
    name: "constraints",
    kind: ParamKind::Names,
    default: Default::Unset("none"),
    purpose: "Rules that every generated row keeps: 'start <= stop', 'start < stop', 'age >= 18', 'fixed(city, zip)'.",
};

const DETECT_STRUCTURE: ParamSpec = ParamSpec {
    name: "detect_structure",
    kind: ParamKind::Bool,
    default: Default::Bool(true),
    purpose: "Columns that others determine, and columns that are never below others, are found and kept so.",
};

/// The options that say how a generator is trained: those of every model among them.
pub(crate) fn options() -> Vec<ParamSpec> {
    let mut options = vec![MODEL, MIN_CATEGORY_COUNT, FILTER_COPIES, CONSTRAINTS, DETECT_STRUCTURE];
    for param in MODELS.iter().flat_map(|m| m.params()) {
        match options.iter_mut().find(|o| o.name == param.name) {
            Some(option) => share(option, param),
            None => options.push(*param),
        }
    }
    options
}

/// Makes an option that of another model as well: where defaults and purposes differ the chosen model's hold, where ranges
/// differ it checks the value against its own.
fn share(option: &mut ParamSpec, other: &ParamSpec) {
    if option.default != other.default {
        option.default = Default::Unset("the model's own");
    }
    if option.purpose != other.purpose {
        option.purpose = "As the page of the model says.";
    }
    option.kind = match (option.kind, other.kind) {
        (ParamKind::Int { min: a, max: b }, ParamKind::Int { min: c, max: d }) => {
            ParamKind::Int { min: a.min(c), max: b.max(d) }
        }
        (ParamKind::Float { min: a, max: b }, ParamKind::Float { min: c, max: d }) => {
            ParamKind::Float { min: a.min(c), max: b.max(d) }
        }
        (kind, _) => kind,
    };
}

/// The options of the chosen model out of those of the call. An option of another model is an error.
pub(crate) fn model_options(options: &Options) -> Result<Options> {
    // Without a name the model is a parameter that has no value yet.
    let Some(name) = options.text("model") else { return Options::check(&[], &[]) };
    let chosen = model(name)?;
    let all = MODELS.iter().map(|m| (m.name(), m.params()));
    refuse_unused(options, all, |name| name == chosen.name())
        .map_err(|e| e.within(format!("model '{}'", chosen.name())))?;
    options_of(chosen.params(), options)
}

/// A model of the models crate with everything that SYNTHESIZE puts around it.
#[derive(Debug, Clone)]
pub(crate) struct ModelTrainer {
    /// The seed and the number of rows are those of each training.
    pub params: SynthesizeParams,
    /// Options of the model.
    pub options: Options,
}

impl ModelTrainer {
    /// From the options of a call.
    pub fn of(options: &Options) -> Result<Self> {
        let params = SynthesizeParams {
            model: model(options.text("model").unwrap_or("auto"))?.name().to_string(),
            rows: None,
            seed: 0,
            min_category_count: options.int("min_category_count").map_or(1, |n| n as u32),
            filter_copies: options.bool("filter_copies"),
            allow_shared: false,
            constraints: options.names("constraints"),
            detect_structure: options.bool("detect_structure"),
        };
        Ok(Self { params, options: model_options(options)? })
    }

    /// The same without constraints: rows planted at random keep none.
    pub fn unconstrained(mut self) -> Self {
        self.params.constraints.clear();
        self
    }
}

impl Trainer for ModelTrainer {
    fn model(&self) -> &str {
        &self.params.model
    }

    fn train(&self, rows: &Frame, seed: u64, job: &Job) -> Result<Box<dyn Trained>> {
        let params = SynthesizeParams { seed, ..self.params.clone() };
        let synthesizer = Synthesizer::fit(rows.clone(), params, &self.options, job)
            .map_err(|e| e.within(format!("training a generator on {} rows", rows.rows())))?;
        Ok(Box::new(TrainedModel(synthesizer)))
    }
}

struct TrainedModel(Synthesizer);

impl Trained for TrainedModel {
    fn sample(&self, rows: usize, job: &Job) -> Result<Frame> {
        self.0.sample(rows, job)
    }

    fn log_likelihood(&self, rows: &Frame, job: &Job) -> Result<Option<Vec<f64>>> {
        self.0.log_likelihood(rows, job)
    }
}

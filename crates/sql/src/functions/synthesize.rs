//! SYNTHESIZE(input, ...): rows of people who do not exist, in the input's schema.

pub(super) mod pairs;

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use lookalike_attacks::{ExposureParams, NULL_EXPOSURE, exposure};
use lookalike_core::{
    Default, EncodeSpec, Error, Frame, FrameBuilder, Job, Options, ParamKind, ParamSpec, Reservation, Result,
    SpilledRows, Units,
};
use lookalike_models::{Ask, Asked, Origin, PairColumns, Pairs, SynthesizeParams, Synthesizer, TrainingRows};

use super::common::{IDENTIFIERS, PRIVACY_UNIT, SEED, distinct, require_column};
use super::trainer::{self, ModelTrainer};
use super::{ask, ask::ASK};
use crate::exec::encode_together;
use crate::function::{
    Call, FRESH_SEED, FileSpec, FileUse, Gathered, Operation, Output, RelationSpec, TableFunction, Want,
};

/// SYNTHESIZE as a table function.
#[derive(Debug)]
pub struct Synthesize;

/// More rows than this are a slip of the keyboard.
const MAX_ROWS: i64 = 1_000_000_000_000;

pub(super) const ROWS: ParamSpec = ParamSpec {
    name: "rows",
    kind: ParamKind::Int { min: 0, max: MAX_ROWS },
    default: Default::Unset("as many as the input has"),
    purpose: "Rows to make.",
};

const SAVE_MODEL: ParamSpec = ParamSpec {
    name: "save_model",
    kind: ParamKind::Text,
    default: Default::Unset("not saved"),
    purpose: "File to write the trained model to, for SAMPLE_MODEL.",
};

pub(super) const MAX_EXPOSURE: ParamSpec = ParamSpec {
    name: "max_exposure",
    kind: ParamKind::Float { min: 0.0, max: 64.0 },
    default: Default::Unset("no test"),
    purpose: "Fails when planted rows are remembered: mean exposure in bits above this, and beyond chance.",
};

/// Planted rows of the test, and the level at which they are beyond chance.
const EXPOSURE: ExposureParams = ExposureParams { canaries: 20, repeats: 1, references: 1000, method: None };
const LEVEL: f64 = 0.01;

impl TableFunction for Synthesize {
    fn name(&self) -> &'static str {
        "synthesize"
    }

    fn summary(&self) -> &'static str {
        "Rows drawn from a model of the input, in exactly the input's schema; identifiers are replaced by fresh ones."
    }

    fn relations(&self) -> &'static [RelationSpec] {
        &[RelationSpec { name: "input", required: true, purpose: "the rows to learn from" }]
    }

    fn options(&self) -> Vec<ParamSpec> {
        let mut options = trainer::options();
        options.extend([ROWS, MAX_EXPOSURE, SAVE_MODEL, SEED, IDENTIFIERS, PRIVACY_UNIT]);
        options.extend(ASK);
        options.extend([pairs::RECORD, pairs::CODE, pairs::COUNT]);
        options
    }

    fn files(&self) -> &'static [FileSpec] {
        &[FileSpec { option: SAVE_MODEL.name, usage: FileUse::Written, planned_as: "" }]
    }

    fn planned(&self) -> &'static [ParamSpec] {
        &[FRESH_SEED]
    }

    fn schema(&self, call: &Call) -> Result<SchemaRef> {
        // What does not go with pairs is told before it is looked for in their columns.
        if pairs::pairs(call)?.is_none() {
            ask::check(&call.options, call.required("input")?)?;
        }
        check(call)
    }

    fn operation(&self, call: &Call) -> Result<Arc<dyn Operation>> {
        let (schema, training) = (self.schema(call)?, Training::of(call, SAVE_MODEL.name)?);
        Ok(Arc::new(Fit { schema, training, ask: ask::ask(&call.options)? }))
    }
}

/// Checks a call that trains a model, and gives the schema of its input.
pub(super) fn check(call: &Call) -> Result<SchemaRef> {
    let input = call.required("input")?;
    trainer::model_options(&call.options)?;
    let spec = spec(call)?;
    FrameBuilder::new(Arc::clone(input), spec)?;
    Ok(Arc::clone(input))
}

/// How the input is encoded. The person's column is an identifier as well as the unit: every synthetic row is a person
/// of its own.
fn spec(call: &Call) -> Result<EncodeSpec> {
    let input = call.required("input")?;
    if let Some(names) = pairs::pairs(call)? {
        return Ok(pairs::spec(&names, input));
    }
    let mut identifiers = call.options.names("identifiers");
    distinct("identifiers", &identifiers)?;
    identifiers.iter().try_for_each(|name| require_column("identifiers", name, input))?;
    let unit = call.options.text("privacy_unit").map(str::to_string);
    if let Some(unit) = &unit {
        require_column("privacy_unit", unit, input)?;
        if !identifiers.contains(unit) {
            identifiers.push(unit.clone());
        }
    }
    let columns = Some(input.fields().iter().map(|f| f.name().clone()).collect());
    Ok(EncodeSpec { columns, identifiers, unit, detect_identifiers: true, ..EncodeSpec::default() })
}

/// How a model is trained, and where it is saved.
#[derive(Debug)]
pub(super) struct Training {
    spec: EncodeSpec,
    /// Where the input is pairs.
    pairs: Option<PairColumns>,
    params: SynthesizeParams,
    model_options: Options,
    max_exposure: Option<f64>,
    path: Option<String>,
    origin: Origin,
}

/// A trained model.
pub(super) struct Trained {
    pub synthesizer: Synthesizer,
    /// What makes pairs of its rows, where the input was pairs.
    pub pairs: Option<Pairs>,
}

impl Training {
    /// Of a call, whose option `path` names the file, if any.
    pub fn of(call: &Call, path: &str) -> Result<Self> {
        let ModelTrainer { mut params, options } = ModelTrainer::of(&call.options)?;
        let pairs = pairs::pairs(call)?;
        if pairs.is_some() {
            // Codes that come with others are the model's to learn, and codes that many records have are nobody's.
            (params.detect_structure, params.allow_shared) = (false, true);
        }
        Ok(Self {
            spec: spec(call)?,
            pairs,
            params: SynthesizeParams {
                rows: call.options.int("rows").map(i64::unsigned_abs),
                seed: call.seed(),
                ..params
            },
            model_options: options,
            max_exposure: call.options.float(MAX_EXPOSURE.name),
            path: call.options.text(path).map(str::to_string),
            origin: Origin {
                seed_is_public: !call.options.bool(FRESH_SEED.name),
                metadata: call.required("input")?.metadata().clone(),
            },
        })
    }

    /// What is needed of the input.
    pub fn wants(&self) -> Vec<Want> {
        // Planted rows and pairs are put among and out of rows in memory.
        let spill = self.pairs.is_none() && self.max_exposure.is_none();
        vec![Want { encode: Some(self.spec.clone()), spill, ..Want::default() }]
    }

    /// Trains and saves.
    pub fn run(&self, mut inputs: Vec<Gathered>, job: &Job) -> Result<Trained> {
        if let Some(spilled) = inputs.iter_mut().find_map(|input| input.spilled.take()) {
            let rows = SpilledRows::new(spilled.frames)?;
            self.require_persons(rows.lengths().sum(), rows.units(&self.spec)?.as_ref())?;
            let rows = TrainingRows::Spilled(rows, self.spec.clone());
            return Ok(Trained { synthesizer: self.fit(rows, None, job)?, pairs: None });
        }
        let input = encode_together(inputs, job)?.pop().ok_or_else(|| Error::internal("no input"))?;
        self.require_persons(input.frame.rows(), input.frame.units())?;
        let Some(names) = &self.pairs else {
            self.test_exposure(&input.frame, job)?;
            let rows = TrainingRows::Frame(input.frame, input.memory);
            return Ok(Trained { synthesizer: self.fit(rows, None, job)?, pairs: None });
        };
        let (pairs, frame, table) = Pairs::pivot(input.frame, names, self.params.min_category_count, job)?;
        drop(input.memory);
        self.test_exposure(&frame, job)?;
        let synthesizer = self.fit(TrainingRows::Frame(frame, vec![table]), Some(&pairs), job)?;
        Ok(Trained { synthesizer, pairs: Some(pairs) })
    }

    /// Fails with fewer persons than a category needs to be emitted: whatever is drawn then describes single persons.
    fn require_persons(&self, rows: usize, units: Option<&Units>) -> Result<()> {
        let min_category_count = self.params.min_category_count;
        let (persons, what) = match units {
            Some(units) => (units.count as usize, "persons"),
            None => (rows, "rows"),
        };
        if rows > 0 && persons < min_category_count as usize {
            return Err(Error::data(format!(
                "too few {what} to hide one another: the input has {persons}, min_category_count is {min_category_count}; give \
                 more, or lower min_category_count"
            )));
        }
        Ok(())
    }

    /// Trains on encoded rows and saves.
    fn fit(&self, rows: TrainingRows, pairs: Option<&Pairs>, job: &Job) -> Result<Synthesizer> {
        let synthesizer = Synthesizer::fit(rows, self.params.clone(), &self.model_options, job)?;
        let report = synthesizer.report();
        job.count("persons_trained", report.units as usize);
        job.count("epochs", report.epochs as usize);
        if let Some(path) = &self.path {
            let file = match pairs {
                Some(pairs) => pairs.save(&synthesizer, &self.origin)?,
                None => synthesizer.save(&self.origin)?,
            };
            let _memory = job.reserve(file.len(), "the file of a model")?;
            job.check()?;
            job.count("bytes_saved", file.len());
            job.write_file(path, file)?;
        }
        Ok(synthesizer)
    }

    /// Trains a twin with planted rows, and fails when it remembers them.
    fn test_exposure(&self, frame: &Frame, job: &Job) -> Result<()> {
        let Some(most) = self.max_exposure.filter(|_| frame.rows() > 0) else { return Ok(()) };
        let trainer = ModelTrainer { params: self.params.clone(), options: self.model_options.clone() };
        let trainer = trainer.unconstrained();
        let found = exposure(frame, &trainer, EXPOSURE, self.params.seed, job)?;
        if found.mean > most && found.p_value < LEVEL {
            return Err(Error::data(format!(
                "max_exposure => {most}: {} planted rows have a mean exposure of {:.2} bits (expected without memory: \
                 {NULL_EXPOSURE:.2}; p = {:.1e}), so a twin of this generator remembers single rows, and nothing is released; \
                 train on more rows or a simpler model",
                found.canaries.len(),
                found.mean,
                found.p_value
            )));
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Fit {
    schema: SchemaRef,
    training: Training,
    ask: Ask,
}

impl Operation for Fit {
    fn wants(&self) -> Vec<Want> {
        self.training.wants()
    }

    fn run(&self, inputs: Vec<Gathered>, job: &Job) -> Result<Arc<dyn Output>> {
        let Trained { synthesizer, pairs } = self.training.run(inputs, job)?;
        if let Some(pairs) = pairs {
            return pairs::output(Arc::clone(&self.schema), pairs, &synthesizer, job);
        }
        let asked = Asked::new(synthesizer, &self.ask, job)?;
        Ok(Arc::new(Sample { schema: Arc::clone(&self.schema), asked, _memory: None }))
    }
}

/// The blocks of a synthesizer as rows.
pub(super) struct Sample {
    pub schema: SchemaRef,
    pub asked: Asked,
    /// Held for what they are made from.
    pub _memory: Option<Reservation>,
}

impl Output for Sample {
    fn chunks(&self) -> u64 {
        self.asked.blocks()
    }

    fn start(&self, chunk: u64) -> u64 {
        self.asked.first_row(chunk)
    }

    fn chunk(&self, chunk: u64, job: &Job) -> Result<RecordBatch> {
        let block = self.asked.block(chunk, job)?;
        let columns = self
            .asked
            .columns()
            .iter()
            .zip(&block.values)
            .map(|(column, values)| column.decode(values, block.first_row, block.rows))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(block.rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

//! What a table function is to this layer: a page of documentation, a table of options, a schema and an operation.

use std::fmt::Debug;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use lookalike_core::{
    Default, EncodeSpec, Error, FrameBuilder, Job, Options, ParamKind, ParamSpec, Reservation, Result, SpilledFrame,
};

use crate::exec::Kept;

/// A positional relation argument.
#[derive(Debug, Clone, Copy)]
pub struct RelationSpec {
    /// Name in messages and EXPLAIN.
    pub name: &'static str,
    /// Whether the call fails without it.
    pub required: bool,
    /// What it holds.
    pub purpose: &'static str,
}

/// An option that names a file.
#[derive(Debug, Clone, Copy)]
pub struct FileSpec {
    /// Name of the option.
    pub option: &'static str,
    /// What the call does with the file.
    pub usage: FileUse,
    /// Option of [`TableFunction::planned`] that takes what planning read of it, for a file that is read.
    pub planned_as: &'static str,
}

/// What a call does with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileUse {
    /// Writes it.
    Written,
    /// Reads a saved model, whose header says what columns the rows have.
    Model,
}

/// One table function of the registry. Each exists in two fronts, relation planner and plain table function, which both
/// come here.
pub trait TableFunction: Debug + Send + Sync {
    /// Name in SQL, lower case.
    fn name(&self) -> &'static str;
    /// One sentence for listings.
    fn summary(&self) -> &'static str;
    /// Positional relations.
    fn relations(&self) -> &'static [RelationSpec];
    /// All options.
    fn options(&self) -> Vec<ParamSpec>;
    /// Options that shape the output's schema: they must be constants, not parameters.
    fn schema_options(&self) -> &'static [&'static str] {
        &[]
    }
    /// An option that may be given first and without its name, before any relation: `f('value', ...)`.
    fn unnamed(&self) -> Option<&'static str> {
        None
    }
    /// Options that name files. Their stores are within reach of the session once the call is planned.
    fn files(&self) -> &'static [FileSpec] {
        &[]
    }
    /// Options that planning fills in, so that a plan holds all that it needs on its way to other machines. They are neither
    /// given nor shown.
    fn planned(&self) -> &'static [ParamSpec] {
        &[]
    }
    /// The output's schema, after checking everything that can be checked from options and input schemas.
    fn schema(&self, call: &Call) -> Result<SchemaRef>;
    /// The operation for a call whose options are all known.
    fn operation(&self, call: &Call) -> Result<Arc<dyn Operation>>;
}

/// Whether planning has drawn the seed of a call; see [`TableFunction::planned`].
pub const FRESH_SEED: ParamSpec = ParamSpec {
    name: "fresh_seed",
    kind: ParamKind::Bool,
    default: Default::Bool(false),
    purpose: "Whether the seed was drawn by planning.",
};

/// Every option that a plan may hold.
pub(crate) fn all_options(function: &dyn TableFunction) -> Vec<ParamSpec> {
    let mut options = function.options();
    options.extend(function.planned());
    options
}

/// A call: checked options and the schemas of its inputs.
#[derive(Debug, Clone)]
pub struct Call {
    /// Options, checked against the function's table.
    pub options: Options,
    /// Inputs by role: names of the positional relations, `option` or `option.key` of relations given by option.
    pub inputs: Vec<(String, SchemaRef)>,
}

impl Call {
    /// Position of the input of a role.
    pub fn position(&self, role: &str) -> Option<usize> {
        self.inputs.iter().position(|(r, _)| r == role)
    }

    /// Schema of the input of a role.
    pub fn input(&self, role: &str) -> Option<&SchemaRef> {
        self.position(role).map(|i| &self.inputs[i].1)
    }

    /// Schema of an input that is always there.
    pub fn required(&self, role: &str) -> Result<&SchemaRef> {
        self.input(role).ok_or_else(|| Error::internal(format!("input '{role}' is missing from the plan")))
    }

    /// The seed; the planner has set a fresh one where the call gave none.
    pub fn seed(&self) -> u64 {
        self.options.int("seed").unwrap_or_default().unsigned_abs()
    }
}

/// What an operation needs of one input.
#[derive(Debug, Clone, std::default::Default)]
pub struct Want {
    /// Encode these columns.
    pub encode: Option<EncodeSpec>,
    /// Keep these columns of the rows themselves as well.
    pub keep: Option<Vec<usize>>,
    /// Cast the columns to the types they have here, by name, before encoding.
    pub like: Option<SchemaRef>,
    /// Whether the rows may go to disk when memory gets scarce: in pieces, each encoded on its own without identifiers or units
    /// ([`FrameBuilder::plain`]).
    pub spill: bool,
}

/// One input, read completely.
#[derive(Debug, std::default::Default)]
pub struct Gathered {
    /// Encoded columns, a builder for each partition in order.
    pub builders: Vec<FrameBuilder>,
    /// The kept columns of the rows: the same rows in the same order as in the builders.
    pub batches: Vec<RecordBatch>,
    /// Memory held for both.
    pub memory: Vec<Reservation>,
    /// The rows on disk instead, when memory was scarce.
    pub(crate) spilled: Option<Spilled>,
}

/// One input on disk: the same rows in the same order in both.
#[derive(Debug, std::default::Default)]
pub(crate) struct Spilled {
    /// Encoded columns.
    pub frames: Vec<SpilledFrame>,
    /// The kept columns.
    pub kept: Vec<Kept>,
}

/// What a call does with its inputs.
pub trait Operation: Debug + Send + Sync {
    /// What is needed of each input, in the order of the call's inputs.
    fn wants(&self) -> Vec<Want>;
    /// Computes the result once; its chunks may be large in total and are made on demand.
    fn run(&self, inputs: Vec<Gathered>, job: &Job) -> Result<Arc<dyn Output>>;
}

/// A result in chunks that can be made independently and in any order.
pub trait Output: Send + Sync {
    /// Number of chunks.
    fn chunks(&self) -> u64;
    /// Rows before a chunk.
    fn start(&self, chunk: u64) -> u64;
    /// One chunk, in the schema of the function.
    fn chunk(&self, chunk: u64, job: &Job) -> Result<RecordBatch>;
}

/// An output of ready batches.
pub struct Batches {
    batches: Vec<RecordBatch>,
    starts: Vec<u64>,
}

impl Batches {
    /// The batches in order.
    pub fn new(batches: Vec<RecordBatch>) -> Self {
        let starts = starts(batches.iter().map(|b| b.num_rows() as u64));
        Self { batches, starts }
    }
}

/// Running totals before each element.
pub fn starts(lengths: impl Iterator<Item = u64>) -> Vec<u64> {
    lengths
        .scan(0, |sum, n| {
            let start = *sum;
            *sum += n;
            Some(start)
        })
        .collect()
}

impl Output for Batches {
    fn chunks(&self) -> u64 {
        self.batches.len() as u64
    }
    fn start(&self, chunk: u64) -> u64 {
        self.starts[chunk as usize]
    }
    fn chunk(&self, chunk: u64, _: &Job) -> Result<RecordBatch> {
        Ok(self.batches[chunk as usize].clone())
    }
}

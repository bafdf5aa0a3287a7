//! Models of relations of (record, code) pairs: options, and the pairs that come out.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use lookalike_core::{
    Default, EncodeSpec, Error, Job, Options, ParamKind, ParamSpec, Reservation, Result, closest, list_names,
};
use lookalike_models::{PairBlock, PairColumns, Pairs, Synthesizer};

use super::super::common::require_column;
use crate::function::{Call, Output, starts};

pub(in super::super) const RECORD: ParamSpec = ParamSpec {
    name: "record",
    kind: ParamKind::Text,
    default: Default::Unset("rows are records"),
    purpose: "Column that names the record of a pair: with code, the input is pairs and a record is a person.",
};

pub(in super::super) const CODE: ParamSpec = ParamSpec {
    name: "code",
    kind: ParamKind::Text,
    default: Default::Unset("rows are records"),
    purpose: "Column of the codes that records have.",
};

pub(in super::super) const COUNT: ParamSpec = ParamSpec {
    name: "count",
    kind: ParamKind::Text,
    default: Default::Unset("pairs are repeated"),
    purpose: "Integer column that says how often the record has the code.",
};

/// Options that mean nothing of pairs.
const OF_TABLES: [&str; 9] = [
    "identifiers",
    "privacy_unit",
    "constraints",
    "condition",
    "balance",
    "proportions",
    "max_tries",
    "k",
    "quasi_identifiers",
];

/// The columns of a call that is about pairs; `None` for one about rows. Checks names, types, and what does not go with pairs.
pub(super) fn pairs(call: &Call) -> Result<Option<PairColumns>> {
    let text = |spec: &ParamSpec| call.options.text(spec.name).map(str::to_string);
    let (record, code) = match (text(&RECORD), text(&CODE), text(&COUNT)) {
        (None, None, None) => return Ok(None),
        (Some(record), Some(code), _) => (record, code),
        _ => {
            return Err(Error::argument(
                "a relation of pairs is named by both, record => 'column' and code => 'column', and count => 'column' goes with them",
            ));
        }
    };
    let names = PairColumns { record, code, count: text(&COUNT) };
    check_columns(&names, call.required("input")?)?;
    check_options(&call.options)?;
    Ok(Some(names))
}

fn check_columns(names: &PairColumns, input: &SchemaRef) -> Result<()> {
    let mut named = vec![(RECORD.name, &names.record), (CODE.name, &names.code)];
    named.extend(names.count.iter().map(|c| (COUNT.name, c)));
    for (i, (option, name)) in named.iter().enumerate() {
        require_column(option, name, input)?;
        if let Some((other, _)) = named[..i].iter().find(|n| n.1 == *name) {
            return Err(Error::argument(format!("{option}: column '{name}' is the {other} already")));
        }
    }
    let is_named = |name: &str| named.iter().any(|n| n.1 == name);
    let others: Vec<&str> = input.fields().iter().map(|f| f.name().as_str()).filter(|n| !is_named(n)).collect();
    if let Some(other) = others.first() {
        let hint = match (&names.count, closest("count", others.iter().copied())) {
            (None, Some(close)) => format!(" (a column of counts is named by count => '{close}')"),
            _ => String::new(),
        };
        return Err(Error::argument(format!(
            "column '{other}' is none of a relation of pairs{hint}: allowed are the record, the code and a count; select {}",
            list_names(named.iter().map(|n| n.1.as_str()))
        )));
    }
    let type_of = |name: &str| input.column_with_name(name).map(|(_, f)| f.data_type().clone());
    if let Some(found) = names.count.as_deref().and_then(type_of).filter(|t| !t.is_integer()) {
        let name = names.count.as_deref().unwrap_or_default();
        return Err(Error::argument(format!("count: column '{name}' is {found}, allowed is an integer column")));
    }
    match type_of(&names.record).filter(|t| !(t.is_integer() || t.is_string())) {
        Some(found) => Err(Error::argument(format!(
            "record: column '{}' is {found}, allowed are integers and strings: cast it",
            names.record
        ))),
        None => Ok(()),
    }
}

/// Fails for options that are about tables.
pub(in super::super) fn check_options(options: &Options) -> Result<()> {
    let given = |name: &&&str| match **name {
        "max_tries" => options.int("max_tries").is_some_and(|n| n != 1000),
        name => options.get(name).is_some(),
    };
    match OF_TABLES.iter().find(given) {
        Some(name) => Err(Error::argument(format!(
            "option '{name}' does not go with pairs of records and codes: the record is the person, and nothing else is asked of codes"
        ))),
        None => Ok(()),
    }
}

/// How pairs are encoded: codes as they are, whatever they look like.
pub(super) fn spec(names: &PairColumns, input: &SchemaRef) -> EncodeSpec {
    EncodeSpec {
        columns: Some(input.fields().iter().map(|f| f.name().clone()).collect()),
        identifiers: vec![names.record.clone()],
        unit: Some(names.record.clone()),
        unit_argument: Some(RECORD.name),
        detect_identifiers: false,
    }
}

/// The pairs of a synthesizer of records.
pub(in super::super) fn output(
    schema: SchemaRef,
    pairs: Pairs,
    synthesizer: &Synthesizer,
    job: &Job,
) -> Result<Arc<dyn Output>> {
    let made = pairs.synthesize(synthesizer, job)?;
    let starts = starts(made.iter().map(|(block, _)| block.len() as u64));
    Ok(Arc::new(PairRows { schema, pairs, made, starts }))
}

/// Pairs in memory, a chunk a block of records: how many pairs lie before one is known once all before it are made.
struct PairRows {
    schema: SchemaRef,
    pairs: Pairs,
    made: Vec<(PairBlock, Reservation)>,
    starts: Vec<u64>,
}

impl Output for PairRows {
    fn chunks(&self) -> u64 {
        self.made.len() as u64
    }

    fn start(&self, chunk: u64) -> u64 {
        self.starts[chunk as usize]
    }

    fn chunk(&self, chunk: u64, _: &Job) -> Result<RecordBatch> {
        let columns = self.pairs.decode(&self.made[chunk as usize].0)?;
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

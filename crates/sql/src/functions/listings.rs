//! LOOKALIKE_MODELS(), LOOKALIKE_ATTACKS(), LOOKALIKE_METHODS(), LOOKALIKE_FUNCTIONS(): what is registered, as rows.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lookalike_anonymize::{METHODS, Method};
use lookalike_attacks::ATTACKS;
use lookalike_core::{Job, ParamSpec, Result};
use lookalike_models::MODELS;

use crate::function::{Batches, Call, Gathered, Operation, Output, RelationSpec, TableFunction, Want};

/// One row an option, and one without option for an entry that has none.
type Row = [Option<String>; 8];

const COLUMNS: [&str; 8] = ["name", "summary", "source", "option", "type", "default", "range", "purpose"];

fn schema() -> SchemaRef {
    let nullable = |name: &str| !matches!(name, "name" | "summary");
    Arc::new(Schema::new(COLUMNS.map(|name| Field::new(name, DataType::Utf8, nullable(name))).to_vec()))
}

fn rows(name: &str, summary: &str, source: Option<&str>, params: &[ParamSpec]) -> Vec<Row> {
    let head = || [Some(name.to_string()), Some(summary.to_string()), source.map(str::to_string)];
    if params.is_empty() {
        let [name, summary, source] = head();
        return vec![[name, summary, source, None, None, None, None, None]];
    }
    params
        .iter()
        .map(|p| {
            let [name, summary, source] = head();
            let kind = p.kind.type_name().to_string();
            let texts = [p.name.to_string(), kind, p.default.text(), p.kind.range(), p.purpose.to_string()].map(Some);
            let [option, kind, default, range, purpose] = texts;
            [name, summary, source, option, kind, default, range, purpose]
        })
        .collect()
}

fn batch(rows: impl Iterator<Item = Row>) -> Result<RecordBatch> {
    let rows: Vec<Row> = rows.collect();
    let column = |i: usize| Arc::new(rows.iter().map(|r| r[i].clone()).collect::<StringArray>()) as ArrayRef;
    Ok(RecordBatch::try_new(schema(), (0..COLUMNS.len()).map(column).collect())?)
}

#[derive(Debug)]
struct Listing(RecordBatch);

impl Operation for Listing {
    fn wants(&self) -> Vec<Want> {
        vec![]
    }
    fn run(&self, _: Vec<Gathered>, _: &Job) -> Result<Arc<dyn Output>> {
        Ok(Arc::new(Batches::new(vec![self.0.clone()])))
    }
}

/// The methods of K_ANONYMIZE, which have no parameters of their own: a row each.
fn methods() -> Result<RecordBatch> {
    let column = |text: fn(&'static dyn Method) -> &'static str| -> ArrayRef {
        Arc::new(METHODS.iter().map(|m| Some(text(*m))).collect::<StringArray>())
    };
    Ok(RecordBatch::try_from_iter([
        ("name", column(|m| m.name())),
        ("summary", column(|m| m.summary())),
        ("source", column(|m| m.source())),
        ("cost", column(|m| m.cost())),
    ])?)
}

macro_rules! listing {
    ($type:ident, $name:literal, $summary:literal, $rows:expr) => {
        #[doc = $summary]
        #[derive(Debug)]
        pub struct $type;

        impl TableFunction for $type {
            fn name(&self) -> &'static str {
                $name
            }
            fn summary(&self) -> &'static str {
                $summary
            }
            fn relations(&self) -> &'static [RelationSpec] {
                &[]
            }
            fn options(&self) -> Vec<ParamSpec> {
                vec![]
            }
            fn schema(&self, _: &Call) -> Result<SchemaRef> {
                Ok($rows?.schema())
            }
            fn operation(&self, _: &Call) -> Result<Arc<dyn Operation>> {
                Ok(Arc::new(Listing($rows?)))
            }
        }
    };
}

listing!(
    Models,
    "lookalike_models",
    "The models of SYNTHESIZE with their parameters, one row a parameter.",
    batch(MODELS.iter().flat_map(|m| rows(m.name(), m.summary(), Some(m.source()), m.params())))
);
listing!(
    Attacks,
    "lookalike_attacks",
    "The attacks of MIA_SCORE with their parameters, one row a parameter.",
    batch(ATTACKS.iter().flat_map(|a| rows(a.name(), a.summary(), Some(a.source()), a.params())))
);
listing!(Methods, "lookalike_methods", "The methods of K_ANONYMIZE with what they cost, one row a method.", methods());
listing!(
    Functions,
    "lookalike_functions",
    "The table functions with their options, one row an option.",
    batch(super::FUNCTIONS.iter().flat_map(|f| rows(f.name(), f.summary(), None, &f.options())))
);

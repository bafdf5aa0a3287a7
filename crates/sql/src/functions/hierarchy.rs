//! HIERARCHY(input, column =>, rule =>): the table that a rule makes of a column's values.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lookalike_anonymize::Rule;
use lookalike_core::{Default, EncodeSpec, Error, FrameBuilder, Job, ParamKind, ParamSpec, Result};

use super::common::require_column;
use crate::exec::encode_together;
use crate::function::{Batches, Call, Gathered, Operation, Output, RelationSpec, TableFunction, Want};

/// HIERARCHY as a table function.
#[derive(Debug)]
pub struct HierarchyTable;

const OPTIONS: [ParamSpec; 2] = [
    ParamSpec {
        name: "column",
        kind: ParamKind::Text,
        default: Default::Required,
        purpose: "Column whose values are generalised.",
    },
    ParamSpec {
        name: "rule",
        kind: ParamKind::Text,
        default: Default::Required,
        purpose: "How: widths(...), dates(...), mask_suffix(...), mask_prefix(...) or prefix(...).",
    },
];

impl TableFunction for HierarchyTable {
    fn name(&self) -> &'static str {
        "hierarchy"
    }

    fn summary(&self) -> &'static str {
        "The hierarchy that a rule makes of a column: one row a distinct value, one column a level."
    }

    fn relations(&self) -> &'static [RelationSpec] {
        &[RelationSpec { name: "input", required: true, purpose: "the rows whose values are generalised" }]
    }

    fn options(&self) -> Vec<ParamSpec> {
        OPTIONS.to_vec()
    }

    fn schema_options(&self) -> &'static [&'static str] {
        &["rule", "column"]
    }

    fn schema(&self, call: &Call) -> Result<SchemaRef> {
        Ok(plan(call)?.schema)
    }

    fn operation(&self, call: &Call) -> Result<Arc<dyn Operation>> {
        Ok(Arc::new(plan(call)?))
    }
}

#[derive(Debug)]
struct Plan {
    schema: SchemaRef,
    spec: EncodeSpec,
    rule: Rule,
}

fn plan(call: &Call) -> Result<Plan> {
    let input = call.required("input")?;
    let column = call.options.text("column").ok_or_else(|| Error::internal("no column"))?;
    require_column("column", column, input)?;
    let rule = Rule::parse(call.options.text("rule").ok_or_else(|| Error::internal("no rule"))?)?;
    let field = input.field_with_name(column).map_err(|e| Error::internal(e.to_string()))?;
    rule.check_type(field.data_type()).map_err(|e| e.within(format!("column '{column}'")))?;
    let height = rule.height().ok_or_else(|| {
        Error::argument(format!(
            "rule '{rule}' has as many levels as the longest value has characters, a table needs to know them: name the \
             numbers of characters, as in {rule}(1, 2, 5)"
        ))
    })?;
    let fields = (0..=height).map(|level| Field::new(format!("level_{level}"), DataType::Utf8, false));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let columns = Some(vec![column.to_string()]);
    let spec =
        EncodeSpec { columns, identifiers: vec![], unit: None, detect_identifiers: false, ..EncodeSpec::default() };
    FrameBuilder::new(Arc::clone(input), spec.clone())?;
    Ok(Plan { schema, spec, rule })
}

impl Operation for Plan {
    fn wants(&self) -> Vec<Want> {
        vec![Want { encode: Some(self.spec.clone()), ..Want::default() }]
    }

    fn run(&self, inputs: Vec<Gathered>, job: &Job) -> Result<Arc<dyn Output>> {
        let input = encode_together(inputs, job)?.pop().ok_or_else(|| Error::internal("no input"))?;
        let column = input.frame.columns().first().ok_or_else(|| Error::internal("no column"))?;
        let levels = self.rule.levels_of(column)?;
        let columns =
            levels.into_iter().map(|labels| Arc::new(labels.into_iter().collect::<StringArray>()) as ArrayRef);
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns.collect())?;
        Ok(Arc::new(Batches::new(vec![batch])))
    }
}

//! LINKAGE_ATTACK(released, register, on =>): whom a register gives names to.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lookalike_anonymize::{Classes, Side, link};
use lookalike_core::{Default, Error, Job, ParamKind, ParamSpec, Result};

use super::common::{PRIVACY_UNIT, distinct, require_column};
use super::released::{
    Columns, Held, classes, common_type, common_units, hierarchies, raw_column, require_raw, require_sortable, want_all,
};
use crate::function::{Batches, Call, Gathered, Operation, Output, RelationSpec, TableFunction, Want};

/// LINKAGE_ATTACK as a table function.
#[derive(Debug)]
pub struct LinkageAttack;

const ON: ParamSpec = ParamSpec {
    name: "on",
    kind: ParamKind::Names,
    default: Default::Required,
    purpose: "Columns that both relations have: raw in the register, generalised or raw in the released table.",
};

const HIERARCHIES: ParamSpec = ParamSpec {
    name: "hierarchies",
    kind: ParamKind::Relations,
    default: Default::Unset("none"),
    purpose: "Tables of generalisations, a column a level with the value itself first, for columns by name.",
};

impl TableFunction for LinkageAttack {
    fn name(&self) -> &'static str {
        "linkage_attack"
    }

    fn summary(&self) -> &'static str {
        "Links a released table, raw or generalised, with a register that names its people, and counts who is singled out \
         and, where the truth is known, rightly so."
    }

    fn relations(&self) -> &'static [RelationSpec] {
        &[
            RelationSpec { name: "released", required: true, purpose: "the rows to attack" },
            RelationSpec { name: "register", required: true, purpose: "raw rows of people the attacker can name" },
        ]
    }

    fn options(&self) -> Vec<ParamSpec> {
        vec![ON, HIERARCHIES, PRIVACY_UNIT]
    }

    fn schema(&self, call: &Call) -> Result<SchemaRef> {
        plan(call)?;
        Ok(schema())
    }

    fn operation(&self, call: &Call) -> Result<Arc<dyn Operation>> {
        Ok(Arc::new(plan(call)?))
    }
}

fn schema() -> SchemaRef {
    let field = |(name, data_type, nullable): &(&str, DataType, bool)| Field::new(*name, data_type.clone(), *nullable);
    Arc::new(Schema::new(
        [
            ("released", DataType::Int64, false),
            ("register", DataType::Int64, false),
            ("matched", DataType::Int64, false),
            ("singled_out", DataType::Int64, false),
            ("singled_out_share", DataType::Float64, false),
            ("correct", DataType::Int64, true),
            ("correct_share", DataType::Float64, true),
            ("expected_matches", DataType::Float64, false),
            ("mean_candidates", DataType::Float64, true),
            ("max_risk", DataType::Float64, false),
        ]
        .iter()
        .map(field)
        .collect::<Vec<_>>(),
    ))
}

/// What options and schemas decide: the columns to link on, then the person's, if any, of both sides.
#[derive(Debug)]
struct Attack {
    on: Vec<String>,
    released: Columns,
    register: Columns,
    has_unit: bool,
    /// Columns with hierarchies, and the inputs that hold them.
    hierarchies: Vec<(String, usize)>,
    wants: Vec<Want>,
}

fn plan(call: &Call) -> Result<Attack> {
    let (released, register) = (call.required("released")?, call.required("register")?);
    let on = call.options.names("on");
    if on.is_empty() {
        return Err(Error::argument("option 'on' is empty, allowed is at least one column"));
    }
    distinct("on", &on)?;
    require_sortable("on", &on, released)?;
    require_raw("register", &on, register)?;
    let unit = call.options.text("privacy_unit");
    if let Some(unit) = unit {
        require_column("privacy_unit", unit, released)?;
        if register.column_with_name(unit).is_none() {
            return Err(Error::argument(format!("privacy_unit: the relation 'register' has no column '{unit}'")));
        }
        if on.iter().any(|c| c == unit) {
            return Err(Error::argument(format!(
                "privacy_unit: column '{unit}' is also a column to link on: it is the truth, which no attacker has"
            )));
        }
        let data_type = |schema: &SchemaRef| {
            schema.field_with_name(unit).map(|f| f.data_type().clone()).map_err(|e| Error::internal(e.to_string()))
        };
        common_type(unit, &data_type(released)?, &data_type(register)?)?;
    }
    let names: Vec<&str> = on.iter().map(String::as_str).chain(unit).collect();
    let mut wants = vec![Want::default(); call.inputs.len()];
    let hierarchies = hierarchies(call);
    for (column, input) in &hierarchies {
        if !on.contains(column) {
            return Err(Error::argument(format!("hierarchies: column '{column}' is not one to link on")));
        }
        wants[*input] = want_all(&call.inputs[*input].1);
    }
    let (released, register) =
        (Columns::new("released", released, &names)?, Columns::new("register", register, &names)?);
    (wants[0], wants[1]) = (released.want(), register.want());
    Ok(Attack { on, released, register, has_unit: unit.is_some(), hierarchies, wants })
}

impl Operation for Attack {
    fn wants(&self) -> Vec<Want> {
        self.wants.clone()
    }

    fn run(&self, inputs: Vec<Gathered>, job: &Job) -> Result<Arc<dyn Output>> {
        for (input, (role, what)) in inputs.iter().zip([("released", "to attack"), ("register", "to link with")]) {
            if input.batches.iter().all(|b| b.num_rows() == 0) {
                return Err(Error::data(format!("the relation '{role}' has no rows {what}")));
            }
        }
        let mut memory = Held::default();
        let (mut released, mut register, mut regions) = (vec![], vec![], vec![]);
        for (place, name) in self.on.iter().enumerate() {
            let cells = self.released.coded(place, &inputs[0], &mut memory, job)?;
            let values = self.register.coded(place, &inputs[1], &mut memory, job)?;
            let table = self.hierarchies.iter().find(|h| h.0 == *name).map(|h| &inputs[h.1]);
            let raw = raw_column(self.register.field(place), &values, "register", false, table)?;
            regions.push(raw.read(&cells.distinct, "released", job)?);
            released.push(cells.codes);
            register.push(values.codes);
        }
        let units = match self.has_unit {
            true => {
                let place = self.on.len();
                let sides = [(&self.released, place, &inputs[0]), (&self.register, place, &inputs[1])];
                Some(common_units(sides, &mut memory, job)?)
            }
            false => None,
        };
        let slices = |columns: &[Vec<u32>], memory: &mut Held| -> Result<Classes> {
            classes(&columns.iter().map(Vec::as_slice).collect::<Vec<_>>(), None, memory, job)
        };
        let (released, register) = (slices(&released, &mut memory)?, slices(&register, &mut memory)?);
        let units = units.as_ref();
        let found = link(
            Side { classes: &released, units: units.map(|u| u[0].as_slice()) },
            &regions,
            Side { classes: &register, units: units.map(|u| u[1].as_slice()) },
            job,
        )?;
        let share = |n: u64| n as f64 / found.released as f64;
        let count = |n: u64| -> ArrayRef { Arc::new(Int64Array::from(vec![n as i64])) };
        let float = |v: Option<f64>| -> ArrayRef { Arc::new(Float64Array::from(vec![v])) };
        let columns = vec![
            count(found.released),
            count(found.register),
            count(found.matched),
            count(found.singled_out),
            float(Some(share(found.singled_out))),
            Arc::new(Int64Array::from(vec![found.correct.map(|n| n as i64)])),
            float(found.correct.map(share)),
            float(Some(found.expected_matches)),
            float((found.matched > 0).then_some(found.mean_candidates)),
            float(Some(found.max_risk)),
        ];
        Ok(Arc::new(Batches::new(vec![RecordBatch::try_new(schema(), columns)?])))
    }
}

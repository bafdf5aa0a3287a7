//! ANONYMITY_REPORT(released, quasi_identifiers =>): figures of a released table.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lookalike_anonymize::{
    Candidates, Classes, OriginalColumn, OriginalTable, RawColumn, Register, ReportInput, SensitiveColumn, report,
};
use lookalike_core::{Default, Error, Job, ParamKind, ParamSpec, Result};

use super::common::{PRIVACY_UNIT, distinct, require_column};
use super::released::{
    Columns, Held, classes, hierarchies, levels, raw_column, require_raw, require_sortable, want_all,
};
use crate::function::{Batches, Call, Gathered, Operation, Output, RelationSpec, TableFunction, Want};

/// ANONYMITY_REPORT as a table function.
#[derive(Debug)]
pub struct AnonymityReport;

const OPTIONS: [ParamSpec; 7] = [
    ParamSpec {
        name: "quasi_identifiers",
        kind: ParamKind::Names,
        default: Default::Required,
        purpose: "Columns an attacker may know from elsewhere: rows that are equal in all of them are a class.",
    },
    ParamSpec {
        name: "sensitive",
        kind: ParamKind::Names,
        default: Default::Unset("none"),
        purpose: "Columns that nobody should learn of a person: their spread within classes is measured.",
    },
    ParamSpec {
        name: "original",
        kind: ParamKind::Relation,
        default: Default::Unset("nothing is said about what was lost"),
        purpose: "The table before anonymisation, for information loss and the risk before; rows need not be aligned.",
    },
    ParamSpec {
        name: "population",
        kind: ParamKind::Relation,
        default: Default::Unset("the released table"),
        purpose: "Raw records of everybody the released persons may be among, for journalist and marketer risk.",
    },
    ParamSpec {
        name: "hierarchies",
        kind: ParamKind::Relations,
        default: Default::Unset("none"),
        purpose: "Tables of generalisations, a column a level with the value itself first, for columns by name.",
    },
    ParamSpec {
        name: "risk_threshold",
        kind: ParamKind::Float { min: 0.0, max: 1.0 },
        // 1/11: policy 0070 of the European Medicines Agency, cited as 0.09.
        default: Default::Float(1.0 / 11.0),
        purpose: "Risk above which a person counts as at risk: 1/11, a class of 11, is what EMA policy 0070 cites as 0.09.",
    },
    ParamSpec {
        name: "k",
        kind: ParamKind::Int { min: 1, max: i64::MAX },
        default: Default::Unset("the k that was reached"),
        purpose: "The k that was asked for, with which c_avg compares the average class.",
    },
];

impl TableFunction for AnonymityReport {
    fn name(&self) -> &'static str {
        "anonymity_report"
    }

    fn summary(&self) -> &'static str {
        "Figures of an anonymised table: k, diversity and closeness of sensitive columns, risk of re-identification and, \
         beside the original, what was lost; one row a figure, with what it means."
    }

    fn relations(&self) -> &'static [RelationSpec] {
        &[RelationSpec { name: "released", required: true, purpose: "the anonymised rows" }]
    }

    fn options(&self) -> Vec<ParamSpec> {
        OPTIONS.iter().copied().chain([PRIVACY_UNIT]).collect()
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
    Arc::new(Schema::new(vec![
        Field::new("metric", DataType::Utf8, false),
        Field::new("column_name", DataType::Utf8, true),
        Field::new("value", DataType::Float64, false),
        Field::new("note", DataType::Utf8, false),
    ]))
}

/// A relation of raw values: its input, and its quasi-identifiers followed by the person, if it has one.
#[derive(Debug)]
struct Raw {
    input: usize,
    columns: Columns,
    has_unit: bool,
}

/// What options and schemas decide.
#[derive(Debug)]
struct Report {
    quasi: Vec<String>,
    sensitive: Vec<String>,
    /// Quasi-identifiers, sensitive columns, and the person, if any.
    released: Columns,
    has_unit: bool,
    original: Option<Raw>,
    population: Option<Raw>,
    /// Columns with hierarchies, and the inputs that hold them.
    hierarchies: Vec<(String, usize)>,
    wants: Vec<Want>,
    risk_threshold: f64,
    k: Option<u64>,
}

fn plan(call: &Call) -> Result<Report> {
    let (options, released) = (&call.options, call.required("released")?);
    let (quasi, sensitive) = (options.names("quasi_identifiers"), options.names("sensitive"));
    for (option, names) in [("quasi_identifiers", &quasi), ("sensitive", &sensitive)] {
        if names.is_empty() && options.get(option).is_some() {
            return Err(Error::argument(format!("option '{option}' is empty, allowed is at least one column")));
        }
        distinct(option, names)?;
        require_sortable(option, names, released)?;
    }
    let unit = options.text("privacy_unit");
    if let Some(unit) = unit {
        require_column("privacy_unit", unit, released)?;
    }
    if let Some(both) = sensitive.iter().find(|s| quasi.contains(s)) {
        return Err(Error::argument(format!(
            "sensitive: column '{both}' is also a quasi-identifier, which is the same in all of a class"
        )));
    }
    if let Some(unit) = unit.filter(|u| quasi.iter().chain(&sensitive).any(|c| c == u)) {
        return Err(Error::argument(format!(
            "privacy_unit: column '{unit}' is also a quasi-identifier or sensitive column: it names persons"
        )));
    }
    let mut wants = vec![Want::default(); call.inputs.len()];
    let raw = |role: &str, needs_unit: bool| -> Result<Option<Raw>> {
        let (Some(input), Some(schema)) = (call.position(role), call.input(role)) else { return Ok(None) };
        require_raw(role, &quasi, schema)?;
        let has = unit.filter(|u| schema.column_with_name(u).is_some());
        if let Some(unit) = unit.filter(|_| needs_unit && has.is_none()) {
            return Err(Error::argument(format!("privacy_unit: the relation '{role}' has no column '{unit}'")));
        }
        let names: Vec<&str> = quasi.iter().map(String::as_str).chain(has).collect();
        Ok(Some(Raw { input, columns: Columns::new(role, schema, &names)?, has_unit: has.is_some() }))
    };
    let (original, population) = (raw("original", true)?, raw("population", false)?);
    let hierarchies = hierarchies(call);
    for (column, input) in &hierarchies {
        if quasi.contains(column) && original.is_none() && population.is_none() {
            return Err(Error::argument(format!(
                "hierarchies: '{column}' is a quasi-identifier, whose labels are read beside original => or population =>; \
                 neither is given"
            )));
        }
        if !quasi.contains(column) && !sensitive.contains(column) {
            return Err(Error::argument(format!(
                "hierarchies: column '{column}' is neither a quasi-identifier nor sensitive"
            )));
        }
        wants[*input] = want_all(&call.inputs[*input].1);
    }
    let names: Vec<&str> = quasi.iter().chain(&sensitive).map(String::as_str).chain(unit).collect();
    let columns = Columns::new("released", released, &names)?;
    wants[0] = columns.want();
    for raw in [&original, &population].into_iter().flatten() {
        wants[raw.input] = raw.columns.want();
    }
    Ok(Report {
        has_unit: unit.is_some(),
        quasi,
        sensitive,
        released: columns,
        original,
        population,
        hierarchies,
        wants,
        risk_threshold: options.float("risk_threshold").unwrap_or(1.0),
        k: options.int("k").map(i64::unsigned_abs),
    })
}

impl Operation for Report {
    fn wants(&self) -> Vec<Want> {
        self.wants.clone()
    }

    fn run(&self, inputs: Vec<Gathered>, job: &Job) -> Result<Arc<dyn Output>> {
        let mut memory = Held::default();
        let rows = |input: usize| inputs[input].batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        for (role, input) in [("original", &self.original), ("population", &self.population)] {
            if input.as_ref().is_some_and(|raw| rows(raw.input) == 0) {
                return Err(Error::data(format!("the relation '{role}' has no rows")));
            }
        }
        if rows(0) == 0 {
            return Err(Error::data("the relation 'released' has no rows to measure"));
        }
        let count = self.quasi.len();
        let released = &self.released;
        let coded = (0..count + self.sensitive.len())
            .map(|place| released.coded(place, &inputs[0], &mut memory, job))
            .collect::<Result<Vec<_>>>()?;
        let (quasi, sensitive) = coded.split_at(count);
        let units = match self.has_unit {
            true => Some(released.units(coded.len(), &inputs[0], &mut memory, job)?),
            false => None,
        };
        let codes: Vec<&[u32]> = quasi.iter().map(|c| c.codes.as_slice()).collect();
        let classes = classes(&codes, units.as_deref(), &mut memory, job)?;
        let table = |column: &str| self.hierarchies.iter().find(|h| h.0 == column).map(|h| &inputs[h.1]);
        let sensitive = self
            .sensitive
            .iter()
            .zip(sensitive)
            .map(|(name, values)| {
                let levels = table(name).map(|t| levels(name, t, values.distinct.data_type())).transpose()?;
                SensitiveColumn::new(name, values, levels.as_deref())
            })
            .collect::<Result<Vec<_>>>()?;
        // Raw columns of a relation, their codes, and its classes.
        let mut raw = |raw: &Raw, complete: bool| -> Result<(Vec<OriginalColumn>, Classes, Option<Vec<u32>>)> {
            let input = &inputs[raw.input];
            let (mut columns, mut coded) = (vec![], vec![]);
            for (place, name) in self.quasi.iter().enumerate() {
                let values = raw.columns.coded(place, input, &mut memory, job)?;
                let field = raw.columns.field(place);
                let column: RawColumn = raw_column(field, &values, raw.columns.role(), complete, table(name))?;
                columns.push(OriginalColumn {
                    name: name.clone(),
                    counts: values.counts(),
                    regions: column.read(&quasi[place].distinct, "released", job)?,
                    height: column.height(),
                });
                coded.push(values);
            }
            let units = match raw.has_unit {
                true => Some(raw.columns.units(count, input, &mut memory, job)?),
                false => None,
            };
            let codes: Vec<&[u32]> = coded.iter().map(|c| c.codes.as_slice()).collect();
            let classes = super::released::classes(&codes, units.as_deref(), &mut memory, job)?;
            Ok((columns, classes, units))
        };
        let original = self.original.as_ref().map(|r| raw(r, true)).transpose()?;
        let population = self.population.as_ref().map(|r| raw(r, false)).transpose()?;
        let population = population
            .map(|(columns, register, units)| -> Result<Vec<Candidates>> {
                let regions: Vec<_> = columns.into_iter().map(|c| c.regions).collect();
                Register::new(&register, units.as_deref()).candidates(&classes, &regions, job)
            })
            .transpose()?;
        let original = original.as_ref().map(|(columns, classes, _)| (columns, classes));
        let input = ReportInput {
            classes: &classes,
            units: units.as_deref(),
            sensitive,
            population,
            original: original.map(|(columns, classes)| OriginalTable { classes, columns }),
            risk_threshold: self.risk_threshold,
            k: self.k,
        };
        let figures = report(&input, job)?;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(figures.iter().map(|f| f.metric))),
            Arc::new(figures.iter().map(|f| f.column.as_deref()).collect::<StringArray>()),
            Arc::new(Float64Array::from_iter_values(figures.iter().map(|f| f.value))),
            Arc::new(StringArray::from_iter_values(figures.iter().map(|f| f.note))),
        ];
        Ok(Arc::new(Batches::new(vec![RecordBatch::try_new(schema(), columns)?])))
    }
}

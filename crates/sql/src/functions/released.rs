//! What the functions that read released tables share: columns as codes, persons, and hierarchies given as tables.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::arrow::row::RowConverter;
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use lookalike_anonymize::{Classes, Coded, RawColumn, plain_type, sort_field};
use lookalike_core::{EncodeSpec, Error, FrameBuilder, Job, Reservation, Result, Value};

use super::common::require_column;
use super::hierarchies;
use crate::function::{Call, Gathered, Want};

/// Levels of a hierarchy: labels of each row of its table.
pub(super) type Levels = Vec<Vec<Option<String>>>;

/// Columns that are kept of one input, by name.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    role: String,
    fields: Vec<Arc<Field>>,
    indices: Vec<usize>,
}

impl Columns {
    /// The named columns of the input of a role, which has them.
    pub fn new(role: &str, schema: &SchemaRef, names: &[&str]) -> Result<Self> {
        let indices = names
            .iter()
            .map(|name| schema.index_of(name).map_err(|e| Error::internal(e.to_string())))
            .collect::<Result<Vec<usize>>>()?;
        let fields = indices.iter().map(|&i| Arc::clone(&schema.fields()[i])).collect();
        Ok(Self { role: role.to_string(), fields, indices })
    }

    pub fn want(&self) -> Want {
        Want { keep: Some(self.indices.clone()), ..Want::default() }
    }

    /// Field of a column, by its place among the kept ones.
    pub fn field(&self, place: usize) -> &Arc<Field> {
        &self.fields[place]
    }

    pub fn role(&self) -> &str {
        &self.role
    }

    /// Codes of a column.
    pub fn coded(&self, place: usize, input: &Gathered, memory: &mut Held, job: &Job) -> Result<Coded> {
        let parts: Vec<ArrayRef> = input.batches.iter().map(|b| Arc::clone(b.column(place))).collect();
        let coded = Coded::new(self.fields[place].data_type(), &parts, job)?;
        memory.hold(coded.memory(), "columns as codes", job)?;
        Ok(coded)
    }

    /// Codes of the persons of a column, none of whom may be NULL.
    pub fn units(&self, place: usize, input: &Gathered, memory: &mut Held, job: &Job) -> Result<Vec<u32>> {
        let coded = self.coded(place, input, memory, job)?;
        persons_named(self.fields[place].name(), &self.role, &coded)?;
        Ok(coded.codes)
    }
}

fn persons_named(name: &str, role: &str, coded: &Coded) -> Result<()> {
    match (coded.distinct.logical_null_count(), coded.counts().last()) {
        (1.., Some(n)) => Err(Error::data(format!(
            "privacy_unit: column '{name}' of the relation '{role}' is NULL in {n} rows; every row needs its person: filter \
             them out with WHERE {name} IS NOT NULL"
        ))),
        _ => Ok(()),
    }
}

/// Rows by equal codes in all columns.
pub(super) fn classes(columns: &[&[u32]], units: Option<&[u32]>, memory: &mut Held, job: &Job) -> Result<Classes> {
    let rows = columns.first().map_or(0, |c| c.len());
    let _working = job.reserve(Classes::working_memory(rows), "grouping rows")?;
    let classes = Classes::new(columns, units);
    memory.hold(classes.memory(), "classes", job)?;
    Ok(classes)
}

/// Memory held until the end.
#[derive(Debug, Default)]
pub(super) struct Held(Vec<Reservation>);

impl Held {
    pub fn hold(&mut self, bytes: usize, purpose: &str, job: &Job) -> Result<()> {
        self.0.push(job.reserve(bytes, purpose)?);
        Ok(())
    }
}

/// Codes of persons that mean the same in two inputs; each side is its columns, the place of the person's and the rows.
pub(super) fn common_units(
    sides: [(&Columns, usize, &Gathered); 2],
    memory: &mut Held,
    job: &Job,
) -> Result<[Vec<u32>; 2]> {
    let [a, b] = sides.map(|(columns, place, _)| columns.field(place).data_type());
    let common = common_type(sides[0].0.field(sides[0].1).name(), a, b)?;
    let mut parts = Vec::new();
    for (_, place, input) in sides {
        for batch in &input.batches {
            parts.push(cast(batch.column(place), &common)?);
        }
    }
    let mut coded = Coded::new(&common, &parts, job)?;
    memory.hold(coded.memory(), "persons as codes", job)?;
    persons_named(sides[0].0.field(sides[0].1).name(), "released' or 'register", &coded)?;
    let first: usize = sides[0].2.batches.iter().map(RecordBatch::num_rows).sum();
    let second = coded.codes.split_off(first);
    Ok([coded.codes, second])
}

/// The type in which persons of two relations are compared.
pub(super) fn common_type(name: &str, released: &DataType, register: &DataType) -> Result<DataType> {
    let (a, b) = (plain_type(released), plain_type(register));
    let common = if a == b { Some(a) } else { comparison_coercion(&a, &b) };
    common.ok_or_else(|| {
        Error::argument(format!(
            "privacy_unit: column '{name}' is {released} in 'released' and {register} in 'register': cast one of them"
        ))
    })
}

/// Fails for columns whose values cannot be sorted.
pub(super) fn require_sortable(option: &str, names: &[String], schema: &SchemaRef) -> Result<()> {
    for name in names {
        require_column(option, name, schema)?;
        let field = schema.field_with_name(name).map_err(|e| Error::internal(e.to_string()))?;
        if !RowConverter::supports_fields(&[sort_field(field.data_type())]) {
            return Err(Error::argument(format!(
                "{option}: column '{name}' is {}, whose values cannot be compared",
                field.data_type()
            )));
        }
    }
    Ok(())
}

/// Fails unless the columns hold single values: numbers, dates, times, strings or booleans.
pub(super) fn require_raw(role: &str, names: &[String], schema: &SchemaRef) -> Result<()> {
    let missing = |name: &&String| schema.column_with_name(name).is_none();
    if let Some(name) = names.iter().find(missing) {
        return Err(Error::argument(format!(
            "the relation '{role}' has no column '{name}' (columns: {})",
            lookalike_core::list_names(schema.fields().iter().map(|f| f.name().as_str()))
        )));
    }
    let spec = EncodeSpec { columns: Some(names.to_vec()), ..EncodeSpec::default() };
    FrameBuilder::new(Arc::clone(schema), spec).map_err(|e| e.within(format!("relation '{role}'")))?;
    Ok(())
}

/// Names of the columns with a hierarchy, and the inputs that hold them.
pub(super) fn hierarchies(call: &Call) -> Vec<(String, usize)> {
    let Some(Value::Map(entries)) = call.options.get("hierarchies") else { return vec![] };
    let place = |column: &String| call.position(&format!("hierarchies.{column}"));
    entries.iter().filter_map(|(column, _)| Some((column.clone(), place(column)?))).collect()
}

/// Everything of a hierarchy's table.
pub(super) fn want_all(schema: &SchemaRef) -> Want {
    Want { keep: Some((0..schema.fields().len()).collect()), ..Want::default() }
}

/// Labels of the hierarchy table of a column of `data_type`, a list a level.
pub(super) fn levels(name: &str, table: &Gathered, data_type: &DataType) -> Result<Levels> {
    let place = format!("hierarchies: the table for column '{name}'");
    Ok(hierarchies::levels(&place, data_type, &table.batches)?.table())
}

/// The raw values of a column, with its hierarchy if there is one.
pub(super) fn raw_column(
    field: &Arc<Field>,
    coded: &Coded,
    role: &str,
    complete: bool,
    table: Option<&Gathered>,
) -> Result<RawColumn> {
    let column = RawColumn::new(field, coded, role, complete)?;
    match table {
        None => Ok(column),
        Some(table) => {
            let levels = levels(field.name(), table, column.data_type())?;
            column.with_hierarchy(&levels)
        }
    }
}

//! The list column of K_ANONYMIZE: its codes are recoded until k persons share every combination of up to m of them.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, StringArray, UInt32Array};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use lookalike_anonymize::itemsets::{KmParams, KmRelease, MAX_M, Transactions, km_anonymize};
use lookalike_anonymize::{Hierarchy, SUPPRESSED};
use lookalike_core::{Column, Default, Error, Job, MISSING, Options, ParamKind, ParamSpec, Reservation, Result, Units};

use super::options::no_effect;
use crate::functions::common::require_column;

pub(super) const OPTIONS: [ParamSpec; 3] = [
    ParamSpec {
        name: "items",
        kind: ParamKind::Text,
        default: Default::Unset("none"),
        purpose: "List column of codes; k persons share every combination of up to m of them that leaves.",
    },
    ParamSpec {
        name: "m",
        kind: ParamKind::Int { min: 1, max: MAX_M as i64 },
        default: Default::Unset("required by items"),
        purpose: "Codes of a person that somebody may know.",
    },
    ParamSpec {
        name: "item_suppression_limit",
        kind: ParamKind::Float { min: 0.0, max: 1.0 },
        default: Default::Unset("0"),
        purpose: "Largest share of the codes, each counted once a person, that may be removed although there is a hierarchy.",
    },
];

/// The list column and the type of its elements.
#[derive(Debug, Clone)]
pub(super) struct ListColumn {
    pub name: String,
    pub element: DataType,
}

impl ListColumn {
    /// The column that the call names in `items`.
    pub fn new(options: &Options, input: &SchemaRef) -> Result<Option<Self>> {
        let Some(name) = options.text("items") else { return Ok(None) };
        require_column("items", name, input)?;
        let field = input.field_with_name(name).map_err(|e| Error::internal(e.to_string()))?;
        let element = match field.data_type() {
            DataType::List(e) | DataType::LargeList(e) | DataType::FixedSizeList(e, _) => e.data_type().clone(),
            other => {
                return Err(Error::argument(format!(
                    "items: column '{name}' is of type {other}, and k^m-anonymity of a scalar does not exist: name a list \
                     of codes, such as array_agg(code) makes of the rows of a person"
                )));
            }
        };
        if !is_code(&element) {
            return Err(Error::argument(format!(
                "items: column '{name}' is a list of {element}, allowed are lists of strings or integers"
            )));
        }
        Ok(Some(Self { name: name.to_string(), element }))
    }

    /// The column as it leaves.
    pub fn output_field(&self, field: &Field) -> FieldRef {
        Arc::new(Field::new(field.name(), DataType::new_list(DataType::Utf8, true), field.is_nullable()))
    }
}

fn is_code(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_code(values),
        other => other.is_string() || other.is_integer(),
    }
}

/// What is asked for of the list column, if there is one.
pub(super) fn params(options: &Options, has_hierarchy: bool) -> Result<Option<KmParams>> {
    if options.text("items").is_none() {
        no_effect(options, &["m", "item_suppression_limit"], "items => 'column'")?;
        return Ok(None);
    }
    let missing = |name: &str, what: &str| Error::argument(format!("option 'items' needs {name}: {name} => {what}"));
    let m = options.int("m").ok_or_else(|| missing("m", "the number of codes of a person that somebody may know"))?;
    let k = options.int("k").ok_or_else(|| missing("k", "the number of persons that share every combination"))?;
    if !has_hierarchy {
        no_effect(
            options,
            &["item_suppression_limit"],
            "hierarchies or rules of the codes, without which all is removal",
        )?;
    }
    let params = KmParams::new(k as usize, m as usize)?;
    params.with_suppression_limit(options.float("item_suppression_limit").unwrap_or_default()).map(Some)
}

/// The lists as they leave, for all rows of the input.
pub(super) struct Lists {
    /// Codes of row i are those from `offsets[i]` to `offsets[i + 1]`.
    offsets: Vec<usize>,
    codes: Vec<u32>,
    valid: Vec<bool>,
    labels: ArrayRef,
    _memory: Reservation,
}

impl Lists {
    /// The lists of some rows that follow one another.
    pub fn array(&self, first: usize, rows: usize) -> Result<ArrayRef> {
        let offsets = &self.offsets[first..=first + rows];
        let codes = UInt32Array::from(self.codes[offsets[0]..offsets[rows]].to_vec());
        let lengths = offsets.windows(2).map(|o| o[1] - o[0]);
        let nulls = NullBuffer::from(&self.valid[first..first + rows]);
        let field = Arc::new(Field::new_list_field(DataType::Utf8, true));
        let values = take(&self.labels, &codes, None)?;
        Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, Some(nulls))?))
    }
}

/// Recodes the lists in column `column` of the batches, those of a person together where there are units. Rows of class
/// [`SUPPRESSED`] do not leave and do not count. `hierarchy` makes the hierarchy of the codes that leave.
pub(super) fn recode(
    (batches, column): (&[RecordBatch], usize),
    (class_of, units): (&[u32], Option<&Units>),
    hierarchy: impl FnOnce(&Column) -> Result<Option<Hierarchy>>,
    params: KmParams,
    job: &Job,
) -> Result<(Lists, KmRelease)> {
    let mut memory = job.reserve(0, "codes")?;
    let name = batches.first().map_or("items".into(), |b| b.schema().field(column).name().clone());
    let Read { offsets, mut codes, valid, labels } = read(batches, column, class_of, &mut memory)?;
    let mut working = job.reserve(4 * codes.len() * usize::from(units.is_some()), "codes by person")?;
    let sets = match units {
        None => Transactions::new(&offsets, &codes, labels)?,
        Some(units) => {
            let rows = units.codes.iter().zip(offsets.windows(2));
            let persons: Vec<u32> = rows.flat_map(|(&p, o)| std::iter::repeat_n(p, o[1] - o[0])).collect();
            Transactions::from_pairs(units.count as usize, &persons, &codes, labels)?
        }
    };
    working.resize(sets.memory(), "codes by person")?;
    let hierarchy = hierarchy(&sets.item_column(&name))?;
    let release = km_anonymize(&sets, hierarchy.as_ref(), params, job)?;
    // Each row shows the labels of its own codes, ascending and distinct; codes only become fewer.
    let (mut end, mut shown_offsets) = (0, Vec::with_capacity(offsets.len()));
    shown_offsets.push(0);
    for range in offsets.windows(2) {
        let start = end;
        for i in range[0]..range[1] {
            let shown = release.shown[codes[i] as usize];
            if shown != MISSING {
                codes[end] = shown;
                end += 1;
            }
        }
        codes[start..end].sort_unstable();
        let mut distinct = start;
        for i in start..end {
            if i == start || codes[i] != codes[distinct - 1] {
                codes[distinct] = codes[i];
                distinct += 1;
            }
        }
        end = distinct;
        shown_offsets.push(end);
    }
    codes.truncate(end);
    codes.shrink_to_fit();
    drop(offsets);
    let labels: ArrayRef = Arc::new(StringArray::from_iter_values(&release.labels));
    memory.resize(8 * shown_offsets.len() + 4 * end + valid.len() + labels.get_array_memory_size(), "codes")?;
    Ok((Lists { offsets: shown_offsets, codes, valid, labels, _memory: memory }, release))
}

/// Lists as codes into ascending labels.
struct Read {
    offsets: Vec<usize>,
    codes: Vec<u32>,
    valid: Vec<bool>,
    labels: Vec<String>,
}

/// Rows that do not leave have no codes; NULL among the elements is none either.
fn read(batches: &[RecordBatch], column: usize, class_of: &[u32], memory: &mut Reservation) -> Result<Read> {
    let (mut offsets, mut codes, mut valid) = (vec![0], Vec::new(), Vec::new());
    let (mut code_of, mut texts): (HashMap<String, u32>, usize) = (HashMap::new(), 0);
    let wanted = DataType::LargeList(Arc::new(Field::new_list_field(DataType::Utf8, true)));
    for batch in batches {
        let lists = cast(batch.column(column), &wanted)?;
        let lists = lists.as_list::<i64>();
        let elements = lists.values().as_string::<i32>();
        for row in 0..lists.len() {
            valid.push(lists.is_valid(row));
            if lists.is_valid(row) && class_of.get(valid.len() - 1).is_some_and(|&c| c != SUPPRESSED) {
                let range = lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize;
                for element in range.filter(|&i| elements.is_valid(i)).map(|i| elements.value(i)) {
                    let next = code_of.len() as u32;
                    codes.push(match code_of.get(element) {
                        Some(&code) => code,
                        None => {
                            texts += element.len() + 64;
                            *code_of.entry(element.to_string()).or_insert(next)
                        }
                    });
                }
            }
            offsets.push(codes.len());
        }
        memory.resize(9 * valid.len() + 4 * codes.len() + texts, "codes")?;
    }
    let mut ordered: Vec<(String, u32)> = code_of.into_iter().collect();
    ordered.sort_unstable();
    let mut place = vec![0; ordered.len()];
    (0..).zip(&ordered).for_each(|(new, (_, old))| place[*old as usize] = new);
    codes.iter_mut().for_each(|code| *code = place[*code as usize]);
    Ok(Read { offsets, codes, valid, labels: ordered.into_iter().map(|(label, _)| label).collect() })
}

//! Columns of any type as codes of their distinct values, and rows as classes of equal codes.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, new_empty_array};
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::row::{RowConverter, SortField};
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use lookalike_core::{Error, Job, Result};
use rayon::prelude::*;

/// A column as codes into its distinct values.
#[derive(Debug, Clone)]
pub struct Coded {
    /// Place of each row's value among the distinct ones.
    pub codes: Vec<u32>,
    /// The distinct values ascending, NULL last. NaN counts as NULL and -0.0 as 0.0.
    pub distinct: ArrayRef,
}

/// The type in which values are told apart: encodings unpacked, all strings alike.
pub fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type()),
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Float16 => DataType::Float32,
        other => other.clone(),
    }
}

/// Values in their [`plain_type`], NaN as NULL and -0.0 as 0.0.
pub fn plain_values(values: &ArrayRef) -> Result<ArrayRef> {
    let plain = plain_type(values.data_type());
    let values = if plain == *values.data_type() { Arc::clone(values) } else { cast(values, &plain)? };
    if let Some(floats) = values.as_primitive_opt::<Float64Type>() {
        return Ok(Arc::new(floats.unary_opt::<_, Float64Type>(|v| (!v.is_nan()).then_some(v + 0.0))));
    }
    if let Some(floats) = values.as_primitive_opt::<Float32Type>() {
        return Ok(Arc::new(floats.unary_opt::<_, Float32Type>(|v| (!v.is_nan()).then_some(v + 0.0))));
    }
    Ok(values)
}

/// How [`Coded`] sorts: ascending, NULL last.
pub fn sort_field(data_type: &DataType) -> SortField {
    SortField::new_with_options(plain_type(data_type), SortOptions { descending: false, nulls_first: false })
}

impl Coded {
    /// Codes of the rows of `parts` in order, which are all of type `data_type`. An internal error for a type that
    /// cannot be sorted, a resources error beyond 4 billion rows or without the memory, which is held while it runs.
    pub fn new(data_type: &DataType, parts: &[ArrayRef], job: &Job) -> Result<Self> {
        let rows: usize = parts.iter().map(|p| p.len()).sum();
        if rows >= u32::MAX as usize {
            return Err(Error::resources(format!("more than {} rows in one relation", u32::MAX - 1)));
        }
        let converter = RowConverter::new(vec![sort_field(data_type)])?;
        let hasher = DefaultHashBuilder::default();
        let mut table: HashTable<u32> = HashTable::new();
        let (mut bytes, mut ends): (Vec<u8>, Vec<usize>) = (vec![], vec![]);
        let mut codes = Vec::with_capacity(rows);
        fn key<'b>(bytes: &'b [u8], ends: &[usize], id: u32) -> &'b [u8] {
            let id = id as usize;
            &bytes[if id == 0 { 0 } else { ends[id - 1] }..ends[id]]
        }
        let mut memory = job.reserve(rows * 4, "columns as codes")?;
        for part in parts {
            job.check()?;
            let rows = converter.convert_columns(&[plain_values(part)?])?;
            for row in &rows {
                let wanted = row.as_ref();
                let hash = hasher.hash_one(wanted);
                let id = match table.find(hash, |&id| key(&bytes, &ends, id) == wanted) {
                    Some(&id) => id,
                    None => {
                        let id = ends.len() as u32;
                        bytes.extend_from_slice(wanted);
                        ends.push(bytes.len());
                        table.insert_unique(hash, id, |&id| hasher.hash_one(key(&bytes, &ends, id)));
                        id
                    }
                };
                codes.push(id);
            }
            let keys = bytes.capacity() + ends.capacity() * 8 + table.allocation_size();
            memory.resize(codes.capacity() * 4 + keys, "columns as codes")?;
        }
        let mut order: Vec<u32> = (0..ends.len() as u32).collect();
        order.par_sort_unstable_by(|&a, &b| key(&bytes, &ends, a).cmp(key(&bytes, &ends, b)));
        let mut place = vec![0u32; order.len()];
        order.iter().zip(0..).for_each(|(&id, code)| place[id as usize] = code);
        codes.par_iter_mut().with_min_len(4096).for_each(|code| *code = place[*code as usize]);
        let parser = converter.parser();
        let sorted = order.iter().map(|&id| parser.parse(key(&bytes, &ends, id)));
        let distinct = match order.is_empty() {
            true => new_empty_array(&plain_type(data_type)),
            false => converter
                .convert_rows(sorted)?
                .pop()
                .ok_or_else(|| Error::internal("a row of one column has no column"))?,
        };
        Ok(Self { codes, distinct })
    }

    /// Number of distinct values, NULL included.
    pub fn cardinality(&self) -> usize {
        self.distinct.len()
    }

    /// How many rows have each code.
    pub fn counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.cardinality()];
        self.codes.iter().for_each(|&c| counts[c as usize] += 1);
        counts
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        self.codes.capacity() * 4 + self.distinct.get_array_memory_size()
    }
}

/// Rows by equal combinations of codes: equivalence classes, numbered in ascending order of the combinations.
#[derive(Debug, Clone)]
pub struct Classes {
    /// Class of each row.
    pub class_of: Vec<u32>,
    /// Rows of each class.
    pub rows: Vec<u64>,
    /// Different persons of each class; its rows without persons.
    pub persons: Vec<u64>,
    tuples: Vec<u32>,
    width: usize,
}

impl Classes {
    /// Bytes that grouping so many rows takes while it runs, the result included.
    pub fn working_memory(rows: usize) -> usize {
        // Keys twice, their numbers in a map, and pairs with persons.
        rows * 48
    }

    /// Classes of the rows, which have a code in each of `columns` and, with `units`, the code of a person.
    pub fn new(columns: &[&[u32]], units: Option<&[u32]>) -> Self {
        let rows = columns.first().map_or(0, |c| c.len());
        let mut class_of = vec![0u32; rows];
        for column in columns {
            class_of = pairs(&class_of, column);
        }
        let count = class_of.iter().max().map_or(0, |m| *m as usize + 1);
        let (mut sizes, mut first) = (vec![0u64; count], vec![0usize; count]);
        for (row, &class) in class_of.iter().enumerate() {
            sizes[class as usize] += 1;
            first[class as usize] = row;
        }
        let tuples = first.iter().flat_map(|&row| columns.iter().map(move |c| c[row])).collect();
        let persons = match units {
            None => sizes.clone(),
            Some(units) => {
                let mut persons = vec![0u64; count];
                distinct_pairs(&class_of, units).iter().for_each(|pair| persons[pair.0 as usize] += 1);
                persons
            }
        };
        Self { class_of, rows: sizes, persons, tuples, width: columns.len() }
    }

    /// Number of classes.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no class.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The codes that the rows of a class share, one a column.
    pub fn tuple(&self, class: usize) -> &[u32] {
        &self.tuples[class * self.width..(class + 1) * self.width]
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        (self.class_of.capacity() + self.tuples.capacity()) * 4 + (self.rows.capacity() + self.persons.capacity()) * 8
    }
}

/// Numbers of the pairs of two codes, ascending.
fn pairs(a: &[u32], b: &[u32]) -> Vec<u32> {
    let keys: Vec<u64> = a.iter().zip(b).map(|(&a, &b)| u64::from(a) << 32 | u64::from(b)).collect();
    let mut distinct = keys.clone();
    distinct.par_sort_unstable();
    distinct.dedup();
    let number: HashMap<u64, u32> = distinct.into_iter().zip(0..).collect();
    keys.par_iter().with_min_len(4096).map(|key| number[key]).collect()
}

/// The different pairs of two codes, ascending.
pub(crate) fn distinct_pairs(a: &[u32], b: &[u32]) -> Vec<(u32, u32)> {
    let mut pairs: Vec<(u32, u32)> = a.iter().copied().zip(b.iter().copied()).collect();
    pairs.par_sort_unstable();
    pairs.dedup();
    pairs
}

/// How a column's values are spread over classes: in each class the persons (rows, without persons) that hold each value.
#[derive(Debug, Clone)]
pub struct Histograms {
    counts: Vec<(u32, u64)>,
    starts: Vec<usize>,
    whole: Vec<u64>,
}

impl Histograms {
    /// From the class and the value of each row; `values` codes are below `cardinality`. A person with the same value in
    /// several rows of a class counts once there, and once in the whole.
    pub fn new(classes: &Classes, values: &[u32], cardinality: usize, units: Option<&[u32]>) -> Self {
        let mut keys: Vec<(u32, u32, u32)> = (0..values.len())
            .map(|row| (classes.class_of[row], values[row], units.map_or(row as u32, |u| u[row])))
            .collect();
        keys.par_sort_unstable();
        keys.dedup();
        let (mut counts, mut starts): (Vec<(u32, u64)>, Vec<usize>) = (vec![], vec![]);
        for same in keys.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            if starts.len() <= same[0].0 as usize {
                starts.push(counts.len());
            }
            counts.push((same[0].1, same.len() as u64));
        }
        starts.push(counts.len());
        let mut whole = vec![0u64; cardinality];
        match units {
            None => values.iter().for_each(|&v| whole[v as usize] += 1),
            Some(units) => distinct_pairs(values, units).iter().for_each(|pair| whole[pair.0 as usize] += 1),
        }
        Self { counts, starts, whole }
    }

    /// The values of each class, by ascending code.
    pub fn iter(&self) -> impl Iterator<Item = &[(u32, u64)]> {
        self.starts.windows(2).map(|w| &self.counts[w[0]..w[1]])
    }

    /// Persons holding each code in the whole table.
    pub fn whole(&self) -> &[u64] {
        &self.whole
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, StringArray};

    use super::*;

    #[test]
    fn codes_stand_in_the_order_of_the_values() {
        let parts: [ArrayRef; 2] = [
            Arc::new(Float64Array::from(vec![Some(2.5), None, Some(-0.0)])),
            Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(0.0), Some(-7.0), Some(2.5)])),
        ];
        let coded = Coded::new(&DataType::Float64, &parts, &Job::unbounded()).unwrap();
        assert_eq!(coded.codes, [2, 3, 1, 3, 1, 0, 2]);
        let distinct: Vec<Option<f64>> = coded.distinct.as_primitive::<Float64Type>().iter().collect();
        assert_eq!(distinct, [Some(-7.0), Some(0.0), Some(2.5), None]);
        assert_eq!(coded.counts(), [1, 2, 2, 2]);
        let none = Coded::new(&DataType::Utf8View, &[], &Job::unbounded()).unwrap();
        assert_eq!((none.codes.len(), none.distinct.data_type()), (0, &DataType::Utf8));
    }

    #[test]
    fn classes_and_histograms_count_persons_once() {
        // Rows (a, b): (0,1) (0,0) (0,1) (1,1) (0,1); persons 5 5 5 6 7: by hand.
        let (a, b, units) = ([0, 0, 0, 1, 0], [1, 0, 1, 1, 1], [5, 5, 5, 6, 7]);
        let classes = Classes::new(&[&a, &b], Some(&units));
        assert_eq!(classes.class_of, [1, 0, 1, 2, 1]);
        assert_eq!((classes.rows.as_slice(), classes.persons.as_slice()), ([1, 3, 1].as_slice(), [1, 2, 1].as_slice()));
        assert_eq!((classes.tuple(1), classes.tuple(2)), ([0, 1].as_slice(), [1, 1].as_slice()));
        let values = [0, 0, 0, 2, 2];
        let histograms = Histograms::new(&classes, &values, 3, Some(&units));
        let found: Vec<&[(u32, u64)]> = histograms.iter().collect();
        assert_eq!(found, [[(0, 1)].as_slice(), [(0, 1), (2, 1)].as_slice(), [(2, 1)].as_slice()]);
        assert_eq!(histograms.whole(), [1, 0, 2]);
        let rows = Histograms::new(&Classes::new(&[&a, &b], None), &values, 3, None);
        assert_eq!(rows.iter().nth(1).unwrap(), [(0, 2), (2, 1)]);
        assert_eq!(rows.whole(), [3, 0, 2]);
        // Texts of several encodings are one type.
        assert_eq!(
            plain_values(&(Arc::new(StringArray::from(vec!["x"])) as ArrayRef)).unwrap().data_type(),
            &DataType::Utf8
        );
    }
}

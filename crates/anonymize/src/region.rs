//! What a released cell says: which values of the column before generalisation lie in it.
//!
//! A [`RawColumn`] holds the values that a column has before generalisation, in an original table, a population or a
//! register. [`RawColumn::read`] turns released cells, as K_ANONYMIZE and others show them, into [`Region`]s over them.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use hashbrown::HashMap;
use lookalike_core::{CategoryDomain, Column, Domain, Error, Job, Result, Values};

use crate::{Coded, Hierarchy};

mod keys;
mod read;
mod text;

use keys::Keys;

/// The raw values in a released cell, and how much the cell says about them.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// Ranges of codes of raw values, ascending, disjoint and not empty. The code of NULL is the last.
    pub ranges: Vec<Range<u32>>,
    /// Normalised certainty penalty, 0 (one value) to 1 (any value).
    pub loss: f64,
    /// Level in the hierarchy, 0 for a value; `None` without one, or for a cell that is none of its nodes.
    pub level: Option<usize>,
}

impl Region {
    /// Whether a raw value lies in the region.
    pub fn contains(&self, code: u32) -> bool {
        let next = self.ranges.partition_point(|r| r.end <= code);
        self.ranges.get(next).is_some_and(|r| r.contains(&code))
    }
}

/// The values of a column before generalisation.
#[derive(Debug)]
pub struct RawColumn {
    field: FieldRef,
    /// Relation that the values are from, for messages.
    relation: String,
    /// Whether every released value has to be one of these.
    complete: bool,
    distinct: ArrayRef,
    texts: StringArray,
    /// Distinct values that are not NULL.
    present: u32,
    by_text: HashMap<String, u32>,
    /// Whether a label holds `, ` itself.
    commas: bool,
    /// Order and positions of numbers, dates and times; `None` for texts and booleans.
    keys: Option<Keys>,
    tree: Option<Tree>,
}

/// A hierarchy over raw values.
#[derive(Debug)]
struct Tree {
    hierarchy: Hierarchy,
    /// Raw codes by leaf: pairs of leaf and code, ascending.
    leaves: Vec<(u32, u32)>,
    /// Level and number of the highest node of each label.
    nodes: HashMap<String, (usize, u32)>,
}

/// Counts of the cells of one column that were not understood.
struct Unread {
    text: String,
    cells: usize,
}

impl RawColumn {
    /// The values of `coded`, a column of `field` of the named relation. With `complete`, released values come from
    /// nowhere else, and a text that is not known is an error; otherwise it is a value that nobody has.
    pub fn new(field: &FieldRef, coded: &Coded, relation: &str, complete: bool) -> Result<Self> {
        let distinct = Arc::clone(&coded.distinct);
        let present = (distinct.len() - distinct.logical_null_count()) as u32;
        let texts = cast(&distinct, &DataType::Utf8)?.as_string::<i32>().clone();
        let by_text: HashMap<String, u32> =
            texts.iter().zip(0..).filter_map(|(text, code)| Some((text?.to_string(), code))).collect();
        let keys = Keys::new(&distinct, present as usize)?;
        let commas = keys.is_none() && by_text.keys().any(|label| label.contains(", "));
        let (field, relation) = (Arc::clone(field), relation.to_string());
        Ok(Self { field, relation, complete, distinct, texts, present, by_text, commas, keys, tree: None })
    }

    /// Type in which the values are told apart.
    pub fn data_type(&self) -> &DataType {
        self.distinct.data_type()
    }

    /// Adds the hierarchy given as a table: `levels[i][r]` is the label of row r at level i, level 0 the value as
    /// `CAST(... AS VARCHAR)` prints it in the column's type. Where the values are complete, each needs a row.
    pub fn with_hierarchy(mut self, levels: &[Vec<Option<String>>]) -> Result<Self> {
        let listed: hashbrown::HashSet<&str> =
            levels.first().into_iter().flatten().flatten().map(String::as_str).collect();
        let known = |code: &u32| self.complete || listed.contains(self.texts.value(*code as usize));
        let codes: Vec<u32> = (0..self.present).filter(known).collect();
        // In the order of texts, as the labels of a category stand.
        let mut labels: Vec<(String, u32)> =
            codes.iter().map(|&code| (self.texts.value(code as usize).to_string(), code)).collect();
        labels.sort_unstable();
        let (hierarchy, leaf_of) = hierarchy_of(self.field.name(), labels.iter().map(|l| l.0.clone()), levels)?;
        let mut leaves: Vec<(u32, u32)> = leaf_of.into_iter().zip(labels.iter().map(|l| l.1)).collect();
        leaves.sort_unstable();
        let mut nodes = HashMap::new();
        for level in 0..=hierarchy.height() {
            for index in 0..hierarchy.node_count(level) as u32 {
                let label = hierarchy.label(crate::hierarchy::Node { level, index });
                nodes.insert(label.to_string(), (level, index));
            }
        }
        self.tree = Some(Tree { hierarchy, leaves, nodes });
        Ok(self)
    }

    /// Height of the hierarchy, if there is one.
    pub fn height(&self) -> Option<usize> {
        self.tree.as_ref().map(|t| t.hierarchy.height())
    }

    /// The region of each released value. `column` and `role` name them in messages.
    ///
    /// Released values of any type are compared with the raw ones by value: numbers with numbers of other types, dates
    /// with timestamps. Texts are, in this order: the label of a node of the hierarchy (of several nodes with one label
    /// the highest), a value as `CAST(... AS VARCHAR)` prints it, `*` for any value, `[a, b]` with `(` and `)` for ends
    /// that are left out, `{a, b}`, or a value some of whose characters are masked as `*`. ` or NULL` may follow. A label
    /// that holds `, ` is found in a set if it is a raw value: of several ways to read the set the one with the longest
    /// labels counts. Structs are `{lower, upper, has_null}`.
    ///
    /// A data error names a cell that cannot be read.
    pub fn read(&self, released: &ArrayRef, role: &str, job: &Job) -> Result<Vec<Region>> {
        let mut unread: Option<Unread> = None;
        let mut known = false;
        let regions = match released.data_type() {
            DataType::Struct(_) => self.read_structs(released, role)?,
            DataType::Utf8 => {
                let cells = released.as_string::<i32>();
                let mut regions = Vec::with_capacity(cells.len());
                for cell in cells {
                    job.check()?;
                    let Some(text) = cell else {
                        regions.push(self.null_region());
                        continue;
                    };
                    match self.read_text(text) {
                        Some(region) => {
                            known |= !region.ranges.is_empty();
                            regions.push(region);
                        }
                        None if self.keys.is_none() && !self.complete => {
                            // A text that nobody in the register has, as a population holds people of other places.
                            let cells = unread.take().map_or(0, |u| u.cells);
                            unread = Some(Unread { text: text.to_string(), cells: cells + 1 });
                            regions.push(Region { ranges: vec![], loss: 0.0, level: None });
                        }
                        None => return Err(self.unreadable(role, text)),
                    }
                }
                regions
            }
            _ => self.read_values(released, role)?,
        };
        match unread {
            // One text of ten may be from elsewhere; if all are, it is labels that nobody explained.
            Some(unread) if !known => Err(Error::data(format!(
                "column '{0}': none of the {1} values of the relation '{role}', such as '{2}', is one of the relation \
                 '{3}': if they are labels, hierarchies => {{'{0}': 'table'}} says what they stand for",
                self.field.name(),
                unread.cells,
                unread.text,
                self.relation,
            ))),
            _ => Ok(regions),
        }
    }

    fn unreadable(&self, role: &str, cell: &str) -> Error {
        let name = self.field.name();
        let forms = match self.keys.is_some() {
            true => "a value, '[a, b]', '{a, b}', '*'",
            false => "a value, '{a, b}', '*'",
        };
        Error::data(format!(
            "column '{name}' of the relation '{role}' holds '{cell}', which says nothing about the values of the relation \
             '{}' ({}): allowed is {forms}, each with ' or NULL', or a label that hierarchies => {{'{name}': 'table'}} \
             explains",
            self.relation,
            self.field.data_type(),
        ))
    }

    /// Code of NULL: one past the last value.
    fn null_code(&self) -> u32 {
        self.present
    }

    fn has_null(&self) -> bool {
        self.distinct.len() as u32 > self.present
    }

    /// Number of different raw values, NULL included.
    fn cardinality(&self) -> usize {
        self.distinct.len()
    }

    fn null_region(&self) -> Region {
        Region { ranges: self.ranges(vec![], true), loss: 0.0, level: self.tree.as_ref().map(|_| 0) }
    }

    /// Ranges of ascending codes, which may repeat, and of NULL.
    fn ranges(&self, codes: Vec<u32>, null: bool) -> Vec<Range<u32>> {
        let mut ranges: Vec<Range<u32>> = vec![];
        let null = (null && self.has_null()).then(|| self.null_code());
        for code in codes.into_iter().chain(null) {
            match ranges.last_mut() {
                Some(last) if code < last.end => {}
                Some(last) if code == last.end => last.end += 1,
                _ => ranges.push(code..code + 1),
            }
        }
        ranges
    }

    /// Ranges of a stretch of codes and of NULL.
    fn span(&self, codes: Range<u32>, null: bool) -> Vec<Range<u32>> {
        let end = self.null_code();
        let null = end..end + u32::from(null && self.has_null());
        let parts = match codes.end == end && !codes.is_empty() {
            true => [codes.start..null.end, 0..0],
            false => [codes, null],
        };
        parts.into_iter().filter(|part| !part.is_empty()).collect()
    }

    /// Penalty of a set of values that are equally far apart.
    fn set_loss(&self, values: usize) -> f64 {
        match self.cardinality() {
            0 | 1 => 0.0,
            all => values.saturating_sub(1) as f64 / (all - 1) as f64,
        }
    }
}

/// The hierarchy of the values whose texts are given in ascending order, and the leaf of each.
pub(crate) fn hierarchy_of(
    name: &str,
    texts: impl Iterator<Item = String>,
    levels: &[Vec<Option<String>>],
) -> Result<(Hierarchy, Vec<u32>)> {
    let labels: Vec<String> = texts.collect();
    let codes = Values::Code((0..labels.len() as u32).collect());
    let domain = Domain::Category(Arc::new(CategoryDomain { labels }));
    let field = Arc::new(Field::new(name, DataType::Utf8, true));
    let column = Column { field, domain, values: codes };
    let hierarchy = Hierarchy::from_levels(&column, levels)?;
    let leaf_of = hierarchy.leaves_of(&column.values)?;
    Ok((hierarchy, leaf_of))
}

#[cfg(test)]
mod tests;

//! The values that classes show, in three forms.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, StringBuilder, StructArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields};
use lookalike_core::{CategoryDomain, Column, Domain, Error, NumberDomain, NumberKind, Result, Values as Encoded};

use super::{NOTHING, Numbers, SET, Shown, Values};
use crate::Scale;
use crate::axis::NULL;
use crate::hierarchy::Node;

/// How the quasi-identifiers of a class are shown. The two ends of a range are values that occur in the class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutputForm {
    /// Text. A single value as `CAST(column AS VARCHAR)` prints it; `[20, 29]` for numbers, dates and times; `{a, b}`,
    /// sorted, for categories; the label of the node for hierarchies, of numbers too; `*` for a column without hierarchy
    /// that is generalised as a whole. Where missing values are mixed in, ` or NULL` follows; a class of missing values
    /// is NULL.
    #[default]
    Interval,
    /// Numbers, dates and times become `{lower, upper, has_null}`: the ends in the column's type, and whether missing
    /// values are mixed in; NULL for a class of missing values. A hierarchy has no influence on them. Categories as
    /// in `Interval`.
    Range,
    /// Numbers, dates and times keep their type and show the mean of the values present in the class, rounded half
    /// away from zero to what the type can hold; NULL where more rows are missing than present, so that all rows of a
    /// class show what most of them have. A hierarchy has no influence on them. Categories as in `Interval`.
    Mean,
}

/// The field of a released quasi-identifier. `is_category` is true for what is encoded as a category: strings, booleans
/// and columns of type NULL.
pub fn output_field(field: &Field, is_category: bool, form: OutputForm) -> Field {
    // NaN in a NOT NULL column counts as missing.
    let nullable = field.is_nullable() || holds_nan(field.data_type());
    match form {
        OutputForm::Mean if !is_category => field.clone(),
        OutputForm::Range if !is_category => {
            Field::new(field.name(), DataType::Struct(range_fields(field.data_type())), nullable)
        }
        _ => Field::new(field.name(), DataType::Utf8, nullable),
    }
}

impl Shown {
    /// What the given classes show, in the type of [`output_field`].
    pub fn render(&self, classes: &[u32]) -> Result<ArrayRef> {
        match &self.values {
            Values::Range { low, high } => {
                let pick = |ranks: &[u32]| classes.iter().map(|&c| ranks[c as usize]).collect::<Vec<u32>>();
                let (low, high) = (pick(low), pick(high));
                match self.form {
                    OutputForm::Range => self.ranges(classes, &low, &high),
                    _ => self.intervals(classes, &low, &high),
                }
            }
            Values::Labels { index, sets } => {
                let Domain::Category(domain) = &self.column.domain else { return Err(self.lost()) };
                Ok(self.texts(classes, |class, _, text| {
                    match index[class] {
                        NOTHING => return false,
                        i if i & SET != 0 => {
                            let mut open = "{";
                            for &rank in sets.all[(i & !SET) as usize].iter() {
                                text.push_str(open);
                                text.push_str(label(domain, rank));
                                open = ", ";
                            }
                            text.push('}');
                        }
                        rank => text.push_str(label(domain, rank)),
                    }
                    true
                }))
            }
            Values::Nodes { level, index, .. } => {
                let Scale::Tree(tree) = &self.scale else { return Err(self.lost()) };
                Ok(self.texts(classes, |class, _, text| {
                    let (level, index) = (level[class].into(), index[class]);
                    if index != NOTHING {
                        text.push_str(tree.label(Node { level, index }));
                    }
                    index != NOTHING
                }))
            }
            Values::Any { present } => Ok(self.texts(classes, |class, _, text| {
                text.push('*');
                present[class]
            })),
            Values::Stored(means) => {
                self.column.decode_stored(&classes.iter().map(|&c| means[c as usize]).collect::<Vec<_>>())
            }
            Values::Floats(means) => {
                let means = classes.iter().map(|&c| means[c as usize]).collect();
                unrounded(&self.column).decode(&Encoded::Number(means), 0, classes.len())
            }
        }
    }

    fn lost(&self) -> Error {
        Error::internal(format!("column '{}' has no values to show", self.column.name()))
    }

    fn numbers(&self, ranks: &[u32]) -> Result<ArrayRef> {
        let numbers = Numbers::new(&self.column, &self.scale);
        observed(&self.column, ranks.iter().map(|&rank| numbers.number(rank)))
    }

    fn ranges(&self, classes: &[u32], low: &[u32], high: &[u32]) -> Result<ArrayRef> {
        let mixed: BooleanArray = classes.iter().map(|&c| Some(self.missing[c as usize])).collect();
        let present: NullBuffer = low.iter().map(|&l| l != NULL).collect();
        let (lower, upper) = (self.numbers(low)?, self.numbers(high)?);
        let fields = range_fields(self.column.field.data_type());
        Ok(Arc::new(StructArray::try_new(fields, vec![lower, upper, Arc::new(mixed)], Some(present))?))
    }

    fn intervals(&self, classes: &[u32], low: &[u32], high: &[u32]) -> Result<ArrayRef> {
        let lows = cast(&self.numbers(low)?, &DataType::Utf8)?;
        let highs = cast(&self.numbers(high)?, &DataType::Utf8)?;
        let (lows, highs) = (lows.as_string::<i32>(), highs.as_string::<i32>());
        Ok(self.texts(classes, |_, place, text| {
            if low[place] == NULL {
                return false;
            }
            let (lower, upper) = (lows.value(place), highs.value(place));
            if low[place] == high[place] {
                text.push_str(lower);
            } else {
                ["[", lower, ", ", upper, "]"].into_iter().for_each(|part| text.push_str(part));
            }
            true
        }))
    }

    /// Texts of some classes: `show` gets a class and its place among them, writes the text, and tells whether there is
    /// one.
    fn texts(&self, classes: &[u32], mut show: impl FnMut(usize, usize, &mut String) -> bool) -> ArrayRef {
        let mut texts = StringBuilder::with_capacity(classes.len(), classes.len() * 12);
        // One buffer for all: most of the time of a large release goes into its texts.
        let mut text = String::new();
        for (place, &class) in classes.iter().enumerate() {
            text.clear();
            if !show(class as usize, place, &mut text) {
                texts.append_null();
                continue;
            }
            if self.missing[class as usize] {
                text.push_str(" or NULL");
            }
            texts.append_value(&text);
        }
        Arc::new(texts.finish())
    }
}

fn label(domain: &CategoryDomain, rank: u32) -> &str {
    domain.labels.get(rank as usize - 1).map_or("", String::as_str)
}

fn range_fields(data_type: &DataType) -> Fields {
    Fields::from(vec![
        Field::new("lower", data_type.clone(), true),
        Field::new("upper", data_type.clone(), true),
        Field::new("has_null", DataType::Boolean, false),
    ])
}

fn holds_nan(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => holds_nan(values),
        DataType::RunEndEncoded(_, values) => holds_nan(values.data_type()),
        other => other.is_floating(),
    }
}

/// Observed values in the column's type; NaN becomes NULL even where the column is NOT NULL.
fn observed(column: &Column, values: impl Iterator<Item = f64>) -> Result<ArrayRef> {
    let values: Vec<f64> = values.collect();
    let rows = values.len();
    let mut column = unrounded(column);
    column.field = Arc::new(column.field.as_ref().clone().with_nullable(true));
    column.decode(&Encoded::Number(values), 0, rows)
}

/// The column with floats that leave as they are instead of on the grid of decimals seen in the data.
fn unrounded(column: &Column) -> Column {
    let mut column = column.without_values();
    if let Domain::Number(NumberDomain { kind: NumberKind::Float { decimals, .. }, .. }) = &mut column.domain
        && holds_nan(column.field.data_type())
    {
        *decimals = None;
    }
    column
}

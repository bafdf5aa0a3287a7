//! From the encoded values of a column to the leaves of its hierarchy.

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use lookalike_core::{Column, Domain, Error, MISSING, Result, Values};

use super::levels::Levels;

/// The distinct values of a column that rows hold, and their texts as `CAST(column AS VARCHAR)` prints them.
#[derive(Debug)]
pub(super) enum Held {
    /// Codes ascending.
    Codes(Vec<u32>, Vec<String>),
    /// Numbers ascending.
    Numbers(Vec<f64>, Vec<String>),
}

impl Held {
    pub fn new(column: &Column) -> Result<Self> {
        match (&column.domain, &column.values) {
            (Domain::Category(domain), Values::Code(codes)) => {
                let mut used = vec![false; domain.labels.len()];
                codes.iter().filter(|&&c| c != MISSING).for_each(|&c| used[c as usize] = true);
                let codes: Vec<u32> = (0..).zip(used).filter_map(|(code, used)| used.then_some(code)).collect();
                let texts = codes.iter().map(|&code| domain.labels[code as usize].clone()).collect();
                Ok(Self::Codes(codes, texts))
            }
            (Domain::Number(_), Values::Number(values)) => {
                let mut known: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
                known.sort_unstable_by(f64::total_cmp);
                known.dedup();
                let text = cast(&column.decode(&Values::Number(known.clone()), 0, known.len())?, &DataType::Utf8)?;
                let texts = text.as_string::<i32>().iter().flatten().map(String::from).collect();
                Ok(Self::Numbers(known, texts))
            }
            _ => Err(Error::argument(format!(
                "hierarchies: column '{}' is an identifier, which has no hierarchy",
                column.name()
            ))),
        }
    }

    pub fn texts(&self) -> &[String] {
        match self {
            Self::Codes(_, texts) | Self::Numbers(_, texts) => texts,
        }
    }
}

/// From a column's encoded values to leaves.
#[derive(Debug)]
pub(super) enum LeafOf {
    /// By code; [`MISSING`] for labels that no row has.
    Code(Vec<u32>),
    /// Distinct values ascending with their leaves, and the value of each leaf, NaN where no row has it.
    Number { known: Vec<f64>, leaf: Vec<u32>, number_of_leaf: Vec<f64> },
}

impl LeafOf {
    /// Fails with a data error that names a value that is no leaf.
    pub fn new(column: &Column, held: Held, levels: &Levels) -> Result<Self> {
        let leaves: Vec<Option<u32>> = held.texts().iter().map(|text| levels.leaf(text)).collect();
        let uncovered: Vec<&str> =
            held.texts().iter().zip(&leaves).filter_map(|(t, leaf)| leaf.is_none().then_some(t.as_str())).collect();
        covered(column.name(), &uncovered)?;
        let leaves = leaves.into_iter().flatten();
        Ok(match (held, &column.domain) {
            (Held::Codes(codes, _), Domain::Category(domain)) => {
                let mut leaf_of = vec![MISSING; domain.labels.len()];
                codes.iter().zip(leaves).for_each(|(&code, leaf)| leaf_of[code as usize] = leaf);
                Self::Code(leaf_of)
            }
            (Held::Codes(..), _) => return Err(Error::internal("codes of a column without labels")),
            (Held::Numbers(known, _), _) => {
                let leaf: Vec<u32> = leaves.collect();
                let mut number_of_leaf = vec![f64::NAN; levels.levels.first().map_or(0, |l| l.labels.len())];
                leaf.iter().zip(&known).for_each(|(&leaf, &number)| number_of_leaf[leaf as usize] = number);
                Self::Number { known, leaf, number_of_leaf }
            }
        })
    }

    /// Leaf of each value; [`MISSING`] stays. Nothing for values of another column.
    pub fn leaves(&self, values: &Values) -> Option<Vec<u32>> {
        match (self, values) {
            (LeafOf::Code(leaf), Values::Code(codes)) => {
                codes.iter().map(|&c| if c == MISSING { Some(c) } else { leaf.get(c as usize).copied() }).collect()
            }
            (LeafOf::Number { known, leaf, .. }, Values::Number(values)) => values
                .iter()
                .map(|v| {
                    if v.is_nan() {
                        return Some(MISSING);
                    }
                    known.binary_search_by(|k| k.total_cmp(v)).ok().map(|i| leaf[i])
                })
                .collect(),
            _ => None,
        }
    }

    /// The number of a leaf of a numeric column; NaN where there is none.
    pub fn number(&self, leaf: u32) -> f64 {
        match self {
            LeafOf::Number { number_of_leaf, .. } => number_of_leaf[leaf as usize],
            LeafOf::Code(_) => f64::NAN,
        }
    }
}

fn covered(name: &str, uncovered: &[&str]) -> Result<()> {
    let Some(first) = uncovered.first() else { return Ok(()) };
    let others = match uncovered.len() - 1 {
        0 => String::new(),
        n => format!(" (and {n} more values)"),
    };
    Err(Error::data(format!(
        "hierarchies: the table for column '{name}' has no row for its value '{first}'{others}; the first column of \
         the table needs every value as CAST({name} AS VARCHAR) prints it"
    )))
}

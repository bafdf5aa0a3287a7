//! Tables for tests: frames from plain values, and random ones of every kind.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use lookalike_anonymize::{
    AnonymizeParams, Attribute, Criteria, Hierarchy, Items, METHODS, Method, OutputForm, Problem, Release,
};
use lookalike_core::{EncodeSpec, Frame, FrameBuilder, Job, Result, Stream, Streams, encode, uniform};

/// A frame of nullable columns, in order.
pub fn frame(columns: Vec<(&str, ArrayRef)>, unit: Option<&str>) -> Frame {
    let fields: Vec<Field> = columns.iter().map(|(n, a)| Field::new(*n, a.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|c| c.1).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    let spec = EncodeSpec { unit: unit.map(Into::into), ..Default::default() };
    let mut builder = FrameBuilder::new(batch.schema(), spec).unwrap();
    builder.push(&batch).unwrap();
    encode(vec![vec![builder]], &Job::unbounded()).unwrap().remove(0)
}

/// The problem of a frame whose columns are the quasi-identifiers.
pub fn problem(
    frame: &Frame,
    hierarchies: &[Option<Hierarchy>],
    attributes: Vec<Attribute>,
    criteria: Criteria,
    params: AnonymizeParams,
) -> Result<Problem> {
    let (job, tie) = (Job::unbounded(), frame.row_hashes());
    let items = Items::new(frame.columns(), hierarchies, frame.rows(), frame.units(), attributes, Some(&tie), &job)?;
    Problem::new(items, criteria, params.check()?, &job)
}

pub fn anonymize_by(
    method: &dyn Method,
    frame: &Frame,
    hierarchies: &[Option<Hierarchy>],
    k: usize,
    params: AnonymizeParams,
) -> Result<Release> {
    let mut problem = problem(frame, hierarchies, vec![], Criteria::new(Some(k as u64), vec![])?, params)?;
    lookalike_anonymize::anonymize(method, &mut problem, &Job::unbounded())
}

/// By strict Mondrian.
pub fn anonymize(frame: &Frame, hierarchies: &[Option<Hierarchy>], k: usize, limit: f64) -> Result<Release> {
    let params = AnonymizeParams { suppression_limit: limit, ..Default::default() };
    anonymize_by(METHODS[0], frame, hierarchies, k, params)
}

/// Without hierarchies and suppression, shown in the given form.
pub fn shown_as(frame: &Frame, k: usize, form: OutputForm) -> Release {
    let params = AnonymizeParams { form, ..Default::default() };
    anonymize_by(METHODS[0], frame, &vec![None; frame.columns().len()], k, params).unwrap()
}

/// Without hierarchies and suppression.
pub fn plain(frame: &Frame, k: usize) -> Release {
    shown_as(frame, k, OutputForm::Interval)
}

/// What all classes show of a quasi-identifier.
pub fn render(release: &Release, column: usize) -> ArrayRef {
    let all: Vec<u32> = (0..release.classes.len() as u32).collect();
    release.render(column, &all).unwrap()
}

pub fn render_all(release: &Release) -> Vec<ArrayRef> {
    (0..release.columns()).map(|c| render(release, c)).collect()
}

pub fn texts(array: &ArrayRef) -> Vec<Option<&str>> {
    array.as_string::<i32>().iter().collect()
}

pub fn ints(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

pub fn strings(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// A value of a random table.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Number(f64),
    Label(String),
}

/// How a column of a random table is generalised; for trees, the labels of each value above itself, root last.
#[derive(Debug, Clone)]
pub enum Kind {
    Number,
    Category,
    Tree(BTreeMap<String, Vec<String>>),
}

#[derive(Debug, Clone)]
pub struct Table {
    pub columns: Vec<(Kind, Vec<Cell>)>,
    pub persons: Option<Vec<i64>>,
    pub rows: usize,
}

pub fn below(rng: &mut Stream, n: usize) -> usize {
    ((uniform(rng) * n as f64) as usize).min(n - 1)
}

impl Table {
    /// A table of one to four columns of random kinds, domains small and large, ties and missing values.
    pub fn random(seed: u64, rows: usize) -> Self {
        let rng = &mut Streams::new(seed, "table").block(0);
        let columns = (0..1 + below(rng, 4)).map(|_| random_column(rng, rows)).collect();
        let persons =
            (below(rng, 3) == 0).then(|| (0..rows).map(|_| below(rng, 1 + rows / 3) as i64 * 7 - 20).collect());
        Self { columns, persons, rows }
    }

    /// The same rows in another order; `order[i]` is the old place of row i.
    pub fn reordered(&self, order: &[usize]) -> Self {
        let columns =
            self.columns.iter().map(|(k, c)| (k.clone(), order.iter().map(|&i| c[i].clone()).collect())).collect();
        let persons = self.persons.as_ref().map(|p| order.iter().map(|&i| p[i]).collect());
        Self { columns, persons, rows: self.rows }
    }

    pub fn frame(&self) -> Frame {
        let names: Vec<String> = (0..self.columns.len()).map(|c| format!("q{c}")).collect();
        let mut arrays: Vec<(&str, ArrayRef)> = names
            .iter()
            .zip(&self.columns)
            .map(|(name, (kind, cells))| {
                let number = |c: &Cell| if let Cell::Number(v) = c { Some(*v) } else { None };
                let label = |c: &Cell| if let Cell::Label(v) = c { Some(v.clone()) } else { None };
                let array: ArrayRef = match kind {
                    Kind::Number => Arc::new(cells.iter().map(number).collect::<Float64Array>()),
                    _ => Arc::new(cells.iter().map(label).collect::<StringArray>()),
                };
                (name.as_str(), array)
            })
            .collect();
        if let Some(persons) = &self.persons {
            arrays.push(("person", Arc::new(Int64Array::from(persons.clone()))));
        }
        frame(arrays, self.persons.as_ref().map(|_| "person"))
    }

    pub fn hierarchies(&self, frame: &Frame) -> Vec<Option<Hierarchy>> {
        let hierarchy = |kind: &Kind, column: usize| {
            let Kind::Tree(paths) = kind else { return None };
            let depth = paths.values().next().map_or(0, Vec::len);
            let level = |i: usize| paths.values().map(|p| Some(p[i].clone())).collect();
            // Level 0, then all but the root, which is implied.
            let mut levels: Vec<Vec<Option<String>>> = vec![paths.keys().cloned().map(Some).collect()];
            levels.extend((0..depth - 1).map(level));
            Some(Hierarchy::from_levels(&frame.columns()[column], &levels).unwrap())
        };
        self.columns.iter().enumerate().map(|(c, (kind, _))| hierarchy(kind, c)).collect()
    }
}

fn random_column(rng: &mut Stream, rows: usize) -> (Kind, Vec<Cell>) {
    let nulls = [0.0, 0.0, 0.05, 0.5][below(rng, 4)];
    let domain = [1, 2, 6, 90, 400][below(rng, 5)];
    let what = below(rng, 6);
    let mut draw = |value: &mut dyn FnMut(&mut Stream) -> Cell| -> Vec<Cell> {
        (0..rows).map(|_| if uniform(rng) < nulls { Cell::Null } else { value(rng) }).collect()
    };
    // Squares make small values frequent: ties at the median.
    let skewed = |rng: &mut Stream| ((uniform(rng) * uniform(rng) * domain as f64) as usize).min(domain - 1);
    match what {
        0 => (Kind::Number, draw(&mut |rng| Cell::Number(skewed(rng) as f64 - 3.0))),
        1 => (Kind::Number, draw(&mut |rng| Cell::Number((skewed(rng) as f64 * 37.0 + 0.5) / 4.0))),
        // Values off every decimal grid.
        2 => (Kind::Number, draw(&mut |rng| Cell::Number(uniform(rng) * 1e3 - 300.0))),
        3 => (Kind::Category, draw(&mut |rng| Cell::Label(format!("label {:03}", skewed(rng))))),
        _ => {
            // Values the table does not hold are leaves too; groups of very different sizes, and single children.
            let fan = [2, 7, 150][below(rng, 3)];
            let path = |v: usize| {
                let group = v % fan;
                vec![format!("group {group:03}"), format!("kind {}", group % 3), "*".to_string()]
            };
            let paths = (0..domain + 2).map(|v| (format!("value {v:03}"), path(v))).collect();
            let mut cells = vec![];
            for _ in 0..rows {
                let value = skewed(rng);
                cells.push(if uniform(rng) < nulls { Cell::Null } else { Cell::Label(format!("value {value:03}")) });
            }
            (Kind::Tree(paths), cells)
        }
    }
}

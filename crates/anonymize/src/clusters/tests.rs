//! Tables for the tests of both methods, and what both promise.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use lookalike_core::{EncodeSpec, ErrorKind, Frame, FrameBuilder, Job, Stream, Streams, encode, uniform};

use crate::k_member::KMember;
use crate::mdav::Mdav;
use crate::{
    AlphaAnonymity, AnonymizeParams, Attribute, BetaLikeness, Criteria, Criterion, DeltaDisclosure, DeltaPresence,
    DistinctLDiversity, EntropyLDiversity, Grouping, Hierarchy, Items, KMap, Method, OutputForm, Problem,
    RecursiveLDiversity, SUPPRESSED, TCloseness, anonymize,
};

const METHODS: [&dyn Method; 2] = [&Mdav, &KMember];

/// A column of a table; the paths of a tree are the labels from the value to below the root.
#[derive(Debug, Clone)]
pub(crate) enum Cells {
    Integers(Vec<Option<i64>>),
    Floats(Vec<Option<f64>>),
    Labels(Vec<Option<String>>),
    Leaves(Vec<Option<String>>, Vec<Vec<String>>),
}

/// Quasi-identifiers, a sensitive label each, and persons.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub columns: Vec<Cells>,
    pub sensitive: Vec<i64>,
    pub persons: Option<Vec<i64>>,
}

impl Table {
    pub fn of(columns: Vec<Cells>) -> Self {
        let rows = columns.first().map_or(0, Cells::len);
        Self { columns, sensitive: vec![0; rows], persons: None }
    }

    /// Columns of every kind with ties and missing values, and a skewed sensitive one.
    pub fn random(seed: u64, rows: usize) -> Self {
        let rng = &mut Streams::new(seed, "clusters").block(0);
        let columns = (0..1 + below(rng, 4)).map(|_| Cells::random(rng, rows)).collect();
        let sensitive = (0..rows).map(|_| (uniform(rng) * uniform(rng) * 6.0) as i64).collect();
        let persons = (below(rng, 3) == 0).then(|| (0..rows).map(|_| below(rng, 1 + rows / 2) as i64).collect());
        Self { columns, sensitive, persons }
    }

    pub fn rows(&self) -> usize {
        self.sensitive.len()
    }

    /// The same rows in another order; `order[i]` is the old place of row i.
    pub fn reordered(&self, order: &[usize]) -> Self {
        Self {
            columns: self.columns.iter().map(|c| c.gather(order)).collect(),
            sensitive: gather(&self.sensitive, order),
            persons: self.persons.as_ref().map(|p| gather(p, order)),
        }
    }

    fn frame(&self) -> Frame {
        let mut arrays: Vec<ArrayRef> = self.columns.iter().map(Cells::array).collect();
        let labels: StringArray = self.sensitive.iter().map(|s| Some(format!("s{s}"))).collect();
        arrays.push(Arc::new(labels));
        arrays.extend(self.persons.clone().map(|p| Arc::new(Int64Array::from(p)) as ArrayRef));
        let name = |i: usize| if i > self.columns.len() { "person".into() } else { format!("c{i}") };
        let fields: Vec<Field> =
            arrays.iter().enumerate().map(|(i, a)| Field::new(name(i), a.data_type().clone(), true)).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
        let spec = EncodeSpec { unit: self.persons.as_ref().map(|_| "person".into()), ..Default::default() };
        let mut builder = FrameBuilder::new(batch.schema(), spec).unwrap();
        builder.push(&batch).unwrap();
        encode(vec![vec![builder]], &Job::unbounded()).unwrap().remove(0)
    }

    /// The problem of the first `rows` rows; all are the population.
    pub fn problem_of(&self, rows: usize, criteria: Criteria, limit: f64) -> lookalike_core::Result<Problem> {
        let (frame, job) = (self.frame(), Job::unbounded());
        let (columns, sensitive) = frame.columns().split_at(self.columns.len());
        let trees: Vec<Option<Hierarchy>> = self
            .columns
            .iter()
            .zip(columns)
            .map(|(cells, column)| {
                let Cells::Leaves(_, paths) = cells else { return None };
                let level = |i: usize| paths.iter().map(|p| Some(p[i].clone())).collect();
                let levels: Vec<Vec<Option<String>>> = (0..paths[0].len()).map(level).collect();
                Some(Hierarchy::from_levels(column, &levels).unwrap())
            })
            .collect();
        let attributes = match rows == self.rows() {
            true => vec![Attribute::new(&sensitive[0], None).unwrap()],
            false => vec![],
        };
        let tie = frame.row_hashes();
        let items = Items::new(columns, &trees, rows, frame.units(), attributes, Some(&tie[..rows]), &job)?;
        let params = AnonymizeParams { suppression_limit: limit, form: OutputForm::Interval, ..Default::default() };
        Problem::new(items, criteria, params.check()?, &job)
    }

    pub fn problem(&self, k: u64) -> Problem {
        self.problem_of(self.rows(), Criteria::new(Some(k), vec![]).unwrap(), 0.0).unwrap()
    }
}

fn gather<T: Clone>(values: &[T], order: &[usize]) -> Vec<T> {
    order.iter().map(|&i| values[i].clone()).collect()
}

pub(crate) fn below(rng: &mut Stream, n: usize) -> usize {
    ((uniform(rng) * n as f64) as usize).min(n - 1)
}

impl Cells {
    pub fn integers(values: &[i64]) -> Self {
        Self::Integers(values.iter().copied().map(Some).collect())
    }

    pub fn labels(values: &[&str]) -> Self {
        Self::Labels(values.iter().map(|v| Some(v.to_string())).collect())
    }

    /// Leaves `v0` to `v8` in groups of 2, 3 and 4.
    pub fn leaves(values: Vec<Option<usize>>) -> Self {
        let group = |v: usize| [0, 0, 1, 1, 1, 2, 2, 2, 2][v];
        let paths = (0..9).map(|v| vec![format!("v{v}"), format!("g{}", group(v))]).collect();
        Self::Leaves(values.into_iter().map(|v| v.map(|v| format!("v{v}"))).collect(), paths)
    }

    fn random(rng: &mut Stream, rows: usize) -> Self {
        let nulls = [0.0, 0.1, 0.6][below(rng, 3)];
        let domain = [1, 3, 9, 200][below(rng, 4)];
        let kind = below(rng, 4);
        let values: Vec<Option<usize>> =
            (0..rows).map(|_| (uniform(rng) >= nulls).then(|| below(rng, domain))).collect();
        match kind {
            0 => Self::Integers(values.iter().map(|v| v.map(|v| v as i64 * 3 - 5)).collect()),
            1 => Self::Floats(values.iter().map(|v| v.map(|_| uniform(rng) * 1e3)).collect()),
            2 => Self::Labels(values.iter().map(|v| v.map(|v| format!("l{v:03}"))).collect()),
            _ => Self::leaves(values.iter().map(|v| v.map(|v| v % 9)).collect()),
        }
    }

    fn len(&self) -> usize {
        self.array().len()
    }

    fn array(&self) -> ArrayRef {
        match self {
            Self::Integers(values) => Arc::new(Int64Array::from(values.clone())),
            Self::Floats(values) => Arc::new(Float64Array::from(values.clone())),
            Self::Labels(values) | Self::Leaves(values, _) => Arc::new(StringArray::from(values.clone())),
        }
    }

    fn gather(&self, order: &[usize]) -> Self {
        match self {
            Self::Integers(values) => Self::Integers(gather(values, order)),
            Self::Floats(values) => Self::Floats(gather(values, order)),
            Self::Labels(values) => Self::Labels(gather(values, order)),
            Self::Leaves(values, paths) => Self::Leaves(gather(values, order), paths.clone()),
        }
    }
}

/// Classes numbered by their first items.
pub(crate) fn numbered(items: usize, classes: &[Vec<u32>]) -> Grouping {
    let mut first: Vec<(u32, &Vec<u32>)> = classes.iter().map(|c| (*c.iter().min().unwrap(), c)).collect();
    first.sort_unstable();
    let mut class_of = vec![SUPPRESSED; items];
    for (class, (_, members)) in (0..).zip(&first) {
        members.iter().for_each(|&m| class_of[m as usize] = class);
    }
    Grouping::new(class_of, classes.len())
}

pub(crate) fn sizes(grouping: &Grouping) -> Vec<usize> {
    let mut sizes = vec![0; grouping.classes];
    grouping.class_of.iter().for_each(|&c| sizes[c as usize] += 1);
    sizes
}

fn value_criteria() -> Vec<Box<dyn Criterion>> {
    let attribute = 0;
    vec![
        Box::new(DistinctLDiversity { attribute, l: 3.0 }),
        Box::new(EntropyLDiversity { attribute, l: 2.2 }),
        Box::new(RecursiveLDiversity { attribute, c: 2.0, l: 2 }),
        Box::new(TCloseness { attribute, t: 0.25 }),
        Box::new(TCloseness { attribute, t: 0.02 }),
        Box::new(DeltaDisclosure { attribute, delta: 1.2 }),
        Box::new(BetaLikeness { attribute, beta: 1.0, enhanced: false }),
        Box::new(BetaLikeness { attribute, beta: 1.0, enhanced: true }),
        Box::new(AlphaAnonymity { attribute, alpha: 0.6 }),
    ]
}

/// `anonymize` checks every criterion on what the classes show and fails with an internal error otherwise.
fn settle(method: &dyn Method, problem: &mut Problem, context: &str) -> usize {
    let release = anonymize(method, problem, &Job::unbounded()).unwrap_or_else(|e| panic!("{context}: {e}"));
    assert_eq!(release.suppressed(), 0, "{context}");
    assert!(release.smallest_class() as u64 >= problem.criteria.k(), "{context}");
    release.classes.len()
}

#[test]
fn criteria_on_sensitive_values_hold() {
    let mut classes = 0;
    for seed in 0..40 {
        let table = Table::random(seed, 30 + 7 * seed as usize);
        for criterion in 0..value_criteria().len() {
            for k in [None, Some(4)] {
                let chosen = value_criteria().swap_remove(criterion);
                let context = format!("seed {seed}, k {k:?}, {chosen}");
                let criteria = Criteria::new(k, vec![chosen]).unwrap();
                // Some criteria are beyond what even the whole table fulfils.
                let Ok(mut problem) = table.problem_of(table.rows(), criteria, 0.1) else { continue };
                for method in METHODS {
                    classes += settle(method, &mut problem, &format!("{} {context}", method.name()));
                }
            }
        }
    }
    // Many classes a table, method and set of criteria: clusters are not merged into one.
    assert!(classes > 2 * 40 * 2 * 18, "{classes} classes");
}

#[test]
fn criteria_on_a_population_hold() {
    let mut classes = 0;
    for seed in 0..40 {
        let mut table = Table::random(seed, 120);
        table.persons = None;
        let presence = DeltaPresence { min: 0.2, max: 0.6 };
        let criteria: [Vec<Box<dyn Criterion>>; 2] = [vec![Box::new(KMap(12))], vec![Box::new(presence)]];
        for chosen in criteria {
            let context = format!("seed {seed}, {}", chosen[0]);
            let criteria = Criteria::new(Some(2), chosen).unwrap();
            let Ok(mut problem) = table.problem_of(50, criteria, 0.0) else { continue };
            for method in METHODS {
                classes += settle(method, &mut problem, &format!("{} {context}", method.name()));
            }
        }
    }
    assert!(classes > 2 * 40 * 2 * 2, "{classes} classes");
}

#[test]
fn the_order_of_rows_has_no_influence() {
    for seed in 0..30 {
        let table = Table::random(seed, 150);
        let mut order: Vec<usize> = (0..table.rows()).collect();
        let rng = &mut Streams::new(seed, "order").block(0);
        (1..order.len()).for_each(|i| order.swap(i, below(rng, i + 1)));
        let shuffled = table.reordered(&order);
        let criteria = || -> Vec<Box<dyn Criterion>> { vec![Box::new(EntropyLDiversity { attribute: 0, l: 2.0 })] };
        for method in METHODS {
            let classes = |table: &Table| {
                let criteria = Criteria::new(Some(3), criteria()).unwrap();
                let mut problem = table.problem_of(table.rows(), criteria, 0.0).unwrap();
                anonymize(method, &mut problem, &Job::unbounded()).unwrap().class_of
            };
            let (plain, other) = (classes(&table), classes(&shuffled));
            // Rows alike in everything may change places within their classes.
            let content = |table: &Table, classes: &[u32]| {
                let mut rows: Vec<String> = (0..table.rows())
                    .map(|i| {
                        let cells: Vec<Cells> = table.columns.iter().map(|c| c.gather(&[i])).collect();
                        let person = table.persons.as_ref().map(|p| p[i]);
                        format!("{} {person:?} {} {cells:?}", classes[i], table.sensitive[i])
                    })
                    .collect();
                rows.sort_unstable();
                rows
            };
            assert_eq!(content(&table, &plain), content(&shuffled, &other), "{} seed {seed}", method.name());
        }
    }
}

#[test]
fn the_number_of_threads_has_no_influence() {
    let rng = &mut Streams::new(1, "threads").block(0);
    let rows = 20_000;
    let floats = (0..rows).map(|_| Some(uniform(rng).powi(3) * 1e6)).collect();
    let integers = (0..rows).map(|_| (below(rng, 20) > 0).then(|| below(rng, 900) as i64)).collect();
    let labels = (0..rows).map(|_| Some(format!("l{}", below(rng, 30)))).collect();
    let leaves = (0..rows).map(|_| Some(below(rng, 9))).collect();
    let columns = vec![Cells::Floats(floats), Cells::Integers(integers), Cells::Labels(labels), Cells::leaves(leaves)];
    let problem = Table::of(columns).problem(400);
    for method in METHODS {
        let by = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| method.group(&problem, &Job::unbounded()).unwrap())
        };
        assert_eq!(by(1), by(5), "{}", method.name());
    }
}

#[test]
fn large_tables_are_refused() {
    let table = Table::of(vec![Cells::integers(&(0..1_000_000).map(|i| i % 97).collect::<Vec<_>>())]);
    let problem = table.problem(1);
    let formulas = [("n * n * quasi-identifiers / k", "4e11"), ("n * n * quasi-identifiers", "6e11")];
    for (method, (steps, limit)) in METHODS.into_iter().zip(formulas) {
        let error = method.group(&problem, &Job::unbounded()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Resources);
        // A million squared.
        let expected = format!(
            "method '{}' takes {steps} steps: 1000000 rows, 1 quasi-identifiers and k = 1 make 1.0e12, allowed are {limit}: \
             use method 'mondrian', which takes n log n",
            method.name()
        );
        assert_eq!(error.message(), expected);
    }
}

//! Small random tables with everything that full-domain methods have to deal with, and the definitions in plain words:
//! the nodes, classes, criteria and losses of a transformation from the values themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use arrow::util::display::array_value_to_string;
use lookalike_core::{EncodeSpec, FrameBuilder, Job, Stream, Streams, encode, uniform};

use super::{Cost, FullDomain, Scratch, Test};
use crate::{
    AnonymizeParams, Attribute, Criteria, Criterion, DeltaDisclosure, DeltaPresence, DistinctLDiversity,
    EntropyLDiversity, Grouping, Hierarchy, Items, KMap, Loss, Method, Problem, SUPPRESSED, TCloseness, anonymize,
};

pub type Cell = Option<String>;

/// Labels of a value at each level, itself first and the root last; by value.
pub type Paths = BTreeMap<String, Vec<String>>;

/// Quasi-identifiers with their hierarchies, one sensitive column, and the person of each row.
#[derive(Debug, Clone)]
pub struct Sample {
    pub columns: Vec<(Option<Paths>, Vec<Cell>)>,
    pub sensitive: Vec<String>,
    pub persons: Option<Vec<i64>>,
    /// Values of the records of a population, for each column.
    pub population: Vec<Vec<Cell>>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    pub k: u64,
    pub distinct: Option<f64>,
    pub entropy: Option<f64>,
    pub t: Option<f64>,
    pub delta: Option<f64>,
    pub k_map: Option<u64>,
    pub presence: Option<(f64, f64)>,
    pub params: AnonymizeParams,
}

impl Ask {
    pub fn k(k: u64) -> Self {
        let params = AnonymizeParams::default();
        Self { k, distinct: None, entropy: None, t: None, delta: None, k_map: None, presence: None, params }
    }

    pub fn dropping(mut self, suppression_limit: f64) -> Self {
        self.params.suppression_limit = suppression_limit;
        self
    }

    pub fn losing(mut self, loss: Loss) -> Self {
        self.params.loss = loss;
        self
    }

    /// Every mix of criteria, budget and loss, one for each seed.
    pub fn any(seed: u64) -> Self {
        let rng = &mut Streams::new(seed, "ask").block(0);
        let mut ask = Self::k(1 + below(rng, 4) as u64).dropping([0.0, 0.1, 0.3][below(rng, 3)]);
        match below(rng, 6) {
            0 | 1 => {}
            2 => ask.distinct = Some(2.0),
            3 => ask.entropy = Some(1.5),
            4 => ask.t = Some(0.35),
            _ => ask.delta = Some(0.8),
        }
        ask.losing([Loss::Ncp, Loss::Discernibility, Loss::Entropy][below(rng, 3)])
    }
}

pub fn below(rng: &mut Stream, n: usize) -> usize {
    ((uniform(rng) * n as f64) as usize).min(n - 1)
}

pub fn cells(values: &[&str]) -> Vec<Cell> {
    values.iter().map(|v| (!v.is_empty()).then(|| v.to_string())).collect()
}

pub fn paths(lines: &[&str]) -> Option<Paths> {
    let path = |line: &&str| line.split(' ').map(String::from).collect::<Vec<_>>();
    Some(lines.iter().map(path).map(|p| (p[0].clone(), p)).collect())
}

impl Sample {
    pub fn random(seed: u64, rows: usize) -> Self {
        let rng = &mut Streams::new(seed, "sample").block(0);
        let columns = (0..1 + below(rng, 4)).map(|_| column(rng, rows)).collect();
        let sensitive = (0..rows).map(|_| format!("s{}", below(rng, 3) * below(rng, 2))).collect();
        let persons = (below(rng, 3) == 0).then(|| (0..rows).map(|_| below(rng, 1 + rows * 2 / 3) as i64).collect());
        Self { columns, sensitive, persons, population: vec![] }
    }

    /// The rows of a table without persons and others like them.
    pub fn with_population(mut self, seed: u64) -> Self {
        let rng = &mut Streams::new(seed, "population").block(0);
        self.persons = None;
        let others = below(rng, 3 * self.rows());
        self.population = self
            .columns
            .iter()
            .map(|(paths, cells)| {
                let known: Vec<Cell> = match paths {
                    Some(paths) => paths.keys().cloned().map(Some).collect(),
                    None => cells.iter().cloned().chain([Some("elsewhere".into())]).collect(),
                };
                cells.iter().cloned().chain((0..others).map(|_| known[below(rng, known.len())].clone())).collect()
            })
            .collect();
        self
    }

    pub fn rows(&self) -> usize {
        self.sensitive.len()
    }

    /// The same rows in another order; `order[i]` is the old place of row i.
    pub fn reordered(&self, order: &[usize]) -> Self {
        let columns =
            self.columns.iter().map(|(p, c)| (p.clone(), order.iter().map(|&i| c[i].clone()).collect())).collect();
        let sensitive = order.iter().map(|&i| self.sensitive[i].clone()).collect();
        let persons = self.persons.as_ref().map(|p| order.iter().map(|&i| p[i]).collect());
        Self { columns, sensitive, persons, population: self.population.clone() }
    }

    pub fn problem(&self, ask: &Ask) -> lookalike_core::Result<Problem> {
        let job = Job::unbounded();
        let mut arrays: Vec<(String, ArrayRef)> = vec![];
        for (c, (_, cells)) in self.columns.iter().enumerate() {
            let population = self.population.get(c).into_iter().flatten();
            arrays.push((format!("q{c}"), Arc::new(cells.iter().chain(population).cloned().collect::<StringArray>())));
        }
        let strangers = self.population.first().map_or(0, Vec::len);
        let sensitive = self.sensitive.iter().map(Some).chain(vec![None; strangers]);
        arrays.push(("s".into(), Arc::new(sensitive.collect::<StringArray>())));
        if let Some(persons) = &self.persons {
            arrays.push(("person".into(), Arc::new(Int64Array::from(persons.clone()))));
        }
        let fields: Vec<Field> = arrays.iter().map(|(n, a)| Field::new(n, a.data_type().clone(), true)).collect();
        let arrays = arrays.into_iter().map(|a| a.1).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
        let unit = self.persons.as_ref().map(|_| "person".to_string());
        let mut builder = FrameBuilder::new(batch.schema(), EncodeSpec { unit, ..Default::default() }).unwrap();
        builder.push(&batch).unwrap();
        let frame = encode(vec![vec![builder]], &job).unwrap().remove(0);
        let quasi = &frame.columns()[..self.columns.len()];
        let hierarchies: Vec<Option<Hierarchy>> = quasi
            .iter()
            .zip(&self.columns)
            .map(|(column, (paths, _))| {
                let paths = paths.as_ref()?;
                let depth = paths.values().next()?.len();
                let level = |l: usize| paths.values().map(|p| Some(p[l].clone())).collect();
                let levels: Vec<Vec<Option<String>>> = (0..depth).map(level).collect();
                Some(Hierarchy::from_levels(column, &levels).unwrap())
            })
            .collect();
        let mut others: Vec<Box<dyn Criterion>> = vec![];
        if let Some(l) = ask.distinct {
            others.push(Box::new(DistinctLDiversity { attribute: 0, l }));
        }
        if let Some(l) = ask.entropy {
            others.push(Box::new(EntropyLDiversity { attribute: 0, l }));
        }
        if let Some(t) = ask.t {
            others.push(Box::new(TCloseness { attribute: 0, t }));
        }
        if let Some(delta) = ask.delta {
            others.push(Box::new(DeltaDisclosure { attribute: 0, delta }));
        }
        let attributes =
            if others.is_empty() { vec![] } else { vec![Attribute::new(&frame.columns()[quasi.len()], None)?] };
        if let Some(k) = ask.k_map {
            others.push(Box::new(KMap(k)));
        }
        if let Some((min, max)) = ask.presence {
            others.push(Box::new(DeltaPresence { min, max }));
        }
        let items = Items::new(quasi, &hierarchies, self.rows(), frame.units(), attributes, None, &job)?;
        Problem::new(items, Criteria::new(Some(ask.k), others)?, ask.params.check()?, &job)
    }

    /// Rows of each person.
    fn items(&self) -> Vec<Vec<usize>> {
        match &self.persons {
            None => (0..self.rows()).map(|row| vec![row]).collect(),
            Some(persons) => {
                let mut rows = BTreeMap::<i64, Vec<usize>>::new();
                persons.iter().enumerate().for_each(|(row, &p)| rows.entry(p).or_default().push(row));
                rows.into_values().collect()
            }
        }
    }

    /// The highest level of a column.
    fn height(&self, column: usize) -> usize {
        self.columns[column].0.as_ref().map_or(1, |p| p.values().next().unwrap().len() - 1)
    }

    pub fn transformations(&self) -> Vec<Vec<usize>> {
        (0..self.columns.len()).fold(vec![vec![]], |all, c| {
            all.iter()
                .flat_map(|levels| (0..=self.height(c)).map(move |level| [&levels[..], &[level]].concat()))
                .collect()
        })
    }

    /// The lowest place above the values of a person that can be shown: level and label.
    fn value(&self, column: usize, rows: &[usize]) -> (usize, String) {
        let (paths, cells) = &self.columns[column];
        let values: BTreeSet<&String> = rows.iter().filter_map(|&r| cells[r].as_ref()).collect();
        if self.height(column) == 0 {
            return (0, "*".into());
        }
        let Some(&first) = values.first() else { return (0, "missing".into()) };
        let Some(paths) = paths else {
            return if values.len() == 1 { (0, format!("is {first}")) } else { (1, "*".into()) };
        };
        let common =
            paths[first].iter().enumerate().position(|(l, label)| values.iter().all(|v| paths[*v][l] == *label));
        (common.unwrap(), format!("is {}", paths[first][common.unwrap()]))
    }

    /// Where a person stands when a column is generalised to a level.
    fn node(&self, column: usize, level: usize, rows: &[usize]) -> (usize, String) {
        let (own, label) = self.value(column, rows);
        match &self.columns[column].0 {
            _ if level == self.height(column) => (level, "*".into()),
            Some(paths) if own < level && label != "missing" => {
                let any = rows.iter().find_map(|&r| self.columns[column].1[r].as_ref()).unwrap();
                (level, format!("is {}", paths[any][level]))
            }
            _ => (own, label),
        }
    }

    /// What one row at a node loses, by the definition of NCP.
    fn blur(&self, column: usize, (level, label): &(usize, String)) -> f64 {
        let Some(paths) = &self.columns[column].0 else { return if label == "*" { 1.0 } else { 0.0 } };
        if label == "missing" || paths.len() == 1 {
            return 0.0;
        }
        let below = paths.values().filter(|p| label == "*" || format!("is {}", p[*level]) == *label).count();
        (below - 1) as f64 / (paths.len() - 1) as f64
    }

    /// Rows that are dropped and the loss, if a transformation fits.
    pub fn judge(&self, levels: &[usize], ask: &Ask) -> Option<(BTreeSet<usize>, f64)> {
        let items = self.items();
        let node = |c: usize, level: usize, item: &[usize]| self.node(c, level, item);
        let mut classes: BTreeMap<Vec<(usize, String)>, Vec<usize>> = BTreeMap::new();
        for (i, item) in items.iter().enumerate() {
            let nodes = levels.iter().enumerate().map(|(c, &level)| node(c, level, item)).collect();
            classes.entry(nodes).or_default().push(i);
        }
        let rows_of = |members: &[usize]| members.iter().flat_map(|&i| items[i].clone()).collect::<Vec<_>>();
        let everyone: Vec<usize> = (0..items.len()).collect();
        let whole = self.sensitive_counts(&everyone, &items);
        let mut dropped = BTreeSet::new();
        for members in classes.values() {
            let matches = (0..self.population.first().map_or(0, Vec::len))
                .filter(|&record| self.matches(record, members, levels))
                .count();
            let counts = self.sensitive_counts(members, &items);
            if !fulfils(members.len() as u64, &counts, &whole, ask) || !is_hidden(members.len(), matches, ask) {
                dropped.extend(rows_of(members));
            }
        }
        let rows = self.rows();
        if dropped.len() as f64 > ask.params.suppression_limit * rows as f64 + 1e-9 || dropped.len() == rows {
            return None;
        }
        let loss = match ask.params.loss {
            Loss::Discernibility => {
                let size = |members: &Vec<usize>| rows_of(members).len();
                let kept = classes.values().filter(|m| !dropped.contains(&items[m[0]][0]));
                (kept.map(|m| size(m).pow(2)).sum::<usize>() + dropped.len() * rows) as f64
            }
            Loss::Ncp => {
                let mut loss = 0.0;
                for item in &items {
                    for (c, &level) in levels.iter().enumerate() {
                        let gone = dropped.contains(&item[0]);
                        let one = if gone { 1.0 } else { self.blur(c, &node(c, level, item)) };
                        loss += item.len() as f64 * one;
                    }
                }
                loss
            }
            Loss::Entropy => {
                let mut loss = 0.0;
                for (c, &level) in levels.iter().enumerate() {
                    let (mut values, mut nodes) = (BTreeMap::new(), BTreeMap::new());
                    for item in &items {
                        *values.entry(self.value(c, item)).or_insert(0) += item.len();
                        *nodes.entry(node(c, level, item)).or_insert(0) += item.len();
                    }
                    for item in &items {
                        let gone = dropped.contains(&item[0]);
                        let among = if gone { rows } else { nodes[&node(c, level, item)] };
                        loss -= item.len() as f64 * (values[&self.value(c, item)] as f64 / among as f64).log2();
                    }
                }
                loss
            }
        };
        Some((dropped, loss))
    }

    /// Whether a record of the population matches what some rows show together.
    fn matches(&self, record: usize, rows: &[usize], levels: &[usize]) -> bool {
        (0..).zip(&self.columns).zip(levels).all(|((c, (paths, cells)), &level)| {
            let Some(value) = &self.population[c][record] else { return rows.iter().any(|&r| cells[r].is_none()) };
            rows.iter().filter_map(|&r| cells[r].as_ref()).any(|own| match paths {
                Some(paths) => paths[own][level] == paths[value][level],
                None => level == 1 || own == value,
            })
        })
    }

    /// Persons that hold each sensitive value.
    fn sensitive_counts(&self, members: &[usize], items: &[Vec<usize>]) -> BTreeMap<&str, u64> {
        let mut counts = BTreeMap::new();
        for &i in members {
            let values: BTreeSet<&str> = items[i].iter().map(|&r| self.sensitive[r].as_str()).collect();
            values.into_iter().for_each(|v| *counts.entry(v).or_default() += 1);
        }
        counts
    }

    /// Releases the sample and checks, on the text that leaves and the rows it stands for, that all criteria hold and no
    /// more is dropped than allowed.
    pub fn release(&self, method: &dyn Method, ask: &Ask) -> Option<Vec<u32>> {
        let mut problem = self.problem(ask).ok()?;
        let release = anonymize(method, &mut problem, &Job::unbounded()).unwrap();
        assert!(release.suppressed() as f64 <= ask.params.suppression_limit * self.rows() as f64 + 1e-9);
        let all: Vec<u32> = (0..release.classes.len() as u32).collect();
        let shown: Vec<ArrayRef> = (0..release.columns()).map(|c| release.render(c, &all).unwrap()).collect();
        let mut classes: BTreeMap<Vec<String>, Vec<usize>> = BTreeMap::new();
        let (items, mut kept) = (self.items(), vec![]);
        for (i, item) in items.iter().enumerate() {
            let class = release.class_of[item[0]];
            assert!(item.iter().all(|&row| release.class_of[row] == class), "rows of a person are together");
            if class != SUPPRESSED {
                let text = |a: &ArrayRef| {
                    format!("{}{}", a.is_null(class as usize), array_value_to_string(a, class as usize).unwrap())
                };
                classes.entry(shown.iter().map(text).collect()).or_default().push(i);
                kept.push(i);
            }
        }
        let whole = self.sensitive_counts(&kept, &items);
        for members in classes.values() {
            let counts = self.sensitive_counts(members, &items);
            assert!(fulfils(members.len() as u64, &counts, &whole, ask), "{ask:?}: {counts:?} of {whole:?}");
        }
        Some(release.class_of)
    }
}

/// The criteria by their definitions.
fn fulfils(persons: u64, counts: &BTreeMap<&str, u64>, whole: &BTreeMap<&str, u64>, ask: &Ask) -> bool {
    let total = |counts: &BTreeMap<&str, u64>| counts.values().sum::<u64>() as f64;
    let share =
        |counts: &BTreeMap<&str, u64>, value: &str| counts.get(value).map_or(0.0, |&n| n as f64 / total(counts));
    let entropy: f64 = counts.keys().map(|v| share(counts, v)).map(|p| -p * p.ln()).sum();
    let distance: f64 = whole.keys().map(|v| (share(counts, v) - share(whole, v)).abs()).sum::<f64>() / 2.0;
    let largest = counts.keys().map(|v| (share(counts, v) / share(whole, v)).ln().abs()).fold(0.0, f64::max);
    persons >= ask.k
        && ask.delta.is_none_or(|delta| largest < delta)
        && ask.distinct.is_none_or(|l| counts.len() as f64 >= l)
        && ask.entropy.is_none_or(|l| entropy.exp() >= l - 1e-9)
        && ask.t.is_none_or(|t| distance <= t + 1e-9)
}

/// The criteria on the records of a population that match a class.
fn is_hidden(persons: usize, matches: usize, ask: &Ask) -> bool {
    let share = persons as f64 / matches as f64;
    ask.k_map.is_none_or(|k| matches as u64 >= k)
        && ask.presence.is_none_or(|(min, max)| min - 1e-9 <= share && share <= max + 1e-9)
}

fn column(rng: &mut Stream, rows: usize) -> (Option<Paths>, Vec<Cell>) {
    let nulls = [0.0, 0.0, 0.1, 0.4][below(rng, 4)];
    let domain = [1, 2, 5, 9][below(rng, 4)];
    let values: Vec<String> = (0..domain).map(|v| format!("v{v}")).collect();
    // Small values are frequent.
    let value = |rng: &mut Stream| values[below(rng, domain).min(below(rng, domain))].clone();
    let cells = (0..rows).map(|_| if uniform(rng) < nulls { None } else { Some(value(rng)) }).collect();
    // Fans of different width, levels with a single child, and sometimes leaves that no row has.
    let fans = [&[2, 2][..], &[3], &[1, 2, 9], &[2, 1], &[]][below(rng, 5)];
    let paths = (below(rng, 3) > 0 && (domain == 1 || !fans.is_empty())).then(|| {
        let leaves = domain + if fans.is_empty() { 0 } else { below(rng, 3) };
        let path = |v: usize| {
            let mut labels = vec![format!("v{v}")];
            let mut place = v;
            for (level, fan) in fans.iter().enumerate() {
                place /= fan;
                labels.push(format!("level {} node {place}", level + 1));
            }
            if !fans.is_empty() {
                labels.push("*".into());
            }
            labels
        };
        (0..leaves).map(|v| (format!("v{v}"), path(v))).collect()
    });
    (paths, cells)
}

pub fn group(method: &dyn Method, sample: &Sample, ask: &Ask) -> Grouping {
    method.group(&sample.problem(ask).unwrap(), &Job::unbounded()).unwrap()
}

/// A shuffled order of rows.
pub fn shuffled(seed: u64, rows: usize) -> Vec<usize> {
    let rng = &mut Streams::new(seed, "shuffle").block(0);
    let mut order: Vec<usize> = (0..rows).collect();
    (1..rows).rev().for_each(|i| order.swap(i, below(rng, i + 1)));
    order
}

#[test]
fn every_transformation_is_judged_by_the_definitions() {
    let (mut fits, mut drops) = (0, 0);
    for seed in 0..300 {
        let (sample, ask) = (Sample::random(seed, 5 + seed as usize % 30), Ask::any(seed));
        let Ok(problem) = sample.problem(&ask) else { continue };
        let domain = FullDomain::new(&problem, &Job::unbounded()).unwrap();
        let (cost, mut scratch) = (Cost::new(&domain, ask.params.loss), Scratch::default());
        for levels in sample.transformations() {
            let expected = sample.judge(&levels, &ask);
            let dropped = domain.look(&domain.all, &levels, Test::Criteria, &mut scratch).unwrap();
            assert_eq!(dropped, expected.as_ref().map(|e| e.0.len() as u64), "seed {seed}, {levels:?}");
            let Some((rows, loss)) = expected else { continue };
            let found = cost.of(&domain, &domain.all, &levels, &scratch);
            assert!((found - loss).abs() <= 1e-9 * loss.max(1.0), "seed {seed}, {levels:?}: {found}, not {loss}");
            let grouping = domain.grouping(levels, &mut scratch).unwrap();
            let class_of = problem.items.spread(grouping.class_of);
            assert!((0..).zip(&class_of).all(|(row, &class)| (class == SUPPRESSED) == rows.contains(&row)));
            (fits, drops) = (fits + 1, drops + usize::from(!rows.is_empty()));
        }
    }
    assert!(fits > 1000 && drops > 300, "{fits} transformations fit, {drops} of them drop rows");
}

#[test]
fn columns_with_many_values_are_numbered_in_rounds() {
    // 8 columns of 600 values each: 600^8 > 2^64 combinations, of which 600 occur twice.
    let value = |c: usize, row: usize| Some(format!("{}", (row % 600) * (2 * c + 1) % 600));
    let columns = (0..8).map(|c| (None, (0..1200).map(|row| value(c, row)).collect())).collect();
    let sample = Sample { columns, sensitive: vec!["s".into(); 1200], persons: None, population: vec![] };
    let problem = sample.problem(&Ask::k(2)).unwrap();
    let domain = FullDomain::new(&problem, &Job::unbounded()).unwrap();
    assert_eq!(domain.all.len(), 600);
    assert_eq!(domain.look(&domain.all, &[0; 8], Test::Criteria, &mut Scratch::default()).unwrap(), Some(0));
}

//! Criteria: what every class that leaves has to fulfil. Each is a small type that says which figures of a class it
//! needs; [`Criteria`] combines them and gathers those figures once.

use std::fmt;

use lookalike_core::{Error, Result};

use crate::diversity::{self, Counts, TOLERANCE, Whole};
use crate::{Attribute, Distance, Items};

/// Figures of a class.
#[derive(Debug, Clone, Copy)]
pub struct ClassFigures<'a> {
    /// Persons (rows, without a unit).
    pub persons: u64,
    /// For each sensitive column, the persons that hold each value.
    pub values: &'a [Vec<(u32, u64)>],
    /// For each sensitive column, the values of the table.
    pub wholes: &'a [Whole],
    /// Persons of the population that match what the class shows.
    pub population: u64,
}

/// What a criterion looks at besides the number of persons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Persons,
    /// The values of this sensitive column.
    Values(usize),
    /// The population.
    Population,
}

/// One requirement on a class.
pub trait Criterion: fmt::Debug + fmt::Display + Send + Sync {
    /// What it looks at.
    fn needs(&self) -> Needs;

    /// Whether a class fulfils it.
    fn holds(&self, class: &ClassFigures<'_>, attributes: &[Attribute]) -> bool;

    /// What the class reaches, in the units of the limit.
    fn reached(&self, class: &ClassFigures<'_>, attributes: &[Attribute]) -> f64;

    /// Whether a class that fulfils it still does after any others have joined.
    fn survives_growth(&self) -> bool {
        false
    }

    /// Whether the union of classes that all fulfil it does, whatever more of a population it matches.
    fn survives_union(&self) -> bool {
        true
    }
}

/// k-anonymity: at least k persons (Samarati & Sweeney 1998).
#[derive(Debug)]
pub struct KAnonymity(pub u64);

/// l-diversity, distinct: at least l values (Machanavajjhala et al. 2007).
#[derive(Debug)]
pub struct DistinctLDiversity {
    /// Sensitive column.
    pub attribute: usize,
    /// At least so many values.
    pub l: f64,
}

/// l-diversity, entropy: an entropy of at least ln l (ibid., definition 4.1).
#[derive(Debug)]
pub struct EntropyLDiversity {
    /// Sensitive column.
    pub attribute: usize,
    /// The effective number of values is at least that.
    pub l: f64,
}

/// l-diversity, recursive (c, l): the most frequent value is less than c times as frequent as the l-th and all rarer
/// ones together (ibid., definition 4.2).
#[derive(Debug)]
pub struct RecursiveLDiversity {
    /// Sensitive column.
    pub attribute: usize,
    /// Factor.
    pub c: f64,
    /// Rank from which values count as rare.
    pub l: usize,
}

/// t-closeness: an earth mover's distance to the table of at most t (Li, Li & Venkatasubramanian 2007).
#[derive(Debug)]
pub struct TCloseness {
    /// Sensitive column.
    pub attribute: usize,
    /// Largest distance, 0 to 1.
    pub t: f64,
}

/// delta-disclosure privacy: shares of values differ from the table's by less than a factor e^delta (Brickell &
/// Shmatikov 2008).
#[derive(Debug)]
pub struct DeltaDisclosure {
    /// Sensitive column.
    pub attribute: usize,
    /// Largest log ratio, excluded.
    pub delta: f64,
}

/// beta-likeness: shares of values exceed the table's by at most the factor 1 + beta (Cao & Karras 2012).
#[derive(Debug)]
pub struct BetaLikeness {
    /// Sensitive column.
    pub attribute: usize,
    /// Largest relative gain.
    pub beta: f64,
    /// Whether frequent values are bounded by -ln p as well.
    pub enhanced: bool,
}

/// (alpha, k)-anonymity: no value is held by more than the share alpha of a class (Wong et al. 2006).
#[derive(Debug)]
pub struct AlphaAnonymity {
    /// Sensitive column.
    pub attribute: usize,
    /// Largest share.
    pub alpha: f64,
}

/// k-map: at least k persons of the population match what a class shows (Sweeney 2001).
#[derive(Debug)]
pub struct KMap(pub u64);

/// delta-presence: the share of the matching population that is in the table (Nergiz, Atzori & Clifton 2007).
#[derive(Debug)]
pub struct DeltaPresence {
    /// Smallest share.
    pub min: f64,
    /// Largest share.
    pub max: f64,
}

impl Criterion for KAnonymity {
    fn needs(&self) -> Needs {
        Needs::Persons
    }
    fn holds(&self, class: &ClassFigures<'_>, _: &[Attribute]) -> bool {
        class.persons >= self.0
    }
    fn reached(&self, class: &ClassFigures<'_>, _: &[Attribute]) -> f64 {
        class.persons as f64
    }
    fn survives_growth(&self) -> bool {
        true
    }
}

impl Criterion for DistinctLDiversity {
    fn needs(&self) -> Needs {
        Needs::Values(self.attribute)
    }
    fn holds(&self, class: &ClassFigures<'_>, attributes: &[Attribute]) -> bool {
        self.reached(class, attributes) >= self.l
    }
    fn reached(&self, class: &ClassFigures<'_>, _: &[Attribute]) -> f64 {
        class.values[self.attribute].len() as f64
    }
    fn survives_growth(&self) -> bool {
        true
    }
}

impl Criterion for EntropyLDiversity {
    fn needs(&self) -> Needs {
        Needs::Values(self.attribute)
    }
    fn holds(&self, class: &ClassFigures<'_>, attributes: &[Attribute]) -> bool {
        self.reached(class, attributes) >= self.l - TOLERANCE
    }
    fn reached(&self, class: &ClassFigures<'_>, _: &[Attribute]) -> f64 {
        diversity::entropy(&class.values[self.attribute])
    }
}

impl Criterion for RecursiveLDiversity {
    fn needs(&self) -> Needs {
        Needs::Values(self.attribute)
    }
    fn holds(&self, class: &ClassFigures<'_>, attributes: &[Attribute]) -> bool {
        self.reached(class, attributes) < self.c
    }
    fn reached(&self, class: &ClassFigures<'_>, _: &[Attribute]) -> f64 {
        diversity::recursive(&class.values[self.attribute], self.l)
    }
}

impl Criterion for TCloseness {
    fn needs(&self) -> Needs {
        Needs::Values(self.attribute)
    }
    fn holds(&self, class: &ClassFigures<'_>, attributes: &[Attribute]) -> bool {
        self.reached(class, attributes) <= self.t + TOLERANCE
    }
    fn reached(&self, class: &ClassFigures<'_>, attributes: &[Attribute]) -> f64 {
        distance(&class.wholes[self.attribute], &class.values[self.attribute], &attributes[self.attribute])
    }
}

/// Earth mover's distance of a class to the table, in the distance of the column.
fn distance(whole: &Whole, counts: Counts<'_>, attribute: &Attribute) -> f64 {
    match attribute.distance() {
        Distance::Equal => whole.equal_distance(counts),
        Distance::Ordered => whole.ordered_distance(counts),
        Distance::Hierarchical(hierarchy) => whole.hierarchical_distance(counts, hierarchy),
    }
}

impl Criterion for DeltaDisclosure {
    fn needs(&self) -> Needs {
        Needs::Values(self.attribute)
    }
    fn holds(&self, class: &ClassFigures<'_>, attributes: &[Attribute]) -> bool {
        self.reached(class, attributes) < self.delta
    }
    fn reached(&self, class: &ClassFigures<'_>, _: &[Attribute]) -> f64 {
        class.wholes[self.attribute].disclosure(&class.values[self.attribute])
    }
    // A value that one class does not have, which is not counted there, can become too rare by joining.
    fn survives_union(&self) -> bool {
        false
    }
}

impl Criterion for BetaLikeness {
    fn needs(&self) -> Needs {
        Needs::Values(self.attribute)
    }
    fn holds(&self, class: &ClassFigures<'_>, attributes: &[Attribute]) -> bool {
        let (whole, values) = (&class.wholes[self.attribute], &class.values[self.attribute]);
        match self.enhanced {
            true => whole.gains_within(values, self.beta),
            false => self.reached(class, attributes) <= self.beta + TOLERANCE,
        }
    }
    fn reached(&self, class: &ClassFigures<'_>, _: &[Attribute]) -> f64 {
        class.wholes[self.attribute].gain(&class.values[self.attribute])
    }
}

impl Criterion for AlphaAnonymity {
    fn needs(&self) -> Needs {
        Needs::Values(self.attribute)
    }
    fn holds(&self, class: &ClassFigures<'_>, attributes: &[Attribute]) -> bool {
        self.reached(class, attributes) <= self.alpha + TOLERANCE
    }
    fn reached(&self, class: &ClassFigures<'_>, _: &[Attribute]) -> f64 {
        diversity::largest_share(&class.values[self.attribute], class.persons)
    }
}

impl Criterion for KMap {
    fn needs(&self) -> Needs {
        Needs::Population
    }
    fn holds(&self, class: &ClassFigures<'_>, _: &[Attribute]) -> bool {
        class.population >= self.0
    }
    fn reached(&self, class: &ClassFigures<'_>, _: &[Attribute]) -> f64 {
        class.population as f64
    }
    fn survives_growth(&self) -> bool {
        true
    }
}

impl Criterion for DeltaPresence {
    fn needs(&self) -> Needs {
        Needs::Population
    }
    fn holds(&self, class: &ClassFigures<'_>, attributes: &[Attribute]) -> bool {
        let share = self.reached(class, attributes);
        self.min - TOLERANCE <= share && share <= self.max + TOLERANCE
    }
    fn reached(&self, class: &ClassFigures<'_>, _: &[Attribute]) -> f64 {
        class.persons as f64 / class.population as f64
    }
    // A coarser node can match records of the population that no finer one of the table did.
    fn survives_union(&self) -> bool {
        false
    }
}

macro_rules! describe {
    ($($criterion:ident: |$c:ident| $text:expr;)*) => {
        $(impl fmt::Display for $criterion {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $c = self;
                f.write_str(&$text)
            }
        })*
    };
}

describe! {
    KAnonymity: |c| format!("k = {}", c.0);
    DistinctLDiversity: |c| format!("distinct l-diversity of l = {}", c.l);
    EntropyLDiversity: |c| format!("entropy l-diversity of l = {}", c.l);
    RecursiveLDiversity: |c| format!("recursive (c, l)-diversity of c = {}, l = {}", c.c, c.l);
    TCloseness: |c| format!("t-closeness of t = {}", c.t);
    DeltaDisclosure: |c| format!("delta-disclosure of delta = {}", c.delta);
    BetaLikeness: |c| format!("{} beta-likeness of beta = {}", if c.enhanced { "enhanced" } else { "basic" }, c.beta);
    AlphaAnonymity: |c| format!("(alpha, k)-anonymity of alpha = {}", c.alpha);
    KMap: |c| format!("k-map of k = {}", c.0);
    DeltaPresence: |c| format!("delta-presence of {} to {}", c.min, c.max);
}

/// All criteria of a release.
#[derive(Debug)]
pub struct Criteria {
    all: Vec<Box<dyn Criterion>>,
    k: u64,
}

impl Criteria {
    /// At least one criterion; `k` of the k-anonymity among them is what methods look at first.
    pub fn new(k: Option<u64>, others: Vec<Box<dyn Criterion>>) -> Result<Self> {
        if k.is_none() && others.is_empty() {
            return Err(Error::argument("no criterion is given: name k, or another criterion such as l or t"));
        }
        let k_anonymity = k.map(|k| Box::new(KAnonymity(k)) as Box<dyn Criterion>);
        Ok(Self { all: k_anonymity.into_iter().chain(others).collect(), k: k.unwrap_or(1) })
    }

    /// The k asked for; 1 without k-anonymity.
    pub fn k(&self) -> u64 {
        self.k
    }

    /// Whether the number of persons decides alone.
    pub fn only_k(&self) -> bool {
        self.all.iter().all(|c| c.needs() == Needs::Persons)
    }

    /// Whether the population is looked at.
    pub fn needs_population(&self) -> bool {
        self.all.iter().any(|c| c.needs() == Needs::Population)
    }

    /// Whether sensitive columns are looked at.
    pub fn needs_values(&self) -> bool {
        self.all.iter().any(|c| matches!(c.needs(), Needs::Values(_)))
    }

    /// Whether a class that fulfils all of them still does after any others have joined.
    pub fn survive_growth(&self) -> bool {
        self.all.iter().all(|c| c.survives_growth())
    }

    /// Whether the union of classes that fulfil all of them does, whatever more of a population it matches.
    pub fn survive_union(&self) -> bool {
        self.all.iter().all(|c| c.survives_union())
    }

    /// Every criterion, k-anonymity first.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Criterion> {
        self.all.iter().map(|c| c.as_ref())
    }

    /// Whether a class fulfils all.
    pub fn hold(&self, class: &ClassFigures<'_>, attributes: &[Attribute]) -> bool {
        self.all.iter().all(|c| c.holds(class, attributes))
    }

    /// The first criterion that a class breaks, in words with what it reaches.
    pub fn broken(&self, class: &ClassFigures<'_>, attributes: &[Attribute]) -> Option<String> {
        let broken = self.all.iter().find(|c| !c.holds(class, attributes))?;
        let reached = broken.reached(class, attributes);
        Some(format!("{} (reached: {reached})", describe(broken.as_ref(), attributes)))
    }

    /// Every criterion in words with the column it looks at, k-anonymity first.
    pub fn described(&self, attributes: &[Attribute]) -> Vec<String> {
        self.iter().map(|c| describe(c, attributes)).collect()
    }
}

fn describe(criterion: &dyn Criterion, attributes: &[Attribute]) -> String {
    match criterion.needs() {
        Needs::Values(a) => format!("{criterion} in column '{}'", attributes[a].name()),
        _ => criterion.to_string(),
    }
}

/// Gathers the figures of classes, allocating once.
#[derive(Debug, Default)]
pub struct Tally {
    counts: Vec<Vec<u64>>,
    /// Persons that hold each value of the class looked at last, a sensitive column each.
    pub values: Vec<Vec<(u32, u64)>>,
}

impl Tally {
    /// Counts the values of some items.
    pub fn take(&mut self, items: &Items, members: impl Iterator<Item = u32>) {
        self.start(items);
        members.for_each(|item| self.add(items, item));
        self.finish();
    }

    /// Begins with a class of nobody.
    pub fn start(&mut self, items: &Items) {
        let attributes = items.attributes();
        self.counts.resize_with(attributes.len(), Vec::new);
        self.values.resize_with(attributes.len(), Vec::new);
        for ((attribute, counts), values) in attributes.iter().zip(&mut self.counts).zip(&mut self.values) {
            counts.resize(attribute.domain(), 0);
            values.clear();
        }
    }

    /// Adds an item.
    pub fn add(&mut self, items: &Items, item: u32) {
        for ((attribute, counts), values) in items.attributes().iter().zip(&mut self.counts).zip(&mut self.values) {
            for &code in attribute.values(item) {
                let count = &mut counts[code as usize];
                if *count == 0 {
                    values.push((code, 0));
                }
                *count += 1;
            }
        }
    }

    /// Puts the counts into `values`.
    pub fn finish(&mut self) {
        for (counts, values) in self.counts.iter_mut().zip(&mut self.values) {
            values.sort_unstable();
            for (code, count) in values {
                *count = std::mem::take(&mut counts[*code as usize]);
            }
        }
    }
}

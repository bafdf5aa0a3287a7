//! Figures of a released table: how alike its classes are, what they disclose, what it costs to know so little.

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use lookalike_core::{Error, Job, Result};

use crate::diversity::{self, Counts, Whole};
use crate::region::hierarchy_of;
use crate::{Candidates, Classes, Coded, Hierarchy, Histograms};

mod loss;
mod risk;

pub use loss::{OriginalColumn, OriginalTable};

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Its name.
    pub metric: &'static str,
    /// The column it is about, if it is about one.
    pub column: Option<String>,
    /// Its value; infinite where nothing bounds it.
    pub value: f64,
    /// What it means, in a phrase.
    pub note: &'static str,
}

/// A sensitive column of the released table.
#[derive(Debug)]
pub struct SensitiveColumn<'a> {
    /// Name.
    pub name: String,
    /// Values.
    pub values: &'a Coded,
    /// Its hierarchy, and the leaf of each value.
    pub hierarchy: Option<(Hierarchy, Vec<u32>)>,
}

impl<'a> SensitiveColumn<'a> {
    /// A column with the hierarchy given as a table, if any: `levels[i][r]` is the label of row r at level i, level 0 the
    /// value as `CAST(... AS VARCHAR)` prints it. Every value needs a row; NULL hangs below the root.
    pub fn new(name: &str, values: &'a Coded, levels: Option<&[Vec<Option<String>>]>) -> Result<Self> {
        let hierarchy = levels.map(|levels| -> Result<_> {
            let texts = cast(&values.distinct, &DataType::Utf8)?;
            let present = texts.as_string::<i32>().iter().flatten().map(str::to_string);
            let (hierarchy, mut leaf_of) = hierarchy_of(name, present, levels)?;
            leaf_of.resize(values.cardinality(), hierarchy.leaf_count());
            Ok((hierarchy, leaf_of))
        });
        Ok(Self { name: name.to_string(), values, hierarchy: hierarchy.transpose()? })
    }

    /// Whether values have an order with distances: numbers, dates and times.
    fn is_ordered(&self) -> bool {
        let data_type = self.values.distinct.data_type();
        data_type.is_numeric() || data_type.is_temporal()
    }
}

/// What a report is made of.
#[derive(Debug)]
pub struct ReportInput<'a> {
    /// The released rows by equal quasi-identifiers.
    pub classes: &'a Classes,
    /// Person of each released row.
    pub units: Option<&'a [u32]>,
    /// Sensitive columns.
    pub sensitive: Vec<SensitiveColumn<'a>>,
    /// Population records that fit each class.
    pub population: Option<Vec<Candidates>>,
    /// The table before anonymisation.
    pub original: Option<OriginalTable<'a>>,
    /// Risk above which a person counts as at risk, 0 to 1.
    pub risk_threshold: f64,
    /// The k that average classes are compared with; the smallest class if `None`.
    pub k: Option<u64>,
}

/// Collects figures in order.
struct Figures(Vec<Figure>);

impl Figures {
    fn add(&mut self, metric: &'static str, value: f64, note: &'static str) {
        self.0.push(Figure { metric, column: None, value, note });
    }

    fn add_for(&mut self, metric: &'static str, column: &str, value: f64, note: &'static str) {
        self.0.push(Figure { metric, column: Some(column.to_string()), value, note });
    }
}

/// All figures of a released table, in a fixed order. A data error when it has no rows, or more than the original.
pub fn report(input: &ReportInput, job: &Job) -> Result<Vec<Figure>> {
    let classes = input.classes;
    if classes.is_empty() {
        return Err(Error::data("the relation 'released' has no rows to measure"));
    }
    let mut figures = Figures(vec![]);
    let rows: u64 = classes.rows.iter().sum();
    let members: u64 = classes.persons.iter().sum();
    let count = classes.len() as f64;
    let k = classes.persons.iter().copied().min().unwrap_or(0);
    figures.add("rows", rows as f64, "released rows");
    let persons = input.units.map(|units| classes_of_persons(units, &classes.class_of));
    figures.add(
        "persons",
        persons.as_ref().map_or(rows, |p| p.len() as u64) as f64,
        "different persons; rows without privacy_unit",
    );
    figures.add("classes", count, "different combinations of quasi-identifiers");
    figures.add("k", k as f64, "persons of the smallest class: k-anonymity for these quasi-identifiers, and no others");
    if let Some(persons) = &persons {
        let several = persons.iter().filter(|&&classes| classes > 1).count();
        figures.add(
            "persons_in_several_classes",
            several as f64,
            "persons whose rows are in more than one class: who can join their rows learns more than k says",
        );
    }
    let average = members as f64 / count;
    figures.add("average_class_size", average, "persons a class, a person counting in each of its classes");
    figures.add(
        "c_avg",
        average / input.k.unwrap_or(k) as f64,
        "average class size over k: 1 is the least generalisation that k allows",
    );
    for column in &input.sensitive {
        job.check()?;
        let _working = job.reserve(column.values.codes.len() * 24, "values of classes")?;
        sensitive(column, input, &mut figures);
    }
    risk::released(input, &mut figures);
    if let Some(original) = &input.original {
        loss::figures(original, input, &mut figures, job)?;
    }
    Ok(figures.0)
}

/// Number of classes of each person.
fn classes_of_persons(units: &[u32], class_of: &[u32]) -> Vec<u64> {
    let pairs = crate::coded::distinct_pairs(units, class_of);
    pairs.chunk_by(|a, b| a.0 == b.0).map(|same| same.len() as u64).collect()
}

fn sensitive(column: &SensitiveColumn, input: &ReportInput, figures: &mut Figures) {
    let values = column.values;
    let histograms = Histograms::new(input.classes, &values.codes, values.cardinality(), input.units);
    let whole = Whole::new(histograms.whole());
    let least = |f: &dyn Fn(Counts) -> f64| histograms.iter().map(f).fold(f64::INFINITY, f64::min);
    let most = |f: &dyn Fn(Counts) -> f64| histograms.iter().map(f).fold(0.0, f64::max);
    let mut add = |metric, value, note| figures.add_for(metric, &column.name, value, note);
    add("distinct_l", least(&|c| c.len() as f64), "fewest different values in a class: distinct l-diversity");
    add(
        "entropy_l",
        least(&diversity::entropy),
        "least exp(entropy) of a class: entropy l-diversity holds for every l up to it",
    );
    for (l, metric, note) in [
        (2, "recursive_c_2", "largest r1 / (r2 + ... + rm): recursive (c, 2)-diversity holds for every c above it"),
        (3, "recursive_c_3", "largest r1 / (r3 + ... + rm): recursive (c, 3)-diversity holds for every c above it"),
    ] {
        add(metric, most(&|c| diversity::recursive(c, l)), note);
    }
    add(
        "t_equal",
        most(&|c| whole.equal_distance(c)),
        "largest distance of a class to all rows, values equally far apart: t-closeness",
    );
    if column.is_ordered() {
        add(
            "t_ordered",
            most(&|c| whole.ordered_distance(c)),
            "largest distance of a class to all rows, values apart by their places in order: t-closeness",
        );
    }
    if let Some((hierarchy, leaf_of)) = &column.hierarchy {
        let leaves: Vec<u32> = values.codes.iter().map(|&c| leaf_of[c as usize]).collect();
        let histograms = Histograms::new(input.classes, &leaves, hierarchy.leaf_count() as usize + 1, input.units);
        let whole = Whole::new(histograms.whole());
        let distance = histograms.iter().map(|c| whole.hierarchical_distance(c, hierarchy)).fold(0.0, f64::max);
        add(
            "t_hierarchical",
            distance,
            "largest distance of a class to all rows, values apart by the height of their common node: t-closeness",
        );
    }
    add(
        "delta_disclosure",
        most(&|c| whole.disclosure(c)),
        "largest |ln(share in class / share in all)| of values a class has; a value it lacks is not counted, so no guarantee",
    );
    let gain = most(&|c| whole.gain(c));
    add(
        "basic_beta",
        gain,
        "largest relative gain of a value's share in a class: basic beta-likeness holds from it on",
    );
    let enhanced = histograms.iter().all(|c| whole.gains_within(c, f64::INFINITY));
    add(
        "enhanced_beta",
        if enhanced { gain } else { f64::INFINITY },
        "enhanced beta-likeness holds from it on; infinite where a gain exceeds -ln(share in all), which no beta allows",
    );
    let shares = histograms.iter().zip(&input.classes.persons);
    add(
        "alpha",
        shares.map(|(c, &persons)| diversity::largest_share(c, persons)).fold(0.0, f64::max),
        "largest share of one value in a class: 1 gives the value of all its members away",
    );
}

#[cfg(test)]
mod tests;

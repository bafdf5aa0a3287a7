//! The epsilon half of (k, epsilon)-anonymity: quasi-identifiers that leave through local differential privacy.
//!
//! (k, epsilon)-anonymity divides the quasi-identifiers in two sets. The first is generalised until k persons share
//! each combination; the columns of the second leave value by value through mechanisms that are differentially private
//! by themselves. An [`EpsilonPlan`] is made from public facts alone, releases each column once, and says in its
//! [`Guarantee`] what that earned.
//!
//! *Mechanisms.* A number goes to the nearest point of a public grid between public bounds, gets discrete Laplace noise
//! of scale (number of steps) / epsilon, and stays within the bounds. A label leaves by randomised response over a
//! public list: itself with probability e^epsilon / (e^epsilon + m - 1), each other of the m with the same
//! probability. Where NULL is allowed, it is one more label; for a number, whether it is missing leaves by randomised
//! response with half of the epsilon, and the number with the other half, missing ones being put at the middle of the
//! grid.
//!
//! *Guarantee.* The values of the second set that leave are epsilon-differentially private with delta 0, in the local
//! model: what leaves of a person changes its probability by at most the factor e^epsilon when the person's values in
//! these columns change to any others. Epsilon is divided equally among the columns and, when the unit is a person,
//! among `rows_per_person` rows; shares are rounded down to multiples of 2^-32 and summed exactly, so that what is
//! reported is never below what was spent and never above what was asked. The samplers are exact: integers and rational numbers alone
//! (Canonne, Kamath & Steinke 2020). Noise is drawn from [`SecretRng`].
//! *Neighbours.* Tables of the same rows in the same order that differ in the second set's values of one unit (a row,
//! or all rows of a person). Who has how many rows, the first set and all other columns are the same in both: they are
//! not protected. A caller must not let the order of the rows, or which rows leave, depend on the second set.
//! *Not covered.* Bounds taken from the data ([`Bounds::FromData`]) void the epsilon. An error (a label that is not
//! public, too many rows of a person) depends on the data as well. The time that sampling takes depends on the values.
//! *Utility.* A number moves by about (upper - lower) / epsilon of its column: the share of epsilon has to be well above
//! 1 for single values to be of use, while means over n rows are off by about that over the root of n, and biased
//! towards the middle of the bounds. A label is kept with the probability above.
//! *Cost.* A few random words a number; m / (1 + (m - 1) e^-epsilon) proposals a label.
//! *Citations.* Holohan, Antonatos, Braghin & Mac Aonghusa, (k, epsilon)-anonymity, arXiv 1710.01615, 2017; Canonne,
//! Kamath & Steinke, The discrete Gaussian for differential privacy, NeurIPS 2020, section 5; Kairouz, Bonawitz &
//! Ramage, Discrete distribution estimation under local privacy, ICML 2016.

use arrow::array::{ArrayRef, new_null_array};
use arrow::datatypes::FieldRef;
use lookalike_core::{Column, Error, Guarantee, Job, Result, SecretRng, Units, Values, list_names};

mod grid;
mod sampler;

use grid::Grid;
use sampler::{Bits, Ratio, discrete_laplace, randomised_response};

/// Epsilons are counted in these parts of 1.
const PARTS: f64 = (1u64 << 32) as f64;

/// Largest epsilon: far beyond any protection.
pub const MAX_EPSILON: f64 = 100.0;

/// What differential privacy is asked for.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `epsilon` | none | privacy loss of a unit over all columns of the second set | above 0, at most 100 |
/// | `rows_per_person` | 1 | public bound on the rows of a person | at least 1 |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpsilonParams {
    /// Privacy loss of a unit over all columns and rows together; above 0 and at most [`MAX_EPSILON`].
    pub epsilon: f64,
    /// Rows that a person has at most, a public fact; 1 when the unit is the row.
    pub rows_per_person: usize,
}

/// What a column of the second set may hold, known without looking at the data.
#[derive(Debug, Clone, PartialEq)]
pub enum Bounds {
    /// For numbers, dates and times.
    Number {
        /// Smallest released value, written as CAST to the column's type reads it; lower values count as this one.
        lower: String,
        /// Largest released value, likewise.
        upper: String,
        /// Distance of released values. By default 2^-20 of the width for floats; 1 otherwise, in days of a date, ticks
        /// of a timestamp or units of a decimal's last place, where a step is a whole number of them.
        step: Option<f64>,
        /// Whether NULL is a value.
        nullable: bool,
    },
    /// For strings and booleans ('true', 'false').
    Labels {
        /// All labels, each once.
        labels: Vec<String>,
        /// Whether NULL is a value.
        nullable: bool,
    },
    /// What the column happens to hold: not private, and the [`Guarantee`] says so.
    FromData,
}

#[derive(Debug, Clone)]
struct Attribute {
    field: FieldRef,
    /// `None` for bounds of the data.
    grid: Option<Grid>,
    nullable: bool,
    released: bool,
}

/// How the columns of the second set leave; see the module's documentation.
///
/// ```
/// use std::sync::Arc;
/// use arrow::array::{Int32Array, RecordBatch};
/// use lookalike_anonymize::epsilon::{Bounds, EpsilonParams, EpsilonPlan};
/// use lookalike_core::{EncodeSpec, FrameBuilder, Job, SecretRng, encode};
///
/// let batch = RecordBatch::try_from_iter([("age", Arc::new(Int32Array::from(vec![34, 71])) as _)])?;
/// let mut builder = FrameBuilder::new(batch.schema(), EncodeSpec::default())?;
/// builder.push(&batch)?;
/// let frame = encode(vec![vec![builder]], &Job::unbounded())?.remove(0);
/// let age = &frame.columns()[0];
///
/// let bounds = Bounds::Number { lower: "18".into(), upper: "90".into(), step: None, nullable: false };
/// let params = EpsilonParams { epsilon: 2.0, rows_per_person: 1 };
/// let mut plan = EpsilonPlan::new(params, 5, false, vec![(Arc::clone(&age.field), bounds)])?;
/// let released = plan.release(age, None, &mut SecretRng::new(), &Job::unbounded())?;
/// assert_eq!(released.len(), 2);
/// assert_eq!(plan.guarantee().epsilon, Some(2.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct EpsilonPlan {
    k: usize,
    rows_per_person: usize,
    by_person: bool,
    /// Epsilon of one value of one column, in [`PARTS`].
    share: u64,
    attributes: Vec<Attribute>,
}

impl EpsilonPlan {
    /// A plan for the columns of the second set with their bounds. `k` is what the first set is generalised to;
    /// `by_person` says whether rows belong to persons (a privacy unit) or are units themselves. An argument error
    /// names the parameter or column, the value and what is allowed.
    pub fn new(params: EpsilonParams, k: usize, by_person: bool, attributes: Vec<(FieldRef, Bounds)>) -> Result<Self> {
        let EpsilonParams { epsilon, rows_per_person } = params;
        if !(epsilon > 0.0 && epsilon <= MAX_EPSILON) {
            return Err(Error::argument(format!(
                "epsilon is {epsilon}, allowed is a number above 0 and at most {MAX_EPSILON}"
            )));
        }
        if rows_per_person == 0 || (!by_person && rows_per_person > 1) {
            let allowed = if by_person { "an integer of at least 1" } else { "1 without a privacy_unit" };
            return Err(Error::argument(format!("rows_per_person is {rows_per_person}, allowed is {allowed}")));
        }
        if attributes.is_empty() {
            return Err(Error::argument("bounds is empty, epsilon needs at least one column to be released with it"));
        }
        // Exact: a power of two times a float, then whole numbers, both rounded down.
        let share = (epsilon * PARTS).floor() as u64 / (attributes.len() as u64).saturating_mul(rows_per_person as u64);
        if share < 2 {
            return Err(Error::argument(format!(
                "epsilon is {epsilon}, too small to be divided among {} columns and {rows_per_person} rows of a person",
                attributes.len()
            )));
        }
        let mut plan = Self { k, rows_per_person, by_person, share, attributes: vec![] };
        for (field, bounds) in attributes {
            if plan.attributes.iter().any(|a| a.field.name() == field.name()) {
                return Err(Error::argument(format!("bounds: column '{}' is given twice", field.name())));
            }
            let grid = Grid::new(&field, &bounds)?;
            let nullable = match bounds {
                Bounds::Number { nullable, .. } | Bounds::Labels { nullable, .. } => nullable,
                Bounds::FromData => false,
            };
            plan.attributes.push(Attribute { field, grid, nullable, released: false });
        }
        Ok(plan)
    }

    /// The column as it leaves, in the type of the input, row by row in the same order; `units` are the persons of the
    /// rows. A column leaves once: a second time, or one that is not in the plan, is an internal error. Data errors
    /// name the column and the value: a label that is not public, NULL where the bounds do not allow it, a person with
    /// more rows than the plan knows of.
    pub fn release(
        &mut self,
        column: &Column,
        units: Option<&Units>,
        rng: &mut SecretRng,
        job: &Job,
    ) -> Result<ArrayRef> {
        self.release_with(column, units, rng, job)
    }

    fn release_with(
        &mut self,
        column: &Column,
        units: Option<&Units>,
        rng: &mut impl Bits,
        job: &Job,
    ) -> Result<ArrayRef> {
        self.check_units(units)?;
        let name = column.name();
        let attribute =
            self.attributes.iter_mut().find(|a| a.field == column.field && !a.released).ok_or_else(|| {
                Error::internal(format!("epsilon: column '{name}' is not in the plan, or left before: it leaves once"))
            })?;
        attribute.released = true;
        let rows = match &column.values {
            Values::Number(v) => v.len(),
            Values::Code(v) => v.len(),
            Values::Omitted => 0,
        };
        let _points = job.reserve(rows * 40, "releasing a column with noise")?;
        let is_public = attribute.grid.is_some();
        let grid = match &attribute.grid {
            Some(grid) => grid.clone(),
            None => match Grid::of_data(column)? {
                Some(grid) => grid,
                None => return Ok(new_null_array(column.field.data_type(), rows)),
            },
        };
        let mut points = grid.points(column)?;
        let missing = points.iter().filter(|p| p.is_none()).count();
        let nullable = if is_public { attribute.nullable } else { missing > 0 };
        if missing > 0 && !nullable {
            return Err(Error::data(format!(
                "bounds: column '{name}' is NULL in {missing} rows, and its bounds do not allow NULL: name it in epsilon_nulls, or \
                 filter them out with WHERE {name} IS NOT NULL"
            )));
        }
        let mechanism = Mechanism::new(&grid, nullable, self.share);
        for (row, point) in points.iter_mut().enumerate() {
            if row % 256 == 0 {
                job.check()?;
            }
            *point = mechanism.draw(*point, rng)?;
        }
        grid.decode(&attribute.field, &points)
    }

    fn check_units(&self, units: Option<&Units>) -> Result<()> {
        if self.by_person != units.is_some() {
            return Err(Error::internal("epsilon: the plan and the rows have different units"));
        }
        let Some(units) = units else { return Ok(()) };
        let mut rows = vec![0usize; units.count as usize];
        units.codes.iter().for_each(|&unit| rows[unit as usize] += 1);
        let most = rows.into_iter().max().unwrap_or(0);
        if most > self.rows_per_person {
            return Err(Error::data(format!(
                "rows_per_person is {}, but a person has {most} rows: raise it, or keep fewer rows a person",
                self.rows_per_person
            )));
        }
        Ok(())
    }

    /// What releasing each column of the plan once earns, together with k-anonymity of the first set.
    pub fn guarantee(&self) -> Guarantee {
        let names = |of: &dyn Fn(&&Attribute) -> bool| {
            list_names(self.attributes.iter().filter(of).map(|a| a.field.name().as_str()))
        };
        let (unit, units) = if self.by_person { ("person", "persons") } else { ("row", "rows") };
        let data_bounds = names(&|a| a.grid.is_none());
        // Less than 2^39 parts: exact as a float.
        let spent = self.share * self.attributes.len() as u64 * self.rows_per_person as u64;
        let epsilon = data_bounds.is_empty().then_some(spent as f64 / PARTS);
        let all = names(&|_| true);
        let whose = if self.by_person {
            format!("all rows of one person (at most {})", self.rows_per_person)
        } else {
            "one row".to_string()
        };
        let neighbours = format!(
            "tables of the same rows in the same order that differ in {all} of {whose}; all other columns are the same"
        );
        let k = self.k;
        let first = format!("each combination of the generalised quasi-identifiers is shared by at least {k} {units}");
        let statement = match epsilon {
            Some(epsilon) => format!(
                "{first}; {all} are released through local mechanisms that are together {epsilon}-differentially \
                 private (delta 0) for a {unit}'s values of these columns, which protects neither the other columns \
                 nor who is in the table"
            ),
            None => format!(
                "{first}; {all} are released with noise that is not differentially private, because the bounds of \
                 {data_bounds} come from the data: a bound that the values of one {unit} decide tells of that {unit}"
            ),
        };
        Guarantee { k: Some(k), epsilon, delta: 0.0, unit, neighbours, statement }
    }
}

/// What one value goes through.
struct Mechanism {
    kind: Kind,
    nullable: bool,
}

enum Kind {
    /// Response over so many labels, NULL included.
    Response { labels: u64, values: u32, epsilon: Ratio },
    /// Noise on points up to `last`, and response on being missing.
    Noise { last: u64, scale: Ratio, epsilon: Ratio },
}

impl Mechanism {
    /// `share` is the epsilon of a value in [`PARTS`].
    fn new(grid: &Grid, nullable: bool, share: u64) -> Self {
        let (last, parts) = (grid.last(), PARTS as u128);
        let kind = match grid {
            Grid::Labels(_) => Kind::Response {
                labels: last + 1,
                values: (last + 1) as u32 + u32::from(nullable),
                epsilon: Ratio::new(u128::from(share), parts),
            },
            _ => {
                let share = u128::from(if nullable { share / 2 } else { share });
                Kind::Noise {
                    last,
                    scale: Ratio::new(u128::from(last) * parts, share),
                    epsilon: Ratio::new(share, parts),
                }
            }
        };
        Self { kind, nullable }
    }

    fn draw(&self, point: Option<u64>, rng: &mut impl Bits) -> Result<Option<u64>> {
        match self.kind {
            Kind::Response { labels, values, epsilon } => {
                let truth = point.unwrap_or(labels) as u32;
                let drawn = u64::from(randomised_response(truth, values, epsilon, rng)?);
                Ok((drawn < labels).then_some(drawn))
            }
            Kind::Noise { last, scale, epsilon } => {
                // Both are drawn whatever comes out, so that the two are independent.
                let shows = !self.nullable || randomised_response(u32::from(point.is_some()), 2, epsilon, rng)? == 1;
                let noise = if last == 0 { 0 } else { discrete_laplace(scale, rng)? };
                let moved = i128::from(point.unwrap_or(last / 2)).saturating_add(noise).clamp(0, i128::from(last));
                Ok(shows.then_some(moved as u64))
            }
        }
    }
}

#[cfg(test)]
mod tests;

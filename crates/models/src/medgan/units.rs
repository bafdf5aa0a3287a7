//! Records as vectors of units, few of them not zero, and the way back.

use lookalike_core::{Column, Domain, Job, MISSING, NumberKind, Result, Stream, Values};

use crate::codec::{Reader, Writer, ensure, inconsistent};
use crate::nn::{Block, Mat, Real, Sparse, gumbel, logistic};
use crate::rows::Rows;
use crate::tokens::{Grouping, group_categories};

/// What the columns are among the units: first those with sigmoid outputs, then the rectified ones, then softmax blocks.
#[derive(Debug)]
pub(super) struct Units {
    columns: Vec<Coding>,
    /// Where each column lies.
    places: Vec<Place>,
    /// Units with a sigmoid, and rectified units behind them.
    pub sigmoid: usize,
    pub rectified: usize,
    pub blocks: Vec<Block>,
    pub width: usize,
    /// Sigmoid units that are numbers.
    numbers: Vec<usize>,
}

#[derive(Debug)]
enum Coding {
    Omitted,
    /// `missing`: whether a further unit is 1 for NULL.
    Number {
        low: f64,
        high: f64,
        scale: Scale,
        missing: bool,
    },
    /// Choices are the tokens of the grouping, and the last one missing where it occurs: a unit that is 1 for the second of two,
    /// a block of one unit each for more, nothing for fewer.
    Category {
        count: Vec<u64>,
        missing: u64,
        grouping: Grouping,
    },
}

/// What the unit of a number is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scale {
    /// One value, or none at all (both bounds NaN): no unit.
    Constant,
    /// Two values: 0 for the low one, 1 for the high one.
    Pair,
    /// Whole numbers, the smallest at 0, divided by this.
    Count(f64),
    /// From 0 for the low one to 1 for the high one.
    Range,
}

/// First unit of a column's value and that of its missing values.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    value: usize,
    missing: usize,
}

/// Values that the distribution of a number is summarised in where categories are told apart by it.
const KNOTS: usize = 256;

impl Units {
    /// Of the columns of all rows; of more than `max_categories` categories the infrequent share units.
    pub fn fit(rows: &Rows, max_categories: usize, job: &Job) -> Result<Self> {
        let groupings = group_categories(rows, KNOTS, max_categories, job)?;
        let numbers = rows.map(job, |_, column| Ok(Coding::number(column)))?;
        let coding = |(number, grouped)| match grouped {
            Some((grouping, count, missing)) => Coding::Category { count, missing, grouping },
            None => number,
        };
        Ok(Self::of(numbers.into_iter().zip(groupings).map(coding).collect()))
    }

    fn of(columns: Vec<Coding>) -> Self {
        let sizes: Vec<[usize; 3]> = columns.iter().map(Coding::sizes).collect();
        let sum = |kind: usize| sizes.iter().map(|s| s[kind]).sum::<usize>();
        let (sigmoid, rectified) = (sum(0), sum(1));
        let (mut next, mut blocks) = ([0, sigmoid, sigmoid + rectified], vec![]);
        let places = columns.iter().zip(&sizes).map(|(coding, size)| {
            let kind = coding.kind();
            let value = next[kind];
            if size[2] > 0 {
                blocks.push(Block { start: value, size: size[2] });
            }
            // The unit of missing values has a sigmoid, and stands behind the value's where that has one as well.
            let missing = next[0] + usize::from(kind == 0 && size[0] > 1);
            next.iter_mut().zip(size).for_each(|(next, size)| *next += size);
            Place { value, missing }
        });
        let places: Vec<Place> = places.collect();
        let is_range = |c: &Coding| matches!(c, Coding::Number { scale: Scale::Range, .. });
        let numbers = columns.iter().zip(&places).filter(|(c, _)| is_range(c)).map(|(_, p)| p.value).collect();
        Self { numbers, places, sigmoid, rectified, blocks, width: sizes.iter().flatten().sum(), columns }
    }

    /// The rows as vectors.
    pub fn encode(&self, rows: &Rows) -> Result<Sparse> {
        Sparse::build(rows.len(), |put| {
            for (c, (coding, place)) in self.columns.iter().zip(&self.places).enumerate() {
                coding.encode(*place, &rows.column(c)?.values, put);
            }
            Ok(())
        })
    }

    /// Appends the values of records to those of each column. `outputs` are what the units' activations get, with noise on them
    /// where choices are to be drawn: a sigmoid unit is 1 above 0, of a block the largest is chosen.
    pub fn decode(&self, outputs: &Mat, values: &mut [Values], rng: &mut Stream) {
        for ((coding, place), values) in self.columns.iter().zip(&self.places).zip(values) {
            for record in outputs.data.chunks_exact(self.width.max(1)) {
                match values {
                    Values::Number(values) => values.push(coding.number_of(*place, record)),
                    Values::Code(codes) => codes.push(coding.code_of(*place, record, rng)),
                    Values::Omitted => break,
                }
            }
        }
    }

    /// Columns without rows, or with so many of the only value that columns without units have.
    pub fn blank(&self, rows: usize, rng: &mut Stream) -> Vec<Values> {
        let mut blank = |coding: &Coding| match coding {
            Coding::Omitted => Values::Omitted,
            Coding::Number { .. } => {
                Values::Number((0..rows).map(|_| coding.number_of(Place::default(), &[])).collect())
            }
            Coding::Category { .. } => {
                Values::Code((0..rows).map(|_| coding.code_of(Place::default(), &[], rng)).collect())
            }
        };
        self.columns.iter().map(&mut blank).collect()
    }

    /// Noise that makes choices draws: an output of a sigmoid unit with it is above 0 with the probability that its sigmoid is, and
    /// the largest of a block with it is a draw from the softmax. None on numbers.
    pub fn noise(&self, rows: usize, rng: &mut Stream) -> Vec<f32> {
        let (sigmoid, blocks) = (self.sigmoid, self.sigmoid + self.rectified);
        let (logistic, gumbel) = (logistic(rows * sigmoid, rng), gumbel(rows * (self.width - blocks), rng));
        let mut noise = vec![0.0; rows * self.width];
        for (r, noise) in noise.chunks_exact_mut(self.width.max(1)).enumerate() {
            noise[..sigmoid].copy_from_slice(&logistic[r * sigmoid..][..sigmoid]);
            noise[blocks..].copy_from_slice(&gumbel[r * (self.width - blocks)..][..self.width - blocks]);
            self.numbers.iter().for_each(|&place| noise[place] = 0.0);
        }
        noise
    }

    /// What outputs are multiplied by in training: choices by `sharpness`, numbers by 1.
    pub fn sharpen(&self, sharpness: f32) -> Vec<f32> {
        let mut factors = vec![sharpness; self.width];
        factors[self.sigmoid..self.sigmoid + self.rectified].fill(1.0);
        self.numbers.iter().for_each(|&place| factors[place] = 1.0);
        factors
    }

    pub fn save(&self, w: &mut Writer) {
        w.list(&self.columns, |w, coding| coding.save(w));
    }

    pub fn load(r: &mut Reader) -> Result<Self> {
        Ok(Self::of(r.list(4, Coding::load)?))
    }
}

impl Coding {
    fn number(column: &Column) -> Self {
        let Values::Number(values) = &column.values else { return Coding::Omitted };
        let present = || values.iter().copied().filter(|v| !v.is_nan());
        let (low, high) = (present().fold(f64::INFINITY, f64::min), present().fold(f64::NEG_INFINITY, f64::max));
        if low > high {
            return Coding::Number { low: f64::NAN, high: f64::NAN, scale: Scale::Constant, missing: false };
        }
        let scale = match () {
            () if low == high => Scale::Constant,
            () if present().all(|v| v == low || v == high) => Scale::Pair,
            () if is_count(column) => {
                let (sum, more) = present().filter(|v| *v > low).fold((0.0, 0.0), |(sum, n), v| {
                    let size = v - low;
                    (sum + size * size, n + 1.0)
                });
                Scale::Count(f64::sqrt(sum / more))
            }
            () => Scale::Range,
        };
        Coding::Number { low, high, scale, missing: values.iter().any(|v| v.is_nan()) }
    }

    /// Choices of a category, missing among them.
    fn choices(count: &Grouping, missing: u64) -> usize {
        count.len() + usize::from(missing > 0)
    }

    /// Units with a sigmoid, rectified units, units of a block.
    fn sizes(&self) -> [usize; 3] {
        match self {
            Coding::Omitted => [0, 0, 0],
            Coding::Number { scale, missing, .. } => {
                let [sigmoid, rectified] = match scale {
                    Scale::Constant => [0, 0],
                    Scale::Pair | Scale::Range => [1, 0],
                    Scale::Count(_) => [0, 1],
                };
                [sigmoid + usize::from(*missing), rectified, 0]
            }
            Coding::Category { missing, grouping, .. } => match Self::choices(grouping, *missing) {
                0 | 1 => [0, 0, 0],
                2 => [1, 0, 0],
                more => [0, 0, more],
            },
        }
    }

    /// Which of the three the value is.
    fn kind(&self) -> usize {
        match self {
            Coding::Number { scale: Scale::Count(_), .. } => 1,
            Coding::Category { missing, grouping, .. } if Self::choices(grouping, *missing) > 2 => 2,
            _ => 0,
        }
    }

    fn encode(&self, place: Place, values: &Values, put: &mut dyn FnMut(usize, usize, f32)) {
        match (self, values) {
            (Coding::Number { low, high, scale, missing }, Values::Number(values)) => {
                for (row, &v) in values.iter().enumerate() {
                    if v.is_nan() {
                        if *missing {
                            put(row, place.missing, 1.0);
                        }
                        continue;
                    }
                    let unit = match scale {
                        Scale::Constant => 0.0,
                        Scale::Pair | Scale::Range => (v - low) / (high - low),
                        Scale::Count(scale) => (v - low) / scale,
                    };
                    if unit != 0.0 {
                        put(row, place.value, unit as f32);
                    }
                }
            }
            (Coding::Category { missing, grouping, .. }, Values::Code(codes)) => {
                let size = Self::choices(grouping, *missing);
                for (row, &code) in codes.iter().enumerate() {
                    let choice = if code == MISSING { grouping.len() } else { grouping.token(code) as usize };
                    match size {
                        0 | 1 => {}
                        2 if choice == 1 => put(row, place.value, 1.0),
                        2 => {}
                        _ => put(row, place.value + choice, 1.0),
                    }
                }
            }
            _ => {}
        }
    }

    fn number_of(&self, place: Place, record: &[f32]) -> f64 {
        let Coding::Number { low, high, scale, missing } = self else { return f64::NAN };
        if *missing && record.get(place.missing).is_some_and(|x| *x > 0.0) {
            return f64::NAN;
        }
        let Some(&x) = record.get(place.value).filter(|_| *scale != Scale::Constant) else { return *low };
        match scale {
            Scale::Constant => *low,
            Scale::Pair => *if x > 0.0 { high } else { low },
            Scale::Range => low + f64::from(Real::sigmoid(x)) * (high - low),
            Scale::Count(scale) => low + f64::from(x.max(0.0)) * scale,
        }
    }

    fn code_of(&self, place: Place, record: &[f32], rng: &mut Stream) -> u32 {
        let Coding::Category { missing, grouping, .. } = self else { return MISSING };
        let choice = match Self::choices(grouping, *missing) {
            0 | 1 => 0,
            2 => usize::from(record.get(place.value).is_some_and(|x| *x > 0.0)),
            size => {
                let block = record.get(place.value..place.value + size).unwrap_or_default();
                (1..block.len()).fold(0, |best, i| if block[i] > block[best] { i } else { best })
            }
        };
        // The choice behind the last token is missing.
        grouping.draw(choice as u32, rng).unwrap_or(MISSING)
    }

    fn save(&self, w: &mut Writer) {
        match self {
            Coding::Omitted => w.u32(0),
            Coding::Number { low, high, scale, missing } => {
                let (kind, by) = match scale {
                    Scale::Constant => (1, 0.0),
                    Scale::Pair => (2, 0.0),
                    Scale::Range => (3, 0.0),
                    Scale::Count(by) => (4, *by),
                };
                w.u32(kind);
                w.u32(u32::from(*missing));
                [*low, *high, by].into_iter().for_each(|v| w.f64(v));
            }
            Coding::Category { count, missing, grouping } => {
                w.u32(5);
                w.list(count, |w, n| w.u64(*n));
                w.u64(*missing);
                grouping.save(w);
            }
        }
    }

    fn load(r: &mut Reader) -> Result<Self> {
        Ok(match r.u32()? {
            0 => Coding::Omitted,
            kind @ 1..=4 => {
                let missing = r.u32()?;
                let (low, high, by) = (r.f64()?, r.f64()?, r.f64()?);
                let is_empty = kind == 1 && low.is_nan() && high.is_nan();
                let is_whole = low.is_finite() && high.is_finite() && if kind == 1 { low == high } else { low < high };
                ensure(missing <= 1 && (is_whole || is_empty) && by.is_finite() && (kind != 4 || by > 0.0))?;
                let scale = [Scale::Constant, Scale::Pair, Scale::Range, Scale::Count(by)][kind as usize - 1];
                Coding::Number { low, high, scale, missing: missing == 1 }
            }
            5 => {
                let (count, missing) = (r.counts()?, r.count()?);
                let grouping = Grouping::load(r, &count)?;
                Coding::Category { count, missing, grouping }
            }
            _ => return Err(inconsistent()),
        })
    }
}

/// Whole numbers of things: integers, none of them negative. Dates and times are integers inside, but count nothing.
fn is_count(column: &Column) -> bool {
    let Domain::Number(domain) = &column.domain else { return false };
    let is_integer = matches!(domain.kind, NumberKind::Integer { .. }) && column.field.data_type().is_integer();
    is_integer && domain.stored(domain.min).is_some_and(|least| least >= 0)
}

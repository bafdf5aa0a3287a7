//! Every column on its own: the floor that a model of dependence has to beat.

use lookalike_core::{Domain, Frame, Job, MISSING, Options, ParamSpec, Result, Stream, Values};

use crate::alias::Alias;
use crate::codec::{Reader, Writer, ensure, inconsistent};
use crate::gaussian_copula::KNOTS;
use crate::marginal::{Marginal, Quantiles};
use crate::model::{FitReport, Fitted, Model};
use crate::normal::Normals;
use crate::rows::Rows;

/// Independent columns: categories by frequency, numbers by the same quantile tables as `gaussian_copula` (atoms where
/// enough persons share a value, evenly spread bins between), missing by its share. No dependence between columns.
///
/// The saved state holds the quantile tables and frequencies, no training rows.
pub(crate) struct Independent;

const NAME: &str = "independent";

impl Model for Independent {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "Every column drawn from its own distribution, without any dependence: the floor."
    }

    fn source(&self) -> &'static str {
        "none (histograms and frequencies)"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[KNOTS]
    }

    fn conditions(&self) -> bool {
        true
    }

    fn fit(&self, rows: &Rows, options: &Options, _seed: u64, job: &Job) -> Result<Box<dyn Fitted>> {
        let knots = options.int("knots").unwrap_or(1024) as usize;
        job.count("rows_trained", rows.len());
        let _memory = rows.columns_in_work(job)?;
        let columns = rows.map(job, |_, column| {
            Ok(match (&column.values, &column.domain) {
                (Values::Number(values), _) => {
                    Distribution::Number(Marginal::fit(values, rows.units(), rows.min_persons(), knots).0)
                }
                (Values::Code(codes), Domain::Category(domain)) => {
                    // The last slot counts missing values.
                    let missing = domain.labels.len();
                    let mut count = vec![0u64; missing + 1];
                    codes.iter().for_each(|&c| count[(c as usize).min(missing)] += 1);
                    Distribution::Category(count)
                }
                _ => Distribution::Omitted,
            })
        })?;
        let report = rows.report();
        Ok(Box::new(Columns::new(report, columns)?))
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
        let mut r = Reader::new(bytes, NAME)?;
        let report = FitReport { rows: r.count()?, units: r.count()?, epochs: r.u32()? };
        let columns = r.list(4, |r| match r.u32()? {
            0 => Ok(Distribution::Omitted),
            1 => Ok(Distribution::Number(Marginal::load(r)?)),
            2 => Ok(Distribution::Category(r.counts()?)),
            _ => Err(inconsistent()),
        })?;
        r.finish()?;
        Ok(Box::new(Columns::new(report, columns)?))
    }
}

/// What is known of a column.
enum Distribution {
    Omitted,
    Number(Marginal),
    /// Rows by code, then rows without.
    Category(Vec<u64>),
}

struct Columns {
    report: FitReport,
    columns: Vec<Distribution>,
    draws: Vec<Draw>,
    normals: Normals,
}

enum Draw {
    Omitted,
    /// Present (0) or missing (1), and the values.
    Number(Alias, Option<Quantiles>),
    Category(Alias, u32),
}

impl Columns {
    fn new(report: FitReport, columns: Vec<Distribution>) -> Result<Self> {
        let draws = columns.iter().map(|column| match column {
            Distribution::Omitted => Ok(Draw::Omitted),
            Distribution::Number(marginal) => {
                let present: u64 = marginal.count.iter().sum();
                ensure(marginal.count.iter().all(|&c| c > 0))?;
                let presence = Alias::new(&[present, marginal.missing]).ok_or_else(inconsistent)?;
                Ok(Draw::Number(presence, Quantiles::new(marginal)))
            }
            Distribution::Category(count) => {
                let draw = Alias::new(count).ok_or_else(inconsistent)?;
                Ok(Draw::Category(draw, count.len() as u32 - 1))
            }
        });
        let draws = draws.collect::<Result<_>>()?;
        Ok(Self { report, columns, draws, normals: Normals::new() })
    }

    /// As many values of a column as `z`, which is room to work in, is long.
    fn column(&self, draw: &Draw, z: &mut [f32], rng: &mut Stream) -> Values {
        match draw {
            Draw::Omitted => Values::Omitted,
            Draw::Number(presence, quantiles) => {
                self.normals.fill(z, rng);
                let value = |z: &f32| quantiles.as_ref().map_or(f64::NAN, |q| q.value(*z));
                Values::Number(z.iter().map(|z| if presence.draw(rng) == 0 { value(z) } else { f64::NAN }).collect())
            }
            Draw::Category(alias, missing) => {
                let code = |code: u32| if code == *missing { MISSING } else { code };
                Values::Code(z.iter().map(|_| code(alias.draw(rng))).collect())
            }
        }
    }
}

impl Fitted for Columns {
    fn sample(&self, rows: usize, rng: &mut Stream) -> Result<Vec<Values>> {
        let mut z = vec![0f32; rows];
        Ok(self.draws.iter().map(|draw| self.column(draw, &mut z, rng)).collect())
    }

    /// The given columns as they are: they say nothing of the others.
    fn sample_given(&self, given: &[(usize, Values)], rows: usize, rng: &mut Stream) -> Result<Option<Vec<Values>>> {
        let mut z = vec![0f32; rows];
        let column = |(c, draw)| match given.binary_search_by_key(&c, |g| g.0) {
            Ok(i) => given[i].1.clone(),
            Err(_) => self.column(draw, &mut z, rng),
        };
        Ok(Some(self.draws.iter().enumerate().map(column).collect()))
    }

    fn log_likelihood(&self, rows: &Frame) -> Result<Option<Vec<f64>>> {
        let mut sums = vec![0.0; rows.rows()];
        for (distribution, column) in self.columns.iter().zip(rows.columns()) {
            match (distribution, &column.values) {
                (Distribution::Number(marginal), Values::Number(values)) => {
                    sums.iter_mut().zip(values).for_each(|(sum, v)| *sum += marginal.log_density(*v));
                }
                (Distribution::Category(count), Values::Code(codes)) => {
                    let total = count.iter().sum::<u64>() as f64;
                    let logs: Vec<f64> = count.iter().map(|&c| libm::log(c as f64 / total)).collect();
                    let log = |code: u32| match code {
                        MISSING => logs.last().copied(),
                        code => logs[..logs.len() - 1].get(code as usize).copied(),
                    };
                    sums.iter_mut().zip(codes).for_each(|(sum, &c)| *sum += log(c).unwrap_or(f64::NEG_INFINITY));
                }
                _ => {}
            }
        }
        Ok(Some(sums))
    }

    fn save(&self) -> Result<Vec<u8>> {
        let mut w = Writer::new(NAME);
        w.u64(self.report.rows);
        w.u64(self.report.units);
        w.u32(self.report.epochs);
        w.list(&self.columns, |w, column| match column {
            Distribution::Omitted => w.u32(0),
            Distribution::Number(marginal) => {
                w.u32(1);
                marginal.save(w);
            }
            Distribution::Category(count) => {
                w.u32(2);
                w.list(count, |w, c| w.u64(*c));
            }
        });
        Ok(w.finish())
    }

    fn report(&self) -> FitReport {
        self.report
    }
}

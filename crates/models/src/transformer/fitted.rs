//! A trained network with its tokens.

use lookalike_core::{Frame, Result, Stream, Streams, Values};
use rayon::prelude::*;

use super::NAME;
use super::learner::losses;
use super::network::{Batch, Network, Shape};
use super::sampler::Sampler;
use crate::codec::{Reader, Writer, ensure};
use crate::model::{Epoch, FitReport, Fitted};
use crate::nn::{History, Params};
use crate::tokens::{Tokens, UNKNOWN};

/// The fitted model.
pub(super) struct Autoregressive {
    pub history: History,
    pub tokens: Tokens,
    /// The columns that the network knows, see [`active`].
    pub columns: Vec<usize>,
    pub network: Network,
    pub params: Params,
}

/// Columns of two tokens and more: the others are no question.
pub(super) fn active(tokens: &Tokens) -> Vec<usize> {
    (0..tokens.sizes().len()).filter(|&c| tokens.sizes()[c] > 1).collect()
}

/// Rows whose likelihood is found at once.
const CHUNK: usize = 256;

impl Autoregressive {
    pub fn load(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new(bytes, NAME)?;
        let history = History::load(&mut r)?;
        let tokens = Tokens::load(&mut r)?;
        let columns = active(&tokens);
        let mut size = || r.u32().map(|n| n as usize);
        let (width, layers, heads, hidden) = (size()?, size()?, size()?, size()?);
        ensure(width > 0 && heads > 0 && hidden > 0 && width.is_multiple_of(heads))?;
        let sizes = columns.iter().map(|&c| tokens.sizes()[c]).collect();
        let shape = Shape { sizes, width, layers, heads, hidden };
        let values = r.f32s()?;
        r.finish()?;
        ensure(shape.weights() == values.len() as u128 && values.iter().all(|v| v.is_finite()))?;
        let (network, mut params) = Network::new(shape, &mut Streams::new(0, "weights").block(0));
        params.values = values;
        Ok(Self { history, tokens, columns, network, params })
    }

    /// Rows with the given columns (places in `columns`, ascending, and their tokens) before the others.
    fn draw(&self, given: Vec<(u32, Vec<u32>)>, rows: usize, rng: &mut Stream) -> Result<Vec<Values>> {
        let is_given = |c: &u32| given.iter().any(|g| g.0 == *c);
        let rest = (0..self.columns.len() as u32).filter(|c| !is_given(c));
        let order: Vec<u32> = given.iter().map(|g| g.0).chain(rest).collect();
        let given: Vec<Vec<u32>> = given.into_iter().map(|g| g.1).collect();
        let sampler = Sampler { network: &self.network, params: &self.params };
        let drawn = sampler.sample(&order, &given, rows, rng)?;
        let mut place = vec![None; self.tokens.sizes().len()];
        order.iter().zip(&drawn).for_each(|(&c, tokens)| place[self.columns[c as usize]] = Some(tokens));
        let only = vec![0; rows];
        Ok(place.iter().enumerate().map(|(c, tokens)| self.tokens.decode(c, tokens.unwrap_or(&only), rng)).collect())
    }
}

impl Fitted for Autoregressive {
    fn sample(&self, rows: usize, rng: &mut Stream) -> Result<Vec<Values>> {
        self.draw(vec![], rows, rng)
    }

    fn sample_given(&self, given: &[(usize, Values)], rows: usize, rng: &mut Stream) -> Result<Option<Vec<Values>>> {
        let known = given.iter().filter_map(|(c, values)| {
            let place = self.columns.iter().position(|column| column == c)?;
            Some((place as u32, self.tokens.encode(*c, values)))
        });
        let mut made = self.draw(known.collect(), rows, rng)?;
        given.iter().for_each(|(c, values)| made[*c] = values.clone());
        Ok(Some(made))
    }

    fn log_likelihood(&self, rows: &Frame) -> Result<Option<Vec<f64>>> {
        let mut sums = vec![0.0; rows.rows()];
        let mut encoded = vec![];
        for (c, column) in rows.columns().iter().enumerate().filter(|(c, _)| self.tokens.sizes()[*c] > 0) {
            let tokens = self.tokens.encode(c, &column.values);
            let within = self.tokens.log_within(c, &column.values, &tokens);
            sums.iter_mut().zip(within).for_each(|(s, w)| *s += w);
            if self.tokens.sizes()[c] > 1 {
                encoded.push(tokens);
            }
        }
        if encoded.is_empty() {
            return Ok(Some(sums));
        }
        let order: Vec<u32> = (0..self.columns.len() as u32).collect();
        sums.par_chunks_mut(CHUNK).enumerate().for_each(|(i, sums)| {
            let first = i * CHUNK;
            // What was never seen has no likelihood already, whatever its token.
            let known = |t: &u32| if *t == UNKNOWN { 0 } else { *t };
            let tokens = encoded.iter().flat_map(|t| t[first..first + sums.len()].iter().map(known)).collect();
            let batch = Batch { order: order.clone(), records: sums.len(), tokens };
            let losses = losses(&self.network, &self.params, batch);
            sums.iter_mut().zip(losses).for_each(|(s, loss)| *s -= loss);
        });
        Ok(Some(sums))
    }

    fn save(&self) -> Result<Vec<u8>> {
        let mut w = Writer::new(NAME);
        self.history.save(&mut w);
        self.tokens.save(&mut w);
        let Shape { width, layers, heads, hidden, .. } = self.network.shape;
        [width, layers, heads, hidden].into_iter().for_each(|n| w.u32(n as u32));
        self.params.save(&mut w);
        Ok(w.finish())
    }

    fn report(&self) -> FitReport {
        self.history.report
    }

    fn history(&self) -> &[Epoch] {
        &self.history.epochs
    }
}

//! Making records token by token: only the new token of each record goes through the network, the earlier ones are kept.

use lookalike_core::{Job, Result, Stream, uniform};

use super::network::{Attention, Dense, Network};
use crate::nn::{LANES, Lane, Params, attend, exponentials, from_lanes, product, standardise_rows, to_lanes, wide};

/// Records made side by side.
const CHUNK: usize = 256;

/// A network ready to make records.
pub(super) struct Sampler<'a> {
    pub network: &'a Network,
    pub params: &'a Params,
}

/// Keys and values of the tokens so far, of one layer: block of lanes, token, figure.
struct Cache {
    keys: Vec<Lane<f32>>,
    values: Vec<Lane<f32>>,
}

impl Sampler<'_> {
    /// Tokens of new records by position of `order`, `given` those of the first positions. A token given that no training row
    /// had (`u32::MAX`) has an embedding of zeros.
    pub fn sample(&self, order: &[u32], given: &[Vec<u32>], rows: usize, rng: &mut Stream) -> Result<Vec<Vec<u32>>> {
        let mut tokens = vec![Vec::with_capacity(rows); order.len()];
        for first in (0..rows).step_by(CHUNK) {
            let chunk = first..(first + CHUNK).min(rows);
            let given: Vec<&[u32]> = given.iter().map(|g| &g[chunk.clone()]).collect();
            self.chunk(order, &given, chunk.len(), rng, &mut tokens, &mut |_, _| Ok(()))?;
        }
        Ok(tokens)
    }

    /// What to add to the logits of each column so that in so many new rows its tokens come up as often as `counts` say: what a
    /// network lets out of its conditional probabilities is near the columns' frequencies, not at them. A column is put
    /// right before the next one sees it.
    pub fn shifts(&self, counts: &[&[u64]], rows: usize, rng: &mut Stream, job: &Job) -> Result<Vec<Vec<f32>>> {
        let order: Vec<u32> = (0..counts.len() as u32).collect();
        let mut shifts = vec![vec![]; counts.len()];
        let mut put_right = |column: usize, logits: &mut [f32]| {
            shifts[column] = put_right(logits, counts[column]);
            job.check()
        };
        self.chunk(&order, &[], rows, rng, &mut vec![vec![]; counts.len()], &mut put_right)?;
        Ok(shifts)
    }

    /// Bytes that [`Sampler::shifts`] takes a row.
    pub fn row_bytes(&self) -> usize {
        let shape = &self.network.shape;
        let widest = shape.sizes.iter().max().unwrap_or(&0);
        4 * (shape.sizes.len() * (shape.width * (1 + 2 * shape.layers) + 1)
            + shape.width * (6 + shape.layers)
            + shape.hidden
            + 2 * widest)
    }

    /// Rows made at once; `change` may change the logits of all of them before tokens of a column are drawn.
    fn chunk(
        &self,
        order: &[u32],
        given: &[&[u32]],
        rows: usize,
        rng: &mut Stream,
        tokens: &mut [Vec<u32>],
        change: &mut dyn FnMut(usize, &mut [f32]) -> Result<()>,
    ) -> Result<()> {
        let d = self.network.shape.width;
        let layers = self.network.shape.layers;
        let size = rows * d;
        let mut values = vec![0f32; order.len() * size];
        let cache = || vec![[0f32; LANES]; rows.div_ceil(LANES) * order.len() * d];
        let mut caches: Vec<Cache> = (0..layers).map(|_| Cache { keys: cache(), values: cache() }).collect();
        let mut inputs = vec![vec![0f32; size]; layers];
        let (mut x, mut z, mut query, mut seen) =
            (vec![0f32; size], vec![0f32; size], vec![0f32; size], vec![0f32; size]);
        let mut hidden = vec![0f32; rows * self.network.shape.hidden];
        let mut keys_values = vec![0f32; 2 * size];
        let mut logits = vec![];
        for (t, &column) in order.iter().enumerate() {
            let is_given = t < given.len();
            // Without attention nothing depends on what the network makes of a given token.
            if !is_given || layers > 0 {
                self.start(order, t, &values, &mut x);
                for (l, block) in self.network.blocks.iter().enumerate() {
                    if let Some(attention) = &block.attention {
                        inputs[l].copy_from_slice(&x);
                        z.copy_from_slice(&x);
                        standardise_rows(&mut z, d, |_| ());
                        self.dense(&z, attention.queries, &mut query);
                        seen.fill(0.0);
                        self.attend(&caches[l], (t, order.len()), &query, &mut seen);
                        self.add_dense(&seen, attention.out, &mut x);
                    }
                    if is_given && l + 1 == layers {
                        break;
                    }
                    z.copy_from_slice(&x);
                    standardise_rows(&mut z, d, |_| ());
                    self.dense(&z, block.up, &mut hidden);
                    wide(|| hidden.iter_mut().for_each(|h| *h = if *h > 0.0 { *h } else { 0.0 }));
                    self.add_dense(&hidden, block.down, &mut x);
                }
            }
            let start = tokens[t].len();
            if is_given {
                tokens[t].extend_from_slice(given[t]);
            } else {
                standardise_rows(&mut x, d, |_| ());
                let head = self.network.heads[column as usize];
                logits.resize(rows * head.0.cols, 0.0);
                self.dense(&x, head, &mut logits);
                change(column as usize, &mut logits)?;
                tokens[t].extend(logits.chunks_exact_mut(head.0.cols).map(|logits| draw(logits, rng)));
            }
            let value = &mut values[t * size..][..size];
            let table = self.params.get(self.network.values);
            for (value, &token) in value.chunks_exact_mut(d).zip(&tokens[t][start..]) {
                match token {
                    u32::MAX => value.fill(0.0),
                    token => {
                        let row = (self.network.first[column as usize] + token) as usize;
                        value.copy_from_slice(&table[row * d..][..d]);
                    }
                }
            }
            if t + 1 == order.len() {
                break;
            }
            for ((block, input), cache) in self.network.blocks.iter().zip(&inputs).zip(&mut caches) {
                let Some(attention) = &block.attention else { continue };
                z.iter_mut().zip(input.iter().zip(&*value)).for_each(|(z, (x, v))| *z = x + v);
                self.remember(attention, (t, order.len()), &mut z, &mut keys_values, cache);
            }
        }
        Ok(())
    }

    /// The embedding of the column and the gated sum of the values so far.
    fn start(&self, order: &[u32], t: usize, values: &[f32], x: &mut [f32]) {
        let (d, columns) = (self.network.shape.width, self.network.shape.sizes.len());
        let (size, column) = (x.len(), order[t] as usize);
        let (targets, gates) = (self.params.get(self.network.columns), self.params.get(self.network.gates));
        wide(|| {
            x.fill(0.0);
            for s in 0..t {
                let gate = &gates[(order[s] as usize * columns + column) * d..][..d];
                for (x, v) in x.chunks_exact_mut(d).zip(values[s * size..][..size].chunks_exact(d)) {
                    x.iter_mut().zip(v.iter().zip(gate)).for_each(|(x, (v, g))| *x += *v * *g);
                }
            }
            let target = &targets[column * d..][..d];
            x.chunks_exact_mut(d).for_each(|x| x.iter_mut().zip(target).for_each(|(x, t)| *x += *t));
        });
    }

    fn dense(&self, x: &[f32], (w, b): Dense, y: &mut [f32]) {
        let bias = self.params.get(b);
        y.chunks_exact_mut(w.cols).for_each(|y| y.copy_from_slice(bias));
        product(y, [x.len() / w.rows, w.cols, w.rows], (x, false), (self.params.get(w), false), true);
    }

    fn add_dense(&self, x: &[f32], (w, b): Dense, y: &mut [f32]) {
        let bias = self.params.get(b);
        wide(|| y.chunks_exact_mut(w.cols).for_each(|y| y.iter_mut().zip(bias).for_each(|(y, b)| *y += *b)));
        product(y, [x.len() / w.rows, w.cols, w.rows], (x, false), (self.params.get(w), false), true);
    }

    fn attend(&self, cache: &Cache, (t, tokens): (usize, usize), query: &[f32], seen: &mut [f32]) {
        let (d, heads) = (self.network.shape.width, self.network.shape.heads);
        let head = d / heads;
        if t == 0 {
            return;
        }
        let (mut q, mut y, mut w) = (vec![[0f32; LANES]; d], vec![[0f32; LANES]; d], vec![[0f32; LANES]; t]);
        wide(|| {
            for (block, (query, seen)) in query.chunks(LANES * d).zip(seen.chunks_mut(LANES * d)).enumerate() {
                to_lanes(query, d, 0, &mut q);
                y.fill([0.0; LANES]);
                let at = block * tokens * d;
                for h in (0..d).step_by(head) {
                    let (k, v) = (&cache.keys[at + h..], &cache.values[at + h..]);
                    attend([&q[h..h + head], k, v], d, &mut w, &mut y[h..h + head]);
                }
                from_lanes(&y, d, 0, seen);
            }
        });
    }

    /// Keys and values of token t, made of its state and its value, into the cache.
    fn remember(
        &self,
        attention: &Attention,
        (t, tokens): (usize, usize),
        known: &mut [f32],
        keys_values: &mut [f32],
        cache: &mut Cache,
    ) {
        let d = self.network.shape.width;
        standardise_rows(known, d, |_| ());
        self.dense(known, attention.keys_values, keys_values);
        for (block, rows) in keys_values.chunks(LANES * 2 * d).enumerate() {
            let at = (block * tokens + t) * d;
            to_lanes(rows, 2 * d, 0, &mut cache.keys[at..at + d]);
            to_lanes(rows, 2 * d, d, &mut cache.values[at..at + d]);
        }
    }
}

/// Changes logits of many rows, alike in each, until the mean probability of every token is its share of `counts`.
fn put_right(logits: &mut [f32], counts: &[u64]) -> Vec<f32> {
    let (rows, total) = (logits.len() / counts.len(), counts.iter().sum::<u64>() as f64);
    let mut shift = vec![0f32; counts.len()];
    let mut row_of = vec![0f32; counts.len()];
    for _ in 0..ROUNDS {
        let mut sums = vec![0f64; counts.len()];
        for row in logits.chunks_exact(counts.len()) {
            wide(|| row_of.iter_mut().zip(row.iter().zip(&shift)).for_each(|(p, (l, s))| *p = l + s));
            let scale = 1.0 / f64::from(exponentials(&mut row_of).1);
            wide(|| sums.iter_mut().zip(&row_of).for_each(|(s, p)| *s += f64::from(*p) * scale));
        }
        for ((shift, sum), &count) in shift.iter_mut().zip(&sums).zip(counts) {
            // A token that never comes up in these rows cannot be scaled to its share.
            let factor = (count as f64 / total) / (sum / rows as f64).max(1e-9);
            *shift += libm::log(factor.clamp(0.1, 10.0)) as f32;
        }
    }
    logits.chunks_exact_mut(counts.len()).for_each(|row| row.iter_mut().zip(&shift).for_each(|(l, s)| *l += s));
    shift
}

/// Rounds of [`put_right`]: the rest of the difference shrinks by a factor in each.
const ROUNDS: usize = 8;

/// A token from logits, which become the exponentials they are drawn by.
fn draw(logits: &mut [f32], rng: &mut Stream) -> u32 {
    let (_, sum) = exponentials(logits);
    let mut left = uniform(rng) as f32 * sum;
    for (token, &weight) in logits.iter().enumerate() {
        if left < weight {
            return token as u32;
        }
        left -= weight;
    }
    // Rounding left something over: the last token that may be drawn.
    logits.iter().rposition(|&w| w > 0.0).unwrap_or(0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_are_put_right_worked_by_hand() {
        // One row: probabilities become the shares, 1/4 and 3/4, so the logits differ by ln 3.
        let mut logits = vec![0.7, -0.2];
        put_right(&mut logits, &[10, 30]);
        assert!((logits[1] - logits[0] - 3f32.ln()).abs() < 1e-4, "{logits:?}");
        // Odds 1 and 3 times e^s: 1/2 of each in the mean where 1 / (1 + f) + 3 / (3 + f) = 1, so f = sqrt 3.
        let mut logits = vec![0.0, 0.0, 3f32.ln(), 0.0];
        put_right(&mut logits, &[1, 1]);
        assert!((logits[1] - logits[0] - 3f32.sqrt().ln()).abs() < 1e-4, "{logits:?}");
    }
}

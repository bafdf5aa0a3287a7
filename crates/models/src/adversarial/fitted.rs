//! A trained generator.

use lookalike_core::{Result, Stream, Values};

use super::layout::{Layout, Place};
use super::networks::{Generator, Sizes};
use crate::codec::{Reader, Writer, ensure};
use crate::encoded::{Compact, Track};
use crate::modal::{Encoded, Modal, Span};
use crate::model::{Epoch, FitReport, Fitted};
use crate::nn::{History, Mat, Moments, Params, Pool, Tape, gumbel, load_moments, save_moments};
use crate::normal::Normals;

/// A generator and what its rows mean. The critic, which has looked at training rows, is not kept.
pub(super) struct Generated {
    name: &'static str,
    history: History,
    modal: Modal,
    layout: Layout,
    generator: Generator,
    params: Params,
    moments: Vec<Moments<f32>>,
    normals: Normals,
}

/// Rows that go through the generator at once.
const CHUNK: usize = 1024;

impl Generated {
    pub fn new(
        name: &'static str,
        history: History,
        modal: Modal,
        layout: Layout,
        generator: Generator,
        params: Params,
        moments: Vec<Moments<f32>>,
    ) -> Self {
        let normals = Normals::new();
        Self { name, history, modal, layout, generator, params, moments, normals }
    }

    /// Logits of new rows that were asked for the given places.
    fn logits(&self, asked: &[Option<Place>], pool: &mut Pool, rng: &mut Stream) -> Mat {
        let mut tape = Tape::forward(&self.params, pool);
        let ones: Vec<u32> = asked.iter().map(|p| self.layout.one(*p)).collect();
        let noise = tape.constant(asked.len(), self.generator.sizes().noise, |z| self.normals.fill(z, rng));
        let logits = self.generator.logits(&mut tape, noise, &ones, Some(&self.moments)).0;
        tape.finish(logits)
    }
}

impl Fitted for Generated {
    fn sample(&self, rows: usize, rng: &mut Stream) -> Result<Vec<Values>> {
        let mut tracks: Vec<Track> = self.layout.empty_tracks();
        let mut pool = Pool::new();
        let with_columns = if self.layout.width > 0 { rows } else { 0 };
        for start in (0..with_columns).step_by(CHUNK) {
            let asked: Vec<Option<Place>> = (start..rows.min(start + CHUNK)).map(|_| self.layout.draw(rng)).collect();
            let mut logits = self.logits(&asked, &mut pool, rng);
            // The largest of a choice's logits with Gumbel noise is a draw from their softmax.
            let noise = gumbel(logits.data.len(), rng);
            self.layout.tracks(&mut logits, &noise, &mut tracks);
        }
        Ok(self.modal.decode_compact(&Compact { rows, tracks }, rng))
    }

    /// Each row is asked for its rarest given category. Of [`CANDIDATES`] rows made so one stays, with a probability in proportion to
    /// what the generator gives the given values in it (sampling importance resampling, Rubin 1987); then the given values are put in.
    fn sample_given(&self, given: &[(usize, Values)], rows: usize, rng: &mut Stream) -> Result<Option<Vec<Values>>> {
        if self.layout.conditions.is_empty() {
            return Ok(None);
        }
        let wanted: Vec<Wanted> = given.iter().filter_map(|(c, v)| Wanted::of(&self.modal, *c, v, rng)).collect();
        let mut tracks = self.layout.empty_tracks();
        let mut pool = Pool::new();
        for start in (0..rows).step_by(CHUNK / CANDIDATES) {
            let here = start..rows.min(start + CHUNK / CANDIDATES);
            let asked: Vec<Option<Place>> = here
                .clone()
                .flat_map(|row| {
                    let rarest = self.layout.rarest(wanted.iter().map(|w| (w.column, w.encoded.choices[row])));
                    [rarest; CANDIDATES]
                })
                .map(|rarest| rarest.or_else(|| self.layout.draw(rng)))
                .collect();
            let all = self.logits(&asked, &mut pool, rng);
            let mut kept = Mat { rows: here.len(), cols: all.cols, data: vec![] };
            for (row, candidates) in here.zip(all.data.chunks_exact(CANDIDATES * all.cols)) {
                let noise = gumbel(CANDIDATES, rng);
                let weights = candidates.chunks_exact(all.cols).zip(&noise).map(|(logits, noise)| {
                    f64::from(*noise) + wanted.iter().map(|w| w.log_weight(logits, row)).sum::<f64>()
                });
                let best = weights.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(i, _)| i);
                kept.data.extend_from_slice(&candidates[best * all.cols..][..all.cols]);
            }
            let noise = gumbel(kept.data.len(), rng);
            self.layout.tracks(&mut kept, &noise, &mut tracks);
        }
        let mut values = self.modal.decode_compact(&Compact { rows, tracks }, rng);
        given.iter().for_each(|(column, given)| values[*column] = given.clone());
        Ok(Some(values))
    }

    fn save(&self) -> Result<Vec<u8>> {
        let mut w = Writer::new(self.name);
        self.history.save(&mut w);
        self.modal.save(&mut w);
        let sizes = self.generator.sizes();
        w.u32(u32::from(sizes.condition > 0));
        w.u64(sizes.noise as u64);
        w.u64(sizes.hidden as u64);
        save_moments(&self.moments, &mut w);
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

/// The given values of a column, encoded.
struct Wanted {
    column: usize,
    encoded: Encoded,
    /// Places of the choice in a dense row, and of the scalar.
    choice: [usize; 2],
    scalar: Option<usize>,
}

/// Rows made for one whose values are given.
const CANDIDATES: usize = 16;
/// Standard deviation that a generated scalar may be off a given one, on the scale of -1..1 within a mode.
const NEAR: f64 = 0.1;

impl Wanted {
    /// `None` for identifiers.
    fn of(modal: &Modal, column: usize, values: &Values, rng: &mut Stream) -> Option<Self> {
        let part = modal.parts()[column]?;
        let Span::Choice { start, size } = modal.spans()[part.choice] else { return None };
        let scalar = part.scalar.and_then(|s| match modal.spans()[s] {
            Span::Scalar { at } => Some(at),
            Span::Choice { .. } => None,
        });
        Some(Self { column, encoded: modal.encode_given(column, values, rng), choice: [start, size], scalar })
    }

    /// The logarithm of what logits give the value of a row, but for a constant.
    fn log_weight(&self, logits: &[f32], row: usize) -> f64 {
        let (choice, [start, size]) = (self.encoded.choices[row], self.choice);
        let choices = &logits[start..start + size];
        let Some(logit) = choices.get(choice as usize) else { return 0.0 };
        let top = choices.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = choices.iter().map(|l| libm::exp(f64::from(l - top))).sum();
        let off = self
            .scalar
            .zip(self.encoded.scalars.get(row))
            .map_or(0.0, |(at, scalar)| f64::from(libm::tanhf(logits[at]) - scalar) / NEAR);
        f64::from(logit - top) - libm::log(sum) - 0.5 * off * off
    }
}

/// Reads what [`Fitted::save`] of such a model wrote.
pub(crate) fn load(name: &'static str, bytes: &[u8]) -> Result<Box<dyn Fitted>> {
    let mut r = Reader::new(bytes, name)?;
    let history = History::load(&mut r)?;
    let modal = Modal::load(&mut r)?;
    let conditional = r.u32()?;
    ensure(conditional <= 1)?;
    let layout = Layout::new(&modal, conditional == 1);
    let (noise, hidden) = (r.u64()? as usize, r.u64()? as usize);
    ensure(noise > 0 && hidden > 0)?;
    let sizes = Sizes { noise, condition: layout.condition_width, hidden, width: layout.width };
    let moments = load_moments(&mut r, [hidden; 2])?;
    let weights = Params::load_values(&mut r, sizes.weights())?;
    r.finish()?;
    let mut params = Params::new();
    let generator = Generator::new(&mut params, sizes, &mut lookalike_core::Streams::new(0, "weights").block(0));
    params.values = weights;
    Ok(Box::new(Generated::new(name, history, modal, layout, generator, params, moments)))
}

//! Codes that stand for vectors, learned as running averages.

use lookalike_core::{Result, Stream, below};

use crate::codec::{Reader, Writer, ensure};

/// A code book a slot: `codes` vectors of `width` numbers each. A vector is the running average of the encoder outputs that chose
/// it (van den Oord, Vinyals & Kavukcuoglu 2017, appendix A.1).
pub(super) struct Codebook {
    pub slots: usize,
    pub codes: usize,
    pub width: usize,
    /// slots x codes x width.
    vectors: Vec<f32>,
    /// Running number of outputs a code, and their running sums; only while learning.
    counts: Vec<f32>,
    sums: Vec<f32>,
}

/// Share of the averages that the past keeps in each step.
const KEEP: f32 = 0.99;
/// A code chosen by fewer outputs a step than this, as a running average, is given to an output of the batch.
const DEAD: f32 = 0.05;

impl Codebook {
    pub fn new(slots: usize, codes: usize, width: usize) -> Self {
        let size = slots * codes;
        Self {
            slots,
            codes,
            width,
            vectors: vec![0.0; size * width],
            counts: vec![0.0; size],
            sums: vec![0.0; size * width],
        }
    }

    pub fn vector(&self, slot: usize, code: u32) -> &[f32] {
        &self.vectors[(slot * self.codes + code as usize) * self.width..][..self.width]
    }

    /// The nearest code of every slot of a row of encoder outputs; the lowest of equals.
    pub fn nearest(&self, row: &[f32], into: &mut Vec<u32>) {
        for (slot, z) in row.chunks_exact(self.width).enumerate() {
            let distance =
                |code: u32| -> f32 { self.vector(slot, code).iter().zip(z).map(|(v, z)| (v - z) * (v - z)).sum() };
            let mut best = (f32::INFINITY, 0);
            for code in 0..self.codes as u32 {
                let d = distance(code);
                best = if d < best.0 { (d, code) } else { best };
            }
            into.push(best.1);
        }
    }

    /// Moves the vectors towards the encoder outputs of a batch, in the order given: rows of slots x width outputs, and their
    /// codes. Codes that nothing chooses any more move to an output drawn from the batch.
    pub fn learn(&mut self, outputs: &[f32], chosen: &[u32], rng: &mut Stream) {
        let rows = chosen.len() / self.slots.max(1);
        if rows == 0 {
            return;
        }
        self.counts.iter_mut().for_each(|c| *c *= KEEP);
        self.sums.iter_mut().for_each(|s| *s *= KEEP);
        for (i, (&code, z)) in chosen.iter().zip(outputs.chunks_exact(self.width)).enumerate() {
            let at = i % self.slots * self.codes + code as usize;
            self.counts[at] += 1.0 - KEEP;
            self.sums[at * self.width..][..self.width].iter_mut().zip(z).for_each(|(s, z)| *s += (1.0 - KEEP) * z);
        }
        for at in 0..self.counts.len() {
            if self.counts[at] < DEAD {
                let source = (below(rng, rows) * self.slots + at / self.codes) * self.width;
                let z = &outputs[source..source + self.width];
                // As if one output a step had chosen it of late: it lives on if that comes true.
                self.counts[at] = 1.0;
                self.sums[at * self.width..][..self.width].copy_from_slice(z);
            }
            let count = self.counts[at];
            let sums = &self.sums[at * self.width..][..self.width];
            self.vectors[at * self.width..][..self.width].iter_mut().zip(sums).for_each(|(v, s)| *v = s / count);
        }
    }

    pub fn finite(&self) -> bool {
        self.vectors.iter().all(|v| v.is_finite())
    }

    pub fn copy(&self) -> Vec<f32> {
        self.vectors.clone()
    }

    pub fn set(&mut self, vectors: Vec<f32>) {
        self.vectors = vectors;
    }

    pub fn save(&self, w: &mut Writer) {
        w.u32(self.slots as u32);
        w.u32(self.codes as u32);
        w.u32(self.width as u32);
        w.f32s(&self.vectors);
    }

    pub fn load(r: &mut Reader) -> Result<Self> {
        let (slots, codes, width) = (r.u32()? as usize, r.u32()? as usize, r.u32()? as usize);
        let vectors = r.f32s()?;
        ensure(slots > 0 && codes > 0 && width > 0)?;
        ensure(slots.checked_mul(codes).and_then(|n| n.checked_mul(width)) == Some(vectors.len()))?;
        ensure(vectors.iter().all(|v| v.is_finite()))?;
        Ok(Self { slots, codes, width, vectors, counts: vec![], sums: vec![] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lookalike_core::Streams;

    #[test]
    fn averages_worked_by_hand() {
        let mut rng = Streams::new(1, "test").block(0);
        // Two codes of width 1 at 0 and 10; outputs 1, 1 and 8 choose them. Both counts are below DEAD at first
        // (0.02 and 0.01), so both codes move to outputs of the batch.
        let mut book = Codebook::new(1, 2, 1);
        book.set(vec![0.0, 10.0]);
        let mut chosen = vec![];
        [[1.0], [1.0], [8.0]].iter().for_each(|z| book.nearest(z, &mut chosen));
        assert_eq!(chosen, [0, 0, 1]);
        book.learn(&[1.0, 1.0, 8.0], &chosen, &mut rng);
        assert!(book.copy().iter().all(|v| *v == 1.0 || *v == 8.0));
        // From counts of 1 and sums of the vectors: code 0 goes to (0.99 a + 0.01 * 3) / (0.99 + 0.01) when 3 chooses it.
        book.set(vec![1.0, 8.0]);
        (book.counts, book.sums) = (vec![1.0, 1.0], vec![1.0, 8.0]);
        book.learn(&[3.0], &[0], &mut rng);
        assert!((book.copy()[0] - 1.02).abs() < 1e-6 && (book.copy()[1] - 8.0).abs() < 1e-6, "{:?}", book.copy());
    }
}

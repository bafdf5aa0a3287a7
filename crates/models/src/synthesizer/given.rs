//! What is asked of single columns of the input, in the terms of the model's columns.

use std::collections::BTreeMap;

use lookalike_core::{Result, Stream, Streams, Values, below};

use super::Synthesizer;
use crate::prepare::{Emitted, Given, Level};

/// Values of a column of the model and the weight of each: one of them is to be given.
type Choice = Vec<(Level, u64)>;

impl Synthesizer {
    /// Rows around values of some of the input's columns, as [`crate::Fitted::sample_given`] takes them; `None` where neither the
    /// model nor the structure can put one of them there. They are all there in most rows; whoever asks looks. A value of a
    /// determined column is imposed by one of those that determine it, drawn in proportion to their rows.
    pub(crate) fn draw_given(
        &self,
        given: &[(usize, Values)],
        rows: usize,
        rng: &mut Stream,
    ) -> Result<Option<Vec<Values>>> {
        let mut imposed: BTreeMap<usize, Vec<Choice>> = BTreeMap::new();
        for (column, values) in given {
            // Values of one column repeat: what each is to the model is found once.
            let mut known: Vec<(Level, Given)> = vec![];
            let mut last = 0;
            for (row, level) in Level::all(values).enumerate() {
                if known.get(last).is_none_or(|k| k.0 != level) {
                    last = known.iter().position(|k| k.0 == level).unwrap_or(known.len());
                    if last == known.len() {
                        known.push((level, self.structure.given(*column, &level.repeat(1))));
                    }
                }
                match &known[last].1 {
                    Given::Always => {}
                    Given::Column { column, values, rows: weights } => {
                        let choices = imposed.entry(*column).or_insert_with(|| vec![vec![]; rows]);
                        narrow(&mut choices[row], Level::all(values).zip(weights.iter().copied()).collect());
                    }
                    Given::Never | Given::Rejection => return Ok(None),
                }
            }
        }
        if imposed.is_empty() {
            return self.draw(rows, rng).map(Some);
        }
        let columns = self.structure.model_columns();
        let given: Vec<(usize, Values)> = imposed
            .into_iter()
            .map(|(m, choices)| {
                let mut values = Level::blank(&columns[m], rows);
                for (row, choice) in choices.iter().enumerate() {
                    if let Some(level) = pick(choice, rng) {
                        level.put(&mut values, row);
                    }
                }
                (m, self.restore[m].undo(&values))
            })
            .collect();
        let values = self.fitted.sample_given(&given, rows, rng)?;
        Ok(values.map(|values| self.finish(values, rows, rng)))
    }

    /// Whether no row has the value in a column of the input, whatever else it has.
    pub(crate) fn never(&self, column: usize, value: &Values) -> bool {
        self.structure.given(column, value) == Given::Never
    }

    /// What comes out of a column of the input.
    pub(crate) fn emitted(&self, column: usize) -> &Emitted {
        &self.emitted[column]
    }

    /// Texts of the rules that rows are drawn again for.
    pub(crate) fn constraints(&self) -> &[String] {
        self.structure.constraints()
    }

    /// The random numbers of the output; block b has the stream b.
    pub(crate) fn streams(&self) -> &Streams {
        &self.streams
    }
}

/// Leaves of one choice what the other allows as well. Of two that have nothing in common the first stays: its rows are not as
/// asked, whatever is imposed.
fn narrow(choice: &mut Choice, other: Choice) {
    if choice.is_empty() {
        *choice = other;
        return;
    }
    let both: Choice = choice.iter().filter(|(level, _)| other.iter().any(|o| o.0 == *level)).copied().collect();
    if !both.is_empty() {
        *choice = both;
    }
}

fn pick(choice: &Choice, rng: &mut Stream) -> Option<Level> {
    let total: u64 = choice.iter().map(|c| c.1).sum();
    if choice.len() < 2 || total == 0 {
        return choice.first().map(|c| c.0);
    }
    let mut drawn = below(rng, total as usize) as u64;
    let found = choice.iter().find(|(_, weight)| match drawn.checked_sub(*weight) {
        Some(rest) => {
            drawn = rest;
            false
        }
        None => true,
    });
    found.map(|c| c.0)
}

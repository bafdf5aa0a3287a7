//! What a fuzzer does with bytes: load them as everything that they could be, and use what was accepted.

use lookalike_core::{Job, Streams};
use lookalike_models::{Fitted, MODELS, SavedModel, Synthesizer};

/// Loads a file; a model that is accepted makes some rows. True when it was accepted.
pub fn file(bytes: &[u8]) -> bool {
    let _ = SavedModel::describe(bytes);
    let Ok((mut synthesizer, pairs)) = Synthesizer::open(bytes, Some(100), 1) else { return false };
    let job = Job::unbounded();
    if let Ok(block) = synthesizer.block(0, &job) {
        if let Some(pairs) = &pairs {
            let _ = pairs.decode(&pairs.unpivot(&block));
        }
        for (column, values) in synthesizer.columns().iter().zip(&block.values) {
            let _ = column.decode(values, block.first_row, block.rows);
        }
    }
    if let Ok(rows) = synthesizer.sample(100, &job) {
        let _ = synthesizer.log_likelihood(&rows, &job);
        if synthesizer.exclude(&rows, &job).is_ok() {
            let _ = synthesizer.block(0, &job);
        }
    }
    let _ = synthesizer.save(&Default::default());
    true
}

/// Loads the state of a model as every model.
pub fn state(bytes: &[u8]) -> bool {
    let accepted: Vec<Box<dyn Fitted>> = MODELS.iter().filter_map(|model| model.load(bytes).ok()).collect();
    for fitted in &accepted {
        let _ = fitted.sample(100, &mut Streams::new(1, "sample").block(0));
    }
    !accepted.is_empty()
}

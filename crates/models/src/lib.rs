//! Generators of synthetic rows, behind one object-safe trait, and the engine-free half of SYNTHESIZE.
//!
//! A [`Model`] learns from encoded rows in canonical order and gives a [`Fitted`] sampler that can be saved. A
//! [`Synthesizer`] stands around it: it hides rare categories and extreme numbers from the model, keeps what comes out
//! inside the input's domains, and draws again what equals a training row. Its output comes in blocks; block b depends
//! on the seed and b alone. An [`Asked`] is one of whose rows something is asked: conditions, quotas, k-anonymity.
//!
//! ```
//! use std::sync::Arc;
//! use arrow::array::{Float64Array, RecordBatch, StringArray};
//! use lookalike_core::{EncodeSpec, FrameBuilder, Job, Options, encode};
//! use lookalike_models::{SynthesizeParams, Synthesizer, model};
//!
//! let height: Vec<f64> = (0..200).map(|i| 150.0 + f64::from(i * 7 % 200) / 4.0).collect();
//! let sex: Vec<&str> = height.iter().map(|h| if *h > 174.0 { "M" } else { "F" }).collect();
//! let batch = RecordBatch::try_from_iter([
//!     ("height", Arc::new(Float64Array::from(height)) as _),
//!     ("sex", Arc::new(StringArray::from(sex)) as _),
//! ])?;
//! let job = Job::unbounded();
//! let mut builder = FrameBuilder::new(batch.schema(), EncodeSpec::default())?;
//! builder.push(&batch)?;
//! let frame = encode(vec![vec![builder]], &job)?.remove(0);
//!
//! // A height on the grid is a training row all too often: copies are allowed here.
//! let params = SynthesizeParams { rows: Some(10_000), seed: 7, filter_copies: false, ..Default::default() };
//! let options = Options::check(model("auto")?.params(), &[])?;
//! let synthesizer = Synthesizer::fit(frame, params, &options, &job)?;
//! let block = synthesizer.block(1, &job)?;
//! assert_eq!((block.first_row, block.rows), (8192, 1808));
//! let heights = synthesizer.columns()[0].decode(&block.values[0], block.first_row, block.rows)?;
//! assert_eq!(heights.len(), 1808);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(missing_docs)]

mod adversarial;
mod alias;
mod arf;
mod ask;
mod auto;
mod bayes_net;
mod cart;
mod codec;
mod copies;
mod copy;
mod ctgan;
mod encoded;
mod factor;
mod flow;
mod gan;
mod gaussian;
mod gaussian_copula;
mod glow;
mod independent;
mod latents;
mod linalg;
mod marginal;
mod medgan;
mod modal;
mod model;
mod nn;
mod normal;
mod pairs;
mod prepare;
mod realnvp;
mod rows;
mod runs;
mod saved;
mod smote;
mod stored;
mod symbols;
mod synthesizer;
mod tabddpm;
mod tablegan;
mod tokens;
mod transformer;
mod tree;
mod vae;
mod vq_vae;
mod wgan;

pub use ask::{Anonymity, Ask, Asked, Condition};
pub use model::{Epoch, FitReport, Fitted, MODELS, Model, model};
pub use pairs::{PairBlock, PairColumns, Pairs};
pub use rows::Rows;
pub use saved::{Origin, SavedModel};
pub use synthesizer::{Block, SynthesizeParams, Synthesizer, TrainingRows};

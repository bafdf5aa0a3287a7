//! How much synthetic rows look like real ones, and how well they stand in for them.
//!
//! * [`quality_report`] compares distributions: of columns, of pairs, of whole rows. Its scores are those of SDMetrics.
//! * [`utility_report`] compares what learners make of synthetic rows with what they make of real ones.
//!
//! ```
//! use std::sync::Arc;
//! use arrow::array::{Int32Array, RecordBatch, StringArray};
//! use lookalike_core::{EncodeSpec, FrameBuilder, Job, encode};
//! use lookalike_quality::{QualityParams, quality_report};
//!
//! let table = |ages: Vec<i32>, sexes: Vec<&str>| {
//!     let batch = RecordBatch::try_from_iter([
//!         ("age", Arc::new(Int32Array::from(ages)) as _),
//!         ("sex", Arc::new(StringArray::from(sexes)) as _),
//!     ])?;
//!     let mut builder = FrameBuilder::new(batch.schema(), EncodeSpec::default())?;
//!     builder.push(&batch)?;
//!     Ok::<_, Box<dyn std::error::Error>>(vec![builder])
//! };
//! let real = table(vec![20, 40, 60, 80], vec!["F", "M", "F", "M"])?;
//! let synthetic = table(vec![20, 40, 60, 60], vec!["F", "M", "F", "F"])?;
//! let job = Job::unbounded();
//! let frames = encode(vec![real, synthetic], &job)?;
//!
//! let figures = quality_report(&frames[0], &frames[1], &QualityParams::default(), &job)?;
//! // A quarter of the ages and of the sexes is elsewhere.
//! let shapes = figures.iter().find(|f| f.metric == "column_shapes");
//! assert_eq!(shapes.and_then(|f| f.value), Some(0.75));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(missing_docs)]

mod figure;
mod measured;
mod persons;
mod quality_report;
#[cfg(test)]
#[path = "../../learners/src/test_frames.rs"]
mod test_frames;
mod utility_report;

pub use figure::{Better, Figure};
pub use quality_report::{QualityMetric, QualityParams, quality_report};
pub use utility_report::{Task, UtilityFigure, UtilityParams, utility_report};

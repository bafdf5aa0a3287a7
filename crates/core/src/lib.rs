//! What every room of Lookalike shares: encoded rows, options, seeded streams, errors and the handle of a running job.
//!
//! Rows enter as Arrow batches, are encoded once and leave as Arrow batches of the same schema:
//!
//! ```
//! use std::sync::Arc;
//! use arrow::array::{Int32Array, StringArray, RecordBatch};
//! use lookalike_core::{encode, EncodeSpec, FrameBuilder, Job, Values};
//!
//! let batch = RecordBatch::try_from_iter([
//!     ("age", Arc::new(Int32Array::from(vec![Some(34), None])) as _),
//!     ("sex", Arc::new(StringArray::from(vec!["F", "M"])) as _),
//! ])?;
//! let mut builder = FrameBuilder::new(batch.schema(), EncodeSpec::default())?;
//! builder.push(&batch)?;
//! let frame = encode(vec![vec![builder]], &Job::unbounded())?.remove(0);
//! assert_eq!(frame.rows(), 2);
//! assert!(matches!(&frame.columns()[1].values, Values::Code(codes) if codes == &[0, 1]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(missing_docs)]

mod builder;
mod column;
mod constant;
mod error;
mod frame;
mod guarantee;
mod job;
mod options;
mod raw;
mod scale;
mod secret;
mod spill;
mod store;
mod streams;

pub use builder::{EncodeSpec, FrameBuilder, encode};
pub use column::{CategoryDomain, Column, Domain, IdentifierDomain, MISSING, NumberDomain, NumberKind, Role, Values};
pub use constant::{Constant, check_constant};
pub use error::{Error, ErrorKind, Result};
pub use frame::{Frame, RowHashes, Units, bytes_hash, category_units, row_hashes};
pub use guarantee::Guarantee;
pub use job::{Host, Job, Reservation, Training};
pub use options::{Default, Options, ParamKind, ParamSpec, Value, closest, list_names};
pub use scale::{Amount, Measure, Scale};
pub use secret::SecretRng;
pub use spill::{Scratch, ScratchFile, ScratchReader, SpilledFrame, SpilledRows, write_items};
pub use store::{ColumnStore, Keeper, StoredColumn};
pub use streams::{Stream, Streams, below, fresh_seed, standard_normal, uniform};

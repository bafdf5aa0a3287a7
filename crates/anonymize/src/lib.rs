//! Anonymisation of tables: every combination of quasi-identifiers that leaves is shared by at least k persons.
//!
//! A [`Method`] from the registry [`METHODS`] divides the rows of a frame, whose columns are exactly the
//! quasi-identifiers, into classes. A [`Release`] shows the same generalised values for all rows of a class and checks
//! the criterion on what it shows.
//!
//! ```
//! use std::sync::Arc;
//! use arrow::array::{AsArray, Int32Array, RecordBatch, StringArray};
//! use lookalike_anonymize::{KAnonymizeParams, OutputForm, find_method};
//! use lookalike_core::{EncodeSpec, FrameBuilder, Job, encode};
//!
//! let batch = RecordBatch::try_from_iter([
//!     ("age", Arc::new(Int32Array::from(vec![25, 52, 27, 58, 25])) as _),
//!     ("sex", Arc::new(StringArray::from(vec!["F", "M", "M", "M", "F"])) as _),
//! ])?;
//! let mut builder = FrameBuilder::new(batch.schema(), EncodeSpec::default())?;
//! builder.push(&batch)?;
//! let frame = encode(vec![vec![builder]], &Job::unbounded())?.remove(0);
//!
//! let params = KAnonymizeParams::new(2).check()?;
//! let release = find_method("mondrian")?.anonymize(&frame, &[None, None], &params, &Job::unbounded())?;
//! let shown = [release.render(0, &frame, OutputForm::Interval)?, release.render(1, &frame, OutputForm::Interval)?];
//! release.verify(&shown, &frame, 2)?;
//! assert_eq!(release.class_of, [0, 1, 0, 1, 0]);
//! assert_eq!(shown[0].as_string::<i32>().value(0), "[25, 27]");
//! assert_eq!(shown[1].as_string::<i32>().value(0), "{F, M}");
//! assert_eq!(shown[1].as_string::<i32>().value(1), "M");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The claim, and its limits
//!
//! *Guarantee.* Each row that leaves agrees on all quasi-identifiers with rows of at least k - 1 other units.
//! *Unit.* The person, for a frame with units; the row otherwise. A person may have rows in several classes: k bounds
//! the persons of each class, not what somebody learns who knows that several rows are one person's.
//! *Not covered.* Columns that are not quasi-identifiers leave as they are: a class whose rows share a sensitive value
//! gives that value away. Two releases of one table can intersect to fewer than k, and knowledge of the algorithm's
//! cuts or of who is in the table is not bounded by k.
//! *Citations.* Samarati & Sweeney 1998; LeFevre, DeWitt & Ramakrishnan 2006.
//!
//! # Measuring
//!
//! [`KAnonymitySummary`] and [`SensitiveSummary`] measure k, l and t of any table, released or not, in one pass. [`report`]
//! gives every figure of a released table, [`link`] links it with a register. Both read released cells as [`Region`]s over
//! the values that a [`RawColumn`] has before generalisation, and count what fits with [`Register::candidates`].

#![deny(missing_docs)]

mod candidates;
mod coded;
pub mod diversity;
mod hierarchy;
mod linkage;
mod method;
mod mondrian;
mod params;
mod region;
mod release;
mod report;
mod sensitive;
mod summary;

pub use candidates::{Candidates, Register};
pub use coded::{Classes, Coded, Histograms, plain_type, plain_values, sort_field};
pub use hierarchy::Hierarchy;
pub use linkage::{Linkage, Side, link};
pub use method::{METHODS, Method, find_method};
pub use params::{Checked, KAnonymizeParams};
pub use region::{RawColumn, Region};
pub use release::{Class, OutputForm, Release, SUPPRESSED};
pub use report::{Figure, OriginalColumn, OriginalTable, ReportInput, SensitiveColumn, report};
pub use sensitive::SensitiveSummary;
pub use summary::KAnonymitySummary;

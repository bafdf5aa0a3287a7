//! Anonymisation of tables: every combination of quasi-identifiers that leaves is shared by at least k persons, and by as
//! diverse ones as is asked for.
//!
//! A [`Method`] from the registry [`METHODS`] divides the persons of a [`Problem`] into classes that fulfil its
//! [`Criteria`]. A [`Release`] shows the same generalised values for all rows of a class; [`anonymize`] checks the criteria
//! once more on what is shown.
//!
//! ```
//! use std::sync::Arc;
//! use arrow::array::{AsArray, Int32Array, RecordBatch, StringArray};
//! use lookalike_anonymize::{AnonymizeParams, Criteria, Items, Problem, anonymize, find_method};
//! use lookalike_core::{EncodeSpec, FrameBuilder, Job, encode};
//!
//! let batch = RecordBatch::try_from_iter([
//!     ("age", Arc::new(Int32Array::from(vec![25, 52, 27, 58, 25])) as _),
//!     ("sex", Arc::new(StringArray::from(vec!["F", "M", "M", "M", "F"])) as _),
//! ])?;
//! let mut builder = FrameBuilder::new(batch.schema(), EncodeSpec::default())?;
//! builder.push(&batch)?;
//! let job = Job::unbounded();
//! let frame = encode(vec![vec![builder]], &job)?.remove(0);
//!
//! let items = Items::new(frame.columns(), &[None, None], frame.rows(), frame.units(), vec![], None, &job)?;
//! let criteria = Criteria::new(Some(2), vec![])?;
//! let mut problem = Problem::new(items, criteria, AnonymizeParams::default().check()?, &job)?;
//! let release = anonymize(find_method("mondrian")?, &mut problem, &job)?;
//! assert_eq!(release.class_of, [0, 1, 0, 1, 0]);
//! let (ages, sexes) = (release.render(0, &[0, 1])?, release.render(1, &[0, 1])?);
//! assert_eq!(ages.as_string::<i32>().value(0), "[25, 27]");
//! assert_eq!(sexes.as_string::<i32>().value(0), "{F, M}");
//! assert_eq!(sexes.as_string::<i32>().value(1), "M");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The claim, and its limits
//!
//! *Guarantee.* Each row that leaves agrees on all quasi-identifiers with rows of at least k - 1 other units, and every
//! class, with all that read the same, fulfils every other criterion asked for.
//! *Unit.* The person, for items with units; the row otherwise. All rows of a person are in one class.
//! *Not covered.* Columns that are neither quasi-identifiers nor sensitive leave as they are and are not looked at. Two
//! releases of one table can intersect to fewer than k, and knowledge of the algorithm's cuts or of who is in the table is
//! not bounded by k.
//! *Citations.* Samarati & Sweeney 1998; Machanavajjhala et al. 2007; Li, Li & Venkatasubramanian 2007.
//!
//! # Measuring
//!
//! [`KAnonymitySummary`] and [`SensitiveSummary`] measure k, l and t of any table, released or not, in one pass. [`report`]
//! gives every figure of a released table, [`link`] links it with a register. Both read released cells as [`Region`]s over
//! the values that a [`RawColumn`] has before generalisation, and count what fits with [`Register::candidates`].
//!
//! # Other ways to release
//!
//! [`itemsets`] has k^m-anonymity of sets of codes, [`epsilon`] the quasi-identifiers that leave with noise instead of being
//! generalised.

#![deny(missing_docs)]

mod attribute;
mod axis;
pub mod calendar;
mod candidates;
mod clusters;
mod coded;
mod criteria;
mod datafly;
mod decimal;
pub mod diversity;
pub mod epsilon;
mod full_domain;
mod grid;
mod hierarchy;
mod items;
pub mod itemsets;
mod k_member;
mod linkage;
mod loss;
mod mdav;
mod method;
mod mondrian;
mod optimal;
mod params;
mod population;
mod problem;
mod region;
mod release;
mod report;
mod sensitive;
mod shown;
mod space;
mod summary;

pub use attribute::{Attribute, Distance};
pub use axis::{NULL, Scale};
pub use candidates::{Candidates, Register};
pub use coded::{Classes, Coded, Histograms, plain_type, plain_values, sort_field};
pub use criteria::{
    AlphaAnonymity, BetaLikeness, ClassFigures, Criteria, Criterion, DeltaDisclosure, DeltaPresence,
    DistinctLDiversity, EntropyLDiversity, KAnonymity, KMap, Needs, RecursiveLDiversity, TCloseness,
};
pub use grid::Grid;
pub use hierarchy::{Hierarchy, Levels, Rule};
pub use items::{Axis, Items};
pub use linkage::{Linkage, Side, link};
pub use loss::{LOSSES, Loss};
pub use method::{METHODS, Method, find_method};
pub use params::Checked;
pub use problem::{AnonymizeParams, Grouping, Judge, Problem, SUPPRESSED};
pub use region::{RawColumn, Region};
pub use release::{Class, Release, anonymize, anonymize_on_disk};
pub use report::{Figure, OriginalColumn, OriginalTable, ReportInput, SensitiveColumn, report};
pub use sensitive::SensitiveSummary;
pub use shown::{OutputForm, output_field};
pub use summary::KAnonymitySummary;

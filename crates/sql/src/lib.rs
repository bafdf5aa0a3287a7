//! Synthetic cohorts, anonymisation and privacy attacks as ordinary SQL on Apache DataFusion.
//!
//! One call adds everything to a session:
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> datafusion::error::Result<()> {
//! use datafusion::prelude::SessionContext;
//!
//! let ctx = SessionContext::new();
//! lookalike::register_all(&ctx)?;
//! let functions = ctx.sql("SELECT DISTINCT name FROM lookalike_functions()").await?;
//! functions.show().await?;
//! # Ok(())
//! # }
//! ```
//!
//! The rooms: `front` reads calls (relation planner and plain table functions), `node` is their logical plan, `exec`
//! the operator, `functions`, `aggregates` and `scalars` the registries, `codec` takes plans over the wire, `register`
//! connects all of it to a session. The algorithms live in crates that know no SQL engine.

#![deny(missing_docs)]

mod aggregates;
mod codec;
mod error;
mod exec;
mod files;
mod front;
mod function;
mod functions;
mod lower;
mod node;
mod progress;
mod register;
mod scalars;
mod settings;
mod whole_writes;

pub use codec::{LookalikeLogicalCodec, LookalikePhysicalCodec};
pub use exec::LookalikeExec;
pub use function::{
    Call, FRESH_SEED, FileSpec, FileUse, Gathered, Operation, Output, RelationSpec, TableFunction, Want,
};
pub use functions::{FUNCTIONS, function};
pub use node::LookalikeNode;
pub use progress::{ProgressSink, Training, with_progress};
pub use register::{LookalikeExtensionPlanner, configure, register_all};

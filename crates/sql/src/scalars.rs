//! The registry of scalar functions.

mod require;

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;

/// Every scalar function.
pub(crate) fn scalars() -> Vec<Arc<ScalarUDF>> {
    vec![Arc::new(ScalarUDF::from(require::Require::default()))]
}

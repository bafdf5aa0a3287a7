//! The two fronts of every table function: the relation planner with named options and sub-queries, and the plain table
//! function with strings and one struct of options.

pub(crate) mod constant;
pub(crate) mod files;
pub(crate) mod lookup;
pub(crate) mod relation;
pub(crate) mod udtf;

//! The logical node of every table function: input relations are children, options are expressions.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use lookalike_core::{Error, Options, Value};

use crate::error::engine_error;
use crate::front::constant::{constant, to_literal};
use crate::function::{Call, TableFunction, all_options};

/// A call of a table function in a logical plan.
#[derive(Debug, Clone)]
pub struct LookalikeNode {
    function: &'static dyn TableFunction,
    /// Option expressions: literals, or parameters that are not bound yet.
    options: Vec<(String, Expr)>,
    inputs: Vec<(String, LogicalPlan)>,
    schema: DFSchemaRef,
}

impl LookalikeNode {
    /// Checks a call and makes its node.
    pub fn try_new(
        function: &'static dyn TableFunction,
        options: Vec<(String, Expr)>,
        inputs: Vec<(String, LogicalPlan)>,
    ) -> Result<Self> {
        let place = |e: Error| engine_error(e.within(function.name().to_uppercase()));
        let specs = all_options(function);
        let mut known = Vec::with_capacity(options.len());
        let mut pending = Vec::new();
        let mut exprs = Vec::with_capacity(options.len());
        for (name, expr) in options {
            match constant(&name, expr, &specs).map_err(place)? {
                (expr, Some(value)) => {
                    known.push((name.clone(), value));
                    exprs.push((name, expr));
                }
                (expr, None) => {
                    pending.push(name.clone());
                    exprs.push((name, expr));
                }
            }
        }
        if let Some(name) = pending.iter().find(|n| function.schema_options().contains(&n.as_str())) {
            return Err(place(Error::argument(format!(
                "option '{name}' shapes the result's columns: write a constant instead of a parameter"
            ))));
        }
        let checked = Options::check_pending(&specs, &known, &pending).map_err(place)?;
        let input_schemas =
            inputs.iter().map(|(role, plan)| (role.clone(), Arc::new(plan.schema().as_arrow().clone()))).collect();
        let call = Call { options: checked, inputs: input_schemas };
        for (role, plan) in &inputs {
            unique_names(role, plan).map_err(place)?;
        }
        let schema = function.schema(&call).map_err(place)?;
        // Qualified, because the optimizer takes a column of a node for that of the same name below it, and moves
        // expressions down. Ours are made here.
        let schema = Arc::new(DFSchema::try_from_qualified_schema(function.name(), &schema)?);
        Ok(Self { function, options: exprs, inputs, schema })
    }

    /// The node as a plan.
    pub fn into_plan(self) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(self) })
    }

    /// The function called.
    pub fn function(&self) -> &'static dyn TableFunction {
        self.function
    }

    /// Roles of the inputs, in order.
    pub fn roles(&self) -> Vec<String> {
        self.inputs.iter().map(|(role, _)| role.clone()).collect()
    }

    /// Options as values; fails while parameters are not bound.
    pub fn values(&self) -> Result<Vec<(String, Value)>> {
        let specs = all_options(self.function);
        self.options
            .iter()
            .map(|(name, expr)| match constant(name, expr.clone(), &specs).map_err(engine_error)? {
                (_, Some(value)) => Ok((name.clone(), value)),
                (expr, None) => Err(DataFusionError::Plan(format!(
                    "{}: option '{name}' is the parameter {expr}, which has no value",
                    self.function.name().to_uppercase()
                ))),
            })
            .collect()
    }
}

fn unique_names(role: &str, plan: &LogicalPlan) -> Result<(), Error> {
    let mut names: Vec<&str> = plan.schema().fields().iter().map(|f| f.name().as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|w| w[0] == w[1]) {
        Some(twice) => Err(Error::argument(format!(
            "the relation '{role}' has two columns named '{}': rename one with AS",
            twice[0]
        ))),
        None => Ok(()),
    }
}

impl UserDefinedLogicalNodeCore for LookalikeNode {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        self.inputs.iter().map(|(_, plan)| plan).collect()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.options.iter().map(|(_, expr)| expr.clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.function.name().to_uppercase())?;
        let specs = self.function.options();
        for (i, (role, _)) in self.inputs.iter().enumerate() {
            write!(f, "{}{role}", if i == 0 { "" } else { ", " })?;
        }
        let is_shown = |name: &str| self.function.planned().iter().all(|p| p.name != name);
        for (i, (name, expr)) in self.options.iter().filter(|(name, _)| is_shown(name)).enumerate() {
            let separator = if i == 0 && self.inputs.is_empty() { "" } else { ", " };
            match constant(name, expr.clone(), &specs) {
                Ok((_, Some(value))) => write!(f, "{separator}{name} => {value}")?,
                _ => write!(f, "{separator}{name} => {expr}")?,
            }
        }
        Ok(())
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let options = self.options.iter().map(|(name, _)| name.clone()).zip(exprs).collect();
        let inputs = self.inputs.iter().map(|(role, _)| role.clone()).zip(inputs).collect();
        Self::try_new(self.function, options, inputs)
    }

    fn necessary_children_exprs(&self, _: &[usize]) -> Option<Vec<Vec<usize>>> {
        // Every column of every input is learned, compared or passed on.
        Some(self.inputs.iter().map(|(_, plan)| (0..plan.schema().fields().len()).collect()).collect())
    }
}

// The function is compared by name: a name stands for one entry of the registry.
impl PartialEq for LookalikeNode {
    fn eq(&self, other: &Self) -> bool {
        self.function.name() == other.function.name()
            && self.options == other.options
            && self.inputs == other.inputs
            && self.schema == other.schema
    }
}

impl Eq for LookalikeNode {}

impl Hash for LookalikeNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.name().hash(state);
        self.options.hash(state);
        self.inputs.hash(state);
    }
}

impl PartialOrd for LookalikeNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.function
            .name()
            .partial_cmp(other.function.name())
            .filter(|o| o.is_ne())
            .or_else(|| self.options.partial_cmp(&other.options))
            .filter(|o| o.is_ne())
            .or_else(|| self.inputs.partial_cmp(&other.inputs))
    }
}

/// A node rebuilt from decoded values.
pub(crate) fn node_from_values(
    function: &'static dyn TableFunction,
    options: Vec<(String, Value)>,
    inputs: Vec<(String, LogicalPlan)>,
) -> Result<LookalikeNode> {
    let options =
        options.into_iter().map(|(name, value)| to_literal(&value).map(|e| (name, e))).collect::<Result<_>>()?;
    LookalikeNode::try_new(function, options, inputs)
}

//! SINGLING_OUT(train, synthetic [, control]): whether predicates made from synthetic rows match one real person.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use lookalike_attacks::{SinglingOutMode, SinglingOutParams, singling_out};
use lookalike_core::{Default, EncodeSpec, Job, ParamKind, ParamSpec, Result, Role};

use super::common::{COLUMNS, IDENTIFIERS, PRIVACY_UNIT, SEED};
use super::risk::{CONFIDENCE, RELATIONS, encoding, run, schema, wants};
use crate::function::{Call, Gathered, Operation, Output, RelationSpec, TableFunction, Want};

/// SINGLING_OUT as a table function.
#[derive(Debug)]
pub struct SinglingOut;

const MODE: ParamSpec = ParamSpec {
    name: "mode",
    kind: ParamKind::Choice(&["univariate", "multivariate", "both"]),
    default: Default::Text("both"),
    purpose: "Predicates on one column, on several, or a row of the result for either.",
};

const ATTEMPTS: ParamSpec = ParamSpec {
    name: "attempts",
    kind: ParamKind::Int { min: 1, max: 1_000_000 },
    default: Default::Int(2000),
    purpose: "Predicates to make, and random ones for the baseline.",
};

const COLUMNS_PER_QUERY: ParamSpec = ParamSpec {
    name: "columns_per_query",
    kind: ParamKind::Int { min: 1, max: 1000 },
    default: Default::Unset("3, or all where fewer are compared"),
    purpose: "Columns in a multivariate predicate.",
};

/// Columns in a multivariate predicate when the call does not say.
const USUAL_WIDTH: usize = 3;

impl TableFunction for SinglingOut {
    fn name(&self) -> &'static str {
        "singling_out"
    }

    fn summary(&self) -> &'static str {
        "Singling out, first of the three risks of Opinion 05/2014: how many predicates made from synthetic rows match \
         exactly one training row, beside a control and random predicates."
    }

    fn relations(&self) -> &'static [RelationSpec] {
        RELATIONS
    }

    fn options(&self) -> Vec<ParamSpec> {
        vec![MODE, ATTEMPTS, COLUMNS_PER_QUERY, CONFIDENCE, SEED, COLUMNS, IDENTIFIERS, PRIVACY_UNIT]
    }

    fn schema(&self, call: &Call) -> Result<SchemaRef> {
        encoding(call, None)?;
        Ok(schema())
    }

    fn operation(&self, call: &Call) -> Result<Arc<dyn Operation>> {
        let (specs, like) = encoding(call, None)?;
        let mode = call.options.choice("mode").unwrap_or_default();
        let all = [SinglingOutMode::Univariate, SinglingOutMode::Multivariate];
        let size = |name| call.options.int(name).unwrap_or_default() as usize;
        let params = |mode| SinglingOutParams {
            mode,
            attempts: size("attempts"),
            columns_per_query: call.options.int("columns_per_query").map_or(USUAL_WIDTH, |n| n as usize),
            seed: call.seed(),
        };
        Ok(Arc::new(Attack {
            specs,
            like,
            attacks: all.into_iter().filter(|m| mode == "both" || m.name() == mode).map(params).collect(),
            chosen_width: call.options.get("columns_per_query").is_some(),
            confidence: call.options.float("confidence").unwrap_or_default(),
        }))
    }
}

#[derive(Debug)]
struct Attack {
    specs: Vec<EncodeSpec>,
    like: SchemaRef,
    attacks: Vec<SinglingOutParams>,
    /// Whether the call says how many columns a predicate has; else there are no more than are compared.
    chosen_width: bool,
    confidence: f64,
}

impl Operation for Attack {
    fn wants(&self) -> Vec<Want> {
        wants(&self.specs, &self.like)
    }

    fn run(&self, inputs: Vec<Gathered>, job: &Job) -> Result<Arc<dyn Output>> {
        run(inputs, self.confidence, job, |train, synthetic, control| {
            let compared = train.columns().iter().filter(|c| c.role() != Role::Identifier).count();
            let most = if self.chosen_width { usize::MAX } else { compared };
            let attack = |params: &SinglingOutParams| {
                let columns_per_query = params.columns_per_query.min(most);
                singling_out(synthetic, train, control, SinglingOutParams { columns_per_query, ..*params }, job)
            };
            self.attacks.iter().map(attack).collect()
        })
    }
}

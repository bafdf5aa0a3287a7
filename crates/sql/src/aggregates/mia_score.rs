//! `mia_score(score, is_member)`: figures of a membership inference attack.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, StringArray, StructArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use lookalike_attacks::{MiaFigures, MiaSummary};

use super::{floats, list, list_field, numbers, refuse_distinct, refuse_distinct_args};
use crate::error::engine_error;

/// `mia_score(score DOUBLE, is_member BOOLEAN) -> STRUCT`. NULL and NaN scores are skipped, as is a NULL `is_member`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct MiaScore {
    signature: Signature,
}

impl Default for MiaScore {
    fn default() -> Self {
        let signature = Signature::exact(vec![DataType::Float64, DataType::Boolean], Volatility::Immutable);
        Self { signature: signature.with_parameter_names(vec!["score", "is_member"]).expect("two names for two types") }
    }
}

const FIGURES: [&str; 15] = [
    "auc",
    "auc_lo",
    "auc_hi",
    "advantage",
    "tpr_at_fpr_10",
    "tpr_at_fpr_10_lo",
    "tpr_at_fpr_10_hi",
    "tpr_at_fpr_1",
    "tpr_at_fpr_1_lo",
    "tpr_at_fpr_1_hi",
    "tpr_at_fpr_01",
    "tpr_at_fpr_01_lo",
    "tpr_at_fpr_01_hi",
    "epsilon_lower",
    "p_value",
];

fn fields() -> Fields {
    let figures = FIGURES.map(|name| Field::new(name, DataType::Float64, true));
    let counts = ["members", "non_members"].map(|name| Field::new(name, DataType::UInt64, true));
    let reason = Field::new("reason", DataType::Utf8, true);
    figures.into_iter().chain(counts).chain([reason]).collect()
}

fn values(figures: &MiaFigures) -> [Option<f64>; 15] {
    let [ten, one, tenth] = [figures.tpr_at_fpr_10, figures.tpr_at_fpr_1, figures.tpr_at_fpr_01]
        .map(|rate| [rate.map(|r| r.rate), rate.map(|r| r.lo), rate.map(|r| r.hi)]);
    [
        figures.auc,
        figures.auc_lo,
        figures.auc_hi,
        figures.advantage,
        ten[0],
        ten[1],
        ten[2],
        one[0],
        one[1],
        one[2],
        tenth[0],
        tenth[1],
        tenth[2],
        figures.epsilon_lower,
        figures.p_value,
    ]
}

impl AggregateUDFImpl for MiaScore {
    fn name(&self) -> &str {
        "mia_score"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields()))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        refuse_distinct_args(&args)?;
        Ok(Box::new(MiaAccumulator(MiaSummary::default())))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |name: &str| list_field(format!("{}[{name}]", args.name), DataType::Float64);
        Ok(vec![field("members"), field("non_members")])
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        refuse_distinct()
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

#[derive(Debug)]
struct MiaAccumulator(MiaSummary);

impl Accumulator for MiaAccumulator {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let [scores, is_member] = columns else {
            return Err(DataFusionError::Internal(format!("mia_score of {} columns", columns.len())));
        };
        let mut scores = floats(scores)?;
        let is_member = is_member.as_boolean();
        if is_member.null_count() > 0 {
            (0..scores.len()).filter(|&i| is_member.is_null(i)).for_each(|i| scores[i] = f64::NAN);
        }
        let is_member: Vec<bool> = is_member.values().iter().collect();
        self.0.update(&scores, &is_member).map_err(engine_error)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let figures = self.0.finish();
        let column = |v: Option<f64>| Arc::new(Float64Array::from(vec![v])) as ArrayRef;
        let count = |n: u64| Arc::new(UInt64Array::from(vec![n])) as ArrayRef;
        let columns = values(&figures).map(column).into_iter();
        let reason = Arc::new(StringArray::from(vec![figures.reason()])) as ArrayRef;
        let columns = columns.chain([count(figures.members), count(figures.non_members), reason]).collect();
        Ok(ScalarValue::Struct(Arc::new(StructArray::try_new(fields(), columns, None)?)))
    }

    fn size(&self) -> usize {
        // Twice: the figures need a sorted copy.
        size_of_val(self) + 2 * self.0.memory()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (members, non_members) = self.0.state();
        let column = |scores: &[f64]| list(Arc::new(Float64Array::from(scores.to_vec())));
        Ok(vec![column(members), column(non_members)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [members, non_members] = states else {
            return Err(DataFusionError::Internal(format!("a state of mia_score of {} columns", states.len())));
        };
        for row in 0..members.len() {
            let scores = |column| numbers::<Float64Type>(column, row).map(|scores| scores.values().to_vec());
            self.0.merge(&MiaSummary::from_state(scores(members)?, scores(non_members)?));
        }
        Ok(())
    }
}

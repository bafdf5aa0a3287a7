//! `audit_epsilon(score, is_member [, guesses [, delta, alpha]])`: a one-run audit.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, StringArray, StructArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Float64Type, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, TypeSignature, Volatility};
use lookalike_attacks::{MiaSummary, share_p_value};

use super::{floats, list, list_field, numbers, refuse_distinct, refuse_distinct_args};
use crate::error::engine_error;

/// Delta and alpha where the call names none.
const DEFAULTS: [f64; 2] = [1e-5, 0.05];

/// `audit_epsilon(score DOUBLE, is_member BOOLEAN [, guesses BIGINT [, delta DOUBLE, alpha DOUBLE]]) -> STRUCT`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct AuditEpsilon {
    signature: Signature,
}

impl Default for AuditEpsilon {
    fn default() -> Self {
        let all = [DataType::Float64, DataType::Boolean, DataType::Int64, DataType::Float64, DataType::Float64];
        let exact = |n: usize| TypeSignature::Exact(all[..n].to_vec());
        Self { signature: Signature::one_of(vec![exact(2), exact(3), exact(5)], Volatility::Immutable) }
    }
}

fn fields() -> Fields {
    let bounds = ["epsilon", "epsilon_fdp"].map(|name| Field::new(name, DataType::Float64, true));
    let counts = ["targets", "guesses", "correct"].map(|name| Field::new(name, DataType::UInt64, true));
    let text = Field::new("valid_as_audit", DataType::Utf8, true);
    bounds.into_iter().chain(counts).chain([text]).collect()
}

impl AggregateUDFImpl for AuditEpsilon {
    fn name(&self) -> &str {
        "audit_epsilon"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields()))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        refuse_distinct_args(&args)?;
        Ok(Box::new(AuditAccumulator::default()))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |name: &str| list_field(format!("{}[{name}]", args.name), DataType::Float64);
        Ok(vec![field("members"), field("non_members"), field("parameters")])
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        refuse_distinct()
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

#[derive(Debug, Default)]
struct AuditAccumulator {
    summary: MiaSummary,
    /// Guesses (NaN where the call names none), delta and alpha.
    parameters: Option<[f64; 3]>,
}

impl AuditAccumulator {
    fn set(&mut self, parameters: [f64; 3]) -> Result<()> {
        let refuse = |message: String| Err(DataFusionError::Execution(format!("audit_epsilon: {message}")));
        let [guesses, delta, alpha] = parameters;
        if guesses < 1.0 {
            return refuse(format!("guesses is {guesses}, allowed is at least 1"));
        }
        if !(0.0..1.0).contains(&delta) {
            return refuse(format!("delta is {delta}, allowed is from 0 to below 1"));
        }
        if !(alpha > 0.0 && alpha < 1.0) {
            return refuse(format!("alpha is {alpha}, allowed is between 0 and 1"));
        }
        match self.parameters {
            Some(known) if known.map(f64::to_bits) != parameters.map(f64::to_bits) => {
                refuse("guesses, delta and alpha must be the same in all rows of a group".into())
            }
            _ => {
                self.parameters = Some(parameters);
                Ok(())
            }
        }
    }
}

impl Accumulator for AuditAccumulator {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let [scores, is_member, rest @ ..] = columns else {
            return Err(DataFusionError::Internal(format!("audit_epsilon of {} columns", columns.len())));
        };
        let mut scores = floats(scores)?;
        let is_member = is_member.as_boolean();
        (0..scores.len()).filter(|&i| is_member.is_null(i)).for_each(|i| scores[i] = f64::NAN);
        let is_member: Vec<bool> = is_member.values().iter().collect();
        for row in 0..scores.len() {
            let guesses = rest.first().map(|c| c.as_primitive::<Int64Type>()).filter(|c| c.is_valid(row));
            let number = |place: usize| rest.get(place).map(|c| c.as_primitive::<Float64Type>());
            let number = |place: usize| number(place).filter(|c| c.is_valid(row)).map(|c| c.value(row));
            let parameters = [
                guesses.map_or(f64::NAN, |c| c.value(row) as f64),
                number(1).unwrap_or(DEFAULTS[0]),
                number(2).unwrap_or(DEFAULTS[1]),
            ];
            if self.parameters.map(|p| p.map(f64::to_bits)) != Some(parameters.map(f64::to_bits)) {
                self.set(parameters)?;
            }
        }
        self.summary.update(&scores, &is_member).map_err(engine_error)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let [guesses, delta, alpha] = self.parameters.unwrap_or([f64::NAN, DEFAULTS[0], DEFAULTS[1]]);
        let (members, non_members) = self.summary.state();
        let (members, targets) = (members.len() as u64, (members.len() + non_members.len()) as u64);
        let wanted = if guesses.is_nan() { (targets / 10).max(100) } else { guesses as u64 };
        let found = self.summary.guess(wanted);
        let bound = |epsilon: f64| Some(epsilon).filter(|e| targets > 0 && !e.is_nan());
        let bounds = [bound(found.epsilon(alpha, delta)), bound(found.epsilon_gaussian(alpha, delta))];
        // Fair coins give so few or so many members with a chance below one in a million.
        let fewer = members.min(targets - members);
        let is_fair = 2.0 * share_p_value((targets - fewer) as f64, targets, 0.5) > 1e-6;
        let valid = match is_fair {
            true => {
                "only if each target was put in or left out of training by an independent fair coin; epsilon_fdp only \
                     for Gaussian mechanisms"
                    .to_string()
            }
            false => format!("no: {members} of {targets} targets are members, which fair coins do not give"),
        };
        let mut columns: Vec<ArrayRef> =
            bounds.iter().map(|v| Arc::new(Float64Array::from(vec![*v])) as ArrayRef).collect();
        for count in [found.targets, found.guesses, found.correct] {
            columns.push(Arc::new(UInt64Array::from(vec![count])));
        }
        columns.push(Arc::new(StringArray::from(vec![valid])));
        Ok(ScalarValue::Struct(Arc::new(StructArray::try_new(fields(), columns, None)?)))
    }

    fn size(&self) -> usize {
        // Three times: guesses need each list sorted, and both together.
        size_of_val(self) + 3 * self.summary.memory()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (members, non_members) = self.summary.state();
        let column = |values: &[f64]| list(Arc::new(Float64Array::from(values.to_vec())));
        let parameters = self.parameters.map(Vec::from).unwrap_or_default();
        Ok(vec![column(members), column(non_members), column(&parameters)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [members, non_members, parameters] = states else {
            return Err(DataFusionError::Internal(format!("a state of audit_epsilon of {} columns", states.len())));
        };
        for row in 0..members.len() {
            let values = |column| numbers::<Float64Type>(column, row).map(|values| values.values().to_vec());
            self.summary.merge(&MiaSummary::from_state(values(members)?, values(non_members)?));
            if let [guesses, delta, alpha] = values(parameters)?[..] {
                self.set([guesses, delta, alpha])?;
            }
        }
        Ok(())
    }
}

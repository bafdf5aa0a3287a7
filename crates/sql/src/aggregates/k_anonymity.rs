//! `k_anonymity(quasi_identifier, ...)`: size of the smallest equivalence class.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use lookalike_anonymize::KAnonymitySummary;

use super::{counts_fields, counts_state, merge_counts, refuse_distinct, refuse_distinct_args};

/// `k_anonymity(column, ...) -> BIGINT UNSIGNED`: rows of the smallest class of equal combinations, NULL being a value of
/// its own; NULL without rows.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct KAnonymity {
    signature: Signature,
}

impl Default for KAnonymity {
    fn default() -> Self {
        Self { signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for KAnonymity {
    fn name(&self) -> &str {
        "k_anonymity"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt64)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        refuse_distinct_args(&args)?;
        let fields = args.expr_fields.iter().map(|f| SortField::new(f.data_type().clone())).collect();
        let converter = RowConverter::new(fields)?;
        Ok(Box::new(KAnonymityAccumulator { converter, summary: KAnonymitySummary::new() }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(counts_fields(&args))
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        refuse_distinct()
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

#[derive(Debug)]
struct KAnonymityAccumulator {
    converter: RowConverter,
    summary: KAnonymitySummary,
}

impl Accumulator for KAnonymityAccumulator {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        self.summary.update(&self.converter.convert_columns(columns)?);
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::UInt64(self.summary.finish()))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.converter.size() + self.summary.memory()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        counts_state(self.summary.state())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        merge_counts(states, |keys, counts| self.summary.merge_state(keys, counts))
    }
}

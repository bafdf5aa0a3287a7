//! `l_diversity(sensitive, quasi_identifier, ...)` and `t_closeness(sensitive, quasi_identifier, ...)`: how well the
//! classes of equal quasi-identifiers hide a sensitive value.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use lookalike_anonymize::{SensitiveSummary, plain_type, plain_values, sort_field};

use super::{counts_fields, counts_state, merge_counts, refuse_distinct, refuse_distinct_args};
use crate::error::engine_error;

/// Which figure of a [`SensitiveSummary`] is the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Figure {
    /// `l_diversity(sensitive, column, ...) -> BIGINT UNSIGNED`: smallest number of different values in a class.
    Diversity,
    /// `t_closeness(sensitive, column, ...) -> DOUBLE`: largest distance of a class to all rows.
    Closeness,
}

/// One of the two aggregates.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sensitive {
    figure: Figure,
    signature: Signature,
}

impl Sensitive {
    pub(crate) fn l_diversity() -> Self {
        Self { figure: Figure::Diversity, signature: Signature::variadic_any(Volatility::Immutable) }
    }

    pub(crate) fn t_closeness() -> Self {
        Self { figure: Figure::Closeness, signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

/// Whether values are as far apart as their places in order: numbers, dates and times.
fn is_ordered(data_type: &DataType) -> bool {
    let plain = plain_type(data_type);
    plain.is_numeric() || plain.is_temporal()
}

impl AggregateUDFImpl for Sensitive {
    fn name(&self) -> &str {
        match self.figure {
            Figure::Diversity => "l_diversity",
            Figure::Closeness => "t_closeness",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        if types.len() < 2 {
            return Err(DataFusionError::Plan(format!(
                "{0} takes the sensitive column and at least one quasi-identifier: {0}(sensitive, quasi_identifier, ...)",
                self.name()
            )));
        }
        Ok(match self.figure {
            Figure::Diversity => DataType::UInt64,
            Figure::Closeness => DataType::Float64,
        })
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        refuse_distinct_args(&args)?;
        let Some((sensitive, classes)) = args.expr_fields.split_first() else {
            return Err(DataFusionError::Plan(format!("{} without arguments", self.name())));
        };
        let fields = classes.iter().map(|f| SortField::new(f.data_type().clone())).collect();
        Ok(Box::new(SensitiveAccumulator {
            figure: self.figure,
            ordered: is_ordered(sensitive.data_type()),
            values: RowConverter::new(vec![sort_field(sensitive.data_type())])?,
            classes: RowConverter::new(fields)?,
            summary: SensitiveSummary::new(),
        }))
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
struct SensitiveAccumulator {
    figure: Figure,
    ordered: bool,
    values: RowConverter,
    classes: RowConverter,
    summary: SensitiveSummary,
}

impl Accumulator for SensitiveAccumulator {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let Some((sensitive, classes)) = columns.split_first() else {
            return Err(DataFusionError::Internal("rows without a sensitive value".into()));
        };
        let sensitive = plain_values(sensitive).map_err(engine_error)?;
        self.summary.update(&self.values.convert_columns(&[sensitive])?, &self.classes.convert_columns(classes)?);
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(match self.figure {
            Figure::Diversity => ScalarValue::UInt64(self.summary.distinct()),
            Figure::Closeness => ScalarValue::Float64(self.summary.closeness(self.ordered)),
        })
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.size() + self.classes.size() + self.summary.memory()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        counts_state(self.summary.state())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        merge_counts(states, |keys, counts| self.summary.merge_state(keys, counts))
    }
}

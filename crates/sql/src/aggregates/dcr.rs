//! `dcr(dcr [, holdout_dcr [, train_rows, holdout_rows]])`: figures over the distances of all synthetic rows.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, StructArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Float64Type, Int64Type, UInt64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, TypeSignature, Volatility};
use lookalike_attacks::DcrSummary;

use super::{floats, list, list_field, numbers, refuse_distinct, refuse_distinct_args};
use crate::error::engine_error;

/// `dcr(dcr DOUBLE [, holdout_dcr DOUBLE [, train_rows BIGINT, holdout_rows BIGINT]]) -> STRUCT`. The sizes are needed for
/// `null_share` alone.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Dcr {
    signature: Signature,
}

impl Default for Dcr {
    fn default() -> Self {
        let (distance, size) = (DataType::Float64, DataType::Int64);
        let signature = Signature::one_of(
            vec![
                TypeSignature::Exact(vec![distance.clone()]),
                TypeSignature::Exact(vec![distance.clone(), distance.clone()]),
                TypeSignature::Exact(vec![distance.clone(), distance, size.clone(), size]),
            ],
            Volatility::Immutable,
        );
        Self { signature }
    }
}

const FIGURES: [&str; 12] = [
    "mean",
    "median",
    "p05",
    "identical_share",
    "holdout_mean",
    "holdout_median",
    "holdout_p05",
    "holdout_identical_share",
    "share",
    "share_lo",
    "share_hi",
    "null_share",
];

fn fields() -> Fields {
    let figures = FIGURES.map(|name| Field::new(name, DataType::Float64, true));
    std::iter::once(Field::new("rows", DataType::UInt64, true)).chain(figures).collect()
}

impl AggregateUDFImpl for Dcr {
    fn name(&self) -> &str {
        "dcr"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields()))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        refuse_distinct_args(&args)?;
        Ok(Box::new(DcrAccumulator(DcrSummary::default())))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |name: &str, item| list_field(format!("{}[{name}]", args.name), item);
        Ok(vec![
            field("dcr", DataType::Float64),
            field("holdout_dcr", DataType::Float64),
            field("sizes", DataType::UInt64),
        ])
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        refuse_distinct()
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

#[derive(Debug)]
struct DcrAccumulator(DcrSummary);

/// Numbers of a column of distances; NULL is NaN.
fn distances(column: &ArrayRef) -> Result<Vec<f64>> {
    let distances = floats(column)?;
    match distances.iter().find(|d| **d < 0.0 || d.is_infinite()) {
        Some(d) => {
            Err(DataFusionError::Execution(format!("dcr: a distance is {d}, allowed is a finite number of at least 0")))
        }
        None => Ok(distances),
    }
}

impl Accumulator for DcrAccumulator {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let Some(dcr) = columns.first() else {
            return Err(DataFusionError::Internal("dcr of no columns".into()));
        };
        let holdout = columns.get(1).map(distances).transpose()?;
        self.0.update(&distances(dcr)?, holdout.as_deref()).map_err(engine_error)?;
        if let [_, _, train, holdout] = columns {
            let sizes = train.as_primitive::<Int64Type>().iter().zip(holdout.as_primitive::<Int64Type>());
            let mut last = None;
            for size in sizes.filter(|s| s.0.is_some() && s.1.is_some()) {
                if let (Some(train), Some(holdout)) = size
                    && last != Some(size)
                {
                    let count = |n: i64| {
                        let negative = || format!("dcr: train_rows or holdout_rows is {n}, allowed is at least 0");
                        u64::try_from(n).map_err(|_| DataFusionError::Execution(negative()))
                    };
                    self.0.sizes(count(train)?, count(holdout)?).map_err(engine_error)?;
                    last = Some(size);
                }
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let f = self.0.finish();
        let figures = [
            f.mean,
            f.median,
            f.p05,
            f.identical_share,
            f.holdout_mean,
            f.holdout_median,
            f.holdout_p05,
            f.holdout_identical_share,
            f.share,
            f.share_lo,
            f.share_hi,
            f.null_share,
        ];
        let rows = Arc::new(UInt64Array::from(vec![f.rows])) as ArrayRef;
        let columns = figures.map(|v| Arc::new(Float64Array::from(vec![v])) as ArrayRef);
        let columns = std::iter::once(rows).chain(columns).collect();
        Ok(ScalarValue::Struct(Arc::new(StructArray::try_new(fields(), columns, None)?)))
    }

    fn size(&self) -> usize {
        // Twice: the figures need a sorted copy.
        size_of_val(self) + 2 * self.0.memory()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (dcr, holdout, sizes) = self.0.state();
        let column = |values: &[f64]| list(Arc::new(Float64Array::from(values.to_vec())));
        let sizes: Vec<u64> = sizes.into_iter().flat_map(|(train, holdout)| [train, holdout]).collect();
        Ok(vec![column(dcr), column(holdout), list(Arc::new(UInt64Array::from(sizes)))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [dcr, holdout, sizes] = states else {
            return Err(DataFusionError::Internal(format!("a state of dcr of {} columns", states.len())));
        };
        for row in 0..dcr.len() {
            let distances = |column| numbers::<Float64Type>(column, row);
            self.0.update(distances(dcr)?.values(), Some(distances(holdout)?.values())).map_err(engine_error)?;
            if let [train, holdout] = &numbers::<UInt64Type>(sizes, row)?.values()[..] {
                self.0.sizes(*train, *holdout).map_err(engine_error)?;
            }
        }
        Ok(())
    }
}

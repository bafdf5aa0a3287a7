//! Option expressions to values and back.

use std::sync::Arc;

use datafusion::arrow::array::Array;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result as EngineResult;
use datafusion::functions_nested::expr_fn::make_array;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, lit};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use lookalike_core::{Error, ParamKind, ParamSpec, Result, Value};

/// Folds an option's expression to a literal and its value. A parameter that is not bound yet gets the option's type,
/// so that PREPARE knows it, and no value.
pub(crate) fn constant(name: &str, expr: Expr, specs: &[ParamSpec]) -> Result<(Expr, Option<Value>)> {
    if let Expr::Literal(scalar, _) = &expr {
        let value = from_scalar(name, scalar)?;
        return Ok((expr, Some(value)));
    }
    let kind = specs.iter().find(|s| s.name == name).map(|s| s.kind);
    let allowed = || kind.map_or(String::new(), |k| format!("; allowed is {}", k.range()));
    let (mut has_parameter, mut other) = (false, None);
    let expr = expr
        .transform_up(|e| {
            Ok(match e {
                Expr::Placeholder(mut p) => {
                    has_parameter = true;
                    if p.field.is_none() {
                        let data_type = kind.map_or(DataType::Utf8, parameter_type);
                        p.field = Some(Arc::new(Field::new("", data_type, true)));
                    }
                    Transformed::yes(Expr::Placeholder(p))
                }
                other => Transformed::no(other),
            })
        })
        .map_err(|e| Error::internal(e.to_string()))?
        .data;
    let _ = expr.apply(|e| {
        match e {
            Expr::Column(c) => other = Some(format!("the column {}: write strings in quotes", c.flat_name())),
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) => {
                other = Some("a sub-query: options are constants or parameters ($1)".into());
            }
            _ => return Ok(TreeNodeRecursion::Continue),
        }
        Ok(TreeNodeRecursion::Stop)
    });
    if let Some(what) = other {
        return Err(Error::argument(format!("option '{name}' is {what}")));
    }
    if has_parameter {
        return Ok((expr, None));
    }
    let simplifier = ExprSimplifier::new(SimplifyContext::default());
    let folded = simplifier
        .coerce(expr, &DFSchema::empty())
        .and_then(|e| simplifier.simplify(e))
        .map_err(|e| Error::argument(format!("option '{name}': {}{}", e.find_root().strip_backtrace(), allowed())))?;
    match folded.unalias() {
        Expr::Literal(scalar, metadata) => {
            let value = from_scalar(name, &scalar)?;
            Ok((Expr::Literal(scalar, metadata), Some(value)))
        }
        other => Err(Error::argument(format!("option '{name}' is {other}, which is not a constant{}", allowed()))),
    }
}

fn parameter_type(kind: ParamKind) -> DataType {
    match kind {
        ParamKind::Bool => DataType::Boolean,
        ParamKind::Int { .. } => DataType::Int64,
        ParamKind::Float { .. } => DataType::Float64,
        ParamKind::Names => DataType::new_list(DataType::Utf8, true),
        // A parameter inside of a struct is one of the strings; numbers of a list may be written as strings.
        ParamKind::Text
        | ParamKind::Choice(_)
        | ParamKind::Relation
        | ParamKind::Relations
        | ParamKind::Texts
        | ParamKind::Lists
        | ParamKind::Conditions => DataType::Utf8,
        // The one place for a parameter in them is a share.
        ParamKind::Shares => DataType::Float64,
    }
}

fn from_scalar(name: &str, scalar: &ScalarValue) -> Result<Value> {
    if scalar.is_null() {
        return Ok(Value::Null);
    }
    let bad = || Error::argument(format!("option '{name}' is of type {}, which no option takes", scalar.data_type()));
    let items = |array: &dyn Array| -> Result<Vec<Value>> {
        (0..array.len())
            .map(|i| ScalarValue::try_from_array(array, i).map_err(|_| bad()).and_then(|s| from_scalar(name, &s)))
            .collect()
    };
    Ok(match scalar {
        ScalarValue::Boolean(Some(v)) => Value::Bool(*v),
        ScalarValue::Utf8(Some(v)) | ScalarValue::LargeUtf8(Some(v)) | ScalarValue::Utf8View(Some(v)) => {
            Value::Text(v.clone())
        }
        ScalarValue::Float16(_) | ScalarValue::Float32(_) | ScalarValue::Float64(_) => {
            match scalar.cast_to(&DataType::Float64) {
                Ok(ScalarValue::Float64(Some(v))) => Value::Float(v),
                _ => return Err(bad()),
            }
        }
        ScalarValue::Decimal128(Some(v), _, scale) => Value::Float(*v as f64 / 10f64.powi(i32::from(*scale))),
        ScalarValue::List(array) => Value::List(items(array.value(0).as_ref())?),
        ScalarValue::LargeList(array) => Value::List(items(array.value(0).as_ref())?),
        ScalarValue::FixedSizeList(array) => Value::List(items(array.value(0).as_ref())?),
        ScalarValue::Struct(array) => {
            let mut entries = Vec::with_capacity(array.num_columns());
            for (field, column) in array.fields().iter().zip(array.columns()) {
                entries.push((field.name().clone(), items(column.as_ref())?.remove(0)));
            }
            Value::Map(entries)
        }
        ScalarValue::Map(array) => {
            let entry = array.value(0);
            let (keys, values) = (items(entry.column(0).as_ref())?, items(entry.column(1).as_ref())?);
            let keys = keys.into_iter().map(|k| match k {
                Value::Text(k) => Ok(k),
                other => Err(Error::argument(format!("option '{name}': the key {other} is not a string"))),
            });
            Value::Map(keys.zip(values).map(|(k, v)| k.map(|k| (k, v))).collect::<Result<_>>()?)
        }
        ScalarValue::Dictionary(_, inner) => from_scalar(name, inner)?,
        integer if integer.data_type().is_integer() => match integer.cast_to(&DataType::Int64) {
            Ok(ScalarValue::Int64(Some(v))) => Value::Int(v),
            _ => return Err(Error::argument(format!("option '{name}' is {scalar}, which does not fit 64 bits"))),
        },
        _ => return Err(bad()),
    })
}

/// A literal with the given value.
pub(crate) fn to_literal(value: &Value) -> EngineResult<Expr> {
    Ok(match value {
        Value::Null => lit(ScalarValue::Null),
        Value::Bool(v) => lit(*v),
        Value::Int(v) => lit(*v),
        Value::Float(v) => lit(*v),
        Value::Text(v) => lit(v.clone()),
        Value::List(items) => make_array(items.iter().map(to_literal).collect::<EngineResult<_>>()?),
        Value::Map(entries) => {
            let mut args = Vec::with_capacity(entries.len() * 2);
            for (key, value) in entries {
                args.push(lit(key.clone()));
                args.push(to_literal(value)?);
            }
            datafusion::functions::core::expr_fn::named_struct(args)
        }
    })
}

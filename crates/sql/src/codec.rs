//! Codecs for both kinds of nodes. They encode the name, the roles and the options; children are the framework's.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Extension, LogicalPlan, ScalarUDF};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::logical_plan::{DefaultLogicalExtensionCodec, LogicalExtensionCodec};
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use lookalike_core::Value;
use serde::{Deserialize, Serialize};

use crate::exec::{LookalikeExec, as_lookalike};
use crate::function::TableFunction;
use crate::functions::function;
use crate::node::{LookalikeNode, node_from_values};
use crate::scalars::{decode_scalar, encode_scalar};

/// A call without its inputs.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Encoded {
    function: String,
    roles: Vec<String>,
    options: Vec<(String, EncodedValue)>,
    #[serde(default)]
    partitions: usize,
    #[serde(default)]
    fetch: Option<usize>,
}

/// [`Value`] in a form that keeps integers and floats apart.
#[derive(Serialize, Deserialize)]
enum EncodedValue {
    Null,
    Bool(bool),
    Int(i64),
    /// Bits, so that nothing is lost in text.
    Float(u64),
    Text(String),
    List(Vec<EncodedValue>),
    Map(Vec<(String, EncodedValue)>),
}

impl From<&Value> for EncodedValue {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(v) => Self::Bool(*v),
            Value::Int(v) => Self::Int(*v),
            Value::Float(v) => Self::Float(v.to_bits()),
            Value::Text(v) => Self::Text(v.clone()),
            Value::List(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Map(entries) => Self::Map(entries.iter().map(|(k, v)| (k.clone(), v.into())).collect()),
        }
    }
}

impl From<EncodedValue> for Value {
    fn from(value: EncodedValue) -> Self {
        match value {
            EncodedValue::Null => Self::Null,
            EncodedValue::Bool(v) => Self::Bool(v),
            EncodedValue::Int(v) => Self::Int(v),
            EncodedValue::Float(bits) => Self::Float(f64::from_bits(bits)),
            EncodedValue::Text(v) => Self::Text(v),
            EncodedValue::List(items) => Self::List(items.into_iter().map(Self::from).collect()),
            EncodedValue::Map(entries) => Self::Map(entries.into_iter().map(|(k, v)| (k, v.into())).collect()),
        }
    }
}

impl Encoded {
    fn new(function: &dyn TableFunction, roles: Vec<String>, options: &[(String, Value)]) -> Self {
        let options = options.iter().map(|(name, value)| (name.clone(), value.into())).collect();
        Self { function: function.name().into(), roles, options, partitions: 0, fetch: None }
    }

    fn write(&self, buf: &mut Vec<u8>) -> Result<()> {
        serde_json::to_writer(buf, self).map_err(|e| DataFusionError::External(Box::new(e)))
    }

    fn read(buf: &[u8], inputs: usize) -> Result<(Self, &'static dyn TableFunction)> {
        let encoded: Self = serde_json::from_slice(buf)
            .map_err(|e| DataFusionError::Plan(format!("this is no Lookalike node, or of another version: {e}")))?;
        let found = function(&encoded.function)
            .ok_or_else(|| DataFusionError::Plan(format!("this version has no function '{}'", encoded.function)))?;
        if encoded.roles.len() != inputs {
            let roles = encoded.roles.len();
            return Err(DataFusionError::Plan(format!("{}: {inputs} inputs for {roles} roles", encoded.function)));
        }
        Ok((encoded, found))
    }
}

/// Options of a decoded call.
fn values(options: Vec<(String, EncodedValue)>) -> Vec<(String, Value)> {
    options.into_iter().map(|(name, value)| (name, value.into())).collect()
}

/// Codec of our logical nodes; what is not ours goes to the engine's default codec.
#[derive(Debug, Default)]
pub struct LookalikeLogicalCodec;

const DEFAULT: DefaultLogicalExtensionCodec = DefaultLogicalExtensionCodec {};

impl LogicalExtensionCodec for LookalikeLogicalCodec {
    fn try_decode(&self, buf: &[u8], inputs: &[LogicalPlan], _: &TaskContext) -> Result<Extension> {
        let (encoded, function) = Encoded::read(buf, inputs.len())?;
        let inputs = encoded.roles.into_iter().zip(inputs.iter().cloned()).collect();
        let node = node_from_values(function, values(encoded.options), inputs)?;
        Ok(Extension { node: Arc::new(node) })
    }

    fn try_encode(&self, node: &Extension, buf: &mut Vec<u8>) -> Result<()> {
        let Some(node) = node.node.as_any().downcast_ref::<LookalikeNode>() else {
            return DEFAULT.try_encode(node, buf);
        };
        Encoded::new(node.function(), node.roles(), &node.values()?).write(buf)
    }

    fn try_decode_table_provider(
        &self,
        buf: &[u8],
        table: &TableReference,
        schema: SchemaRef,
        ctx: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        DEFAULT.try_decode_table_provider(buf, table, schema, ctx)
    }

    fn try_encode_table_provider(
        &self,
        table: &TableReference,
        provider: Arc<dyn TableProvider>,
        buf: &mut Vec<u8>,
    ) -> Result<()> {
        DEFAULT.try_encode_table_provider(table, provider, buf)
    }

    fn try_decode_udf(&self, name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
        decode_scalar(name, buf)
    }

    fn try_encode_udf(&self, function: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
        encode_scalar(function, buf)
    }
}

/// Codec of our operators.
#[derive(Debug, Default)]
pub struct LookalikePhysicalCodec;

impl PhysicalExtensionCodec for LookalikePhysicalCodec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &TaskContext,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (encoded, function) = Encoded::read(buf, inputs.len())?;
        let inputs = encoded.roles.into_iter().zip(inputs.iter().cloned()).collect();
        let options = values(encoded.options);
        Ok(Arc::new(LookalikeExec::try_new(function, options, inputs, encoded.partitions, encoded.fetch)?))
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let Some(exec) = as_lookalike(node.as_ref()) else {
            return Err(DataFusionError::NotImplemented(format!("{} is not a Lookalike operator", node.name())));
        };
        let mut encoded = Encoded::new(exec.function(), exec.roles().to_vec(), exec.options());
        encoded.partitions = exec.properties().partitioning.partition_count();
        encoded.fetch = exec.fetch();
        encoded.write(buf)
    }

    fn try_decode_udf(&self, name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
        decode_scalar(name, buf)
    }

    fn try_encode_udf(&self, function: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
        encode_scalar(function, buf)
    }
}

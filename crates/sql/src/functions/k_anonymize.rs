//! K_ANONYMIZE(input, k =>, quasi_identifiers =>): the input's rows with quasi-identifiers generalised.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lookalike_anonymize::{
    Checked, KAnonymizeParams, METHODS, Method, OutputForm, Release, Rule, SUPPRESSED, find_method,
};
use lookalike_core::{
    Default, EncodeSpec, Error, FrameBuilder, Job, Options, ParamKind, ParamSpec, Reservation, Result, Value,
};

use super::common::{IDENTIFIERS, PRIVACY_UNIT, RULES, distinct, require_column, rules};
use super::hierarchies::hierarchy;
use crate::exec::encode_together;
use crate::function::{Call, Gathered, Operation, Output, RelationSpec, TableFunction, Want, starts};

/// K_ANONYMIZE as a table function.
#[derive(Debug)]
pub struct KAnonymize;

const OUTPUTS: &[&str] = &["interval", "range", "mean"];

const OPTIONS: [ParamSpec; 7] = [
    ParamSpec {
        name: "k",
        kind: ParamKind::Int { min: 2, max: i64::MAX },
        default: Default::Required,
        purpose: "Persons (rows without privacy_unit) that share every released combination of quasi-identifiers.",
    },
    ParamSpec {
        name: "quasi_identifiers",
        kind: ParamKind::Names,
        default: Default::Required,
        purpose: "Columns an attacker may know from elsewhere: generalised until k persons share each combination.",
    },
    ParamSpec {
        name: "method",
        kind: ParamKind::Text,
        default: Default::Text("mondrian"),
        purpose: "How classes are found.",
    },
    ParamSpec {
        name: "hierarchies",
        kind: ParamKind::Relations,
        default: Default::Unset("none"),
        purpose: "Tables of generalisations, a column a level with the value itself first, for quasi-identifiers by name.",
    },
    ParamSpec {
        name: "suppression_limit",
        kind: ParamKind::Float { min: 0.0, max: 1.0 },
        default: Default::Float(0.0),
        purpose: "Largest share of the rows that may be dropped so that the others stay finer.",
    },
    ParamSpec {
        name: "output",
        kind: ParamKind::Choice(OUTPUTS),
        default: Default::Text("interval"),
        purpose: "Numbers and dates as text intervals, as {lower, upper, has_null}, or as the mean of the class.",
    },
    ParamSpec {
        name: "class_id",
        kind: ParamKind::Bool,
        default: Default::Bool(false),
        purpose: "Adds the number of each row's class as column class_id.",
    },
];

impl TableFunction for KAnonymize {
    fn name(&self) -> &'static str {
        "k_anonymize"
    }

    fn summary(&self) -> &'static str {
        "The input's rows with quasi-identifiers generalised so that at least k persons share every combination. Other \
         columns leave unchanged; columns named as identifiers are dropped."
    }

    fn relations(&self) -> &'static [RelationSpec] {
        &[RelationSpec { name: "input", required: true, purpose: "the rows to anonymise" }]
    }

    fn options(&self) -> Vec<ParamSpec> {
        OPTIONS.iter().copied().chain([RULES, IDENTIFIERS, PRIVACY_UNIT]).collect()
    }

    fn schema_options(&self) -> &'static [&'static str] {
        &["quasi_identifiers", "output", "class_id", "identifiers", "privacy_unit", "hierarchies"]
    }

    fn schema(&self, call: &Call) -> Result<SchemaRef> {
        Ok(Arc::clone(&plan(call)?.schema))
    }

    fn operation(&self, call: &Call) -> Result<Arc<dyn Operation>> {
        let options = &call.options;
        let params = KAnonymizeParams {
            k: options.int("k").map_or(0, |k| k as usize),
            suppression_limit: options.float("suppression_limit").unwrap_or_default(),
        };
        Ok(Arc::new(Anonymize { plan: plan(call)?, params: params.check()?, method: method(options)? }))
    }
}

fn method(options: &Options) -> Result<&'static dyn Method> {
    options.text("method").map_or(Ok(METHODS[0]), |name| find_method(&name.to_lowercase()))
}

/// What options and schema decide.
#[derive(Debug)]
struct Plan {
    schema: SchemaRef,
    spec: EncodeSpec,
    form: OutputForm,
    leaving: Vec<Leaving>,
    class_id: bool,
    /// Input of the hierarchy of each quasi-identifier.
    hierarchies: Vec<Option<usize>>,
    /// Rule of each quasi-identifier.
    rules: Vec<Option<Rule>>,
    /// Columns to keep of each input: those that leave unchanged, and all of a hierarchy.
    kept: Vec<Vec<usize>>,
}

/// Where a column that leaves comes from.
#[derive(Debug, Clone, Copy)]
enum Leaving {
    /// What the classes show of this quasi-identifier.
    Generalised(usize),
    /// This one of the kept columns.
    Unchanged(usize),
}

fn plan(call: &Call) -> Result<Plan> {
    let input = call.required("input")?;
    let options = &call.options;
    method(options)?;
    let quasi = options.names("quasi_identifiers");
    if quasi.is_empty() {
        return Err(Error::argument("option 'quasi_identifiers' is empty, allowed is at least one column"));
    }
    distinct("quasi_identifiers", &quasi)?;
    quasi.iter().try_for_each(|name| require_column("quasi_identifiers", name, input))?;
    let identifiers = options.names("identifiers");
    distinct("identifiers", &identifiers)?;
    identifiers.iter().try_for_each(|name| require_column("identifiers", name, input))?;
    let unit = options.text("privacy_unit").map(str::to_string);
    if let Some(unit) = &unit {
        require_column("privacy_unit", unit, input)?;
    }
    if let Some(both) = quasi.iter().find(|q| identifiers.contains(q) || unit.as_ref() == Some(q)) {
        return Err(Error::argument(format!(
            "quasi_identifiers: column '{both}' is also named as identifier or privacy unit, which no class can share"
        )));
    }
    let mut hierarchies = vec![None; quasi.len()];
    if let Some(Value::Map(entries)) = options.get("hierarchies") {
        for (column, _) in entries {
            let Some(place) = quasi.iter().position(|q| q == column) else {
                return Err(Error::argument(format!("hierarchies: column '{column}' is not a quasi-identifier")));
            };
            hierarchies[place] = call.position(&format!("hierarchies.{column}"));
        }
    }
    let rules = rules(options, &quasi, input)?;
    let form = match options.choice("output").as_deref() {
        Some("range") => OutputForm::Range,
        Some("mean") => OutputForm::Mean,
        _ => OutputForm::Interval,
    };
    let class_id = options.bool("class_id");
    if class_id && input.column_with_name("class_id").is_some() {
        return Err(Error::argument("class_id: the input has a column 'class_id' already: rename it with AS"));
    }
    let mut fields = Vec::new();
    let mut leaving = Vec::new();
    let mut unchanged = Vec::new();
    for (i, field) in input.fields().iter().enumerate().filter(|(_, f)| !identifiers.contains(f.name())) {
        match quasi.iter().position(|q| q == field.name()) {
            Some(place) => {
                leaving.push(Leaving::Generalised(place));
                fields.push(Arc::new(Release::output_field(field, is_category(field.data_type()), form)));
            }
            None => {
                leaving.push(Leaving::Unchanged(unchanged.len()));
                unchanged.push(i);
                fields.push(Arc::clone(field));
            }
        }
    }
    if class_id {
        fields.push(Arc::new(Field::new("class_id", DataType::Int64, false)));
    }
    let spec = EncodeSpec { columns: Some(quasi), identifiers: vec![], unit, detect_identifiers: false };
    FrameBuilder::new(Arc::clone(input), spec.clone())?;
    let schema = Arc::new(Schema::new(fields));
    let tables = call.inputs[1..].iter().map(|(_, schema)| (0..schema.fields().len()).collect());
    let kept = std::iter::once(unchanged).chain(tables).collect();
    Ok(Plan { schema, spec, form, leaving, class_id, hierarchies, rules, kept })
}

fn is_category(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_category(values),
        DataType::Boolean | DataType::Null => true,
        other => other.is_string(),
    }
}

struct Anonymize {
    plan: Plan,
    params: Checked<KAnonymizeParams>,
    method: &'static dyn Method,
}

impl std::fmt::Debug for Anonymize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Anonymize({}, {:?})", self.method.name(), self.params)
    }
}

impl Operation for Anonymize {
    fn wants(&self) -> Vec<Want> {
        let keep = |columns: &Vec<usize>| Want { keep: Some(columns.clone()), ..Want::default() };
        let mut wants: Vec<Want> = self.plan.kept.iter().map(keep).collect();
        wants[0].encode = Some(self.plan.spec.clone());
        wants
    }

    fn run(&self, mut inputs: Vec<Gathered>, job: &Job) -> Result<Arc<dyn Output>> {
        let hierarchy_tables = inputs.split_off(1);
        let input = encode_together(inputs, job)?.pop().ok_or_else(|| Error::internal("no input"))?;
        let hierarchies = self
            .plan
            .hierarchies
            .iter()
            .zip(&self.plan.rules)
            .zip(input.frame.columns())
            .map(|((table, rule), column)| match (table, rule) {
                (Some(i), _) => hierarchy(column, &hierarchy_tables[i - 1].batches).map(Some),
                (None, Some(rule)) => rule.hierarchy(column).map_err(|e| e.within("rules")).map(Some),
                (None, None) => Ok(None),
            })
            .collect::<Result<Vec<_>>>()?;
        job.count("rows", input.frame.rows());
        let release = self.method.anonymize(&input.frame, &hierarchies, &self.params, job)?;
        let rendered = (0..hierarchies.len())
            .map(|column| release.render(column, &input.frame, self.plan.form))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let shown: usize = rendered.iter().map(|array| array.get_array_memory_size()).sum();
        let mut memory = input.memory;
        memory.push(job.reserve(release.memory() + shown, "classes")?);
        // The check holds every tuple twice, as rows and as keys of a map.
        let checking = job.reserve(2 * shown + release.classes.len() * 64, "checking the release")?;
        release.verify(&rendered, &input.frame, self.params.k)?;
        drop(checking);
        let mut row = 0;
        let kept = input.batches.iter().map(|batch| {
            let classes = &release.class_of[row..row + batch.num_rows()];
            row += batch.num_rows();
            classes.iter().filter(|&&c| c != SUPPRESSED).count() as u64
        });
        let starts = starts(kept);
        let first_rows = crate::function::starts(input.batches.iter().map(|b| b.num_rows() as u64));
        Ok(Arc::new(Released {
            schema: Arc::clone(&self.plan.schema),
            leaving: self.plan.leaving.clone(),
            class_id: self.plan.class_id,
            batches: input.batches,
            starts,
            first_rows,
            class_of: release.class_of,
            rendered,
            _memory: memory,
        }))
    }
}

struct Released {
    schema: SchemaRef,
    leaving: Vec<Leaving>,
    class_id: bool,
    batches: Vec<RecordBatch>,
    starts: Vec<u64>,
    first_rows: Vec<u64>,
    class_of: Vec<u32>,
    rendered: Vec<ArrayRef>,
    _memory: Vec<Reservation>,
}

impl Output for Released {
    fn chunks(&self) -> u64 {
        self.batches.len() as u64
    }

    fn start(&self, chunk: u64) -> u64 {
        self.starts[chunk as usize]
    }

    fn chunk(&self, chunk: u64, _: &Job) -> Result<RecordBatch> {
        let batch = &self.batches[chunk as usize];
        let first = self.first_rows[chunk as usize] as usize;
        let all = &self.class_of[first..first + batch.num_rows()];
        let classes = UInt32Array::from_iter_values(all.iter().copied().filter(|&class| class != SUPPRESSED));
        let left = (classes.len() < all.len()).then(|| {
            let left = |(row, &class): (u32, &u32)| (class != SUPPRESSED).then_some(row);
            (0..).zip(all).filter_map(left).collect::<UInt32Array>()
        });
        let mut columns = self
            .leaving
            .iter()
            .map(|leaving| match (leaving, &left) {
                (Leaving::Generalised(place), _) => Ok(take(&self.rendered[*place], &classes, None)?),
                (Leaving::Unchanged(column), Some(rows)) => Ok(take(batch.column(*column), rows, None)?),
                (Leaving::Unchanged(column), None) => Ok(Arc::clone(batch.column(*column))),
            })
            .collect::<Result<Vec<ArrayRef>>>()?;
        if self.class_id {
            columns.push(Arc::new(Int64Array::from_iter_values(classes.values().iter().map(|&c| i64::from(c)))));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(classes.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

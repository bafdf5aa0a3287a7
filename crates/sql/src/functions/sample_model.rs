//! SAMPLE_MODEL('path' [, exclude], rows =>, seed =>): rows of a saved model.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use lookalike_core::{Default, EncodeSpec, Error, FrameBuilder, Job, ParamKind, ParamSpec, Result, list_names};
use lookalike_models::{Ask, Asked, SavedModel, Synthesizer};

use super::common::{SEED, comparable};
use super::synthesize::{ROWS, Sample, pairs};
use super::{ask, ask::ASK};
use crate::exec::encode_together;
use crate::function::{Call, FileSpec, FileUse, Gathered, Operation, Output, RelationSpec, TableFunction, Want};

/// SAMPLE_MODEL as a table function.
#[derive(Debug)]
pub struct SampleModel;

const PATH: ParamSpec = ParamSpec {
    name: "path",
    kind: ParamKind::Text,
    default: Default::Required,
    purpose: "File of the model: a path or URL.",
};

/// What planning read of the file.
const SAVED_SCHEMA: ParamSpec = ParamSpec {
    name: "saved_schema",
    kind: ParamKind::Text,
    default: Default::Unset("not read"),
    purpose: "The schema in the file of the model.",
};

/// Memory of a model in bytes of its file: the file, and what is prepared for sampling.
const MEMORY: usize = 4;

impl TableFunction for SampleModel {
    fn name(&self) -> &'static str {
        "sample_model"
    }

    fn summary(&self) -> &'static str {
        "Rows drawn from a saved model, in the schema of the rows it was trained on."
    }

    fn relations(&self) -> &'static [RelationSpec] {
        &[RelationSpec {
            name: "exclude",
            required: false,
            purpose: "rows that must not come out, such as the training rows",
        }]
    }

    fn options(&self) -> Vec<ParamSpec> {
        let mut options =
            vec![PATH, ParamSpec { default: Default::Unset("as many as the model was trained on"), ..ROWS }, SEED];
        options.extend(ASK);
        options
    }

    fn schema_options(&self) -> &'static [&'static str] {
        &["path"]
    }

    fn unnamed(&self) -> Option<&'static str> {
        Some(PATH.name)
    }

    fn files(&self) -> &'static [FileSpec] {
        &[FileSpec { option: PATH.name, usage: FileUse::Model, planned_as: SAVED_SCHEMA.name }]
    }

    fn planned(&self) -> &'static [ParamSpec] {
        &[SAVED_SCHEMA]
    }

    fn schema(&self, call: &Call) -> Result<SchemaRef> {
        let saved = saved(call)?;
        if saved.is_of_pairs {
            pairs::check_options(&call.options)?;
            if call.input("exclude").is_some() {
                return Err(Error::argument(
                    "the relation 'exclude' does not go with a model of pairs: which records equal one is for SYNTHESIZE, which \
                     has them, to leave out",
                ));
            }
            return Ok(saved.schema);
        }
        exclude_spec(call, &saved)?;
        ask::check(&call.options, &saved.schema)?;
        Ok(saved.schema)
    }

    fn operation(&self, call: &Call) -> Result<Arc<dyn Operation>> {
        let saved = saved(call)?;
        Ok(Arc::new(Load {
            path: call.options.text(PATH.name).unwrap_or_default().to_string(),
            exclude: exclude_spec(call, &saved)?,
            saved,
            rows: call.options.int("rows").map(i64::unsigned_abs),
            seed: call.seed(),
            ask: ask::ask(&call.options)?,
        }))
    }
}

/// What planning read of the file.
fn saved(call: &Call) -> Result<SavedModel> {
    let text = call.options.text(SAVED_SCHEMA.name);
    SavedModel::from_text(text.ok_or_else(|| Error::internal("the plan does not hold the schema of the model"))?)
}

/// How the rows to leave out are encoded: on every column that is no identifier. `None` without such rows.
fn exclude_spec(call: &Call, saved: &SavedModel) -> Result<Option<EncodeSpec>> {
    let Some(exclude) = call.input("exclude") else { return Ok(None) };
    let compared = || saved.schema.fields().iter().filter(|f| !saved.identifiers.contains(f.name()));
    for field in compared() {
        let name = field.name();
        let Some((_, found)) = exclude.column_with_name(name) else {
            return Err(Error::argument(format!(
                "the relation 'exclude' has no column '{name}' of the model (its columns: {}; those of the model: {})",
                list_names(exclude.fields().iter().map(|f| f.name().as_str())),
                list_names(compared().map(|f| f.name().as_str()))
            )));
        };
        if !comparable(field.data_type(), found.data_type()) {
            return Err(Error::argument(format!(
                "column '{name}' is {} in the model and {} in 'exclude': cast it",
                field.data_type(),
                found.data_type()
            )));
        }
    }
    let columns = Some(compared().map(|f| f.name().clone()).collect());
    let spec = EncodeSpec { columns, ..EncodeSpec::default() };
    FrameBuilder::new(Arc::clone(exclude), spec.clone()).map_err(|e| e.within("relation 'exclude'"))?;
    Ok(Some(spec))
}

#[derive(Debug)]
struct Load {
    path: String,
    saved: SavedModel,
    exclude: Option<EncodeSpec>,
    rows: Option<u64>,
    seed: u64,
    ask: Ask,
}

impl Operation for Load {
    fn wants(&self) -> Vec<Want> {
        let like = Some(Arc::clone(&self.saved.schema));
        let want = |spec: &EncodeSpec| Want { encode: Some(spec.clone()), like: like.clone(), ..Want::default() };
        self.exclude.iter().map(want).collect()
    }

    fn run(&self, inputs: Vec<Gathered>, job: &Job) -> Result<Arc<dyn Output>> {
        let within = |e: Error| e.within(format!("'{}'", self.path));
        let file = job.read_file(&self.path)?;
        let memory = job.reserve(file.len() * MEMORY, "a saved model")?;
        if SavedModel::describe(&file).map_err(within)? != self.saved {
            return Err(Error::data(format!(
                "'{}' has changed since this was planned, and its rows have other columns: plan it again (a view: create it \
                 again)",
                self.path
            )));
        }
        let (mut synthesizer, pairs) = Synthesizer::open(&file, self.rows, self.seed).map_err(within)?;
        drop(file);
        if let Some(pairs) = pairs {
            if synthesizer.lacks_rows_to_exclude() {
                job.warn(
                    "the model was trained with filter_copies, but a file holds no training records to compare with: the codes of \
                     a record may be those of one of them; SYNTHESIZE leaves those out",
                );
            }
            return pairs::output(Arc::clone(&self.saved.schema), pairs, &synthesizer, job);
        }
        if let Some(exclude) = encode_together(inputs, job)?.pop() {
            synthesizer.exclude(&exclude.frame, job).map_err(|e| e.within("relation 'exclude'"))?;
        }
        if synthesizer.lacks_rows_to_exclude() {
            job.warn(
                "the model was trained with filter_copies, but a file holds no training rows to compare with: rows may equal one \
                 of them; give the training rows as the second argument to leave those out",
            );
        }
        let schema = Arc::clone(&self.saved.schema);
        let asked = Asked::new(synthesizer, &self.ask, job)?;
        Ok(Arc::new(Sample { schema, asked, _memory: Some(memory) }))
    }
}

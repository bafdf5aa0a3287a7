//! MIA_SCORE(members, non_members, synthetic): membership inference scores of every target.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, UInt32Array, new_empty_array,
};
use datafusion::arrow::compute::{cast, concat, take};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use lookalike_attacks::{ATTACKS, Attack, Evidence, draw_targets, score_units, split_reference};
use lookalike_core::{
    Default, EncodeSpec, Error, Frame, Job, Options, ParamKind, ParamSpec, Result, closest, list_names,
};

use super::common::{COLUMNS, IDENTIFIERS, PRIVACY_UNIT, SEED, common_types, comparison, options_of, refuse_unused};
use super::overlap::{no_common_person, warn_of_known_persons, warn_of_known_rows};
use super::trainer::{self, ModelTrainer};
use crate::exec::encode_together;
use crate::function::{Batches, Call, Gathered, Operation, Output, RelationSpec, TableFunction, Want};

/// MIA_SCORE as a table function.
#[derive(Debug)]
pub struct MiaScore;

pub(super) const ATTACKS_OPTION: ParamSpec = ParamSpec {
    name: "attacks",
    kind: ParamKind::Names,
    default: Default::Unset("all attacks that train no generators"),
    purpose: "Names of attacks, as LOOKALIKE_ATTACKS() lists them.",
};

pub(super) const REFERENCE: ParamSpec = ParamSpec {
    name: "reference",
    kind: ParamKind::Relation,
    default: Default::Unset("half of the non-members, drawn by content and seed and then not scored"),
    purpose: "Other real rows of the same population that the attacker has, for attacks that compare with them.",
};

pub(super) const MAX_TARGETS: ParamSpec = ParamSpec {
    name: "max_targets",
    kind: ParamKind::Int { min: 1, max: u32::MAX as i64 },
    default: Default::Unset("all"),
    purpose: "Members and non-members to score at most, of each so many, drawn by content and seed.",
};

impl TableFunction for MiaScore {
    fn name(&self) -> &'static str {
        "mia_score"
    }

    fn summary(&self) -> &'static str {
        "Membership inference: the score each attack gives to every member and non-member, one row a target and attack; \
         the aggregate mia_score(score, is_member) turns them into figures."
    }

    fn relations(&self) -> &'static [RelationSpec] {
        &[
            RelationSpec { name: "members", required: true, purpose: "rows the generator was trained on" },
            RelationSpec { name: "non_members", required: true, purpose: "rows of the same population it never saw" },
            RelationSpec { name: "synthetic", required: true, purpose: "the synthetic rows" },
        ]
    }

    fn options(&self) -> Vec<ParamSpec> {
        let mut options = vec![ATTACKS_OPTION, REFERENCE, MAX_TARGETS, SEED, COLUMNS, IDENTIFIERS, PRIVACY_UNIT];
        for param in ATTACKS.iter().flat_map(|a| a.params()).copied().chain(trainer::options()) {
            if options.iter().all(|o| o.name != param.name) {
                options.push(param);
            }
        }
        options
    }

    fn schema_options(&self) -> &'static [&'static str] {
        &["identifiers", "privacy_unit"]
    }

    fn schema(&self, call: &Call) -> Result<SchemaRef> {
        let chosen = attacks(&call.options)?;
        let all = ATTACKS.iter().map(|a| (a.name(), a.params()));
        let is_chosen = |name: &str| chosen.iter().any(|a| a.name() == name);
        refuse_unused(&call.options, all, is_chosen)?;
        let training = trainer::options();
        let trainers = ATTACKS.iter().filter(|a| a.needs_trainer()).map(|a| (a.name(), training.as_slice()));
        refuse_unused(&call.options, trainers, is_chosen)?;
        trainer::model_options(&call.options)?;
        comparison(call, "members", &["synthetic"])?;
        let mut fields = vec![
            Arc::new(Field::new("attack", DataType::Utf8, false)),
            Arc::new(Field::new("is_member", DataType::Boolean, false)),
            Arc::new(Field::new("score", DataType::Float64, false)),
        ];
        fields.extend(keys(call)?);
        Ok(Arc::new(Schema::new(fields)))
    }

    fn operation(&self, call: &Call) -> Result<Arc<dyn Operation>> {
        let specs = comparison(call, "members", &["synthetic"])?;
        let schema = self.schema(call)?;
        let keys = |role| -> Result<Vec<usize>> {
            let input = call.required(role)?;
            let place = |f: &FieldRef| input.index_of(f.name()).map_err(|e| Error::internal(e.to_string()));
            schema.fields()[3..].iter().map(place).collect()
        };
        Ok(Arc::new(Score {
            kept: vec![keys("members")?, keys("non_members")?],
            reference_key: match call.options.text("privacy_unit") {
                Some(_) if call.inputs.iter().any(|(role, _)| role == "reference") => Some(keys("reference")?),
                _ => None,
            },
            schema: Arc::clone(&schema),
            like: common_types(call, "members", &specs)?,
            specs,
            attacks: attacks(&call.options)?,
            trainer: ModelTrainer::of(&call.options)?,
            options: call.options.clone(),
            seed: call.seed(),
        }))
    }
}

/// Key columns: the person, or the identifiers named in the call.
fn keys(call: &Call) -> Result<Vec<FieldRef>> {
    let names = match call.options.text("privacy_unit") {
        Some(unit) => vec![unit.to_string()],
        None => call.options.names("identifiers"),
    };
    let (members, others) = (call.required("members")?, call.required("non_members")?);
    names
        .iter()
        .map(|name| {
            if others.column_with_name(name).is_none() {
                return Err(Error::argument(format!("identifiers: the relation 'non_members' has no column '{name}'")));
            }
            if matches!(name.as_str(), "attack" | "is_member" | "score") {
                return Err(Error::argument(format!(
                    "the key column '{name}' has a name of the result: rename it with AS"
                )));
            }
            let field = members.field_with_name(name).map_err(|e| Error::internal(e.to_string()))?;
            Ok(Arc::new(field.clone().with_nullable(true)))
        })
        .collect()
}

pub(super) fn attacks(options: &Options) -> Result<Vec<&'static dyn Attack>> {
    let names = options.names("attacks");
    if names.is_empty() {
        if options.get("attacks").is_some() {
            return Err(Error::argument("option 'attacks' is empty, allowed is at least one name"));
        }
        return Ok(ATTACKS.iter().copied().filter(|a| !a.needs_trainer()).collect());
    }
    super::common::distinct("attacks", &names)?;
    names
        .iter()
        .map(|name| {
            ATTACKS.iter().copied().find(|a| a.name() == name.to_lowercase()).ok_or_else(|| {
                let known = || ATTACKS.iter().map(|a| a.name());
                let hint = closest(name, known()).map(|c| format!("; did you mean '{c}'?")).unwrap_or_default();
                Error::argument(format!("there is no attack '{name}'{hint} (attacks: {})", list_names(known())))
            })
        })
        .collect()
}

struct Score {
    schema: SchemaRef,
    /// Key columns of members and of non-members.
    kept: Vec<Vec<usize>>,
    /// The person's column of the reference, where persons are compared.
    reference_key: Option<Vec<usize>>,
    like: SchemaRef,
    specs: Vec<EncodeSpec>,
    attacks: Vec<&'static dyn Attack>,
    trainer: ModelTrainer,
    options: Options,
    seed: u64,
}

impl std::fmt::Debug for Score {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Score({:?})", self.attacks.iter().map(|a| a.name()).collect::<Vec<_>>())
    }
}

/// Targets of one side: their rows, and the key columns of each row.
#[derive(Clone)]
struct Targets {
    is_member: bool,
    frame: Frame,
    keys: Vec<ArrayRef>,
}

impl Targets {
    fn gather(&self, rows: &[u32]) -> Result<Self> {
        let places = UInt32Array::from(rows.to_vec());
        let keys = self.keys.iter().map(|k| Ok(take(k, &places, None)?)).collect::<Result<_>>()?;
        Ok(Self { is_member: self.is_member, frame: self.frame.gather_persons(rows), keys })
    }
}

impl Operation for Score {
    fn wants(&self) -> Vec<Want> {
        let want = |(i, spec): (usize, &EncodeSpec)| Want {
            encode: Some(spec.clone()),
            keep: if i == 3 { self.reference_key.clone() } else { self.kept.get(i).cloned() },
            like: Some(Arc::clone(&self.like)),
            spill: false,
        };
        self.specs.iter().enumerate().map(want).collect()
    }

    fn run(&self, inputs: Vec<Gathered>, job: &Job) -> Result<Arc<dyn Output>> {
        let relations = encode_together(inputs, job)?;
        let [members, non_members, synthetic, rest @ ..] = relations.as_slice() else {
            return Err(Error::internal("mia_score without its relations"));
        };
        for (role, relation) in [("members", members), ("non_members", non_members)] {
            if relation.frame.rows() == 0 {
                return Err(Error::data(format!("the relation '{role}' has no rows to score")));
            }
        }
        let given = rest.first().map(|r| &r.frame);
        let mut batches = Vec::new();
        // Both sides with all non-members, and without those that serve as reference.
        let whole = [
            Targets { is_member: true, frame: members.frame.clone(), keys: self.keys(&members.batches)? },
            Targets { is_member: false, frame: non_members.frame.clone(), keys: self.keys(&non_members.batches)? },
        ];
        if members.frame.units().is_some() {
            no_common_person(("members", &whole[0].keys), ("non_members", &whole[1].keys))?;
        }
        if let Some(reference) = rest.first() {
            let keys = if self.reference_key.is_some() { self.keys(&reference.batches)? } else { vec![] };
            for targets in &whole {
                let side = if targets.is_member { "members" } else { "non_members" };
                match self.reference_key {
                    Some(_) => warn_of_known_persons(&keys, (side, &targets.keys), job)?,
                    None => warn_of_known_rows(&reference.frame, (side, &targets.frame), job)?,
                }
            }
        }
        let _memory = job.reserve(2 * members.frame.memory() + 3 * non_members.frame.memory(), "targets")?;
        let [members_scored, others_scored] = [self.draw(&whole[0], job)?, self.draw(&whole[1], job)?];
        let mut halves: Option<(Targets, Frame)> = None;
        for attack in &self.attacks {
            let options = options_of(attack.params(), &self.options)?;
            let (non_members, reference) = if attack.needs_reference() && given.is_none() {
                let (targets, reference) = match &halves {
                    Some(halves) => halves,
                    None => {
                        let (targets, reference) = self.split(&whole[1])?;
                        halves.insert((self.draw(&targets, job)?.into_owned(), reference))
                    }
                };
                (targets, Some(reference))
            } else {
                (&*others_scored, given)
            };
            let evidence = Evidence { synthetic: &synthetic.frame, reference, trainer: Some(&self.trainer) };
            let targets = [&*members_scored, non_members];
            let stacked = Frame::stack(&targets.map(|t| &t.frame))?;
            let scores = attack.score(&stacked, &evidence, &options, self.seed, job)?;
            let (of_members, of_others) = scores.split_at(targets[0].frame.rows());
            for (targets, scores) in targets.into_iter().zip([of_members, of_others]) {
                batches.push(self.batch(*attack, targets, scores)?);
            }
        }
        Ok(Arc::new(Batches::new(batches)))
    }
}

impl Score {
    fn keys(&self, batches: &[RecordBatch]) -> Result<Vec<ArrayRef>> {
        self.schema.fields()[3..]
            .iter()
            .map(|field| {
                let parts = batches
                    .iter()
                    .map(|b| {
                        let column = b
                            .column_by_name(field.name())
                            .ok_or_else(|| Error::internal(format!("key column '{}' is gone", field.name())))?;
                        Ok(cast(column, field.data_type())?)
                    })
                    .collect::<Result<Vec<ArrayRef>>>()?;
                let parts: Vec<_> = parts.iter().map(|p| p.as_ref()).collect();
                Ok(if parts.is_empty() { new_empty_array(field.data_type()) } else { concat(&parts)? })
            })
            .collect()
    }

    /// So many of the targets as the call asks for.
    fn draw<'a>(&self, side: &'a Targets, job: &Job) -> Result<Cow<'a, Targets>> {
        let Some(most) = self.options.int(MAX_TARGETS.name) else { return Ok(Cow::Borrowed(side)) };
        let rows = draw_targets(&side.frame, most as usize, self.seed);
        if rows.len() == side.frame.rows() {
            return Ok(Cow::Borrowed(side));
        }
        job.warn(&format!(
            "max_targets => {most}: of {} rows of {}, {} are scored",
            side.frame.rows(),
            if side.is_member { "members" } else { "non-members" },
            rows.len()
        ));
        Ok(Cow::Owned(side.gather(&rows)?))
    }

    /// Non-members that are scored, and those that serve as reference.
    fn split(&self, non_members: &Targets) -> Result<(Targets, Frame)> {
        let (scored, reference) = split_reference(&non_members.frame, self.seed)?;
        Ok((non_members.gather(&scored)?, non_members.frame.gather_persons(&reference)))
    }

    fn batch(&self, attack: &dyn Attack, targets: &Targets, scores: &[f64]) -> Result<RecordBatch> {
        // One row a person: any of its rows has its key.
        let (scores, rows) = match targets.frame.units() {
            None => (scores.to_vec(), None),
            Some(units) => {
                let mut first = vec![u32::MAX; units.count as usize];
                for (row, &unit) in units.codes.iter().enumerate() {
                    let slot = &mut first[unit as usize];
                    *slot = (*slot).min(row as u32);
                }
                let of_persons = score_units(&targets.frame, scores)?;
                let present = of_persons.into_iter().zip(first).filter(|(_, row)| *row != u32::MAX);
                let (scores, rows): (Vec<f64>, Vec<u32>) = present.unzip();
                (scores, Some(UInt32Array::from(rows)))
            }
        };
        let n = scores.len();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(attack.name(), n))),
            Arc::new(BooleanArray::from(vec![targets.is_member; n])),
            Arc::new(Float64Array::from(scores)),
        ];
        for key in &targets.keys {
            columns.push(match &rows {
                Some(rows) => take(key, rows, None)?,
                None => Arc::clone(key),
            });
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

//! K_ANONYMIZE(input, k =>, quasi_identifiers =>): the input's rows with quasi-identifiers generalised.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::row::{RowConverter, SortField};
use lookalike_anonymize::itemsets::KmParams;
use lookalike_anonymize::{
    AnonymizeParams, Attribute, Checked, Distance, Hierarchy, Items, Method, Problem, Release, anonymize,
    anonymize_on_disk,
};
use lookalike_core::{
    Column, Error, Frame, FrameBuilder, Guarantee, Job, Options, ParamSpec, Reservation, Result, SpilledRows, Values,
    bytes_hash, encode,
};

use super::hierarchies::hierarchy;
use crate::exec::{Kept, encode_together};
use crate::function::{Call, Gathered, Operation, Output, RelationSpec, Spilled, TableFunction, Want};

mod claim;
mod items;
mod noise;
mod options;
mod plan;
mod released;

use items::recode;
use noise::Noise;
use options::{criteria, params, without_classes};
use plan::{Plan, method};
use released::{Released, Replaced};

/// K_ANONYMIZE as a table function.
#[derive(Debug)]
pub struct KAnonymize;

impl TableFunction for KAnonymize {
    fn name(&self) -> &'static str {
        "k_anonymize"
    }

    fn summary(&self) -> &'static str {
        "The input's rows with quasi-identifiers generalised so that at least k persons share every combination, and that \
         what they share gives no sensitive value away. Other columns leave unchanged; columns named as identifiers are \
         dropped."
    }

    fn relations(&self) -> &'static [RelationSpec] {
        &[RelationSpec { name: "input", required: true, purpose: "the rows to anonymise" }]
    }

    fn options(&self) -> Vec<ParamSpec> {
        options::all()
    }

    fn schema_options(&self) -> &'static [&'static str] {
        &[
            "quasi_identifiers",
            "sensitive",
            "output",
            "class_id",
            "identifiers",
            "privacy_unit",
            "hierarchies",
            "t_distance",
            "items",
            "epsilon_columns",
            "guarantee",
        ]
    }

    fn schema(&self, call: &Call) -> Result<SchemaRef> {
        Ok(Arc::clone(&Plan::new(call)?.schema))
    }

    fn operation(&self, call: &Call) -> Result<Arc<dyn Operation>> {
        let (plan, method) = (Plan::new(call)?, method(&call.options)?);
        match plan.quasi {
            0 => without_classes(&call.options)?,
            _ => criteria(&call.options, plan.sensitive).map(drop)?,
        }
        let params = params(&call.options, method.name())?;
        let km = items::params(&call.options, plan.lists_have_hierarchy())?;
        let noise =
            Noise::new(&call.options, plan.apart.columns.as_deref().unwrap_or_default(), call.required("input")?)?;
        Ok(Arc::new(Anonymize { plan, params, method, km, noise, options: call.options.clone() }))
    }
}

struct Anonymize {
    plan: Plan,
    params: Checked<AnonymizeParams>,
    method: &'static dyn Method,
    km: Option<KmParams>,
    noise: Option<Noise>,
    options: Options,
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
        wants[0].encode = (self.plan.quasi > 0).then(|| self.plan.spec.clone());
        // Persons, populations, lists and columns with noise are looked at as a whole: they stay in memory.
        wants[0].spill = self.method.works_on_disk()
            && self.plan.quasi > 0
            && self.plan.spec.unit.is_none()
            && self.plan.population.is_none()
            && self.km.is_none()
            && self.noise.is_none();
        if let Some(population) = self.plan.population {
            wants[population] = Want { encode: Some(self.plan.population_spec()), ..Want::default() };
        }
        wants
    }

    fn run(&self, mut inputs: Vec<Gathered>, job: &Job) -> Result<Arc<dyn Output>> {
        let plan = &self.plan;
        let population = plan.population.map(|place| std::mem::take(&mut inputs[place]));
        let tables = inputs.split_off(1);
        if let Some(spilled) = inputs[0].spilled.take() {
            return self.run_on_disk(spilled, &tables, job);
        }
        if plan.quasi == 0 {
            let Gathered { batches, memory, .. } = inputs.pop().unwrap_or_default();
            let release = Release::of_everything(batches.iter().map(RecordBatch::num_rows).sum());
            return self.leave(release, batches, &tables, memory, job);
        }
        let mut relations = encode_together(inputs.into_iter().chain(population).collect(), job)?.into_iter();
        let input = relations.next().ok_or_else(|| Error::internal("no input"))?;
        let population = relations.next();
        let rows = input.frame.rows();
        job.count("rows", rows);
        let order = self.method.needs_order().then(|| self.order(&input.batches)).transpose()?;
        let (mut columns, units) = input.frame.into_parts();
        let sensitive = columns.split_off(plan.quasi);
        if let Some(population) = &population {
            columns.iter_mut().zip(population.frame.columns()).try_for_each(|(c, p)| append(c, p))?;
        }
        let hierarchies = self.hierarchies(columns.iter().chain(&sensitive), &tables)?;
        let (of_quasi, of_sensitive) = hierarchies.split_at(plan.quasi);
        let attributes = sensitive
            .iter()
            .zip(of_sensitive)
            .map(|(column, hierarchy)| Ok(self.with_distance(Attribute::new(column, hierarchy.as_ref())?)));
        let attributes = attributes.collect::<Result<Vec<_>>>()?;
        let items = Items::new(&columns, of_quasi, rows, units.as_ref(), attributes, order.as_deref(), job)?;
        let mut held = job.reserve(items.memory(), "ranked quasi-identifiers")?;
        drop((columns, sensitive, units, population));
        let mut problem = Problem::new(items, criteria(&self.options, plan.sensitive)?, self.params, job)?;
        held.resize(problem.items.memory() + problem.memory(), "ranked quasi-identifiers")?;
        let mut memory = input.memory;
        // The encoded rows are gone, what is kept of them stays.
        let kept = input.batches.iter().map(RecordBatch::get_array_memory_size).sum::<usize>();
        if let Some(reservation) = memory.first_mut().filter(|r| r.bytes() > kept) {
            reservation.resize(kept, "kept rows")?;
        }
        let release = anonymize(self.method, &mut problem, job)?;
        drop((problem, held));
        self.leave(release, input.batches, &tables, memory, job)
    }
}

impl Anonymize {
    /// The same for an input that went to disk.
    fn run_on_disk(&self, spilled: Spilled, tables: &[Gathered], job: &Job) -> Result<Arc<dyn Output>> {
        let plan = &self.plan;
        let rows = SpilledRows::new(spilled.frames)?;
        job.count("rows", rows.lengths().sum());
        // A hierarchy needs each value once.
        let distinct = (0..rows.columns().len()).map(|c| match (&plan.hierarchies[c], &plan.rules[c]) {
            (None, None) => Ok(rows.columns()[c].without_values()),
            _ => rows.distinct(c),
        });
        let distinct = distinct.collect::<Result<Vec<Column>>>()?;
        let hierarchies = self.hierarchies(distinct.iter(), tables)?;
        let (of_quasi, of_sensitive) = hierarchies.split_at(plan.quasi);
        let all: usize = rows.lengths().sum();
        let _codes = job.reserve(4 * all * plan.sensitive, "sensitive values")?;
        let attributes = of_sensitive.iter().enumerate().map(|(c, hierarchy)| {
            Ok(self.with_distance(Attribute::from_disk(&rows, plan.quasi + c, hierarchy.as_ref())?))
        });
        let items = Items::on_disk(&rows, of_quasi, attributes.collect::<Result<Vec<_>>>()?, job)?;
        let mut problem = Problem::new(items, criteria(&self.options, plan.sensitive)?, self.params, job)?;
        let release = anonymize_on_disk(self.method, &rows, &mut problem, job)?;
        drop(problem);
        self.finish(release, spilled.kept, Replaced::default(), vec![], vec![], job)
    }

    /// The hierarchies of quasi-identifiers and sensitive columns.
    fn hierarchies<'c>(
        &self,
        columns: impl Iterator<Item = &'c Column>,
        tables: &[Gathered],
    ) -> Result<Vec<Option<Hierarchy>>> {
        let from = self.plan.hierarchies.iter().zip(&self.plan.rules);
        columns
            .zip(from)
            .map(|(column, from)| match from {
                (Some(i), _) => hierarchy(column, &tables[i - 1].batches).map(Some),
                (None, Some(rule)) => rule.hierarchy(column).map_err(|e| e.within("rules")).map(Some),
                (None, None) => Ok(None),
            })
            .collect()
    }

    fn with_distance(&self, attribute: Attribute) -> Attribute {
        match self.options.choice("t_distance").as_deref() {
            Some("equal") => attribute.with_distance(Distance::Equal),
            Some("ordered") => attribute.with_distance(Distance::Ordered),
            _ => attribute,
        }
    }

    /// What leaves of the kept rows: beside the classes the recoded lists, the columns with noise and the guarantee.
    fn leave(
        &self,
        release: Release,
        batches: Vec<RecordBatch>,
        tables: &[Gathered],
        mut memory: Vec<Reservation>,
        job: &Job,
    ) -> Result<Arc<dyn Output>> {
        let plan = &self.plan;
        let (mut replaced, mut claims) = (Replaced::default(), vec![]);
        let (apart, _held) = self.apart(&batches, job)?;
        if let (Some(params), Some((list, column))) = (self.km, &plan.items) {
            let hierarchy = |codes: &Column| match (plan.hierarchies.last(), plan.rules.last()) {
                (Some(Some(table)), _) => hierarchy(codes, &tables[table - 1].batches).map(Some),
                (_, Some(Some(rule))) => rule.hierarchy(codes).map_err(|e| e.within("rules")).map(Some),
                _ => Ok(None),
            };
            let unit = if apart.units().is_some() { "person" } else { "row" };
            let (lists, recoded) =
                recode((&batches, *column), (&release.class_of, apart.units()), hierarchy, params, job)
                    .map_err(|e| e.within(format!("items: column '{}'", list.name)))?;
            replaced.lists = Some(lists);
            claims.push(recoded.guarantee(unit));
        }
        if let Some(noise) = &self.noise {
            let (columns, claim, held) = noise.release(&apart, release.smallest_class(), job)?;
            replaced.noise = columns;
            claims.push(claim);
            memory.push(held);
        }
        self.finish(release, batches.into_iter().map(Kept::Here).collect(), replaced, claims, memory, job)
    }

    /// The output, with the guarantee that the release and its columns earned.
    fn finish(
        &self,
        release: Release,
        kept: Vec<Kept>,
        mut replaced: Replaced,
        more: Vec<Guarantee>,
        memory: Vec<Reservation>,
        job: &Job,
    ) -> Result<Arc<dyn Output>> {
        let claims: Vec<Guarantee> = release.guarantee().into_iter().chain(more).collect();
        if let Some(note) = &release.note {
            job.warn(note);
        }
        if self.plan.guarantee {
            replaced.guarantee = Some(claim::row(&claims, release.note.as_deref())?);
        }
        Ok(Arc::new(Released::new(&self.plan, kept, release, replaced, memory, job)?))
    }

    /// The columns that leave with noise and the persons, out of the kept rows: no class knows of them.
    fn apart(&self, batches: &[RecordBatch], job: &Job) -> Result<(Frame, Reservation)> {
        let mut held = job.reserve(0, "columns with noise and persons")?;
        let mut builder = FrameBuilder::new(Arc::clone(&self.plan.kept_schema), self.plan.apart.clone())?;
        for batch in batches {
            builder.push(batch)?;
            held.resize(builder.memory(), "columns with noise and persons")?;
        }
        let frame = encode(vec![vec![builder]], job)?.pop().ok_or_else(|| Error::internal("no input"))?;
        held.resize(frame.memory(), "columns with noise and persons")?;
        Ok((frame, held))
    }

    /// A number a row from the content of the columns that leave unchanged.
    fn order(&self, batches: &[RecordBatch]) -> Result<Vec<u64>> {
        let mut order = Vec::new();
        for batch in batches {
            let columns: Vec<_> = self.plan.ordering.iter().map(|&c| Arc::clone(batch.column(c))).collect();
            if columns.is_empty() {
                order.resize(order.len() + batch.num_rows(), 0);
                continue;
            }
            let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
            let rows = RowConverter::new(fields)?.convert_columns(&columns)?;
            order.extend(rows.iter().map(|row| bytes_hash(row.as_ref())));
        }
        Ok(order)
    }
}

/// Appends the values of the population's column, which was encoded together with it.
fn append(column: &mut Column, population: &Column) -> Result<()> {
    match (&mut column.values, &population.values) {
        (Values::Number(values), Values::Number(more)) => values.extend(more),
        (Values::Code(codes), Values::Code(more)) => codes.extend(more),
        _ => return Err(Error::internal(format!("population: column '{}' has other values", column.name()))),
    }
    Ok(())
}

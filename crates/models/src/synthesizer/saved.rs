//! Synthesizers as files: everything that sampling needs, and no training row.

use lookalike_core::{Column, Domain, Error, Frame, Job, NumberDomain, NumberKind, Result, Role, Streams, Values};

use super::{SynthesizeParams, Synthesizer};
use crate::codec::{Reader, Writer, ensure, inconsistent};
use crate::copies::CopyFilter;
use crate::model::model;
use crate::nn::simd_level;
use crate::pairs::Pairs;
use crate::prepare::{Restore, Structure};
use crate::saved::{self, Header, Origin, Params, SavedColumn, Training};

impl Synthesizer {
    /// The bytes of a file from which [`Synthesizer::load`] makes a synthesizer of the same rows, but for the copies of training
    /// rows: the set of those is not written, because it answers who was among them. The same training gives the same bytes.
    ///
    /// Columns are written without rare labels, and ranges without the extremes that were blunted. What else there is of the
    /// rows is what [`crate::Fitted::save`] of the model says; a file is as confidential as such summaries.
    pub fn save(&self, origin: &Origin) -> Result<Vec<u8>> {
        self.file(origin, None)
    }

    /// The same of a synthesizer whose rows are made into pairs.
    pub(crate) fn file(&self, origin: &Origin, pairs: Option<&Pairs>) -> Result<Vec<u8>> {
        let report = self.report();
        let present = |loss: f64| loss.is_finite().then_some(loss);
        let structure = self.structure.saved(&self.emitted, &self.restore)?;
        let (pairs, codes) = pairs.map(|pairs| pairs.saved(structure.columns())).transpose()?.unzip();
        let header = Header {
            format: 0,
            version: env!("CARGO_PKG_VERSION").into(),
            model: self.model.name().into(),
            options: self.options.clone(),
            params: Params {
                min_category_count: self.params.min_category_count,
                filter_copies: self.params.filter_copies,
                constraints: self.params.constraints.clone(),
                detect_structure: self.params.detect_structure,
            },
            seed: origin.seed_is_public.then_some(self.params.seed),
            simd: self.simd.clone(),
            guarantee: None,
            training: Training {
                rows: report.rows,
                persons: report.units,
                epochs: report.epochs,
                history: self.fitted.history().iter().map(|e| [present(e.loss), present(e.held_out)]).collect(),
            },
            metadata: origin.metadata.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
            columns: structure.columns().iter().map(SavedColumn::of).collect::<Result<_>>()?,
            pairs,
            body: vec![],
        };
        // Each stage between the model and its rows has a section.
        let section = |write: &dyn Fn(&mut Writer)| {
            let mut w = Writer::section();
            write(&mut w);
            w.into_section()
        };
        let restore = section(&|w| w.list(&self.restore, |w, restore| restore.save(w)));
        let structure = section(&|w| structure.save(w));
        let mut sections = vec![("model", self.fitted.save()?), ("restore", restore), ("structure", structure)];
        sections.extend(codes.map(|codes| ("pairs", section(&|w| codes.save(w)))));
        saved::write(header, sections)
    }

    /// A synthesizer from the bytes of a file. It makes `rows` rows, or as many as it was trained on, from `seed`; without a set
    /// of rows to leave out ([`Synthesizer::exclude`]). Its blocks decode to the rows of the one that was saved, but codes and
    /// bases are those of the file's own columns.
    ///
    /// # Errors
    /// A data error, each saying which, for what is no saved model, is truncated, damaged or changed, is of another format
    /// version, or holds a model that this version does not know.
    pub fn load(file: &[u8], rows: Option<u64>, seed: u64) -> Result<Self> {
        Self::open(file, rows, seed).map(|(synthesizer, _)| synthesizer)
    }

    /// The same, and what makes pairs of the rows where the model is one of pairs.
    ///
    /// # Errors
    /// As [`Synthesizer::load`].
    pub fn open(file: &[u8], rows: Option<u64>, seed: u64) -> Result<(Self, Option<Pairs>)> {
        simd_level()?;
        let (header, mut sections) = saved::read(file)?;
        let model = model(&header.model).map_err(|e| Error::data(format!("the saved model: {}", e.message())))?;
        ensure(header.model == model.name())?;
        let columns = header.columns()?;
        let fitted = model.load(sections.next("model")?)?;
        let restore = sections.next("restore")?;
        let mut r = Reader::section(sections.next("structure")?);
        let pairs = header.pairs.map(|pairs| Pairs::load(&pairs, sections.next("pairs")?, &columns)).transpose()?;
        sections.finish()?;
        let structure = Structure::load(&mut r, columns.clone(), header.params.constraints.clone())?;
        r.finish()?;
        let restore = load_restore(restore, &structure.model_columns())?;
        ensure(fitted.report().rows == header.training.rows)?;
        let params = SynthesizeParams {
            model: header.model,
            rows,
            seed,
            min_category_count: header.params.min_category_count,
            filter_copies: header.params.filter_copies,
            allow_shared: false,
            constraints: header.params.constraints,
            detect_structure: header.params.detect_structure,
        };
        let rows = rows.unwrap_or(header.training.rows);
        let streams = Streams::new(seed, "sample");
        let (emitted, options, simd) = (structure.emitted(&restore), header.options, header.simd);
        let copies = None;
        let loaded =
            Self { model, fitted, columns, structure, restore, emitted, copies, streams, rows, params, options, simd };
        loaded.check()?;
        Ok((loaded, pairs))
    }

    /// Draws and decodes a row, so that a model that does not fit its columns is refused before anything is made of it.
    fn check(&self) -> Result<()> {
        let mut rng = self.streams.block(u64::MAX);
        let row = self.fitted.sample(1, &mut rng)?;
        let columns = self.structure.model_columns();
        ensure(row.len() == columns.len())?;
        let fits = |(column, values): (&Column, &Values)| match (values, column.role()) {
            (Values::Number(v), Role::Number) => v.len() == 1,
            (Values::Code(v), Role::Category) => v.len() == 1,
            (Values::Omitted, Role::Identifier) => true,
            _ => false,
        };
        ensure(columns.iter().zip(&row).all(fits))?;
        let row = self.finish(row, 1, &mut rng);
        for (column, values) in self.columns.iter().zip(&row) {
            column.decode(values, 0, 1).map_err(|_| inconsistent())?;
        }
        Ok(())
    }

    /// Leaves out what equals one of the given rows on all columns but identifiers: it is drawn again. The rows have those columns
    /// by name, encoded in any way, in the types of the training rows; others are not looked at.
    ///
    /// # Errors
    /// A data error when a column is missing or of another type; memory.
    pub fn exclude(&mut self, rows: &Frame, job: &Job) -> Result<()> {
        let _memory = job.reserve(rows.memory(), "rows to leave out")?;
        let translated = self.columns.iter().filter(|c| c.role() != Role::Identifier).map(|ours| {
            let theirs = rows.columns().iter().find(|c| c.name() == ours.name());
            let theirs = theirs.ok_or_else(|| Error::data(format!("the rows have no column '{}'", ours.name())))?;
            translate(ours, theirs)
        });
        let translated = translated.collect::<Result<Vec<_>>>()?;
        // Without any column to compare every row would be a copy of every other.
        let comparable = !translated.is_empty();
        let frame = Frame::new(rows.rows(), translated, None);
        self.copies = comparable.then(|| CopyFilter::new(&frame.into(), None, job)).transpose()?;
        Ok(())
    }

    /// Whether copies of training rows were to be left out and there is no set of rows to find them with.
    pub fn lacks_rows_to_exclude(&self) -> bool {
        self.params.filter_copies && self.copies.is_none() && self.columns.iter().any(|c| c.role() != Role::Identifier)
    }
}

fn load_restore(section: &[u8], columns: &[Column]) -> Result<Vec<Restore>> {
    let mut r = Reader::section(section);
    let mut domains = columns.iter().map(|c| &c.domain);
    let restore = r.list(4, |r| Restore::load(r, domains.next().ok_or_else(inconsistent)?))?;
    r.finish()?;
    ensure(restore.len() == columns.len())?;
    Ok(restore)
}

/// Values of another encoding as those of our column, of any size. A label that our column does not have becomes a code behind
/// its own, an integer between its steps infinity: what is never made.
fn translate(ours: &Column, theirs: &Column) -> Result<Column> {
    let unlike = || {
        let (name, wanted, found) = (ours.name(), ours.field.data_type(), theirs.field.data_type());
        Error::data(format!("column '{name}' of the rows is {found}, that of the model is {wanted}"))
    };
    if ours.field.data_type() != theirs.field.data_type() {
        return Err(unlike());
    }
    let values = match (&ours.domain, &theirs.domain, &theirs.values) {
        (Domain::Category(ours), Domain::Category(theirs), Values::Code(codes)) => {
            // Behind the labels lies a code that no model makes.
            let other = ours.labels.len() as u32;
            let code = |label: &String| ours.labels.binary_search(label).map_or(other, |code| code as u32);
            let known: Vec<u32> = theirs.labels.iter().map(code).collect();
            Values::Code(codes.iter().map(|&c| known.get(c as usize).copied().unwrap_or(c)).collect())
        }
        (Domain::Number(domain), Domain::Number(theirs), Values::Number(values)) => {
            let value = |v: f64| match (domain.kind, theirs.stored(v)) {
                _ if v.is_nan() => v,
                (NumberKind::Integer { base, step }, Some(stored)) => {
                    let (distance, step) = (i128::from(stored) - i128::from(base), i128::from(step));
                    if distance % step == 0 { (distance / step) as f64 } else { f64::INFINITY }
                }
                (NumberKind::Integer { base, step }, None) => {
                    let number = (v - base as f64) / step as f64;
                    if number.fract() == 0.0 { number } else { f64::INFINITY }
                }
                (NumberKind::Float { .. }, Some(stored)) => stored as f64,
                (NumberKind::Float { .. }, None) => v,
            };
            let values = values.iter().map(|v| value(*v)).collect();
            let unbounded = NumberDomain { min: f64::NEG_INFINITY, max: f64::INFINITY, ..*domain };
            return Ok(Column {
                domain: Domain::Number(unbounded),
                values: Values::Number(values),
                ..ours.without_values()
            });
        }
        _ => return Err(unlike()),
    };
    Ok(Column { values, ..ours.without_values() })
}

#[cfg(test)]
mod tests;

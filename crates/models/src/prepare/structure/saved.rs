//! The structure in the file of a saved model: over columns that know nothing but what comes out of them.

use lookalike_core::{Column, Domain, Result};

use super::super::constraints::parse;
use super::super::determined::{Lookup, Refined};
use super::super::emitted::{Emitted, Recode};
use super::super::fixed::Fixed;
use super::super::levels::{Level, Levels};
use super::super::order::Sum;
use super::{Origin, Step, Structure};
use crate::codec::{Reader, Writer, ensure, inconsistent};
use crate::prepare::Restore;

impl Structure {
    /// The same over columns without anything that does not come out of them ([`Structure::emitted`]): no rare label, no
    /// extreme or base that is one record's. Tables are those of the new encoding, differences those of the model's.
    pub fn saved(&self, emitted: &[Emitted], restore: &[Restore]) -> Result<Self> {
        let (columns, recode): (Vec<Column>, Vec<Recode>) =
            self.columns.iter().zip(emitted).map(|(column, emitted)| emitted.saved(column)).unzip();
        let table = |table: &Lookup| -> Result<Lookup> {
            let (keys, values) = (recode[table.of].levels(&table.keys)?, recode[table.column].levels(&table.values)?);
            Ok(Lookup { keys, values, ..table.clone() })
        };
        let step = |(s, step): (usize, &Step)| -> Result<Step> {
            Ok(match step {
                Step::Constant(c, level) => Step::Constant(*c, recode[*c].levels(&Levels::from(*level))?.get(0)),
                Step::Fixed(fixed) => Step::Fixed(fixed.recoded(|c, cells| recode[c].levels(cells))?),
                Step::Refined(refined) => Step::Refined(Refined::new(table(&refined.table)?)),
                Step::Sum(sum) => {
                    let place = self.origins.iter().position(|o| *o == Origin::Difference(s));
                    let difference = place.and_then(|m| restore[m].numbers()).unwrap_or(sum.difference);
                    let by = recode[sum.column].by();
                    Step::Sum(Sum { difference, min: sum.min - by, max: sum.max - by, ..sum.clone() })
                }
                Step::Same { column, of } => Step::Same { column: *column, of: *of },
                Step::Lookup(lookup) => Step::Lookup(table(lookup)?),
            })
        };
        let steps = self.steps.iter().enumerate().map(step).collect::<Result<_>>()?;
        let (origins, rules, texts) = (self.origins.clone(), self.rules.clone(), self.texts.clone());
        Ok(Self { columns, origins, steps, rules, texts })
    }

    /// The input's columns, without values.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }
}

impl Structure {
    /// Everything but the columns and the texts of the rules.
    pub fn save(&self, w: &mut Writer) {
        w.list(&self.origins, |w, origin| {
            let (kind, index) = match *origin {
                Origin::Column(c) => (0, c),
                Origin::Difference(s) => (1, s),
                Origin::Combination(s) => (2, s),
            };
            w.u32(kind);
            w.u32(index as u32);
        });
        w.list(&self.steps, |w, step| match step {
            Step::Constant(column, level) => {
                w.u32(0);
                w.u32(*column as u32);
                level.save(w);
            }
            Step::Fixed(fixed) => {
                w.u32(1);
                fixed.save(w);
            }
            Step::Refined(refined) => {
                w.u32(2);
                refined.table.save(w);
            }
            Step::Sum(sum) => {
                w.u32(3);
                sum.save(w);
            }
            Step::Same { column, of } => {
                w.u32(4);
                w.u32(*column as u32);
                w.u32(*of as u32);
            }
            Step::Lookup(table) => {
                w.u32(5);
                table.save(w);
            }
        });
    }

    /// Reads what [`Structure::save`] wrote. `columns` are the input's, without values; `texts` are those of the rules.
    pub fn load(r: &mut Reader, columns: Vec<Column>, texts: Vec<String>) -> Result<Self> {
        let origins = r.list(8, |r| {
            let (kind, index) = (r.u32()?, r.u32()? as usize);
            match kind {
                0 => Ok(Origin::Column(index)),
                1 => Ok(Origin::Difference(index)),
                2 => Ok(Origin::Combination(index)),
                _ => Err(inconsistent()),
            }
        })?;
        let steps = r.list(12, |r| match r.u32()? {
            0 => {
                let (column, level) = (r.u32()? as usize, Level::load(r)?);
                ensure(columns.get(column).is_some_and(|c| Levels::from(level).fit(c)))?;
                Ok(Step::Constant(column, level))
            }
            1 => Ok(Step::Fixed(Fixed::load(r, &columns)?)),
            2 => {
                let table = Lookup::load(r, &columns)?;
                ensure(matches!(table.keys, Levels::Codes(_)))?;
                Ok(Step::Refined(Refined::new(table)))
            }
            3 => Ok(Step::Sum(Sum::load(r, &columns)?)),
            4 => {
                let (column, of) = (r.u32()? as usize, r.u32()? as usize);
                let fits = |a: &Column, b: &Column| match (&a.domain, &b.domain) {
                    (Domain::Number(a), Domain::Number(b)) => a.kind == b.kind,
                    (Domain::Category(a), Domain::Category(b)) => a.labels.len() == b.labels.len(),
                    _ => false,
                };
                ensure(
                    matches!((columns.get(column), columns.get(of)), (Some(a), Some(b)) if column != of && fits(a, b)),
                )?;
                Ok(Step::Same { column, of })
            }
            5 => Ok(Step::Lookup(Lookup::load(r, &columns)?)),
            _ => Err(inconsistent()),
        })?;
        let rules = parse(&texts, &columns).map_err(|_| inconsistent())?;
        let structure = Self { columns, origins, steps, rules, texts };
        structure.check()?;
        Ok(structure)
    }

    /// Every input column comes about once, from what stands already.
    fn check(&self) -> Result<()> {
        let mut known = vec![false; self.columns.len()];
        let mut fed = vec![false; self.steps.len()];
        for origin in &self.origins {
            let slot = match *origin {
                Origin::Column(c) => known.get_mut(c),
                Origin::Difference(s) => {
                    ensure(matches!(self.steps.get(s), Some(Step::Sum(_))))?;
                    fed.get_mut(s)
                }
                Origin::Combination(s) => {
                    ensure(matches!(self.steps.get(s), Some(Step::Fixed(_))))?;
                    fed.get_mut(s)
                }
            };
            let slot = slot.ok_or_else(inconsistent)?;
            ensure(!std::mem::replace(slot, true))?;
        }
        // A refined category has one table, after that of what it refines: so following them comes to an end.
        let mut refined = vec![false; self.columns.len()];
        for step in &self.steps {
            if let Step::Refined(Refined { table, .. }) = step {
                ensure(!refined[table.of])?;
                refined[table.of] = true;
                let later =
                    self.steps.iter().filter(|s| matches!(s, Step::Refined(r) if r.table.of == table.column)).count();
                ensure(later == usize::from(refined[table.column]))?;
            }
        }
        for (step, fed) in self.steps.iter().zip(fed) {
            let (makes, needs): (Vec<usize>, Vec<usize>) = match step {
                Step::Constant(c, _) => (vec![*c], vec![]),
                Step::Fixed(fixed) => (fixed.columns.clone(), vec![]),
                Step::Refined(refined) => (vec![], vec![refined.table.of, refined.table.column]),
                Step::Sum(sum) => (vec![sum.column], sum.of.iter().map(|(c, _)| *c).collect()),
                Step::Same { column, of } => (vec![*column], vec![*of]),
                Step::Lookup(table) => (vec![table.column], vec![table.of]),
            };
            ensure(fed == matches!(step, Step::Sum(_) | Step::Fixed(_)))?;
            ensure(needs.iter().all(|&c| known[c]))?;
            for c in makes {
                ensure(!std::mem::replace(&mut known[c], true))?;
            }
        }
        ensure(known.iter().all(|k| *k))
    }
}

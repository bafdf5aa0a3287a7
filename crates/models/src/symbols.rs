//! Columns as symbols for trees: what a leaf counts, and the few bins that splits look at.

use lookalike_core::{Column, Domain, Job, MISSING, Result, Stream, Units, Values, uniform};

use crate::alias::Alias;
use crate::codec::{Reader, Writer, ensure, inconsistent};
use crate::marginal::{Marginal, NO_PIECE};
use crate::rows::Rows;

/// Most bins of a column: a split is a set of bins, one bit each.
pub(crate) const BINS: usize = 64;
/// Most classes that a column is told apart in where it is a target: the criterion of splits takes time by their number.
pub(crate) const CLASSES: usize = 32;

/// Rows in each class of a number, where there are fewer than `CLASSES` such.
const CLASS_ROWS: u64 = 100;

/// A column's finite alphabet, and the way from values to symbols and back.
///
/// - A **category** is its code; NULL is the symbol after the last.
/// - A **number** is one of the pieces of its [`Marginal`]: an atom, a value that enough persons share, is a symbol of its own.
///   Stretches between atoms are known by the bin they lie in alone: a value inside is drawn from the whole table's distribution
///   over that bin, so no leaf knows more of it. NULL is the last symbol.
///
/// Every symbol lies in one of at most [`BINS`] bins: numbers in quantiles, with a bin of its own for a frequent value;
/// categories in one each, or where there are more, those not among the most frequent in one. NULL has its own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Symbols {
    source: Source,
    /// Bin of each symbol.
    pub bin_of: Vec<u8>,
    /// Whether the bins have an order (numbers), NULL's, the last, apart.
    pub ordered: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Source {
    /// An identifier.
    Omitted,
    /// So many codes.
    Category(u32),
    Number(Numbers),
}

#[derive(Debug, Clone, PartialEq)]
struct Numbers {
    marginal: Marginal,
    /// Symbol of each piece; ascending within atoms and within bins.
    symbol_of: Vec<u32>,
    /// Pieces of each symbol.
    pieces: Vec<Vec<u32>>,
}

impl Symbols {
    /// The alphabet of a column, and the symbol of each row.
    pub fn fit(column: &Column, units: Option<&Units>, min_persons: u32, knots: usize) -> (Self, Vec<u32>) {
        match (&column.values, &column.domain) {
            (Values::Number(values), _) => {
                let (marginal, mut rows) = Marginal::fit(values, units, min_persons, knots);
                let symbols = Self::of_marginal(marginal);
                let Source::Number(numbers) = &symbols.source else { return (symbols, rows) };
                let missing = numbers.pieces.len() as u32;
                let symbol = |piece: u32| numbers.symbol_of.get(piece as usize).copied().unwrap_or(missing);
                rows.iter_mut().for_each(|piece| *piece = symbol(*piece));
                (symbols, rows)
            }
            (Values::Code(codes), Domain::Category(domain)) => {
                let size = domain.labels.len();
                let rows: Vec<u32> = codes.iter().map(|&c| c.min(size as u32)).collect();
                let mut count = vec![0u64; size];
                codes.iter().filter(|c| **c != MISSING).for_each(|&c| count[c as usize] += 1);
                (Self { source: Source::Category(size as u32), bin_of: category_bins(&count), ordered: false }, rows)
            }
            _ => (Self { source: Source::Omitted, bin_of: vec![], ordered: false }, vec![]),
        }
    }

    fn of_marginal(marginal: Marginal) -> Self {
        let bins = quantile_groups(&marginal.count, BINS - 1);
        let (mut symbol_of, mut pieces, mut bin_of) = (vec![], Vec::<Vec<u32>>::new(), vec![]);
        // The symbol of the stretches between atoms in the bin at hand.
        let mut stretch: Option<(u8, u32)> = None;
        for (piece, &bin) in bins.iter().enumerate() {
            let is_atom = marginal.low[piece] == marginal.high[piece];
            let symbol = match stretch {
                Some((of, symbol)) if of == bin && !is_atom => symbol,
                _ => {
                    pieces.push(vec![]);
                    bin_of.push(bin);
                    pieces.len() as u32 - 1
                }
            };
            if !is_atom {
                stretch = Some((bin, symbol));
            }
            symbol_of.push(symbol);
            pieces[symbol as usize].push(piece as u32);
        }
        bin_of.push(bins.last().map_or(0, |b| b + 1));
        Self { source: Source::Number(Numbers { marginal, symbol_of, pieces }), bin_of, ordered: true }
    }

    /// Number of symbols, NULL's among them; 0 for identifiers.
    pub fn len(&self) -> usize {
        self.bin_of.len()
    }

    /// Bins in use, NULL's among them.
    pub fn bins(&self) -> usize {
        self.bin_of.iter().max().map_or(0, |b| *b as usize + 1)
    }

    /// A class for each symbol, of at most `CLASSES`: quantiles of numbers, the most frequent categories and one for all
    /// others; NULL has its own. `count` are the rows of each symbol.
    pub fn classes(&self, count: &[u64]) -> Vec<u8> {
        let Some((_, present)) = count.split_last() else { return vec![] };
        if self.ordered {
            let mut of_bin = vec![0u64; self.bins().saturating_sub(1)];
            present.iter().zip(&self.bin_of).for_each(|(n, b)| of_bin[*b as usize] += n);
            // With few rows in each, many classes would drown what there is to tell in chance.
            let classes = (count.iter().sum::<u64>() / CLASS_ROWS).clamp(3, CLASSES as u64 - 1) as usize;
            let groups = quantile_groups(&of_bin, classes);
            let missing = groups.last().map_or(0, |g| g + 1);
            self.bin_of.iter().map(|b| groups.get(*b as usize).copied().unwrap_or(missing)).collect()
        } else {
            frequency_groups(present, CLASSES)
        }
    }

    /// The symbol of a value of `values`, and the logarithm of its density within the symbol; `None` for what no row can be.
    pub fn find(&self, values: &Values, row: usize) -> Option<(u32, f64)> {
        match (&self.source, values) {
            (Source::Category(size), Values::Code(codes)) => match codes[row] {
                MISSING => Some((*size, 0.0)),
                code => (code < *size).then_some((code, 0.0)),
            },
            (Source::Number(numbers), Values::Number(values)) => numbers.find(values[row]),
            _ => None,
        }
    }

    /// The symbol of a value, or of the nearest that there is.
    pub fn nearest(&self, values: &Values, row: usize) -> u32 {
        match (&self.source, values) {
            (Source::Number(numbers), Values::Number(values)) => numbers.nearest(values[row]),
            (_, values) => self.find(values, row).map_or(self.len().saturating_sub(1) as u32, |s| s.0),
        }
    }

    pub fn save(&self, w: &mut Writer) {
        match &self.source {
            Source::Omitted => w.u32(0),
            Source::Category(size) => {
                w.u32(1);
                w.u32(*size);
                // NULL's bin is fixed by the others.
                w.list(&self.bin_of, |w, b| w.u32(u32::from(*b)));
            }
            Source::Number(numbers) => {
                w.u32(2);
                numbers.marginal.save(w);
            }
        }
    }

    pub fn load(r: &mut Reader) -> Result<Self> {
        match r.u32()? {
            0 => Ok(Self { source: Source::Omitted, bin_of: vec![], ordered: false }),
            1 => {
                let size = r.u32()?;
                let bin_of = r.list(4, |r| u8::try_from(r.u32()?).map_err(|_| inconsistent()))?;
                ensure(bin_of.len() as u64 == u64::from(size) + 1 && bin_of.iter().all(|b| (*b as usize) < BINS))?;
                Ok(Self { source: Source::Category(size), bin_of, ordered: false })
            }
            2 => {
                let marginal = Marginal::load(r)?;
                let total = marginal.count.iter().try_fold(marginal.missing, |sum, c| sum.checked_add(*c));
                ensure(total.is_some_and(|t| t <= 1 << 40) && marginal.count.iter().all(|c| *c > 0))?;
                Ok(Self::of_marginal(marginal))
            }
            _ => Err(inconsistent()),
        }
    }

    /// From symbols back to values.
    pub fn decoder(&self) -> Decoder {
        match &self.source {
            Source::Omitted => Decoder::Omitted,
            Source::Category(size) => Decoder::Category(*size),
            Source::Number(numbers) => {
                let marginal = &numbers.marginal;
                let inside = numbers.pieces.iter().map(|pieces| match pieces.as_slice() {
                    &[p] => Inside::One(marginal.low[p as usize], marginal.high[p as usize]),
                    many => {
                        let count: Vec<u64> = many.iter().map(|&p| marginal.count[p as usize]).collect();
                        let ends =
                            many.iter().map(|&p| (marginal.low[p as usize], marginal.high[p as usize])).collect();
                        Alias::new(&count).map_or(Inside::One(f64::NAN, f64::NAN), |a| Inside::Many(a, ends))
                    }
                });
                Decoder::Number(inside.chain([Inside::One(f64::NAN, f64::NAN)]).collect())
            }
        }
    }
}

impl Numbers {
    fn find(&self, value: f64) -> Option<(u32, f64)> {
        if value.is_nan() {
            return Some((self.pieces.len() as u32, 0.0));
        }
        let m = &self.marginal;
        // Pieces are in ascending order: those that hold the value begin at the first that does not end below it.
        let first = m.high.partition_point(|&high| high < value);
        let holding = || (first..m.len()).take_while(|&i| m.low[i] <= value);
        let piece = holding().find(|&i| m.low[i] == m.high[i]).or_else(|| holding().next())?;
        let symbol = self.symbol_of[piece];
        let width = m.high[piece] - m.low[piece];
        if width == 0.0 {
            return Some((symbol, 0.0));
        }
        let rows: u64 = self.pieces[symbol as usize].iter().map(|&p| m.count[p as usize]).sum();
        Some((symbol, libm::log(m.count[piece] as f64 / rows as f64 / width)))
    }

    fn nearest(&self, value: f64) -> u32 {
        if let Some((symbol, _)) = self.find(value) {
            return symbol;
        }
        let m = &self.marginal;
        let above = m.high.partition_point(|&high| high < value);
        let below = above.checked_sub(1);
        let piece = match (below, (above < m.len()).then_some(above)) {
            (Some(b), Some(a)) if value - m.high[b] <= m.low[a] - value => Some(b),
            (below, above) => above.or(below),
        };
        piece.map_or(self.pieces.len() as u32, |p| self.symbol_of[p])
    }
}

/// A column as trees see it.
pub(crate) struct Encoded {
    pub symbols: Symbols,
    /// Symbol, bin and class of each row.
    pub symbol: Vec<u32>,
    pub bin: Vec<u8>,
    pub class: Vec<u8>,
    pub class_count: usize,
}

impl Encoded {
    /// All columns.
    pub fn all(rows: &Rows, knots: usize, job: &Job) -> Result<Vec<Self>> {
        rows.map(job, |_, column| Ok(Self::new(column, rows.units(), rows.min_persons(), knots)))
    }

    fn new(column: &Column, units: Option<&Units>, min_persons: u32, knots: usize) -> Self {
        let (symbols, symbol) = Symbols::fit(column, units, min_persons, knots);
        let mut count = vec![0u64; symbols.len()];
        symbol.iter().for_each(|&s| count[s as usize] += 1);
        let class_of = symbols.classes(&count);
        let bin = symbol.iter().map(|&s| symbols.bin_of[s as usize]).collect();
        let class = symbol.iter().map(|&s| class_of[s as usize]).collect();
        let class_count = class_of.iter().max().map_or(0, |c| *c as usize + 1);
        Self { symbols, symbol, bin, class, class_count }
    }
}

/// Values of symbols.
#[derive(Debug, Clone)]
pub(crate) enum Decoder {
    Omitted,
    /// So many codes, then NULL.
    Category(u32),
    Number(Vec<Inside>),
}

/// What lies behind a number's symbol.
#[derive(Debug, Clone)]
pub(crate) enum Inside {
    /// From, to.
    One(f64, f64),
    Many(Alias, Vec<(f64, f64)>),
}

impl Decoder {
    /// The values of the symbols, drawn inside stretches.
    pub fn decode(&self, symbols: &[u32], rng: &mut Stream) -> Values {
        match self {
            Decoder::Omitted => Values::Omitted,
            Decoder::Category(size) => {
                Values::Code(symbols.iter().map(|&s| if s < *size { s } else { MISSING }).collect())
            }
            Decoder::Number(inside) => {
                let draw = |&s: &u32| {
                    let (low, high) = match &inside[s as usize] {
                        Inside::One(low, high) => (*low, *high),
                        Inside::Many(alias, ends) => ends[alias.draw(rng) as usize],
                    };
                    // Not `==`: NaN is missing.
                    if low < high { (low + (high - low) * uniform(rng)).clamp(low, high) } else { low }
                };
                Values::Number(symbols.iter().map(draw).collect())
            }
        }
    }
}

/// Groups of neighbours of about equal counts, at most so many; a large count has a group of its own.
fn quantile_groups(count: &[u64], groups: usize) -> Vec<u8> {
    let mut left: u64 = count.iter().sum();
    let (mut group, mut inside) = (0, 0u64);
    let mut of = Vec::with_capacity(count.len());
    for (i, &n) in count.iter().enumerate() {
        let open = groups - group;
        // Begin another when this one is full, or comes nearer to its size without the next.
        let target = (left + inside) / open.max(1) as u64;
        let rest = count.len() - i;
        let is_full = inside > 0 && (inside >= target || inside + n > target + (target - inside) || rest < open);
        if is_full && open > 1 {
            group += 1;
            inside = 0;
        }
        of.push(group as u8);
        inside += n;
        left -= n;
    }
    of
}

/// Bins of codes, NULL's last.
fn category_bins(count: &[u64]) -> Vec<u8> {
    frequency_groups(count, BINS)
}

/// A group for each item while there are few; else for the most frequent, and one for all others. One more, the last, for
/// what follows the items (NULL).
fn frequency_groups(count: &[u64], groups: usize) -> Vec<u8> {
    if count.len() < groups {
        return (0..=count.len() as u8).collect();
    }
    let mut order: Vec<usize> = (0..count.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(count[i]));
    let mut of = vec![groups as u8 - 2; count.len() + 1];
    order[..groups - 2].iter().zip(0..).for_each(|(&item, group)| of[item] = group);
    of[count.len()] = groups as u8 - 1;
    of
}

const _: () = assert!(NO_PIECE == u32::MAX && CLASSES <= BINS);

#[cfg(test)]
mod tests;

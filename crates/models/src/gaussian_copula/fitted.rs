//! A fitted copula: from correlated normals to values.

use lookalike_core::{Result, Stream, Values};

use super::NAME;
use super::groups::{Levels, Member, OPEN};
use super::tree::{Child, Split, Tree};
use crate::alias::Alias;
use crate::codec::{Reader, Writer, ensure, inconsistent};
use crate::factor::{Factor, TILE, Tile};
use crate::marginal::{Marginal, Quantiles};
use crate::model::{FitReport, Fitted};
use crate::normal::quantile;

/// More columns than any table that a copula can be fitted to.
const MAX_COLUMNS: usize = 1 << 16;

/// A numeric column: its quantile function at a normal; the next normal decides whether it is missing, if it ever is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NumberPart {
    pub column: u32,
    pub latent: u32,
    pub marginal: Marginal,
}

/// A group: split k of the tree is decided by normal `latent + k`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GroupPart {
    pub latent: u32,
    pub members: Vec<Member>,
    pub cells: Vec<u32>,
    pub count: Vec<u64>,
    pub tree: Tree,
}

/// Columns and how they read the normals.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    Number(NumberPart),
    Group(GroupPart),
}

/// The fitted model.
pub(crate) struct Copula {
    report: FitReport,
    columns: usize,
    parts: Vec<Part>,
    factor: Factor,
    readers: Vec<PartReader>,
}

/// A part prepared for sampling.
enum PartReader {
    Number { column: usize, latent: usize, quantiles: Quantiles, missing_below: Option<f32> },
    Group { members: Vec<MemberReader>, root: i32, nodes: Vec<Node>, leaves: Vec<Leaf>, cells: Vec<u32> },
}

struct MemberReader {
    column: usize,
    levels: Levels,
    open: Option<Alias>,
}

/// A split; negative children are leaves, -1 - index.
struct Node {
    latent: u32,
    threshold: f32,
    children: [i32; 2],
}

struct Leaf {
    cells: Vec<u32>,
    draw: Option<Alias>,
}

impl Copula {
    pub fn new(report: FitReport, columns: usize, parts: Vec<Part>, factor: Factor) -> Result<Self> {
        let readers = parts.iter().map(|p| PartReader::new(p, columns, factor.size())).collect::<Result<_>>()?;
        Ok(Self { report, columns, parts, factor, readers })
    }

    pub fn load(r: &mut Reader) -> Result<Self> {
        let report = FitReport { rows: r.count()?, units: r.count()?, epochs: r.u32()? };
        let columns = r.u64()? as usize;
        ensure(columns <= MAX_COLUMNS)?;
        let parts = r.list(1, |r| match r.u32()? {
            0 => Ok(Part::Number(NumberPart { column: r.u32()?, latent: r.u32()?, marginal: Marginal::load(r)? })),
            1 => Ok(Part::Group(GroupPart::load(r)?)),
            _ => Err(inconsistent()),
        })?;
        Self::new(report, columns, parts, Factor::load(r)?)
    }
}

impl GroupPart {
    fn save(&self, w: &mut Writer) {
        let child = |c: &Child| match *c {
            Child::Split(i) => [0, i],
            Child::Leaf(i) => [1, i],
        };
        w.u32(self.latent);
        w.list(&self.members, |w, m| m.save(w));
        w.u32s(&self.cells);
        w.list(&self.count, |w, c| w.u64(*c));
        w.u32s(&child(&self.tree.root));
        w.list(&self.tree.splits, |w, s| {
            w.u32s(&s.left);
            w.u32s(&s.right);
            w.u32s(&child(&s.children[0]));
            w.u32s(&child(&s.children[1]));
        });
        w.list(&self.tree.leaves, |w, l| w.u32s(l));
    }

    fn load(r: &mut Reader) -> Result<Self> {
        let child = |r: &mut Reader| match r.u32s()?[..] {
            [0, i] => Ok(Child::Split(i)),
            [1, i] => Ok(Child::Leaf(i)),
            _ => Err(inconsistent()),
        };
        Ok(Self {
            latent: r.u32()?,
            members: r.list(1, Member::load)?,
            cells: r.u32s()?,
            count: r.counts()?,
            tree: Tree {
                root: child(r)?,
                splits: r
                    .list(1, |r| Ok(Split { left: r.u32s()?, right: r.u32s()?, children: [child(r)?, child(r)?] }))?,
                leaves: r.list(1, Reader::u32s)?,
            },
        })
    }

    fn reader(&self, columns: usize, latents: usize) -> Result<PartReader> {
        let width = self.members.len();
        let size = self.count.len();
        ensure(width > 0 && self.cells.len() == size * width)?;
        ensure(self.latent as usize + self.tree.splits.len() <= latents)?;
        let rows_in = |cells: &[u32]| -> Result<u64> {
            let rows = |sum: u64, c: &u32| self.count.get(*c as usize).and_then(|rows| sum.checked_add(*rows));
            cells.iter().try_fold(0, rows).ok_or_else(inconsistent)
        };
        // A child always stands after its parent, so a walk ends.
        let child = |child: Child, above: Option<usize>| match child {
            Child::Split(i) if (i as usize) < self.tree.splits.len() && above.is_none_or(|a| i as usize > a) => {
                Ok(i as i32)
            }
            Child::Leaf(i) if (i as usize) < self.tree.leaves.len() => Ok(-1 - i as i32),
            _ => Err(inconsistent()),
        };
        let mut nodes = vec![];
        for (i, split) in self.tree.splits.iter().enumerate() {
            let (left, right) = (rows_in(&split.left)? as f64, rows_in(&split.right)? as f64);
            nodes.push(Node {
                latent: self.latent + i as u32,
                threshold: quantile(left / (left + right)) as f32,
                children: [child(split.children[0], Some(i))?, child(split.children[1], Some(i))?],
            });
        }
        let leaves = self.tree.leaves.iter().map(|cells| {
            ensure(!cells.is_empty())?;
            rows_in(cells)?;
            let weights: Vec<u64> = cells.iter().map(|&c| self.count[c as usize]).collect();
            let draw = if cells.len() > 1 { Some(Alias::new(&weights).ok_or_else(inconsistent)?) } else { None };
            Ok(Leaf { cells: cells.clone(), draw })
        });
        let leaves = leaves.collect::<Result<Vec<_>>>()?;
        let mut members = vec![];
        for (m, member) in self.members.iter().enumerate() {
            let open = Alias::new(&member.open);
            let is_valid =
                |level: u32| if level == OPEN { open.is_some() } else { (level as usize) < member.levels.len() };
            ensure((member.column as usize) < columns && (0..size).all(|c| is_valid(self.cells[c * width + m])))?;
            members.push(MemberReader { column: member.column as usize, levels: member.levels.clone(), open });
        }
        Ok(PartReader::Group { members, root: child(self.tree.root, None)?, nodes, leaves, cells: self.cells.clone() })
    }
}

impl PartReader {
    fn new(part: &Part, columns: usize, latents: usize) -> Result<Self> {
        match part {
            Part::Group(group) => group.reader(columns, latents),
            Part::Number(NumberPart { column, latent, marginal }) => {
                let missing = marginal.missing;
                ensure((*column as usize) < columns && *latent as usize + usize::from(missing > 0) < latents)?;
                let present: u64 = marginal.count.iter().sum();
                Ok(PartReader::Number {
                    column: *column as usize,
                    latent: *latent as usize,
                    quantiles: Quantiles::new(marginal).ok_or_else(inconsistent)?,
                    missing_below: (missing > 0).then(|| quantile(missing as f64 / (missing + present) as f64) as f32),
                })
            }
        }
    }

    /// An empty column for each this part fills.
    fn prepare(&self, rows: usize, out: &mut [Values]) {
        match self {
            PartReader::Number { column, .. } => out[*column] = Values::Number(Vec::with_capacity(rows)),
            PartReader::Group { members, .. } => members.iter().for_each(|m| {
                out[m.column] = match m.levels {
                    Levels::Codes(_) => Values::Code(Vec::with_capacity(rows)),
                    Levels::Numbers(_) => Values::Number(Vec::with_capacity(rows)),
                }
            }),
        }
    }

    /// Appends the first `rows` rows of a tile.
    fn read(&self, tile: &Tile, rows: usize, rng: &mut Stream, out: &mut [Values]) {
        match self {
            PartReader::Number { column, latent, quantiles, missing_below } => {
                let Values::Number(out) = &mut out[*column] else { return };
                let z = &tile.z[latent * TILE..][..rows];
                match missing_below {
                    None => out.extend(z.iter().map(|&z| quantiles.value(z))),
                    Some(threshold) => {
                        let flags = &tile.z[(latent + 1) * TILE..][..rows];
                        out.extend(
                            z.iter().zip(flags).map(
                                |(&z, flag)| {
                                    if flag < threshold { f64::NAN } else { quantiles.value(z) }
                                },
                            ),
                        );
                    }
                }
            }
            PartReader::Group { members, root, nodes, leaves, cells } => {
                let mut chosen = [0u32; TILE];
                for (row, cell) in chosen[..rows].iter_mut().enumerate() {
                    let mut at = *root;
                    while at >= 0 {
                        let node = &nodes[at as usize];
                        let is_right = tile.z[node.latent as usize * TILE + row] >= node.threshold;
                        at = node.children[usize::from(is_right)];
                    }
                    let leaf = &leaves[(-1 - at) as usize];
                    *cell = leaf.cells[leaf.draw.as_ref().map_or(0, |d| d.draw(rng) as usize)];
                }
                for (m, member) in members.iter().enumerate() {
                    let levels = chosen[..rows].iter().map(|&cell| {
                        let level = cells[cell as usize * members.len() + m];
                        match &member.open {
                            Some(open) if level == OPEN => open.draw(rng) as usize,
                            _ => level as usize,
                        }
                    });
                    match (&mut out[member.column], &member.levels) {
                        (Values::Code(out), Levels::Codes(codes)) => out.extend(levels.map(|l| codes[l])),
                        (Values::Number(out), Levels::Numbers(values)) => out.extend(levels.map(|l| values[l])),
                        _ => {}
                    }
                }
            }
        }
    }
}

impl Fitted for Copula {
    fn sample(&self, rows: usize, rng: &mut Stream) -> Result<Vec<Values>> {
        let mut out = vec![Values::Omitted; self.columns];
        self.readers.iter().for_each(|r| r.prepare(rows, &mut out));
        let mut tile = self.factor.tile();
        for start in (0..rows).step_by(TILE) {
            self.factor.draw(&mut tile, rng);
            self.readers.iter().for_each(|r| r.read(&tile, TILE.min(rows - start), rng, &mut out));
        }
        Ok(out)
    }

    fn save(&self) -> Result<Vec<u8>> {
        let mut w = Writer::new(NAME);
        w.u64(self.report.rows);
        w.u64(self.report.units);
        w.u32(self.report.epochs);
        w.u64(self.columns as u64);
        w.list(&self.parts, |w, part| match part {
            Part::Number(number) => {
                w.u32(0);
                w.u32(number.column);
                w.u32(number.latent);
                number.marginal.save(w);
            }
            Part::Group(group) => {
                w.u32(1);
                group.save(w);
            }
        });
        self.factor.save(&mut w);
        Ok(w.finish())
    }

    fn report(&self) -> FitReport {
        self.report
    }
}

//! Encoded rows for networks: tracks of numbers or choices, in memory or on disk, read a batch at a time.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use lookalike_core::{Error, ErrorKind, Job, Reservation, Result, ScratchFile, ScratchReader, write_items};
use rayon::prelude::*;

use crate::nn::SHARDS;

/// Rows in memory, a track of scalars or choices each span, never one-hot.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Compact {
    pub rows: usize,
    pub tracks: Vec<Track>,
}

impl Compact {
    /// The rows that shard `s` of a step on all of them learns from.
    pub fn shard(&self, s: usize) -> Range<usize> {
        let size = self.rows.div_ceil(SHARDS);
        (s * size).min(self.rows)..((s + 1) * size).min(self.rows)
    }
}

/// One span of all rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Track {
    Scalar(Vec<f32>),
    /// Place within the span.
    Choice(Vec<u16>),
    /// Nothing of any row.
    Omitted,
}

impl Track {
    /// The scalars, if it has any.
    pub fn scalars(&self) -> &[f32] {
        if let Track::Scalar(values) = self { values } else { &[] }
    }

    /// The choices, if it has any.
    pub fn choices(&self) -> &[u16] {
        if let Track::Choice(choices) = self { choices } else { &[] }
    }

    fn kind(&self) -> Kind {
        match self {
            Track::Scalar(_) => Kind::Scalar,
            Track::Choice(_) => Kind::Choice,
            Track::Omitted => Kind::Omitted,
        }
    }

    fn gather(&self, rows: &[u32]) -> Self {
        match self {
            Track::Scalar(v) => Track::Scalar(rows.iter().map(|&r| v[r as usize]).collect()),
            Track::Choice(v) => Track::Choice(rows.iter().map(|&r| v[r as usize]).collect()),
            Track::Omitted => Track::Omitted,
        }
    }

    fn slice(&self, rows: Range<usize>) -> Self {
        match self {
            Track::Scalar(v) => Track::Scalar(v[rows].to_vec()),
            Track::Choice(v) => Track::Choice(v[rows].to_vec()),
            Track::Omitted => Track::Omitted,
        }
    }
}

/// What a track holds, and how wide it is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Scalar,
    Choice,
    Omitted,
}

impl Kind {
    fn width(self) -> usize {
        match self {
            Kind::Scalar => 4,
            Kind::Choice => 2,
            Kind::Omitted => 0,
        }
    }

    fn read(self, bytes: &[u8]) -> Track {
        match self {
            Kind::Scalar => Track::Scalar(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
            Kind::Choice => Track::Choice(bytes.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b)).collect()),
            Kind::Omitted => Track::Omitted,
        }
    }
}

/// All encoded rows.
#[derive(Debug)]
pub(crate) struct EncodedRows {
    rows: usize,
    kept: Kept,
    _memory: Reservation,
}

#[derive(Debug)]
enum Kept {
    Memory(Vec<Track>),
    Disk(TrackFile),
}

/// Tracks one after another in a temporary file, read in blocks of rows.
#[derive(Debug)]
struct TrackFile {
    file: ScratchFile,
    /// Where each begins.
    tracks: Vec<(u64, Kind)>,
    /// The blocks read last, the latest at the end.
    blocks: Mutex<Vec<(usize, Arc<Vec<Track>>)>>,
}

/// Rows of a block on disk.
const BLOCK: usize = 1 << 13;
/// Blocks held: those of two windows of the training's order ([`crate::nn::window`]), which a batch may reach over.
const BLOCKS: usize = 36;

impl EncodedRows {
    /// Encodes `rows` rows column by column, `encode` giving a column's tracks; `row_bytes` are those of a row of all tracks. They stay
    /// in memory where there is room; where there is none they go to disk if they `may_spill`, and the call fails if not.
    pub fn of(
        rows: usize,
        columns: usize,
        row_bytes: usize,
        may_spill: bool,
        job: &Job,
        encode: impl Fn(usize) -> Result<Vec<Track>> + Sync,
    ) -> Result<Self> {
        let in_memory = job.reserve(rows * row_bytes, "encoded training rows");
        let encode = |c| {
            job.check()?;
            encode(c)
        };
        let memory = match in_memory {
            Err(error) if !may_spill || error.kind() != ErrorKind::Resources => return Err(error),
            Err(_) => job.reserve(BLOCKS * BLOCK.min(rows) * row_bytes, "blocks of encoded training rows")?,
            Ok(memory) => {
                let tracks: Vec<Vec<Track>> = (0..columns).into_par_iter().map(encode).collect::<Result<_>>()?;
                return Ok(Self { rows, kept: Kept::Memory(tracks.into_iter().flatten().collect()), _memory: memory });
            }
        };
        let file = ScratchFile::new("encoded training rows", job)?;
        let keep = |track: &Track| {
            let start = file.append(|file| match track {
                Track::Scalar(values) => write_items(file, values, |v| v.to_le_bytes()),
                Track::Choice(choices) => write_items(file, choices, |c| c.to_le_bytes()),
                Track::Omitted => Ok(()),
            })?;
            Ok((start, track.kind()))
        };
        let tracks: Vec<Vec<(u64, Kind)>> =
            (0..columns).into_par_iter().map(|c| encode(c)?.iter().map(keep).collect()).collect::<Result<_>>()?;
        let tracks = tracks.into_iter().flatten().collect();
        Ok(Self { rows, kept: Kept::Disk(TrackFile { file, tracks, blocks: Mutex::default() }), _memory: memory })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether they are on disk.
    #[cfg(test)]
    pub fn is_on_disk(&self) -> bool {
        matches!(self.kept, Kept::Disk(_))
    }

    /// One track of all rows.
    pub fn track(&self, track: usize) -> Result<Cow<'_, Track>> {
        match &self.kept {
            Kept::Memory(tracks) => Ok(Cow::Borrowed(&tracks[track])),
            Kept::Disk(file) => Ok(Cow::Owned(file.read(&mut file.file.reader()?, track, 0..self.rows)?)),
        }
    }

    /// These rows, in this order. Best for rows near one another: on disk whole blocks are read.
    pub fn gather(&self, rows: &[u32]) -> Result<Compact> {
        let tracks = match &self.kept {
            Kept::Memory(tracks) => tracks.iter().map(|t| t.gather(rows)).collect(),
            Kept::Disk(file) => file.gather(rows, self.rows)?,
        };
        Ok(Compact { rows: rows.len(), tracks })
    }

    /// Rows one after another.
    pub fn range(&self, rows: Range<usize>) -> Result<Compact> {
        let tracks = match &self.kept {
            Kept::Memory(tracks) => tracks.iter().map(|t| t.slice(rows.clone())).collect(),
            Kept::Disk(file) => {
                let mut reader = file.file.reader()?;
                let read = |t| file.read(&mut reader, t, rows.clone());
                (0..file.tracks.len()).map(read).collect::<Result<_>>()?
            }
        };
        Ok(Compact { rows: rows.len(), tracks })
    }
}

impl TrackFile {
    fn read(&self, reader: &mut ScratchReader, track: usize, rows: Range<usize>) -> Result<Track> {
        let (start, kind) = self.tracks[track];
        let mut bytes = vec![0; rows.len() * kind.width()];
        reader.read(start + (rows.start * kind.width()) as u64, &mut bytes)?;
        Ok(kind.read(&bytes))
    }

    /// A block, of the last ones or from disk.
    fn block(&self, block: usize, rows: usize) -> Result<Arc<Vec<Track>>> {
        // A thread that panicked left whole blocks behind.
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match blocks.iter().position(|b| b.0 == block) {
            Some(place) => blocks.remove(place).1,
            None => {
                if blocks.len() == BLOCKS {
                    blocks.remove(0);
                }
                let rows = block * BLOCK..((block + 1) * BLOCK).min(rows);
                let mut reader = self.file.reader()?;
                let read = |t| self.read(&mut reader, t, rows.clone());
                Arc::new((0..self.tracks.len()).map(read).collect::<Result<_>>()?)
            }
        };
        blocks.push((block, Arc::clone(&found)));
        Ok(found)
    }

    fn gather(&self, rows: &[u32], all: usize) -> Result<Vec<Track>> {
        let mut needed: Vec<usize> = rows.iter().map(|&r| r as usize / BLOCK).collect();
        needed.sort_unstable();
        needed.dedup();
        let blocks: Vec<Arc<Vec<Track>>> = needed.iter().map(|&b| self.block(b, all)).collect::<Result<_>>()?;
        let place = |&r: &u32| {
            let block = needed.binary_search(&(r as usize / BLOCK));
            block.map(|b| (b, r as usize % BLOCK)).map_err(|_| Error::internal("a row of no block"))
        };
        let places: Vec<(usize, usize)> = rows.iter().map(place).collect::<Result<_>>()?;
        let track = |(t, &(_, kind)): (usize, &(u64, Kind))| match kind {
            Kind::Scalar => Track::Scalar(places.iter().map(|&(b, r)| blocks[b][t].scalars()[r]).collect()),
            Kind::Choice => Track::Choice(places.iter().map(|&(b, r)| blocks[b][t].choices()[r]).collect()),
            Kind::Omitted => Track::Omitted,
        };
        Ok(self.tracks.iter().enumerate().map(track).collect())
    }
}

#[cfg(test)]
mod tests;

//! Files of bands: ranks of the quasi-identifiers and numbers of the items, in blocks that hold one band after the other.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use lookalike_core::{Job, Reservation, Result, Scratch};

use super::torn;
use crate::mondrian::part::Extent;

/// Items in a block; the last one may have fewer.
const BLOCK: usize = if cfg!(test) { 1 << 6 } else { 1 << 15 };

/// The items of a partition on disk.
pub(super) struct BandFile {
    scratch: Scratch,
    pub items: usize,
    pub bands: usize,
    /// Ranks that occur in each band.
    pub extents: Vec<Extent>,
}

impl BandFile {
    /// All bands.
    pub fn load(&self) -> Result<Vec<Vec<u32>>> {
        let mut all: Vec<Vec<u32>> = (0..self.bands).map(|_| Vec::with_capacity(self.items)).collect();
        self.each_block(|bands| {
            all.iter_mut().zip(bands).for_each(|(all, band)| all.extend_from_slice(band));
            Ok(())
        })?;
        Ok(all)
    }

    /// Calls `look` for each rank of a band.
    pub fn each(&self, band: usize, mut look: impl FnMut(u32)) -> Result<()> {
        let (mut file, mut ranks) = (self.scratch.open()?, vec![]);
        for (start, items) in self.blocks() {
            self.read(&mut file, start, items, band, &mut ranks)?;
            ranks.iter().for_each(|&rank| look(rank));
        }
        Ok(())
    }

    /// Calls `look` for each rank of a band and the number of its item.
    pub fn each_with_item(&self, band: usize, mut look: impl FnMut(u32, u32)) -> Result<()> {
        let (mut file, mut ranks, mut order) = (self.scratch.open()?, vec![], vec![]);
        for (start, items) in self.blocks() {
            self.read(&mut file, start, items, band, &mut ranks)?;
            self.read(&mut file, start, items, self.bands - 1, &mut order)?;
            ranks.iter().zip(&order).for_each(|(&rank, &item)| look(rank, item));
        }
        Ok(())
    }

    /// Calls `look` for all bands of each block.
    pub fn each_block(&self, mut look: impl FnMut(&[Vec<u32>]) -> Result<()>) -> Result<()> {
        let (mut file, mut bands) = (self.scratch.open()?, vec![vec![]; self.bands]);
        for (start, items) in self.blocks() {
            for (band, ranks) in bands.iter_mut().enumerate() {
                self.read(&mut file, start, items, band, ranks)?;
            }
            look(&bands)?;
        }
        Ok(())
    }

    /// First item and number of items of each block.
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let items = self.items;
        (0..items).step_by(BLOCK).map(move |start| (start, BLOCK.min(items - start)))
    }

    fn read(&self, file: &mut File, start: usize, items: usize, band: usize, ranks: &mut Vec<u32>) -> Result<()> {
        let mut bytes = vec![0; items * 4];
        let place = (start * self.bands + band * items) * 4;
        let read = file.seek(SeekFrom::Start(place as u64)).and_then(|_| file.read_exact(&mut bytes));
        read.map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => torn(),
            _ => self.scratch.failed("reading", &e),
        })?;
        ranks.clear();
        let (words, _) = bytes.as_chunks::<4>();
        ranks.extend(words.iter().map(|w| u32::from_le_bytes(*w)));
        Ok(())
    }
}

/// Writes a band file.
pub(super) struct BandWriter<'j> {
    scratch: Scratch,
    file: File,
    /// Items that do not fill a block yet.
    pending: Vec<Vec<u32>>,
    items: usize,
    extents: Vec<Extent>,
    job: &'j Job,
    _held: Reservation,
}

impl<'j> BandWriter<'j> {
    pub fn new(bands: usize, job: &'j Job) -> Result<Self> {
        // Up to two blocks wait, and one is turned into bytes.
        let held = job.reserve(3 * BLOCK * bands * 4, "writing partitions")?;
        let scratch = job.scratch("partitions")?;
        let file = scratch.create()?;
        let (pending, extents) = (vec![vec![]; bands], vec![Extent::of(&[]); bands]);
        Ok(Self { scratch, file, pending, items: 0, extents, job, _held: held })
    }

    /// Adds items, one list a band.
    pub fn push(&mut self, bands: &[Vec<u32>]) -> Result<()> {
        for start in (0..bands[0].len()).step_by(BLOCK) {
            let range = start..bands[0].len().min(start + BLOCK);
            self.pending.iter_mut().zip(bands).for_each(|(p, band)| p.extend_from_slice(&band[range.clone()]));
            self.flush(BLOCK)?;
        }
        Ok(())
    }

    /// Adds the items that belong to `side`.
    pub fn push_some(&mut self, bands: &[Vec<u32>], sides: &[u32], side: u32) -> Result<()> {
        for (pending, band) in self.pending.iter_mut().zip(bands) {
            pending.extend(band.iter().zip(sides).filter(|(_, s)| **s == side).map(|(rank, _)| *rank));
        }
        self.flush(BLOCK)
    }

    /// Writes the pending items while there are `least` of them.
    fn flush(&mut self, least: usize) -> Result<()> {
        while self.pending[0].len() >= least.max(1) {
            let items = self.pending[0].len().min(BLOCK);
            let mut bytes = Vec::with_capacity(items * 4 * self.pending.len());
            for (pending, extent) in self.pending.iter_mut().zip(&mut self.extents) {
                *extent = extent.with(Extent::of(&pending[..items]));
                bytes.extend(pending.drain(..items).flat_map(u32::to_le_bytes));
            }
            self.file.write_all(&bytes).map_err(|e| self.scratch.failed("writing", &e))?;
            self.job.count("spilled_bytes", bytes.len());
            self.items += items;
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<BandFile> {
        self.flush(1)?;
        let Self { scratch, items, extents, pending, .. } = self;
        Ok(BandFile { scratch, items, bands: pending.len(), extents })
    }
}

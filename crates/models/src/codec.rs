//! Bytes of a saved model: magic, format version, model name, payload, checksum. Little-endian, floats bit for bit.

use lookalike_core::{Error, Result};

const MAGIC: &[u8; 8] = b"LOOKALIK";
/// Version of the layout; a reader takes its own only.
const VERSION: u32 = 1;

/// Rows of any table: exact as f64.
const MAX_ROWS: u64 = 1 << 53;

/// Appends values to the bytes of a saved model.
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Starts with the header of a model.
    pub fn new(model: &str) -> Self {
        let mut writer = Self { bytes: MAGIC.to_vec() };
        writer.u32(VERSION);
        writer.list(model.as_bytes(), |w, b| w.bytes.push(*b));
        writer
    }

    pub fn u32(&mut self, value: u32) {
        self.bytes.extend(value.to_le_bytes());
    }

    pub fn u64(&mut self, value: u64) {
        self.bytes.extend(value.to_le_bytes());
    }

    pub fn f32(&mut self, value: f32) {
        self.u32(value.to_bits());
    }

    pub fn f64(&mut self, value: f64) {
        self.u64(value.to_bits());
    }

    /// A length, then each item.
    pub fn list<T>(&mut self, items: &[T], mut each: impl FnMut(&mut Self, &T)) {
        self.u64(items.len() as u64);
        items.iter().for_each(|item| each(self, item));
    }

    pub fn text(&mut self, text: &str) {
        self.list(text.as_bytes(), |w, b| w.bytes.push(*b));
    }

    pub fn u32s(&mut self, items: &[u32]) {
        self.list(items, |w, v| w.u32(*v));
    }

    pub fn f32s(&mut self, items: &[f32]) {
        self.list(items, |w, v| w.f32(*v));
    }

    pub fn f64s(&mut self, items: &[f64]) {
        self.list(items, |w, v| w.f64(*v));
    }

    /// Starts without a header, for a section of a larger file that has a digest of its own.
    pub fn section() -> Self {
        Self { bytes: vec![] }
    }

    /// The bytes of a section.
    pub fn into_section(self) -> Vec<u8> {
        self.bytes
    }

    /// The bytes, sealed with their checksum.
    pub fn finish(mut self) -> Vec<u8> {
        let sum = checksum(&self.bytes);
        self.u64(sum);
        self.bytes
    }
}

/// Bytes with the checksum that belongs to them, to try what damage behind it does.
#[cfg(test)]
pub(crate) fn sealed(bytes: Vec<u8>) -> Vec<u8> {
    Writer { bytes }.finish()
}

/// FNV-1a: finds truncation and damage, keeps out no attacker.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

/// Takes values off the bytes of a saved model.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Checks magic, version, model and checksum.
    pub fn new(bytes: &'a [u8], model: &str) -> Result<Self> {
        let (mut reader, name) = Self::open(bytes)?;
        if name != model {
            return Err(Error::data(format!("the saved model is a '{name}', not a '{model}'")));
        }
        let Some((body, sum)) = bytes.split_last_chunk::<8>() else { return Err(truncated()) };
        if reader.bytes.len() < 8 || checksum(body) != u64::from_le_bytes(*sum) {
            return Err(Error::data("the saved model is damaged or truncated: its checksum does not match"));
        }
        reader.bytes = &reader.bytes[..reader.bytes.len() - 8];
        Ok(reader)
    }

    /// The name of the model that the bytes are of.
    pub fn model(bytes: &'a [u8]) -> Result<String> {
        Ok(Self::open(bytes)?.1)
    }

    /// What comes after magic, version and the model's name, and that name.
    fn open(bytes: &'a [u8]) -> Result<(Self, String)> {
        let Some(rest) = bytes.strip_prefix(MAGIC) else {
            return Err(Error::data("these bytes are not a saved Lookalike model"));
        };
        let mut reader = Self { bytes: rest };
        let version = reader.u32()?;
        if version != VERSION {
            return Err(Error::data(format!(
                "the saved model has format version {version}, this library reads version {VERSION}: fit it again"
            )));
        }
        let name = reader.list(1, |r| Ok(r.take::<1>()?[0]))?;
        Ok((reader, String::from_utf8_lossy(&name).into_owned()))
    }

    /// Reads what [`Writer::into_section`] gave.
    pub fn section(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.bytes.split_first_chunk::<N>().ok_or_else(truncated)?;
        self.bytes = rest;
        Ok(*head)
    }

    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    pub fn f32(&mut self) -> Result<f32> {
        Ok(f32::from_bits(self.u32()?))
    }

    pub fn f64(&mut self) -> Result<f64> {
        Ok(f64::from_bits(self.u64()?))
    }

    /// A length, then so many items of at least `size` bytes each.
    pub fn list<T>(&mut self, size: usize, mut each: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let length = self.u64()? as usize;
        if length > self.bytes.len() / size {
            return Err(truncated());
        }
        (0..length).map(|_| each(self)).collect()
    }

    pub fn text(&mut self) -> Result<String> {
        let bytes = self.list(1, |r| Ok(r.take::<1>()?[0]))?;
        String::from_utf8(bytes).map_err(|_| inconsistent())
    }

    /// Bytes not yet read.
    pub fn left(&self) -> usize {
        self.bytes.len()
    }

    pub fn u32s(&mut self) -> Result<Vec<u32>> {
        self.list(4, Self::u32)
    }

    pub fn f32s(&mut self) -> Result<Vec<f32>> {
        self.list(4, Self::f32)
    }

    pub fn f64s(&mut self) -> Result<Vec<f64>> {
        self.list(8, Self::f64)
    }

    /// Counts of rows: so many that no sum of them overflows, nor loses a row as f64.
    pub fn counts(&mut self) -> Result<Vec<u64>> {
        let counts = self.list(8, Self::u64)?;
        let total = counts.iter().try_fold(0u64, |sum, c| sum.checked_add(*c));
        ensure(total.is_some_and(|t| t <= MAX_ROWS))?;
        Ok(counts)
    }

    /// A number of rows.
    pub fn count(&mut self) -> Result<u64> {
        let count = self.u64()?;
        ensure(count <= MAX_ROWS)?;
        Ok(count)
    }

    /// Checks that nothing is left.
    pub fn finish(self) -> Result<()> {
        if self.bytes.is_empty() { Ok(()) } else { Err(inconsistent()) }
    }
}

/// Puts the checksum right after a test has changed the bytes: what is left is what the reader itself has to see.
#[cfg(test)]
pub(crate) fn reseal(bytes: &mut [u8]) {
    let (body, sum) = bytes.split_last_chunk_mut::<8>().expect("saved models end in a checksum");
    *sum = checksum(body).to_le_bytes();
}

fn truncated() -> Error {
    Error::data("the saved model is truncated")
}

/// The checksum matches but the content contradicts itself.
pub(crate) fn inconsistent() -> Error {
    Error::data("the saved model contradicts itself: fit it again")
}

/// `inconsistent()` unless the condition holds.
pub(crate) fn ensure(condition: bool) -> Result<()> {
    if condition { Ok(()) } else { Err(inconsistent()) }
}

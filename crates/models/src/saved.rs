//! The file of a saved model: what it says of itself, sections of bytes, and a digest over all.
//!
//! | bytes | content |
//! |---|---|
//! | 16 | `LOOKALIKE MODEL\n` |
//! | 8 | length of the header, little-endian |
//! | so many | the header, JSON |
//! | as the header says | sections, one after another |
//! | 32 | SHA-256 of all bytes before |
//!
//! The digest finds truncation and damage, and tells two files apart. It is no signature: whoever changes a file can compute
//! it again. Reading a file runs nothing that it holds, and takes memory in proportion to its bytes.

mod schema;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use arrow::datatypes::{Schema, SchemaRef};
use lookalike_core::{Column, Error, Result, Role, Value};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::codec::{ensure, inconsistent};
use crate::pairs::SavedPairs;
pub(crate) use schema::SavedColumn;
use schema::SavedField;

const MAGIC: &[u8; 16] = b"LOOKALIKE MODEL\n";
/// Version of the layout and of the header; a reader takes its own only.
const FORMAT: u32 = 1;
/// Bytes before the header.
const START: usize = MAGIC.len() + 8;
const DIGEST: usize = 32;

/// What the file says of the model, in the order of the JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    /// Version of the format.
    pub format: u32,
    /// Version of the library that wrote it.
    pub version: String,
    /// Name in the registry.
    pub model: String,
    /// Options of the model, defaults among them.
    pub options: BTreeMap<String, serde_json::Value>,
    pub params: Params,
    /// The seed of the training where the user chose it. One from the operating system is a secret and not written: together
    /// with the rows it would tell how each synthetic row was drawn.
    pub seed: Option<u64>,
    /// Instructions that matrix products used while training: another set may give other last bits.
    pub simd: String,
    /// A promise that the training earned; none of the models makes one.
    pub guarantee: Option<String>,
    pub training: Training,
    /// Metadata of the schema.
    pub metadata: BTreeMap<String, String>,
    pub columns: Vec<SavedColumn>,
    /// Of a model of pairs: how they come from rows of those columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<SavedPairs>,
    pub body: Vec<Section>,
}

/// What of [`crate::SynthesizeParams`] shaped the model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    pub min_category_count: u32,
    pub filter_copies: bool,
    /// Texts of the rules that every row keeps.
    pub constraints: Vec<String>,
    pub detect_structure: bool,
}

/// Figures of the training. No times: the same seed gives the same file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Training {
    pub rows: u64,
    pub persons: u64,
    pub epochs: u32,
    /// Loss and held-out loss of each epoch; null where there was none.
    pub history: Vec<[Option<f64>; 2]>,
}

/// A named part of the body.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Section {
    pub name: String,
    /// Bytes from the start of the body.
    pub offset: u64,
    pub length: u64,
}

/// What a file holds of where its model comes from, besides what a [`crate::Synthesizer`] knows.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// Whether the user chose the seed of the training; only then it is written.
    pub seed_is_public: bool,
    /// Metadata of the training rows' schema.
    pub metadata: HashMap<String, String>,
}

/// What a file says of the rows that its model makes.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedModel {
    /// The schema of the rows: that of the training rows, metadata included.
    pub schema: SchemaRef,
    /// Names of the columns that are identifiers, made anew.
    pub identifiers: Vec<String>,
    /// Whether the rows are (record, code) pairs.
    pub is_of_pairs: bool,
}

/// Simple values as JSON; numbers keep their kind.
pub(crate) fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(v) => (*v).into(),
        Value::Int(v) => (*v).into(),
        Value::Float(v) => (*v).into(),
        Value::Text(v) => v.as_str().into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => {
            serde_json::Value::Object(entries.iter().map(|(key, value)| (key.clone(), json(value))).collect())
        }
    }
}

/// The bytes of a file: `header` with the sections written into it, the sections, the digest.
pub(crate) fn write(mut header: Header, sections: Vec<(&str, Vec<u8>)>) -> Result<Vec<u8>> {
    header.format = FORMAT;
    let mut offset = 0;
    for (name, bytes) in &sections {
        header.body.push(Section { name: (*name).into(), offset, length: bytes.len() as u64 });
        offset += bytes.len() as u64;
    }
    let header = serde_json::to_vec(&header).map_err(|e| Error::internal(format!("a model's header: {e}")))?;
    let mut file = Vec::with_capacity(START + header.len() + offset as usize + DIGEST);
    file.extend(MAGIC);
    file.extend((header.len() as u64).to_le_bytes());
    file.extend(header);
    sections.iter().for_each(|(_, bytes)| file.extend(bytes));
    let digest = Sha256::digest(&file);
    file.extend(digest.as_slice());
    Ok(file)
}

fn foreign() -> Error {
    Error::data("this is no saved model of Lookalike")
}

fn truncated() -> Error {
    Error::data("the saved model is truncated")
}

/// Where the header lies, from the first bytes of a file; as many as there are when those are fewer than
/// [`SavedModel::PREFIX`].
fn header_range(start: &[u8]) -> Result<Range<usize>> {
    let known = start.len().min(MAGIC.len());
    if start[..known] != MAGIC[..known] || start.is_empty() {
        return Err(foreign());
    }
    let length = start.get(MAGIC.len()..START).ok_or_else(truncated)?;
    let length = length.iter().rev().fold(0, |sum, b| sum << 8 | u64::from(*b));
    let end = usize::try_from(length).ok().and_then(|length| length.checked_add(START)).ok_or_else(truncated)?;
    Ok(START..end)
}

/// The header in the first bytes of a file.
fn read_header(file: &[u8]) -> Result<(Header, usize)> {
    /// All that every version of the header has.
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let range = header_range(file)?;
    let json = file.get(range.clone()).ok_or_else(truncated)?;
    let damaged = |e: serde_json::Error| {
        let place = if e.is_data() { format!(": {e}") } else { String::new() };
        Error::data(format!("the header of the saved model is damaged{place}"))
    };
    let Format { format } = serde_json::from_slice(json).map_err(damaged)?;
    if format != FORMAT {
        return Err(Error::data(format!(
            "the saved model has format {format}, this version of Lookalike reads format {FORMAT}: use the version that wrote \
             it, or fit the model again"
        )));
    }
    Ok((serde_json::from_slice(json).map_err(damaged)?, range.end))
}

/// The header and sections of a whole file, every length and the digest checked.
pub(crate) fn read(file: &[u8]) -> Result<(Header, Sections<'_>)> {
    let (header, start) = read_header(file)?;
    let mut end = 0u64;
    for section in &header.body {
        ensure(section.offset == end)?;
        end = end.checked_add(section.length).ok_or_else(inconsistent)?;
    }
    let rest = &file[start..];
    let body = usize::try_from(end).ok().filter(|&end| rest.len().saturating_sub(DIGEST) >= end);
    let Some(body) = body.filter(|_| rest.len() >= DIGEST) else { return Err(truncated()) };
    if rest.len() > body + DIGEST {
        let more = rest.len() - body - DIGEST;
        return Err(Error::data(format!("the saved model is followed by {more} bytes that are not its own")));
    }
    let (content, digest) = file.split_at(file.len() - DIGEST);
    if Sha256::digest(content).as_slice() != digest {
        return Err(Error::data("the saved model is damaged or was changed: its digest does not match"));
    }
    let section = |s: &Section| (s.name.clone(), &rest[s.offset as usize..(s.offset + s.length) as usize]);
    let sections = header.body.iter().map(section).collect();
    Ok((header, Sections(sections)))
}

/// Sections of a file that have not been read.
#[derive(Debug)]
pub(crate) struct Sections<'a>(Vec<(String, &'a [u8])>);

impl<'a> Sections<'a> {
    /// Takes the next section, which must have that name.
    pub fn next(&mut self, name: &str) -> Result<&'a [u8]> {
        ensure(self.0.first().is_some_and(|(n, _)| n == name))?;
        Ok(self.0.remove(0).1)
    }

    /// Checks that none is left.
    pub fn finish(self) -> Result<()> {
        ensure(self.0.is_empty())
    }
}

impl SavedModel {
    /// Bytes from the start of a file that say how long its header is.
    pub const PREFIX: usize = START;

    /// How many bytes of a file have to be known to [`SavedModel::describe`] it, from its first [`SavedModel::PREFIX`].
    ///
    /// # Errors
    /// A data error when the file is no saved model, or ends before that.
    pub fn header_end(start: &[u8]) -> Result<usize> {
        header_range(start).map(|range| range.end)
    }

    /// What a file says of itself, from its first bytes. The digest is not checked, nor is the model read: loading does.
    ///
    /// # Errors
    /// A data error when the file is no saved model, of another format version, or damaged.
    pub fn describe(start: &[u8]) -> Result<Self> {
        let (header, _) = read_header(start)?;
        let columns = match &header.pairs {
            Some(pairs) => pairs.columns.iter().map(SavedColumn::column).collect::<Result<_>>()?,
            None => header.columns()?,
        };
        let is_of_pairs = header.pairs.is_some();
        let identifiers = columns.iter().filter(|c| c.role() == Role::Identifier).map(|c| c.name().to_string());
        Ok(Self { identifiers: identifiers.collect(), schema: header.schema(&columns), is_of_pairs })
    }

    /// The same as text, for plans that travel without the file.
    pub fn to_text(&self) -> Result<String> {
        let fields = self.schema.fields().iter().map(|f| SavedField::of(f)).collect::<Option<_>>();
        let text = Text {
            metadata: self.schema.metadata().iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
            fields: fields.ok_or_else(|| Error::internal("a saved schema has a type without encoding"))?,
            identifiers: self.identifiers.clone(),
            is_of_pairs: self.is_of_pairs,
        };
        serde_json::to_string(&text).map_err(|e| Error::internal(e.to_string()))
    }

    /// Reads what [`SavedModel::to_text`] gave.
    pub fn from_text(text: &str) -> Result<Self> {
        let text: Text = serde_json::from_str(text).map_err(|e| Error::data(format!("no schema of a model: {e}")))?;
        let fields = text.fields.iter().map(SavedField::field).collect::<Result<Vec<_>>>()?;
        let metadata = text.metadata.into_iter().collect();
        let schema = Schema::new_with_metadata(fields, metadata).into();
        Ok(Self { schema, identifiers: text.identifiers, is_of_pairs: text.is_of_pairs })
    }
}

/// A [`SavedModel`] as JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    metadata: BTreeMap<String, String>,
    fields: Vec<SavedField>,
    identifiers: Vec<String>,
    is_of_pairs: bool,
}

impl Header {
    /// Fields and domains, checked.
    pub fn columns(&self) -> Result<Vec<Column>> {
        self.columns.iter().map(SavedColumn::column).collect()
    }

    /// The schema of the rows.
    pub fn schema(&self, columns: &[Column]) -> SchemaRef {
        let fields: Vec<_> = columns.iter().map(|c| c.field.clone()).collect();
        let metadata = self.metadata.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        Schema::new_with_metadata(fields, metadata).into()
    }
}

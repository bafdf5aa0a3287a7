//! Times searches over raw files of little-endian f32, row by row, as benches/peers/neighbours.py writes them.
//!
//! `neighbours QUERIES REFERENCES NUMBERS[+CATEGORIES] METRIC K [plain]`: so many columns of numbers, then of categories;
//! NaN is NULL. K = 0 looks for the nearest with `nearest`, `within:RADIUS` counts references. `plain` asks in portions too small for a search tree. Prints
//! one JSON line; RAYON_NUM_THREADS sets the threads.

use std::error::Error;
use std::fs::read;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use lookalike_attacks::{Metric, SearchOptions, Space, k_nearest, nearest, within};
use lookalike_core::{EncodeSpec, FrameBuilder, Job, encode};

fn batch(path: &str, numbers: usize, categories: usize) -> Result<RecordBatch, Box<dyn Error>> {
    let bytes = read(path)?;
    let values: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let width = numbers + categories;
    let column = |c: usize| values.iter().skip(c).step_by(width);
    let columns = (0..width).map(|c| {
        let array: ArrayRef = if c < numbers {
            Arc::new(column(c).map(|v| (!v.is_nan()).then_some(f64::from(*v))).collect::<Float64Array>())
        } else {
            Arc::new(column(c).map(|v| (!v.is_nan()).then(|| format!("v{v}"))).collect::<StringArray>())
        };
        (format!("c{c}"), array, true)
    });
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [queries, references, columns, metric, k, rest @ ..] = arguments.as_slice() else {
        return Err("usage: neighbours QUERIES REFERENCES NUMBERS[+CATEGORIES] METRIC K [plain]".into());
    };
    let (numbers, categories) = columns.split_once('+').unwrap_or((columns, "0"));
    let (numbers, categories): (usize, usize) = (numbers.parse()?, categories.parse()?);
    let radius: Option<f64> = k.strip_prefix("within:").map(str::parse).transpose()?;
    let k: usize = if radius.is_some() { 0 } else { k.parse()? };
    let relations = [queries, references].map(|path| {
        let batch = batch(path, numbers, categories)?;
        let mut builder = FrameBuilder::new(batch.schema(), EncodeSpec::default())?;
        builder.push(&batch)?;
        Ok::<_, Box<dyn Error>>(vec![builder])
    });
    let relations = relations.into_iter().collect::<Result<_, _>>()?;
    let job = Job::unbounded();
    let frames = encode(relations, &job)?;
    let (queries, references) = (&frames[0], &frames[1]);
    let space = Space::fit(Metric::from_name(metric)?, &[references])?;

    let start = Instant::now();
    let points = space.encode(references, &job)?;
    let portion = if rest.iter().any(|word| word == "plain") { 1000 } else { queries.rows().max(1) };
    let all: Vec<u32> = (0..queries.rows() as u32).collect();
    let portions =
        all.chunks(portion).map(|rows| space.encode(&queries.gather(rows), &job)).collect::<Result<Vec<_>, _>>()?;
    let encoded = start.elapsed().as_secs_f64();
    let mut sum = 0.0;
    for portion in &portions {
        let options = SearchOptions::default();
        sum += if let Some(radius) = radius {
            let radii = vec![radius; portion.rows()];
            within(&space, portion, &points, &radii, options, &job)?.iter().map(|w| f64::from(w.nearer)).sum()
        } else if k == 0 {
            nearest(&space, portion, &points, options, &job)?.iter().map(|n| n.distance).sum::<f64>()
        } else {
            k_nearest(&space, portion, &points, k, options, &job)?.distances.iter().filter(|d| !d.is_nan()).sum()
        };
    }
    let searched = start.elapsed().as_secs_f64() - encoded;
    println!("{{\"encode_s\": {encoded:.4}, \"search_s\": {searched:.4}, \"sum\": {sum}}}");
    Ok(())
}

//! Damaged and hostile files of every model: loading refuses or accepts them, and never panics, runs away or takes memory
//! that the bytes do not justify.
//!
//! A fixed number of seeded mutations of valid files, lengths and digests put right, so that most reach the readers of the
//! content. `LOOKALIKE_MUTATIONS=100000000` goes on for long; `fuzz/` drives the same readers by coverage.

mod drive;
mod sealing;

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::*;
use lookalike_core::{EncodeSpec, FrameBuilder, Job, Options, Stream, Streams, Value, below, encode, uniform};
use lookalike_models::{MODELS, Origin, PairColumns, Pairs, SynthesizeParams, Synthesizer, model};
use rand::RngCore;
use sealing::{Parts, sealed};

/// Notes the largest request for memory.
struct Noting;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Noting = Noting;

/// A table with a column of every kind, some of them dependent.
fn table(rows: usize, seed: u64) -> RecordBatch {
    let mut rng = Streams::new(seed, "table").block(0);
    let x: Vec<f64> = (0..rows).map(|_| uniform(&mut rng)).collect();
    let y: Vec<f64> = x.iter().map(|x| 0.5 * x + uniform(&mut rng)).collect();
    let ward = |i: usize| ["north", "south", "west", "rare"][((y[i] * 2.5) as usize).min(3)];
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(StringArray::from_iter_values((0..rows).map(|i| format!("P{i}")))) as ArrayRef, false),
        (
            "weight",
            Arc::new(Float64Array::from_iter(x.iter().map(|x| (*x > 0.2).then_some((x * 900.0).round() / 10.0)))),
            true,
        ),
        ("count", Arc::new(Int32Array::from_iter_values(y.iter().map(|y| (y * 4.0) as i32))), false),
        (
            "at",
            Arc::new(TimestampSecondArray::from_iter_values(x.iter().map(|x| 1_600_000_000 + 60 * (x * 500.0) as i64))),
            false,
        ),
        ("ward", Arc::new(StringArray::from_iter((0..rows).map(|i| (i % 9 > 0).then(|| ward(i))))), true),
        ("code", Arc::new(StringArray::from_iter_values((0..rows).map(|i| ward(i).to_uppercase()))), false),
        ("dead", Arc::new(BooleanArray::from_iter((0..rows).map(|i| Some(x[i] + y[i] > 1.0)))), false),
        ("never", Arc::new(Float32Array::from_iter((0..rows).map(|_| None))), true),
    ])
    .unwrap()
}

/// Files of models of pairs: codes that are texts, and numbers with counts.
fn files_of_pairs() -> Vec<Vec<u8>> {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values((0..240).map(|i| i / 3)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..240).map(|i| format!("code {}", i * i % 7))));
    let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values((0..240).map(|i| i * i % 7)));
    let counts: ArrayRef = Arc::new(Int32Array::from_iter_values((0..240).map(|i| 1 + i % 4)));
    let relations =
        [vec![("id", Arc::clone(&ids)), ("code", texts)], vec![("id", ids), ("code", numbers), ("n", counts)]];
    let file = |columns: Vec<(&str, ArrayRef)>| {
        let count = (columns.len() > 2).then(|| "n".to_string());
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let spec = EncodeSpec { identifiers: vec!["id".into()], unit: Some("id".into()), ..EncodeSpec::default() };
        let columns = Some(batch.schema().fields().iter().map(|f| f.name().clone()).collect());
        let spec = EncodeSpec { detect_identifiers: false, columns, ..spec };
        let mut builder = FrameBuilder::new(batch.schema(), spec).unwrap();
        builder.push(&batch).unwrap();
        let frame = encode(vec![vec![builder]], &Job::unbounded()).unwrap().remove(0);
        let names = PairColumns { record: "id".into(), code: "code".into(), count };
        let (pairs, rows, _) = Pairs::pivot(frame, &names, 5, &Job::unbounded()).unwrap();
        let params = SynthesizeParams { model: "independent".into(), detect_structure: false, ..Default::default() };
        let params = SynthesizeParams { filter_copies: false, ..params };
        let options = Options::check(model("independent").unwrap().params(), &[]).unwrap();
        let synthesizer = Synthesizer::fit(rows, params, &options, &Job::unbounded()).unwrap();
        pairs.save(&synthesizer, &Origin::default()).unwrap()
    };
    relations.into_iter().map(file).collect()
}

/// Files of every model, over tables of two sizes, and of pairs.
fn files() -> Vec<Vec<u8>> {
    let mut files = files_of_pairs();
    for (rows, min_category_count) in [(60, 5), (400, 1)] {
        let batch = table(rows, rows as u64);
        let spec = EncodeSpec { identifiers: vec!["id".into()], ..EncodeSpec::default() };
        let mut builder = FrameBuilder::new(batch.schema(), spec).unwrap();
        builder.push(&batch).unwrap();
        let frame = encode(vec![vec![builder]], &Job::unbounded()).unwrap().remove(0);
        for model in MODELS {
            let params = SynthesizeParams { model: model.name().into(), min_category_count, ..Default::default() };
            let params = SynthesizeParams { filter_copies: false, ..params };
            // A reader does not care how well a model learned; controls want to be asked for.
            let given =
                [("epochs", 1), ("hidden", 8), ("latent", 4), ("steps", 4)].map(|(name, n)| (name, Value::Int(n)));
            let given = given.into_iter().chain([("control", Value::Bool(true))]);
            let given = given.filter(|(name, _)| model.params().iter().any(|p| p.name == *name));
            let given: Vec<(String, Value)> = given.map(|(name, value)| (name.to_string(), value)).collect();
            let options = Options::check(model.params(), &given).unwrap();
            let synthesizer = Synthesizer::fit(frame.clone(), params, &options, &Job::unbounded()).unwrap();
            files.push(synthesizer.save(&Origin::default()).unwrap());
        }
    }
    files
}

/// A number that a reader may not expect.
fn odd_number(rng: &mut Stream) -> u64 {
    let any = rng.next_u64() >> below(rng, 64);
    let floats = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e308, -1e308, 5e-324, 1.0];
    match below(rng, 6) {
        0 => below(rng, 17) as u64,
        1 => any,
        2 => {
            [u64::MAX, i64::MAX as u64, 1 << 63, 1 << 53, (1 << 53) + 1, 1 << 32, (1 << 32) - 1, 1 << 31][below(rng, 8)]
        }
        3 => floats[below(rng, 8)].to_bits(),
        4 => u64::MAX - below(rng, 17) as u64,
        _ => uniform(rng).to_bits(),
    }
}

/// Changes bytes somewhere.
fn damage(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Stream) {
    if bytes.is_empty() {
        return bytes.extend(&other[..other.len().min(64)]);
    }
    let at = below(rng, bytes.len());
    match below(rng, 8) {
        0 => bytes[at] ^= 1 << below(rng, 8),
        1 => bytes[at] = odd_number(rng) as u8,
        2 | 3 => {
            // Most fields are aligned to four bytes from the front.
            let (at, width) = (at & !3, [4, 8][below(rng, 2)]);
            let number = odd_number(rng).to_le_bytes();
            bytes[at..].iter_mut().zip(&number[..width]).for_each(|(b, n)| *b = *n);
        }
        4 => bytes.truncate(at),
        5 => {
            let end = at + below(rng, bytes.len() - at + 1).min(64);
            bytes.drain(at..end);
        }
        6 => {
            let end = at + below(rng, bytes.len() - at + 1).min(64);
            let part = bytes[at..end].to_vec();
            let to = below(rng, bytes.len());
            bytes.splice(to..to, part);
        }
        _ => {
            let from = below(rng, other.len().max(1)).min(other.len());
            let length = below(rng, 256).min(other.len() - from).min(bytes.len() - at);
            bytes[at..at + length].copy_from_slice(&other[from..from + length]);
        }
    }
}

/// Changes the header as text: numbers, and what stands between commas.
fn damage_header(header: &str, rng: &mut Stream) -> String {
    let mut tokens: Vec<String> = header.split_inclusive([',', ':', '[', ']', '{', '}']).map(String::from).collect();
    let at = below(rng, tokens.len());
    let tail =
        |token: &str| token.chars().last().filter(|c| ",:[]{}".contains(*c)).map(String::from).unwrap_or_default();
    match below(rng, 6) {
        0 | 1 => {
            let numbers: Vec<usize> = (0..tokens.len())
                .filter(|&i| tokens[i].starts_with(|c: char| c == '-' || c.is_ascii_digit()))
                .collect();
            if let Some(&at) = numbers.get(below(rng, numbers.len().max(1))) {
                let number = odd_number(rng);
                let number = match below(rng, 3) {
                    0 => (number as i64).to_string(),
                    1 => number.to_string(),
                    _ => format!("{:?}", f64::from_bits(number)),
                };
                tokens[at] = number + &tail(&tokens[at]);
            }
        }
        2 => tokens[at] = tail(&tokens[at]),
        3 => {
            let other = below(rng, tokens.len());
            tokens.swap(at, other);
        }
        4 => {
            let words =
                ["null", "\"Null\"", "\"Utf8\"", "\"Boolean\"", "\"Int8\"", "\"Float16\"", "true", "[]", "{}", "\"\""];
            tokens[at] = words[below(rng, words.len())].to_string() + &tail(&tokens[at]);
        }
        _ => {
            let from = below(rng, tokens.len());
            tokens[at] = tokens[from].clone();
        }
    }
    tokens.concat()
}

/// One mutation; whether it was accepted, as a file and as a state.
fn mutation(files: &[Vec<u8>], parts: &[Parts], rng: &mut Stream) -> [bool; 2] {
    let (one, two) = (below(rng, parts.len()), below(rng, parts.len()));
    let times = 1 + below(rng, 3);
    match below(rng, 8) {
        // As the disk or the network would damage it.
        0 => {
            let mut file = files[one].clone();
            (0..times).for_each(|_| damage(&mut file, &files[two], rng));
            [drive::file(&file), false]
        }
        1 | 2 => {
            let body = [&parts[one].state()[..], &parts[one].sections[1..].concat()].concat();
            let mut header = parts[one].header.to_string();
            (0..times).for_each(|_| header = damage_header(&header, rng));
            [drive::file(&sealed(&header, &body)), false]
        }
        kind => {
            let mut parts = [parts[one].clone(), parts[two].clone()];
            if kind == 3 {
                // The state of one model among the columns of another.
                let [a, b] = &mut parts;
                std::mem::swap(&mut a.sections[0], &mut b.sections[0]);
                a.header["model"] = b.header["model"].clone();
            }
            for _ in 0..times {
                let section = if below(rng, 4) == 0 { 1 } else { 0 };
                let [a, b] = &mut parts;
                damage(&mut a.sections[section], &b.sections[section], rng);
            }
            [drive::file(&parts[0].file()), drive::state(&parts[0].state())]
        }
    }
}

#[test]
fn damaged_models_are_refused_or_harmless() {
    let files = files();
    let parts: Vec<Parts> = files.iter().map(|f| Parts::of(f).unwrap()).collect();
    for (file, parts) in files.iter().zip(&parts) {
        assert!(drive::file(file) && drive::file(&parts.file()) && drive::state(&parts.state()));
        assert!(!drive::file(&parts.state()) && !drive::state(file));
    }
    let mutations = std::env::var("LOOKALIKE_MUTATIONS").map_or(10_000, |n| n.parse().unwrap());
    let limit = 1 << 20;
    let longest = files.iter().map(Vec::len).max().unwrap();
    let streams = Streams::new(1, "damage");
    let mut accepted = [0u64; 2];
    for number in 0..mutations {
        LARGEST.store(0, Ordering::Relaxed);
        let outcome = catch_unwind(AssertUnwindSafe(|| mutation(&files, &parts, &mut streams.block(number))));
        let outcome = outcome.unwrap_or_else(|_| panic!("mutation {number} panics"));
        accepted.iter_mut().zip(outcome).for_each(|(sum, accepted)| *sum += u64::from(accepted));
        let largest = LARGEST.load(Ordering::Relaxed);
        assert!(largest <= limit + 64 * longest, "mutation {number} asks for {largest} bytes at once");
        if number % 1_000_000 == 999_999 {
            eprintln!("{} mutations, accepted {accepted:?}", number + 1);
        }
    }
    // The mutations reach beyond the first checks: a good part of them is accepted, and most are not.
    assert!(accepted.iter().all(|&n| n > mutations / 50 && n < mutations / 2), "{accepted:?} of {mutations}");
}

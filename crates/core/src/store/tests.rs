use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampSecondArray, UInt64Array};

use super::*;
use crate::{Error, FrameBuilder, SpilledFrame, Streams, below, encode, uniform};

/// Rows of people with several visits each, many of them equal: an identifier of the visit, the person, keys with and without a
/// name that says so, texts, numbers and times with gaps, a wide integer.
fn visits(rows: usize, text_persons: bool) -> RecordBatch {
    let rng = &mut Streams::new(7, "visits").block(0);
    let mut pick = |n: usize| -> Vec<usize> { (0..rows).map(|_| below(rng, n)).collect() };
    let (person, ward, stay, day) = (pick(rows / 3), pick(5), pick(4), pick(900));
    let person: ArrayRef = match text_persons {
        true => Arc::new(person.iter().map(|p| Some(format!("p{p}"))).collect::<StringArray>()),
        false => Arc::new(person.iter().map(|p| Some(i64::MAX - 3 * *p as i64)).collect::<Int64Array>()),
    };
    let gap = |i: usize| (i % 11 != 3).then_some(());
    let columns: [(&str, ArrayRef); 7] = [
        ("visit", Arc::new((0..rows).map(|i| Some(format!("SYN-{i}"))).collect::<StringArray>())),
        ("person", person),
        ("record_id", Arc::new((0..rows).map(|i| Some(5 * (rows - i) as u64)).collect::<UInt64Array>())),
        (
            "ward",
            Arc::new(ward.iter().enumerate().map(|(i, w)| gap(i).map(|()| format!("w{w}"))).collect::<StringArray>()),
        ),
        ("stay", Arc::new(stay.iter().map(|s| Some(*s as f64 / 4.0)).collect::<Float64Array>())),
        (
            "day",
            Arc::new(day.iter().enumerate().map(|(i, d)| gap(i + 5).map(|()| *d as i64 / 300)).collect::<Int64Array>()),
        ),
        (
            "at",
            Arc::new(day.iter().map(|d| Some(1_600_000_000 + 60 * (*d as i64 % 3))).collect::<TimestampSecondArray>()),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

fn builder(batch: &RecordBatch, spec: &EncodeSpec) -> FrameBuilder {
    let mut builder = FrameBuilder::new(batch.schema(), spec.clone()).unwrap();
    builder.push(batch).unwrap();
    builder
}

fn pieces(batch: &RecordBatch, spec: &EncodeSpec, size: usize) -> SpilledRows {
    let job = Job::unbounded();
    let piece = |start| {
        let builder = builder(&batch.slice(start, size.min(batch.num_rows() - start)), spec).plain();
        SpilledFrame::write(&encode(vec![vec![builder]], &job).unwrap()[0], &job).unwrap()
    };
    SpilledRows::new((0..batch.num_rows()).step_by(size).map(piece).collect()).unwrap()
}

fn spec(unit: Option<&str>, identifiers: &[&str], batch: &RecordBatch) -> EncodeSpec {
    EncodeSpec {
        columns: Some(batch.schema().fields().iter().map(|f| f.name().clone()).collect()),
        identifiers: identifiers.iter().map(|name| name.to_string()).collect(),
        unit: unit.map(str::to_string),
        detect_identifiers: true,
        ..EncodeSpec::default()
    }
}

#[test]
fn rows_in_pieces_are_those_encoded_at_once() {
    let job = Job::unbounded();
    for (text_persons, unit, size) in
        [(true, Some("person"), 400), (false, Some("person"), 170), (true, None, 1000), (false, None, 999)]
    {
        let batch = visits(1000, text_persons);
        let spec = spec(unit, unit.as_slice(), &batch);
        let frame = encode(vec![vec![builder(&batch, &spec)]], &job).unwrap().remove(0);
        let frame = frame.gather(&frame.canonical_order());
        for keeper in [Keeper::in_memory(), Keeper::on_disk(&job).unwrap()] {
            let store = ColumnStore::sorted(pieces(&batch, &spec, size), &spec, &keeper, &job).unwrap();
            assert_eq!(store.is_on_disk(), keeper.is_on_disk());
            assert_eq!(store.units(), frame.units());
            for (c, column) in frame.columns().iter().enumerate() {
                let read = store.column(c).unwrap().into_owned();
                if let (Values::Number(a), Values::Number(b)) = (&read.values, &column.values) {
                    assert!(a.iter().zip(b).all(|(a, b)| a == b || a.is_nan() && b.is_nan()), "{}", column.name());
                    assert_eq!(read.domain, column.domain, "{}", column.name());
                } else {
                    assert_eq!(&read, column);
                }
            }
        }
    }
}

#[test]
fn rows_without_a_person_are_told_as_in_memory() {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(2)]));
    let batch = RecordBatch::try_from_iter_with_nullable([("person", column, true)]).unwrap();
    let (spec, job) = (spec(Some("person"), &["person"], &batch), Job::unbounded());
    let in_memory = encode(vec![vec![builder(&batch, &spec)]], &job).unwrap_err();
    let keeper = Keeper::in_memory();
    let in_pieces = ColumnStore::sorted(pieces(&batch, &spec, 2), &spec, &keeper, &job).unwrap_err();
    assert_eq!(in_memory.to_string(), in_pieces.to_string());
    let _: Error = in_pieces;
}

#[test]
fn columns_come_back_from_disk_whole_or_from_the_front() {
    let job = Job::unbounded();
    let rng = &mut Streams::new(1, "numbers").block(0);
    let numbers: Vec<f64> =
        (0..200_000).map(|_| if uniform(rng) < 0.1 { f64::NAN } else { uniform(rng) - 0.5 }).collect();
    let array: ArrayRef = Arc::new(numbers.iter().map(|v| (!v.is_nan()).then_some(*v)).collect::<Float64Array>());
    let batch = RecordBatch::try_from_iter_with_nullable([("x", array, true)]).unwrap();
    let frame = encode(vec![vec![builder(&batch, &EncodeSpec::default())]], &job).unwrap().remove(0);
    let store = ColumnStore::from(frame).moved(&Keeper::on_disk(&job).unwrap()).unwrap();
    assert_eq!((store.memory(), store.is_on_disk(), store.rows()), (0, true, 200_000));
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(store.column(0).unwrap().values.numbers().unwrap()), bits(&numbers));
    assert_eq!(bits(store.head(0, 10).unwrap().values.numbers().unwrap()), bits(&numbers[..10]));
    assert_eq!(store.first(3).unwrap().rows(), 3);
}

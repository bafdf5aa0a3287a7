use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray,
};
use arrow::datatypes::{Field, Schema};

use super::*;
use crate::{EncodeSpec, FrameBuilder, encode};

fn batch(columns: &[ArrayRef]) -> RecordBatch {
    let fields: Vec<Field> =
        columns.iter().enumerate().map(|(i, a)| Field::new(format!("c{i}"), a.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.to_vec()).unwrap()
}

fn builder(batch: &RecordBatch) -> FrameBuilder {
    let mut builder = FrameBuilder::new(batch.schema(), EncodeSpec::default()).unwrap();
    builder.push(batch).unwrap();
    builder
}

/// Frames written one by one decode to what went in, in the domains of all rows encoded together.
fn journey(parts: Vec<Vec<ArrayRef>>) {
    let job = Job::unbounded();
    let batches: Vec<RecordBatch> = parts.iter().map(|p| batch(p)).collect();
    let together = encode(vec![batches.iter().map(builder).collect()], &job).unwrap().remove(0);
    let spilled = batches.iter().map(|b| {
        let frame = encode(vec![vec![builder(b)]], &job).unwrap().remove(0);
        SpilledFrame::write(&frame, &job).unwrap()
    });
    let rows = SpilledRows::new(spilled.collect()).unwrap();
    assert_eq!(rows.lengths().sum::<usize>(), together.rows());
    for (c, column) in together.columns().iter().enumerate() {
        if let (Domain::Number(ours), Domain::Number(theirs)) = (&rows.columns()[c].domain, &column.domain) {
            assert_eq!(
                (ours.min.is_nan(), ours.kind == theirs.kind),
                (theirs.min.is_nan(), true),
                "{ours:?} {theirs:?}"
            );
            assert!(ours.min.is_nan() || (ours.min, ours.max) == (theirs.min, theirs.max), "{ours:?} {theirs:?}");
        } else {
            assert_eq!(rows.columns()[c].domain, column.domain);
        }
        for (frame, part) in parts.iter().enumerate() {
            let loaded = rows.load(frame, c).unwrap();
            assert_eq!(&loaded.decode(&loaded.values, 0, part[c].len()).unwrap(), &part[c], "column {c}");
        }
    }
}

#[test]
fn frames_come_back_in_one_encoding() {
    let column = |values: Vec<Option<i64>>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
    journey(vec![
        vec![column(vec![Some(5), None, Some(-3)]), Arc::new(StringArray::from(vec![Some("b"), Some("d"), None]))],
        vec![column(vec![Some(4_000_000_000), Some(7)]), Arc::new(StringArray::from(vec!["a", "c"]))],
        vec![column(vec![None]), Arc::new(StringArray::from(vec![None::<&str>]))],
    ]);
    // Wider than 32 bits, and beyond what f64 holds.
    journey(vec![vec![column(vec![Some(0), Some(1 << 40)])], vec![column(vec![Some(-5), None])]]);
    journey(vec![vec![column(vec![Some(i64::MAX - 40), Some(i64::MAX)])], vec![column(vec![Some(i64::MAX - 70)])]]);
    journey(vec![
        vec![Arc::new(Float64Array::from(vec![0.5, 1.25])), Arc::new(BooleanArray::from(vec![true, true]))],
        vec![
            Arc::new(Float64Array::from(vec![Some(2.125), None])),
            Arc::new(BooleanArray::from(vec![None, Some(false)])),
        ],
    ]);
    journey(vec![
        vec![Arc::new(Float32Array::from(vec![0.1, 7.0])), Arc::new(Date32Array::from(vec![16_072, -4]))],
        vec![Arc::new(Float32Array::from(vec![3.25, 1e9])), Arc::new(Date32Array::from(vec![None, Some(3)]))],
    ]);
    // Steps of 6 and 4 nanoseconds from different starts: a grid of 2.
    let stamps = |values: Vec<i64>| -> ArrayRef { Arc::new(TimestampNanosecondArray::from(values)) };
    journey(vec![vec![stamps(vec![1_000, 1_006, 1_012])], vec![stamps(vec![990, 994, 1_002])]]);
}

#[test]
fn a_file_vanishes_with_its_last_handle() {
    let scratch = Scratch::temporary().unwrap();
    let path = scratch.path().to_path_buf();
    assert!(path.exists());
    drop(scratch);
    assert!(!path.exists());
}

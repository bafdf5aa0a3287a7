//! What classes show, for every type that a quasi-identifier can have.

use std::sync::Arc;

use arrow::array::*;
use arrow::compute::cast;
use arrow::datatypes::*;
use lookalike_anonymize::{OutputForm, output_field};
use lookalike_core::{Domain, EncodeSpec, FrameBuilder, Job, encode};

use crate::tables::{frame, plain, render, shown_as, texts};

/// Renders in all forms, checks the types against `output_field`, and returns interval texts and means. Values are placed
/// so that k = 2 cuts once, in the middle.
fn shown(array: ArrayRef) -> (Vec<Option<String>>, ArrayRef) {
    let frame = frame(vec![("x", array)], None);
    let column = &frame.columns()[0];
    let is_category = matches!(column.domain, Domain::Category(_));
    let mut all = [OutputForm::Interval, OutputForm::Range, OutputForm::Mean].map(|form| {
        let release = shown_as(&frame, 2, form);
        let array = render(&release, 0);
        assert_eq!(array.data_type(), output_field(&column.field, is_category, form).data_type());
        assert_eq!(array.len(), release.classes.len());
        // Any classes in any order.
        let last = release.classes.len() as u32 - 1;
        let picked = release.render(0, &[last, 0, last]).unwrap();
        assert_eq!(picked.slice(0, 1).as_ref(), array.slice(last as usize, 1).as_ref());
        assert_eq!(picked.slice(1, 1).as_ref(), array.slice(0, 1).as_ref());
        array
    });
    let means = std::mem::replace(&mut all[2], new_null_array(&DataType::Null, 0));
    (texts(&all[0]).iter().map(|t| t.map(String::from)).collect(), means)
}

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|t| Some(t.to_string())).collect()
}

#[test]
fn numbers() {
    let (intervals, means) = shown(Arc::new(Int32Array::from(vec![34, 7, 34, 8])));
    assert_eq!(intervals, some(&["[7, 8]", "34"]));
    // 7.5 rounds to 8.
    assert_eq!(means.as_primitive::<Int32Type>().values(), &[8, 34]);
    let (intervals, means) = shown(Arc::new(Int8Array::from(vec![-7, -8, 100, 100])));
    assert_eq!(intervals, some(&["[-8, -7]", "100"]));
    assert_eq!(means.as_primitive::<Int8Type>().values(), &[-8, 100]);
    let (intervals, means) = shown(Arc::new(Float64Array::from(vec![0.1, 0.5, 34.0, 34.0])));
    assert_eq!(intervals, some(&["[0.1, 0.5]", "34.0"]));
    // Not rounded to the one decimal place of the data: (0.1 + 0.5) / 2 in binary.
    assert_eq!(means.as_primitive::<Float64Type>().values(), &[(0.1 + 0.5) / 2.0, 34.0]);
    let (intervals, _) = shown(Arc::new(Float32Array::from(vec![0.1f32, 1e10, 1e10, 0.2])));
    assert_eq!(intervals, some(&["[0.1, 0.2]", "10000000000.0"]));
    let (intervals, means) = shown(Arc::new(UInt64Array::from(vec![u64::MAX, u64::MAX, 0, 0])));
    assert_eq!(intervals, some(&["0", "18446744073709551615"]));
    assert_eq!(means.as_primitive::<UInt64Type>().values(), &[0, u64::MAX]);
    let decimals = Decimal128Array::from(vec![1250, 1251, 99900, 99900]).with_precision_and_scale(10, 2).unwrap();
    let (intervals, means) = shown(Arc::new(decimals));
    assert_eq!(intervals, some(&["[12.50, 12.51]", "999.00"]));
    // 12.505 rounds to 12.51.
    assert_eq!(means.as_primitive::<Decimal128Type>().values(), &[1251, 99900]);
}

#[test]
fn dates_and_times() {
    let (intervals, means) = shown(Arc::new(Date32Array::from(vec![16072, 16072, 16101, 16104])));
    // Day 16072 after 1970-01-01 is 2014-01-02.
    assert_eq!(intervals, some(&["2014-01-02", "[2014-01-31, 2014-02-03]"]));
    // 16102.5 rounds to 16103.
    assert_eq!(means.as_primitive::<Date32Type>().values(), &[16072, 16103]);
    let day = 86_400_000_000_000i64;
    for zone in [Some("+02:00"), Some("Europe/Berlin"), None] {
        let stamps = vec![16072 * day, 16073 * day + 1, 20_000 * day, 20_000 * day];
        let stamps: ArrayRef = Arc::new(TimestampNanosecondArray::from(stamps).with_timezone_opt(zone));
        let printed = cast(&stamps, &DataType::Utf8).unwrap();
        let printed: Vec<&str> = printed.as_string::<i32>().iter().flatten().collect();
        let (intervals, means) = shown(stamps);
        let range = format!("[{}, {}]", printed[0], printed[1]);
        assert_eq!(intervals, some(&[&range, printed[2]]));
        // Half of one day and a nanosecond later, exact to the nanosecond (.5 rounds up).
        let middle = 16072 * day + day / 2 + 1;
        assert_eq!(means.as_primitive::<TimestampNanosecondType>().values(), &[middle, 20_000 * day]);
    }
    let (intervals, _) =
        shown(Arc::new(Time64MicrosecondArray::from(vec![0, 1_000_000, 3_600_000_000, 3_600_000_000])));
    assert_eq!(intervals, some(&["[00:00:00, 00:00:01]", "01:00:00"]));
}

#[test]
fn categories() {
    let (intervals, means) = shown(Arc::new(BooleanArray::from(vec![true, false, true, false])));
    assert_eq!(intervals, some(&["false", "true"]));
    assert_eq!(texts(&means), [Some("false"), Some("true")]);
    for to in [DataType::Utf8View, DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8))] {
        let towns = StringArray::from(vec!["Ulm", "Bonn", "Mainz", "Aachen", "Trier"]);
        // The median Mainz goes left.
        let (intervals, _) = shown(cast(&towns, &to).unwrap());
        assert_eq!(intervals, some(&["{Aachen, Bonn, Mainz}", "{Trier, Ulm}"]));
    }
    let (intervals, _) = shown(Arc::new(NullArray::new(3)));
    assert_eq!(intervals, [None]);
    let (intervals, _) = shown(Arc::new(StringArray::from(vec![Some("a"), None, Some("b"), Some("c")])));
    assert_eq!(intervals, some(&["a or NULL", "{b, c}"]));
}

#[test]
fn dictionaries_of_numbers_keep_their_type_in_ranges_and_means() {
    let to = DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::Int64));
    let (intervals, means) = shown(cast(&Int64Array::from(vec![1, 2, 5, 5]), &to).unwrap());
    assert_eq!(intervals, some(&["[1, 2]", "5"]));
    let means = cast(&means, &DataType::Int64).unwrap();
    assert_eq!(means.as_primitive::<Int64Type>().values(), &[2, 5]);
}

#[test]
fn mixed_classes_say_so_in_every_form() {
    // NULL 1 | 4 7 after the cut at the lower median 1.
    let one = |values: Vec<Option<i64>>, k, form| {
        let frame = frame(vec![("x", Arc::new(Int64Array::from(values)) as _)], None);
        render(&shown_as(&frame, k, form), 0)
    };
    let four = || vec![None, Some(1), Some(4), Some(7)];
    let ranges = one(four(), 2, OutputForm::Range);
    let ranges = ranges.as_struct();
    assert_eq!(ranges.column(0).as_primitive::<Int64Type>().values(), &[1, 4]);
    assert_eq!(ranges.column(1).as_primitive::<Int64Type>().values(), &[1, 7]);
    assert_eq!(ranges.column(2).as_boolean(), &BooleanArray::from(vec![true, false]));
    // As many present as missing: their mean. More missing than present: NULL.
    let means = one(four(), 2, OutputForm::Mean);
    assert_eq!(means.as_primitive::<Int64Type>(), &Int64Array::from(vec![1, 6]));
    assert!(one(vec![None, None, Some(4)], 3, OutputForm::Mean).is_null(0));
    assert_eq!(texts(&one(vec![None, None, Some(4)], 3, OutputForm::Interval)), [Some("4 or NULL")]);
    // A class of missing values alone is NULL as a range, not a range of NULLs.
    assert!(one(vec![None, None], 2, OutputForm::Range).is_null(0));
}

#[test]
fn nan_in_a_not_null_column_is_missing() {
    let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Float64, false)]));
    let values: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, f64::NAN, 1.0, 2.0]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![values]).unwrap();
    let mut builder = FrameBuilder::new(Arc::clone(&schema), EncodeSpec::default()).unwrap();
    builder.push(&batch).unwrap();
    let frame = encode(vec![vec![builder]], &Job::unbounded()).unwrap().remove(0);
    let release = plain(&frame, 2);
    let interval = render(&release, 0);
    assert_eq!(texts(&interval), [None, Some("[1.0, 2.0]")]);
    assert!(output_field(schema.field(0), false, OutputForm::Interval).is_nullable());
    // The mean keeps the NOT NULL type, and with it NaN.
    let means = render(&shown_as(&frame, 2, OutputForm::Mean), 0);
    assert_eq!(output_field(schema.field(0), false, OutputForm::Mean), *schema.field(0));
    assert!(means.as_primitive::<Float64Type>().value(0).is_nan() && means.null_count() == 0);
}

//! Arrow to frame and back, for every type.

use std::sync::Arc;

use arrow::array::*;
use arrow::compute::{cast, concat};
use arrow::datatypes::*;

use super::*;
use crate::Role;
use crate::category_units;

fn builder(columns: Vec<(&str, ArrayRef)>, spec: EncodeSpec) -> FrameBuilder {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let mut builder = FrameBuilder::new(batch.schema(), spec).unwrap();
    builder.push(&batch).unwrap();
    builder
}

fn frame(columns: Vec<(&str, ArrayRef)>, spec: EncodeSpec) -> Result<Frame> {
    encode(vec![vec![builder(columns, spec)]], &Job::unbounded()).map(|mut f| f.remove(0))
}

fn only(array: ArrayRef) -> Column {
    frame(vec![("x", array)], EncodeSpec::default()).unwrap().columns()[0].clone()
}

/// Every type with ordinary values, extremes and a NULL.
fn every_type() -> Vec<ArrayRef> {
    let text = || StringArray::from(vec![Some("b"), None, Some("a"), Some("")]);
    let as_type = |data_type: DataType| cast(&text(), &data_type).unwrap();
    let dictionary = |values| DataType::Dictionary(Box::new(DataType::Int8), Box::new(values));
    vec![
        Arc::new(Int8Array::from(vec![Some(i8::MIN), None, Some(i8::MAX)])),
        Arc::new(Int16Array::from(vec![Some(i16::MIN), None, Some(i16::MAX)])),
        Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(i32::MAX)])),
        Arc::new(Int64Array::from(vec![Some(-(1 << 53)), None, Some(1 << 53)])),
        Arc::new(Int64Array::from(vec![Some(i64::MAX), None, Some(i64::MAX - 1)])),
        Arc::new(UInt8Array::from(vec![Some(0), None, Some(u8::MAX)])),
        Arc::new(UInt16Array::from(vec![Some(0), None, Some(u16::MAX)])),
        Arc::new(UInt32Array::from(vec![Some(0), None, Some(u32::MAX)])),
        Arc::new(UInt64Array::from(vec![Some(0), None, Some(1 << 53)])),
        Arc::new(Float16Array::from_iter([Some(1.5f32), None, Some(-2.25)].map(|v| v.map(to_f16)))),
        Arc::new(Float32Array::from(vec![Some(0.1), None, Some(-1e30), Some(1e-30)])),
        Arc::new(Float64Array::from(vec![Some(0.1), None, Some(f64::MAX), Some(f64::MIN_POSITIVE)])),
        Arc::new(Decimal32Array::from(vec![Some(12345), None, Some(-1)]).with_precision_and_scale(9, 2).unwrap()),
        Arc::new(Decimal64Array::from(vec![Some(12345), None, Some(-1)]).with_precision_and_scale(18, 2).unwrap()),
        Arc::new(Decimal128Array::from(vec![Some(12345), None, Some(-1)]).with_precision_and_scale(20, 2).unwrap()),
        Arc::new(
            Decimal256Array::from(vec![Some(i256::from_i128(12345)), None, Some(i256::from_i128(-1))])
                .with_precision_and_scale(50, 10)
                .unwrap(),
        ),
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        Arc::new(text()),
        as_type(DataType::LargeUtf8),
        as_type(DataType::Utf8View),
        as_type(dictionary(DataType::Utf8)),
        as_type(dictionary(DataType::Utf8View)),
        Arc::new(Date32Array::from(vec![Some(-719_162), None, Some(16_072)])),
        Arc::new(Date64Array::from(vec![Some(-86_400_000), None, Some(86_400_000)])),
        Arc::new(TimestampSecondArray::from(vec![Some(1), None, Some(-1)])),
        Arc::new(
            TimestampMillisecondArray::from(vec![Some(1_400_000_000_123), None, Some(-7)]).with_timezone("+02:00"),
        ),
        Arc::new(
            TimestampMicrosecondArray::from(vec![Some(1_400_000_000_123_457), None, Some(1)]).with_timezone("UTC"),
        ),
        Arc::new(TimestampNanosecondArray::from(vec![
            Some(1_400_000_000_123_456_789),
            None,
            Some(1_400_000_000_123_456_790),
        ])),
        Arc::new(Time32SecondArray::from(vec![Some(0), None, Some(86_399)])),
        Arc::new(Time32MillisecondArray::from(vec![Some(0), None, Some(86_399_999)])),
        Arc::new(Time64MicrosecondArray::from(vec![Some(0), None, Some(86_399_999_999)])),
        Arc::new(Time64NanosecondArray::from(vec![Some(1), None, Some(86_399_999_999_999)])),
        Arc::new(DurationSecondArray::from(vec![Some(-5), None, Some(5)])),
        Arc::new(DurationMillisecondArray::from(vec![Some(-5), None, Some(5)])),
        Arc::new(DurationMicrosecondArray::from(vec![Some(-5), None, Some(5)])),
        Arc::new(DurationNanosecondArray::from(vec![Some(-5), None, Some(i64::from(i32::MAX))])),
        Arc::new(NullArray::new(3)),
    ]
}

fn to_f16(value: f32) -> <Float16Type as ArrowPrimitiveType>::Native {
    <Float16Type as ArrowPrimitiveType>::Native::from_f32(value)
}

#[test]
fn every_type_returns_as_it_came() {
    for array in every_type() {
        let column = only(Arc::clone(&array));
        let back = column.decode(&column.values, 0, array.len()).unwrap();
        assert_eq!(back.data_type(), array.data_type());
        // Dictionaries may be built differently: compare what they stand for.
        let plain = |a: &ArrayRef| match a.data_type() {
            DataType::Dictionary(_, values) => cast(a, values).unwrap(),
            _ => Arc::clone(a),
        };
        assert_eq!(&plain(&back), &plain(&array), "{}", array.data_type());
    }
}

#[test]
fn constant_and_all_null_columns_return_as_they_came() {
    for array in every_type() {
        for constant in [array.slice(0, 1), new_null_array(array.data_type(), 2)] {
            let column = only(concat(&[&constant, &constant]).unwrap());
            let back = column.decode(&column.values, 0, 2 * constant.len()).unwrap();
            assert_eq!(back.data_type(), constant.data_type());
            assert_eq!(back.logical_null_count(), 2 * constant.logical_null_count(), "{}", array.data_type());
        }
    }
}

#[test]
fn integers_beyond_64_bits_travel_as_floats() {
    let wide = UInt64Array::from(vec![Some(u64::MAX), None, Some(3)]);
    let column = only(Arc::new(wide));
    assert!(matches!(column.domain, Domain::Number(NumberDomain { kind: NumberKind::Float { .. }, .. })));
    let back = column.decode(&column.values, 0, 3).unwrap();
    let back = back.as_primitive::<UInt64Type>();
    assert!(back.is_null(1));
    assert_eq!((back.value(0), back.value(2)), (u64::MAX, 3));
    let huge = i256::from_i128(i128::MAX).wrapping_mul(i256::from_i128(1000));
    let column = only(Arc::new(
        Decimal256Array::from(vec![Some(huge), Some(i256::ZERO)]).with_precision_and_scale(76, 0).unwrap(),
    ));
    let back = column.decode(&column.values, 0, 2).unwrap();
    // A float has 53 bits: the first 15 digits are right.
    let digits = |v: i256| v.to_string()[..15].to_string();
    assert_eq!(digits(back.as_primitive::<Decimal256Type>().value(0)), digits(huge));
}

#[test]
fn generated_values_stay_on_the_grid_and_in_range() {
    let number = |array: ArrayRef| match only(array).domain {
        Domain::Number(domain) => domain,
        other => panic!("{other:?}"),
    };
    let age = number(Arc::new(Int32Array::from(vec![20, 61])));
    assert_eq!([age.snap(20.4), age.snap(99.0), age.snap(-1.0)], [20.0, 61.0, 20.0]);
    // Weights with one decimal place get one decimal place.
    let weight = number(Arc::new(Float64Array::from(vec![50.1, 70.5])));
    assert_eq!(weight.snap(60.06), 60.1);
    let single = number(Arc::new(Float32Array::from(vec![50.1, 70.5])));
    assert_eq!(single.snap(60.06), f64::from(60.1f32));
    // Timestamps at whole minutes stay at whole minutes, seconds since 1970 being multiples of 60 here.
    let column = only(Arc::new(TimestampNanosecondArray::from(vec![0, 60_000_000_000, 600_000_000_000])));
    let Domain::Number(minutes) = &column.domain else { panic!("{:?}", column.domain) };
    assert_eq!(minutes.kind, NumberKind::Integer { base: 0, step: 60_000_000_000 });
    assert_eq!(minutes.stored(minutes.snap(3.4)), Some(180_000_000_000));
}

#[test]
fn nan_is_missing_and_infinity_is_refused() {
    let column = only(Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(-0.0), None])));
    let Values::Number(values) = &column.values else { panic!("{column:?}") };
    assert!(values[0].is_nan() && values[2].is_nan());
    assert_eq!(values[1].to_bits(), 0);
    let batch =
        RecordBatch::try_from_iter([("x", Arc::new(Float32Array::from(vec![f32::INFINITY])) as ArrayRef)]).unwrap();
    let mut builder = FrameBuilder::new(batch.schema(), EncodeSpec::default()).unwrap();
    let message = builder.push(&batch).unwrap_err().to_string();
    assert!(message.starts_with("column 'x' holds inf,"), "{message}");
}

#[test]
fn unsupported_types_name_the_column_and_the_way_out() {
    let list = DataType::new_list(DataType::Int32, true);
    let fields = Fields::from(vec![Field::new("a", DataType::Int32, true)]);
    for (data_type, way_out) in [
        (list, "unnest(x)"),
        (DataType::Struct(fields), "x['field']"),
        (DataType::Binary, "encode(x, 'hex')"),
        (DataType::Interval(IntervalUnit::MonthDayNano), "days or seconds"),
    ] {
        let schema = Arc::new(Schema::new(vec![Field::new("x", data_type, true)]));
        let message = FrameBuilder::new(schema, EncodeSpec::default()).unwrap_err().to_string();
        assert!(message.contains("column 'x'") && message.contains(way_out) && message.contains("EXCEPT"), "{message}");
    }
}

#[test]
fn codes_agree_across_relations_and_partitions() {
    let text = |labels: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(labels)) };
    let part = |labels| builder(vec![("x", text(labels))], EncodeSpec::default());
    let frames =
        encode(vec![vec![part(vec!["c", "a"]), part(vec!["b"])], vec![part(vec!["b", "d"])]], &Job::unbounded())
            .unwrap();
    assert_eq!(frames[0].columns()[0].values, Values::Code(vec![2, 0, 1]));
    assert_eq!(frames[1].columns()[0].values, Values::Code(vec![1, 3]));
    // One wide partition makes the column wide everywhere.
    let part = |values: Vec<u64>| builder(vec![("x", Arc::new(UInt64Array::from(values)) as _)], EncodeSpec::default());
    let frames =
        encode(vec![vec![part(vec![1]), part(vec![u64::MAX])], vec![part(vec![2])]], &Job::unbounded()).unwrap();
    assert_eq!(frames[0].columns()[0].values, Values::Number(vec![1.0, u64::MAX as f64]));
    assert_eq!(frames[1].columns()[0].values, Values::Number(vec![2.0]));
}

fn detect(name: &str, array: ArrayRef) -> Role {
    let spec = EncodeSpec { detect_identifiers: true, ..EncodeSpec::default() };
    frame(vec![(name, array)], spec).unwrap().columns()[0].role()
}

#[test]
fn identifiers_are_recognised_by_what_they_hold() {
    let texts = |n: usize, distinct: usize| -> ArrayRef {
        Arc::new((0..n).map(|i| Some(format!("v{}", i % distinct))).collect::<StringArray>())
    };
    let integers = |n: i64, step: i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values((0..n).map(|i| i * step))) };
    assert_eq!(detect("name", texts(40, 21)), Role::Identifier);
    assert_eq!(detect("name", texts(40, 20)), Role::Category);
    assert_eq!(detect("name", texts(19, 19)), Role::Category);
    assert_eq!(detect("person_id", integers(20, 3)), Role::Identifier);
    assert_eq!(detect("USUBJID", integers(20, 3)), Role::Identifier);
    assert_eq!(detect("weight", integers(20, 3)), Role::Number);
    assert_eq!(detect("row", integers(1000, 1)), Role::Identifier);
    assert_eq!(detect("person_id", Arc::new(Int64Array::from_iter_values((0..20).map(|i| i % 19)))), Role::Number);
    assert_eq!(detect("id", Arc::new(Date32Array::from_iter_values(0..20))), Role::Number);
}

#[test]
fn fresh_identifiers_are_nobodys() {
    let spec = EncodeSpec { identifiers: vec!["x".into()], ..EncodeSpec::default() };
    let fresh = |array: ArrayRef| {
        let column = frame(vec![("x", array)], spec.clone()).unwrap().columns()[0].clone();
        column.decode(&Values::Omitted, 10, 2).unwrap()
    };
    let texts = fresh(Arc::new(StringArray::from(vec!["SYN-00000011", "SYN1-x"])));
    assert_eq!(texts.as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["SYN2-00000011", "SYN2-00000012"]);
    let integers = fresh(Arc::new(Int32Array::from(vec![7, 900])));
    assert_eq!(integers.as_primitive::<Int32Type>().values(), &[911, 912]);
    // No room above: they count down.
    let integers = fresh(Arc::new(Int64Array::from(vec![7, i64::MAX])));
    assert_eq!(integers.as_primitive::<Int64Type>().values(), &[-4, -5]);
}

#[test]
fn canonical_order_and_units_do_not_depend_on_arrival() {
    let spec = EncodeSpec { unit: Some("who".into()), ..EncodeSpec::default() };
    let table = |rows: &[(i32, &str, &str)]| {
        let a: ArrayRef = Arc::new(rows.iter().map(|r| Some(r.0)).collect::<Int32Array>());
        let b: ArrayRef = Arc::new(rows.iter().map(|r| Some(r.1)).collect::<StringArray>());
        let who: ArrayRef = Arc::new(rows.iter().map(|r| Some(r.2)).collect::<StringArray>());
        frame(vec![("a", a), ("b", b), ("who", who)], spec.clone()).unwrap()
    };
    let rows = [(1, "x", "p"), (2, "y", "q"), (1, "x", "q"), (3, "x", "p"), (1, "x", "p")];
    let shuffled = [rows[4], rows[2], rows[0], rows[3], rows[1]];
    let [one, two] = [table(&rows), table(&shuffled)];
    let [one, two] = [&one, &two].map(|f| f.gather(&f.canonical_order()));
    assert_eq!(one, two);
    assert_eq!(one.unit_count(), 2);
    // 'x' is held by p and q, 'y' by q alone.
    assert_eq!(category_units(&one.columns()[1], one.units()), [2, 1]);
}

#[test]
fn rows_without_a_person_are_refused() {
    let spec = EncodeSpec { unit: Some("who".into()), ..EncodeSpec::default() };
    let who: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
    let message = frame(vec![("a", Arc::clone(&who)), ("who", who)], spec).unwrap_err().to_string();
    assert_eq!(
        message,
        "privacy_unit: column 'who' is NULL in 1 rows; every row needs its person: filter them out with WHERE who IS NOT \
         NULL"
    );
}

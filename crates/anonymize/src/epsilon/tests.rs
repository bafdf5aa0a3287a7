use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Int32Type, TimeUnit};
use lookalike_core::{EncodeSpec, ErrorKind, FrameBuilder, Streams, encode};

use super::sampler::tests::assert_fits;
use super::*;

fn column(array: ArrayRef) -> Column {
    named("x", array, true)
}

fn named(name: &str, array: ArrayRef, nullable: bool) -> Column {
    let schema = arrow::datatypes::Schema::new(vec![Field::new(name, array.data_type().clone(), nullable)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![array]).unwrap();
    let mut builder = FrameBuilder::new(batch.schema(), EncodeSpec::default()).unwrap();
    builder.push(&batch).unwrap();
    encode(vec![vec![builder]], &Job::unbounded()).unwrap().remove(0).columns()[0].clone()
}

fn number(lower: &str, upper: &str) -> Bounds {
    Bounds::Number { lower: lower.into(), upper: upper.into(), step: None, nullable: false }
}

fn stepped(lower: &str, upper: &str, step: f64, nullable: bool) -> Bounds {
    Bounds::Number { lower: lower.into(), upper: upper.into(), step: Some(step), nullable }
}

fn labels(labels: &[&str], nullable: bool) -> Bounds {
    Bounds::Labels { labels: labels.iter().map(|l| l.to_string()).collect(), nullable }
}

fn row_plan(epsilon: f64, column: &Column, bounds: Bounds) -> Result<EpsilonPlan> {
    let params = EpsilonParams { epsilon, rows_per_person: 1 };
    EpsilonPlan::new(params, 5, false, vec![(Arc::clone(&column.field), bounds)])
}

fn released(epsilon: f64, column: &Column, bounds: Bounds, seed: u64) -> ArrayRef {
    let mut rng = Streams::new(seed, "test").block(0);
    row_plan(epsilon, column, bounds).unwrap().release_with(column, None, &mut rng, &Job::unbounded()).unwrap()
}

const DRAWS: usize = 100_000;

/// Releases a column of one value many times over, counts what comes out and checks that against `closed_form`, whose
/// rows are the values that go in.
fn check_against(
    inputs: Vec<ArrayRef>,
    epsilon: f64,
    bounds: Bounds,
    cell: impl Fn(&dyn Array, usize) -> usize,
    closed_form: &[Vec<f64>],
) {
    for (seed, (input, probabilities)) in inputs.into_iter().zip(closed_form).enumerate() {
        let output = released(epsilon, &column(input), bounds.clone(), seed as u64);
        let mut counts = vec![0; probabilities.len()];
        (0..output.len()).for_each(|row| counts[cell(&output, row)] += 1);
        assert_fits(&counts, probabilities);
    }
    // What the claim says, on the probabilities themselves.
    for (a, b) in closed_form.iter().flat_map(|a| closed_form.iter().map(move |b| (a, b))) {
        assert!(a.iter().zip(b).all(|(p, q)| p / q <= epsilon.exp() * (1.0 + 1e-12)), "{a:?} {b:?}");
    }
}

/// Discrete Laplace noise on `from`, clamped to `0..=last`.
fn clamped(from: usize, last: usize, epsilon: f64) -> Vec<f64> {
    let q = (-epsilon / last as f64).exp();
    let distance = |to: usize| from.abs_diff(to) as i32;
    // The tail from |z| on has probability q^|z| / (1 + q).
    let p = |to| if to == 0 || to == last { q.powi(distance(to)) } else { (1.0 - q) * q.powi(distance(to)) };
    (0..=last).map(|to| p(to) / (1.0 + q)).collect()
}

#[test]
fn numbers_have_the_probabilities_of_the_mechanism() {
    let closed_form: Vec<Vec<f64>> = (0..5).map(|from| clamped(from, 4, 1.0)).collect();
    let inputs = (0..5).map(|from| Arc::new(Int32Array::from(vec![10 + from; DRAWS])) as ArrayRef).collect();
    let cell = |a: &dyn Array, row: usize| (a.as_primitive::<Int32Type>().value(row) - 10) as usize;
    check_against(inputs, 1.0, number("10", "14"), cell, &closed_form);
    // Values beyond the bounds count as the bounds.
    let inputs = vec![Arc::new(Int32Array::from(vec![-3; DRAWS])) as ArrayRef];
    check_against(inputs, 1.0, number("10", "14"), cell, &closed_form[..1]);
}

#[test]
fn missing_numbers_have_the_probabilities_of_the_mechanism() {
    // Points 0 to 3 and NULL as the last cell; each half has epsilon 1. Missing numbers stand at point 3 / 2 = 1.
    let (truth, lie) = (1f64.exp() / (1f64.exp() + 1.0), 1.0 / (1f64.exp() + 1.0));
    let row = |from: usize, shows: f64| -> Vec<f64> {
        clamped(from, 3, 1.0).into_iter().map(|p| p * shows).chain([1.0 - shows]).collect()
    };
    let closed_form = [row(0, truth), row(1, truth), row(2, truth), row(3, truth), row(1, lie)];
    let value = |v: Option<f64>| Arc::new(Float64Array::from(vec![v; DRAWS])) as ArrayRef;
    let inputs = [Some(0.5), Some(0.76), Some(1.1), Some(1.25), None].map(value).into();
    let cell = |a: &dyn Array, row: usize| {
        if a.is_null(row) {
            4
        } else {
            ((a.as_primitive::<arrow::datatypes::Float64Type>().value(row) - 0.5) * 4.0) as usize
        }
    };
    check_against(inputs, 2.0, stepped("0.5", "1.25", 0.25, true), cell, &closed_form);
}

#[test]
fn labels_have_the_probabilities_of_the_mechanism() {
    // Four labels, of which the data has one, and NULL.
    let lie = 1.0 / (1.5f64.exp() + 4.0);
    let row =
        |truth: usize| -> Vec<f64> { (0..5).map(|v| if v == truth { lie * 1.5f64.exp() } else { lie }).collect() };
    let text = |v: Option<&str>| Arc::new(StringArray::from(vec![v; DRAWS])) as ArrayRef;
    let cell = |a: &dyn Array, row: usize| {
        if a.is_null(row) { 4 } else { "dacb".find(a.as_string::<i32>().value(row)).unwrap() }
    };
    let bounds = labels(&["d", "a", "c", "b"], true);
    check_against(vec![text(Some("c")), text(None)], 1.5, bounds, cell, &[row(2), row(4)]);
}

#[test]
fn every_type_leaves_as_it_came_and_within_its_bounds() {
    let minute = 60_000_000_000;
    let dictionary: DictionaryArray<Int32Type> = vec!["u", "v"].into_iter().collect();
    let cases: Vec<(ArrayRef, Bounds)> = vec![
        (Arc::new(Int8Array::from(vec![-5, 5])), number("-100", "100")),
        (Arc::new(UInt64Array::from(vec![5, 7])), number("0", "1000")),
        (
            Arc::new(Int64Array::from(vec![i64::MIN, i64::MIN + 1])),
            number("-9223372036854775808", "9223372036854775807"),
        ),
        (Arc::new(Float32Array::from(vec![0.5, 0.7])), number("0.1", "0.9")),
        (Arc::new(Float64Array::from(vec![18.0, 30.2])), stepped("18", "90", 0.1, false)),
        (Arc::new(Date32Array::from(vec![18_000, 18_001])), number("2019-01-01", "2020-12-31")),
        (
            Arc::new(TimestampNanosecondArray::from(vec![minute, 3 * minute]).with_timezone("UTC")),
            stepped("1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z", minute as f64, false),
        ),
        (Arc::new(Time32SecondArray::from(vec![0, 60])), number("00:00:00", "23:59:59")),
        (
            Arc::new(Decimal128Array::from(vec![1_250, 99]).with_precision_and_scale(8, 2).unwrap()),
            number("0.25", "20.00"),
        ),
        (Arc::new(BooleanArray::from(vec![true, false])), labels(&["true", "false"], false)),
        (Arc::new(LargeStringArray::from(vec!["u", "v"])), labels(&["v", "u", "w"], false)),
        (Arc::new(dictionary), labels(&["v", "u", "w"], false)),
    ];
    for (array, bounds) in cases {
        // Rows enough to meet the bounds; the operating system's randomness is the public way.
        let array = arrow::compute::concat(&vec![array.as_ref(); 200]).unwrap();
        let input = column(Arc::clone(&array));
        let mut plan = row_plan(1.0, &input, bounds.clone()).unwrap();
        let output = plan.release(&input, None, &mut SecretRng::new(), &Job::unbounded()).unwrap();
        assert_eq!((output.data_type(), output.len(), output.null_count()), (array.data_type(), 400, 0));
        // What came out is a fixed point of the bounds: all on the grid.
        let again = column(Arc::clone(&output));
        let grid = Grid::new(&input.field, &bounds).unwrap().unwrap();
        if !matches!(array.data_type(), DataType::Int64) {
            assert_eq!(&grid.decode(&input.field, &grid.points(&again).unwrap()).unwrap(), &output);
        }
        let distinct = arrow::compute::partition(&[arrow::compute::sort(&output, None).unwrap()]);
        if !matches!(array.data_type(), DataType::Dictionary(..)) {
            // More than the two values that went in, but for booleans.
            assert!(distinct.unwrap().len() > 2 || matches!(array.data_type(), DataType::Boolean), "{output:?}");
        }
    }
}

#[test]
fn values_go_to_the_nearest_point() {
    let input =
        column(Arc::new(Int32Array::from(vec![Some(-40), Some(4), Some(5), Some(14), Some(26), Some(99), None])));
    let grid = Grid::new(&input.field, &stepped("0", "35", 10.0, true)).unwrap().unwrap();
    let points = grid.points(&input).unwrap();
    // The last point is 30: 35 is no multiple of 10. Halves go up.
    assert_eq!(points, [Some(0), Some(0), Some(1), Some(1), Some(3), Some(3), None]);
    let back = grid.decode(&input.field, &points).unwrap();
    assert_eq!(back.as_primitive::<Int32Type>().iter().flatten().collect::<Vec<_>>(), [0, 0, 10, 10, 30, 30]);
}

#[test]
fn decimal_steps_give_decimal_numbers() {
    let input = column(Arc::new(Float64Array::from(vec![18.3; 1000])));
    let output = released(50.0, &input, stepped("18", "20", 0.1, false), 1);
    let printed = arrow::compute::cast(&output, &DataType::Utf8).unwrap();
    assert!(printed.as_string::<i32>().iter().flatten().all(|v| v.len() == 4), "{printed:?}");
    // One point has nowhere to go.
    let output = released(1.0, &input, number("7", "7"), 1);
    assert!(output.as_primitive::<arrow::datatypes::Float64Type>().values().iter().all(|v| *v == 7.0));
}

#[test]
fn shares_round_down_and_their_sum_is_what_is_reported() {
    let fields = ["a", "b", "c"].map(|n| (Arc::new(Field::new(n, DataType::Int32, true)), number("0", "9")));
    let guarantee = |epsilon, by_person, rows_per_person, columns: usize| {
        let params = EpsilonParams { epsilon, rows_per_person };
        let plan = EpsilonPlan::new(params, 5, by_person, fields[..columns].to_vec()).unwrap();
        (plan.share, plan.guarantee())
    };
    // 2^32 / 3 is 1431655765 and a third.
    let (share, claim) = guarantee(1.0, false, 1, 3);
    assert_eq!(
        (share, claim.epsilon, claim.delta, claim.k),
        (1_431_655_765, Some(4_294_967_295.0 / PARTS), 0.0, Some(5))
    );
    assert_eq!(guarantee(1.0, true, 4, 1).1.epsilon, Some(1.0));
    for epsilon in [1e-6, 0.1, 1.0 / 3.0, 2.7, MAX_EPSILON] {
        for (rows, columns) in [(1, 1), (7, 3), (10, 2)] {
            let (share, claim) = guarantee(epsilon, true, rows, columns);
            let (parts, claimed) = ((rows * columns) as u64, claim.epsilon.unwrap());
            // In whole parts: not below what is spent, not above what was asked, and less than a part a share away.
            assert_eq!((claimed * PARTS) as u64, share * parts);
            assert!(claimed <= epsilon && epsilon - claimed < (parts + 1) as f64 / PARTS, "{epsilon} {claimed}");
        }
    }
    let (_, claim) = guarantee(2.0, true, 4, 2);
    assert_eq!(claim.unit, "person");
    assert_eq!(
        claim.neighbours,
        "tables of the same rows in the same order that differ in a, b of all rows of one person (at most 4); all other \
         columns are the same"
    );
    assert_eq!(
        claim.to_string(),
        "each combination of the generalised quasi-identifiers is shared by at least 5 persons; a, b are released \
         through local mechanisms that are together 2-differentially private (delta 0) for a person's values of these \
         columns, which protects neither the other columns nor who is in the table"
    );
}

#[test]
fn bounds_of_the_data_earn_no_epsilon() {
    let numbers = named("n", Arc::new(Int32Array::from(vec![Some(3), None, Some(9), Some(3)])), true);
    let floats = named("f", Arc::new(Float64Array::from(vec![0.5, 0.7, 0.5, 0.5])), true);
    let texts = named("t", Arc::new(StringArray::from(vec!["u", "v", "v", "v"])), true);
    let nothing = named("z", Arc::new(Int32Array::new_null(4)), true);
    let all = [&numbers, &floats, &texts, &nothing];
    let attributes = all
        .map(|c| (Arc::clone(&c.field), if c.name() == "t" { labels(&["u", "v"], false) } else { Bounds::FromData }));
    let params = EpsilonParams { epsilon: 4.0, rows_per_person: 1 };
    let mut plan = EpsilonPlan::new(params, 5, false, attributes.into()).unwrap();
    let output = all.map(|c| plan.release(c, None, &mut SecretRng::new(), &Job::unbounded()).unwrap());
    assert!(output[0].as_primitive::<Int32Type>().iter().flatten().all(|v| (3..=9).contains(&v)));
    assert_eq!(output[3].null_count(), 4);
    let claim = plan.guarantee();
    assert_eq!((claim.k, claim.epsilon), (Some(5), None));
    assert!(claim.statement.ends_with(
        "the bounds of n, f, z come from the data: a bound that the values of one row decide \
         tells of that row"
    ));
}

#[test]
fn a_column_leaves_once_and_persons_keep_to_their_rows() {
    let input = column(Arc::new(Int32Array::from(vec![1, 2, 3])));
    let params = EpsilonParams { epsilon: 1.0, rows_per_person: 2 };
    let attributes = vec![(Arc::clone(&input.field), number("0", "9"))];
    let mut plan = EpsilonPlan::new(params, 5, true, attributes).unwrap();
    let mut release = |units: Option<&Units>| plan.release(&input, units, &mut SecretRng::new(), &Job::unbounded());
    let error = release(Some(&Units { codes: vec![0, 0, 0], count: 1 })).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_eq!(error.message(), "rows_per_person is 2, but a person has 3 rows: raise it, or keep fewer rows a person");
    assert_eq!(release(None).unwrap_err().kind(), ErrorKind::Internal);
    let units = Units { codes: vec![1, 0, 1], count: 2 };
    assert_eq!(release(Some(&units)).unwrap().len(), 3);
    let error = release(Some(&units)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(error.message(), "epsilon: column 'x' is not in the plan, or left before: it leaves once");
}

#[test]
fn wrong_parameters_name_what_is_allowed() {
    let field = Arc::new(Field::new("x", DataType::Int32, true));
    let message = |epsilon, by_person, rows_per_person, columns: usize| {
        let attributes = vec![(Arc::clone(&field), number("0", "9")); columns];
        let error = EpsilonPlan::new(EpsilonParams { epsilon, rows_per_person }, 5, by_person, attributes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Argument);
        error.message().to_string()
    };
    for epsilon in [0.0, -1.0, f64::NAN, 100.5, f64::INFINITY] {
        let expected = format!("epsilon is {epsilon}, allowed is a number above 0 and at most 100");
        assert_eq!(message(epsilon, false, 1, 1), expected);
    }
    assert_eq!(message(1.0, true, 0, 1), "rows_per_person is 0, allowed is an integer of at least 1");
    assert_eq!(message(1.0, false, 2, 1), "rows_per_person is 2, allowed is 1 without a privacy_unit");
    assert!(message(1.0, false, 1, 0).starts_with("bounds is empty"));
    assert_eq!(message(1.0, false, 1, 2), "bounds: column 'x' is given twice");
    let small = message(1e-9, true, 10, 1);
    assert_eq!(small, "epsilon is 0.000000001, too small to be divided among 1 columns and 10 rows of a person");
}

#[test]
fn wrong_bounds_name_the_column_and_what_is_allowed() {
    let truth = DataType::Boolean;
    let time = DataType::Timestamp(TimeUnit::Second, None);
    let cases = [
        (DataType::Int32, number("9", "0"), "the lower bound 9 of column 'x' is above its upper bound 0"),
        (DataType::Float64, number("9.5", "0"), "the lower bound 9.5 of column 'x' is above its upper bound 0"),
        (DataType::Int32, number("old", "9"), "'old' of column 'x' is no Int32: "),
        (time, number("1970-01-01T00:00:00", "now"), "'now' of column 'x' is no Timestamp(s): "),
        (DataType::Float64, number("0", "inf"), "'inf' of column 'x' is no Float64 that has a distance"),
        (DataType::Float64, number("nan", "1"), "'nan' of column 'x' is no Float64 that has a distance"),
        (DataType::Float64, number("-1e308", "1e308"), "[-1e308, 1e308] of column 'x' are too far apart"),
        (
            DataType::UInt64,
            number("0", "18446744073709551615"),
            "[0, 18446744073709551615] of column 'x' do not fit 64",
        ),
        (DataType::Int32, stepped("0", "9", 0.5, false), "the step of column 'x' is 0.5, allowed for Int32 is a whole"),
        (DataType::Float64, stepped("0", "9", 0.0, false), "the step of column 'x' is 0, allowed is a number above 0"),
        (DataType::Float64, stepped("0", "9", 1e-13, false), "the step of column 'x' is 0.0000000000001, allowed is"),
        (DataType::Utf8, number("0", "9"), "column 'x' is of type Utf8, it needs the list of all labels"),
        (DataType::Int32, labels(&["0"], false), "column 'x' is of type Int32, it needs a lower and an upper bound"),
        (DataType::Utf8, labels(&[], true), "the labels of column 'x' are empty, give at least one"),
        (DataType::Utf8, labels(&["u", "v", "u"], true), "label 'u' of column 'x' is given twice"),
        (truth, labels(&["true", "no"], true), "label 'no' of column 'x' of type Boolean, allowed are 'true' and"),
    ];
    let plan = |data_type: DataType, nullable, bounds| {
        let field = Arc::new(Field::new("x", data_type, nullable));
        EpsilonPlan::new(EpsilonParams { epsilon: 1.0, rows_per_person: 1 }, 5, false, vec![(field, bounds)])
    };
    for (data_type, bounds, expected) in cases {
        let error = plan(data_type, true, bounds).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Argument, "{error}");
        assert!(error.message().starts_with(&format!("bounds: {expected}")), "{error}");
    }
    let error = plan(DataType::Utf8, false, labels(&["u"], true)).unwrap_err();
    assert_eq!(error.message(), "bounds: column 'x' is NOT NULL, its bounds cannot allow NULL");
}

#[test]
fn data_outside_of_what_was_promised_is_refused() {
    let texts = column(Arc::new(StringArray::from(vec![Some("u"), Some("w"), None])));
    let numbers = column(Arc::new(Int32Array::from(vec![Some(1), None])));
    let wide = column(Arc::new(UInt64Array::from(vec![1, u64::MAX])));
    let far = column(Arc::new(Int64Array::from(vec![0, 1, i64::MAX])));
    for (input, bounds, expected) in [
        (
            &texts,
            labels(&["u", "v"], true),
            "bounds: column 'x' holds 'w', which is not among the 2 labels of its bounds",
        ),
        (&texts, labels(&["u", "w"], false), "bounds: column 'x' is NULL in 1 rows, and its bounds do not allow NULL"),
        (&numbers, number("0", "9"), "bounds: column 'x' is NULL in 1 rows, and its bounds do not allow NULL"),
        (&wide, number("0", "9"), "column 'x' holds integers beyond 64 bits signed"),
        (&far, number("0", "9"), "the values of column 'x' lie more than 2^53 units apart"),
    ] {
        let mut plan = row_plan(1.0, input, bounds).unwrap();
        let error = plan.release(input, None, &mut SecretRng::new(), &Job::unbounded()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.message().starts_with(expected), "{error}");
    }
}

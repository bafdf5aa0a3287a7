//! Cells of every form against a handful of raw values; codes are counted by hand.

use arrow::array::{
    BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, StructArray,
    TimestampNanosecondArray,
};

use super::*;

fn raw(values: ArrayRef, complete: bool) -> RawColumn {
    let field = Arc::new(Field::new("x", values.data_type().clone(), true));
    let coded = Coded::new(field.data_type(), &[values], &Job::unbounded()).unwrap();
    RawColumn::new(&field, &coded, "original", complete).unwrap()
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn regions(raw: &RawColumn, cells: &[&str]) -> Vec<Region> {
    raw.read(&texts(&cells.iter().map(|c| Some(*c)).collect::<Vec<_>>()), "released", &Job::unbounded()).unwrap()
}

/// Codes and loss of each cell.
fn seen(raw: &RawColumn, cells: &[&str]) -> Vec<(Vec<u32>, f64)> {
    regions(raw, cells).into_iter().map(|r| (r.ranges.into_iter().flatten().collect(), r.loss)).collect()
}

fn error(raw: &RawColumn, cells: &ArrayRef) -> String {
    raw.read(cells, "released", &Job::unbounded()).unwrap_err().message().to_string()
}

/// Ages 20 22 25 29 40 are codes 0 to 4, NULL is 5.
fn ages(complete: bool) -> RawColumn {
    raw(Arc::new(Int64Array::from(vec![Some(40), Some(20), None, Some(22), Some(25), Some(29), Some(20)])), complete)
}

#[test]
fn numbers_in_intervals_and_sets() {
    let cells = ["20", "[20, 29]", "[20, 25)", "(20, 25]", "[21, 24]", "[22, 22]", "{22, 40}", "*", "25 or NULL", "2*"];
    let expected = [
        (vec![0], 0.0),
        (vec![0, 1, 2, 3], 9.0 / 20.0),
        (vec![0, 1], 5.0 / 20.0),
        (vec![1, 2], 5.0 / 20.0),
        (vec![1], 3.0 / 20.0),
        (vec![1], 0.0),
        (vec![1, 4], 18.0 / 20.0),
        (vec![0, 1, 2, 3, 4, 5], 1.0),
        (vec![2, 5], 0.0),
        (vec![0, 1, 2, 3], 9.0 / 20.0),
    ];
    assert_eq!(seen(&ages(true), &cells), expected);
    // Ends beyond all values count to the last value; ends between integers; 25.0 is 25, beyond 29 nobody is but 40.
    assert_eq!(
        seen(&ages(true), &["[0, 200]", "[21.5, 25.0]", "[29.5, 39] or NULL", "25.0"]),
        [(vec![0, 1, 2, 3, 4], 1.0), (vec![1, 2], 3.5 / 20.0), (vec![5], 9.5 / 20.0), (vec![2], 0.0)]
    );
    let region = &regions(&ages(true), &["[21, 24] or NULL"])[0];
    assert_eq!(region.ranges, [1..2, 5..6]);
    assert_eq!([0, 1, 2, 4, 5].map(|c| region.contains(c)), [false, true, false, false, true]);
}

#[test]
fn values_of_other_types_are_compared_by_value() {
    let read = |values: ArrayRef| -> Vec<Vec<u32>> {
        let regions = ages(false).read(&values, "released", &Job::unbounded()).unwrap();
        regions.into_iter().map(|r| r.ranges.into_iter().flatten().collect()).collect()
    };
    assert_eq!(read(Arc::new(Int32Array::from(vec![Some(29), None, Some(7)]))), [vec![3], vec![5], vec![]]);
    assert_eq!(read(Arc::new(Float64Array::from(vec![29.0, 29.5, f64::NAN]))), [vec![3], vec![], vec![5]]);
    let decimals = Decimal128Array::from(vec![2200, 2250]).with_precision_and_scale(9, 2).unwrap();
    assert_eq!(read(Arc::new(decimals)), [vec![1], vec![]]);
    let ends = |v: [i32; 3]| Arc::new(Int32Array::from(v.to_vec())) as ArrayRef;
    let fields = |t: DataType| {
        vec![
            Field::new("lower", t.clone(), true),
            Field::new("upper", t, true),
            Field::new("has_null", DataType::Boolean, false),
        ]
    };
    let flags = Arc::new(BooleanArray::from(vec![false, true, false])) as ArrayRef;
    let structs = StructArray::try_new(
        fields(DataType::Int32).into(),
        vec![ends([20, 25, 0]), ends([22, 40, 0]), flags],
        Some(vec![true, true, false].into()),
    );
    assert_eq!(read(Arc::new(structs.unwrap())), [vec![0, 1], vec![2, 3, 4, 5], vec![5]]);
    // Days and the moments of a register: a moment within a day is no day.
    let days = raw(Arc::new(Date32Array::from(vec![0, 1, 18262])), false);
    let moments = TimestampNanosecondArray::from(vec![86_400_000_000_000, 86_400_000_000_001, 0]);
    let found = days.read(&(Arc::new(moments) as ArrayRef), "released", &Job::unbounded()).unwrap();
    assert_eq!(found.iter().map(|r| r.ranges.len()).collect::<Vec<_>>(), [1, 0, 1]);
    assert_eq!(seen(&days, &["[1970-01-01, 1970-01-02]", "2020-01-01"]), [(vec![0, 1], 1.0 / 18262.0), (vec![2], 0.0)]);
    // Neighbours of a nanosecond far from 1970 stay apart.
    let far = 4_000_000_000_000_000_000;
    let moments = raw(Arc::new(TimestampNanosecondArray::from(vec![far, far + 1, far + 3])), true);
    let texts = cast(&(Arc::clone(&moments.distinct)), &DataType::Utf8).unwrap();
    let texts = texts.as_string::<i32>();
    let interval = format!("[{}, {}]", texts.value(0), texts.value(1));
    assert_eq!(seen(&moments, &[&interval]), [(vec![0, 1], 1.0 / 3.0)]);
    // 0.1 of 32 bits is 0.1.
    let halves = raw(Arc::new(arrow::array::Float32Array::from(vec![0.1, 0.5])), true);
    assert_eq!(seen(&halves, &["0.1", "[0.1, 0.5]"]), [(vec![0], 0.0), (vec![0, 1], 1.0)]);
    // Booleans are texts.
    let flags = raw(Arc::new(BooleanArray::from(vec![true, false])), true);
    assert_eq!(seen(&flags, &["{false, true}", "true"]), [(vec![0, 1], 1.0), (vec![1], 0.0)]);
    // A constant column loses nothing.
    assert_eq!(seen(&raw(Arc::new(Int64Array::from(vec![7, 7])), true), &["7", "*"]), [(vec![0], 0.0), (vec![0], 0.0)]);
}

#[test]
fn texts_in_sets_and_masks() {
    // F M X are 0 1 2, NULL is 3.
    let sexes = raw(texts(&[Some("M"), None, Some("F"), Some("X")]), true);
    let third = 1.0 / 3.0;
    assert_eq!(
        seen(&sexes, &["F", "{F, M}", "{F, M} or NULL", "F or NULL", "*", "* or NULL"]),
        [
            (vec![0], 0.0),
            (vec![0, 1], third),
            (vec![0, 1, 3], 2.0 * third),
            (vec![0, 3], third),
            (vec![0, 1, 2, 3], 1.0),
            (vec![0, 1, 2, 3], 1.0)
        ]
    );
    let null = sexes.read(&texts(&[None]), "released", &Job::unbounded()).unwrap();
    assert_eq!((null[0].ranges.iter().cloned().flatten().collect::<Vec<_>>(), null[0].loss), (vec![3], 0.0));
    // Codes of ZIPs: 53703 0, 53710 1, 53711 2, 5371 3, 60000 4 in the order of texts: 5371 is before 53710.
    let zips = raw(texts(&[Some("53703"), Some("5371"), Some("53710"), Some("53711"), Some("60000")]), true);
    assert_eq!(
        seen(&zips, &["5371*", "537**", "*****", "5**11"]),
        [(vec![2, 3], 0.25), (vec![0, 2, 3], 0.5), (vec![0, 2, 3, 4], 0.75), (vec![3], 0.0)]
    );
    // Labels that hold the separator: the longest that lets the rest be read.
    let jobs = raw(texts(&[Some("a"), Some("a, b"), Some("b"), Some("c, d"), Some("{x}"), Some("y or NULL")]), true);
    assert_eq!(
        seen(&jobs, &["{a, b, c, d}", "{a, c, d}", "{b, a, b}", "{x}", "y or NULL"]),
        [(vec![1, 3], 0.2), (vec![0, 3], 0.2), (vec![1, 2], 0.2), (vec![5], 0.0), (vec![4], 0.0)]
    );
}

fn table(rows: &[[&str; 3]]) -> Vec<Vec<Option<String>>> {
    (0..3).map(|level| rows.iter().map(|r| Some(r[level].to_string())).collect()).collect()
}

#[test]
fn labels_of_a_hierarchy() {
    let levels = table(&[["a1", "a", "west"], ["a2", "a", "west"], ["b1", "b", "west"], ["c1", "c", "east"]]);
    // Codes a1 0, b1 1, c1 2; the leaf a2 has no row. Four leaves below an implied root of level 3.
    let clinics = raw(texts(&[Some("b1"), Some("a1"), Some("c1")]), true).with_hierarchy(&levels).unwrap();
    let found = regions(&clinics, &["a1", "a", "west", "c", "*", "{a1, c1}", "west or NULL"]);
    let codes: Vec<Vec<u32>> = found.iter().map(|r| r.ranges.iter().cloned().flatten().collect()).collect();
    assert_eq!(codes, [vec![0], vec![0], vec![0, 1], vec![2], vec![0, 1, 2], vec![0, 2], vec![0, 1]]);
    assert_eq!(
        found.iter().map(|r| r.level).collect::<Vec<_>>(),
        [Some(0), Some(1), Some(2), Some(1), Some(3), None, Some(2)]
    );
    let losses: Vec<f64> = found.iter().map(|r| r.loss).collect();
    assert_eq!(losses, [0.0, 1.0 / 3.0, 2.0 / 3.0, 0.0, 1.0, 0.5, 1.0]);
    assert_eq!(clinics.height(), Some(3));
    // A register may hold values that the table does not list: they are below the root alone.
    let more = raw(texts(&[Some("b1"), Some("a1"), Some("z9")]), false).with_hierarchy(&levels).unwrap();
    assert_eq!(seen(&more, &["west", "*"]).into_iter().map(|s| s.0).collect::<Vec<_>>(), [vec![0, 1], vec![0, 1, 2]]);
    let error = raw(texts(&[Some("z9")]), true).with_hierarchy(&levels).unwrap_err();
    assert!(error.message().contains("no row for its value 'z9'"), "{error}");
    // Numbers with labels that look like intervals: the label counts.
    let decades = table(&[
        ["20", "[20, 25)", "young"],
        ["22", "[20, 25)", "young"],
        ["40", "old", "old"],
        ["25", "old", "old"],
        ["29", "old", "old"],
    ]);
    let ages = ages(true).with_hierarchy(&decades).unwrap();
    assert_eq!(seen(&ages, &["[20, 25)", "old"]), [(vec![0, 1], 0.2), (vec![2, 3, 4], 0.4)]);
}

#[test]
fn what_cannot_be_read_is_named() {
    let cases = [
        (
            ages(true),
            texts(&[Some("young")]),
            "column 'x' of the relation 'released' holds 'young', which says nothing about the values of the relation 'original' (Int64): allowed is a value, '[a, b]', '{a, b}', '*', each with ' or NULL', or a label that hierarchies => {'x': 'table'} explains",
        ),
        (ages(false), texts(&[Some("[20, x]")]), "holds '[20, x]'"),
        (ages(true), texts(&[Some("21")]), "holds '21'"),
        (ages(true), Arc::new(Int32Array::from(vec![20, 26])), "holds '26'"),
        (
            raw(texts(&[Some("F")]), true),
            texts(&[Some("F"), Some("{F, M}")]),
            "holds '{F, M}', which says nothing about the values of the relation 'original' (Utf8): allowed is a value, '{a, b}', '*', each",
        ),
        (
            raw(texts(&[Some("F")]), false),
            texts(&[Some("any"), Some("some")]),
            "column 'x': none of the 2 values of the relation 'released', such as 'some', is one of the relation 'original': if they are labels, hierarchies => {'x': 'table'} says what they stand for",
        ),
    ];
    for (raw, cells, message) in cases {
        let found = error(&raw, &cells);
        assert!(found.contains(message), "{found}");
    }
    // A population lacks some of the values.
    let found = seen(&raw(texts(&[Some("F")]), false), &["F", "M", "{F, M}", "F*"]);
    assert_eq!(found.into_iter().map(|s| s.0).collect::<Vec<_>>(), [vec![0], vec![], vec![0], vec![]]);
}

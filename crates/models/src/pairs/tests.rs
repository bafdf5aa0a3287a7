use arrow::array::{Array, AsArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use lookalike_core::{EncodeSpec, FrameBuilder, encode};

use super::*;

fn frame(columns: Vec<(&str, ArrayRef)>) -> Frame {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    let spec = EncodeSpec {
        columns: Some(batch.schema().fields().iter().map(|f| f.name().clone()).collect()),
        identifiers: vec!["id".into()],
        unit: Some("id".into()),
        detect_identifiers: false,
        ..EncodeSpec::default()
    };
    let mut builder = FrameBuilder::new(batch.schema(), spec).unwrap();
    builder.push(&batch).unwrap();
    encode(vec![vec![builder]], &Job::unbounded()).unwrap().remove(0)
}

fn names(count: Option<&str>) -> PairColumns {
    PairColumns { record: "id".into(), code: "code".into(), count: count.map(str::to_string) }
}

fn ids(values: &[i32]) -> ArrayRef {
    Arc::new(Int32Array::from(values.to_vec()))
}

#[test]
fn pairs_become_rows_of_all_codes_and_come_back() {
    // Record 9 has x and y, 4 has x, 7 has a NULL; z is 4's alone.
    let codes: ArrayRef = Arc::new(StringArray::from(vec![Some("y"), Some("x"), Some("x"), None, Some("z")]));
    let pairs = frame(vec![("code", codes), ("id", ids(&[9, 4, 9, 7, 4]))]);
    let (pairs, rows, _memory) = Pairs::pivot(pairs, &names(None), 1, &Job::unbounded()).unwrap();
    let columns: Vec<(&str, &[u32])> = rows.columns().iter().map(|c| (c.name(), c.values.codes().unwrap())).collect();
    // Records in order: 4, 7, 9.
    assert_eq!(columns, [("x", &[1, 0, 1][..]), ("y", &[0, 0, 1]), ("z", &[1, 0, 0])]);
    let values = rows.columns().iter().map(|c| c.values.clone()).collect();
    let block = pairs.unpivot(&Block { first_row: 10, rows: 3, values });
    let arrays = pairs.decode(&block).unwrap();
    let codes: Vec<&str> = arrays[0].as_string::<i32>().iter().flatten().collect();
    assert_eq!(codes, ["x", "z", "x", "y"]);
    // Fresh records: integers above 9, the record without codes left out.
    let fresh = arrays[1].as_primitive::<Int32Type>().values();
    assert!(fresh[0] > 9 && fresh[1] == fresh[0] && fresh[2] == fresh[0] + 2 && fresh[3] == fresh[2], "{fresh:?}");
}

#[test]
fn codes_of_few_records_are_left_out() {
    let codes = |codes: &[&str]| -> ArrayRef { Arc::new(StringArray::from(codes.to_vec())) };
    // A record that has it twice is one record.
    let pairs = frame(vec![("id", ids(&[1, 1, 2, 3])), ("code", codes(&["b", "b", "a", "a"]))]);
    let (_, rows, _) = Pairs::pivot(pairs.clone(), &names(None), 2, &Job::unbounded()).unwrap();
    assert_eq!(rows.columns().iter().map(|c| c.name().to_string()).collect::<Vec<_>>(), ["a"]);
    assert_eq!((rows.rows(), rows.columns()[0].values.codes().unwrap()), (3, &[0, 1, 1][..]));
    let error = Pairs::pivot(pairs, &names(None), 3, &Job::unbounded()).unwrap_err().to_string();
    assert!(error.contains("none of the 2 codes in column 'code' is held by at least 3 records"), "{error}");
}

#[test]
fn counts_are_repeated_pairs_or_a_column() {
    let codes: ArrayRef = ids(&[30, 10, 30, 30]);
    let pairs = frame(vec![("id", ids(&[1, 1, 1, 2])), ("code", codes.clone())]);
    let (pairs, rows, _) = Pairs::pivot(pairs, &names(None), 1, &Job::unbounded()).unwrap();
    let numbers = |rows: &Frame| -> Vec<Vec<f64>> {
        rows.columns().iter().map(|c| c.values.numbers().unwrap().to_vec()).collect()
    };
    assert_eq!((rows.columns()[0].name(), rows.columns()[1].name()), ("10", "30"));
    assert_eq!(numbers(&rows), [vec![1.0, 0.0], vec![2.0, 1.0]]);
    let values = vec![Values::Number(vec![0.0, 1.2]), Values::Number(vec![2.6, -0.4])];
    let arrays = pairs.decode(&pairs.unpivot(&Block { first_row: 0, rows: 2, values })).unwrap();
    assert_eq!(arrays[1].as_primitive::<Int32Type>().values(), &[30, 30, 30, 10]);

    let counts: ArrayRef = ids(&[4, 1, 6, 0]);
    let pairs = frame(vec![("id", ids(&[1, 1, 1, 2])), ("code", codes.clone()), ("n", counts)]);
    let (pairs, rows, _) = Pairs::pivot(pairs, &names(Some("n")), 1, &Job::unbounded()).unwrap();
    assert_eq!(numbers(&rows), [vec![1.0, 0.0], vec![10.0, 0.0]]);
    let values = vec![Values::Number(vec![1.0, 0.0]), Values::Number(vec![9.0, 2.0])];
    let arrays = pairs.decode(&pairs.unpivot(&Block { first_row: 0, rows: 2, values })).unwrap();
    assert_eq!(arrays[2].as_primitive::<Int32Type>().values(), &[1, 9, 2]);
    assert_eq!(arrays[2].null_count(), 0);

    let bad: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), Some(1), None, Some(2)]));
    let pairs = frame(vec![("id", ids(&[1, 1, 1, 2])), ("code", codes), ("n", bad)]);
    let error = Pairs::pivot(pairs, &names(Some("n")), 1, &Job::unbounded()).unwrap_err().to_string();
    assert!(error.contains("column 'n' holds NULL, allowed are counts"), "{error}");
}

#[test]
fn what_enough_records_share_is_no_copy() {
    // Records 1 to 3 have a alone, 4 has a and b.
    let codes: ArrayRef = Arc::new(StringArray::from(vec!["a", "a", "a", "a", "b"]));
    let pairs = frame(vec![("id", ids(&[1, 2, 3, 4, 4])), ("code", codes)]);
    let (_, rows, _) = Pairs::pivot(pairs, &names(None), 1, &Job::unbounded()).unwrap();
    let copies = |shared| {
        let values: Vec<Values> = rows.columns().iter().map(|c| c.values.clone()).collect();
        crate::copies::CopyFilter::new(&rows.clone().into(), shared, &Job::unbounded()).unwrap().copies(&values, 4)
    };
    assert_eq!([copies(None), copies(Some(4)), copies(Some(3))], [vec![0, 1, 2, 3], vec![0, 1, 2, 3], vec![3]]);
}

/// A synthesizer of the rows, and the file of it.
fn saved(pairs: &Pairs, rows: Frame) -> (Synthesizer, Vec<u8>) {
    let params = crate::SynthesizeParams { model: "independent".into(), min_category_count: 2, ..Default::default() };
    let params = crate::SynthesizeParams { filter_copies: false, detect_structure: false, ..params };
    let options = lookalike_core::Options::check(crate::model("independent").unwrap().params(), &[]).unwrap();
    let synthesizer = Synthesizer::fit(rows, params, &options, &Job::unbounded()).unwrap();
    let file = pairs.save(&synthesizer, &crate::Origin::default()).unwrap();
    (synthesizer, file)
}

#[test]
fn a_file_makes_the_same_pairs_and_names_no_other_code() {
    let texts = |codes: &[&str]| -> ArrayRef { Arc::new(StringArray::from(codes.to_vec())) };
    let secret = "held by one";
    // Eight records, so that a quarter of them are two: what is blunted of counts.
    let codes = ["a", "b", "a", "b", "a", "c", "c", secret, "a", "b", "c"];
    let numbers = [30, 40, 30, 40, 30, 50, 50, 900_719, 30, 40, 50];
    for (codes, count) in
        [(texts(&codes), None), (texts(&codes), Some("n")), (ids(&numbers), None), (ids(&numbers), Some("n"))]
    {
        let mut columns = vec![("code", codes), ("id", ids(&[1, 1, 2, 3, 3, 4, 5, 5, 6, 7, 8]))];
        if count.is_some() {
            columns.insert(1, ("n", ids(&[1, 2, 3, 1, 2, 3, 77_777, 1, 2, 1, 2])));
        }
        let (pairs, rows, _) = Pairs::pivot(frame(columns), &names(count), 2, &Job::unbounded()).unwrap();
        let (synthesizer, file) = saved(&pairs, rows);
        let (loaded, again) = Synthesizer::open(&file, None, 0).unwrap();
        let again = again.unwrap();
        let made = |s: &Synthesizer, p: &Pairs| p.decode(&p.unpivot(&s.block(0, &Job::unbounded()).unwrap())).unwrap();
        assert_eq!(made(&loaded, &again), made(&synthesizer, &pairs));
        let text = String::from_utf8_lossy(&file);
        assert!(!text.contains(secret) && !text.contains("900719") && !text.contains("77777"), "{text}");
        let described = crate::SavedModel::describe(&file).unwrap();
        assert!(described.is_of_pairs && described.identifiers == ["id"]);
        assert_eq!(described, crate::SavedModel::from_text(&described.to_text().unwrap()).unwrap());
    }
}

#[test]
fn a_file_that_would_make_pairs_without_end_is_not_written() {
    let many: Vec<i32> = std::iter::repeat_n(1, 70_000).chain(std::iter::repeat_n(2, 70_001)).collect();
    let codes: ArrayRef = ids(&vec![7; many.len()]);
    let (pairs, rows, _) =
        Pairs::pivot(frame(vec![("id", ids(&many)), ("code", codes)]), &names(None), 2, &Job::unbounded()).unwrap();
    let options = lookalike_core::Options::check(crate::model("independent").unwrap().params(), &[]).unwrap();
    let params = crate::SynthesizeParams { model: "independent".into(), min_category_count: 1, ..Default::default() };
    let synthesizer = Synthesizer::fit(rows, params, &options, &Job::unbounded()).unwrap();
    let error = pairs.save(&synthesizer, &crate::Origin::default()).unwrap_err().to_string();
    assert!(error.contains("a record has a code 70001 times"), "{error}");
}

#[test]
fn a_code_that_nearly_all_records_have_is_saved_as_well() {
    // Of 30 records one lacks the code 8: too few to be told, so all that are made have it.
    let ids_of: Vec<i32> = (0..30).chain(0..29).collect();
    let codes: Vec<i32> = (0..30).map(|i| if i % 2 == 0 { 5 } else { 6 }).chain((0..29).map(|_| 8)).collect();
    let relation = frame(vec![("id", ids(&ids_of)), ("code", ids(&codes))]);
    let (pairs, rows, _) = Pairs::pivot(relation, &names(None), 2, &Job::unbounded()).unwrap();
    let (synthesizer, file) = saved(&pairs, rows);
    let (loaded, again) = Synthesizer::open(&file, None, 0).unwrap();
    let made = |s: &Synthesizer, p: &Pairs| p.decode(&p.unpivot(&s.block(0, &Job::unbounded()).unwrap())).unwrap();
    assert_eq!(made(&loaded, &again.unwrap()), made(&synthesizer, &pairs));
    let eights = made(&synthesizer, &pairs)[1].as_primitive::<Int32Type>().values().iter().filter(|c| **c == 8).count();
    assert_eq!(eights, 30);
}

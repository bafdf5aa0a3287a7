use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Int32Array, RecordBatch, StringArray, TimestampSecondArray,
};
use arrow::datatypes::{Field, Schema};
use lookalike_core::{EncodeSpec, Error, Frame, FrameBuilder, Options, Streams, below, encode};

use super::*;
use crate::codec::{Reader, Writer};
use crate::model::{is_iterative, quick};
use crate::{MODELS, Model, SynthesizeParams, Synthesizer};

fn frame(columns: Vec<(&str, ArrayRef)>) -> Frame {
    let fields: Vec<Field> = columns.iter().map(|(n, a)| Field::new(*n, a.data_type().clone(), true)).collect();
    let batch =
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|c| c.1).collect()).unwrap();
    let mut builder = FrameBuilder::new(batch.schema(), EncodeSpec::default()).unwrap();
    builder.push(&batch).unwrap();
    let frame = encode(vec![vec![builder]], &Job::unbounded()).unwrap().remove(0);
    frame.gather(&frame.canonical_order())
}

fn take_out(frame: &Frame, rules: &[&str], min_persons: u32) -> Result<(Frame, Structure)> {
    let rules: Vec<String> = rules.iter().map(|r| r.to_string()).collect();
    let (job, keeper) = (Job::unbounded(), Keeper::in_memory());
    let (store, structure) = Structure::fit(frame.clone().into(), (&rules, true), min_persons, &keeper, &job)?;
    Ok((store.first(frame.rows())?, structure))
}

fn message(result: Result<(Frame, Structure)>) -> String {
    let error: Error = result.err().unwrap();
    error.message().to_string()
}

fn text(values: impl IntoIterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(StringArray::from_iter(values))
}

/// Zip codes, cities and states, each of which determines the next, twelve, six and two, with a number for each city; a state is
/// missing. Column `free` has nothing to do with them.
fn places(rows: usize) -> Frame {
    let mut rng = Streams::new(1, "places").block(0);
    let zip: Vec<usize> = (0..rows).map(|_| below(&mut rng, 12)).collect();
    let city = |z: usize| z / 2;
    frame(vec![
        ("state", text(zip.iter().map(|&z| (city(z) > 1).then(|| format!("s{}", city(z) / 3))))),
        ("number", Arc::new(Int32Array::from_iter(zip.iter().map(|&z| Some([40, 10, 60, 20, 50, 30][city(z)]))))),
        ("city", text(zip.iter().map(|&z| Some(format!("c{}", city(z)))))),
        ("zip", text(zip.iter().map(|&z| Some(format!("z{z}"))))),
        ("free", text((0..rows).map(|_| Some(format!("f{}", below(&mut rng, 3)))))),
    ])
}

#[test]
fn chains_come_from_the_column_of_fewest_values() {
    let input = places(400);
    let (model, structure) = take_out(&input, &[], 5).unwrap();
    // Of city and its number, which determine each other, the category is kept.
    assert_eq!(
        structure.describe(),
        ["'zip' determines 'city'", "'city' determines 'number'", "'number' determines 'state'"]
    );
    let names: Vec<&str> = model.columns().iter().map(Column::name).collect();
    assert_eq!(names, ["zip", "free"]);
    // What is taken out of the rows comes back.
    let values: Vec<Values> = model.columns().iter().map(|c| c.values.clone()).collect();
    let back = structure.apply(values, 400, &mut Streams::new(1, "test").block(0));
    for (column, back) in input.columns().iter().zip(&back) {
        assert_eq!(format!("{:?}", column.values), format!("{back:?}"), "{}", column.name());
    }
}

#[test]
fn what_chance_or_few_persons_make_is_not_found() {
    let mut rng = Streams::new(2, "chance").block(0);
    let n = 300;
    // A key, a pair of rows each, and a column that is all but constant.
    let input = frame(vec![
        ("key", text((0..n).map(|i| Some(format!("k{i}"))))),
        ("pair", text((0..n).map(|i| Some(format!("p{}", i / 2))))),
        ("flag", text((0..n).map(|i| Some(if i == 0 { "yes" } else { "no" }.to_string())))),
        ("free", text((0..n).map(|_| Some(format!("f{}", below(&mut rng, 4)))))),
    ]);
    for min_persons in [1, 2, 5] {
        let (model, structure) = take_out(&input, &[], min_persons).unwrap();
        assert_eq!((model.columns().len(), structure.describe().len()), (4, 0), "{min_persons}");
    }
}

#[test]
fn one_row_that_disagrees_is_enough() {
    let names = |i: usize, odd: bool| Some(format!("v{}", if odd && i == 7 { 1 } else { i % 4 }));
    for (odd, found) in [(false, 1), (true, 0)] {
        let input = frame(vec![
            ("code", Arc::new(Int32Array::from_iter((0..200).map(|i| Some(i % 4))))),
            ("name", text((0..200).map(|i| names(i, odd)))),
        ]);
        assert_eq!(take_out(&input, &[], 5).unwrap().1.describe().len(), found);
    }
}

/// Stays of 0 to 9 days that start on one of 200 days, as dates and as seconds; the end may be missing.
fn stays(n: usize) -> Frame {
    let mut rng = Streams::new(3, "stays").block(0);
    let rows: Vec<(i32, i32, bool)> =
        (0..n).map(|_| (below(&mut rng, 200) as i32, below(&mut rng, 10) as i32, below(&mut rng, 5) > 0)).collect();
    let seconds = |r: &(i32, i32, bool)| r.2.then_some(i64::from(18_000 + r.0 + r.1) * 86_400);
    let cents = Decimal128Array::from_iter(rows.iter().map(|r| Some(i128::from(r.1) * 1250 + 999)));
    let start: ArrayRef = Arc::new(Date32Array::from_iter(rows.iter().map(|r| Some(18_000 + r.0))));
    let stop: ArrayRef = Arc::new(TimestampSecondArray::from_iter(rows.iter().map(seconds)));
    let cost: ArrayRef = Arc::new(cents.with_precision_and_scale(9, 2).unwrap());
    frame(vec![("start", start), ("stop", stop), ("cost", cost)])
}

#[test]
fn an_order_is_learned_as_the_difference() {
    let input = stays(500);
    let (model, structure) = take_out(&input, &[], 5).unwrap();
    assert_eq!(structure.describe(), ["'stop' is never below 'start'"]);
    // Days, because all differences are whole ones.
    let Values::Number(days) = &model.columns()[1].values else { panic!() };
    assert!(days.iter().all(|d| d.is_nan() || (0.0..=9.0).contains(d)));
    let values: Vec<Values> = model.columns().iter().map(|c| c.values.clone()).collect();
    let back = structure.apply(values, 500, &mut Streams::new(1, "test").block(0));
    let (Values::Number(stop), Values::Number(original)) = (&back[1], &input.columns()[1].values) else { panic!() };
    // All come back but those that the blunted range cuts off.
    let same = stop.iter().zip(original).filter(|(a, b)| a == b || a.is_nan() && b.is_nan()).count();
    assert!(same >= 490, "{same}");

    let values: Vec<&Values> = input.columns().iter().map(|c| &c.values).collect();
    let (undone, added) = structure.undo(&values, 500);
    assert_eq!(format!("{:?}", undone[1]), format!("{:?}", model.columns()[1].values));
    assert!(added.iter().all(|a| *a == 0.0));
    // A row that stops before it starts is never made.
    let early = Values::Number(vec![-1000.0; 500]);
    let (_, added) = structure.undo(&[values[0], &early, values[2]], 500);
    assert!(added.iter().all(|a| *a == f64::NEG_INFINITY));
}

#[test]
fn every_model_keeps_rules() {
    let (places, stays) = (places(400), stays(500));
    let fit = |frame: &Frame, model: &dyn Model, rules: &[&str], detect: bool| {
        let params = SynthesizeParams {
            model: model.name().into(),
            rows: Some(3000),
            filter_copies: false,
            constraints: rules.iter().map(|r| r.to_string()).collect(),
            detect_structure: detect,
            ..Default::default()
        };
        let options = quick(model);
        Synthesizer::fit(frame.clone(), params, &options, &Job::unbounded()).unwrap()
    };
    let rows_of = |frame: &Frame, columns: &[usize]| {
        let row = |r: usize| {
            format!("{:?}", columns.iter().map(|&c| Level::at(&frame.columns()[c].values, r)).collect::<Vec<_>>())
        };
        (0..frame.rows()).map(row).collect::<std::collections::BTreeSet<_>>()
    };
    let job = Job::unbounded();
    for model in MODELS {
        // Number, city, zip and state hang together; found, and by hand.
        for (rules, detect) in [(&[][..], true), (&["fixed(zip, city, number, state)"][..], false)] {
            let made = fit(&places, *model, rules, detect).sample(3000, &job).unwrap();
            let columns = [0, 1, 2, 3];
            let (real, made) = (rows_of(&places, &columns), rows_of(&made, &columns));
            assert!(made.is_subset(&real) && (made.len() == 12 || is_iterative(*model)), "{} {made:?}", model.name());
        }
        for (rules, detect) in [(&[][..], true), (&["start <= stop", "cost > 9.98"][..], false)] {
            let synthesizer = fit(&stays, *model, rules, detect);
            let made = synthesizer.sample(3000, &job).unwrap();
            let pair = super::super::constraints::Pair::of(&stays.columns()[0], &stays.columns()[1]).unwrap();
            let (a, b) = (made.columns()[0].values.numbers().unwrap(), made.columns()[1].values.numbers().unwrap());
            assert!(!a.iter().zip(b).any(|(a, b)| pair.breaks(*a, *b, false)), "{}", model.name());
            let missing = b.iter().filter(|b| b.is_nan()).count() as f64 / 3000.0;
            let share =
                stays.columns()[1].values.numbers().unwrap().iter().filter(|b| b.is_nan()).count() as f64 / 500.0;
            // Binomial of 3000.
            assert!(
                is_iterative(*model) || (missing - share).abs() < 4.9 * (share * (1.0 - share) / 3000.0).sqrt(),
                "{}",
                model.name()
            );
        }
    }
}

#[test]
fn rules_are_read_or_refused() {
    let input = stays(60);
    let cases = [
        (
            "start <= stopp",
            "constraints: 'start <= stopp': there is no column 'stopp'; did you mean 'stop'? (columns: start, stop, cost)",
        ),
        (
            "start <= cost",
            "constraints: 'start <= cost': 'start' is a date or timestamp and 'cost' is a number, which do not compare",
        ),
        (
            "start <= 'soon'",
            "constraints: 'start <= 'soon'': 'soon' is no date or timestamp such as '2024-01-31' or '2024-01-31T12:00:00'",
        ),
        ("fixed(start)", "constraints: 'fixed(start)': fixed(...) takes two columns or more"),
        (
            "start = stop",
            "constraints: 'start = stop': allowed are comparisons such as 'start <= stop', 'start < stop' and 'age >= 18', and 'fixed(city, zip)'",
        ),
    ];
    for (rule, expected) in cases {
        assert_eq!(message(take_out(&input, &[rule], 1)), expected);
    }
    assert_eq!(
        message(take_out(&input, &["start < stop", "stop <= start"], 1)),
        "constraints: 'start < stop' and 'stop <= start' contradict each other"
    );
    assert_eq!(
        message(take_out(&input, &["cost >= 5", "cost <= 3.5"], 1)),
        "constraints: 'cost >= 5' and 'cost <= 3.5' contradict each other"
    );
    assert_eq!(
        message(take_out(&input, &["start >= '2024-01-31'", "start <= stop", "stop <= '2020-01-01'"], 1)),
        "constraints: 'start >= '2024-01-31'' and 'start <= stop' and 'stop <= '2020-01-01'' contradict each other"
    );
    let costs = input.columns()[2].values.numbers().unwrap();
    let broken = costs.iter().filter(|c| **c <= 999.0).count();
    assert_eq!(
        message(take_out(&input, &["cost > 9.99"], 1)),
        format!(
            "constraints: 'cost > 9.99' does not hold in {broken} of 60 rows: correct them or leave them out with WHERE, or drop the constraint"
        )
    );
    assert!(
        message(take_out(&input, &["fixed(start, cost)"], 50)).contains("combinations is held by at least 50 persons")
    );
}

#[test]
fn wide_categories_keep_what_they_determine_beside_them() {
    let mut rng = Streams::new(4, "wide").block(0);
    let codes: Vec<usize> = (0..20_000).map(|_| below(&mut rng, 600)).collect();
    let input = frame(vec![
        ("code", text(codes.iter().map(|c| Some(format!("{c:03}"))))),
        ("chapter", text(codes.iter().map(|c| Some(format!("{}", c / 100))))),
    ]);
    let (model, structure) = take_out(&input, &[], 5).unwrap();
    assert_eq!((model.columns().len(), structure.describe()), (2, vec!["'code' determines 'chapter'".to_string()]));
    // Codes that are all of chapter 0 beside chapters of all kinds: the chapters stay, the codes are drawn in them.
    let chapters: Vec<u32> = (0..6000).map(|i| i % 6).collect();
    let made = structure.apply(
        vec![Values::Code(vec![5; 6000]), Values::Code(chapters.clone())],
        6000,
        &mut Streams::new(1, "test").block(0),
    );
    let made_codes = made[0].codes().unwrap();
    assert_eq!(made[1], Values::Code(chapters.clone()));
    assert!(made_codes.iter().zip(&chapters).all(|(code, chapter)| code / 100 == *chapter));
    assert!(made_codes.iter().zip(&chapters).all(|(code, chapter)| *chapter > 0 || *code == 5));
}

#[test]
fn a_column_equal_to_a_determined_one_comes_from_it() {
    let zip = |i: usize| i * i % 13 % 8;
    let city = || text((0..400).map(|i| Some(format!("c{}", zip(i) / 2))));
    let input =
        frame(vec![("city", city()), ("town", city()), ("zip", text((0..400).map(|i| Some(format!("z{}", zip(i))))))]);
    let (model, structure) = take_out(&input, &[], 5).unwrap();
    assert_eq!(structure.describe(), ["'zip' determines 'city'", "'town' equals 'city'"]);
    let values: Vec<Values> = model.columns().iter().map(|c| c.values.clone()).collect();
    let back = structure.apply(values, 400, &mut Streams::new(1, "test").block(0));
    let all: Vec<Values> = input.columns().iter().map(|c| c.values.clone()).collect();
    assert_eq!(back, all);
}

#[test]
fn conditions_on_what_is_taken_out() {
    let (model, structure) = take_out(&places(400), &[], 5).unwrap();
    // City 2 has zip codes 4 and 5; sorted as text z0, z1, z10, z11, z2, z3, z4, z5 they are codes 6 and 7.
    let Values::Code(zips) = &model.columns()[0].values else { panic!() };
    let rows = |code| zips.iter().filter(|z| **z == code).count() as u64;
    let expected = Given::Column { column: 0, values: Values::Code(vec![6, 7]), rows: vec![rows(6), rows(7)] };
    assert_eq!(structure.given(2, &Values::Code(vec![2])), expected);
    // The number of city 2 is 60.
    assert_eq!(structure.given(1, &Values::Number(vec![60.0])), expected);
    assert_eq!(structure.given(1, &Values::Number(vec![61.0])), Given::Never);
    let (_, structure) = take_out(&stays(500), &[], 5).unwrap();
    assert_eq!(structure.given(1, &Values::Number(vec![1.0])), Given::Rejection);
}

#[test]
fn saved_structure_is_the_same_and_hostile_bytes_are_refused() {
    for (input, rules) in
        [(places(400), &["fixed(zip, free)"][..]), (stays(500), &["start <= stop"][..]), (places(400), &[][..])]
    {
        let (model, structure) = take_out(&input, rules, 5).unwrap();
        let columns: Vec<Column> = input.columns().iter().map(Column::without_values).collect();
        let mut w = Writer::new("structure");
        structure.save(&mut w);
        let bytes = w.finish();
        let texts = || rules.iter().map(|r| r.to_string()).collect();
        let load = |bytes: &[u8]| Structure::load(&mut Reader::new(bytes, "structure")?, columns.clone(), texts());
        let loaded = load(&bytes).unwrap();
        let values = || model.columns().iter().map(|c| c.values.clone()).collect::<Vec<_>>();
        let made =
            |s: &Structure| format!("{:?}", s.apply(values(), input.rows(), &mut Streams::new(1, "test").block(0)));
        assert_eq!(made(&loaded), made(&structure));
        // Every byte of the body changed in turn, under a right checksum: refused, or something that works.
        let body = &bytes[..bytes.len() - 8];
        for i in 29..body.len() {
            for flip in [1u8, 0x80, 0xff] {
                let mut damaged = body.to_vec();
                damaged[i] ^= flip;
                let sealed = crate::codec::sealed(damaged);
                let other = load(&sealed);
                if let Ok(other) = other
                    && other.model_columns().len() == model.columns().len()
                {
                    other.apply(values(), input.rows(), &mut Streams::new(1, "test").block(0));
                }
            }
        }
    }
}

#[test]
fn missing_shares_stay_where_both_columns_are_missing_together() {
    let mut rng = Streams::new(5, "both").block(0);
    let days: Vec<Option<(i32, i32)>> = (0..600)
        .map(|i| {
            (i % 3 > 0).then(|| below(&mut rng, 300) as i32).map(|start| (start, start + below(&mut rng, 20) as i32))
        })
        .collect();
    let input = frame(vec![
        ("start", Arc::new(Int32Array::from_iter(days.iter().map(|d| d.map(|d| d.0)))) as ArrayRef),
        ("stop", Arc::new(Int32Array::from_iter(days.iter().map(|d| d.map(|d| d.1))))),
    ]);
    let params = SynthesizeParams { model: "independent".into(), filter_copies: false, ..Default::default() };
    let options = Options::check(crate::model("independent").unwrap().params(), &[]).unwrap();
    let job = Job::unbounded();
    let synthesizer = Synthesizer::fit(input.clone(), params, &options, &job).unwrap();
    assert_eq!(synthesizer.structure(), ["'stop' is never below 'start'"]);
    let made = synthesizer.sample(10_000, &job).unwrap();
    let missing = made.columns()[1].values.numbers().unwrap().iter().filter(|v| v.is_nan()).count() as f64;
    // A binomial of 10,000 at a third.
    assert!((missing - 10_000.0 / 3.0).abs() < 4.9 * (10_000.0 * 2.0 / 9.0f64).sqrt(), "{missing}");
    // Rows without a start have no density of their own.
    assert!(synthesizer.log_likelihood(&input, &job).unwrap().is_none());
}

#[test]
fn codes_go_into_groups_and_groups_into_chapters() {
    let mut rng = Streams::new(6, "levels").block(0);
    // 4,000 codes in 800 units in 8 chapters. The first code of each unit is held by about 27 rows, the others by 2.5; in the last
    // hundred units all by 7.5, so that most have no code of twelve.
    let code = |rng: &mut Stream| match below(rng, 4000) {
        c if c >= 3500 || below(rng, 3) == 0 => c,
        c => c / 5 * 5,
    };
    let codes: Vec<usize> = (0..30_000).map(|_| code(&mut rng)).collect();
    let input = frame(vec![
        ("code", text(codes.iter().map(|c| Some(format!("{c:04}"))))),
        ("unit", text(codes.iter().map(|c| Some(format!("{:03}", c / 5))))),
        ("chapter", text(codes.iter().map(|c| Some(format!("{}", c / 500))))),
    ]);
    let params = SynthesizeParams {
        model: "independent".into(),
        filter_copies: false,
        min_category_count: 12,
        ..Default::default()
    };
    let options = Options::check(crate::model("independent").unwrap().params(), &[]).unwrap();
    let job = Job::unbounded();
    let synthesizer = Synthesizer::fit(input, params, &options, &job).unwrap();
    assert_eq!(synthesizer.structure(), ["'unit' determines 'chapter'", "'code' determines 'unit'"]);
    let made = synthesizer.sample(10_000, &job).unwrap();
    let of = |c: usize| made.columns()[c].values.codes().unwrap();
    // Codes are dense, so that the label is the code.
    assert_eq!((0..10_000).filter(|&r| of(1)[r] / 100 != of(2)[r]).count(), 0);
    let label = |c: usize, r: usize| match &synthesizer.columns()[c].domain {
        Domain::Category(domain) => domain.labels[of(c)[r] as usize].parse::<usize>().unwrap(),
        _ => 0,
    };
    assert_eq!((0..10_000).filter(|&r| label(0, r) / 5 != label(1, r)).count(), 0);
}

/// Rows beyond those that are looked at first: a code, two others that it determines, an amount and one that is never below.
/// `broken` breaks the second code and the order in the last row.
fn many(rows: usize, broken: bool) -> Frame {
    let is_odd = |i: usize| broken && i == rows - 1;
    let text = |f: &dyn Fn(usize) -> usize| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..rows).map(|i| format!("v{}", f(i)))))
    };
    let number = |f: &dyn Fn(usize) -> i32| -> ArrayRef { Arc::new(Int32Array::from_iter_values((0..rows).map(f))) };
    let columns = [
        ("code", text(&|i| i * i % 60)),
        ("coarse", text(&|i| i * i % 60 % 3)),
        ("other", text(&|i| i * i % 60 % 5 + 7 * usize::from(is_odd(i)))),
        ("low", number(&|i| (i * 7919 % 1000) as i32)),
        ("high", number(&|i| (i * 7919 % 1000) as i32 + (i * 31 % 90) as i32 - 200 * i32::from(is_odd(i)))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut builder = FrameBuilder::new(batch.schema(), EncodeSpec::default()).unwrap();
    builder.push(&batch).unwrap();
    encode(vec![vec![builder]], &Job::unbounded()).unwrap().remove(0)
}

#[test]
fn all_rows_count_where_the_first_ones_agree() {
    let rows = super::super::determined::HEAD + 5000;
    let found = |broken| take_out(&many(rows, broken), &[], 5).unwrap().1.describe();
    let all = found(false);
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all.contains(&"'high' is never below 'low'".to_string()), "{all:?}");
    let fewer = found(true);
    assert_eq!(fewer, ["'code' determines 'coarse'"]);
}

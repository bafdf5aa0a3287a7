use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use lookalike_core::{EncodeSpec, Frame, FrameBuilder, Options, Value, encode};

use super::*;
use crate::nn::Mat;
use crate::rows::Rows;

fn frame(columns: Vec<(&str, ArrayRef)>) -> Frame {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    let mut builder = FrameBuilder::new(batch.schema(), EncodeSpec::default()).unwrap();
    builder.push(&batch).unwrap();
    encode(vec![vec![builder]], &Job::unbounded()).unwrap().remove(0)
}

fn booleans(values: impl Iterator<Item = bool>) -> ArrayRef {
    Arc::new(values.map(Some).collect::<BooleanArray>())
}

/// One column of every kind.
fn every_kind() -> Frame {
    frame(vec![
        ("flag", booleans([false, true, true, false].into_iter())),
        ("pair", Arc::new(Int64Array::from(vec![3, 7, 3, 3]))),
        ("count", Arc::new(Int64Array::from(vec![Some(0), Some(3), Some(4), None]))),
        ("number", Arc::new(Float64Array::from(vec![-1.0, 0.0, 3.0, 1.0]))),
        ("letter", Arc::new(StringArray::from(vec![Some("a"), Some("c"), Some("b"), None]))),
        ("constant", Arc::new(Int64Array::from(vec![5; 4]))),
        ("empty", Arc::new(Float64Array::from(vec![None; 4]))),
        ("maybe", Arc::new(StringArray::from(vec![Some("x"), None, None, Some("x")]))),
    ])
}

#[test]
fn records_become_units_and_come_back() {
    let frame = every_kind();
    let rows = Rows::new(frame.clone(), 1);
    let units = Units::fit(&rows, 500, &Job::unbounded()).unwrap();
    // Sigmoid: flag, pair, NULL of count, number, maybe. Rectified: count. Block: letter with NULL.
    assert_eq!((units.sigmoid, units.rectified, units.width), (5, 1, 10));
    assert_eq!(units.blocks, [crate::nn::Block { start: 6, size: 4 }]);
    let records = units.encode(&rows).unwrap();
    let mut dense = vec![0.0; 40];
    records.add_to(&mut dense, 10);
    // By hand: numbers from -1 at 0 to 3 at 1; counts over the root mean square of 3 and 4, which is sqrt(12.5) = 3.535534.
    #[rustfmt::skip]
    let expected = [
        0.0, 0.0, 0.0, 0.0,  0.0, 0.0,       1.0, 0.0, 0.0, 0.0,
        1.0, 1.0, 0.0, 0.25, 1.0, 0.848_528, 0.0, 0.0, 1.0, 0.0,
        1.0, 0.0, 0.0, 1.0,  1.0, 1.131_371, 0.0, 1.0, 0.0, 0.0,
        0.0, 0.0, 1.0, 0.5,  0.0, 0.0,       0.0, 0.0, 0.0, 1.0,
    ];
    assert!(dense.iter().zip(expected).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6), "{dense:?}");
    // Outputs that say so: choices far on either side of 0, the number's the inverse of its sigmoid.
    let mut outputs = Mat { rows: 4, cols: 10, data: dense };
    for (i, x) in outputs.data.iter_mut().enumerate() {
        *x = match i % 10 {
            3 => (x.clamp(1e-7, 1.0 - 1e-7) / (1.0 - x.clamp(1e-7, 1.0 - 1e-7))).ln(),
            5 => *x,
            _ => 20.0 * *x - 10.0,
        };
    }
    let mut rng = Streams::new(1, "test").block(0);
    for units in [units.save_and_load(), units] {
        let mut values = units.blank(0, &mut rng);
        units.decode(&outputs, &mut values, &mut rng);
        for (values, column) in values.iter().zip(frame.columns()) {
            match (values, &column.values) {
                (Values::Number(a), Values::Number(b)) => {
                    let same = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-5 || a.is_nan() && b.is_nan();
                    assert!(a.iter().zip(b).all(same), "{}: {a:?} {b:?}", column.name());
                }
                (a, b) => assert_eq!(a, b, "{}", column.name()),
            }
        }
    }
}

impl Units {
    fn save_and_load(&self) -> Self {
        let mut w = Writer::section();
        self.save(&mut w);
        Units::load(&mut Reader::section(&w.into_section())).unwrap()
    }
}

#[test]
fn choices_are_drawn_with_the_probability_of_their_output() {
    let frame = every_kind();
    let rows = Rows::new(frame, 1);
    let units = Units::fit(&rows, 500, &Job::unbounded()).unwrap();
    let noise = units.noise(100_000, &mut Streams::new(2, "test").block(0));
    let share = |f: &dyn Fn(&[f32]) -> bool| noise.chunks_exact(10).filter(|n| f(n)).count() as f64 / 1e5;
    // sigmoid(-2) = 0.1192, and a quarter of four equal outputs; 5 standard deviations are 0.0051 and 0.0068.
    assert!((share(&|n| n[0] - 2.0 > 0.0) - 0.1192).abs() < 0.0051);
    assert!((share(&|n| n[7] > n[6].max(n[8]).max(n[9])) - 0.25).abs() < 0.0068);
    // Neither the number nor the count has any.
    assert_eq!(share(&|n| n[3] == 0.0 && n[5] == 0.0), 1.0);
}

fn fitted(frame: &Frame, options: &[(&str, i64)]) -> Box<dyn Fitted> {
    let options: Vec<(String, Value)> = options.iter().map(|(n, v)| (n.to_string(), Value::Int(*v))).collect();
    let options = Options::check(MedGan.params(), &options).unwrap();
    let rows = Rows::new(frame.gather(&frame.canonical_order()), 1);
    MedGan.fit(&rows, &options, 7, &Job::unbounded()).unwrap()
}

/// 600 records of codes a, b and c, and how often d occurs: a in half of them, b where a is, c where it is not, d three times
/// with a and never without.
fn codes() -> Frame {
    let has = |i: usize| i.is_multiple_of(2);
    frame(vec![
        ("a", booleans((0..600).map(has))),
        ("b", booleans((0..600).map(has))),
        ("c", booleans((0..600).map(|i| !has(i)))),
        ("e", booleans((0..600).map(|i| i % 5 == 0))),
        (
            "d",
            Arc::new(Int64Array::from_iter_values((0..600).map(|i| if has(i) { 2 + (i % 6 / 2) as i64 } else { 0 }))),
        ),
    ])
}

#[test]
fn codes_come_together_as_they_do_in_the_data() {
    let options = [("epochs", 150), ("pretrain_epochs", 30), ("batch_size", 100), ("latent", 32), ("hidden", 64)];
    let fitted = fitted(&codes(), &options);
    assert_eq!((fitted.history().len(), fitted.report().epochs), (150, 150));
    let values = fitted.sample(4000, &mut Streams::new(1, "test").block(0)).unwrap();
    let code = |c: usize| values[c].codes().unwrap().iter().map(|c| *c == 1).collect::<Vec<bool>>();
    let share = |f: &dyn Fn(usize) -> bool| (0..4000).filter(|r| f(*r)).count() as f64 / 4000.0;
    let (a, b, c, e) = (code(0), code(1), code(2), code(3));
    let d = values[4].numbers().unwrap();
    // 1, 0 and 1 in the data; a half each where nothing is learned of two codes together.
    let figures = [share(&|r| a[r] == b[r]), share(&|r| a[r] == c[r]), share(&|r| a[r] == (d[r] > 1.0))];
    assert!(figures[0] > 0.9 && figures[1] < 0.1 && figures[2] > 0.9, "{figures:?}");
    // 1/2 and 1/5 in the data.
    let shares = [share(&|r| a[r]), share(&|r| e[r])];
    assert!((shares[0] - 0.5).abs() < 0.2 && (shares[1] - 0.2).abs() < 0.15, "{shares:?}");
}

#[test]
fn training_is_the_same_at_any_number_of_threads() {
    let frame = codes();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fitted(&frame, &[("epochs", 3), ("pretrain_epochs", 2), ("batch_size", 300)]).save().unwrap())
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn a_table_without_choices_is_repeated() {
    let frame = frame(vec![
        ("five", Arc::new(Int64Array::from(vec![5; 20]))),
        ("nothing", Arc::new(Float64Array::from(vec![None; 20]))),
    ]);
    let values = fitted(&frame, &[]).sample(3, &mut Streams::new(1, "test").block(0)).unwrap();
    assert_eq!(values[0], Values::Number(vec![frame.columns()[0].values.numbers().unwrap()[0]; 3]));
    assert!(values[1].numbers().unwrap().iter().all(|v| v.is_nan()));
}

#[test]
fn a_mean_over_the_batch_is_what_the_discriminator_sees() {
    // Equal batches, dense and sparse, get equal scores, and a record's score changes with the others of its batch.
    use crate::nn::Sparse;
    let mut params = Params::<f64>::new();
    let mut rng = Streams::new(3, "test").block(0);
    let judge = networks::Discriminator::new(&mut params, 3, 8, &mut rng);
    let scores = |second: f64| {
        let elements = [(0, 0, 1.0), (1, 1, second), (1, 2, 1.0)];
        let put_all = |put: &mut dyn FnMut(usize, usize, f64)| {
            elements.iter().for_each(|(r, p, v)| put(*r, *p, *v));
            Ok(())
        };
        let x = Sparse::build(2, |put| put_all(put)).unwrap();
        let mut pool = Pool::new();
        let mut t = Tape::forward(&params, &mut pool);
        let dense = t.constant(2, 3, |out| x.add_to(out, 3));
        let (real, made) = (judge.real(&mut t, x), judge.generated(&mut t, dense));
        let (real, made) = (t.value(real).data.clone(), t.value(made).data.clone());
        assert!(real.iter().zip(&made).all(|(a, b)| (a - b).abs() < 1e-12), "{real:?} {made:?}");
        real
    };
    assert!((scores(1.0)[0] - scores(5.0)[0]).abs() > 1e-6);
}

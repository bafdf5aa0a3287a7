use std::sync::Arc;

use arrow::array::{Float64Array, RecordBatch, StringArray};
use lookalike_core::{EncodeSpec, Frame, FrameBuilder, Options, Streams, Value, Values, encode, standard_normal};

use super::*;
use crate::model::Model;
use crate::rows::Rows;

/// 600 rows: a number near -2 with sex f, near 2 with sex m, and a letter on its own.
fn frame() -> Frame {
    let mut rng = Streams::new(4, "test").block(0);
    let draws: Vec<[f64; 2]> = (0..600).map(|_| standard_normal(&mut rng)).collect();
    let sex = |d: &[f64; 2]| if d[0] < 0.0 { "f" } else { "m" };
    let batch = RecordBatch::try_from_iter([
        ("sex", Arc::new(StringArray::from_iter_values(draws.iter().map(sex))) as _),
        ("x", Arc::new(Float64Array::from_iter_values(draws.iter().map(|d| d[1] * 0.3 + 2.0 * d[0].signum()))) as _),
        ("letter", Arc::new(StringArray::from_iter_values((0..600).map(|i| ["a", "b", "c"][i % 3]))) as _),
    ]);
    let batch = batch.unwrap();
    let mut builder = FrameBuilder::new(batch.schema(), EncodeSpec::default()).unwrap();
    builder.push(&batch).unwrap();
    let frame = encode(vec![vec![builder]], &Job::unbounded()).unwrap().remove(0);
    frame.gather(&frame.canonical_order())
}

fn fitted(model: &dyn Model, options: &[(&str, Value)]) -> Box<dyn Fitted> {
    let options: Vec<(String, Value)> = options.iter().map(|(n, v)| (n.to_string(), v.clone())).collect();
    let options = Options::check(model.params(), &options).unwrap();
    model.fit(&Rows::new(frame(), 5), &options, 7, &Job::unbounded()).unwrap()
}

/// Mean of x where sex is f, and where it is m.
fn means(values: &[Values]) -> [f64; 2] {
    let (Values::Code(sex), Values::Number(x)) = (&values[0], &values[1]) else { panic!("the kinds of the columns") };
    [0, 1].map(|s| {
        let of: Vec<f64> = sex.iter().zip(x).filter(|(c, _)| **c == s).map(|(_, x)| *x).collect();
        of.iter().sum::<f64>() / of.len() as f64
    })
}

#[test]
fn ctgan_learns_dependence_and_can_be_asked() {
    let options = [
        ("epochs", Value::Int(150)),
        ("batch_size", Value::Int(100)),
        ("pac", Value::Int(5)),
        ("hidden", Value::Int(64)),
        ("learning_rate", Value::Float(1e-3)),
    ];
    let fitted = fitted(&crate::ctgan::Ctgan, &options);
    assert_eq!((fitted.history().len(), fitted.report().epochs), (150, 150));
    // -2 and 2 in the data, near 0 both in a generator that has learned nothing of the two together.
    let [f, m] = means(&fitted.sample(4000, &mut Streams::new(1, "test").block(0)).unwrap());
    assert!(f < -1.0 && m > 1.0, "{f} {m}");
    let given = [(0, Values::Code((0..1000).map(|r| u32::from(r % 4 == 0)).collect()))];
    let rows = fitted.sample_given(&given, 1000, &mut Streams::new(1, "test").block(0)).unwrap().unwrap();
    assert_eq!(rows[0], given[0].1);
    let [f, m] = means(&rows);
    assert!(f < -1.0 && m > 1.0, "{f} {m}");
    // The other way round there is no condition to name: of the candidates those with the number stay.
    let given = [(1, Values::Number((0..1000).map(|r| if r % 4 == 0 { 2.0 } else { -2.0 }).collect()))];
    let rows = fitted.sample_given(&given, 1000, &mut Streams::new(1, "test").block(0)).unwrap().unwrap();
    assert_eq!(rows[1], given[0].1);
    let Values::Code(sex) = &rows[0] else { panic!("sex is a category") };
    let men = sex.iter().zip(0..).filter(|(s, r)| **s == 1 && r % 4 == 0).count();
    let women = sex.iter().zip(0..).filter(|(s, r)| **s == 0 && r % 4 != 0).count();
    // Of 250 and 750; half of them without dependence.
    assert!(men > 190 && women > 560, "{men} {women}");
}

#[test]
fn each_game_learns_dependence() {
    for clip in [false, true] {
        let options = [
            ("epochs", Value::Int(120)),
            ("batch_size", Value::Int(100)),
            ("hidden", Value::Int(64)),
            ("learning_rate", Value::Float(1e-3)),
            ("critic_steps", Value::Int(2)),
            ("penalty", Value::Text(if clip { "clip" } else { "gradient" }.into())),
        ];
        let [f, m] =
            means(&fitted(&crate::wgan::Wgan, &options).sample(4000, &mut Streams::new(1, "test").block(0)).unwrap());
        assert!(f < -0.5 && m > 0.5, "clip {clip}: {f} {m}");
    }
    let options = [
        ("epochs", Value::Int(60)),
        ("batch_size", Value::Int(100)),
        ("hidden", Value::Int(64)),
        ("learning_rate", Value::Float(1e-3)),
    ];
    let [f, m] =
        means(&fitted(&crate::gan::Gan, &options).sample(4000, &mut Streams::new(1, "test").block(0)).unwrap());
    assert!(f < -0.5 && m > 0.5, "{f} {m}");
}

#[test]
fn training_is_the_same_at_any_number_of_threads() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fitted(&crate::ctgan::Ctgan, &[("epochs", Value::Int(2)), ("hidden", Value::Int(32))]).save())
    };
    assert_eq!(run(1).unwrap(), run(3).unwrap());
}

mod anonymity;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray};
use lookalike_core::{
    Domain, EncodeSpec, ErrorKind, Frame, FrameBuilder, Host, MISSING, Streams, encode, standard_normal, uniform,
};

use super::*;
use crate::model::{is_iterative, quick};
use crate::{MODELS, Model, SynthesizeParams};
use anonymity::anonymity;

/// How many standard deviations a normal exceeds once in a million (two-sided).
const SIGMAS: f64 = 4.9;

fn frame_of(columns: Vec<(&str, ArrayRef)>) -> Frame {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| {
        let nullable = a.null_count() > 0;
        (n, a, nullable)
    }))
    .unwrap();
    let spec = EncodeSpec { detect_identifiers: true, ..Default::default() };
    let mut builder = FrameBuilder::new(batch.schema(), spec).unwrap();
    builder.push(&batch).unwrap();
    encode(vec![vec![builder]], &Job::unbounded()).unwrap().remove(0)
}

/// 2,000 people: three in ten are 'F'; three in a hundred 'widowed', four of a kind that is too rare; every fifth city is NULL; y leans on
/// x by .6.
fn people() -> Frame {
    let mut rng = Streams::new(1, "people").block(0);
    let n = 2000;
    let draws: Vec<([f64; 2], f64)> = (0..n).map(|_| (standard_normal(&mut rng), uniform(&mut rng))).collect();
    let texts =
        |f: &dyn Fn(usize) -> Option<&'static str>| -> ArrayRef { Arc::new(StringArray::from_iter((0..n).map(f))) };
    let marital = |i: usize| match i {
        0..4 => "odd",
        _ if draws[i].1 < 0.03 => "widowed",
        _ if draws[i].1 < 0.2 => "divorced",
        _ => "married",
    };
    frame_of(vec![
        ("id", Arc::new(StringArray::from_iter_values((0..n).map(|i| format!("P{i}"))))),
        ("sex", texts(&|i| Some(if i % 10 < 3 { "F" } else { "M" }))),
        ("marital", texts(&|i| Some(marital(i)))),
        ("city", texts(&|i| (i % 5 > 0).then_some(["Bonn", "Ulm", "Kiel"][i % 3]))),
        (
            "age",
            Arc::new(Int32Array::from_iter_values(
                draws.iter().map(|d| (45.0 + 12.0 * d.0[0]).clamp(18.0, 90.0) as i32),
            )),
        ),
        ("x", Arc::new(Float64Array::from_iter_values(draws.iter().map(|d| d.0[0])))),
        ("y", Arc::new(Float64Array::from_iter_values(draws.iter().map(|d| 0.6 * d.0[0] + 0.8 * d.0[1])))),
    ])
}

fn fit(frame: &Frame, model: &dyn Model, rows: u64) -> Synthesizer {
    let mut params = SynthesizeParams { model: model.name().into(), seed: 3, rows: Some(rows), ..Default::default() };
    // Nothing but copies comes out of `copy`.
    params.filter_copies = model.name() != "copy";
    Synthesizer::fit(frame.clone(), params, &quick(model), &Job::unbounded()).unwrap()
}

fn text(v: &str) -> Value {
    Value::Text(v.into())
}

fn any(name: &str, values: &[Value]) -> (String, Condition) {
    (name.into(), Condition::Any(values.to_vec()))
}

/// Models that can be asked after a short training: by themselves, or because enough of their rows happen to fit. Controls are
/// none: smote's neighbours outvote what is infrequent.
fn askable() -> impl Iterator<Item = &'static dyn Model> {
    let is_control = |m: &dyn Model| m.params().iter().any(|p| p.name == "control");
    MODELS.iter().copied().filter(move |m| (m.conditions() || !is_iterative(*m)) && !is_control(*m))
}

fn asked(frame: &Frame, model: &dyn Model, rows: u64, ask: &Ask) -> Result<Asked> {
    Asked::new(fit(frame, model, rows), ask, &Job::unbounded())
}

/// All rows, after checking that the blocks are where they say.
fn all(asked: &Asked) -> Vec<Values> {
    let mut out = rows::blank(asked.columns(), 0);
    let mut first_row = 0;
    for b in 0..asked.blocks() {
        let block = asked.block(b, &Job::unbounded()).unwrap();
        assert_eq!(block.first_row, first_row);
        first_row += block.rows as u64;
        (0..block.rows).for_each(|row| rows::push(&mut out, &block.values, row));
    }
    assert_eq!(first_row, asked.rows());
    out
}

/// Rows by category; the label of a missing one is empty.
fn counts(asked: &Asked, values: &[Values], name: &str) -> BTreeMap<String, u64> {
    let c = asked.columns().iter().position(|c| c.name() == name).unwrap();
    let (Domain::Category(domain), Values::Code(codes)) = (&asked.columns()[c].domain, &values[c]) else {
        panic!("{name}")
    };
    let mut counts = BTreeMap::new();
    for &code in codes {
        let label = if code == MISSING { "" } else { &domain.labels[code as usize] };
        *counts.entry(label.to_string()).or_default() += 1;
    }
    counts
}

fn numbers<'a>(asked: &Asked, values: &'a [Values], name: &str) -> &'a [f64] {
    values[asked.columns().iter().position(|c| c.name() == name).unwrap()].numbers().unwrap()
}

#[test]
fn every_row_of_every_model_meets_the_conditions() {
    let frame = people();
    for model in askable() {
        let ask = Ask {
            conditions: vec![
                any("sex", &[text("F")]),
                any("marital", &[text("divorced"), text("widowed")]),
                ("age".into(), Condition::Between { min: Some(Value::Int(30)), max: Some(Value::Int(50)) }),
            ],
            ..Ask::default()
        };
        let asked = asked(&frame, model, 9000, &ask).unwrap();
        let rows = all(&asked);
        assert_eq!(counts(&asked, &rows, "sex"), BTreeMap::from([("F".into(), 9000)]));
        let marital = counts(&asked, &rows, "marital");
        assert!(marital.keys().all(|m| ["divorced", "widowed"].contains(&m.as_str())), "{marital:?}");
        assert!(marital.len() == 2 || is_iterative(model), "{} {marital:?}", model.name());
        assert!(numbers(&asked, &rows, "age").iter().all(|age| (30.0..=50.0).contains(age)));
        if model.name() == "independent" {
            // In the proportions of the input: a binomial count.
            let all = frame.columns()[2].values.codes().unwrap();
            let Domain::Category(domain) = &frame.columns()[2].domain else { panic!() };
            let n = |label: &str| all.iter().filter(|&&c| domain.labels[c as usize] == label).count() as f64;
            let p = n("widowed") / (n("widowed") + n("divorced"));
            let sd = (9000.0 * p * (1.0 - p)).sqrt();
            assert!((marital["widowed"] as f64 - 9000.0 * p).abs() < SIGMAS * sd, "{marital:?} {p}");
        }
        // NULL, alone and among others.
        let nulls = Ask { conditions: vec![any("city", &[Value::Null])], ..Ask::default() };
        let found = self::asked(&frame, model, 500, &nulls).unwrap();
        assert_eq!(counts(&found, &all(&found), "city"), BTreeMap::from([(String::new(), 500)]), "{}", model.name());
        let mixed = Ask { conditions: vec![any("city", &[Value::Null, text("Ulm")])], ..Ask::default() };
        let found = self::asked(&frame, model, 500, &mixed).unwrap();
        let city = counts(&found, &all(&found), "city");
        assert!(city.keys().all(|c| ["", "Ulm"].contains(&c.as_str())), "{} {city:?}", model.name());
        assert!(city.len() == 2 || is_iterative(model), "{} {city:?}", model.name());
    }
}

#[test]
fn blocks_are_the_same_in_any_order_and_depend_on_the_seed() {
    let frame = people();
    let ask =
        Ask { conditions: vec![any("marital", &[text("divorced")])], balance: vec!["sex".into()], ..Ask::default() };
    for model in askable() {
        let (one, two) = (asked(&frame, model, 20_000, &ask).unwrap(), asked(&frame, model, 20_000, &ask).unwrap());
        let forwards: Vec<String> = (0..3).map(|b| format!("{:?}", one.block(b, &Job::unbounded()).unwrap())).collect();
        for b in (0..3).rev() {
            assert_eq!(format!("{:?}", two.block(b, &Job::unbounded()).unwrap()), forwards[b as usize]);
        }
    }
    // Nothing asked: the blocks of the synthesizer.
    let plain = asked(&frame, MODELS[0], 9000, &Ask::default()).unwrap();
    for b in 0..2 {
        let block = plain.synthesizer().block(b, &Job::unbounded()).unwrap();
        assert_eq!(format!("{:?}", plain.block(b, &Job::unbounded()).unwrap()), format!("{block:?}"));
    }
}

#[test]
fn quotas_are_exact() {
    let frame = people();
    let mut rng = Streams::new(7, "quotas").block(0);
    for (i, model) in askable().enumerate() {
        for rows in [1, 999, 8192, 10_001 + i as u64] {
            let f = (uniform(&mut rng) * 1000.0).round() / 1000.0;
            let w = (uniform(&mut rng) * 200.0).round() / 1000.0;
            let ask = Ask {
                proportions: vec![
                    ("sex".into(), vec![("F".into(), f), ("M".into(), 1.0 - f)]),
                    ("marital".into(), vec![("widowed".into(), w)]),
                ],
                balance: vec!["city".into()],
                ..Ask::default()
            };
            let asked = asked(&frame, model, rows, &ask).unwrap();
            let values = all(&asked);
            let exact = quota::largest_remainder(&[f, 1.0 - f], rows);
            let sex = counts(&asked, &values, "sex");
            let found = |c: &BTreeMap<String, u64>, label: &str| c.get(label).copied().unwrap_or(0);
            assert_eq!([found(&sex, "F"), found(&sex, "M")], exact[..], "{} {rows} {f}", model.name());
            let marital = counts(&asked, &values, "marital");
            assert_eq!(found(&marital, "widowed"), quota::largest_remainder(&[w, 1.0 - w], rows)[0]);
            assert_eq!(found(&marital, "odd"), 0);
            // Labels are in ascending order, and the first take what is left over.
            let city = counts(&asked, &values, "city");
            let thirds = ["Bonn", "Kiel", "Ulm"].map(|c| found(&city, c));
            assert_eq!(thirds, [0, 1, 2].map(|i| rows / 3 + u64::from(i < rows % 3)));
        }
    }
}

#[test]
fn a_billion_rows_are_no_more_work_than_one_block() {
    let ask = Ask { balance: vec!["sex".into()], conditions: vec![any("age", &[Value::Int(40)])], ..Ask::default() };
    let asked = asked(&people(), crate::model("independent").unwrap(), 1_000_000_000, &ask).unwrap();
    assert_eq!((asked.rows(), asked.blocks()), (1_000_000_000, 122_071));
    let last = asked.block(122_070, &Job::unbounded()).unwrap();
    assert_eq!((last.first_row, last.rows), (999_997_440, 2560));
    // Half of them, as a random choice without replacement has it: sd sqrt(2560 / 4).
    let women = counts(&asked, &last.values, "sex")["F"] as f64;
    assert!((women - 1280.0).abs() < SIGMAS * 25.3, "{women}");
    assert!(numbers(&asked, &last.values, "age").iter().all(|&age| age == 40.0));
}

/// Keeps warnings and counters.
#[derive(Default)]
struct Listener {
    warnings: Mutex<Vec<String>>,
    counters: Mutex<BTreeMap<&'static str, usize>>,
}

impl Host for Listener {
    fn cancelled(&self) -> bool {
        false
    }
    fn grow(&self, _: usize, _: &str) -> Result<()> {
        Ok(())
    }
    fn shrink(&self, _: usize) {}
    fn count(&self, counter: &'static str, n: usize) {
        *self.counters.lock().unwrap().entry(counter).or_default() += n;
    }
    fn progress(&self, _: &'static str, _: u64, _: u64) {}
    fn warn(&self, message: &str) {
        self.warnings.lock().unwrap().push(message.into());
    }
}

#[test]
fn which_way_was_used_is_said() {
    let frame = people();
    let said = |model: &str, conditions: Vec<(String, Condition)>| {
        let listener = Arc::new(Listener::default());
        let ask = Ask { conditions, ..Ask::default() };
        Asked::new(fit(&frame, crate::model(model).unwrap(), 1000), &ask, &Job::new(listener.clone())).unwrap();
        let drawn = listener.counters.lock().unwrap()["condition_rows_drawn"];
        (listener.warnings.lock().unwrap().join("\n"), drawn)
    };
    let women = || vec![any("sex", &[text("F")])];
    // Given to the model, every row drawn is as asked, and none is a copy.
    assert_eq!(said("independent", women()), (String::new(), 1000));
    let (message, drawn) = said("gaussian", women());
    assert!(message.starts_with(
        "what is asked is met by rejection: the model 'gaussian' takes none of it as given: of the first "
    ));
    assert!(drawn > 2000, "{drawn}");
    let both = [women(), vec![any("age", &[Value::Int(40)])]].concat();
    let (message, _) = said("gaussian", both);
    assert!(
        message
            .starts_with("the model 'gaussian' takes some of what is asked as given, and the rest is met by rejection")
    );
}

#[test]
fn a_normal_given_a_number_is_the_conditional_normal() {
    let frame = people();
    let ask = |x: f64| Ask { conditions: vec![any("x", &[Value::Float(x)])], ..Ask::default() };
    let asked = asked(&frame, crate::model("gaussian").unwrap(), 20_000, &ask(1.25)).unwrap();
    let rows = all(&asked);
    assert!(numbers(&asked, &rows, "x").iter().all(|&x| x == 1.25));
    let (x, y) = (frame.columns()[5].values.numbers().unwrap(), frame.columns()[6].values.numbers().unwrap());
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (mx, my) = (mean(x), mean(y));
    let moment = |a: &[f64], ma: f64, b: &[f64], mb: f64| {
        a.iter().zip(b).map(|(a, b)| (a - ma) * (b - mb)).sum::<f64>() / a.len() as f64
    };
    // By hand from the moments of the rows: mean my + cov / vx * (1.25 - mx), variance vy - cov^2 / vx. Flattened tails change the
    // model's moments by less than a hundredth; the mean of 20,000 has sd .8 / sqrt(20000) and the variance sqrt(2 / 20000) of itself.
    let (vx, vy, cov) = (moment(x, mx, x, mx), moment(y, my, y, my), moment(x, mx, y, my));
    let found = numbers(&asked, &rows, "y");
    let (expected, variance) = (my + cov / vx * (1.25 - mx), vy - cov * cov / vx);
    let error = (variance / 20_000.0).sqrt();
    assert!((mean(found) - expected).abs() < SIGMAS * error + 0.01, "{} {expected}", mean(found));
    let m = mean(found);
    assert!((moment(found, m, found, m) / variance - 1.0).abs() < SIGMAS * 0.01 + 0.02);
}

#[test]
fn copies_are_drawn_again_under_the_same_condition() {
    // 400 rows over 3 x 10 digits: of the 100 combinations with a = 3 about a third is taken.
    let mut rng = Streams::new(2, "copies").block(0);
    let mut digits = || -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..400).map(|_| format!("{}", (uniform(&mut rng) * 10.0) as u32))))
    };
    let frame = frame_of(vec![("a", digits()), ("b", digits()), ("c", digits())]);
    for model in askable() {
        let ask = Ask { conditions: vec![any("a", &[text("3")])], ..Ask::default() };
        let asked = asked(&frame, model, 3000, &ask).unwrap();
        let rows = all(&asked);
        assert_eq!(counts(&asked, &rows, "a"), BTreeMap::from([("3".into(), 3000)]));
        assert_eq!(asked.synthesizer().refused(&rows, 3000), Vec::<usize>::new());
    }
}

/// 3,000 stays: a zip code of three or two in each of four cities, a city's number, a first and a last day, a country.
fn stays() -> Frame {
    let mut rng = Streams::new(9, "stays").block(0);
    let mut draw = |size: f64| -> Vec<i32> { (0..3000).map(|_| (uniform(&mut rng) * size) as i32).collect() };
    let (zip, start, days) = (draw(10.0), draw(100.0), draw(20.0));
    let texts = |f: &dyn Fn(usize) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values((0..3000).map(f))) };
    let numbers = |f: &dyn Fn(usize) -> i32| -> ArrayRef { Arc::new(Int32Array::from_iter_values((0..3000).map(f))) };
    frame_of(vec![
        ("zip", texts(&|i| format!("z{}", zip[i]))),
        ("city", texts(&|i| format!("c{}", zip[i] / 3))),
        ("number", numbers(&|i| [40, 10, 30, 20][zip[i] as usize / 3])),
        ("start", numbers(&|i| start[i])),
        ("stop", numbers(&|i| start[i] + days[i])),
        ("country", texts(&|_| "DE".into())),
    ])
}

#[test]
fn what_other_columns_determine_can_be_asked() {
    let frame = stays();
    for model in askable() {
        let given = [
            any("city", &[text("c1")]),
            any("country", &[text("DE")]),
            ("stop".into(), Condition::Between { min: Some(Value::Int(50)), max: None }),
        ];
        let params = SynthesizeParams {
            model: model.name().into(),
            rows: Some(3000),
            filter_copies: false,
            constraints: vec!["stop <= 90".into(), "start < stop".into()],
            ..Default::default()
        };
        let options = quick(model);
        let kept = frame.gather(
            &(0..3000u32)
                .filter(|&r| {
                    let value = |c: usize| frame.columns()[c].values.numbers().unwrap()[r as usize];
                    value(4) <= 90.0 && value(3) < value(4)
                })
                .collect::<Vec<_>>(),
        );
        let fitted = Synthesizer::fit(kept, params, &options, &Job::unbounded()).unwrap();
        let asked =
            Asked::new(fitted, &Ask { conditions: given.to_vec(), ..Ask::default() }, &Job::unbounded()).unwrap();
        let rows = all(&asked);
        assert_eq!(counts(&asked, &rows, "city"), BTreeMap::from([("c1".into(), 3000)]), "{}", model.name());
        assert!(numbers(&asked, &rows, "number").iter().all(|n| *n == 0.0 || *n == 10.0 || *n == 20.0 || *n == 30.0));
        let (start, stop) = (numbers(&asked, &rows, "start"), numbers(&asked, &rows, "stop"));
        let day =
            |c: &str, v: f64| asked.columns().iter().find(|f| f.name() == c).unwrap().show(v).parse::<i32>().unwrap();
        for (a, b) in start.iter().zip(stop) {
            let (a, b) = (day("start", *a), day("stop", *b));
            assert!(a < b && (50..=90).contains(&b), "{} {a} {b}", model.name());
        }
    }
    // Zip codes of a city come in the shares that the rows have: here about a third each, binomial of 9,000 with sd .005.
    let ask = Ask { conditions: vec![any("city", &[text("c1")])], ..Ask::default() };
    let listener = Arc::new(Listener::default());
    let independent = crate::model("independent").unwrap();
    let asked = Asked::new(fit(&frame, independent, 9000), &ask, &Job::new(listener.clone())).unwrap();
    let rows = all(&asked);
    let learned = counts(&asked, &frame.columns().iter().map(|c| c.values.clone()).collect::<Vec<_>>(), "zip");
    let made = counts(&asked, &rows, "zip");
    let total: u64 = ["z3", "z4", "z5"].iter().map(|z| learned[*z]).sum();
    for zip in ["z3", "z4", "z5"] {
        let difference = made[zip] as f64 / 9000.0 - learned[zip] as f64 / total as f64;
        assert!(difference.abs() < SIGMAS * 0.005, "{zip} {difference}");
    }
    assert_eq!(made.len(), 3);
    assert_eq!(listener.warnings.lock().unwrap().join(""), "");
    // Quotas of a determined column, and a city that its zip code contradicts.
    let ask = Ask { balance: vec!["city".into()], ..Ask::default() };
    let balanced = self::asked(&frame, independent, 1000, &ask).unwrap();
    assert!(counts(&balanced, &all(&balanced), "city").values().eq(&[250; 4]));
    let conditions = vec![any("city", &[text("c1")]), any("zip", &[text("z9")])];
    let error = self::asked(&frame, independent, 100, &Ask { conditions, ..Ask::default() }).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Data);
    let conditions = vec![any("number", &[Value::Int(25)])];
    let error = self::asked(&frame, independent, 100, &Ask { conditions, ..Ask::default() }).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Argument);
}

#[test]
fn a_loaded_model_can_be_asked_as_well() {
    let frame = stays();
    let fitted = fit(&frame, crate::model("independent").unwrap(), 500);
    let file = fitted.save(&crate::Origin::default()).unwrap();
    let anonymity = Some(anonymity(4, &["city", "start"]));
    let ask = Ask { conditions: vec![any("city", &[text("c1"), text("c3")])], anonymity, ..Ask::default() };
    let shown = |synthesizer: Synthesizer| {
        let asked = Asked::new(synthesizer, &ask, &Job::unbounded()).unwrap();
        let decode = |b: u64| {
            let block = asked.block(b, &Job::unbounded()).unwrap();
            let columns = asked.columns().iter().zip(&block.values);
            columns.map(|(c, v)| c.decode(v, block.first_row, block.rows).unwrap()).collect::<Vec<_>>()
        };
        (0..asked.blocks()).map(decode).collect::<Vec<_>>()
    };
    let mut loaded = Synthesizer::load(&file, Some(500), 3).unwrap();
    loaded.exclude(&frame, &Job::unbounded()).unwrap();
    assert_eq!(shown(loaded), shown(fitted));
}

fn message(model: &str, ask: Ask) -> String {
    let error = asked(&people(), crate::model(model).unwrap(), 200, &ask).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Argument, "{error}");
    error.message().to_string()
}

#[test]
fn what_no_row_can_hold_is_refused_at_once() {
    let condition = |name: &str, value: Value| {
        message("independent", Ask { conditions: vec![any(name, &[value])], ..Ask::default() })
    };
    assert_eq!(
        condition("marital", text("divorce")),
        "condition: marital: 'divorce' is never made; did you mean 'divorced'?; only categories of min_category_count persons \
         leave (divorced, married, widowed)"
    );
    // Four have it: nothing tells it from one that nobody has.
    assert_eq!(
        condition("marital", text("odd")),
        "condition: marital: 'odd' is never made; only categories of min_category_count persons leave (divorced, married, widowed)"
    );
    assert!(condition("age", Value::Int(91)).starts_with("condition: age: 91 is never made: column 'age' goes from 1"));
    assert_eq!(condition("age", Value::Float(40.5)), "condition: 40.5 is no value of column 'age' of type Int32");
    assert_eq!(
        condition("agee", Value::Int(40)),
        "condition: there is no column 'agee'; did you mean 'age'? (columns: id, sex, marital, city, age, x, y)"
    );
    assert_eq!(
        condition("id", text("P1")),
        "condition: column 'id' is an identifier: its values are made up afresh, so nothing can be asked of them"
    );
    let between = |name: &str, min: i64, max: i64| {
        let condition = Condition::Between { min: Some(Value::Int(min)), max: Some(Value::Int(max)) };
        message("independent", Ask { conditions: vec![(name.into(), condition)], ..Ask::default() })
    };
    assert_eq!(between("age", 50, 30), "condition: age: {min: 50, max: 30}: no number is so large and so small");
    assert!(
        between("age", 200, 300)
            .starts_with("condition: age: {min: 200, max: 300} is never made: column 'age' goes from")
    );
    assert!(between("sex", 1, 2).starts_with("condition: column 'sex' holds categories, which have no range"));
}

#[test]
fn contradictions_are_refused() {
    let shares = |name: &str, shares: &[(&str, f64)]| {
        (name.to_string(), shares.iter().map(|(v, s)| (v.to_string(), *s)).collect::<Vec<_>>())
    };
    let proportions = |p| message("gaussian", Ask { proportions: vec![p], ..Ask::default() });
    assert_eq!(
        proportions(shares("sex", &[("F", 0.5), ("M", 0.6)])),
        "proportions: sex: the shares sum to 1.1, allowed is at most 1"
    );
    assert_eq!(
        proportions(shares("sex", &[("F", 0.5), ("M", 0.4)])),
        "proportions: sex: the shares of all 2 categories sum to 0.9, allowed is 1"
    );
    assert_eq!(
        proportions(shares("age", &[("40", 0.5), ("40.0", 0.1)])),
        "proportions: '40.0' is no value of column 'age' of type Int32"
    );
    let balance = |balance: &[&str], conditions, proportions| {
        message(
            "gaussian",
            Ask { balance: balance.iter().map(|b| b.to_string()).collect(), conditions, proportions, ..Ask::default() },
        )
    };
    assert!(balance(&["age"], vec![], vec![]).contains("column 'age' holds numbers, dates or times"));
    assert!(balance(&["sex"], vec![any("sex", &[text("F")])], vec![]).contains("column 'sex' has a condition as well"));
    assert!(
        balance(&["sex"], vec![], vec![shares("sex", &[("F", 0.5)])])
            .contains("is named twice in balance and proportions")
    );
    assert!(balance(&["sex", "sex"], vec![], vec![]).contains("is named twice in balance and proportions"));
}

#[test]
fn a_condition_that_no_row_meets_is_an_error_with_figures() {
    let frame = people();
    // A number of full precision: by rejection never, given to the model always.
    let ask = Ask { conditions: vec![any("x", &[Value::Float(0.123456789)])], max_tries: 10, ..Ask::default() };
    let error = asked(&frame, crate::model("gaussian_copula").unwrap(), 200, &ask).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Data);
    let expected = "too few rows of the model 'gaussian_copula' are as asked, such as {x: 0.123456789}: of ";
    assert!(error.message().starts_with(expected), "{error}");
    assert!(
        error.message().contains(" rows drawn, 0 of the 200 wanted were; ask for less, raise max_tries, "),
        "{error}"
    );
    assert!(asked(&frame, crate::model("independent").unwrap(), 200, &ask).is_ok());
    // Never NULL, whatever the model would take as given.
    let ask = Ask { conditions: vec![any("sex", &[Value::Null])], ..Ask::default() };
    let error = asked(&frame, crate::model("independent").unwrap(), 200, &ask).err().unwrap();
    assert_eq!(error.message(), "condition: column 'sex' is never NULL here, so no row meets sex: NULL");
}

#[test]
fn no_rows_are_no_trouble() {
    let ask = Ask {
        conditions: vec![any("sex", &[text("F")])],
        balance: vec!["city".into()],
        anonymity: Some(anonymity(5, &["sex", "age"])),
        ..Ask::default()
    };
    for model in MODELS {
        let asked = asked(&people(), *model, 0, &ask).unwrap();
        assert_eq!((asked.rows(), asked.blocks()), (0, 0));
        assert_eq!(asked.block(0, &Job::unbounded()).unwrap_err().kind(), ErrorKind::Internal);
    }
}

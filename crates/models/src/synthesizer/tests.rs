mod learned;
mod spilled;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float32Array, Float64Array, Int32Array, RecordBatch, StringArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema};
use lookalike_core::{
    Domain, EncodeSpec, ErrorKind, FrameBuilder, Host, Job, MISSING, Options, Streams, encode, standard_normal, uniform,
};

use super::*;
use crate::model::{is_iterative, quick};
use crate::{MODELS, Model};

/// How many standard deviations a normal exceeds once in a million (two-sided).
const SIGMAS: f64 = 4.9;

pub(super) fn frame_of(batch: &RecordBatch, unit: Option<&str>) -> Frame {
    let spec = EncodeSpec { detect_identifiers: true, unit: unit.map(String::from), ..Default::default() };
    let mut builder = FrameBuilder::new(batch.schema(), spec).unwrap();
    builder.push(batch).unwrap();
    encode(vec![vec![builder]], &Job::unbounded()).unwrap().remove(0)
}

fn columns(columns: Vec<(&str, ArrayRef, bool)>) -> RecordBatch {
    let fields: Vec<Field> = columns.iter().map(|(n, a, null)| Field::new(*n, a.data_type().clone(), *null)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|c| c.1).collect()).unwrap()
}

fn is_control(model: &dyn Model) -> bool {
    model.params().iter().any(|p| p.name == "control")
}

fn fit(frame: &Frame, model: &dyn Model, change: impl FnOnce(&mut SynthesizeParams)) -> Result<Synthesizer> {
    let mut params = SynthesizeParams { model: model.name().into(), seed: 3, ..Default::default() };
    // Nothing but copies comes out of `copy`.
    params.filter_copies = model.name() != "copy";
    change(&mut params);
    Synthesizer::fit(frame.clone(), params, &quick(model), &Job::unbounded())
}

pub(super) fn generate(synthesizer: &Synthesizer) -> RecordBatch {
    let job = Job::unbounded();
    let batches: Vec<RecordBatch> = (0..synthesizer.blocks())
        .map(|b| {
            let block = synthesizer.block(b, &job).unwrap();
            let decode = |(c, v): (&Column, &Values)| {
                (c.name().to_string(), c.decode(v, block.first_row, block.rows).unwrap(), c.field.is_nullable())
            };
            let decoded: Vec<_> = synthesizer.columns().iter().zip(&block.values).map(decode).collect();
            columns(decoded.iter().map(|(n, a, null)| (n.as_str(), Arc::clone(a), *null)).collect())
        })
        .collect();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// A column of every kind, some of them dependent, with every oddity that data have.
pub(super) fn mixed(n: usize) -> RecordBatch {
    let mut rng = Streams::new(1, "mixed").block(0);
    let normals: Vec<[f64; 2]> = (0..n).map(|_| standard_normal(&mut rng)).collect();
    let uniforms: Vec<[f64; 2]> = (0..n).map(|_| [uniform(&mut rng), uniform(&mut rng)]).collect();
    let ward = |i: usize| {
        if i < 4 { "rare" } else { ["north", "south", "west"][(normals[i][0] + 1.5).clamp(0.0, 2.9) as usize] }
    };
    columns(vec![
        ("record_id", Arc::new(StringArray::from_iter_values((0..n).map(|i| format!("R{i:06}")))), false),
        (
            "weight",
            Arc::new(Float64Array::from_iter(
                (0..n).map(|i| (uniforms[i][0] > 0.2).then_some((700.0 + 150.0 * normals[i][0]).round() / 10.0)),
            )),
            true,
        ),
        (
            "gain",
            Arc::new(Int32Array::from_iter_values(
                (0..n).map(|i| if uniforms[i][1] < 0.9 { 0 } else { (uniforms[i][0] * 1e5) as i32 }),
            )),
            false,
        ),
        (
            "score",
            Arc::new(Float32Array::from_iter_values(
                (0..n).map(|i| if i % 50 == 0 { f32::NAN } else { normals[i][1] as f32 }),
            )),
            false,
        ),
        ("admitted", Arc::new(Date32Array::from_iter_values((0..n).map(|i| 18_000 + (i % 400) as i32))), false),
        ("ward", Arc::new(StringArray::from_iter((0..n).map(|i| (i % 10 != 0).then(|| ward(i))))), true),
        ("dead", Arc::new(BooleanArray::from_iter((0..n).map(|i| Some(normals[i][0] + normals[i][1] > 1.0)))), false),
        ("country", Arc::new(StringArray::from_iter_values((0..n).map(|_| "DE"))), false),
        ("unit_cost", Arc::new(Int32Array::from_iter_values((0..n).map(|_| 42))), false),
        ("never", Arc::new(Float64Array::from_iter((0..n).map(|_| None))), true),
        ("nothing", Arc::new(StringArray::from_iter((0..n).map(|_| None::<&str>))), true),
    ])
}

#[test]
fn every_model_keeps_schema_domains_and_missing_shares() {
    let n = 3000;
    let input = mixed(n);
    let frame = frame_of(&input, None);
    assert!(matches!(frame.columns()[0].domain, Domain::Identifier(_)));
    for model in MODELS {
        let rows = 20_000;
        let synthesizer = fit(&frame, *model, |p| p.rows = Some(rows)).unwrap();
        assert_eq!((synthesizer.report().rows, synthesizer.blocks()), (n as u64, 3));
        // `generate` builds a batch of the input's schema, which checks types and NOT NULL.
        let output = generate(&synthesizer);
        assert_eq!((output.schema(), output.num_rows()), (input.schema(), rows as usize));
        let real: BTreeSet<&str> =
            input.column(0).as_any().downcast_ref::<StringArray>().unwrap().iter().flatten().collect();
        let fresh: BTreeSet<&str> =
            output.column(0).as_any().downcast_ref::<StringArray>().unwrap().iter().flatten().collect();
        assert!(fresh.len() == rows as usize && fresh.is_disjoint(&real), "{}", model.name());
        let job = Job::unbounded();
        for b in 0..3 {
            let block = synthesizer.block(b, &job).unwrap();
            for (column, values) in frame.columns().iter().zip(&block.values) {
                match (&column.domain, values) {
                    (Domain::Number(domain), Values::Number(values)) => {
                        let fits =
                            |v: &f64| v.is_nan() || (domain.snap(*v) == *v && (domain.min..=domain.max).contains(v));
                        assert!(values.iter().all(fits), "{} {}", model.name(), column.name());
                    }
                    (Domain::Category(domain), Values::Code(codes)) => {
                        let allowed =
                            |c: &u32| *c == MISSING || domain.labels.get(*c as usize).is_some_and(|l| l != "rare");
                        assert!(codes.iter().all(allowed), "{} {}", model.name(), column.name());
                    }
                    (Domain::Identifier(_), Values::Omitted) => {}
                    _ => panic!("{}: values of {} are of the wrong kind", model.name(), column.name()),
                }
            }
        }
        let share = |batch: &RecordBatch, name: &str| {
            let column = batch.column_by_name(name).unwrap();
            let nan = column
                .as_any()
                .downcast_ref::<Float32Array>()
                .map_or(0, |a| a.values().iter().filter(|v| v.is_nan()).count());
            (column.null_count() + nan) as f64 / batch.num_rows() as f64
        };
        for name in ["weight", "gain", "score", "admitted", "ward", "dead", "country", "unit_cost", "never", "nothing"]
        {
            // Each row is missing with the share of the input: a binomial count.
            let (p, found) = (share(&input, name), share(&output, name));
            let bound = SIGMAS * (p * (1.0 - p) / rows as f64).sqrt();
            let is_sure = p == 0.0 || p == 1.0 || !is_iterative(*model);
            assert!(!is_sure || (found - p).abs() <= bound, "{} {name}: {found} for {p}", model.name());
        }
        assert_eq!(
            output.column_by_name("unit_cost").unwrap().as_ref(),
            &Int32Array::from(vec![42; rows as usize]) as &dyn Array
        );
    }
}

#[test]
fn same_seed_same_blocks_in_any_order_of_rows_and_blocks() {
    let frame = frame_of(&mixed(2000), None);
    let shuffled: Vec<u32> = (0..2000).map(|i| (i * 1237 + 11) % 2000).collect();
    let shuffled = frame.gather(&shuffled);
    let job = Job::unbounded();
    for model in MODELS {
        let rows = |p: &mut SynthesizeParams| p.rows = Some(17_000);
        let (one, two) = (fit(&frame, *model, rows).unwrap(), fit(&shuffled, *model, rows).unwrap());
        let forwards: Vec<Block> = (0..3).map(|b| one.block(b, &job).unwrap()).collect();
        for b in (0..3).rev() {
            let block = two.block(b, &job).unwrap();
            // NaN is missing, and equal to itself here.
            assert_eq!(format!("{block:?}"), format!("{:?}", forwards[b as usize]), "{}", model.name());
        }
        let other = fit(&frame, *model, |p| p.seed = 4).unwrap().block(0, &job).unwrap();
        assert_ne!(
            format!("{:?}", other.values),
            format!("{:?}", fit(&frame, *model, |_| ()).unwrap().block(0, &job).unwrap().values)
        );
        // A shorter output is a beginning of the longer one.
        let short = fit(&frame, *model, |p| p.rows = Some(8192)).unwrap().block(0, &job).unwrap();
        assert_eq!(format!("{short:?}"), format!("{:?}", forwards[0]), "{}", model.name());
    }
}

#[test]
fn saved_models_sample_the_same_rows() {
    let frame = frame_of(&mixed(1500), None);
    for model in MODELS {
        let synthesizer = fit(&frame, *model, |_| ()).unwrap();
        let bytes = synthesizer.fitted().save().unwrap();
        let loaded = model.load(&bytes).unwrap();
        let sample =
            |fitted: &dyn Fitted| format!("{:?}", fitted.sample(777, &mut Streams::new(9, "test").block(2)).unwrap());
        assert_eq!(sample(synthesizer.fitted()), sample(&*loaded), "{}", model.name());
        assert_eq!((loaded.report(), loaded.save().unwrap()), (synthesizer.report(), bytes.clone()));

        let refusal = |bytes: &[u8]| {
            let error = model.load(bytes).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Data);
            error.message().to_string()
        };
        for end in [0, 5, 8, 11, 13, 30, bytes.len() / 2, bytes.len() - 9, bytes.len() - 1] {
            refusal(&bytes[..end]);
        }
        let mut other_version = bytes.clone();
        other_version[8] = 7;
        assert_eq!(
            refusal(&other_version),
            "the saved model has format version 7, this library reads version 1: fit it again"
        );
        let mut damaged = bytes.clone();
        damaged[bytes.len() / 2] ^= 1;
        assert!(refusal(&damaged).contains("checksum"));
        // 'auto' is saved as what it took, and reads that.
        let name = synthesizer.model().name();
        for other in MODELS.iter().filter(|m| ![name, "auto"].contains(&m.name())) {
            let message = other.load(&bytes).err().unwrap();
            assert_eq!(message.message(), format!("the saved model is a '{name}', not a '{}'", other.name()));
        }
    }
}

#[test]
fn training_rows_are_never_repeated() {
    // 400 rows over 3 x 10 categories: of 1,000 combinations about a third is taken, so copies come up all the time.
    let mut rng = Streams::new(2, "copies").block(0);
    let mut digits = || -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..400).map(|_| format!("{}", (uniform(&mut rng) * 10.0) as u32))))
    };
    let input = columns(vec![("a", digits(), false), ("b", digits(), false), ("c", digits(), true)]);
    let frame = frame_of(&input, None);
    let rows_of = |batch: &RecordBatch| -> Vec<Vec<String>> {
        let text =
            |c: usize, r: usize| batch.column(c).as_any().downcast_ref::<StringArray>().unwrap().value(r).to_string();
        (0..batch.num_rows()).map(|r| (0..3).map(|c| text(c, r)).collect()).collect()
    };
    let real: BTreeSet<Vec<String>> = rows_of(&input).into_iter().collect();
    for model in MODELS.iter().filter(|m| !is_control(**m)) {
        let copies = |filter| {
            let synthesizer = fit(&frame, *model, |p| p.filter_copies = filter).unwrap();
            rows_of(&generate(&synthesizer)).iter().filter(|row| real.contains(*row)).count()
        };
        assert!(copies(false) > 50, "{}", model.name());
        assert_eq!(copies(true), 0, "{}", model.name());
    }
}

#[test]
fn controls_run_when_asked_for() {
    let frame = frame_of(&mixed(300), None);
    for (name, what) in [("smote", "puts every row near a training row"), ("copy", "repeats training rows")] {
        let params = SynthesizeParams { model: name.into(), ..Default::default() };
        let defaults = Options::check(crate::model(name).unwrap().params(), &[]).unwrap();
        let error = Synthesizer::fit(frame.clone(), params, &defaults, &Job::unbounded()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Argument);
        assert_eq!(
            error.message(),
            format!(
                "model '{name}' {what}: it is a positive control, to show that attacks see such leakage, and protects nobody; to run \
                 it say control => true"
            )
        );
    }
    // Every row of `copy` is a training row once rare categories and extremes are left alone, and none is left by the filter.
    let copy = |filter| {
        let change = |p: &mut SynthesizeParams| (p.filter_copies, p.min_category_count) = (filter, 1);
        fit(&frame, crate::model("copy").unwrap(), change).unwrap()
    };
    let block = copy(false).block(0, &Job::unbounded()).unwrap();
    assert_eq!(
        CopyFilter::new(&frame.clone().into(), None, &Job::unbounded()).unwrap().copies(&block.values, 300).len(),
        300
    );
    let error = copy(true).block(0, &Job::unbounded()).unwrap_err();
    assert!(error.message().contains("filter_copies => false"), "{error}");
}

#[test]
fn too_few_combinations_are_an_error_with_a_way_out() {
    let flags: Vec<bool> = (0..100).map(|i| i % 3 == 0).collect();
    let frame = frame_of(&columns(vec![("flag", Arc::new(BooleanArray::from(flags)), false)]), None);
    for model in MODELS {
        let filtered = fit(&frame, *model, |p| p.filter_copies = true).unwrap();
        let error = filtered.block(0, &Job::unbounded()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.message().starts_with("filter_copies: 100 of 100 generated rows"), "{error}");
        assert!(error.message().contains("filter_copies => false"));
        let shares = generate(&fit(&frame, *model, |p| p.filter_copies = false).unwrap());
        assert_eq!(shares.num_rows(), 100);
    }
}

#[test]
fn rare_categories_count_persons() {
    // 'once' is in 30 rows of one person; 'often' and 'also' in rows of many.
    let n = 300;
    let label = |i: usize| if i < 30 { "once" } else { ["often", "also"][i % 2] };
    let patient = |i: usize| if i < 30 { 0 } else { i as i32 };
    let batch = |nullable| {
        columns(vec![
            ("patient", Arc::new(Int32Array::from_iter_values((0..n).map(patient))), false),
            ("drug", Arc::new(StringArray::from_iter_values((0..n).map(label))), nullable),
            ("dose", Arc::new(Float64Array::from_iter_values((0..n).map(|i| (i * 7919 % n) as f64 / 3.0))), false),
        ])
    };
    let drugs = |model: &dyn Model, unit, min| {
        let synthesizer =
            fit(&frame_of(&batch(false), unit), model, |p| (p.rows, p.min_category_count) = (Some(5000), min)).unwrap();
        let output = generate(&synthesizer);
        let drugs = output.column_by_name("drug").unwrap();
        drugs
            .as_any()
            .downcast_ref::<StringArray>()
            .unwrap()
            .iter()
            .flatten()
            .map(String::from)
            .collect::<BTreeSet<_>>()
    };
    let set = |names: &[&str]| names.iter().map(|s| s.to_string()).collect::<BTreeSet<_>>();
    for model in MODELS {
        // An iterative model need not make every category yet.
        let fits = |found: BTreeSet<String>, allowed: &[&str]| {
            if is_iterative(*model) { found.is_subset(&set(allowed)) } else { found == set(allowed) }
        };
        assert!(fits(drugs(*model, Some("patient"), 5), &["also", "often"]), "{}", model.name());
        assert!(fits(drugs(*model, Some("patient"), 1), &["also", "often", "once"]), "{}", model.name());
        assert!(fits(drugs(*model, None, 5), &["also", "often", "once"]), "{}", model.name());

        // No category reaches 200 persons: all NULL where that is allowed, an error where not.
        let none = |nullable| fit(&frame_of(&batch(nullable), Some("patient")), *model, |p| p.min_category_count = 200);
        let error = none(false).err().unwrap();
        assert_eq!(
            error.message(),
            "column 'drug' is NOT NULL and none of its 3 categories is held by at least 200 persons, so none may be emitted: if \
             it names records, say identifiers => ['drug']; to emit rare categories, min_category_count => 1"
        );
        assert_eq!(generate(&none(true).unwrap()).column_by_name("drug").unwrap().null_count(), n);
    }
}

#[test]
fn small_and_empty_tables() {
    let ids = |n: usize| StringArray::from_iter_values((0..n).map(|i| format!("P-{i}")));
    let job = Job::unbounded();
    for model in MODELS {
        let one_row = columns(vec![
            ("x", Arc::new(Float64Array::from(vec![1.5])), false),
            ("s", Arc::new(StringArray::from(vec!["a"])), true),
        ]);
        let free = |p: &mut SynthesizeParams| (p.rows, p.filter_copies, p.min_category_count) = (Some(7), false, 1);
        let output = generate(&fit(&frame_of(&one_row, None), *model, free).unwrap());
        assert_eq!(output.column(0).as_ref(), &Float64Array::from(vec![1.5; 7]) as &dyn Array);
        assert_eq!(output.column(1).as_ref(), &StringArray::from(vec!["a"; 7]) as &dyn Array);

        let only_ids = columns(vec![("id", Arc::new(ids(50)), false)]);
        let output = generate(&fit(&frame_of(&only_ids, None), *model, |_| ()).unwrap());
        assert_eq!((output.num_rows(), output.column(0).null_count()), (50, 0));

        let nothing = fit(&frame_of(&only_ids.slice(0, 0), None), *model, |_| ()).err().unwrap();
        assert_eq!(
            (nothing.kind(), nothing.message()),
            (ErrorKind::Data, "the input has no rows: there is nothing to learn from")
        );

        let none = fit(&frame_of(&one_row, None), *model, |p| p.rows = Some(0)).unwrap();
        assert_eq!((none.rows(), none.blocks()), (0, 0));
        assert_eq!(none.block(0, &job).unwrap_err().kind(), ErrorKind::Internal);
    }
}

#[test]
fn unknown_models_are_named_with_the_closest() {
    let all: Vec<&str> = MODELS.iter().map(|m| m.name()).collect();
    assert_eq!(
        crate::model("gausian").err().unwrap().message(),
        format!("unknown model 'gausian'; did you mean 'gaussian'? (allowed: {})", all.join(", "))
    );
    let names: BTreeSet<&str> = MODELS.iter().map(|m| m.name()).collect();
    assert_eq!(names.len(), MODELS.len());
    for model in MODELS {
        assert!(!model.summary().is_empty() && !model.source().is_empty(), "{}", model.name());
        assert!(model.params().iter().all(|p| !p.purpose.is_empty()), "{}", model.name());
    }
}

/// Stops or refuses memory.
struct Strict {
    cancelled: bool,
    bytes: usize,
}

impl Host for Strict {
    fn cancelled(&self) -> bool {
        self.cancelled
    }
    fn grow(&self, bytes: usize, purpose: &str) -> Result<()> {
        if bytes > self.bytes { Err(Error::resources(format!("no memory for {purpose}"))) } else { Ok(()) }
    }
    fn shrink(&self, _: usize) {}
    fn count(&self, _: &'static str, _: usize) {}
    fn progress(&self, _: &'static str, _: u64, _: u64) {}
}

#[test]
fn cancellation_and_memory_limits_end_a_fit() {
    let frame = frame_of(&mixed(500), None);
    for model in MODELS {
        let run = |host: Strict| {
            let params = SynthesizeParams { model: model.name().into(), ..Default::default() };
            let options = quick(*model);
            Synthesizer::fit(frame.clone(), params, &options, &Job::new(Arc::new(host))).err().unwrap()
        };
        assert_eq!(run(Strict { cancelled: true, bytes: usize::MAX }).kind(), ErrorKind::Cancelled);
        assert_eq!(
            run(Strict { cancelled: false, bytes: 10 }).message(),
            "no memory for the order of rows to learn from"
        );
    }
}

#[test]
fn samples_are_the_blocks() {
    let frame = frame_of(&mixed(500), None);
    let synthesizer = fit(&frame, crate::model("auto").unwrap(), |p| p.rows = Some(9000)).unwrap();
    let sample = synthesizer.sample(9000, &Job::unbounded()).unwrap();
    let blocks: Vec<Block> = (0..2).map(|b| synthesizer.block(b, &Job::unbounded()).unwrap()).collect();
    for (c, column) in sample.columns().iter().enumerate() {
        let part = |range: std::ops::Range<u32>| column.values.gather(&range.collect::<Vec<_>>());
        if column.values != Values::Omitted {
            // Debug text, because NaN is not equal to itself.
            assert_eq!(format!("{:?}", part(0..8192)), format!("{:?}", blocks[0].values[c]));
            assert_eq!(format!("{:?}", part(8192..9000)), format!("{:?}", blocks[1].values[c]));
        }
    }
    assert_eq!(synthesizer.sample(0, &Job::unbounded()).unwrap().rows(), 0);
}

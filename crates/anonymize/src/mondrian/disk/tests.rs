use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use lookalike_core::{Column, EncodeSpec, Frame, FrameBuilder, Host, SpilledFrame, Streams, encode, uniform};

use super::*;
use crate::{
    AnonymizeParams, Attribute, Criteria, Criterion, EntropyLDiversity, Hierarchy, Items, TCloseness, anonymize,
    anonymize_on_disk, find_method,
};

/// Memory of so many bytes, and the bytes that went to disk.
struct Narrow {
    limit: usize,
    used: AtomicUsize,
    spilled: AtomicUsize,
}

impl Host for Narrow {
    fn cancelled(&self) -> bool {
        false
    }
    fn grow(&self, bytes: usize, purpose: &str) -> Result<()> {
        if self.used.fetch_add(bytes, Ordering::SeqCst) + bytes > self.limit {
            self.used.fetch_sub(bytes, Ordering::SeqCst);
            return Err(Error::resources(format!("{bytes} bytes for {purpose}")));
        }
        Ok(())
    }
    fn shrink(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::SeqCst);
    }
    fn count(&self, counter: &'static str, n: usize) {
        if counter == "spilled_bytes" {
            self.spilled.fetch_add(n, Ordering::SeqCst);
        }
    }
    fn progress(&self, _: &'static str, _: u64, _: u64) {}
}

/// Integers, floats off every grid, labels, dates and towns with a hierarchy, some missing; a diagnosis at the end.
fn table(seed: u64, rows: usize) -> RecordBatch {
    let rng = &mut Streams::new(seed, "disk").block(0);
    let mut draw = |n: f64| (0..rows).map(|_| (uniform(rng) > 0.03).then(|| uniform(rng) * uniform(rng) * n)).collect();
    let (age, income, town, day, ward, ill): (Vec<_>, Vec<_>, Vec<_>, Vec<_>, Vec<_>, Vec<_>) =
        (draw(90.0), draw(1e5), draw(40.0), draw(5e6), draw(9.0), draw(5.0));
    let texts = |prefix: &str, values: &[Option<f64>]| -> ArrayRef {
        Arc::new(values.iter().map(|v| v.map(|v| format!("{prefix}{:02}", v as u32))).collect::<StringArray>())
    };
    RecordBatch::try_from_iter_with_nullable([
        ("age", Arc::new(age.iter().map(|v| v.map(|v: f64| v as i64)).collect::<Int64Array>()) as ArrayRef, true),
        ("income", Arc::new(Float64Array::from(income)) as ArrayRef, true),
        ("town", texts("t", &town), true),
        ("day", Arc::new(day.iter().map(|v| v.map(|v: f64| v as i32)).collect::<Date32Array>()) as ArrayRef, true),
        ("ward", texts("w", &ward), true),
        ("ill", texts("d", &ill), true),
    ])
    .unwrap()
}

fn frame(batch: &RecordBatch) -> Frame {
    let mut builder = FrameBuilder::new(batch.schema(), EncodeSpec::default()).unwrap();
    builder.push(batch).unwrap();
    encode(vec![vec![builder]], &Job::unbounded()).unwrap().remove(0)
}

/// Wards in districts.
fn districts(ward: &Column) -> Hierarchy {
    let wards: Vec<usize> = (0..9).collect();
    let level = |label: &dyn Fn(usize) -> String| wards.iter().map(|&w| Some(label(w))).collect::<Vec<_>>();
    let levels =
        [level(&|w| format!("w{w:02}")), level(&|w| format!("district {}", w % 4)), level(&|w| format!("{}", w % 2))];
    Hierarchy::from_levels(ward, &levels).unwrap()
}

fn criteria(which: usize) -> Criteria {
    let entropy = || Box::new(EntropyLDiversity { attribute: 0, l: 2.0 }) as Box<dyn Criterion>;
    let t = || Box::new(TCloseness { attribute: 0, t: 0.2 }) as Box<dyn Criterion>;
    Criteria::new(Some(4), [vec![], vec![entropy()], vec![t()]].into_iter().nth(which).unwrap()).unwrap()
}

/// The release of a table in memory and of the same on disk, and the bytes that cutting wrote.
fn both(seed: u64, rows: usize, which: usize, params: AnonymizeParams, limit: usize) -> (Release, Release, usize) {
    let (batch, method) = (table(seed, rows), find_method("mondrian").unwrap());
    let whole = frame(&batch);
    let (columns, job) = (&whole.columns()[..5], Job::unbounded());
    let hierarchies = |ward: &Column| vec![None, None, None, None, Some(districts(ward))];
    let attributes = vec![Attribute::new(&whole.columns()[5], None).unwrap()];
    let items = Items::new(columns, &hierarchies(&columns[4]), rows, None, attributes, None, &job).unwrap();
    let mut problem = Problem::new(items, criteria(which), params.check().unwrap(), &job).unwrap();
    let in_memory = anonymize(method, &mut problem, &job).unwrap();

    let host = Arc::new(Narrow { limit, used: AtomicUsize::new(0), spilled: AtomicUsize::new(0) });
    let job = Job::new(host.clone());
    let pieces = (0..rows).step_by(777).map(|start| batch.slice(start, 777.min(rows - start)));
    let frames = pieces.map(|piece| SpilledFrame::write(&frame(&piece), &job).unwrap()).collect();
    let spilled = SpilledRows::new(frames).unwrap();
    host.spilled.store(0, Ordering::SeqCst);
    let hierarchies = hierarchies(&spilled.distinct(4).unwrap());
    let attributes = vec![Attribute::from_disk(&spilled, 5, None).unwrap()];
    let items = Items::on_disk(&spilled, &hierarchies, attributes, &job).unwrap();
    let mut problem = Problem::new(items, criteria(which), params.check().unwrap(), &job).unwrap();
    let on_disk = anonymize_on_disk(method, &spilled, &mut problem, &job).unwrap();
    assert_eq!(host.used.load(Ordering::SeqCst), 0, "memory is given back");
    (in_memory, on_disk, host.spilled.load(Ordering::SeqCst))
}

#[test]
fn classes_and_what_they_show_are_those_of_memory() {
    let forms = [OutputForm::Interval, OutputForm::Range, OutputForm::Mean];
    for seed in 0..36 {
        let rows = [1_500, 4_000, 9_000][seed as usize % 3];
        let suppression_limit = [0.0, 0.02, 0.3][seed as usize / 9 % 3];
        let params = AnonymizeParams { suppression_limit, form: forms[seed as usize % 3], ..Default::default() };
        // Room for the class of every row and for less than the partitioning.
        let limit = rows * 40 + 20_000;
        let (in_memory, on_disk, spilled) = both(seed, rows, seed as usize / 3 % 3, params, limit);
        assert!(spilled > rows * 6 * 4, "seed {seed}: {spilled} bytes, the ranks alone: nothing was cut on disk");
        assert_eq!(in_memory.class_of, on_disk.class_of, "seed {seed}");
        assert_eq!(in_memory.classes, on_disk.classes);
        let all: Vec<u32> = (0..in_memory.classes.len() as u32).collect();
        for column in 0..5 {
            assert_eq!(&in_memory.render(column, &all).unwrap(), &on_disk.render(column, &all).unwrap(), "{column}");
        }
    }
}

#[test]
fn a_class_that_memory_does_not_hold_is_shown_all_the_same() {
    // All values equal but for the labels, of which each side of a cut would have too few for t.
    let rows = 3_000;
    let params = AnonymizeParams::default();
    let job = Job::new(Arc::new(Narrow { limit: rows * 30, used: AtomicUsize::new(0), spilled: AtomicUsize::new(0) }));
    let x = Int64Array::from_iter((0..rows).map(|i| (i % 50 > 0).then_some(7)));
    let town: StringArray = (0..rows).map(|i| Some(["b", "a", "c"][i % 3])).collect();
    let batch =
        RecordBatch::try_from_iter([("x", Arc::new(x) as ArrayRef), ("town", Arc::new(town) as ArrayRef)]).unwrap();
    let spilled = SpilledRows::new(vec![SpilledFrame::write(&frame(&batch), &job).unwrap()]).unwrap();
    let items = Items::on_disk(&spilled, &[None, None], vec![], &job).unwrap();
    let criteria = Criteria::new(Some(2_500), vec![]).unwrap();
    let mut problem = Problem::new(items, criteria, params.check().unwrap(), &job).unwrap();
    let release = anonymize_on_disk(find_method("mondrian").unwrap(), &spilled, &mut problem, &job).unwrap();
    assert_eq!(release.class_of, vec![0; rows]);
    let texts = |column| release.render(column, &[0]).unwrap();
    assert_eq!(&texts(0), &(Arc::new(StringArray::from(vec!["7 or NULL"])) as ArrayRef));
    assert_eq!(&texts(1), &(Arc::new(StringArray::from(vec!["{a, b, c}"])) as ArrayRef));
}

#[test]
fn what_fits_nowhere_is_a_resources_error() {
    let job = Job::new(Arc::new(Narrow { limit: 5_000, used: AtomicUsize::new(0), spilled: AtomicUsize::new(0) }));
    let batch = table(1, 2_000);
    let spilled = SpilledRows::new(vec![SpilledFrame::write(&frame(&batch), &job).unwrap()]).unwrap();
    let items = Items::on_disk(&spilled, &[None], vec![], &job).unwrap();
    let mut problem = Problem::new(items, criteria(0), AnonymizeParams::default().check().unwrap(), &job).unwrap();
    let error = anonymize_on_disk(find_method("mondrian").unwrap(), &spilled, &mut problem, &job).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Resources);
}

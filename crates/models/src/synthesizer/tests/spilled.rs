//! Rows that memory does not hold.

use std::sync::atomic::{AtomicUsize, Ordering};

use lookalike_core::{SpilledFrame, SpilledRows};

use super::*;

/// Refuses memory for some purposes, and counts what is held and what goes to disk.
struct Scarce {
    refused: &'static [&'static str],
    held: AtomicUsize,
    spilled: AtomicUsize,
}

impl Scarce {
    fn new(refused: &'static [&'static str]) -> Arc<Self> {
        Arc::new(Self { refused, held: AtomicUsize::new(0), spilled: AtomicUsize::new(0) })
    }
}

impl Host for Scarce {
    fn cancelled(&self) -> bool {
        false
    }
    fn grow(&self, bytes: usize, purpose: &str) -> Result<()> {
        if self.refused.contains(&purpose) {
            return Err(Error::resources(format!("no memory for {purpose}")));
        }
        self.held.fetch_add(bytes, Ordering::SeqCst);
        Ok(())
    }
    fn shrink(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::SeqCst);
    }
    fn count(&self, counter: &'static str, n: usize) {
        if counter == "spilled_bytes" {
            self.spilled.fetch_add(n, Ordering::SeqCst);
        }
    }
    fn progress(&self, _: &'static str, _: u64, _: u64) {}
}

/// Visits of patients, with columns that others determine or are never above.
fn visits(n: usize) -> RecordBatch {
    let all = mixed(n);
    let (mut fields, mut arrays) = (all.schema().fields().to_vec(), all.columns().to_vec());
    let mut add = |name: &str, array: ArrayRef| {
        fields.push(Arc::new(Field::new(name, array.data_type().clone(), true)));
        arrays.push(array);
    };
    add("patient", Arc::new(Int32Array::from_iter_values((0..n).map(|i| (i * 7 % (n / 2)) as i32))));
    add("released", Arc::new(Date32Array::from_iter_values((0..n).map(|i| 18_000 + (i % 400 + i * i % 9) as i32))));
    add("year", Arc::new(StringArray::from_iter_values((0..n).map(|i| format!("{}", 2019 + i % 400 / 200)))));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn spec(batch: &RecordBatch, unit: Option<&str>) -> EncodeSpec {
    EncodeSpec {
        columns: Some(batch.schema().fields().iter().map(|f| f.name().clone()).collect()),
        identifiers: unit.iter().map(|u| u.to_string()).collect(),
        unit: unit.map(String::from),
        detect_identifiers: true,
        ..EncodeSpec::default()
    }
}

fn builder(batch: &RecordBatch, unit: Option<&str>) -> FrameBuilder {
    let mut builder = FrameBuilder::new(batch.schema(), spec(batch, unit)).unwrap();
    builder.push(batch).unwrap();
    builder
}

/// The rows in memory, and in pieces on disk.
fn given(batch: &RecordBatch, unit: Option<&str>, on_disk: bool) -> TrainingRows {
    let job = Job::unbounded();
    let encode = |builder| encode(vec![vec![builder]], &job).unwrap().remove(0);
    if !on_disk {
        return encode(builder(batch, unit)).into();
    }
    let piece = |start| batch.slice(start, 400.min(batch.num_rows() - start));
    let pieces = (0..batch.num_rows()).step_by(400).map(|start| encode(builder(&piece(start), unit).plain()));
    let frames = pieces.map(|frame| SpilledFrame::write(&frame, &job).unwrap()).collect();
    TrainingRows::Spilled(SpilledRows::new(frames).unwrap(), spec(batch, unit))
}

#[test]
fn rows_on_disk_teach_what_those_in_memory_do() {
    let batch = visits(1500);
    for model in MODELS {
        let run = |unit: Option<&str>, in_pieces: bool, host: Arc<Scarce>| {
            let params = SynthesizeParams {
                model: model.name().into(),
                seed: 3,
                filter_copies: model.name() != "copy",
                ..Default::default()
            };
            let rows = given(&batch, unit, in_pieces);
            let synthesizer = Synthesizer::fit(rows, params, &quick(*model), &Job::new(host)).unwrap();
            (generate(&synthesizer), synthesizer.structure())
        };
        for unit in [None, Some("patient")] {
            let (expected, structure) = run(unit, false, Scarce::new(&[]));
            assert!(structure.contains(&"'released' is never below 'admitted'".to_string()), "{structure:?}");
            let cases: [(bool, &[&str]); 4] = [
                (false, &["rows to learn from"]),
                (true, &["encoded training rows"]),
                // The rows leave memory to make room for what the model lacks.
                (false, &["encoded training rows"]),
                (true, &[]),
            ];
            for (in_pieces, refused) in cases {
                let host = Scarce::new(refused);
                let (made, found) = run(unit, in_pieces, Arc::clone(&host));
                let what = format!("{} by {unit:?}, in pieces: {in_pieces}, without {refused:?}", model.name());
                assert_eq!(found, structure, "{what}");
                assert!(made == expected, "{what}");
                // Trees keep what they learn from as bins, in memory.
                let has_to = in_pieces || refused.contains(&"rows to learn from");
                assert!(!has_to || host.spilled.load(Ordering::SeqCst) > 0, "{what}");
                assert_eq!(host.held.load(Ordering::SeqCst), 0, "{what}");
            }
        }
    }
}

#[test]
fn windows_on_disk_are_those_of_memory() {
    let n = 150_000;
    let rng = &mut Streams::new(4, "windows").block(0);
    let normals: Vec<f64> = (0..n).map(|_| standard_normal(rng)[0]).collect();
    let kinds = StringArray::from_iter_values(normals.iter().map(|z| if *z > 1.0 { "high" } else { "low" }));
    let batch = columns(vec![
        ("amount", Arc::new(Float64Array::from(normals)), false),
        ("kind", Arc::new(kinds), false),
        ("day", Arc::new(Int32Array::from_iter_values((0..n).map(|i| i % 7))), false),
    ]);
    assert!(crate::nn::window(n as usize) < n as usize / 2 + 2);
    for name in ["ctgan", "vae"] {
        let model = crate::model(name).unwrap();
        let small = [("epochs", 1), ("hidden", 4), ("batch_size", 5000)];
        let small: Vec<_> = small.iter().map(|(k, v)| (k.to_string(), lookalike_core::Value::Int(*v))).collect();
        let options = Options::check(model.params(), &small).unwrap();
        let run = |host: Arc<Scarce>| {
            let params = SynthesizeParams { model: name.into(), rows: Some(2000), ..Default::default() };
            let rows = given(&batch, None, false);
            generate(&Synthesizer::fit(rows, params, &options, &Job::new(host)).unwrap())
        };
        let scarce = Scarce::new(&["encoded training rows", "rows to learn from"]);
        assert!(run(Scarce::new(&[])) == run(Arc::clone(&scarce)), "{name}");
        assert!(scarce.spilled.load(Ordering::SeqCst) > n as usize * 20);
    }
}

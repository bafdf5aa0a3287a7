use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, TimeUnit};
use lookalike_core::{EncodeSpec, ErrorKind, FrameBuilder, Streams, Value, below, encode};

use super::super::tests::{frame_of, generate, mixed};
use super::*;
use crate::model::quick;
use crate::{MODELS, SavedModel};

fn fit(frame: &Frame, model: &str, change: impl FnOnce(&mut SynthesizeParams)) -> Synthesizer {
    let mut params = SynthesizeParams { model: model.into(), seed: 3, ..Default::default() };
    change(&mut params);
    let options = quick(crate::model(model).unwrap());
    Synthesizer::fit(frame.clone(), params, &options, &Job::unbounded()).unwrap()
}

fn public() -> Origin {
    Origin { seed_is_public: true, metadata: HashMap::from([("source".into(), "a \"test\"".into())]) }
}

/// A file with the digest of its content.
fn sealed(mut content: Vec<u8>) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    content.truncate(content.len() - 32);
    let digest = Sha256::digest(&content);
    content.extend(digest.as_slice());
    content
}

/// The file with its header changed as text, lengths and digest put right.
fn with_header(file: &[u8], change: impl FnOnce(&str) -> String) -> Vec<u8> {
    let end = SavedModel::header_end(file).unwrap();
    let header = change(std::str::from_utf8(&file[24..end]).unwrap());
    let length = (header.len() as u64).to_le_bytes();
    sealed([&file[..16], &length, header.as_bytes(), &file[end..]].concat())
}

fn refusal(file: &[u8]) -> String {
    let error = Synthesizer::load(file, None, 1).err().expect("a refusal");
    assert_eq!(error.kind(), ErrorKind::Data, "{error}");
    error.message().to_string()
}

#[test]
fn every_model_comes_back_from_its_file() {
    let (input, job) = (mixed(1500), Job::unbounded());
    let frame = frame_of(&input, None);
    for model in MODELS {
        let fitted = fit(&frame, model.name(), |p| p.filter_copies = false);
        let file = fitted.save(&public()).unwrap();
        let again = fit(&frame, model.name(), |p| p.filter_copies = false).save(&public()).unwrap();
        assert_eq!(file, again, "{}: the same training gives the same bytes", model.name());
        let loaded = Synthesizer::load(&file, None, 3).unwrap();
        assert_eq!((loaded.rows(), loaded.report()), (1500, fitted.report()));
        assert_eq!(generate(&loaded), generate(&fitted), "{}", model.name());
        assert_eq!(loaded.save(&public()).unwrap(), file, "{}: a loaded model is saved as it was", model.name());
        let other = Synthesizer::load(&file, Some(9000), 4).unwrap();
        assert_eq!((other.rows(), other.blocks()), (9000, 2));
        assert_ne!(generate(&other).slice(0, 1500), generate(&fitted));

        let described = SavedModel::describe(&file[..SavedModel::header_end(&file[..24]).unwrap()]).unwrap();
        let schema = Schema::new_with_metadata(input.schema().fields().clone(), public().metadata);
        assert_eq!((described.schema.as_ref(), &*described.identifiers), (&schema, &["record_id".to_string()][..]));
        assert_eq!(SavedModel::from_text(&described.to_text().unwrap()).unwrap(), described);
        // One row of a test for all models that the file holds no text of rows: the one of four persons, and identifiers.
        for secret in ["rare", "R000001"] {
            assert!(!file.windows(secret.len()).any(|w| w == secret.as_bytes()), "{}: {secret}", model.name());
        }
        assert!(loaded.block(0, &job).is_ok());
    }
}

/// Rows whose columns hang together: a degree and its number, a zip code and its city, two dates in order, a region and its branch
/// that are fixed by hand, a copy and a constant. Row 0 alone has the lowest and the highest of all numbers, and its labels are nobody
/// else's.
fn structured(n: usize) -> RecordBatch {
    let mut rng = Streams::new(7, "structured").block(0);
    let mut draw = |size: usize| -> Vec<usize> { (0..n).map(|_| below(&mut rng, size)).collect() };
    let (degree, zip, start, stay, branch, age) = (draw(16), draw(20), draw(300), draw(40), draw(6), draw(60));
    let text = |label: &dyn Fn(usize) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..n).map(|i| if i == 0 { "secret".into() } else { label(i) })))
    };
    let number = |own: i64, value: &dyn Fn(usize) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values((0..n).map(|i| if i == 0 { own } else { value(i) })))
    };
    let seconds = |array: ArrayRef| cast(&array, &DataType::Timestamp(TimeUnit::Second, None)).unwrap();
    let day = |i: usize| 1_600_000_080 + 86_400 * start[i] as i64;
    RecordBatch::try_from_iter([
        ("degree", text(&|i| format!("d{:02}", degree[i]))),
        ("degree_number", number(-777, &|i| 10_000_000_000 + 3 * degree[i] as i64)),
        ("zip", text(&|i| format!("z{:02}", zip[i]))),
        ("city", text(&|i| format!("c{}", zip[i] / 4))),
        ("start", seconds(number(1_234_567_860, &day))),
        ("stop", seconds(number(1_900_000_020, &|i| day(i) + 3600 * stay[i] as i64))),
        ("region", text(&|i| format!("r{}", branch[i] / 2))),
        ("branch", number(555, &|i| 20_000_000_000 + 60 * branch[i] as i64)),
        ("age", number(20, &|i| 20 + age[i] as i64)),
        ("age_too", number(20, &|i| 20 + age[i] as i64)),
        ("country", Arc::new(StringArray::from_iter_values((0..n).map(|_| "DE")))),
        ("edition", Arc::new(Int64Array::from_iter_values((0..n).map(|_| 30_000_000_000)))),
    ])
    .unwrap()
}

fn rules() -> Vec<String> {
    vec!["fixed(region, branch)".into(), "start <= stop".into(), "age >= 20".into()]
}

#[test]
fn structure_comes_back_from_the_file_without_what_is_rare() {
    let n = 1500;
    let frame = frame_of(&structured(n), None);
    for model in MODELS {
        let fitted = fit(&frame, model.name(), |p| (p.filter_copies, p.constraints) = (false, rules()));
        assert_eq!(
            fitted.structure(),
            [
                "'region', 'branch' have 6 combinations",
                "'country' has one value",
                "'edition' has one value",
                "'stop' is never below 'start'",
                "'degree' determines 'degree_number'",
                "'zip' determines 'city'",
                "'age_too' equals 'age'",
            ]
        );
        let file = fitted.save(&public()).unwrap();
        let loaded = Synthesizer::load(&file, None, 3).unwrap();
        assert_eq!(loaded.structure(), fitted.structure());
        let made = generate(&fitted);
        assert_eq!(generate(&loaded), made, "{}", model.name());
        assert_eq!(loaded.save(&public()).unwrap(), file, "{}: a loaded model is saved as it was", model.name());
        assert!(!file.windows(6).any(|w| w == b"secret"), "{}", model.name());
        for (column, made) in loaded.columns().iter().zip(made.columns()) {
            match &column.domain {
                Domain::Category(domain) => {
                    let made = cast(made, &DataType::Utf8).unwrap();
                    let made: &StringArray = made.as_any().downcast_ref().unwrap();
                    assert!(made.iter().flatten().all(|label| domain.labels.iter().any(|l| l == label)));
                }
                // Neither base nor range reach to the numbers of row 0. Determined numbers have no range but their values.
                Domain::Number(domain) => {
                    let NumberKind::Integer { base, .. } = domain.kind else { panic!() };
                    let ends = (domain.stored(domain.min).unwrap(), domain.stored(domain.max).unwrap());
                    match column.name() {
                        "degree_number" => assert_eq!(ends, (10_000_000_000, 10_000_000_045)),
                        "branch" => assert_eq!(ends, (20_000_000_000, 20_000_000_300)),
                        "start" => assert!(ends.0 > 1_400_000_000, "{ends:?}"),
                        "stop" => assert!(ends.1 < 1_800_000_000, "{ends:?}"),
                        "edition" => assert_eq!(ends, (30_000_000_000, 30_000_000_000)),
                        _ => {}
                    }
                    assert!(![-777, 1_234_567_860, 555].contains(&base), "{}: {base}", column.name());
                }
                Domain::Identifier(_) => panic!(),
            }
        }
    }
}

#[test]
fn damaged_structure_is_refused_or_works() {
    let frame = frame_of(&structured(300), None);
    let fitted = fit(&frame, "independent", |p| (p.filter_copies, p.constraints) = (false, rules()));
    let file = fitted.save(&public()).unwrap();
    let (header, _) = crate::saved::read(&file).unwrap();
    let section = header.body.last().unwrap();
    assert_eq!(section.name, "structure");
    let start = SavedModel::header_end(&file).unwrap() + section.offset as usize;
    let job = Job::unbounded();
    for i in start..start + section.length as usize {
        for flip in [1u8, 0x80, 0xff] {
            let mut damaged = file.clone();
            damaged[i] ^= flip;
            match Synthesizer::load(&sealed(damaged), None, 3) {
                // Values that the column has, too: another table.
                Ok(other) => assert!(other.block(0, &job).is_ok_and(|b| b.values.len() == 12)),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Data, "{i} {flip} {error}"),
            }
        }
    }
    let header = |from: &str, to: &str| refusal(&with_header(&file, |h| h.replacen(from, to, 1)));
    assert_eq!(header("start <= stop", "start <= stopp"), "the saved model contradicts itself: fit it again");
    assert_eq!(header("\"age\"", "\"agee\""), "the saved model contradicts itself: fit it again");
    let file = fit(&frame, "independent", |p| p.detect_structure = false).save(&public()).unwrap();
    assert!(String::from_utf8_lossy(&file).contains("\"constraints\":[],\"detect_structure\":false"));
}

#[test]
fn a_secret_seed_is_not_written() {
    let frame = frame_of(&mixed(300), None);
    let fitted = fit(&frame, "independent", |p| p.seed = 1_234_567_890_123);
    let holds = |file: &[u8]| String::from_utf8_lossy(file).contains("1234567890123");
    assert!(holds(&fitted.save(&public()).unwrap()));
    assert!(!holds(&fitted.save(&Origin::default()).unwrap()));
}

#[test]
fn training_rows_given_again_are_left_out_as_before() {
    // Of 1,000 combinations of three digits 400 rows take about a third, so copies come up all the time.
    let digit = |i: usize, k: usize| format!("{}", (i * i * k + i / 7 + k * 3) % 10);
    let column = |k: usize| -> ArrayRef { Arc::new(StringArray::from_iter_values((0..400).map(|i| digit(i, k)))) };
    let stamps = TimestampSecondArray::from_iter_values((0..400).map(|i| 1_000_020 + 60 * (i % 5)));
    let ids = StringArray::from_iter_values((0..400).map(|i| format!("P{i}")));
    let input = RecordBatch::try_from_iter([
        ("id", Arc::new(ids) as ArrayRef),
        ("a", column(1)),
        ("at", Arc::new(stamps)),
        ("b", column(3)),
    ]);
    let (input, job) = (input.unwrap(), Job::unbounded());
    let frame = frame_of(&input, None);
    let fitted = fit(&frame, "independent", |p| p.rows = Some(3000));
    let mut loaded = Synthesizer::load(&fitted.save(&public()).unwrap(), Some(3000), 3).unwrap();
    assert!(loaded.lacks_rows_to_exclude());
    assert_ne!(generate(&loaded), generate(&fitted));
    // In another order and another encoding: other labels, another base, and the identifier as a category.
    let mut builder = FrameBuilder::new(input.schema(), EncodeSpec::default()).unwrap();
    for part in [input.slice(200, 200), input.slice(0, 200)] {
        builder.push(&part).unwrap();
    }
    let more = RecordBatch::try_from_iter([
        ("id", Arc::new(StringArray::from(vec!["x"])) as ArrayRef),
        ("a", Arc::new(StringArray::from(vec!["!"]))),
        ("at", Arc::new(TimestampSecondArray::from(vec![-7]))),
        ("b", Arc::new(StringArray::from(vec!["5"]))),
    ]);
    builder.push(&more.unwrap()).unwrap();
    loaded.exclude(&encode(vec![vec![builder]], &job).unwrap().remove(0), &job).unwrap();
    assert!(!loaded.lacks_rows_to_exclude());
    assert_eq!(generate(&loaded), generate(&fitted));

    let renamed = frame_of(&input.project(&[0, 1, 2]).unwrap(), None);
    assert_eq!(loaded.exclude(&renamed, &job).unwrap_err().message(), "the rows have no column 'b'");
    let typed = RecordBatch::try_from_iter([
        ("id", Arc::clone(input.column(0))),
        ("a", Arc::new(Int32Array::from(vec![1; 400])) as ArrayRef),
        ("at", Arc::clone(input.column(2))),
        ("b", Arc::clone(input.column(3))),
    ]);
    assert_eq!(
        loaded.exclude(&frame_of(&typed.unwrap(), None), &job).unwrap_err().message(),
        "column 'a' of the rows is Int32, that of the model is Utf8"
    );
}

#[test]
fn every_type_is_restored_with_its_metadata() {
    let n = 40;
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..n).map(|i| i % 20)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..n).map(|i| format!("t{}", i % 3))));
    let via = |array: &ArrayRef, through: DataType, to: &DataType| cast(&cast(array, &through).unwrap(), to).unwrap();
    let mut columns: Vec<(DataType, ArrayRef)> = vec![];
    use DataType::*;
    for t in [Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Float16, Float32, Float64] {
        columns.push((t.clone(), cast(&numbers, &t).unwrap()));
    }
    for t in [Decimal32(7, 2), Decimal64(12, 2), Decimal128(20, 3), Decimal256(50, 5)] {
        columns.push((t.clone(), cast(&numbers, &t).unwrap()));
    }
    for t in [Date32, Time32(TimeUnit::Second), Time32(TimeUnit::Millisecond)] {
        columns.push((t.clone(), via(&numbers, Int32, &t)));
    }
    let zone = Some(Arc::from("Europe/Berlin"));
    for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
        for t in [Timestamp(unit, None), Timestamp(unit, zone.clone()), Duration(unit)] {
            columns.push((t.clone(), cast(&numbers, &t).unwrap()));
        }
    }
    for t in [Date64, Time64(TimeUnit::Microsecond), Time64(TimeUnit::Nanosecond)] {
        columns.push((t.clone(), cast(&numbers, &t).unwrap()));
    }
    for t in [Utf8, LargeUtf8, Utf8View, Dictionary(Int8.into(), Utf8.into())] {
        columns.push((t.clone(), cast(&texts, &t).unwrap()));
    }
    let flags = BooleanArray::from_iter((0..n).map(|i| Some(i % 2 == 0)));
    columns.push((Boolean, Arc::new(flags)));
    columns.push((Null, Arc::new(NullArray::new(n as usize))));
    let run: RunArray<Int32Type> = (0..n).map(|i| Some(if i < 20 { "one" } else { "two" })).collect();
    columns.push((run.data_type().clone(), Arc::new(run)));
    let fields: Vec<Field> = columns
        .iter()
        .enumerate()
        .map(|(i, (t, _))| {
            let metadata = HashMap::from([("nr".to_string(), format!("{i}\n"))]);
            Field::new(format!("c{i}"), t.clone(), i % 2 == 0 || *t == Null).with_metadata(metadata)
        })
        .collect();
    let schema = Arc::new(Schema::new_with_metadata(fields, public().metadata));
    let arrays = columns.into_iter().map(|c| c.1).collect();
    let input = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
    let fitted = fit(&frame_of(&input, None), "independent", |p| p.filter_copies = false);
    let file = fitted.save(&public()).unwrap();
    assert_eq!(SavedModel::describe(&file).unwrap().schema, schema);
    let loaded = Synthesizer::load(&file, None, 3).unwrap();
    let job = Job::unbounded();
    let decoded = |s: &Synthesizer| -> Vec<ArrayRef> {
        let block = s.block(0, &job).unwrap();
        s.columns().iter().zip(&block.values).map(|(c, v)| c.decode(v, 0, block.rows).unwrap()).collect()
    };
    assert_eq!(decoded(&loaded), decoded(&fitted));
}

#[test]
fn refusals_say_what_is_wrong() {
    let frame = frame_of(&mixed(300), None);
    let file = fit(&frame, "independent", |_| ()).save(&public()).unwrap();
    let header_end = SavedModel::header_end(&file).unwrap();
    for foreign in [&b""[..], b"PAR1....", b"LOOKALIK\x01\0\0\0", b"LOOKALIKE MODEM\n"] {
        assert_eq!(refusal(foreign), "this is no saved model of Lookalike");
    }
    for end in [1, 16, 20, 24, header_end - 1, header_end, header_end + 40, file.len() - 1] {
        assert_eq!(refusal(&file[..end]), "the saved model is truncated", "{end}");
    }
    let mut endless = file.clone();
    endless[16..24].fill(0xff);
    assert_eq!(refusal(&endless), "the saved model is truncated");
    let longer = [&file[..], b"more"].concat();
    assert_eq!(refusal(&longer), "the saved model is followed by 4 bytes that are not its own");
    for place in [header_end + 10, file.len() - 40, file.len() - 1] {
        let mut damaged = file.clone();
        damaged[place] ^= 4;
        assert_eq!(refusal(&damaged), "the saved model is damaged or was changed: its digest does not match");
    }
    assert_eq!(
        refusal(&with_header(&file, |h| h.replace("\"format\":1", "\"format\":2,\"soul\":true"))),
        "the saved model has format 2, this version of Lookalike reads format 1: use the version that wrote it, or fit the \
         model again"
    );
    let unknown = refusal(&with_header(&file, |h| h.replace("\"model\":\"independent\"", "\"model\":\"independant\"")));
    assert!(
        unknown.starts_with("the saved model: unknown model 'independant'; did you mean 'independent'?"),
        "{unknown}"
    );
    let other = refusal(&with_header(&file, |h| h.replace("\"model\":\"independent\"", "\"model\":\"gaussian\"")));
    assert_eq!(other, "the saved model is a 'independent', not a 'gaussian'");
    let broken = refusal(&with_header(&file, |h| h.replacen("\"columns\"", "\"colons\"", 1)));
    assert!(broken.starts_with("the header of the saved model is damaged: unknown field `colons`"), "{broken}");
    let broken = refusal(&with_header(&file, |h| h.replacen('{', "[", 1)));
    assert!(broken.starts_with("the header of the saved model is damaged"), "{broken}");
    // A number column said to be text: the digest is right, the model does not fit.
    let unlike = with_header(&file, |h| h.replacen("\"type\":\"Int32\"", "\"type\":\"Utf8View\"", 1));
    assert_eq!(refusal(&unlike), "the saved model contradicts itself: fit it again");
}

#[test]
fn options_keep_their_kind() {
    let map = Value::Map(vec![("a".into(), Value::List(vec![Value::Int(1), Value::Float(1.0), Value::Null]))]);
    assert_eq!(crate::saved::json(&map).to_string(), r#"{"a":[1,1.0,null]}"#);
}

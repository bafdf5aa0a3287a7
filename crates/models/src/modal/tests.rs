use lookalike_core::standard_normal;

use super::*;
use crate::codec::reseal;
use crate::rows::test_rows;

fn encode(modal: &Modal, rows: &Rows) -> Compact {
    modal.encode(rows, &Job::unbounded()).unwrap().range(0..rows.len()).unwrap()
}

/// Two modes with NULLs, three values in four zero, crowded and few categories, heavy tails, few values, nothing, an identifier.
fn mixed(n: usize) -> Rows {
    let mut rng = Streams::new(1, "modal").block(0);
    let normals: Vec<[f64; 2]> = (0..n).map(|_| standard_normal(&mut rng)).collect();
    let each = |f: &dyn Fn(usize, &[f64; 2]) -> f64| normals.iter().enumerate().map(|(i, z)| f(i, z)).collect();
    test_rows(
        vec![
            Values::Number(each(&|i, z| if i % 11 == 0 { f64::NAN } else { z[0] + 10.0 * (i % 2) as f64 })),
            Values::Number(each(&|_, z| if z[1] < 0.675 { 0.0 } else { z[1] })),
            Values::Code((0..n).map(|i| if i % 7 == 0 { MISSING } else { (i % 240) as u32 }).collect()),
            Values::Code((0..n).map(|i| (i % 3) as u32).collect()),
            Values::Number(each(&|_, z| (2.0 * z[0]).exp())),
            Values::Number(each(&|i, _| (i % 7) as f64)),
            Values::Number(vec![f64::NAN; n]),
            Values::Omitted,
        ],
        None,
        5,
    )
}

fn fit(rows: &Rows) -> Modal {
    Modal::fit(rows, 10, 50, 7, &Job::unbounded()).unwrap()
}

#[test]
fn rows_survive_the_dense_form() {
    let n = 5000;
    let table = mixed(n);
    let modal = fit(&table);
    let compact = encode(&modal, &table);
    let rows: Vec<u32> = (0..n as u32).collect();
    let mut dense = vec![0f32; n * modal.width()];
    modal.one_hot(&compact, &rows, &mut dense);
    // Spans cover a row without gaps: each choice has exactly one 1.
    for row in dense.chunks(modal.width()) {
        let mut at = 0;
        for span in modal.spans() {
            match *span {
                Span::Scalar { at: place } => {
                    assert_eq!(place, at);
                    assert!((-1.0..=1.0).contains(&row[place]));
                    at += 1;
                }
                Span::Choice { start, size } => {
                    assert_eq!(start, at);
                    let ones = row[start..start + size].iter().filter(|v| **v == 1.0).count();
                    assert!(ones == 1 && row[start..start + size].iter().sum::<f32>() == 1.0);
                    at += size;
                }
            }
        }
        assert_eq!(at, modal.width());
    }
    let decoded = modal.decode(n, &dense, &mut Streams::new(1, "decode").block(0));
    assert_eq!(decoded[7], Values::Omitted);
    for c in [0, 1, 4, 5, 6] {
        let column = table.column(c).unwrap();
        let (real, made) = (column.values.numbers().unwrap(), decoded[c].numbers().unwrap());
        // A scalar of 24 bits over 8 standard deviations, which are below the range of the column.
        let range = real.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        // Of a normal, four deviations beyond its mode a value is clipped with 6e-5; in 5000 lognormal rows the far tail is.
        let apart =
            real.iter().zip(made).filter(|(r, m)| !((*r - *m).abs() < 2e-6 * range || r.is_nan() && m.is_nan()));
        assert!(apart.count() <= 5, "column {c}");
        let zeros = |v: &[f64]| v.iter().filter(|v| **v == 0.0).count();
        assert_eq!(zeros(real), zeros(made), "column {c}");
    }
    assert_eq!(decoded[3], table.column(3).unwrap().values);
    // 240 categories in 50 choices: the choice is kept.
    let again = modal.encode_given(2, &decoded[2], &mut Streams::new(0, "x").block(0));
    let Track::Choice(choices) = &compact.tracks[modal.parts()[2].unwrap().choice] else { panic!() };
    assert!(again.choices.iter().zip(choices).all(|(a, b)| *a == u32::from(*b)));
    assert_eq!(again.choices.iter().filter(|&&c| c == 50).count(), n.div_ceil(7));
}

#[test]
fn columns_have_the_spans_they_need() {
    let table = mixed(5000);
    let modal = fit(&table);
    let parts = modal.parts();
    // Few values and none at all need no scalar; identifiers nothing.
    let scalar: Vec<Option<bool>> = parts.iter().map(|p| p.map(|p| p.scalar.is_some())).collect();
    assert_eq!(
        scalar,
        [true, true, false, false, true, false, false].map(Some).into_iter().chain([None]).collect::<Vec<_>>()
    );
    let size = |c: usize| match modal.spans()[parts[c].unwrap().choice] {
        Span::Choice { size, .. } => size,
        _ => panic!(),
    };
    assert_eq!([2, 3, 5, 6].map(size), [51, 3, 7, 1]);
    let choices = modal.choices();
    assert_eq!(choices.iter().map(|c| (c.column, c.size)).collect::<Vec<_>>(), [(2, 51), (3, 3)]);
    assert_eq!(choices[1].count, [1667, 1667, 1666]);
    assert!(choices.iter().all(|c| c.count.iter().sum::<u64>() == 5000 && c.count.len() == c.size));
    assert_eq!(modal.row_bytes(), 3 * 4 + 7 * 2);
}

#[test]
fn unknown_values_have_no_choice() {
    let modal = fit(&mixed(5000));
    let encode = |c: usize, values: Values| modal.encode_given(c, &values, &mut Streams::new(0, "x").block(0));
    assert_eq!(encode(1, Values::Number(vec![f64::NAN])).choices, [UNKNOWN]);
    assert_eq!(encode(5, Values::Number(vec![2.0, 2.5, -0.0])).choices, [2, UNKNOWN, 0]);
    assert_eq!(encode(3, Values::Code(vec![2, 3, MISSING])).choices, [2, UNKNOWN, UNKNOWN]);
    // Far outside: clipped, never NaN.
    let far = encode(0, Values::Number(vec![f64::MAX, f64::MIN]));
    assert_eq!(far.scalars, [1.0, -1.0]);
}

#[test]
fn extreme_ranges_stay_finite() {
    let n = 4000;
    let mut rng = Streams::new(5, "extreme").block(0);
    let mut column = |scale: f64| {
        Values::Number((0..n).map(|_| (standard_normal(&mut rng)[0] / 6.0).clamp(-1.0, 1.0) * scale).collect())
    };
    let table = test_rows(vec![column(f64::MAX), column(1e-300), column(1.0)], None, 5);
    let modal = fit(&table);
    let compact = encode(&modal, &table);
    let decoded = modal.decode_compact(&compact, &mut Streams::new(1, "decode").block(0));
    for (c, values) in decoded.iter().enumerate() {
        let column = table.column(c).unwrap();
        let (real, made) = (column.values.numbers().unwrap(), values.numbers().unwrap());
        let range = real.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let apart = real.iter().zip(made).filter(|(r, m)| (*r / range - *m / range).abs() > 1e-5).count();
        assert!(apart <= 5, "{apart}");
    }
}

#[test]
fn threads_change_nothing_and_saving_neither() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let table = mixed(8000);
            let modal = fit(&table);
            let mut w = Writer::new("test");
            modal.save(&mut w);
            (w.finish(), encode(&modal, &table))
        })
    };
    let (bytes, compact) = run(1);
    assert!((&bytes, &compact) == (&run(2).0, &run(2).1));
    let mut r = Reader::new(&bytes, "test").unwrap();
    let loaded = Modal::load(&mut r).unwrap();
    r.finish().unwrap();
    assert!(encode(&loaded, &mixed(8000)) == compact);
}

#[test]
fn hostile_bytes_are_refused_or_harmless() {
    let table = mixed(300);
    let modal = fit(&table);
    let compact = encode(&modal, &table);
    let mut w = Writer::new("test");
    modal.save(&mut w);
    let bytes = w.finish();
    for i in 20..bytes.len() - 8 {
        for change in [1, 0x80] {
            let mut damaged = bytes.clone();
            damaged[i] ^= change;
            reseal(&mut damaged);
            let loaded = Reader::new(&damaged, "test").and_then(|mut r| Modal::load(&mut r));
            if let Ok(modal) = loaded
                && modal.spans().len() == compact.tracks.len()
            {
                modal.decode_compact(&compact, &mut Streams::new(0, "x").block(0));
                (0..modal.parts().len()).filter(|&c| c < 8).for_each(|c| {
                    modal.encode_given(c, &table.column(c).unwrap().values, &mut Streams::new(0, "x").block(0));
                });
            }
        }
    }
}

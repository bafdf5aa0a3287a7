use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use lookalike_core::{CategoryDomain, NumberDomain, NumberKind, Streams};

use super::*;

fn number(values: Vec<f64>) -> Column {
    let kind = NumberKind::Float { decimals: None, bits: 64 };
    Column {
        field: Arc::new(Field::new("x", DataType::Float64, true)),
        domain: Domain::Number(NumberDomain { kind, min: 0.0, max: 1.0 }),
        values: Values::Number(values),
    }
}

fn category(codes: Vec<u32>, labels: usize) -> Column {
    Column {
        field: Arc::new(Field::new("c", DataType::Utf8, true)),
        domain: Domain::Category(Arc::new(CategoryDomain { labels: (0..labels).map(|l| format!("{l:03}")).collect() })),
        values: Values::Code(codes),
    }
}

#[test]
fn atoms_are_symbols_and_stretches_are_bins() {
    // 0 six times and 100 five times are atoms with five persons each; 101..105 are a stretch from 100.5 to 105 (see Marginal).
    let mut values = vec![0.0; 6];
    values.extend([100.0; 5]);
    values.extend([101.0, 102.0, 103.0, 104.0, 105.0, f64::NAN]);
    let column = number(values);
    let (symbols, rows) = Symbols::fit(&column, None, 5, 1024);
    assert_eq!((symbols.len(), symbols.bins(), &rows[10..13], rows[16]), (4, 4, &[1, 2, 2][..], 3));
    // The density within the stretch is that of a line: 1 / 4.5. 50 is nobody's value, and nearest to the atoms.
    let find = |v: f64| symbols.find(&Values::Number(vec![v]), 0);
    assert_eq!(find(0.0), Some((0, 0.0)));
    assert_eq!(find(103.5), Some((2, libm::log(1.0 / 4.5))));
    assert_eq!((find(50.1), symbols.nearest(&Values::Number(vec![50.1]), 0)), (None, 1));
    assert_eq!(find(f64::NAN), Some((3, 0.0)));
    // And back: atoms exactly, the stretch inside its ends, NULL as NaN.
    let Values::Number(back) = symbols.decoder().decode(&[0, 1, 2, 3], &mut Streams::new(1, "test").block(0)) else {
        panic!("numbers")
    };
    assert_eq!(back[..2], [0.0, 100.0]);
    assert!((100.5..=105.0).contains(&back[2]) && back[3].is_nan());
}

#[test]
fn many_pieces_share_bins() {
    // 6,400 different values and 1,000 pieces in 63 bins: one symbol each, of about a sixty-third.
    let (symbols, rows) = Symbols::fit(&number((0..6400).map(f64::from).collect()), None, 5, 1000);
    assert_eq!((symbols.len(), symbols.bins()), (64, 64));
    let mut count = [0u32; 64];
    rows.iter().for_each(|&s| count[s as usize] += 1);
    assert!(count[..63].iter().all(|&c| (95..=110).contains(&c)), "{count:?}");
    assert!(symbols.classes(&count.map(u64::from)).iter().all(|&c| (c as usize) < CLASSES));
    // The density of a uniform distribution: 1 / 6400, over symbols and within.
    let (symbol, inside) = symbols.find(&Values::Number(vec![3000.2]), 0).unwrap();
    assert!((libm::exp(inside) * f64::from(count[symbol as usize]) / 6400.0 * 6400.0 - 1.0).abs() < 0.05);
}

#[test]
fn groups_worked_by_hand() {
    // 30 in three: the large ones alone, the small ones together.
    assert_eq!(quantile_groups(&[10, 2, 3, 5, 10], 3), [0, 1, 1, 1, 2]);
    assert_eq!(quantile_groups(&[1, 1], 3), [0, 1]);
    assert_eq!(quantile_groups(&[], 3), [0u8; 0]);
    // Few items have a group each, and what follows them another.
    assert_eq!(frequency_groups(&[5, 9, 1], 4), [0, 1, 2, 3]);
    // Of four groups one is for what follows, one for the infrequent.
    assert_eq!(frequency_groups(&[5, 9, 1, 7, 2], 4), [2, 0, 2, 1, 2, 3]);
}

#[test]
fn many_categories_share_a_bin() {
    let codes: Vec<u32> = (0..300u32).map(|c| c % 100).chain([7; 50]).chain([MISSING]).collect();
    let (symbols, rows) = Symbols::fit(&category(codes, 100), None, 1, 1024);
    assert_eq!((symbols.len(), symbols.bins(), rows[350]), (101, 64, 100));
    assert_eq!((symbols.bin_of[7], symbols.bin_of[99], symbols.bin_of[100]), (0, 62, 63));
}

#[test]
fn saved_symbols_come_back() {
    let columns = [number((0..500).map(|i| f64::from(i % 90) * 0.5).collect()), category((0..90).collect(), 90)];
    for column in columns {
        let (symbols, _) = Symbols::fit(&column, None, 3, 32);
        let mut w = Writer::new("test");
        symbols.save(&mut w);
        let bytes = w.finish();
        let mut r = Reader::new(&bytes, "test").unwrap();
        assert_eq!(Symbols::load(&mut r).unwrap(), symbols);
        r.finish().unwrap();
    }
}

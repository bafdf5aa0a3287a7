use lookalike_core::{Streams, Value, Values};

use super::*;
use crate::cart::tests::{
    assert_close, categories, combinations, fit, frame, frequencies, number, probabilities, survives_damage,
};

#[test]
fn rows_come_with_their_likelihoods() {
    let fitted = fit(&Arf, &categories(2000), &[]);
    let expected = probabilities(&*fitted);
    assert!((expected.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    let rows = 100_000;
    let made = fitted.sample(rows, &mut Streams::new(1, "test").block(0)).unwrap();
    assert_close(&frequencies(&made), &expected, rows, 0.0);
}

#[test]
fn given_values_weigh_the_leaves_exactly() {
    let fitted = fit(&Arf, &categories(2000), &[]);
    let joint = probabilities(&*fitted);
    let rows = 40_000;
    for (column, code) in [(0, 1), (1, 3), (2, 1)] {
        let is_given = |i: usize| [i / 8, i / 2 % 4, i % 2][column] == code;
        let share: f64 = joint.iter().enumerate().filter(|(i, _)| is_given(*i)).map(|(_, p)| p).sum();
        let expected: Vec<f64> = (0..24).map(|i| if is_given(i) { joint[i] / share } else { 0.0 }).collect();
        let given = [(column, Values::Code(vec![code as u32; rows]))];
        let made = fitted.sample_given(&given, rows, &mut Streams::new(1, "test").block(0)).unwrap().unwrap();
        assert_close(&frequencies(&made), &expected, rows, 0.0);
    }
}

#[test]
fn made_rows_cannot_be_told_from_the_data() {
    // Dependence of the three categories: the share of each combination, learned and drawn, within the sampling error of both and
    // what leaves of twenty take for independent.
    let table = categories(5000);
    let fitted = fit(&Arf, &table, &[]);
    assert_eq!(fitted.report().rows, 5000);
    assert!((1..=10).contains(&fitted.report().epochs));
    let values: Vec<Values> = table.into_parts().0.into_iter().map(|c| c.values).collect();
    assert_close(&probabilities(&*fitted), &frequencies(&values), 5000, 0.01);
    assert_eq!(combinations().rows(), 24);
}

#[test]
fn threads_do_not_matter() {
    let table = categories(1000);
    let bytes = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fit(&Arf, &table, &[("trees", Value::Int(6))]).save().unwrap())
    };
    assert_eq!(bytes(1), bytes(4));
}

#[test]
fn a_split_of_few_persons_is_undone() {
    // Four bins of ten rows; the rows of bin 3 belong to one person.
    let bins: Vec<u8> = (0..40).map(|i| i / 10).collect();
    let node = |right, child| Node { right, feature: 0, child };
    let tree = Tree {
        nodes: vec![node(0b1100, 1), Node::default(), node(0b1000, 3), Node::default(), Node::default()],
        parent: vec![0, 0, 0, 2, 2],
        range: vec![(0, 40), (0, 20), (20, 40), (20, 30), (30, 40)],
    };
    let units = Units { codes: (0..30).chain([30; 10]).collect(), count: 31 };
    let by_rows = refit(&tree, &[&bins], 40, None, 5);
    assert_eq!(by_rows.tree.leaves().len(), 3);
    let by_persons = refit(&tree, &[&bins], 40, Some(&units), 5);
    assert_eq!(by_persons.tree.range, [(0, 40), (0, 20), (20, 40)]);
}

#[test]
fn damage_is_refused() {
    let mut table = categories(300).into_parts().0;
    table.push(number((0..300).map(|i| f64::from(i * i % 97) / 3.0).collect()));
    survives_damage(&Arf, &*fit(&Arf, &frame(table), &[("trees", Value::Int(3)), ("min_node_size", Value::Int(5))]));
}

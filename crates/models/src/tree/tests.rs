use super::*;

/// A tree on one feature and two classes, one row for each (bin, class).
fn grow(rows: &[(u8, u8)], ordered: bool, min_leaf: usize, complexity: f64, units: Option<&Units>) -> Grown {
    let bins: Vec<u8> = rows.iter().map(|r| r.0).collect();
    let classes: Vec<u8> = rows.iter().map(|r| r.1).collect();
    let size = bins.iter().max().map_or(0, |b| *b as usize + 1);
    let grow = Grow {
        features: &[&bins],
        ordered: &[ordered],
        bins: &[size],
        candidates: &[0],
        classes: &classes,
        class_count: classes.iter().max().map_or(0, |c| *c as usize + 1),
        units,
        min_leaf,
        max_depth: 10,
        complexity,
    };
    grow.grow((0..rows.len() as u32).collect(), None, &Job::unbounded()).unwrap()
}

fn times(n: usize, row: (u8, u8)) -> Vec<(u8, u8)> {
    vec![row; n]
}

#[test]
fn an_ordered_feature_is_cut_where_the_classes_change() {
    // Bins 0 and 1 hold class 0, bins 2 and 3 class 1, ten rows each: one split, bins 2 and 3 to the right, both leaves pure.
    let rows: Vec<_> = (0..40).map(|i| (i % 4, u8::from(i % 4 > 1))).collect();
    let grown = grow(&rows, true, 5, 1.0, None);
    assert_eq!(grown.tree.nodes, [Node { right: 0b1100, feature: 0, child: 1 }, Node::default(), Node::default()]);
    assert_eq!((grown.tree.range, grown.tree.parent), (vec![(0, 40), (0, 20), (20, 40)], vec![0, 0, 0]));
    // Rows of a leaf keep their order.
    assert_eq!(grown.rows[..4], [0, 1, 4, 5]);
    assert_eq!(grown.rows[20..24], [2, 3, 6, 7]);
}

#[test]
fn bins_without_an_order_are_arranged_by_their_classes() {
    // Shares of class 1 by bin: .1, .9, .2, .8: bins 1 and 3 belong together, which no cut of an order 0..4 gives.
    let rows: Vec<_> = [(0, 1), (1, 9), (2, 2), (3, 8)]
        .into_iter()
        .flat_map(|(bin, ones)| [times(10 - ones, (bin, 0)), times(ones, (bin, 1))].concat())
        .collect();
    let grown = grow(&rows, false, 5, 1.0, None);
    let right = grown.tree.nodes[0].right;
    assert!(right == 0b1010 || right == 0b0101, "{right:b}");
    // Three classes: bins 0 and 2 are all of class 0, bin 1 of classes 1 and 2 alike.
    let rows = [times(20, (0, 0)), times(20, (2, 0)), times(10, (1, 1)), times(10, (1, 2))].concat();
    let right = grow(&rows, false, 5, 1.0, None).tree.nodes[0].right;
    assert!(right == 0b010 || right == 0b101, "{right:b}");
}

#[test]
fn missing_values_go_to_either_side() {
    // The last bin, 2, has the class of bin 0.
    let rows = [times(20, (0, 0)), times(20, (1, 1)), times(20, (2, 0))].concat();
    let grown = grow(&rows, true, 5, 1.0, None);
    assert_eq!((grown.tree.nodes.len(), grown.tree.nodes[0].right), (3, 0b010));
}

#[test]
fn a_split_has_to_gain_what_it_costs() {
    // [[30, 10], [10, 30]]: the gain is half of G = 2 sum O ln(O / E): 2 (30 ln 1.5 + 10 ln .5) = 10.4650. Of two classes of 40
    // rows the perplexity is 2, one degree of freedom, and 1/2 + sqrt(t) + t is that gain at sqrt(t) = 2.6961.
    let rows = [times(30, (0, 0)), times(10, (0, 1)), times(10, (1, 0)), times(30, (1, 1))].concat();
    let gain = 2.0 * (30.0 * 1.5f64.ln() + 10.0 * 0.5f64.ln());
    let root = ((4.0 * gain - 1.0).sqrt() - 1.0) / 2.0;
    assert!((root - 2.6961).abs() < 1e-4, "{root}");
    assert_eq!(grow(&rows, true, 1, root * root - 1e-6, None).tree.nodes.len(), 3);
    assert_eq!(grow(&rows, true, 1, root * root + 1e-6, None).tree.nodes.len(), 1);
    // Sides of 40 rows.
    assert_eq!(grow(&rows, true, 40, 1.0, None).tree.nodes.len(), 3);
    assert_eq!(grow(&rows, true, 41, 1.0, None).tree.nodes.len(), 1);
}

#[test]
fn leaves_hold_persons() {
    // Twenty rows a side. On the right they are of two persons, of whom one is on the left too.
    let rows = [times(20, (0, 0)), times(20, (1, 1))].concat();
    let codes = (0..20).chain((0..20).map(|i| if i % 2 == 0 { 0 } else { 20 })).collect();
    let units = Units { codes, count: 21 };
    assert_eq!(grow(&rows, true, 2, 1.0, Some(&units)).tree.nodes.len(), 3);
    assert_eq!(grow(&rows, true, 3, 1.0, Some(&units)).tree.nodes.len(), 1);
}

#[test]
fn walks_end_where_growing_put_the_rows() {
    let rows: Vec<(u8, u8)> = (0..600u32).map(|i| ((i * i % 61) as u8, (i * i % 61 / 7) as u8)).collect();
    let grown = grow(&rows, true, 5, 0.1, None);
    assert!(grown.tree.leaves().len() >= 8, "nine classes, seven bins each");
    for leaf in grown.tree.leaves() {
        let (from, to) = grown.tree.range[leaf];
        assert!(to - from >= 5);
        for &row in &grown.rows[from as usize..to as usize] {
            assert_eq!(grown.tree.leaf(&[rows[row as usize].0]), leaf);
        }
    }
}

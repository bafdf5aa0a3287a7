//! The order in which columns follow one another.

use crate::symbols::Encoded;

/// Rows that associations are measured on: the first in canonical order, which are as good as a random choice.
const ROWS: usize = 100_000;

/// Ways to order columns, as the option `order` has them.
pub(super) const ORDERS: &[&str] = &["cardinality", "association", "input"];

/// Columns with values in the order in which they are to be drawn.
///
/// - `input`: as they come.
/// - `association`: first the column that shares most information (in nats, summed over all others), then always the one that
///   shares most with those before it.
/// - `cardinality`: columns of few classes first, among equals by association. A tree on many-valued columns finds what tells
///   few values apart, but few values cannot tell many apart, so little is lost; and every split of the first trees is cheap.
pub(super) fn order(columns: &[Encoded], kind: &str) -> Vec<u32> {
    let mut used: Vec<u32> = (0..columns.len() as u32).filter(|&c| columns[c as usize].symbols.len() > 0).collect();
    if kind != "input" {
        used = by_association(columns, &used);
    }
    if kind == "cardinality" {
        used.sort_by_key(|&c| columns[c as usize].class_count);
    }
    used
}

fn by_association(columns: &[Encoded], used: &[u32]) -> Vec<u32> {
    let n = used.len();
    let mut shared = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..i {
            let nats = information(&columns[used[i] as usize], &columns[used[j] as usize]);
            shared[i * n + j] = nats;
            shared[j * n + i] = nats;
        }
    }
    let mut left: Vec<usize> = (0..n).collect();
    let mut chosen: Vec<usize> = vec![];
    // With all others at first, with those chosen afterwards.
    let mut score: Vec<f64> = shared.chunks(n.max(1)).map(|row| row.iter().sum()).collect();
    while let Some(best) = (0..left.len()).reduce(|a, b| if score[left[b]] > score[left[a]] { b } else { a }) {
        let next = left.remove(best);
        if chosen.is_empty() {
            score.fill(0.0);
        }
        score.iter_mut().zip(&shared[next * n..(next + 1) * n]).for_each(|(s, nats)| *s += nats);
        chosen.push(next);
    }
    chosen.into_iter().map(|i| used[i]).collect()
}

/// Mutual information of the classes of two columns, in nats.
fn information(a: &Encoded, b: &Encoded) -> f64 {
    let rows = a.class.len().min(ROWS);
    let mut joint = vec![0u32; a.class_count * b.class_count];
    for (x, y) in a.class[..rows].iter().zip(&b.class[..rows]) {
        joint[*x as usize * b.class_count + *y as usize] += 1;
    }
    let h = |n: u32| if n > 0 { f64::from(n) * libm::log(f64::from(n)) } else { 0.0 };
    let of_a: f64 = joint.chunks(b.class_count).map(|row| h(row.iter().sum())).sum();
    let of_b: f64 = (0..b.class_count).map(|y| h(joint.iter().skip(y).step_by(b.class_count).sum())).sum();
    (joint.iter().map(|&n| h(n)).sum::<f64>() - of_a - of_b + h(rows as u32)) / rows.max(1) as f64
}

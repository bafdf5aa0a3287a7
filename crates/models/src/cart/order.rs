//! The order in which columns follow one another.

use super::Encoded;

/// Rows that associations are measured on: the first in canonical order, which is as good as a random choice.
const ROWS: usize = 100_000;

/// Columns with values, each after the ones it shares most information with.
pub(super) fn by_association(columns: &[Encoded], rows: usize, kind: &str) -> Vec<u32> {
    let used: Vec<u32> = (0..columns.len() as u32).filter(|&c| columns[c as usize].symbols.len() > 0).collect();
    if kind == "input" { return used; }
    let n = used.len();
    let mut shared = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..i {
            let s = information(&columns[used[i] as usize], &columns[used[j] as usize], rows.min(ROWS));
            shared[i * n + j] = s;
            shared[j * n + i] = s;
        }
    }
    let total = |i: usize| (0..n).map(|j| shared[i * n + j]).sum::<f64>();
    let mut left: Vec<usize> = (0..n).collect();
    let mut chosen: Vec<usize> = vec![];
    while !left.is_empty() {
        let score = |&i: &usize| if chosen.is_empty() || kind == "a3" { total(i) } else { chosen.iter().map(|&j| shared[i * n + j]).sum::<f64>() };
        let best = (0..left.len()).reduce(|a, b| if score(&left[b]) > score(&left[a]) { b } else { a }).unwrap_or(0);
        chosen.push(left.remove(best));
    }
    if kind == "a2" { chosen.reverse(); }
    if kind == "a4" { chosen.sort_by(|&a,&b| columns[used[a] as usize].class_count.cmp(&columns[used[b] as usize].class_count)); }
    let out: Vec<u32> = chosen.into_iter().map(|i| used[i]).collect();
    eprintln!("order {out:?}");
    out
}

/// Mutual information of the classes of two columns, in nats.
fn information(a: &Encoded, b: &Encoded, rows: usize) -> f64 {
    let mut joint = vec![0u32; a.class_count * b.class_count];
    for (x, y) in a.class[..rows].iter().zip(&b.class[..rows]) {
        joint[*x as usize * b.class_count + *y as usize] += 1;
    }
    let h = |n: u32| if n > 0 { f64::from(n) * libm::log(f64::from(n)) } else { 0.0 };
    let of_a: f64 = joint.chunks(b.class_count).map(|row| h(row.iter().sum())).sum();
    let of_b: f64 = (0..b.class_count).map(|y| h(joint.iter().skip(y).step_by(b.class_count).sum())).sum();
    (joint.iter().map(|&n| h(n)).sum::<f64>() - of_a - of_b + h(rows as u32)) / rows.max(1) as f64
}

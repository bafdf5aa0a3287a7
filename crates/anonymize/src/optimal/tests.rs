use lookalike_core::{ErrorKind, Job};

use super::{Optimal, grouped};
use crate::datafly::Datafly;
use crate::full_domain::tests::{Ask, Sample, cells, group, paths, shuffled};
use crate::{Loss, Method, SUPPRESSED, anonymize};

fn sample() -> Sample {
    let zip = paths(&["11 1x *", "12 1x *", "21 2x *", "22 2x *"]);
    Sample {
        columns: vec![
            (zip, cells(&["11", "11", "12", "12", "21", "22"])),
            (None, cells(&["F", "M", "F", "M", "F", "F"])),
        ],
        sensitive: vec!["s".into(); 6],
        persons: None,
        population: vec![],
    }
}

#[test]
fn the_smallest_loss_is_found() {
    // By hand, k = 2, zip leaves 4. Below (0, 0) and (0, 1) somebody is alone: (21, *). At (1, 0): (1x, F) x 2,
    // (1x, M) x 2, (2x, F) x 2 fits, and loses 6 rows x 1/3 = 2; (2, 0) fits and loses 6.
    assert_eq!(group(&Optimal, &sample(), &Ask::k(2)).levels, Some(vec![1, 0]));
    // Two rows may be dropped. (0, 1) drops the zips 21 and 22, and loses 4 rows x 1 + 2 rows x 2 = 8: still (1, 0).
    assert_eq!(group(&Optimal, &sample(), &Ask::k(2).dropping(0.34)).levels, Some(vec![1, 0]));
    // k = 4: (1, 1) has (1x, *) x 4 and drops 2 rows, which loses 4 x (1/3 + 1) + 2 x 2 = 9.3; (2, 0) has (*, F) x 4, drops
    // 2 rows and loses 4 x 1 + 2 x 2 = 8.
    let grouping = group(&Optimal, &sample(), &Ask::k(4).dropping(0.34));
    assert_eq!(grouping.levels, Some(vec![2, 0]));
    assert_eq!(grouping.class_of, [0, SUPPRESSED, 0, SUPPRESSED, 0, 0]);
    // Squares: both keep a class of 4 and drop 2 rows, 4 x 4 + 2 x 6 = 28, (2, 1) has 36. The levels of both sum up to 2:
    // the lower level of the first column decides.
    let squares = group(&Optimal, &sample(), &Ask::k(4).dropping(0.34).losing(Loss::Discernibility));
    assert_eq!(squares.levels, Some(vec![1, 1]));
    assert_eq!(squares.class_of, [0, 0, 0, 0, SUPPRESSED, SUPPRESSED]);
}

#[test]
fn criteria_that_unions_break_are_not_used_for_pruning() {
    // Rows of (a, b): sensitive value. Shares of the table: s 18/38, t 20/38. Every (a, b) has one value, and
    // ln(38/18) = 0.75 < 0.8; but a1 alone and b1 alone hold t at 2/20, and |ln(0.1 * 38/20)| = 1.66. One row has another
    // c, so that c has to go up: only (0, 0, 1) and the top fit, nothing lies between.
    let groups = [("a1", "b1", "s", 18), ("a2", "b1", "t", 2), ("a1", "b2", "t", 2), ("a2", "b2", "t", 16)];
    let rows: Vec<_> = groups.iter().flat_map(|&(a, b, value, n)| vec![(a, b, value); n]).collect();
    let mut c = vec!["c1"; 38];
    c[0] = "c2";
    let sample = Sample {
        columns: vec![
            (None, cells(&rows.iter().map(|r| r.0).collect::<Vec<_>>())),
            (None, cells(&rows.iter().map(|r| r.1).collect::<Vec<_>>())),
            (None, cells(&c)),
        ],
        sensitive: rows.iter().map(|r| r.2.into()).collect(),
        persons: None,
        population: vec![],
    };
    let ask = Ask { delta: Some(0.8), ..Ask::k(2) };
    assert_eq!(group(&Datafly, &sample, &ask).levels, Some(vec![1, 1, 1]));
    assert_eq!(group(&Optimal, &sample, &ask).levels, Some(vec![0, 0, 1]));
}

/// Compares with the best of all transformations by the definitions: how many there are, and how many rows are dropped;
/// `None` where none fits, and none is found.
fn compare(seed: u64, sample: &Sample, ask: &Ask) -> Option<(usize, usize)> {
    let all = sample.transformations();
    let fitting: Vec<(f64, &Vec<usize>)> =
        all.iter().filter_map(|levels| Some((sample.judge(levels, ask)?.1, levels))).collect();
    let found = match Optimal.group(&sample.problem(ask).unwrap(), &Job::unbounded()) {
        Ok(grouping) => grouping.levels.unwrap(),
        Err(e) => {
            assert_eq!((e.kind(), fitting.len()), (ErrorKind::Data, 0), "seed {seed}: {e}");
            return None;
        }
    };
    let (dropped, loss) = sample.judge(&found, ask).unwrap();
    let least = fitting.iter().map(|f| f.0).fold(f64::INFINITY, f64::min);
    assert!(loss <= least + 1e-9 * least, "seed {seed}, {ask:?}: {found:?} loses {loss}, possible is {least}");
    if ask.params.loss == Loss::Discernibility {
        let equal = fitting.iter().filter(|f| f.0 == least).map(|f| f.1);
        assert_eq!(Some(&found), equal.min_by_key(|l| (l.iter().sum::<usize>(), l.to_vec())), "seed {seed}");
    }
    Some((all.len(), dropped.len()))
}

#[test]
fn no_transformation_is_better() {
    let (mut solved, mut lattice, mut with_drops) = (0, 0, 0);
    for seed in 1000..2500 {
        let (sample, ask) = (Sample::random(seed, 5 + seed as usize % 40), Ask::any(seed));
        if sample.problem(&ask).is_ok() {
            let (all, dropped) = compare(seed, &sample, &ask).unwrap();
            (solved, lattice, with_drops) = (solved + 1, lattice + all, with_drops + usize::from(dropped > 0));
        }
    }
    assert!(solved > 1000 && lattice > 20_000 && with_drops > 200, "{solved} {lattice} {with_drops}");
}

#[test]
fn no_transformation_is_better_where_a_population_is_compared_with() {
    let (mut solved, mut with_drops, mut unsolvable) = (0, 0, 0);
    for seed in 5000..5600 {
        let sample = Sample::random(seed, 5 + seed as usize % 40).with_population(seed);
        let mut ask = Ask { k_map: Some(2 + seed % 5), ..Ask::any(seed) };
        if seed % 3 > 0 {
            // The second kind has a smallest share: coarser levels can break it.
            ask.presence = Some(if seed % 3 == 1 { (0.0, 0.7) } else { (0.6, 1.0) });
        }
        if sample.problem(&ask).is_ok() {
            for method in [&Optimal as &dyn Method, &Datafly] {
                // Only a smallest or largest share can be out of reach at every level.
                let release = anonymize(method, &mut sample.problem(&ask).unwrap(), &Job::unbounded());
                assert!(
                    release.as_ref().map_or_else(
                        |e| e.kind() == ErrorKind::Data && ask.presence.is_some(),
                        |r| r.suppressed() < sample.rows()
                    ),
                    "seed {seed}: {release:?}"
                );
            }
            match compare(seed, &sample, &ask) {
                Some((_, dropped)) => (solved, with_drops) = (solved + 1, with_drops + usize::from(dropped > 0)),
                None => unsolvable += 1,
            }
        }
    }
    assert!(solved > 250 && with_drops > 50 && unsolvable > 0, "{solved} {with_drops} {unsolvable}");
}

#[test]
fn releases_fulfil_the_criteria_for_any_order_of_rows() {
    let mut released = 0;
    for seed in 3000..3400 {
        let (sample, ask) = (Sample::random(seed, 10 + seed as usize % 40), Ask::any(seed));
        let Some(class_of) = sample.release(&Optimal, &ask) else { continue };
        let order = shuffled(seed, sample.rows());
        let other = sample.reordered(&order).release(&Optimal, &ask).unwrap();
        assert!(order.iter().zip(&other).all(|(&old, class)| class_of[old] == *class), "seed {seed}");
        released += 1;
    }
    assert!(released > 300, "{released}");
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let solve = |threads: usize, seed: u64| {
        let (sample, ask) = (Sample::random(seed, 60), Ask::any(seed));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| sample.problem(&ask).is_ok().then(|| group(&Optimal, &sample, &ask)))
    };
    for seed in 6000..6100 {
        assert_eq!(solve(1, seed), solve(5, seed), "seed {seed}");
    }
}

#[test]
fn when_time_is_up_the_best_found_is_released() {
    for seed in 4000..4050 {
        let sample = Sample::random(seed, 30);
        let mut ask = Ask::any(seed);
        ask.params.max_seconds = Some(1e-9);
        if sample.release(&Optimal, &ask).is_some() {
            let note = group(&Optimal, &sample, &ask).note.unwrap();
            assert!(note.starts_with("time budget of 0.000000001 s reached after 1 of "), "{note}");
            ask.params.max_seconds = Some(1e300);
            assert_eq!(group(&Optimal, &sample, &ask).note, None);
        }
    }
}

#[test]
fn numbers_are_printed_in_groups() {
    assert_eq!([0, 999, 1000, 51_840, 1_234_567].map(grouped), ["0", "999", "1,000", "51,840", "1,234,567"]);
}

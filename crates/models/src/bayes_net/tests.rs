use lookalike_core::{Frame, Streams, Units, Value, Values, below, standard_normal, uniform};

use super::*;
use crate::codec::reseal;
use crate::rows::{Rows, test_rows};

/// How many standard deviations a normal exceeds once in a million (two-sided).
const SIGMAS: f64 = 4.9;

fn fit(rows: &Rows, options: &[(&str, i64)]) -> Box<dyn Fitted> {
    let given: Vec<_> = options.iter().map(|(name, v)| (name.to_string(), Value::Int(*v))).collect();
    let options = Options::check(BayesNet.params(), &given).unwrap();
    BayesNet.fit(rows, &options, 1, &Job::unbounded()).unwrap()
}

fn frame(rows: &Rows) -> Frame {
    rows.first(rows.len()).unwrap()
}

/// Every combination of codes below the sizes, as columns.
fn grid(sizes: &[u32]) -> Vec<Vec<u32>> {
    let n: u32 = sizes.iter().product();
    let mut columns = vec![];
    let mut step = n;
    for size in sizes {
        step /= size;
        columns.push((0..n).map(|i| i / step % size).collect());
    }
    columns
}

fn codes(columns: &[Vec<u32>]) -> Rows {
    test_rows(columns.iter().cloned().map(Values::Code).collect(), None, 5)
}

fn probabilities(fitted: &dyn Fitted, rows: &Rows) -> Vec<f64> {
    fitted.log_likelihood(&frame(rows)).unwrap().unwrap().iter().map(|l| libm::exp(*l)).collect()
}

/// a and b are coins; c is their exclusive or, wrong once in ten; d has four values and stands for a and c together.
fn interaction(n: usize) -> Rows {
    let mut rng = Streams::new(1, "interaction").block(0);
    let mut columns = vec![vec![]; 4];
    for _ in 0..n {
        let (a, b) = (below(&mut rng, 2) as u32, below(&mut rng, 2) as u32);
        let c = (a ^ b) ^ u32::from(uniform(&mut rng) < 0.1);
        let d = if uniform(&mut rng) < 0.3 { below(&mut rng, 4) as u32 } else { 2 * a + c };
        [a, b, c, d].into_iter().zip(&mut columns).for_each(|(v, column)| column.push(v));
    }
    codes(&columns)
}

#[test]
fn interactions_are_kept_and_trees_have_none() {
    let n = 20_000;
    let rows = interaction(n);
    let right = |fitted: &dyn Fitted| {
        let made = fitted.sample(n, &mut Streams::new(2, "sample").block(0)).unwrap();
        let column = |i: usize| made[i].codes().unwrap();
        (0..n).filter(|&i| column(0)[i] ^ column(1)[i] == column(2)[i]).count() as f64 / n as f64
    };
    // Nine in ten, learned from n rows and drawn n times.
    let bound = SIGMAS * (0.09 * 2.0 / n as f64).sqrt();
    let found = right(&*fit(&rows, &[]));
    assert!((found - 0.9).abs() < bound, "{found}");
    // Without edges half of the rows. A tree has d in the middle, from which a and c are known with .7 + .3 / 2 and b with
    // .7 * .9 + .3 / 2: it is right when none or two of them deviate, (1 + .7 * .7 * .56) / 2.
    for (parents, expected) in [(0, 0.5), (1, 0.6372)] {
        let found = right(&*fit(&rows, &[("max_parents", parents)]));
        assert!((found - expected).abs() < SIGMAS * (0.25 * 2.0 / n as f64).sqrt(), "{parents} {found}");
    }
}

#[test]
fn the_likelihood_sums_to_one_and_is_what_is_sampled() {
    let n = 50_000;
    let (all, fitted) = (codes(&grid(&[2, 2, 2, 4])), fit(&interaction(20_000), &[]));
    let p = probabilities(&*fitted, &all);
    assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    let made = fitted.sample(n, &mut Streams::new(3, "sample").block(0)).unwrap();
    let mut count = [0u32; 32];
    for i in 0..n {
        let code = |c: usize| made[c].codes().unwrap()[i] as usize;
        count[code(0) * 16 + code(1) * 8 + code(2) * 4 + code(3)] += 1;
    }
    for (count, p) in count.iter().zip(&p) {
        let sd = (n as f64 * p * (1.0 - p)).sqrt();
        assert!((f64::from(*count) - n as f64 * p).abs() < SIGMAS * sd + 1.0, "{count} {p}");
    }
}

#[test]
fn densities_of_numbers_integrate_to_one() {
    // y follows x; 3 bins and 6 tokens, so that numbers are bins and tokens inside.
    let n = 3000;
    let mut rng = Streams::new(4, "density").block(0);
    let pairs: Vec<[f64; 2]> = (0..n).map(|_| standard_normal(&mut rng)).map(|[a, b]| [a, a + 0.5 * b]).collect();
    let table = |pairs: &[[f64; 2]]| {
        let column = |i: usize| Values::Number(pairs.iter().map(|p| p[i]).collect());
        test_rows(vec![column(0), column(1)], None, 50)
    };
    let fitted = fit(&table(&pairs), &[("bins", 3), ("max_tokens", 6)]);
    // A grid of middles over the range of both, where all mass lies; 250 steps a side against a few hundred pieces of even
    // density leave an error at their borders.
    let range = |i: usize| {
        let all = || pairs.iter().map(|p| p[i]);
        (all().fold(f64::MAX, f64::min), all().fold(f64::MIN, f64::max))
    };
    let ((x0, x1), (y0, y1)) = (range(0), range(1));
    let (dx, dy) = ((x1 - x0) / 250.0, (y1 - y0) / 250.0);
    let point = |i: usize, j: usize| [x0 + (i as f64 + 0.5) * dx, y0 + (j as f64 + 0.5) * dy];
    let points: Vec<[f64; 2]> = (0..250).flat_map(|i| (0..250).map(move |j| point(i, j))).collect();
    let integral = probabilities(&*fitted, &table(&points)).iter().sum::<f64>() * dx * dy;
    assert!((integral - 1.0).abs() < 0.02, "{integral}");
    // Dependence: the mean density at the rows is above what independent columns have there.
    let mean = |fitted: &dyn Fitted| {
        fitted.log_likelihood(&frame(&table(&pairs))).unwrap().unwrap().iter().sum::<f64>() / n as f64
    };
    assert!(mean(&*fitted) > mean(&*fit(&table(&pairs), &[("max_parents", 0)])) + 0.3);
}

#[test]
fn given_values_stay_and_the_others_follow() {
    let n = 20_000;
    let (all, fitted) = (grid(&[2, 2, 2, 4]), fit(&interaction(20_000), &[]));
    let p = probabilities(&*fitted, &codes(&all));
    // One column or two given, wherever they stand in the order: shares of the others are those of the likelihood. Weights are
    // those of 64 draws, whose normalisation costs about 1 / 64 of a share at most.
    for given in [vec![(0usize, 1u32)], vec![(2, 0)], vec![(3, 2)], vec![(1, 1), (2, 0)], vec![(0, 0), (3, 3)]] {
        let values: Vec<(usize, Values)> = given.iter().map(|&(c, v)| (c, Values::Code(vec![v; n]))).collect();
        let made = fitted.sample_given(&values, n, &mut Streams::new(5, "given").block(0)).unwrap().unwrap();
        let fits = |i: &usize| given.iter().all(|&(c, v)| all[c][*i] == v);
        let total: f64 = (0..32).filter(fits).map(|i| p[i]).sum();
        given.iter().for_each(|&(c, v)| assert!(made[c].codes().unwrap().iter().all(|&code| code == v)));
        for i in (0..32).filter(fits) {
            let same = |row: &usize| (0..4).all(|c| made[c].codes().unwrap()[*row] == all[c][i]);
            let (found, expected) = ((0..n).filter(same).count() as f64 / n as f64, p[i] / total);
            let bound = SIGMAS * (expected * (1.0 - expected) / n as f64).sqrt() + 1.0 / 64.0;
            assert!((found - expected).abs() < bound, "{given:?} {i}: {found} for {expected}");
        }
    }
    // What the model does not know tells nothing, and stays.
    let odd = vec![(3, Values::Code(vec![9; 10]))];
    let made = fitted.sample_given(&odd, 10, &mut Streams::new(6, "given").block(0)).unwrap().unwrap();
    assert_eq!(made[3], Values::Code(vec![9; 10]));
}

#[test]
fn rare_combinations_lean_on_what_is_common() {
    // a and b agree in 1000 rows a value; one person holds (0, 1) in 30 rows, four others in one each.
    let mut a: Vec<u32> = (0..2000).map(|i| i % 2).collect();
    let mut b = a.clone();
    let mut units: Vec<u32> = (0..2000).collect();
    for i in 0..34 {
        a.push(0);
        b.push(1);
        units.push(if i < 30 { 2000 } else { 1971 + i });
    }
    let rows = |min| {
        let units = Units { codes: units.clone(), count: 2005 };
        test_rows(vec![Values::Code(a.clone()), Values::Code(b.clone())], Some(units), min)
    };
    // Five persons: kept from five on, not from six on. Whichever is drawn first, cells of 1000 and 34 with a prior of 2 rows:
    // kept, its share is 34 rows and the prior's; not kept, the 34 rows fall to all values that are not kept, and there is
    // only the one. So both keep the mass, but the second holds no count of the cell: with a third value it is shared.
    let share = |min| probabilities(&*fit(&rows(min), &[]), &codes(&grid(&[2, 2])))[1];
    for min in [5, 6] {
        assert!((share(min) - 34.0 / 2034.0).abs() < 2.0 / 2034.0, "{min} {}", share(min));
    }
    // A third value of b, nowhere with a = 0 but as common as the second: it takes its part of the 34 rows.
    a.extend(vec![2; 1034]);
    b.extend(vec![2; 1034]);
    units.extend(2005..3039);
    let rows = test_rows(vec![Values::Code(a), Values::Code(b)], Some(Units { codes: units, count: 3039 }), 6);
    let p = probabilities(&*fit(&rows, &[]), &codes(&grid(&[3, 3])));
    assert!(p[1] < 25.0 / 3068.0 && p[1] > 5.0 / 3068.0, "{p:?}");
}

#[test]
fn threads_change_nothing() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fit(&interaction(5000), &[]).save().unwrap())
    };
    assert_eq!(run(1), run(2));
}

#[test]
fn hostile_bytes_are_refused_or_harmless() {
    let mut rng = Streams::new(7, "hostile").block(0);
    let x: Vec<f64> = (0..400).map(|_| standard_normal(&mut rng)[0]).collect();
    let kind = x.iter().map(|v| u32::from(*v > 0.0) + u32::from(*v > 1.0)).collect();
    let rows = test_rows(vec![Values::Number(x), Values::Code(kind), Values::Omitted], None, 5);
    let bytes = fit(&rows, &[("bins", 3), ("max_tokens", 6)]).save().unwrap();
    for i in 20..bytes.len() - 8 {
        for change in [1, 0x80] {
            let mut damaged = bytes.clone();
            damaged[i] ^= change;
            reseal(&mut damaged);
            if let Ok(fitted) = BayesNet.load(&damaged) {
                let mut rng = Streams::new(8, "use").block(0);
                fitted.sample(20, &mut rng).unwrap();
                fitted.sample_given(&[(1, Values::Code(vec![1; 20]))], 20, &mut rng).unwrap();
                fitted.log_likelihood(&frame(&rows)).unwrap();
            }
        }
    }
}

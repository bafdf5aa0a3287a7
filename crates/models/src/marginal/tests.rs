use super::*;

#[test]
fn atoms_bins_and_strays_worked_by_hand() {
    // 0 six times and 100 five times are atoms with min_persons 5. 7 lies alone between them, nearer to 0; beyond 100,
    // five different values fill one bin. 101..105 have spacing 1, so the bin runs from 100.5 to their largest.
    let mut values = vec![0.0; 6];
    values.extend([100.0; 5]);
    values.extend([7.0, 101.0, 102.0, 103.0, 104.0, 105.0, f64::NAN]);
    let (marginal, pieces) = Marginal::fit(&values, None, 5, 1024);
    assert_eq!(marginal.count, [7, 5, 5]);
    assert_eq!(marginal.low, [0.0, 100.0, 100.5]);
    assert_eq!(marginal.high, [0.0, 100.0, 105.0]);
    assert_eq!(marginal.missing, 1);
    assert_eq!(pieces[11], 0);
    assert_eq!(pieces[17], NO_PIECE);
}

#[test]
fn an_atom_needs_persons_not_rows() {
    // The same person holds 1.0 five times: one bin of all, no atom.
    let values = [1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 3.0];
    let units = Units { codes: vec![0, 0, 0, 0, 0, 1, 2], count: 3 };
    let (marginal, _) = Marginal::fit(&values, Some(&units), 3, 1024);
    assert_eq!((marginal.low, marginal.high), (vec![1.0], vec![3.0]));
}

#[test]
fn normal_scores_agree_with_scipy() {
    // tests/golden/make/models_correlation.py
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../../../tests/golden/models_correlation.json")).unwrap();
    let list =
        |name: &str| -> Vec<f64> { golden[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect() };
    for (values, expected) in [("x", "scores_x"), ("y", "scores_y")] {
        let (marginal, pieces) = Marginal::fit(&list(values), None, 1, 1024);
        let scores = scores(&marginal.edges(), &marginal.count);
        for (piece, expected) in pieces.iter().zip(list(expected)) {
            assert!((scores[*piece as usize] - expected).abs() < 1e-12, "{values}");
        }
    }
}

#[test]
fn lookup_inverts_the_distribution() {
    // Counts 1, 2, 1: quartiles. An atom in the middle, lines beside it; z of the quartiles is -+0.6745.
    let marginal =
        Marginal { count: vec![1, 2, 1], low: vec![0.0, 10.0, 20.0], high: vec![10.0, 10.0, 30.0], missing: 0 };
    let quantiles = Quantiles::new(&marginal).unwrap();
    assert!(quantiles.value(-7.9).abs() < 1e-12 && quantiles.value(-20.0).abs() < 1e-12);
    // An eighth of all, half of the first piece, lies below -1.15035.
    assert!((quantiles.value(-1.15035) - 5.0).abs() < 1e-4);
    assert!((quantiles.value(-0.675) - 10.0).abs() < 0.02);
    assert_eq!(quantiles.value(-0.67), 10.0);
    assert_eq!(quantiles.value(0.67), 10.0);
    assert!((quantiles.value(0.675) - 20.0).abs() < 0.02);
    assert_eq!(quantiles.value(20.0), 30.0);
    // Monotone everywhere, over bucket borders too.
    let all: Vec<f64> = (-40_000..40_000).map(|i| quantiles.value(i as f32 * 2e-4)).collect();
    assert!(all.is_sorted());
}

#[test]
fn densities_worked_by_hand_and_integrated() {
    // The first test's column: atoms 0 and 100 of 7 and 5 of 18 rows, a bin of 5 over 4.5, one missing.
    let mut values = vec![0.0; 6];
    values.extend([100.0; 5]);
    values.extend([7.0, 101.0, 102.0, 103.0, 104.0, 105.0, f64::NAN]);
    let (marginal, _) = Marginal::fit(&values, None, 5, 1024);
    let density = |v: f64| libm::exp(marginal.log_density(v));
    for (value, expected) in [(0.0, 7.0 / 18.0), (100.0, 5.0 / 18.0), (102.5, 5.0 / 18.0 / 4.5), (f64::NAN, 1.0 / 18.0)]
    {
        assert!((density(value) - expected).abs() < 1e-12, "{value}");
    }
    assert!(density(50.0) == 0.0 && density(-1.0) == 0.0 && density(106.0) == 0.0);
    // Atoms, NULLs and the integral of the rest make 1.
    let middles = (0..10_000).map(|i| 100.5 + 4.5 * (f64::from(i) + 0.5) / 10_000.0);
    let integral: f64 = middles.map(|v| density(v) * 4.5 / 10_000.0).sum();
    assert!((integral + density(0.0) + density(100.0) + density(f64::NAN) - 1.0).abs() < 1e-9);
}

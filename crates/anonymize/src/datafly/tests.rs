use lookalike_core::Job;

use super::Datafly;
use crate::full_domain::tests::{Ask, Sample, cells, group, paths, shuffled};
use crate::{AnonymizeParams, SUPPRESSED, anonymize};

fn sample() -> Sample {
    let zip = paths(&["11 1x *", "12 1x *", "21 2x *", "22 2x *"]);
    Sample {
        columns: vec![
            (zip, cells(&["11", "12", "11", "21", "22", "22"])),
            (None, cells(&["F", "F", "F", "M", "M", "M"])),
        ],
        sensitive: ["a", "b", "a", "a", "b", "b"].map(String::from).to_vec(),
        persons: None,
        population: vec![],
    }
}

#[test]
fn the_column_with_most_values_goes_up() {
    // By hand: 4 zips and 2 sexes. (11, F) x 2, (12, F), (21, M), (22, M) x 2: two rows alone. Zip goes up: (1x, F) x 3,
    // (2x, M) x 3.
    let grouping = group(&Datafly, &sample(), &Ask::k(2));
    assert_eq!(grouping.levels, Some(vec![1, 0]));
    assert_eq!(grouping.class_of, [0, 0, 0, 1, 1, 1]);
    // Two of six rows may be dropped: nothing needs to go up.
    let grouping = group(&Datafly, &sample(), &Ask::k(2).dropping(0.34));
    assert_eq!(grouping.levels, Some(vec![0, 0]));
    assert_eq!(grouping.class_of, [0, SUPPRESSED, 0, SUPPRESSED, 1, 1]);
    // k = 4: after zip is at 1x, 2x it has 2 values like sex, and comes first: (*, F) x 3, (*, M) x 3. Then sex.
    let grouping = group(&Datafly, &sample(), &Ask::k(4));
    assert_eq!(grouping.levels, Some(vec![2, 1]));
}

#[test]
fn classes_that_break_any_criterion_are_dropped() {
    // (11, F) holds a twice, (22, M) b twice: all rows would go. (1x, F) and (2x, M) hold both values.
    let ask = Ask { distinct: Some(2.0), ..Ask::k(2).dropping(0.5) };
    assert_eq!(group(&Datafly, &sample(), &ask).levels, Some(vec![1, 0]));
}

#[test]
fn releases_fulfil_the_criteria_for_any_order_of_rows() {
    let mut released = 0;
    for seed in 0..400 {
        let (sample, ask) = (Sample::random(seed, 10 + seed as usize % 40), Ask::any(seed));
        let Some(class_of) = sample.release(&Datafly, &ask) else { continue };
        let order = shuffled(seed, sample.rows());
        let other = sample.reordered(&order).release(&Datafly, &ask).unwrap();
        assert!(order.iter().zip(&other).all(|(&old, class)| class_of[old] == *class), "seed {seed}");
        released += 1;
    }
    assert!(released > 300, "{released}");
}

#[test]
fn what_leaves_has_the_levels() {
    let ask = Ask { params: AnonymizeParams::default(), ..Ask::k(2) };
    let release = anonymize(&Datafly, &mut sample().problem(&ask).unwrap(), &Job::unbounded()).unwrap();
    let shown = release.render(0, &[0, 1]).unwrap();
    let text = |i| arrow::util::display::array_value_to_string(&shown, i).unwrap();
    assert_eq!([text(0), text(1)], ["1x", "2x"]);
}

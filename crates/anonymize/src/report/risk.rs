//! Risk of re-identification: by one who knows that a person is in the table, and by one who does not.

use super::{Figures, ReportInput};
use crate::Classes;

/// Prosecutor risk of classes: largest, average, and share of persons above a threshold.
pub(super) struct Prosecutor {
    pub max: f64,
    pub average: f64,
    pub at_risk: f64,
}

impl Prosecutor {
    pub fn of(classes: &Classes, threshold: f64) -> Self {
        let members: u64 = classes.persons.iter().sum();
        let smallest = classes.persons.iter().copied().min().unwrap_or(1);
        let at_risk: u64 = classes.persons.iter().copied().filter(|&n| 1.0 / n as f64 > threshold).sum();
        Self {
            max: 1.0 / smallest as f64,
            average: classes.len() as f64 / members as f64,
            at_risk: at_risk as f64 / members as f64,
        }
    }
}

/// Figures of the released classes.
pub(super) fn released(input: &ReportInput, figures: &mut Figures) {
    let classes = input.classes;
    let prosecutor = Prosecutor::of(classes, input.risk_threshold);
    figures.add(
        "prosecutor_max",
        prosecutor.max,
        "1 / persons of the smallest class: chance of who knows that the person is in the table",
    );
    figures.add(
        "prosecutor_average",
        prosecutor.average,
        "mean of 1 / persons of the class over persons: descriptive, a mean bounds nobody's risk",
    );
    figures.add(
        "prosecutor_at_risk",
        prosecutor.at_risk,
        "share of persons whose 1 / persons of the class is above risk_threshold: descriptive",
    );
    let Some(population) = &input.population else {
        figures.add(
            "marketer",
            prosecutor.average,
            "share of right links to be expected when all rows are linked, the table being its own population: descriptive",
        );
        return;
    };
    // A population holds the released persons: where it does not, they are their own.
    let fits = population.iter().zip(&classes.persons);
    let uncovered = fits.clone().filter(|(p, released)| p.count < **released).count();
    let sizes: Vec<u64> = fits.map(|(p, &released)| p.count.max(released)).collect();
    let smallest = population.iter().map(|p| p.count).min().unwrap_or(0);
    let members: u64 = classes.persons.iter().sum();
    let expected: f64 = sizes.iter().zip(&classes.persons).map(|(&all, &n)| n as f64 / all as f64).sum();
    let average = expected / members as f64;
    figures.add(
        "k_map",
        smallest as f64,
        "fewest population records that fit a class: k-map for this population alone",
    );
    figures.add(
        "classes_beyond_population",
        uncovered as f64,
        "classes with fewer fitting population records than persons: not 0 means that it is not the whole population",
    );
    figures.add(
        "journalist_max",
        1.0 / sizes.iter().copied().min().unwrap_or(1) as f64,
        "largest 1 / population records that fit: chance of who picks a person of this population, descriptive for others",
    );
    figures.add("journalist_average", average, "mean of 1 / population records that fit over persons: descriptive");
    figures.add(
        "marketer",
        average,
        "share of right links to be expected when all rows are linked with the population: descriptive",
    );
}

//! The same classes as a plain recursive implementation of the rules, which copies rows and looks at everything anew.

use std::collections::{BTreeMap, BTreeSet};

use lookalike_anonymize::SUPPRESSED;

use crate::tables::{Cell, Kind, Table, anonymize};

struct Reference<'t> {
    table: &'t Table,
    k: usize,
    classes: Vec<Vec<usize>>,
}

impl Reference<'_> {
    fn present<'a>(&'a self, column: usize, rows: &'a [usize]) -> impl Iterator<Item = &'a Cell> + 'a {
        rows.iter().map(move |&r| &self.table.columns[column].1[r]).filter(|c| **c != Cell::Null)
    }

    fn labels<'a>(&'a self, column: usize, rows: &'a [usize]) -> BTreeSet<&'a str> {
        self.present(column, rows)
            .filter_map(|c| if let Cell::Label(l) = c { Some(l.as_str()) } else { None })
            .collect()
    }

    fn numbers<'a>(&'a self, column: usize, rows: &'a [usize]) -> impl Iterator<Item = f64> + 'a {
        self.present(column, rows).filter_map(|c| if let Cell::Number(v) = c { Some(*v) } else { None })
    }

    fn range(&self, column: usize, rows: &[usize]) -> f64 {
        let high = self.numbers(column, rows).reduce(f64::max);
        let low = self.numbers(column, rows).reduce(f64::min);
        high.zip(low).map_or(0.0, |(high, low)| high - low)
    }

    /// Lowest level at which all values of the rows have one label: 0 for the values themselves.
    fn level(&self, column: usize, rows: &[usize], paths: &BTreeMap<String, Vec<String>>) -> usize {
        let labels = self.labels(column, rows);
        let at = |level| labels.iter().map(|l| label_at(paths, l, level)).collect::<BTreeSet<_>>().len();
        (0..).find(|&level| at(level) == 1).unwrap()
    }

    fn width(&self, column: usize, rows: &[usize]) -> f64 {
        let all: Vec<usize> = (0..self.table.rows).collect();
        match &self.table.columns[column].0 {
            _ if self.present(column, rows).collect::<Vec<_>>().windows(2).all(|w| w[0] == w[1]) => 0.0,
            Kind::Number => self.range(column, rows) / self.range(column, &all),
            Kind::Category => self.labels(column, rows).len() as f64 / self.labels(column, &all).len() as f64,
            Kind::Tree(paths) => {
                let level = self.level(column, rows, paths);
                let node = label_at(paths, self.labels(column, rows).first().unwrap(), level);
                paths.keys().filter(|v| label_at(paths, v, level) == node).count() as f64 / paths.len() as f64
            }
        }
    }

    fn persons(&self, rows: &[usize]) -> usize {
        match &self.table.persons {
            None => rows.len(),
            Some(persons) => rows.iter().map(|&r| persons[r]).collect::<BTreeSet<_>>().len(),
        }
    }

    /// The sides of the cut that stay and the number of rows that do not, if it is allowable.
    fn allow(&self, sides: Vec<Vec<usize>>, budget: usize) -> Option<(Vec<Vec<usize>>, usize)> {
        let (kept, small): (Vec<_>, Vec<_>) = sides.into_iter().partition(|s| self.persons(s) >= self.k);
        let dropped: usize = small.iter().map(Vec::len).sum();
        (dropped <= budget && !kept.is_empty()).then_some((kept, dropped))
    }

    fn cuts(&self, column: usize, rows: &[usize], budget: usize) -> Vec<(Vec<Vec<usize>>, usize)> {
        let cell = |r: &usize| &self.table.columns[column].1[*r];
        let split = |front: &dyn Fn(&Cell) -> bool| -> Vec<Vec<usize>> {
            let (a, b): (Vec<usize>, Vec<usize>) = rows.iter().partition(|r| front(cell(r)));
            vec![a, b]
        };
        let mut cuts = vec![(split(&|c| *c == Cell::Null), budget)];
        if let Kind::Tree(paths) = &self.table.columns[column].0 {
            if self.labels(column, rows).len() < 2 {
                return cuts;
            }
            let below = self.level(column, rows, paths) - 1;
            let mut children: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
            for row in rows {
                if let Cell::Label(label) = cell(row) {
                    children.entry(label_at(paths, label, below)).or_default().push(*row);
                }
            }
            let mut children: Vec<Vec<usize>> = children.into_values().collect();
            children[0].extend(rows.iter().filter(|r| *cell(r) == Cell::Null));
            cuts.push((children, budget));
        } else {
            let order = |a: &Cell, b: &Cell| match (a, b) {
                (Cell::Number(a), Cell::Number(b)) => a.total_cmp(b),
                (Cell::Label(a), Cell::Label(b)) => a.cmp(b),
                (Cell::Null, Cell::Null) => std::cmp::Ordering::Equal,
                (Cell::Null, _) => std::cmp::Ordering::Less,
                _ => std::cmp::Ordering::Greater,
            };
            let mut sorted: Vec<&Cell> = rows.iter().map(cell).collect();
            sorted.sort_by(|a, b| order(a, b));
            let median = sorted[(sorted.len() - 1) / 2];
            for budget in [0, budget] {
                cuts.push((split(&|c| order(c, median).is_le()), budget));
                cuts.push((split(&|c| order(c, median).is_lt()), budget));
            }
        }
        cuts
    }

    fn solve(&mut self, rows: Vec<usize>, budget: usize) {
        let mut columns: Vec<(f64, usize)> = (0..self.table.columns.len()).map(|c| (self.width(c, &rows), c)).collect();
        columns.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (_, column) in columns {
            for (sides, limit) in self.cuts(column, &rows, budget) {
                if sides.iter().any(Vec::is_empty) {
                    continue;
                }
                let Some((sides, dropped)) = self.allow(sides, limit) else { continue };
                // The rest is dealt out so that the first sides together never hold more than their share.
                let (rest, kept, mut seen, mut dealt) = (budget - dropped, rows.len() - dropped, 0, 0);
                for side in sides {
                    seen += side.len();
                    let mine = rest * seen / kept - dealt;
                    dealt += mine;
                    self.solve(side, mine);
                }
                return;
            }
        }
        self.classes.push(rows);
    }
}

fn label_at<'a>(paths: &'a BTreeMap<String, Vec<String>>, value: &'a str, level: usize) -> &'a str {
    if level == 0 { value } else { &paths[value][level - 1] }
}

fn reference(table: &Table, k: usize, limit: f64) -> Vec<u32> {
    let mut reference = Reference { table, k, classes: vec![] };
    reference.solve((0..table.rows).collect(), (limit * table.rows as f64) as usize);
    let mut class_of = vec![SUPPRESSED; table.rows];
    for (class, rows) in (0..).zip(&reference.classes) {
        rows.iter().for_each(|&r| class_of[r] = class);
    }
    class_of
}

fn same_as_reference(table: &Table, k: usize, limit: f64) -> usize {
    let frame = table.frame();
    let persons = Reference { table, k, classes: vec![] }.persons(&(0..table.rows).collect::<Vec<_>>());
    let release = anonymize(&frame, &table.hierarchies(&frame), k, limit);
    if persons < k {
        assert!(release.unwrap_err().to_string().contains(&format!("only {persons} ")));
        return 0;
    }
    let release = release.unwrap();
    assert_eq!(release.class_of, reference(table, k, limit), "k {k}, limit {limit}, {table:?}");
    release.classes.len()
}

#[test]
fn small_tables_have_the_classes_of_the_reference() {
    let mut classes = 0;
    for seed in 0..1500 {
        let table = Table::random(seed, [4, 9, 30, 120][seed as usize % 4]);
        for (k, limit) in [(2, 0.0), (3, 0.25), (5, 0.0), (4, 0.5), (2, 1.0)] {
            classes += same_as_reference(&table, k, limit);
        }
    }
    // Tables that are hardly ever cut would compare nothing.
    assert!(classes > 50_000, "{classes}");
}

#[test]
fn large_tables_have_the_classes_of_the_reference() {
    // Large enough to be divided among threads.
    for seed in 0..6 {
        same_as_reference(&Table::random(seed, 40_000), 20, [0.0, 0.1][seed as usize % 2]);
    }
}

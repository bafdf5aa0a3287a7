//! The same classes as a plain recursive implementation of the rules, which copies rows and looks at everything anew.

use std::collections::{BTreeMap, BTreeSet};

use lookalike_anonymize::SUPPRESSED;

use crate::tables::{Cell, Kind, Table, anonymize};

/// A person (a row, without persons): rows, and in each column the lowest and highest value present.
struct Item {
    rows: Vec<usize>,
    low: Vec<Cell>,
    high: Vec<Cell>,
}

struct Reference<'t> {
    table: &'t Table,
    items: Vec<Item>,
    k: usize,
    classes: Vec<Vec<usize>>,
}

/// Order of the values of a column: missing first, leaves of a tree by their labels from the root down.
fn order(kind: &Kind, a: &Cell, b: &Cell) -> std::cmp::Ordering {
    match (kind, a, b) {
        (Kind::Tree(paths), Cell::Label(a), Cell::Label(b)) => {
            let down = |value: &String| (paths[value].iter().rev().cloned().collect::<Vec<_>>(), value.clone());
            down(a).cmp(&down(b))
        }
        (_, Cell::Number(a), Cell::Number(b)) => a.total_cmp(b),
        (_, Cell::Label(a), Cell::Label(b)) => a.cmp(b),
        (_, Cell::Null, Cell::Null) => std::cmp::Ordering::Equal,
        (_, Cell::Null, _) => std::cmp::Ordering::Less,
        _ => std::cmp::Ordering::Greater,
    }
}

impl<'t> Reference<'t> {
    fn new(table: &'t Table, k: usize) -> Self {
        let mut rows: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for row in 0..table.rows {
            rows.entry(table.persons.as_ref().map_or(row as i64, |p| p[row])).or_default().push(row);
        }
        let items = rows.into_values().map(|rows| {
            let present = |(kind, cells): &(Kind, Vec<Cell>)| {
                let mut all: Vec<Cell> = rows.iter().map(|&r| cells[r].clone()).filter(|c| *c != Cell::Null).collect();
                all.sort_by(|a, b| order(kind, a, b));
                all
            };
            let end = |pick: fn(&[Cell]) -> Option<&Cell>| {
                table.columns.iter().map(|c| pick(&present(c)).cloned().unwrap_or(Cell::Null)).collect()
            };
            Item { low: end(|c| c.first()), high: end(|c| c.last()), rows }
        });
        Self { table, items: items.collect(), k, classes: vec![] }
    }

    /// Lowest and highest values of some items in a column, where present.
    fn ends<'a>(&'a self, column: usize, items: &'a [usize]) -> impl Iterator<Item = &'a Cell> + 'a {
        let both = items.iter().flat_map(move |&i| [&self.items[i].low[column], &self.items[i].high[column]]);
        both.filter(|c| **c != Cell::Null)
    }

    fn labels<'a>(cells: impl Iterator<Item = &'a Cell>) -> BTreeSet<&'a str> {
        cells.filter_map(|c| if let Cell::Label(l) = c { Some(l.as_str()) } else { None }).collect()
    }

    fn lows<'a>(&'a self, column: usize, items: &'a [usize]) -> impl Iterator<Item = &'a Cell> + 'a {
        items.iter().map(move |&i| &self.items[i].low[column]).filter(|c| **c != Cell::Null)
    }

    fn range(&self, column: usize, items: &[usize]) -> f64 {
        let numbers = || self.ends(column, items).filter_map(|c| if let Cell::Number(v) = c { Some(*v) } else { None });
        let (high, low) = (numbers().reduce(f64::max), numbers().reduce(f64::min));
        high.zip(low).map_or(0.0, |(high, low)| high - low)
    }

    fn width(&self, column: usize, items: &[usize]) -> f64 {
        let all: Vec<usize> = (0..self.items.len()).collect();
        match &self.table.columns[column].0 {
            _ if self.ends(column, items).collect::<Vec<_>>().windows(2).all(|w| w[0] == w[1]) => 0.0,
            Kind::Number => self.range(column, items) / self.range(column, &all),
            Kind::Category => {
                let whole = Self::labels(self.ends(column, &all)).len();
                Self::labels(self.lows(column, items)).len() as f64 / whole as f64
            }
            Kind::Tree(paths) => {
                let labels = Self::labels(self.ends(column, items));
                let level = level(&labels, paths);
                let node = label_at(paths, labels.first().unwrap(), level);
                paths.keys().filter(|v| label_at(paths, v, level) == node).count() as f64 / paths.len() as f64
            }
        }
    }

    fn rows(&self, items: &[usize]) -> usize {
        items.iter().map(|&i| self.items[i].rows.len()).sum()
    }

    /// The sides of the cut that stay and the number of rows that do not, if it is allowable.
    fn allow(&self, sides: Vec<Vec<usize>>, budget: usize) -> Option<(Vec<Vec<usize>>, usize)> {
        let (kept, small): (Vec<_>, Vec<_>) = sides.into_iter().partition(|s| s.len() >= self.k);
        let dropped: usize = small.iter().map(|s| self.rows(s)).sum();
        (dropped <= budget && !kept.is_empty()).then_some((kept, dropped))
    }

    fn cuts(&self, column: usize, items: &[usize], budget: usize) -> Vec<(Vec<Vec<usize>>, usize)> {
        let kind = &self.table.columns[column].0;
        let cell = |i: &usize| &self.items[*i].low[column];
        let split = |front: &dyn Fn(&Cell) -> bool| -> Vec<Vec<usize>> {
            let (a, b): (Vec<usize>, Vec<usize>) = items.iter().partition(|r| front(cell(r)));
            vec![a, b]
        };
        let mut cuts = vec![(split(&|c| *c == Cell::Null), budget)];
        if let Kind::Tree(paths) = kind {
            let labels = Self::labels(self.lows(column, items));
            if labels.len() < 2 {
                return cuts;
            }
            let below = level(&labels, paths) - 1;
            let mut children: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
            for item in items {
                if let Cell::Label(label) = cell(item) {
                    children.entry(label_at(paths, label, below)).or_default().push(*item);
                }
            }
            let mut children: Vec<Vec<usize>> = children.into_values().collect();
            children[0].extend(items.iter().filter(|r| *cell(r) == Cell::Null));
            cuts.push((children, budget));
        } else {
            let mut sorted: Vec<&Cell> = items.iter().map(cell).collect();
            sorted.sort_by(|a, b| order(kind, a, b));
            let median = sorted[(sorted.len() - 1) / 2];
            for budget in [0, budget] {
                cuts.push((split(&|c| order(kind, c, median).is_le()), budget));
                cuts.push((split(&|c| order(kind, c, median).is_lt()), budget));
            }
        }
        cuts
    }

    fn solve(&mut self, items: Vec<usize>, budget: usize) {
        let mut columns: Vec<(f64, usize)> =
            (0..self.table.columns.len()).map(|c| (self.width(c, &items), c)).collect();
        columns.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (_, column) in columns {
            for (sides, limit) in self.cuts(column, &items, budget) {
                if sides.iter().any(Vec::is_empty) {
                    continue;
                }
                let Some((sides, dropped)) = self.allow(sides, limit) else { continue };
                // The rest is dealt out so that the first sides together never hold more than their share.
                let (rest, kept, mut seen, mut dealt) = (budget - dropped, self.rows(&items) - dropped, 0, 0);
                for side in sides {
                    seen += self.rows(&side);
                    let mine = rest * seen / kept - dealt;
                    dealt += mine;
                    self.solve(side, mine);
                }
                return;
            }
        }
        self.classes.push(items);
    }
}

/// Lowest level at which all values have one label: 0 for the values themselves.
fn level(labels: &BTreeSet<&str>, paths: &BTreeMap<String, Vec<String>>) -> usize {
    let at = |level| labels.iter().map(|l| label_at(paths, l, level)).collect::<BTreeSet<_>>().len();
    (0..).find(|&level| at(level) == 1).unwrap()
}

fn label_at<'a>(paths: &'a BTreeMap<String, Vec<String>>, value: &'a str, level: usize) -> &'a str {
    if level == 0 { value } else { &paths[value][level - 1] }
}

fn reference(table: &Table, k: usize, limit: f64) -> Vec<u32> {
    let mut reference = Reference::new(table, k);
    reference.solve((0..reference.items.len()).collect(), (limit * table.rows as f64) as usize);
    let mut class_of = vec![SUPPRESSED; table.rows];
    for (class, items) in (0..).zip(&reference.classes) {
        items.iter().flat_map(|&i| &reference.items[i].rows).for_each(|&r| class_of[r] = class);
    }
    class_of
}

fn same_as_reference(table: &Table, k: usize, limit: f64) -> usize {
    let frame = table.frame();
    let persons = Reference::new(table, k).items.len();
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
    assert!(classes > 45_000, "{classes}");
}

#[test]
fn large_tables_have_the_classes_of_the_reference() {
    // Large enough to be divided among threads.
    for seed in 0..6 {
        same_as_reference(&Table::random(seed, 40_000), 20, [0.0, 0.1][seed as usize % 2]);
    }
}

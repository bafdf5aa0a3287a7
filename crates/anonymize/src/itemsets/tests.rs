use std::collections::BTreeMap;

use lookalike_core::{ErrorKind, Host, Streams, uniform};

use super::*;

fn texts(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|l| l.to_string()).collect()
}

fn transactions(sets: &[&[u32]], labels: &[String]) -> Transactions {
    let offsets: Vec<usize> = std::iter::once(0)
        .chain(sets.iter().scan(0, |end, set| {
            *end += set.len();
            Some(*end)
        }))
        .collect();
    Transactions::new(&offsets, &sets.concat(), labels.to_vec()).unwrap()
}

/// The hierarchy of items given as (item, label one level up, ...).
fn hierarchy(transactions: &Transactions, rows: &[&[&str]]) -> Hierarchy {
    let levels: Vec<Vec<Option<String>>> =
        (0..rows[0].len()).map(|l| rows.iter().map(|r| Some(r[l].to_string())).collect()).collect();
    Hierarchy::from_levels(&transactions.item_column("code"), &levels).unwrap()
}

fn km(transactions: &Transactions, hierarchy: Option<&Hierarchy>, k: usize, m: usize) -> Result<KmRelease> {
    km_anonymize(transactions, hierarchy, KmParams::new(k, m).unwrap(), &Job::unbounded())
}

fn shown(release: &KmRelease, transactions: &Transactions) -> Vec<String> {
    let (offsets, codes) = release.render(transactions);
    let text = |range: &[usize]| {
        let labels: Vec<&str> =
            codes[range[0]..range[1]].iter().map(|&c| release.labels[c as usize].as_str()).collect();
        labels.join(" ")
    };
    offsets.windows(2).map(text).collect()
}

const TREE: &[&[&str]] = &[&["a1", "A"], &["a2", "A"], &["b1", "B"], &["b2", "B"]];

/// Worked by hand for k = 2, m = 2: all single items are held by 2 persons or more; of the pairs only {a1, b1} (first
/// set) and {a1, a2} (last set) are rare. A meets them three times (a1 twice, a2 once) and costs 5 occurrences times
/// 2/4, B meets once and costs 6 times 2/4.
fn four_persons() -> Transactions {
    transactions(&[&[0, 2, 3], &[1, 2], &[3, 2, 1], &[0, 1, 3]], &texts(&["a1", "a2", "b1", "b2"]))
}

#[test]
fn rare_pairs_generalise_the_subtree_that_costs_least() {
    let sets = four_persons();
    let release = km(&sets, Some(&hierarchy(&sets, TREE)), 2, 2).unwrap();
    assert_eq!(shown(&release, &sets), ["A b1 b2", "A b1", "A b1 b2", "A b2"]);
    assert_eq!((release.items, release.items_generalized, release.items_suppressed), (4, 2, 0));
    assert_eq!((release.occurrences, release.occurrences_generalized, release.occurrences_suppressed), (11, 5, 0));
    assert!((release.information_loss - 5.0 * 0.5 / 11.0).abs() < 1e-12);
    assert_eq!(release.label(1), Some("A"));
    let claim = release.guarantee("person");
    assert_eq!((claim.k, claim.epsilon), (Some(2), None));
    assert!(claim.statement.starts_with(
        "each combination of up to 2 released labels that occurs in a set occurs in the sets of at least 2 persons"
    ));
}

#[test]
fn without_a_hierarchy_the_item_in_most_rare_pairs_goes() {
    // a1 is in both rare pairs and has two occurrences; a2 and b1 are in one each and have three.
    let sets = four_persons();
    let release = km(&sets, None, 2, 2).unwrap();
    assert_eq!(shown(&release, &sets), ["b1 b2", "a2 b1", "a2 b1 b2", "a2 b2"]);
    assert_eq!((release.items_suppressed, release.occurrences_suppressed), (1, 2));
    assert!((release.information_loss - 2.0 / 11.0).abs() < 1e-12);
    assert_eq!(release.label(0), None);
}

#[test]
fn within_the_limit_items_are_removed_where_that_loses_less() {
    // Removing a1 answers both rare pairs for 2 occurrences, that is 1 pair per occurrence lost; A answers 3 for 2.5.
    let sets = four_persons();
    let tree = hierarchy(&sets, TREE);
    let params = |limit| KmParams::new(2, 2).unwrap().with_suppression_limit(limit).unwrap();
    let release = km_anonymize(&sets, Some(&tree), params(1.0), &Job::unbounded()).unwrap();
    assert_eq!(shown(&release, &sets), ["A b1 b2", "A b1", "A b1 b2", "A b2"]);
    // One rare item beside four common ones of its branch: 1 of 10 occurrences, or 10 times 2/4 for the branch.
    let lone = transactions(&[&[0], &[1], &[1], &[1], &[1], &[1], &[1], &[1], &[1], &[1]], sets.labels());
    for (limit, first, loss) in [(0.1, "", 0.1), (0.09, "A", 0.5)] {
        let release = km_anonymize(&lone, Some(&tree), params(limit), &Job::unbounded()).unwrap();
        assert_eq!(shown(&release, &lone)[0], first);
        assert!((release.information_loss - loss).abs() < 1e-12);
    }
}

#[test]
fn the_root_is_shown_when_nothing_less_will_do() {
    // Three persons with one item each: any label but the root is held by fewer than 3.
    let sets = transactions(&[&[0], &[1], &[2]], &texts(&["a1", "a2", "b1", "b2"]));
    let release = km(&sets, Some(&hierarchy(&sets, TREE)), 3, 1).unwrap();
    assert_eq!(shown(&release, &sets), ["*", "*", "*"]);
    assert_eq!((release.items, release.items_generalized, release.information_loss), (3, 3, 1.0));
    let release = km(&sets, None, 3, 1).unwrap();
    assert_eq!(shown(&release, &sets), ["", "", ""]);
    assert_eq!((release.items_suppressed, release.information_loss), (3, 1.0));
}

#[test]
fn what_is_anonymous_stays_as_it_is() {
    // m may be larger than every set, sets may be empty, and items that nobody has are of no interest.
    let sets = transactions(&[&[0, 2], &[], &[2, 0, 0]], &texts(&["a1", "a2", "b1", "b2"]));
    for tree in [None, Some(&hierarchy(&sets, TREE))] {
        let release = km(&sets, tree, 2, MAX_M).unwrap();
        assert_eq!(shown(&release, &sets), ["a1 b1", "", "a1 b1"]);
        assert_eq!((release.items, release.information_loss), (2, 0.0));
    }
    let single = transactions(&[&[0], &[0]], &texts(&["x"]));
    assert_eq!(shown(&km(&single, None, 2, 1).unwrap(), &single), ["x", "x"]);
}

#[test]
fn one_set_is_united_from_the_rows_of_a_person() {
    let labels = texts(&["x", "y"]);
    let sets = Transactions::from_pairs(3, &[2, 0, 2, 2, 0], &[1, 0, 0, 1, MISSING], labels.clone()).unwrap();
    assert_eq!(sets, transactions(&[&[0], &[], &[0, 1]], &labels));
}

/// How many sets hold each combination of 1 to m labels, by listing all of them.
fn supports(sets: &[Vec<&str>], m: usize) -> BTreeMap<Vec<String>, usize> {
    let mut supports = BTreeMap::new();
    for set in sets {
        for chosen in 1u32..1 << set.len() {
            if chosen.count_ones() as usize <= m {
                let labels = (0..set.len()).filter(|i| chosen >> i & 1 == 1).map(|i| set[i].to_string());
                *supports.entry(labels.collect()).or_insert(0) += 1;
            }
        }
    }
    supports
}

#[test]
fn every_combination_that_leaves_is_shared_whatever_the_order() {
    let labels = texts(&["a1", "a2", "a3", "b1", "b2", "c1", "c2", "c3", "c4"]);
    let tree: &[&[&str]] = &[
        &["a1", "A", "AB"],
        &["a2", "A", "AB"],
        &["a3", "A", "AB"],
        &["b1", "B", "AB"],
        &["b2", "B", "AB"],
        &["c1", "C", "CC"],
        &["c2", "C", "CC"],
        &["c3", "D", "CC"],
        &["c4", "D", "CC"],
    ];
    let mut rng = Streams::new(3, "test").block(0);
    let (mut changed, mut kept) = (0, 0);
    for round in 0..30 {
        // The last items are the rarest.
        let sets: Vec<Vec<u32>> = (0..20 + round)
            .map(|_| (0..9).filter(|&i| uniform(&mut rng) < 0.6 / f64::from(1 + i % 4)).collect())
            .collect();
        let borrowed: Vec<&[u32]> = sets.iter().map(Vec::as_slice).collect();
        let ordered = transactions(&borrowed, &labels);
        let mut shuffled = borrowed.clone();
        for i in (1..shuffled.len()).rev() {
            shuffled.swap(i, (uniform(&mut rng) * (i + 1) as f64) as usize);
        }
        let shuffled = transactions(&shuffled, &labels);
        let tree = hierarchy(&ordered, tree);
        for (k, m, tree, limit) in (2..=5)
            .flat_map(|k| (1..=3).map(move |m| (k, m)))
            .flat_map(|(k, m)| [(None, 0.0), (Some(&tree), 0.0), (Some(&tree), 0.5)].map(|(t, limit)| (k, m, t, limit)))
        {
            let params = KmParams::new(k, m).unwrap().with_suppression_limit(limit).unwrap();
            let release = km_anonymize(&ordered, tree, params, &Job::unbounded()).unwrap();
            let (offsets, codes) = release.render(&ordered);
            let sets: Vec<Vec<&str>> = offsets
                .windows(2)
                .map(|w| codes[w[0]..w[1]].iter().map(|&c| release.labels[c as usize].as_str()).collect())
                .collect();
            for (labels, support) in supports(&sets, m) {
                assert!(support >= k, "k = {k}, m = {m}: {labels:?} is held by {support}");
            }
            assert_eq!(km_anonymize(&shuffled, tree, params, &Job::unbounded()).unwrap(), release);
            if tree.is_some() {
                let all = release.occurrences as f64;
                assert!(release.occurrences_suppressed as f64 <= limit * all);
                // Whole subtrees: no item beside one that is shown as B stands for itself.
                let [b1, b2] = [3, 4].map(|item| release.label(item));
                assert!((b1 == Some("B")) == (b2 == Some("B")) || b1.is_none() || b2.is_none());
                if limit == 0.0 {
                    assert!(sets.iter().zip(&borrowed).all(|(s, b)| s.is_empty() == b.is_empty()));
                }
            }
            changed += usize::from(release.information_loss > 0.0);
            kept += usize::from(release.information_loss < 0.5);
        }
    }
    assert!(changed > 100 && kept > 100, "{changed} {kept}");
}

#[test]
fn the_check_on_what_leaves_finds_a_rare_pair() {
    let sets = four_persons();
    let mut release = km(&sets, None, 2, 2).unwrap();
    release.shown = vec![0, 1, 2, 3];
    release.labels = sets.labels().to_vec();
    let error = release.verify(&sets, &Job::unbounded()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.message().ends_with("fewer than 2 persons share {a1, a2}"), "{error}");
}

#[test]
fn wrong_calls_and_too_large_ones_say_what_is_allowed() {
    let message = |k, m| KmParams::new(k, m).unwrap_err().to_string();
    assert_eq!(message(1, 2), "k is 1, allowed is an integer of at least 2");
    for m in [0, 6] {
        assert!(message(2, m).starts_with(&format!("m is {m}, allowed is an integer from 1 to 5")));
    }
    let limit = KmParams::new(2, 2).unwrap().with_suppression_limit(1.5).unwrap_err().to_string();
    assert!(limit.starts_with("suppression_limit is 1.5, allowed is a number from 0 to 1"));
    let labels = texts(&["x", "y"]);
    for (offsets, items) in [(&[0, 2][..], &[0][..]), (&[0, 2, 1, 2], &[0, 1]), (&[], &[]), (&[0, 1], &[2])] {
        assert_eq!(Transactions::new(offsets, items, labels.clone()).unwrap_err().kind(), ErrorKind::Internal);
    }
    assert!(Transactions::new(&[0, 0], &[], texts(&["y", "x"])).is_err());

    let few = transactions(&[&[0], &[], &[1]], &labels);
    let error = km(&few, None, 3, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_eq!(error.message(), "k is 3, but only 2 of 3 persons have an item: k can be at most that");

    // 500 sets of 300 items: 500 * 300 * 299 * 298 / 6 triples, none of which would be rare.
    let labels: Vec<String> = (0..300).map(|i| format!("{i:03}")).collect();
    let long: Vec<u32> = (0..300).collect();
    let error = km(&transactions(&vec![&long[..]; 500], &labels), None, 2, 3).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Resources);
    assert!(
        error.message().starts_with(
            "m: the sets hold 2227550000 combinations of 3 items (the longest has 300 items), at most 2000000000 are \
             counted: use m of 2 or less"
        ),
        "{error}"
    );
}

struct Stopped;

impl Host for Stopped {
    fn cancelled(&self) -> bool {
        true
    }
    fn grow(&self, _: usize, _: &str) -> Result<()> {
        Ok(())
    }
    fn shrink(&self, _: usize) {}
    fn count(&self, _: &'static str, _: usize) {}
    fn progress(&self, _: &'static str, _: u64, _: u64) {}
}

#[test]
fn a_cancelled_job_ends() {
    let job = Job::new(Arc::new(Stopped));
    let error = km_anonymize(&four_persons(), None, KmParams::new(2, 2).unwrap(), &job).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

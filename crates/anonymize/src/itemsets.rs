//! k^m-anonymity of set-valued data (Terrovitis, Mamoulis & Kalnis, VLDB 2008).
//!
//! Each person has a set of items: the codes of a visit, the drugs of a year. Somebody who knows up to m items of a
//! person must find at least k persons with them. Items are recoded globally, so that a code means the same in every
//! set: with a hierarchy an item is shown as a node above it, and all items below that node with it (full subtrees);
//! without one, or within a suppression limit, an item is removed from all sets.
//!
//! *Guarantee.* Every combination of up to m released labels that occurs in a released set occurs in the sets of at
//! least k persons. Counted on what leaves, after the recoding.
//! *Unit.* The set. The sets of one person have to be united first ([`Transactions::from_pairs`] does it).
//! *Not covered.* Knowledge of more than m items, of what a person does not have, of multiplicities, and of columns
//! beside the sets; who is in the table; two releases of one table, which can intersect to fewer than k.
//! *Utility.* The loss of an item is the share of all leaves below the node it is shown as, 0 for the item itself and
//! 1 when it is removed; the information loss of a release is the mean over the occurrences (NCP, ibid., section 3.1).
//! *Cost.* Proportional to the combinations of m items that the sets hold, sum of binomial(length, m): more than
//! [`MAX_COMBINATIONS`] are refused. Combinations that too few share are held in memory, 4 m bytes each and at most
//! about four million at a time.
//! *Citations.* Terrovitis, Mamoulis & Kalnis, Privacy-preserving anonymization of set-valued data, PVLDB 1(1), 2008.
//!
//! # The search
//!
//! Sizes 1 to m in turn, as in the paper's Apriori-based algorithm: what is generalised for small combinations need
//! not be counted in large ones. At each size all combinations that occur are counted, and those of fewer than k
//! persons are answered by steps. A step generalises the items below one node to that node, or removes what is shown as
//! one node (without a hierarchy, or within the suppression limit). The
//! next step is always the one that meets the most rare combinations per information lost (ties: the lower level, then
//! the order of the labels), until each rare combination has met a step; then the size is counted again. Generalising
//! never makes a combination rarer, so that finished sizes stay finished.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use lookalike_core::{CategoryDomain, Column, Domain, Error, Guarantee, Job, MISSING, Result, Values};

use crate::Hierarchy;

mod count;
mod forest;

use count::Sets;
use forest::{Forest, Recoding};

/// Largest m.
pub const MAX_M: usize = 5;

/// Combinations of one size that are counted at most in one pass.
pub const MAX_COMBINATIONS: u64 = 2_000_000_000;

/// What k^m-anonymity is asked for; made by [`KmParams::new`] alone.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `k` | none | persons that share every released combination | at least 2 |
/// | `m` | none | items of a person that somebody may know | 1 to 5 |
/// | `suppression_limit` | 0 | share of the pairs of a person and an item that may be removed instead of generalised | 0 to 1 |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KmParams {
    k: usize,
    m: usize,
    suppression_limit: f64,
}

impl KmParams {
    /// Persons that share every combination, at least 2, and items known to somebody, 1 to [`MAX_M`]. An argument
    /// error names the parameter, its value and what is allowed.
    pub fn new(k: usize, m: usize) -> Result<Self> {
        if k < 2 {
            return Err(Error::argument(format!("k is {k}, allowed is an integer of at least 2")));
        }
        if !(1..=MAX_M).contains(&m) {
            return Err(Error::argument(format!(
                "m is {m}, allowed is an integer from 1 to {MAX_M} (items of a person that somebody may know)"
            )));
        }
        Ok(Self { k, m, suppression_limit: 0.0 })
    }

    /// The same with removal of items beside their generalisation, up to a share of all pairs of a person and an item,
    /// 0 to 1. Without a hierarchy removal is the only way, and the limit has no influence.
    pub fn with_suppression_limit(self, suppression_limit: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&suppression_limit) {
            return Err(Error::argument(format!(
                "suppression_limit is {suppression_limit}, allowed is a number from 0 to 1 (a share of the pairs of a \
                 person and an item)"
            )));
        }
        Ok(Self { suppression_limit, ..self })
    }

    /// Persons that share every combination.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Largest size of a combination.
    pub fn m(&self) -> usize {
        self.m
    }
}

/// The item sets of persons, each ascending and without repetitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transactions {
    sets: Sets,
    labels: Vec<String>,
}

impl Transactions {
    /// Set t is `items[offsets[t]..offsets[t + 1]]`, codes into the ascending `labels`, in any order; repetitions
    /// count once. An internal error when the slices do not belong together, a resources error for 2^32 items or more.
    pub fn new(offsets: &[usize], items: &[u32], labels: Vec<String>) -> Result<Self> {
        let covered = offsets.first() == Some(&0) && offsets.last() == Some(&items.len());
        if !covered || offsets.windows(2).any(|w| w[0] > w[1]) {
            return Err(Error::internal("itemsets: the offsets do not divide the items"));
        }
        check_items(items, &labels)?;
        let mut sets = Sets::new(labels.len(), offsets.len() - 1, items.len());
        for range in offsets.windows(2) {
            sets.push(items[range[0]..range[1]].iter().copied());
        }
        Ok(Self { sets, labels })
    }

    /// The sets of `persons` persons from pairs of a person and an item, in any order; [`MISSING`] items count for
    /// nothing. Set t is that of person t. Errors as in [`Transactions::new`].
    pub fn from_pairs(persons: usize, person_of: &[u32], items: &[u32], labels: Vec<String>) -> Result<Self> {
        if person_of.len() != items.len() || person_of.iter().any(|&p| p as usize >= persons) {
            return Err(Error::internal("itemsets: persons and items do not belong together"));
        }
        let present = || person_of.iter().zip(items).filter(|(_, item)| **item != MISSING);
        let mut offsets = vec![0usize; persons + 1];
        present().for_each(|(&person, _)| offsets[person as usize + 1] += 1);
        for t in 0..persons {
            offsets[t + 1] += offsets[t];
        }
        let (mut next, mut grouped) = (offsets.clone(), vec![0; offsets[persons]]);
        for (&person, &item) in present() {
            grouped[next[person as usize]] = item;
            next[person as usize] += 1;
        }
        Self::new(&offsets, &grouped, labels)
    }

    /// Number of sets, empty ones included.
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// Whether there is no set.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Items of a set as codes, ascending.
    pub fn items(&self, set: usize) -> &[u32] {
        self.sets.get(set)
    }

    /// Labels of the codes, ascending.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// A column whose values are the labels, each once: what [`Hierarchy::from_levels`] wants to know of the items.
    /// `name` is the name that its errors give.
    pub fn item_column(&self, name: &str) -> Column {
        Column {
            field: Arc::new(Field::new(name, DataType::Utf8, true)),
            domain: Domain::Category(Arc::new(CategoryDomain { labels: self.labels.clone() })),
            values: Values::Code((0..self.labels.len() as u32).collect()),
        }
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        self.sets.memory() + self.labels.iter().map(|l| size_of::<String>() + l.capacity()).sum::<usize>()
    }
}

fn check_items(items: &[u32], labels: &[String]) -> Result<()> {
    if items.len() > u32::MAX as usize {
        return Err(Error::resources(format!("itemsets: {} items in all sets, at most {} fit", items.len(), u32::MAX)));
    }
    if labels.windows(2).any(|w| w[0] >= w[1]) {
        return Err(Error::internal("itemsets: the labels are not in ascending order"));
    }
    match items.iter().find(|&&i| i as usize >= labels.len()) {
        Some(item) => Err(Error::internal(format!("itemsets: item {item} has no label"))),
        None => Ok(()),
    }
}

/// How items are shown, and what that costs.
#[derive(Debug, Clone, PartialEq)]
pub struct KmRelease {
    /// Labels that are shown, ascending and distinct.
    pub labels: Vec<String>,
    /// Place in `labels` of what each item is shown as; [`MISSING`] for items removed from all sets, and for those of
    /// no set.
    pub shown: Vec<u32>,
    /// Items that occur in some set.
    pub items: usize,
    /// Items that occur and are shown under another label.
    pub items_generalized: usize,
    /// Items that occur and are removed from all sets.
    pub items_suppressed: usize,
    /// Pairs of a person and an item.
    pub occurrences: u64,
    /// Pairs whose item is shown under another label.
    pub occurrences_generalized: u64,
    /// Pairs whose item is removed.
    pub occurrences_suppressed: u64,
    /// Mean loss of an occurrence, 0 (nothing changed) to 1 (everything is the root, or removed).
    pub information_loss: f64,
    params: KmParams,
}

impl KmRelease {
    /// What an item is shown as; `None` for a removed one.
    pub fn label(&self, item: u32) -> Option<&str> {
        let shown = *self.shown.get(item as usize)?;
        self.labels.get(shown as usize).map(String::as_str)
    }

    /// The claim: k persons share every combination of up to m labels. `unit` is whom a set belongs to, "person" or
    /// "row".
    pub fn guarantee(&self, unit: &'static str) -> Guarantee {
        let KmParams { k, m, .. } = self.params;
        Guarantee {
            k: Some(k),
            epsilon: None,
            delta: 0.0,
            unit,
            neighbours: format!("the sets of {k} {unit}s, for somebody who knows up to {m} items of one"),
            statement: format!(
                "each combination of up to {m} released labels that occurs in a set occurs in the sets of at least {k} \
                 {unit}s (k^m-anonymity), which bounds neither what more than {m} known items tell nor what other columns \
                 tell"
            ),
        }
    }

    /// The released sets, in the order of the input: codes into the labels of the release, ascending and distinct,
    /// which is also the order of the labels. Set t is `codes[offsets[t]..offsets[t + 1]]`.
    pub fn render(&self, transactions: &Transactions) -> (Vec<usize>, Vec<u32>) {
        let sets = self.released(transactions);
        (sets.offsets, sets.ids)
    }

    fn released(&self, transactions: &Transactions) -> Sets {
        let mut sets = Sets::new(self.labels.len(), transactions.len(), transactions.sets.ids.len());
        for t in 0..transactions.len() {
            let shown = transactions.items(t).iter().map(|&item| self.shown[item as usize]);
            sets.push(shown.filter(|&label| label != MISSING));
        }
        sets
    }

    /// Checks k^m-anonymity of what leaves, from the rendered sets alone. An internal error gives a combination that
    /// fewer than k persons share.
    fn verify(&self, transactions: &Transactions, job: &Job) -> Result<()> {
        let KmParams { k, m, .. } = self.params;
        let sets = self.released(transactions);
        for size in 1..=m {
            let rare = count::rare(&sets, size, k, job)?;
            if let Some(first) = rare.chunks_exact(size).next() {
                let labels: Vec<&str> = first.iter().map(|&l| self.labels[l as usize].as_str()).collect();
                return Err(Error::internal(format!(
                    "the release is not k^m-anonymous: fewer than {k} persons share {{{}}}",
                    labels.join(", ")
                )));
            }
        }
        Ok(())
    }
}

/// Recodes items so that every combination of up to m of them that occurs is shared by at least k persons. The recoding
/// depends on the sets alone, not on their order. `hierarchy` is one of the items
/// ([`Transactions::item_column`]): an item may be shown as the root. Without one, items are removed. With one they are
/// only within the suppression limit, which pays where two rare branches of the tree meet in few persons: their common
/// node, and with it everything below, would have to be shown otherwise.
///
/// Fails with a data error when fewer than k persons have any item, as no item could be shown at all, and with a
/// resources error when the sets hold more than [`MAX_COMBINATIONS`] combinations of some size up to m.
///
/// ```
/// use lookalike_anonymize::itemsets::{KmParams, Transactions, km_anonymize};
/// use lookalike_core::Job;
///
/// // Four persons; 'rare' is known of one alone.
/// let labels: Vec<String> = ["cough", "fever", "rare"].map(String::from).into();
/// let sets = Transactions::new(&[0, 2, 4, 7, 8], &[0, 1, 0, 1, 0, 1, 2, 0], labels)?;
/// let release = km_anonymize(&sets, None, KmParams::new(2, 2)?, &Job::unbounded())?;
/// assert_eq!(release.labels, ["cough", "fever"]);
/// assert_eq!(release.render(&sets), (vec![0, 2, 4, 6, 7], vec![0, 1, 0, 1, 0, 1, 0]));
/// assert_eq!(release.occurrences_suppressed, 1);
/// # Ok::<(), lookalike_core::Error>(())
/// ```
pub fn km_anonymize(
    transactions: &Transactions,
    hierarchy: Option<&Hierarchy>,
    params: KmParams,
    job: &Job,
) -> Result<KmRelease> {
    let persons = (0..transactions.len()).filter(|&t| !transactions.items(t).is_empty()).count();
    if persons < params.k {
        return Err(Error::data(format!(
            "k is {}, but only {persons} of {} persons have an item: k can be at most that",
            params.k,
            transactions.len()
        )));
    }
    let forest = match hierarchy {
        Some(hierarchy) => Forest::of_hierarchy(hierarchy, transactions.labels.len())?,
        None => Forest::of_items(&transactions.labels),
    };
    let _recoded = job.reserve(transactions.sets.memory() + forest.memory(), "recoding item sets")?;
    let mut recoding = Recoding::new(&forest, &transactions.sets, hierarchy.map_or(1.0, |_| params.suppression_limit));
    for size in 1..=params.m {
        loop {
            job.check()?;
            job.progress("anonymising", size as u64 - 1, params.m as u64);
            let sets = recoding.apply(&transactions.sets);
            let rare = count::rare(&sets, size, params.k, job)?;
            if rare.is_empty() {
                break;
            }
            recoding.repair(&rare, size, job)?;
            debug_assert!(recoding.is_consistent());
        }
    }
    let release = recoding.release(&transactions.labels, params);
    release.verify(transactions, job)?;
    job.count("items_generalized", release.items_generalized);
    job.count("items_suppressed", release.items_suppressed);
    Ok(release)
}

#[cfg(test)]
mod tests;

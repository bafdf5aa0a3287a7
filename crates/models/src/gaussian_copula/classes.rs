//! The cells of a group as the classes that its tree tells apart.

use super::groups::Group;
use super::tree::Tree;

/// Most classes of a group: profiles are compared with each other, and infrequent cells have none to speak of.
const MAX_CLASSES: usize = 512;

/// Which cells are told apart: all of a few, else the most frequent ones and the others as one.
pub(crate) struct Classes {
    /// Cells of each class, ascending.
    cells: Vec<Vec<u32>>,
    /// Rows of each class.
    pub count: Vec<u64>,
    /// Class of each training row.
    pub code: Vec<u16>,
}

impl Classes {
    pub fn of(group: &Group) -> Self {
        Self::at_most(group, MAX_CLASSES)
    }

    fn at_most(group: &Group, most: usize) -> Self {
        let mut cells: Vec<Vec<u32>> = (0..group.len() as u32).map(|c| vec![c]).collect();
        if cells.len() > most {
            cells.sort_by_key(|c| (std::cmp::Reverse(group.count[c[0] as usize]), c[0]));
            let mut others: Vec<u32> = cells.drain(most - 1..).flatten().collect();
            others.sort_unstable();
            cells.push(others);
        }
        let mut class_of = vec![0u16; group.len()];
        let classes = cells.iter().zip(0..);
        classes.for_each(|(cells, class)| cells.iter().for_each(|&c| class_of[c as usize] = class));
        let count = cells.iter().map(|cells| cells.iter().map(|&c| group.count[c as usize]).sum()).collect();
        let code = group.code.iter().map(|&c| class_of[c as usize]).collect();
        Self { cells, count, code }
    }

    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// A tree of cells from one of classes.
    pub fn expand(&self, tree: Tree) -> Tree {
        let cells = |classes: &[u32]| classes.iter().flat_map(|&c| &self.cells[c as usize]).copied().collect();
        let mut tree = tree;
        tree.leaves.iter_mut().for_each(|leaf| *leaf = cells(leaf));
        tree.splits.iter_mut().for_each(|s| (s.left, s.right) = (cells(&s.left), cells(&s.right)));
        tree
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::{Child, Split};
    use super::*;

    #[test]
    fn infrequent_cells_are_one_class_and_come_back() {
        // Cells of 1, 3, 2, 1 and 4 rows.
        let group = Group::of_codes(0, &[0, 1, 1, 1, 2, 2, 3, 4, 4, 4, 4]);
        let classes = Classes::at_most(&group, 3);
        assert_eq!(classes.cells, [vec![4], vec![1], vec![0, 2, 3]]);
        assert_eq!(classes.count, [4, 3, 4]);
        assert_eq!(classes.code, [2, 1, 1, 1, 2, 2, 2, 0, 0, 0, 0]);
        let split = Split { left: vec![2], right: vec![0, 1], children: [Child::Leaf(0), Child::Leaf(1)] };
        let tree = Tree { root: Child::Split(0), splits: vec![split], leaves: vec![vec![2], vec![0, 1]] };
        let tree = classes.expand(tree);
        assert_eq!(tree.leaves, [vec![0, 2, 3], vec![4, 1]]);
        assert_eq!([&tree.splits[0].left, &tree.splits[0].right], [&vec![0, 2, 3], &vec![4, 1]]);
        // Few cells stay as they are.
        assert_eq!(Classes::of(&group).code.iter().map(|&c| c.into()).collect::<Vec<u32>>(), group.code);
    }
}

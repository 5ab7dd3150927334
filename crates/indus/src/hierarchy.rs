//! Parents before children.
//!
//! Input: for each row the index of its parent, if it has one. Output: the rows in levels, so that the rows of one
//! level can be registered side by side. A row has one parent, so what can't be put into levels hangs on a cycle.
//!
//! Cost: linear, without recursion.

/// Rows that are one another's parents: each is followed by its parent, the last by the first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cycle(pub(crate) Vec<usize>);

/// Indices of `parents` in levels; each level is in ascending order.
///
/// Errors: the [`Cycle`] that is reached from the first row on one; it begins with its least row.
pub(crate) fn levels(parents: &[Option<usize>]) -> Result<Vec<Vec<usize>>, Cycle> {
    let mut children = vec![Vec::new(); parents.len()];
    let mut level = Vec::new();
    for (row, parent) in parents.iter().enumerate() {
        match parent {
            Some(parent) => children[*parent].push(row),
            None => level.push(row),
        }
    }
    let mut placed = vec![false; parents.len()];
    let mut levels = Vec::new();
    while !level.is_empty() {
        let mut next = Vec::new();
        for row in &level {
            placed[*row] = true;
            next.append(&mut children[*row]);
        }
        next.sort_unstable();
        levels.push(std::mem::replace(&mut level, next));
    }
    match placed.iter().position(|placed| !placed) {
        None => Ok(levels),
        Some(row) => Err(cycle_above(parents, row)),
    }
}

/// The cycle that the parents of `row` lead to.
fn cycle_above(parents: &[Option<usize>], row: usize) -> Cycle {
    let mut visited = vec![false; parents.len()];
    let mut path = Vec::new();
    let mut row = Some(row);
    while let Some(next) = row.filter(|row| !visited[*row]) {
        visited[next] = true;
        path.push(next);
        row = parents[next];
    }
    // The row that ended the walk is the first of the cycle; what led to it is not part of it.
    let start = path
        .iter()
        .position(|visited| Some(*visited) == row)
        .unwrap_or(0);
    let mut cycle = path.split_off(start);
    let least = cycle
        .iter()
        .enumerate()
        .min_by_key(|(_, row)| **row)
        .map_or(0, |(place, _)| place);
    cycle.rotate_left(least);
    Cycle(cycle)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_rows_have_no_levels() {
        assert_eq!(levels(&[]), Ok(vec![]));
    }

    #[test]
    fn levels_go_from_the_top_down() {
        assert_eq!(
            levels(&[Some(2), None, Some(1), Some(1)]),
            Ok(vec![vec![1], vec![2, 3], vec![0]])
        );
    }

    #[test]
    fn a_cycle_is_shown_without_what_hangs_on_it() {
        // 0 hangs on the cycle 3 → 1 → 4 → 3.
        assert_eq!(
            levels(&[Some(3), Some(4), None, Some(1), Some(3)]),
            Err(Cycle(vec![1, 4, 3]))
        );
    }

    #[test]
    fn a_hundred_thousand_generations_are_no_problem() {
        let parents: Vec<_> = (0..100_000usize).map(|row| row.checked_sub(1)).collect();
        assert_eq!(levels(&parents).unwrap().len(), 100_000);
    }

    proptest! {
        #[test]
        fn each_row_is_placed_once_and_below_its_parent_or_there_is_a_cycle(
            parents in (1usize..30).prop_flat_map(|rows| {
                proptest::collection::vec(proptest::option::weighted(0.8, 0..rows), rows)
            }),
        ) {
            match levels(&parents) {
                Ok(levels) => {
                    let mut place = vec![None; parents.len()];
                    for (level, rows) in levels.iter().enumerate() {
                        for row in rows {
                            prop_assert_eq!(place[*row].replace(level), None);
                        }
                    }
                    for (row, parent) in parents.iter().enumerate() {
                        prop_assert!(place[row].is_some());
                        prop_assert!(parent.is_none_or(|parent| place[parent] < place[row]));
                    }
                }
                Err(Cycle(rows)) => {
                    for (row, parent) in rows.iter().zip(rows.iter().cycle().skip(1)) {
                        prop_assert_eq!(parents[*row], Some(*parent));
                    }
                }
            }
        }
    }
}

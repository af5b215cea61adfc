//! Putting objects behind what they need.

/// Orders nodes `0..edges.len()` so that each comes behind those it needs (`edges[n]`), otherwise
/// in their given order. Nodes that need each other in a circle come in the second list; those that
/// only depend on a circle stay in the first.
pub(super) fn topological(edges: &[Vec<usize>]) -> (Vec<usize>, Vec<usize>) {
    let in_circle: Vec<usize> = (0..edges.len()).filter(|n| reaches(edges, *n, *n)).collect();
    let mut done: Vec<bool> = (0..edges.len()).map(|n| in_circle.contains(&n)).collect();
    let mut order = Vec::new();
    loop {
        let mut moved = false;
        for (n, needs) in edges.iter().enumerate() {
            let is_done = |m: &usize| done.get(*m).copied().unwrap_or(true);
            if !is_done(&n) && needs.iter().all(is_done) {
                order.push(n);
                if let Some(slot) = done.get_mut(n) {
                    *slot = true;
                }
                moved = true;
            }
        }
        if !moved {
            return (order, in_circle);
        }
    }
}

fn reaches(edges: &[Vec<usize>], from: usize, to: usize) -> bool {
    let mut seen = vec![false; edges.len()];
    let mut open = vec![from];
    while let Some(n) = open.pop() {
        for next in edges.get(n).into_iter().flatten() {
            if *next == to {
                return true;
            }
            if let Some(slot) = seen.get_mut(*next)
                && !*slot
            {
                *slot = true;
                open.push(*next);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn circles_are_taken_out() {
        let edges = vec![vec![1], vec![2], vec![], vec![4], vec![3], vec![3]];
        assert_eq!(topological(&edges), (vec![2, 5, 1, 0], vec![3, 4]));
    }

    proptest! {
        #[test]
        fn every_node_comes_once_and_behind_its_needs(
            edges in prop::collection::vec(prop::collection::vec(0usize..12, 0..4), 12)
        ) {
            let (order, circle) = topological(&edges);
            let mut all: Vec<_> = order.iter().chain(&circle).copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..12).collect::<Vec<_>>());
            for (at, n) in order.iter().enumerate() {
                for need in &edges[*n] {
                    prop_assert!(circle.contains(need) || order[..at].contains(need));
                }
            }
        }
    }
}

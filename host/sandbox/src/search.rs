//! Which devices make a plugin fail: halves of a batch, until the guilty stand alone.
//!
//! Bounded: when many pieces fail, it is the plugin and not a device, and what is left is given up at once. A
//! plugin that always fails costs about five times a batch, one bad device in 1,000 about three times.

use std::ops::Range;
use std::sync::Arc;

use crate::fault::Fault;

/// More guilty devices than this in one batch are not looked for one by one.
const GUILTY: usize = 8;

/// Why a device has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blame {
    pub(crate) fault: Fault,
    /// The fault happened with this device and no other.
    pub(crate) alone: bool,
}

/// Asks about `0..count`, and where that fails about ever smaller pieces. An answer or the blame for each.
pub(crate) fn search<T>(
    count: usize,
    mut ask: impl FnMut(Range<usize>) -> Result<Vec<T>, Fault>,
) -> Vec<Result<T, Arc<Blame>>> {
    let mut answers: Vec<Option<Result<T, Arc<Blame>>>> = (0..count).map(|_| None).collect();
    let mut failed: Vec<(Range<usize>, Fault)> = Vec::new();
    let mut guilty = 0;
    let mut pieces: Vec<Range<usize>> = std::iter::once(0..count).collect();
    while !pieces.is_empty() {
        for piece in pieces.drain(..).filter(|piece| !piece.is_empty()) {
            // Each failed piece holds a guilty device at least.
            if guilty + failed.len() > GUILTY {
                break;
            }
            match ask(piece.clone()) {
                Ok(found) => {
                    answers[piece]
                        .iter_mut()
                        .zip(found)
                        .for_each(|(answer, found)| *answer = Some(Ok(found)));
                }
                Err(fault) => failed.push((piece, fault)),
            }
        }
        let give_up = guilty + failed.len() > GUILTY;
        for (piece, fault) in failed.drain(..) {
            let alone = piece.len() == 1;
            guilty += usize::from(alone);
            if !alone && !give_up && fault.is_worth_a_search() {
                let middle = piece.start + piece.len() / 2;
                pieces.extend([piece.start..middle, middle..piece.end]);
            }
            // For a piece that is split, this stands only if its halves are never asked.
            let blame = Arc::new(Blame { fault, alone });
            answers[piece].fill_with(|| Some(Err(Arc::clone(&blame))));
        }
    }
    answers.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Searches among `count` devices of which these make it fail; returns who is blamed, alone or
    /// with others, and how many calls it took.
    fn check(count: usize, bad: impl IntoIterator<Item = usize>) -> (Vec<usize>, usize, usize) {
        let bad: BTreeSet<usize> = bad.into_iter().collect();
        let mut calls = 0;
        let answers = search(count, |piece| {
            calls += 1;
            match bad.range(piece.clone()).next() {
                None => Ok(piece.collect()),
                Some(_) => Err(Fault::Trap { reason: "bad".to_owned() }),
            }
        });
        assert_eq!(answers.len(), count, "one answer for each");
        let mut alone = Vec::new();
        let mut together = 0;
        for (index, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(found) => assert_eq!(found, index, "answers stay in order"),
                Err(blame) if blame.alone => alone.push(index),
                Err(_) => together += 1,
            }
        }
        (alone, together, calls)
    }

    #[test]
    fn nothing_to_ask_is_not_asked() {
        assert_eq!(check(0, []), (vec![], 0, 0));
    }

    #[test]
    fn without_a_fault_there_is_one_call() {
        assert_eq!(check(1_000, []), (vec![], 0, 1));
    }

    #[test]
    fn one_guilty_device_is_found_in_twenty_calls_or_so() {
        assert_eq!(check(1_000, [777]), (vec![777], 0, 21));
        assert_eq!(check(1, [0]), (vec![0], 0, 1));
    }

    #[test]
    fn as_many_as_eight_are_found() {
        let bad = vec![0, 1, 250, 400, 401, 402, 998, 999];
        let (alone, together, calls) = check(1_000, bad.clone());
        assert_eq!((alone, together), (bad, 0));
        assert!(calls < 110, "{calls} calls");
    }

    #[test]
    fn a_plugin_that_always_fails_is_given_up_soon() {
        let (alone, together, calls) = check(1_000, 0..1_000);
        assert_eq!((alone.len(), together), (0, 1_000));
        assert_eq!(calls, 1 + 2 + 4 + 8 + 9);
    }

    #[test]
    fn a_fault_that_tells_nothing_about_devices_is_not_searched_for() {
        let mut calls = 0;
        let answers: Vec<Result<(), _>> = search(10, |_| {
            calls += 1;
            Err(Fault::Deadline { limit: std::time::Duration::from_secs(1) })
        });
        assert!(answers.iter().all(Result::is_err));
        assert_eq!(calls, 1);
    }
}

//! Whether a step is done, given what came of the steps before it.
//!
//! The set is closed, so that a dry reading can say what a workflow will do. A step that concerns devices
//! is asked for each token apart: what befell another token is none of its business.

use std::fmt;

use crate::id::StepId;
use crate::run::Outcome;

/// When a step is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Whatever came before.
    Always,
    /// No step before it broke off.
    Succeeded,
    /// No step before it broke off, and one found or made something different.
    Changed,
    /// Something went wrong in a step before it.
    Failed,
    /// A step before it was refused, or cannot go on without somebody.
    NeedsAttention,
    /// One of these steps did.
    Of(Was, Vec<StepId>),
}

/// What a step may have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Was {
    /// It came to its end.
    Succeeded,
    /// It found or made something different.
    Changed,
    /// Something went wrong in it.
    Failed,
    /// It was refused, or cannot go on without somebody.
    NeedsAttention,
}

/// What of a step's outcome the conditions of later steps ask about.
#[derive(Clone, Debug)]
pub struct Came {
    id: StepId,
    outcome: Seen,
}

/// None of them, of a step that was left out.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    done: bool,
    broke_off: bool,
    changed: bool,
    failed: bool,
    needs_attention: bool,
}

impl Was {
    /// The word a file uses for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Changed => "changed",
            Self::Failed => "failed",
            Self::NeedsAttention => "needs-attention",
        }
    }
}

impl Came {
    /// What came of the step of this name.
    pub fn new(id: StepId, outcome: &Outcome) -> Self {
        let state = outcome.state();
        let done = !outcome.was_left_out();
        let outcome = Seen {
            done: done && !outcome.broke_off(),
            broke_off: outcome.broke_off(),
            changed: done && outcome.is_news(),
            failed: state.is_bad(),
            needs_attention: state.needs_attention(),
        };
        Self { id, outcome }
    }

    fn was(&self, what: Was) -> bool {
        match what {
            Was::Succeeded => self.outcome.done,
            Was::Changed => self.outcome.changed,
            Was::Failed => self.outcome.failed,
            Was::NeedsAttention => self.outcome.needs_attention,
        }
    }
}

impl Condition {
    /// Whether it holds after these steps; else why not.
    pub fn holds(&self, before: &[Came]) -> Result<(), String> {
        let any = |what: Was| before.iter().any(|came| came.was(what));
        let unbroken = || match before.iter().find(|came| came.outcome.broke_off) {
            Some(came) => Err(format!("`{}` did not come to its end", came.id)),
            None => Ok(()),
        };
        let why = match self {
            Self::Always => return Ok(()),
            Self::Succeeded => return unbroken(),
            Self::Changed if unbroken().is_err() => return unbroken(),
            Self::Changed if any(Was::Changed) => return Ok(()),
            Self::Changed => "no step before it changed anything".to_owned(),
            Self::Failed if any(Was::Failed) => return Ok(()),
            Self::Failed => "nothing went wrong before it".to_owned(),
            Self::NeedsAttention if any(Was::NeedsAttention) => return Ok(()),
            Self::NeedsAttention => "nothing before it needs anybody".to_owned(),
            Self::Of(what, steps) => {
                let is = |came: &&Came| steps.contains(&came.id) && came.was(*what);
                if before.iter().any(|came| is(&came)) {
                    return Ok(());
                }
                let names: Vec<String> = steps.iter().map(|id| format!("`{id}`")).collect();
                let none = |one: &str, neither: &str| match names.as_slice() {
                    [name] => format!("{name} {one}"),
                    names => format!("neither {} {neither}", names.join(" nor ")),
                };
                match what {
                    Was::Succeeded => none("did not come to its end", "came to its end"),
                    Was::Changed => none("changed nothing", "changed anything"),
                    Was::Failed => format!("nothing went wrong in {}", names.join(" or ")),
                    Was::NeedsAttention => none("needs nobody", "needs anybody"),
                }
            }
        };
        Err(why)
    }
}

/// As the end of a sentence about the step.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => f.write_str("whatever came before"),
            Self::Succeeded => f.write_str("unless a step before it broke off"),
            Self::Changed => f.write_str("only if a step before it changed something and none broke off"),
            Self::Failed => f.write_str("only if something went wrong before it"),
            Self::NeedsAttention => f.write_str("only if something before it needs somebody"),
            Self::Of(what, steps) => {
                let steps: Vec<String> = steps.iter().map(|id| format!("`{id}`")).collect();
                let what = match what {
                    Was::Succeeded => "came to its end",
                    Was::Changed => "changed something",
                    Was::Failed => "went wrong",
                    Was::NeedsAttention => "needs somebody",
                };
                write!(f, "only if {} {what}", steps.join(" or "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::plan::Totals;
    use crate::rails::{Breach, Exceeded};
    use crate::run::{Applied, Decided, Failure, State, Synced};

    /// After steps such as `sync changed`, whether a step is done under this condition.
    #[track_caller]
    fn check(before: &str, condition: Condition, expected: Expect) {
        let before: Vec<Came> = before.split(';').filter_map(|step| came(step.trim())).collect();
        expected.assert_eq(&condition.holds(&before).map_or_else(|why| why, |()| "done".to_owned()));
    }

    fn came(step: &str) -> Option<Came> {
        let (id, what) = step.split_once(' ')?;
        let outcome = match what {
            "changed" => Outcome::Synced(Synced { added: 1, ..Synced::default() }),
            "found nothing" => Outcome::Synced(Synced::default()),
            "decided differently" => Outcome::Decided(Decided { differently: 1, ..Decided::default() }),
            "failed" => Outcome::Failed(Failure {
                error: "no answer".to_owned(),
                hint: None,
                state: State::Unavailable,
                at_limit: false,
            }),
            "failed in part" => Outcome::Applied(Applied { calls: 1, failed: 1, ..Applied::default() }),
            "was refused" => Outcome::Refused {
                totals: Totals::default(),
                breaches: vec![Breach::Reassignments(Exceeded { wanted: 2, allowed: 1, part: None })],
            },
            "was left out" => Outcome::LeftOut { why: "so".to_owned() },
            other => panic!("{other}"),
        };
        Some(Came::new(id.parse().unwrap(), &outcome))
    }

    fn of(was: Was, ids: &[&str]) -> Condition {
        Condition::Of(was, ids.iter().map(|id| id.parse().unwrap()).collect())
    }

    #[test]
    fn without_a_condition_nothing_is_built_on_a_step_that_broke_off() {
        check("", Condition::Succeeded, expect!["done"]);
        check("sync found nothing", Condition::Succeeded, expect!["done"]);
        check("sync failed", Condition::Succeeded, expect!["`sync` did not come to its end"]);
        check("plan was refused", Condition::Succeeded, expect!["`plan` did not come to its end"]);
        // Some of its devices failed; the others are where they should be.
        check("apply failed in part", Condition::Succeeded, expect!["done"]);
    }

    #[test]
    fn a_change_is_what_a_step_found_or_made() {
        check("sync changed; decide found nothing", Condition::Changed, expect!["done"]);
        check("decide decided differently", Condition::Changed, expect!["done"]);
        check("sync found nothing", Condition::Changed, expect!["no step before it changed anything"]);
        check(
            "sync changed; plan was refused",
            Condition::Changed,
            expect!["`plan` did not come to its end"],
        );
        check("sync changed", of(Was::Changed, &["sync-2"]), expect!["`sync-2` changed nothing"]);
    }

    #[test]
    fn what_went_wrong_can_be_answered() {
        check("sync failed", Condition::Failed, expect!["done"]);
        check("apply failed in part", Condition::Failed, expect!["done"]);
        check("sync changed", Condition::Failed, expect!["nothing went wrong before it"]);
        check("plan was refused", Condition::NeedsAttention, expect!["done"]);
        check("sync failed", Condition::NeedsAttention, expect!["nothing before it needs anybody"]);
        check("sync failed", of(Was::Failed, &["sync"]), expect!["done"]);
        check(
            "sync failed",
            of(Was::Failed, &["main", "apply"]),
            expect!["nothing went wrong in `main` or `apply`"],
        );
    }

    #[test]
    fn one_of_several_steps_is_enough() {
        let either = || of(Was::Succeeded, &["main", "fallback"]);
        check("main failed; fallback changed", either(), expect!["done"]);
        check("main found nothing; fallback was left out", either(), expect!["done"]);
        check(
            "main failed; fallback failed",
            either(),
            expect!["neither `main` nor `fallback` came to its end"],
        );
        check("sync failed; remind found nothing", Condition::Always, expect!["done"]);
    }
}

//! A plan that waits for a person's word, and what comes of it.
//!
//! A person's approval holds until the plan has been carried out, or until it lapses: Apple's trouble, a freeze
//! or a stop keeps nobody's word from counting in the run after it.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::RunId;

/// What a person said of a plan: let it through, or refused it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Who.
    pub who: String,
    /// When.
    pub at: Timestamp,
    /// Why, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.who)?;
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, " ({reason})"))
    }
}

/// How a plan waits, or waited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waited {
    /// Since when.
    pub since: Timestamp,
    /// When it lapses; an approval puts that off.
    pub until: Timestamp,
    /// The last that a person said of it: a refusal, if that is how it ended, and else an approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// The run that has begun to carry it out, once it was approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_by: Option<RunId>,
    /// What came of it; none as long as it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
}

/// How the waiting of a plan ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// How.
    pub came_to: CameTo,
    /// When.
    pub at: Timestamp,
    /// The run that carried it out, or whose plan took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<RunId>,
}

/// What a plan that waited came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CameTo {
    /// A person let it through, and it was carried out.
    Approved,
    /// A person refused it.
    Refused,
    /// Nobody said anything in time, or what was approved could not be carried out in time.
    Lapsed,
    /// Another plan took its place.
    Replaced,
}

impl Waited {
    /// Who has approved it, if it still waits to be carried out.
    pub fn is_approved(&self) -> Option<&Answer> {
        self.answer.as_ref().filter(|_| self.end.is_none())
    }

    /// Who has refused it, if that is how it stands.
    pub fn is_refused(&self) -> Option<&End> {
        self.end.as_ref().filter(|end| end.came_to == CameTo::Refused)
    }

    /// How it stands with the plan, or how it ended: what comes after "the plan".
    pub fn in_words(&self) -> String {
        let approved = self.answer.as_ref().map(|answer| format!("approved by {answer}"));
        let by = |by: &Option<RunId>| {
            by.as_ref().map_or_else(|| "another run".to_owned(), |by| format!("run {by}"))
        };
        match (&self.end, approved) {
            (None, None) => "waits for a person".to_owned(),
            (None, Some(approved)) => match self.begun_by {
                None => format!("{approved}, not carried out yet; the next run tries again"),
                Some(_) => format!("{approved}, not carried out in full yet; the next run goes on"),
            },
            (Some(End { came_to: CameTo::Approved, by: run, .. }), approved) => {
                let approved = approved.map_or_else(String::new, |approved| format!("{approved}, and "));
                format!("{approved}carried out by {}", by(run))
            }
            (Some(End { came_to: CameTo::Refused, .. }), _) => match &self.answer {
                Some(answer) => format!("refused by {answer}"),
                None => "refused by a person".to_owned(),
            },
            (Some(End { came_to: CameTo::Lapsed, .. }), None) => {
                "lapsed, since nobody approved it in time".to_owned()
            }
            (Some(End { came_to: CameTo::Lapsed, .. }), Some(approved)) => {
                format!("{approved}, and lapsed before it was carried out")
            }
            (Some(End { came_to: CameTo::Replaced, by: run, .. }), None) => {
                format!("replaced by the plan of {}", by(run))
            }
            (Some(End { came_to: CameTo::Replaced, by: run, .. }), Some(approved)) => {
                format!("{approved}, and replaced by the plan of {} before it was carried out", by(run))
            }
        }
    }

    /// The same of one of its actions that was not sent by the run that asked.
    pub fn of_an_action(&self) -> String {
        let sent = if self.end.is_none() { "not sent yet" } else { "not sent by this run" };
        format!("{sent}: {}", self.in_words())
    }

    /// The same in few words, for a column.
    pub fn in_brief(&self) -> String {
        let by = |by: &Option<RunId>| by.as_ref().map_or(String::new(), |by| format!(" by {by}"));
        match &self.end {
            None if self.answer.is_some() => "approved".to_owned(),
            None => "waits".to_owned(),
            Some(End { came_to: CameTo::Approved, by: run, .. }) => format!("carried out{}", by(run)),
            Some(End { came_to: CameTo::Refused, .. }) => "refused".to_owned(),
            Some(End { came_to: CameTo::Lapsed, .. }) => "lapsed".to_owned(),
            Some(End { came_to: CameTo::Replaced, by: run, .. }) => format!("replaced{}", by(run)),
        }
    }
}

impl CameTo {
    /// The word for it, the same everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Refused => "refused",
            Self::Lapsed => "lapsed",
            Self::Replaced => "replaced",
        }
    }
}

impl std::str::FromStr for CameTo {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        [Self::Approved, Self::Refused, Self::Lapsed, Self::Replaced]
            .into_iter()
            .find(|it| it.as_str() == word)
            .ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// How it is told of a plan, of which the words say: `anna` and `since` (with a reason), `begun`, its end, and `by` a run.
    #[track_caller]
    fn check(story: &str, expected: Expect) {
        let (at, run): (_, RunId) = (Timestamp::UNIX_EPOCH, "20260109-091320-k3f9wq".parse().unwrap());
        let mut waited = Waited { since: at, until: at, answer: None, begun_by: None, end: None };
        for word in story.split_whitespace() {
            match word {
                "anna" => waited.answer = Some(Answer { who: "anna".to_owned(), at, reason: None }),
                "since" => waited.answer.as_mut().unwrap().reason = Some("the library moves".to_owned()),
                "begun" => waited.begun_by = Some(run.clone()),
                "by" => waited.end.as_mut().unwrap().by = Some(run.clone()),
                end => waited.end = Some(End { came_to: end.parse().unwrap(), at, by: None }),
            }
        }
        expected.assert_eq(&format!("{}\n{}\n", waited.of_an_action(), waited.in_brief()));
    }

    #[test]
    fn what_is_approved_is_not_carried_out_before_it_is() {
        check(
            "",
            expect![[r#"
            not sent yet: waits for a person
            waits
        "#]],
        );
        check(
            "anna",
            expect![[r#"
            not sent yet: approved by anna, not carried out yet; the next run tries again
            approved
        "#]],
        );
        check(
            "anna since begun",
            expect![[r#"
            not sent yet: approved by anna (the library moves), not carried out in full yet; the next run goes on
            approved
        "#]],
        );
        check(
            "anna begun approved by",
            expect![[r#"
            not sent by this run: approved by anna, and carried out by run 20260109-091320-k3f9wq
            carried out by 20260109-091320-k3f9wq
        "#]],
        );
        check(
            "approved by",
            expect![[r#"
            not sent by this run: carried out by run 20260109-091320-k3f9wq
            carried out by 20260109-091320-k3f9wq
        "#]],
        );
    }

    #[test]
    fn what_was_never_carried_out_says_what_became_of_it() {
        check(
            "anna since refused",
            expect![[r#"
            not sent by this run: refused by anna (the library moves)
            refused
        "#]],
        );
        check(
            "refused",
            expect![[r#"
            not sent by this run: refused by a person
            refused
        "#]],
        );
        check(
            "lapsed",
            expect![[r#"
            not sent by this run: lapsed, since nobody approved it in time
            lapsed
        "#]],
        );
        check(
            "anna lapsed",
            expect![[r#"
            not sent by this run: approved by anna, and lapsed before it was carried out
            lapsed
        "#]],
        );
        check(
            "replaced by",
            expect![[r#"
            not sent by this run: replaced by the plan of run 20260109-091320-k3f9wq
            replaced by 20260109-091320-k3f9wq
        "#]],
        );
        check(
            "anna replaced by",
            expect![[r#"
            not sent by this run: approved by anna, and replaced by the plan of run 20260109-091320-k3f9wq before it was carried out
            replaced by 20260109-091320-k3f9wq
        "#]],
        );
    }
}

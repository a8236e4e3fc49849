//! A run taken back: the devices it changed get what they had before, those that are still as it left them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Target, Wish};
use crate::id::{ProfileId, ProfileName, SerialNumber};
use crate::removal::Removal;

/// What a run did to a device, and what the device is on now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Which device.
    pub serial_number: SerialNumber,
    /// What was taken away, if it was that, and not an assignment.
    pub removal: Option<Removal>,
    /// The profile it had before.
    pub from: Option<ProfileId>,
    /// Our name for that.
    pub from_name: Option<ProfileName>,
    /// The profile it was given.
    pub given: Option<ProfileId>,
    /// The token does not have it any more.
    pub gone: bool,
    /// The profile it is on now.
    pub on: Option<ProfileId>,
}

/// Why a device is left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Left {
    /// It had no profile before: only a person takes one away.
    FirstAssignment,
    /// It was released from the organisation, for good.
    Released,
    /// The token does not have it any more.
    Gone,
    /// It is on something else than what the run gave it.
    MovedOn,
    /// It has what it had before.
    AlreadyBack,
}

impl Done {
    /// What to do to take it back; or why nothing is done.
    pub fn taken_back(self, reason: &Arc<str>) -> Result<Wish, Left> {
        if self.removal == Some(Removal::Disown) {
            return Err(Left::Released);
        }
        if self.gone {
            return Err(Left::Gone);
        }
        // An unassignment left it without a profile.
        let left = self.given;
        let Some(from) = self.from else {
            return Err(if self.on == left { Left::FirstAssignment } else { Left::MovedOn });
        };
        if self.on.as_ref() == Some(&from) {
            return Err(Left::AlreadyBack);
        }
        if self.on != left {
            return Err(Left::MovedOn);
        }
        Ok(Wish {
            serial_number: self.serial_number,
            from: self.on,
            to: Target::Exactly { id: from, name: self.from_name },
            reason: reason.clone(),
        })
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstAssignment => "had no profile before, and only a person takes one away",
            Self::Released => "was released from the organisation, for good",
            Self::Gone => "is not the token's any more",
            Self::MovedOn => "is on something else by now",
            Self::AlreadyBack => "has what it had before",
        })
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// What was done, as `[unassign|disown] [from A] [given B] [on C] [gone]`, and what becomes of it.
    #[track_caller]
    fn check(done: &str, expected: Expect) {
        let id = |name: &str| -> ProfileId { name.repeat(32).parse().unwrap() };
        let words: Vec<&str> = done.split_whitespace().collect();
        let after = |word: &str| words.iter().position(|it| *it == word).map(|at| id(words[at + 1]));
        let done = Done {
            serial_number: "C02AA".parse().unwrap(),
            removal: words[0].parse().ok(),
            from: after("from"),
            from_name: None,
            given: after("given"),
            gone: words.contains(&"gone"),
            on: after("on"),
        };
        let found = match done.taken_back(&"why".into()) {
            Ok(Wish { from, to: Target::Exactly { id, .. }, .. }) => {
                format!("{} -> {}", from.as_ref().map_or("-", |id| &id.as_str()[..1]), &id.as_str()[..1])
            }
            Ok(wish) => format!("{wish:?}"),
            Err(left) => left.to_string(),
        };
        expected.assert_eq(&found);
    }

    #[test]
    fn a_device_that_is_as_the_run_left_it_gets_what_it_had() {
        check("assign from A given B on B", expect!["B -> A"]);
        check("unassign from A", expect!["- -> A"]);
    }

    #[test]
    fn one_that_is_not_is_left_alone_with_the_reason() {
        check("assign given B on B", expect!["had no profile before, and only a person takes one away"]);
        check("assign given B on C", expect!["is on something else by now"]);
        check("assign given B", expect!["is on something else by now"]);
        check("assign from A given B on C", expect!["is on something else by now"]);
        check("assign from A given B", expect!["is on something else by now"]);
        check("assign from A given B on A", expect!["has what it had before"]);
        check("assign from A given B on B gone", expect!["is not the token's any more"]);
        check("unassign from A on C", expect!["is on something else by now"]);
        check("unassign from A on A", expect!["has what it had before"]);
        check("disown from A gone", expect!["was released from the organisation, for good"]);
    }
}

//! Which devices two policies decide differently about, and how: what a new version of a policy, or other
//! settings for it, would change.
//!
//! Counted as the devices go by, so that a million of them take no more memory than one: what is kept
//! are counts by what becomes what, and a few examples of each. A reason in other words, with the
//! same decision, is no change of verdict and counted apart.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::device::Device;
use crate::id::{ProfileName, SerialNumber};
use crate::policy::Policy;
use crate::verdict::{Context, Decision, Verdict};

/// A verdict without its reason and its time: what it comes to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Said {
    /// The device gets this profile.
    Assign(ProfileName),
    /// It is left as it is.
    Hold,
    /// It is none of the policy's business.
    Ignore,
    /// The policy failed on it.
    Fault,
}

impl Said {
    /// What a verdict comes to.
    pub fn of(verdict: &Verdict) -> Self {
        match &verdict.decision {
            _ if verdict.fault => Self::Fault,
            Decision::Assign { profile } => Self::Assign(profile.clone()),
            Decision::Hold { .. } => Self::Hold,
            Decision::Ignore => Self::Ignore,
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Assign(profile) => f.pad(&format!("assign {profile}")),
            Self::Hold => f.pad("hold"),
            Self::Ignore => f.pad("ignore"),
            Self::Fault => f.pad("fault"),
        }
    }
}

impl Serialize for Said {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Of how many devices a policy says each thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<Said, u64>);

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, verdict: &Verdict) {
        *self.0.entry(Said::of(verdict)).or_default() += 1;
    }

    /// How many were counted.
    pub fn devices(&self) -> u64 {
        self.0.values().sum()
    }

    /// What was said, of most devices first.
    pub fn by_size(&self) -> Vec<(&Said, u64)> {
        let mut said: Vec<_> = self.0.iter().map(|(said, devices)| (said, *devices)).collect();
        said.sort_by_key(|(_, devices)| std::cmp::Reverse(*devices));
        said
    }
}

/// One device that is decided differently about.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The device.
    pub device: &'a Device,
    /// What the old policy says of it.
    pub old: &'a Verdict,
    /// What the new one says.
    pub new: &'a Verdict,
}

/// What is different between the answers of two policies, so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// How many devices were compared.
    pub devices: u64,
    /// How many of them are decided differently about.
    pub changed: u64,
    /// How many get the same decision for a reason in other words.
    pub reworded: u64,
    /// The changes, by what becomes what.
    pub moves: BTreeMap<(Said, Said), Move>,
    /// How many examples are kept of each.
    examples: usize,
}

/// The devices for which one thing becomes another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Move {
    /// How many.
    pub devices: u64,
    /// The first of them.
    pub examples: Vec<SerialNumber>,
}

impl Difference {
    /// Nothing compared yet. Of each change at most so many examples are kept.
    pub fn new(examples: usize) -> Self {
        Self { devices: 0, changed: 0, reworded: 0, moves: BTreeMap::new(), examples }
    }

    /// Asks both policies about the same devices, and adds what is different; `tell` hears of every
    /// device that is decided differently about, in order.
    pub fn ask(
        &mut self,
        (old, then): (&dyn Policy, &Context),
        (new, now): (&dyn Policy, &Context),
        devices: &[Device],
        tell: impl FnMut(Change<'_>),
    ) {
        let (old, new) = (old.decide(then, devices).answer, new.decide(now, devices).answer);
        self.add(devices, &old, &new, tell);
    }

    /// Adds devices and the two verdicts on each, in the same order; `tell` hears of every device that is
    /// decided differently about, in order.
    pub fn add(
        &mut self,
        devices: &[Device],
        old: &[Verdict],
        new: &[Verdict],
        mut tell: impl FnMut(Change<'_>),
    ) {
        for ((device, old), new) in devices.iter().zip(old).zip(new) {
            self.devices += 1;
            if (&old.decision, old.fault) == (&new.decision, new.fault) {
                self.reworded += u64::from(old.reason != new.reason);
                continue;
            }
            self.changed += 1;
            let moved = self.moves.entry((Said::of(old), Said::of(new))).or_default();
            moved.devices += 1;
            if moved.examples.len() < self.examples {
                moved.examples.push(device.serial_number.clone());
            }
            tell(Change { device, old, new });
        }
    }

    /// The changes, of most devices first.
    pub fn by_size(&self) -> Vec<(&Said, &Said, &Move)> {
        let mut moves: Vec<_> = self.moves.iter().map(|((old, new), moved)| (old, new, moved)).collect();
        moves.sort_by_key(|(_, _, moved)| std::cmp::Reverse(moved.devices));
        moves
    }
}

/// In words: how many, then a line for each kind of change with its examples.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let things = |number: u64| if number == 1 { "device" } else { "devices" };
        let Self { devices, changed, reworded, .. } = self;
        match changed {
            0 => write!(f, "no verdict changes, of {devices} {}", things(*devices))?,
            _ => write!(f, "the verdict changes for {changed} of {devices} {}", things(*devices))?,
        }
        if *reworded > 0 {
            let get = if *reworded == 1 { "gets" } else { "get" };
            write!(f, "; {reworded} {get} the same verdict for another reason")?;
        }
        for (old, new, Move { devices, examples }) in self.by_size() {
            let later = if old == new { ", at another time" } else { "" };
            write!(f, "\n  {devices:>7}  {old} -> {new}{later}")?;
            let examples: Vec<&str> = examples.iter().map(SerialNumber::as_str).collect();
            match examples.as_slice() {
                [] => {}
                all if all.len() as u64 == *devices => write!(f, ": {}", all.join(", "))?,
                some => write!(f, ", such as {}", some.join(", "))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// Compares devices, `;` between: `SERIAL OLD -> NEW`, each a profile, `hold`, `hold@SECOND`, `ignore` or
    /// `fault`, with `(reason)` behind it if need be.
    #[track_caller]
    fn check(examples: usize, story: &str, expected: Expect) {
        let mut difference = Difference::new(examples);
        let mut told = String::new();
        for line in story.split(';').map(str::trim) {
            let (serial, said) = line.split_once(' ').unwrap();
            let (old, new) = said.split_once(" -> ").unwrap();
            let devices = [Device::new(serial.parse().unwrap())];
            difference.add(&devices, &[verdict(old)], &[verdict(new)], |change| {
                told += &format!("{}: {}\n", change.device.serial_number, change.new.reason);
            });
        }
        expected.assert_eq(&format!("{told}{difference}\n"));
    }

    fn verdict(said: &str) -> Verdict {
        let (said, reason) = said.trim_end_matches(')').split_once(" (").unwrap_or((said, "because"));
        let decision = match said.split_once('@').unwrap_or((said, "")) {
            ("fault", _) => return Verdict::fault(reason),
            ("hold", "") => Decision::Hold { until: None },
            ("hold", second) => {
                Decision::Hold { until: Some(jiff::Timestamp::from_second(second.parse().unwrap()).unwrap()) }
            }
            ("ignore", _) => Decision::Ignore,
            (profile, _) => Decision::Assign { profile: profile.parse().unwrap() },
        };
        Verdict { decision, reason: reason.into(), fault: false }
    }

    #[test]
    fn what_is_said_is_counted_the_most_frequent_first() {
        let mut tally = Tally::default();
        ["hold", "lab", "lab", "fault", "lab", "hold@5"].iter().for_each(|said| tally.add(&verdict(said)));
        let said: Vec<String> =
            tally.by_size().iter().map(|(said, devices)| format!("{devices} {said}")).collect();
        expect!["3 assign lab, 2 hold, 1 fault"].assert_eq(&said.join(", "));
        assert_eq!(tally.devices(), 6);
    }

    #[test]
    fn what_stays_the_same_is_not_told() {
        check(
            3,
            "A lab -> lab; B hold -> hold",
            expect![[r#"
            no verdict changes, of 2 devices
        "#]],
        );
    }

    #[test]
    fn changes_are_counted_by_what_becomes_what_the_largest_first() {
        check(
            1,
            "A hold -> lab (is one); B lab -> kiosk; C lab -> kiosk; D lab -> ignore; E lab -> lab",
            expect![[r#"
                A: is one
                B: because
                C: because
                D: because
                the verdict changes for 4 of 5 devices
                        2  assign lab -> assign kiosk, such as B
                        1  assign lab -> ignore: D
                        1  hold -> assign lab: A
            "#]],
        );
    }

    #[test]
    fn another_reason_is_no_other_verdict() {
        check(
            3,
            "A lab (old) -> lab (new)",
            expect![[r#"
            no verdict changes, of 1 device; 1 gets the same verdict for another reason
        "#]],
        );
    }

    #[test]
    fn a_fault_is_not_the_same_as_a_hold() {
        check(
            3,
            "A hold -> fault (it trapped)",
            expect![[r#"
            A: it trapped
            the verdict changes for 1 of 1 device
                    1  hold -> fault: A
        "#]],
        );
    }

    #[test]
    fn holding_until_another_time_is_a_change() {
        check(
            3,
            "A hold@5 -> hold@6; B hold@5 -> hold@7",
            expect![[r#"
            A: because
            B: because
            the verdict changes for 2 of 2 devices
                    2  hold -> hold, at another time: A, B
        "#]],
        );
    }
}

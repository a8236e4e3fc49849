//! What a policy said of each device.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};

use crate::id::{ProfileId, ProfileName, TokenName};
use crate::table::Tables;

/// What is to become of one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "decision")]
pub enum Decision {
    /// The device gets this profile.
    Assign {
        /// One of the profiles in the context.
        profile: ProfileName,
    },
    /// Leave the device as it is for now, and say so: somebody has to look, or it is too early.
    Hold {
        /// When it may be looked at again; every run, if absent.
        until: Option<Timestamp>,
    },
    /// The device is none of this policy's business.
    Ignore,
}

/// A policy's decision on one device, and its reason in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What is to become of the device.
    pub decision: Decision,
    /// Why, for a person. Shared: a thousand devices often have the same reason.
    pub reason: Arc<str>,
    /// The plugin failed on this device. The decision is then to hold it.
    pub fault: bool,
}

impl Verdict {
    /// That a device is none of the policy's business.
    pub fn ignore() -> Self {
        Self { decision: Decision::Ignore, reason: "".into(), fault: false }
    }

    /// The verdict on a device whose plugin failed.
    pub fn fault(reason: impl Into<Arc<str>>) -> Self {
        Self { decision: Decision::Hold { until: None }, reason: reason.into(), fault: true }
    }
}

/// For how long a policy's verdicts on devices that do not change stay the same.
///
/// It is about time alone. Everything else a verdict may follow from has to be what it was when the policy said so:
/// the policy itself, its settings and setup, the tables granted to it, the token, the profiles, those of them that
/// Apple's ids stand for, the UTC offset, and of a device its profile status and every field that the policy reads.
/// [`Verdict::stands`] says it of one verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// The policy does not say. Any verdict may be another one at any moment.
    NotSaid,
    /// They are the same at every moment before this one.
    Until(Timestamp),
    /// They are the same whenever it is asked: it does not look at the time.
    Always,
}

impl Verdict {
    /// Whether the policy that gave this verdict at the moment `given`, saying then that its verdicts are `lasting`, would
    /// give it again at `then`, if nothing but the time has changed.
    ///
    /// That is never said of a fault, which is no verdict of the policy's, nor of a hold from the moment on until which
    /// it was to last, nor of the time before the policy was asked.
    pub fn stands(&self, lasting: Lasting, given: Timestamp, then: Timestamp) -> bool {
        let is_over = matches!(self.decision, Decision::Hold { until: Some(until) } if until <= then);
        let lasts = match lasting {
            Lasting::NotSaid => false,
            Lasting::Until(end) => then < end,
            Lasting::Always => true,
        };
        lasts && given <= then && !self.fault && !is_over
    }
}

/// What a policy is told besides the devices. Recorded with the run, so a run can be repeated.
#[derive(Clone, Debug)]
pub struct Context {
    /// The run's own start. The only clock a policy has.
    pub now: Timestamp,
    /// How far the workflow's wall clock is ahead of UTC at `now`.
    pub utc_offset: Offset,
    /// Whose devices these are.
    pub token: TokenName,
    /// The profiles that may be assigned, in a fixed order.
    pub profiles: Vec<ProfileName>,
    /// Which of Apple's profiles are ours, in their present or an earlier wording.
    pub defined: BTreeMap<ProfileId, ProfileName>,
    /// Where it may look things up.
    pub tables: Arc<Tables>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// At which of the seconds 9 to 13 a verdict of second 10 still stands.
    #[track_caller]
    fn check(lasting: Lasting, decision: Decision, fault: bool, expected: &[i64]) {
        let verdict = Verdict { decision, reason: "".into(), fault };
        let stands = |then: &i64| verdict.stands(lasting, second(10), second(*then));
        assert_eq!((9..=13).filter(stands).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_verdict_stands_from_when_it_was_given_for_as_long_as_the_policy_said() {
        check(Lasting::Always, Decision::Ignore, false, &[10, 11, 12, 13]);
        check(Lasting::Until(second(12)), Decision::Ignore, false, &[10, 11]);
        check(Lasting::Until(second(10)), Decision::Ignore, false, &[]);
        check(Lasting::NotSaid, Decision::Ignore, false, &[]);
    }

    #[test]
    fn a_hold_ends_when_it_was_to_end_however_long_verdicts_last() {
        let held = |until| Decision::Hold { until };
        check(Lasting::Always, held(Some(second(12))), false, &[10, 11]);
        check(Lasting::Always, held(None), false, &[10, 11, 12, 13]);
        check(Lasting::Until(second(11)), held(Some(second(12))), false, &[10]);
    }

    #[test]
    fn a_fault_never_stands() {
        check(Lasting::Always, Decision::Hold { until: None }, true, &[]);
    }
}

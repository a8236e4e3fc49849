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

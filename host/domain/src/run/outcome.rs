//! What a step came to, as data: of each kind of step its own.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::State;
use crate::id::{ChannelName, Digest, PluginName, ProfileName, RunId, SerialNumber, TableName};
use crate::plan::{Origin, Outdated, Totals};
use crate::policy::Usage;
use crate::rails::Breach;
use crate::removal::Removed;
use crate::review::{Move, Opinion};
use crate::waiting::Answer;

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// Devices were fetched and stored.
    Synced(Synced),
    /// The policy was asked.
    Decided(Decided),
    /// A plan was made.
    Planned(Planned),
    /// A plan was made that waits for a person's word.
    Waits(Waits),
    /// The plan would have broken a rail, and whoever asked for it is told at once.
    Refused {
        /// What it would have done.
        totals: Totals,
        /// Which rails.
        breaches: Vec<Breach>,
    },
    /// The rails let the plan pass, and its review refuses it.
    Objected {
        /// What it would have done.
        totals: Totals,
        /// Who said what.
        review: Reviewed,
    },
    /// A person has refused this very plan before.
    Declined {
        /// What it would have done.
        totals: Totals,
        /// The run that was refused.
        run: RunId,
        /// Who has refused it, and why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<Answer>,
    },
    /// The plan that a person gave was made for a world that has moved on.
    Outdated(Outdated),
    /// The plan is not carried out, since the workflow runs in shadow mode.
    Shadowed(Shadowed),
    /// The plan was carried out.
    Applied(Applied),
    /// Apple was asked what became of what was in flight when its process ended.
    ReadBack(ReadBack),
    /// The plan was not carried out: nothing is changed at Apple now.
    Frozen {
        /// Until then.
        until: Timestamp,
        /// Why.
        reason: String,
        /// As many devices wait for it.
        devices: u64,
    },
    /// Something was taken away, by hand.
    Removed(Removed),
    /// Reminders were looked at.
    Reminded(Reminded),
    /// People were told.
    Notified {
        /// The channels it was put into the outbox for.
        sent: Vec<ChannelName>,
        /// Those it could not be put in for, and why.
        failed: BTreeMap<ChannelName, String>,
    },
    /// Not done, because its condition did not hold.
    LeftOut {
        /// Why not.
        why: String,
    },
    /// Not done, because there was no need.
    NotNeeded {
        /// Why.
        why: String,
    },
    /// It failed.
    Failed(Failure),
}

/// Why a step failed and what comes next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What failed, and why.
    pub error: String,
    /// What to type or do.
    pub hint: Option<String>,
    /// What it means for the run.
    pub state: State,
    /// It was stopped at a time limit, its own or the run's; nobody asked for that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_limit: bool,
}

/// What syncing came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Synced {
    /// Everything was fetched, not only the changes.
    pub full: bool,
    /// Requests for devices.
    pub pages: u64,
    /// Devices that were new.
    pub added: u64,
    /// Devices that Apple says something else of.
    pub changed: u64,
    /// Devices that left.
    pub gone: u64,
    /// Devices the token has now.
    pub devices: u64,
    /// Assignments of a run that ended under them, read back from Apple.
    pub read_back: u64,
    /// Devices set aside because what Apple sent of them cannot be read.
    #[serde(default)]
    pub set_aside: u64,
    /// The first of them: which, and why.
    #[serde(default)]
    pub unreadable: Vec<String>,
}

/// What deciding came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// The plugin that was asked.
    pub policy: Option<PluginName>,
    /// About how many devices.
    pub devices: u64,
    /// Devices about which something else was decided than the last time.
    #[serde(default)]
    pub differently: u64,
    /// Devices by the profile they should get.
    pub assign: BTreeMap<ProfileName, u64>,
    /// Devices to be left as they are.
    pub held: u64,
    /// Devices that are none of its business.
    pub ignored: u64,
    /// Devices it failed on: how, how many, and one of them.
    pub faults: Vec<FaultNote>,
    /// What the workflow gives to those of them that have no profile.
    #[serde(default)]
    pub default: Option<ProfileName>,
    /// The component that was asked.
    #[serde(default)]
    pub digest: Option<Digest>,
    /// The tables it could look into, as they were.
    #[serde(default)]
    pub tables: BTreeMap<TableName, Digest>,
    /// The settings it had; what they were is kept by this digest.
    #[serde(default)]
    pub settings: Option<Digest>,
    /// The profiles it could assign; the list is kept by this digest.
    #[serde(default)]
    pub profiles: Option<Digest>,
    /// How far the workflow's wall clock was ahead of UTC, in seconds.
    #[serde(default)]
    pub utc_offset: Option<i32>,
    /// The fields of devices that it was told; none if that was not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
    /// What asking it took.
    #[serde(default)]
    pub usage: Usage,
    /// It rests, since it failed on everything again and again.
    #[serde(default)]
    pub resting: Option<Resting>,
}

impl Decided {
    /// The devices it failed on.
    pub fn failed_on(&self) -> u64 {
        self.faults.iter().map(|note| note.devices).sum()
    }

    /// It rests, or failed on most devices: then something is wrong with it, not with them, and somebody has
    /// to mend it.
    pub fn is_failing(&self) -> bool {
        self.resting.is_some() || self.failed_on() > self.devices / 2
    }
}

/// A plugin that is left alone for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resting {
    /// When it is asked again.
    pub until: Timestamp,
    /// How it failed last.
    pub why: String,
    /// It has begun to rest in this very step, for the first time since it worked.
    pub news: bool,
}

/// What planning came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The plan's numbers.
    #[serde(flatten)]
    pub totals: Totals,
    /// The digest of the plan: which devices go from where to where, in what wording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Digest>,
    /// The profiles it gives to devices, as they were.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub contents: BTreeMap<ProfileName, Digest>,
    /// The rails it breaks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breaches: Vec<Breach>,
    /// What was said of it, if somebody was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Reviewed>,
    /// The run that waited with this very plan until a person approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<RunId>,
    /// Who has approved it, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// It is what is left to do of the plan that was approved.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rest: bool,
    /// Where it comes from, if a person gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// How it differs from the plan that waited in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differs: Option<Differs>,
    /// Devices that came since a person's plan was made; it does not know them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub arrived: u64,
    /// The earlier run that has the actions: this plan is the very same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<RunId>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A plan that waits for a person's word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// The plan.
    #[serde(flatten)]
    pub planned: Planned,
    /// When it lapses; none in a dry run, which nobody has to answer.
    pub until: Option<Timestamp>,
}

/// How a plan differs from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differs {
    /// The run that made the other.
    pub from: RunId,
    /// Devices that only this one changes.
    pub more: u64,
    /// Devices that only the other changes.
    pub fewer: u64,
    /// Devices that come from or get another profile.
    pub otherwise: u64,
    /// Some of all these.
    pub examples: Vec<SerialNumber>,
    /// Profiles that say something else.
    pub profiles: Vec<ProfileName>,
}

/// What a workflow in shadow mode would have done, beside what is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadowed {
    /// All devices.
    pub devices: u64,
    /// Devices that are on what it wants for them.
    pub agree: u64,
    /// Devices that it wants on something else, by what they are on and what it wants: the most first.
    pub moves: Vec<Move>,
    /// In earnest it would have waited for a person.
    pub would_wait: bool,
}

/// What a policy said of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reviewed {
    /// The plugin that was asked.
    pub policy: PluginName,
    /// Its component.
    pub digest: Digest,
    /// What it said.
    pub opinion: Opinion,
    /// It failed, which counts as asking a person.
    #[serde(default)]
    pub fault: bool,
    /// The tables it could look into, as they were.
    #[serde(default)]
    pub tables: BTreeMap<TableName, Digest>,
    /// What asking it took.
    #[serde(default)]
    pub usage: Usage,
}

impl Differs {
    /// It does nothing that the other does not.
    pub fn is_less(&self) -> bool {
        self.more == 0 && self.otherwise == 0 && self.profiles.is_empty()
    }
}

impl Applied {
    /// Apple has answered for every device: nothing of the plan is left to be done.
    pub fn is_whole(&self) -> bool {
        self.in_flight == 0 && self.refused_profiles.is_empty()
    }
}

impl Waits {
    /// A person was asked about it in this very run.
    pub fn is_new(&self) -> bool {
        self.until.is_some() && self.planned.same_as.is_none()
    }
}

/// One way in which a plugin failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultNote {
    /// What happened; names the plugin.
    pub reason: String,
    /// How many devices are held for it.
    pub devices: u64,
    /// One of them.
    pub example: SerialNumber,
}

/// What applying came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Profiles defined at Apple.
    pub defined: Vec<ProfileName>,
    /// Calls that assigned.
    pub calls: u64,
    /// Devices assigned.
    pub succeeded: u64,
    /// Devices Apple would not assign; tried again later.
    pub failed: u64,
    /// Devices Apple wants left alone for a while.
    pub throttled: u64,
    /// Devices that are no longer ours.
    pub not_accessible: u64,
    /// Devices sent of which nobody can say yet what became; asked about at the next run.
    #[serde(default)]
    pub in_flight: u64,
    /// Of the devices assigned, those that Apple shows on their profile; none if it was not asked.
    #[serde(default)]
    pub confirmed: Option<u64>,
    /// Profiles Apple would not take, by our name or else its id, and what it said.
    pub refused_profiles: BTreeMap<String, String>,
}

/// What asking Apple about actions in flight came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadBack {
    /// Devices that were in flight.
    pub devices: u64,
    /// Of these, those for which Apple has done it.
    pub done: u64,
    /// Those of which Apple tells nothing yet: they stay in flight.
    pub unknown: u64,
}

/// What looking at reminders came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reminded {
    /// Tokens looked at.
    pub tokens: u64,
    /// Reminders put into the outbox: one line each.
    pub sent: Vec<String>,
    /// Reminders that no channel would take to anybody, and why; looked at again at the next run.
    pub failed: Vec<String>,
    /// How the policy failed, and who was asked instead.
    #[serde(default)]
    pub faults: Vec<String>,
}

impl Outcome {
    /// What it means for the run.
    pub fn state(&self) -> State {
        match self {
            Self::Failed(failure) => failure.state,
            Self::Refused { .. } | Self::Objected { .. } | Self::Declined { .. } | Self::Outdated(_) => {
                State::Refused
            }
            Self::Waits(waits) if waits.is_new() => State::Waiting,
            Self::Waits(_) => State::NeedsPerson,
            Self::Decided(decided) if decided.is_failing() => State::NeedsPerson,
            Self::Applied(applied) if !applied.refused_profiles.is_empty() || applied.failed > 0 => {
                State::Failed
            }
            Self::Removed(removed) if !removed.is_complete() => State::Failed,
            Self::Reminded(reminded) if !reminded.failed.is_empty() || !reminded.faults.is_empty() => {
                State::Failed
            }
            Self::Notified { failed, .. } if !failed.is_empty() => State::Failed,
            _ => State::Succeeded,
        }
    }

    /// It did not come to its end: what builds on it would build on nothing.
    pub fn broke_off(&self) -> bool {
        matches!(
            self,
            Self::Failed(_)
                | Self::Waits(_)
                | Self::Refused { .. }
                | Self::Objected { .. }
                | Self::Declined { .. }
                | Self::Outdated(_)
        )
    }

    /// Its condition did not hold.
    pub fn was_left_out(&self) -> bool {
        matches!(self, Self::LeftOut { .. })
    }

    /// It found or made something different, as far as the conditions of later steps are concerned: other
    /// devices, other verdicts, a plan with something to do, or what [`Self::changed_something`] says.
    pub fn is_news(&self) -> bool {
        match self {
            Self::Synced(synced) => synced.added + synced.changed + synced.gone > 0,
            Self::Decided(decided) => decided.differently > 0,
            Self::Planned(planned) => planned.totals.actions() > 0,
            _ => self.changed_something(),
        }
    }

    /// Something is different at Apple now, or somebody was told something. What a sync found is not
    /// our doing; most of it is the echo of the run before.
    pub fn changed_something(&self) -> bool {
        match self {
            Self::Applied(applied) => applied.calls > 0 || !applied.defined.is_empty(),
            Self::Removed(removed) => removed.calls > 0,
            Self::Reminded(reminded) => !reminded.sent.is_empty(),
            _ => false,
        }
    }
}

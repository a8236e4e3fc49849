//! One execution of a workflow: what it is, where it stands, what each step came to.
//!
//! A run is open until it is closed with a state that says how it ended; a run found open with
//! nobody working on it was interrupted. What a step came to is data, so that every place that
//! tells a run, on a terminal, a page or in a message, tells the same.
//!
//! A plan that wants a person's word makes its run *wait*: nobody works on it any more, and it is not
//! over. It ends when the plan is approved or refused, when another plan takes its place, or when it lapses.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::agenda::ON_TIME;
use crate::id::{
    ChannelName, Digest, PluginName, ProfileName, RunId, SerialNumber, StepId, TableName, TokenName,
    WorkflowName,
};
use crate::plan::{Origin, Outdated, Totals};
use crate::policy::Usage;
use crate::rails::Breach;
use crate::removal::Removed;
use crate::review::{Move, Opinion};
use crate::waiting::{Answer, Waited};

/// One execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its name.
    pub id: RunId,
    /// What was executed.
    pub workflow: WorkflowName,
    /// Who asked for it.
    pub trigger: Trigger,
    /// Nothing was sent to Apple that changes anything.
    pub dry: bool,
    /// The same by the workflow's own wish, every time: it decides and records, and sends nothing.
    #[serde(default)]
    pub shadow: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How it stands, or how it ended.
    pub state: State,
    /// Which scheduled times were not used, and why; for a run that is `Skipped`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<SkippedTimes>,
    /// What the steps came to, in the order they began.
    pub steps: Vec<StepRecord>,
}

/// Scheduled times in a row at which nothing was run. The last of them is the time of the trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedTimes {
    /// Why.
    pub why: SkipReason,
    /// The first of them.
    pub from: Timestamp,
    /// How many they are.
    pub times: u64,
    /// Who wants that and why, if it is a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Why nothing was run at a scheduled time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SkipReason {
    /// It went by while Deputy was off or the machine slept.
    Missed,
    /// The run before it was still going.
    Overlap,
    /// A person had paused the workflow.
    Paused,
    /// The workflow's file says `enabled = false`.
    Disabled,
}

/// Who asked for a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by")]
pub enum Trigger {
    /// The schedule.
    Schedule {
        /// The time it was due.
        at: Timestamp,
    },
    /// The schedule, for times that passed while Deputy was off.
    CaughtUp {
        /// The last of those times.
        at: Timestamp,
    },
    /// A person.
    Hand,
}

/// How a run stands, or how it ended. The worst that befell a token counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Going on.
    Running,
    /// Scheduled times at which nothing was run, on record with their reason.
    Skipped,
    /// Everything was done.
    Succeeded,
    /// It waited for a person, and another run has carried its plan out.
    Approved,
    /// It waited for a person, and another plan has taken the place of its own.
    Replaced,
    /// Apple or the network did not answer; the next run tries again.
    Unavailable,
    /// Stopped cleanly before its end: a signal, or its time limit.
    Stopped,
    /// The process ended under it: a crash, or a power cut.
    Interrupted,
    /// Something went wrong.
    Failed,
    /// A rail would have been broken, or a review or a person said no; nothing was changed for that token.
    Refused,
    /// It waited for a person, and nobody approved its plan in time.
    Lapsed,
    /// A person has to do something.
    NeedsPerson,
    /// A plan of it waits for a person's word.
    Waiting,
}

/// What one step came to, for one token or for the whole run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Its place in the workflow, from 0.
    pub index: u32,
    /// The word the workflow uses for it.
    pub uses: String,
    /// What the workflow calls it, if that is something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<StepId>,
    /// For which token; none for a step of the whole run.
    pub token: Option<TokenName>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What it came to; none while it is going on.
    pub outcome: Option<Outcome>,
    /// What became since of the plan that it left waiting, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited: Option<Waited>,
}

/// The word for what is no step of the workflow: that the run was stopped at its time limit.
pub const LIMIT: &str = "limit";

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

impl StepRecord {
    /// What the workflow calls it.
    pub fn name(&self) -> &str {
        self.id.as_ref().map_or(&self.uses, StepId::as_str)
    }
}

impl Trigger {
    /// The scheduled time, if there is one.
    pub fn scheduled_at(&self) -> Option<Timestamp> {
        match self {
            Self::Schedule { at } | Self::CaughtUp { at } => Some(*at),
            Self::Hand => None,
        }
    }
}

impl SkipReason {
    /// The word for it, the same everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missed => "missed",
            Self::Overlap => "overlap",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }
}

impl Run {
    /// How long after its scheduled time it began, beyond the workflow's jitter; nothing if that is no
    /// more than a moment.
    pub fn lateness(&self, jitter: Duration) -> Option<Duration> {
        let late = self.started_at.duration_since(self.trigger.scheduled_at()?).unsigned_abs();
        let late = late.checked_sub(jitter).filter(|late| *late > ON_TIME.unsigned_abs());
        late.filter(|_| self.skipped.is_none() && Some(self.started_at) > self.trigger.scheduled_at())
    }

    /// The worst that befell it so far, of the steps that have ended.
    pub fn worst(&self) -> State {
        let outcomes = self.steps.iter().filter_map(|step| step.outcome.as_ref());
        outcomes.map(Outcome::state).max().unwrap_or(State::Succeeded)
    }

    /// As [`Self::end`], leaving out what waits for a person.
    pub fn end_but_for_waiting(&self) -> State {
        let waits = |step: &StepRecord| matches!(step.outcome, Some(Outcome::Waits(_)));
        Self { steps: self.steps.iter().filter(|step| !waits(step)).cloned().collect(), ..self.clone() }.end()
    }

    /// How it ends: as its worst step did. A step that never ended broke off, and that is a failure.
    pub fn end(&self) -> State {
        let broke_off = self.steps.iter().any(|step| step.outcome.is_none());
        self.worst().max(if broke_off { State::Failed } else { State::Succeeded })
    }

    /// A step of it changed something.
    pub fn changed_something(&self) -> bool {
        self.steps.iter().filter_map(|step| step.outcome.as_ref()).any(Outcome::changed_something)
    }
}

impl State {
    /// Every one there is.
    pub const ALL: [Self; 13] = [
        Self::Running,
        Self::Skipped,
        Self::Succeeded,
        Self::Approved,
        Self::Replaced,
        Self::Unavailable,
        Self::Stopped,
        Self::Interrupted,
        Self::Failed,
        Self::Refused,
        Self::Lapsed,
        Self::NeedsPerson,
        Self::Waiting,
    ];

    /// The word for it, the same everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Skipped => "skipped",
            Self::Succeeded => "succeeded",
            Self::Approved => "approved",
            Self::Replaced => "replaced",
            Self::Unavailable => "unavailable",
            Self::Stopped => "stopped",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Lapsed => "lapsed",
            Self::NeedsPerson => "needs-person",
            Self::Waiting => "waiting",
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// It was refused, or cannot go on without somebody.
    pub fn needs_attention(self) -> bool {
        matches!(self, Self::Refused | Self::Lapsed | Self::NeedsPerson | Self::Waiting)
    }

    /// It ended, and not well.
    pub fn is_bad(self) -> bool {
        self >= Self::Unavailable
    }
}

//! A workflow: what to do, in which order, and when. A TOML file of the operator's.
//!
//! What was typed is read by [`WorkflowFile`]; what is meant is [`Workflow`], and only that
//! goes further. What a file leaves out comes from the [`Defaults`] of `deputy.toml`, else from Deputy. A
//! step that lacks what it builds on is a mistake in the file, not at run time.

mod condition;
mod defaults;
mod file;
mod names;
mod promises;
mod rails;
mod steps;
mod when;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{ChannelName, PluginName, ProfileName, SerialNumber, StepId, TokenName, WorkflowName};
use crate::plan::Given;
use crate::rails::Rails;
use crate::removal::Removal;
use crate::schedule::{Schedule, jitter};
use crate::verdict::{Decision, Verdict};

pub use condition::{Came, Condition, Was};
pub use defaults::{Defaults, DefaultsTable};
pub use file::WorkflowFile;
pub use names::{Names, in_deputy_toml};
pub use promises::{Ping, Promises, SecretPlace};

/// What to do, in which order, and when.
#[derive(Clone, Debug)]
pub struct Workflow {
    /// Its name, unique among the workflows.
    pub name: WorkflowName,
    /// Why it is there, in the operator's words.
    pub description: String,
    /// Whether it runs by itself. One that does not is checked and listed all the same.
    pub enabled: bool,
    /// Whether it does what it decides.
    pub mode: Mode,
    /// Whose devices; every token, if absent.
    pub tokens: Option<Vec<TokenName>>,
    /// When; only by hand, if absent.
    pub timing: Option<Timing>,
    /// After this long a run is stopped, cleanly.
    pub timeout: Duration,
    /// What it promises, and who is told whether it keeps that.
    pub promises: Promises,
    /// In order.
    pub steps: Vec<Step>,
}

/// When a workflow runs, and what becomes of times at which it could not.
#[derive(Clone, Debug)]
pub struct Timing {
    /// The times.
    pub schedule: Schedule,
    /// Starts up to this much later, the same for the same workflow.
    pub jitter: Duration,
    /// Times that passed while Deputy was off.
    pub missed: Missed,
    /// A time that comes while the last run is still going.
    pub overlap: Overlap,
}

/// One stage of a workflow.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What the workflow calls it: in its conditions, in reports and in the log. Unique in a workflow.
    pub id: StepId,
    /// Whether it is done, given what came of those before it.
    pub when: Condition,
    /// After this long it is stopped, cleanly: for each token apart, if it is done so.
    pub timeout: Option<Duration>,
    /// What it does.
    pub uses: Uses,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Uses {
    /// Ask Apple what changed.
    Sync {
        /// When to fetch every device, not only the changes.
        full: Full,
        /// What to do when Apple does not answer.
        retry: Retry,
    },
    /// Ask the policy about every device.
    Decide {
        /// Which plugin.
        policy: PluginName,
        /// What becomes of devices that it fails on.
        on_fault: OnFault,
    },
    /// Work out what to do.
    Plan {
        /// How much one run may change.
        rails: Rails,
        /// Which plugin is asked whether the plan may go ahead, once the rails let it pass.
        review: Option<PluginName>,
        /// For so long it waits for a person, if it has to; then it lapses.
        approve_within: Duration,
    },
    /// Hold against the inventory what a person wants. No file can say this: only a person's command does.
    Given {
        /// By token.
        given: Arc<BTreeMap<TokenName, Given>>,
        /// How much one run may change.
        rails: Rails,
        /// Which plugin may refuse it.
        review: Option<PluginName>,
    },
    /// Do it.
    Apply {
        /// What to do when Apple does not answer.
        retry: Retry,
        /// Ask Apple about the devices it says are assigned.
        read_back: bool,
    },
    /// Take something away from these devices. No file can say this: only a person's command does.
    Remove {
        /// What.
        what: Removal,
        /// From which devices of the token.
        serials: Vec<SerialNumber>,
    },
    /// Tell people what of a token ends or went wrong.
    Remind {
        /// Which plugin says who is told what; the shipped one, if absent.
        policy: Option<PluginName>,
        /// Where to; every channel, if absent.
        channels: Option<Vec<ChannelName>>,
        /// Look at the certificates of the web servers that profiles point to.
        look_at_servers: bool,
    },
    /// Tell people what the run did.
    Notify {
        /// Which runs are worth telling.
        when: When,
        /// Where to; every channel, if absent.
        channels: Option<Vec<ChannelName>>,
    },
}

/// What becomes of a device that the policy failed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OnFault {
    /// It is left as it is.
    #[default]
    Hold,
    /// Nothing is done for this token, and the run says so.
    Fail,
    /// It gets this profile if it has none. One that has a profile keeps it: a policy that is
    /// broken for a day must not move a fleet there and back.
    Assign(ProfileName),
}

impl OnFault {
    /// The verdict as it counts.
    #[must_use]
    pub fn over(&self, verdict: Verdict) -> Verdict {
        match self {
            Self::Assign(profile) if verdict.fault => Verdict {
                decision: Decision::Assign { profile: profile.clone() },
                reason: format!(
                    "{}; `on_fault` gives `{profile}` to a device without a profile",
                    verdict.reason
                )
                .into(),
                fault: true,
            },
            _ => verdict,
        }
    }
}

/// When a sync fetches every device instead of the changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Now: a person wants it.
    Now,
    /// When the last complete list is this old.
    Every(Duration),
}

impl Full {
    /// The shortest time between two full fetches that a workflow may ask for: they cost Apple a
    /// call for every page of the fleet.
    pub const SHORTEST: Duration = Duration::from_secs(3_600);
}

/// How often something is tried, and the pause before the second try; it doubles each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// All tries, the first included.
    pub attempts: u32,
    /// Before the second try.
    pub backoff: Duration,
}

/// Whether a workflow does what it decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It does.
    #[default]
    Live,
    /// It decides, plans and records everything, and sends nothing.
    Shadow,
}

/// What to do about times that passed while Deputy was off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// Run once, now, however many they were.
    #[default]
    RunOnce,
    /// Wait for the next time.
    Skip,
}

/// What to do when a time comes while the workflow's last run is still going.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Overlap {
    /// Leave it out, and record that.
    #[default]
    Skip,
    /// Run once more when the run ends.
    Queue,
}

/// Which runs are worth telling people about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Every run.
    Always,
    /// Runs that changed something at Apple, failed, or need somebody.
    #[default]
    Changed,
    /// Runs in which something failed, or that need somebody.
    Failed,
    /// Runs that cannot go on without somebody.
    NeedsAttention,
}

impl Workflow {
    /// The plugins it asks.
    pub fn policies(&self) -> impl Iterator<Item = &PluginName> {
        self.steps.iter().filter_map(|step| match &step.uses {
            Uses::Decide { policy, .. } => Some(policy),
            Uses::Plan { review, .. } | Uses::Given { review, .. } => review.as_ref(),
            Uses::Remind { policy, .. } => policy.as_ref(),
            _ => None,
        })
    }

    /// When it is due next by itself: never, if it is disabled or has no schedule.
    fn next_due(&self, after: Timestamp) -> Option<Timestamp> {
        self.timing.as_ref().filter(|_| self.enabled)?.schedule.next_due(after)
    }

    /// When it starts next by itself: its jitter after the time at which it is due.
    pub fn next_start(&self, after: Timestamp) -> Option<Timestamp> {
        let late = jitter(self.name.as_str(), self.timing.as_ref()?.jitter);
        let due = self.next_due(after.checked_sub(late).unwrap_or(Timestamp::MIN))?;
        Some(due.checked_add(late).unwrap_or(due))
    }

    /// Its time zone; UTC, if it has no schedule.
    pub fn timezone(&self) -> TimeZone {
        self.timing.as_ref().map_or(TimeZone::UTC, |timing| timing.schedule.timezone().clone())
    }

    /// How far the wall clock of its time zone is ahead of UTC then.
    pub fn utc_offset(&self, now: Timestamp) -> Offset {
        self.timezone().to_offset(now)
    }
}

impl Step {
    /// A step that is called what it does, and done unless one before it went wrong.
    pub fn new(uses: Uses) -> Self {
        let id = uses.as_str().parse().expect("a good id");
        let when = if uses.is_per_token() { Condition::Succeeded } else { Condition::Always };
        Self { id, when, timeout: None, uses }
    }

    /// The id, if it says more than what the step does.
    pub fn own_id(&self) -> Option<&StepId> {
        Some(&self.id).filter(|id| id.as_str() != self.uses.as_str())
    }
}

impl Uses {
    /// The word a file uses for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Sync { .. } => "sync",
            Self::Decide { .. } => "decide",
            Self::Plan { .. } | Self::Given { .. } => "plan",
            Self::Apply { .. } => "apply",
            Self::Remove { what, .. } => what.as_str(),
            Self::Remind { .. } => "remind",
            Self::Notify { .. } => "notify",
        }
    }

    /// Done for each token apart, rather than once for the run.
    pub fn is_per_token(&self) -> bool {
        !matches!(self, Self::Remind { .. } | Self::Notify { .. })
    }
}

#[cfg(test)]
mod tests;

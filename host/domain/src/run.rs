//! One execution of a workflow: what it is, where it stands, what each step came to.
//!
//! A run is open until it is closed with a state that says how it ended; a run found open with
//! nobody working on it was interrupted. What a step came to is data, so that every place that
//! tells a run, on a terminal, a page or in a message, tells the same.
//!
//! A plan that wants a person's word makes its run *wait*: nobody works on it any more, and it is not
//! over. It ends when the plan is approved or refused, when another plan takes its place, or when it lapses.

mod outcome;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::agenda::ON_TIME;
use crate::id::{RunId, StepId, TokenName, WorkflowName};
use crate::waiting::Waited;

pub use outcome::{
    Applied, Decided, Differs, Failure, FaultNote, Outcome, Planned, ReadBack, Reminded, Resting, Reviewed,
    Shadowed, Synced, Waits,
};

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

//! What answers questions: a plugin in its sandbox, or a closure in a test.
//!
//! A policy is a pure function. It is asked one of a few questions, each with a module of its own here
//! for what goes in and comes out: [`crate::verdict`], [`crate::reminder`], [`crate::review`].

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::device::Device;
use crate::id::{ChannelName, Digest, PluginName, ProfileName, TokenName};
use crate::reminder::{self, Reminder};
use crate::review::{self, Opinion};
use crate::verdict::{Context, Lasting, Verdict};

/// What a policy can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Which profile does this device get?
    Assignment,
    /// Who should hear about this token, and how urgently?
    Reminder,
    /// May this plan go ahead?
    Review,
}

impl Question {
    /// All of them, in the order they are told.
    pub const ALL: [Self; 3] = [Self::Assignment, Self::Reminder, Self::Review];

    /// The word for it, which is also the name of its interface in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assignment => "assignment",
            Self::Reminder => "reminder",
            Self::Review => "review",
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a policy's settings may refer to, by name. The same for everything a policy is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// The profiles that may be assigned, in the order of [`Context::profiles`].
    pub profiles: Vec<ProfileName>,
    /// The channels through which people can be told something.
    pub channels: Vec<ChannelName>,
    /// The operator's names for the server tokens.
    pub tokens: Vec<TokenName>,
}

/// Why a question has no answer: the policy failed, and this says how, naming it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unanswered(pub String);

/// An answer, and what it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered<T> {
    /// The answer.
    pub answer: T,
    /// What it took.
    pub usage: Usage,
}

/// What answers took. Fuel is the same on every machine; time is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// How often the policy was called; more than once for a question when it failed.
    pub calls: u64,
    /// Roughly, the instructions it carried out.
    pub fuel: u64,
    /// How long the calls lasted.
    pub time: Duration,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.fuel = self.fuel.saturating_add(other.fuel);
        self.time += other.time;
    }
}

/// Something that answers questions. Every method computes and never waits, for as long as the
/// policy's limits allow; not for an async thread.
pub trait Policy: Send + Sync {
    /// What the operator calls it.
    fn name(&self) -> &PluginName;

    /// The digest of what decides, recorded with every answer.
    fn digest(&self) -> &Digest;

    /// What tells it from others, those too of the same component that know of other profiles, channels or tokens.
    /// Its settings are the operator's, and apart.
    fn mark(&self) -> Digest {
        self.digest().clone()
    }

    /// The version it states of itself, if it states one.
    fn version(&self) -> Option<&str> {
        None
    }

    /// The questions it answers. Asking another one is a mistake of the caller's, and a fault.
    fn questions(&self) -> &[Question];

    /// The fields of a device that it is told, by Apple's names, besides the profile status, which it always is;
    /// `extra` is all that has no name in the contract. None if nobody knows.
    fn fields(&self) -> Option<Vec<String>> {
        None
    }

    /// A verdict for each device, in order, exactly as many. Never fails: a fault is a verdict.
    fn decide(&self, context: &Context, devices: &[Device]) -> Answered<Vec<Verdict>>;

    /// For how long verdicts on devices that do not change stay the same; what counts as a change, [`Lasting`] says.
    /// Asked with the context of the run that decides. Never fails: a fault is [`Lasting::NotSaid`].
    fn lasting(&self, context: &Context) -> Answered<Lasting> {
        let _ = context;
        Answered { answer: Lasting::NotSaid, usage: Usage::default() }
    }

    /// The reminders that are due for each token, in order, exactly as many answers. A token that the
    /// policy fails on has none; the others keep theirs.
    fn remind(
        &self,
        context: &reminder::Context,
        tokens: &[reminder::Subject],
    ) -> Answered<Vec<Result<Vec<Reminder>, Unanswered>>>;

    /// Whether a plan may go ahead.
    fn review(&self, context: &review::Context, plan: &review::Plan)
    -> Answered<Result<Opinion, Unanswered>>;
}

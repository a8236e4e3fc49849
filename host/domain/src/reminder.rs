//! Who should hear about a token, and how urgently? What a reminder policy is told, and what it
//! answers.
//!
//! A token can end for several reasons, each a [`Fact`]. A policy says what is due about each at
//! this moment; what was sent before is remembered here, not there: [`due`](due()) leaves it out.

mod due;
mod known;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};

use crate::duration::Span;
use crate::id::{ChannelName, TokenName};
use crate::table::Tables;
use crate::token::Severity;

pub use due::{Due, Instance, Told, due, smallest_told};
pub use known::{FactName, Known, Muted, about_refusal};

/// What is known besides the tokens.
#[derive(Clone, Debug)]
pub struct Context {
    /// The run's own start. The only clock a policy has.
    pub now: Timestamp,
    /// How far the workflow's wall clock is ahead of UTC at `now`.
    pub utc_offset: Offset,
    /// The channels that reminders may go to, in a fixed order.
    pub channels: Vec<ChannelName>,
    /// Where it may look things up.
    pub tables: Arc<Tables>,
}

/// A token as a reminder policy sees it. Texts are empty as long as the token was not imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Our label for it.
    pub name: TokenName,
    /// What the server is called in Apple's portal.
    pub server_name: String,
    /// Whose devices these are.
    pub org_name: String,
    /// The Apple Account that made the token, which dies with it.
    pub admin_id: String,
    /// Whom the operator wants told about this token.
    pub contacts: Vec<String>,
    /// How many devices depend on it.
    pub devices: u64,
    /// What can end, or has gone wrong.
    pub facts: Vec<Fact>,
}

/// One thing that can end, or is well or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is, by the contract's word: `token`, `terms`, `profile-certificate`…
    pub kind: String,
    /// Which one, where a token has several of a kind; empty otherwise.
    pub name: String,
    /// When it ends, or ended.
    pub ends: Option<Timestamp>,
    /// What is wrong with it.
    pub trouble: Option<Trouble>,
    /// The smallest threshold told since it was last well.
    pub told: Option<Threshold>,
    /// Somebody said they know.
    pub acknowledged: bool,
}

/// What is wrong with something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// In a word, such as `terms-not-signed`.
    pub code: String,
    /// What is known of it, in a line.
    pub message: String,
    /// What to do about it; empty if nobody knows.
    pub advice: String,
    /// Since when, as far as we saw.
    pub since: Timestamp,
}

/// Something that people should be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reminder {
    /// What it is about: an index into the subject's facts.
    pub fact: usize,
    /// Which occasion it belongs to.
    pub occasion: Occasion,
    /// How urgent.
    pub severity: Severity,
    /// Where to.
    pub channels: Vec<ChannelName>,
    /// One line.
    pub subject: String,
    /// What will stop working and when, and what to do.
    pub text: String,
}

/// A moment at which a fact is worth telling: seconds before its end, or, for trouble, before its
/// beginning, which makes them negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Threshold(pub i64);

impl fmt::Display for Threshold {
    /// As a span: `14d`, or `-1d` for trouble that has lasted a day.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}", Span(Duration::from_secs(self.0.unsigned_abs())))
    }
}

/// When a fact is worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// A moment has come.
    Threshold(Threshold),
    /// All is well again with what people were told about.
    Recovered,
}

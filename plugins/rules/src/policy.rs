//! Rules, ready to be asked.

use crate::condition::{Condition, FieldSet};
use crate::settings::{self, Problem};
use crate::{Context, Device};

/// What is to become of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It gets the profile with this index.
    Assign(u32),
    /// It stays as it is, with a time until then.
    Hold(Option<u64>),
    /// It is left to others.
    Ignore,
}

/// Rules that were found to be in order.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) rules: Vec<Rule>,
    pub(crate) otherwise: Outcome,
    pub(crate) reasons: Vec<String>,
}

/// One rule: every `when` must hold and no `unless`.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) when: Vec<Condition>,
    pub(crate) unless: Vec<Condition>,
    pub(crate) outcome: Outcome,
}

/// What a rule decides, and the index of its reason.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) decision: Decision,
    pub(crate) reason: u32,
}

impl Policy {
    /// Rules from settings in JSON, or everything that is wrong with them.
    pub fn new(settings: &str, profiles: &[String]) -> Result<Self, Vec<Problem>> {
        settings::read(settings, profiles)
    }

    /// What the first rule that matches says of a device, and the index of its reason.
    pub fn decide(&self, context: &Context, device: &Device) -> (Decision, u32) {
        let rules = self.rules.iter().map(|rule| (rule.matches(context, device), &rule.outcome));
        let mut outcomes = rules.filter_map(|(matches, outcome)| matches.then_some(outcome));
        // A hold that has run out leaves the device to the rules after it.
        let outcome = outcomes.find(|outcome| !outcome.is_over(context.now));
        let Outcome { decision, reason } = *outcome.unwrap_or(&self.otherwise);
        (decision, reason)
    }

    /// Every reason there is, by index.
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }

    /// The fields that some rule looks at.
    pub fn reads(&self) -> FieldSet {
        let conditions = self.rules.iter().flat_map(|rule| rule.when.iter().chain(&rule.unless));
        conditions.map(|condition| condition.field.clone()).collect()
    }
}

impl Rule {
    fn matches(&self, context: &Context, device: &Device) -> bool {
        self.when.iter().all(|condition| condition.holds(context, device))
            && !self.unless.iter().any(|condition| condition.holds(context, device))
    }
}

impl Outcome {
    fn is_over(&self, now: u64) -> bool {
        matches!(self.decision, Decision::Hold(Some(until)) if until <= now)
    }
}

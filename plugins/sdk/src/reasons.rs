//! Reasons by index: few, shared by many verdicts.

use crate::assignment::{Decision, Verdict};

/// The table of reasons that goes with verdicts. Equal reasons are one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasons(Vec<String>);

impl Reasons {
    /// The index of a reason, new or known.
    pub fn index(&mut self, reason: &str) -> u32 {
        let known = self.0.iter().position(|known| known == reason);
        known.unwrap_or_else(|| {
            self.0.push(reason.to_owned());
            self.0.len() - 1
        }) as u32
    }

    /// A verdict for this reason.
    pub fn verdict(&mut self, decision: Decision, reason: &str) -> Verdict {
        Verdict { decision, reason: self.index(reason) }
    }

    /// All of them, by index.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// All of them, by index.
    pub fn into_vec(self) -> Vec<String> {
        self.0
    }
}

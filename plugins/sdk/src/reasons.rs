//! Reasons by index: few, shared by many verdicts.

use std::collections::BTreeMap;

use crate::assignment::{Decision, Verdict};

/// The table of reasons that goes with verdicts. Equal reasons are one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasons {
    all: Vec<String>,
    /// Where each is: a policy may have one for each of thousands of rules.
    indices: BTreeMap<String, u32>,
}

impl Reasons {
    /// The index of a reason, new or known.
    pub fn index(&mut self, reason: &str) -> u32 {
        if let Some(index) = self.indices.get(reason) {
            return *index;
        }
        let index = self.all.len() as u32;
        self.all.push(reason.to_owned());
        self.indices.insert(reason.to_owned(), index);
        index
    }

    /// A verdict for this reason.
    pub fn verdict(&mut self, decision: Decision, reason: &str) -> Verdict {
        Verdict { decision, reason: self.index(reason) }
    }

    /// All of them, by index.
    pub fn as_slice(&self) -> &[String] {
        &self.all
    }

    /// All of them, by index.
    pub fn into_vec(self) -> Vec<String> {
        self.all
    }
}

//! May this plan go ahead? What a review is told, and what it answers.
//!
//! A review comes after the rails, so it can only be stricter than they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};

use crate::id::{SerialNumber, TokenName, WorkflowName};
use crate::plan::{Skip, Totals, older};
use crate::table::Tables;

/// What is known besides the plan.
#[derive(Clone, Debug)]
pub struct Context {
    /// The run's own start. The only clock a policy has.
    pub now: Timestamp,
    /// How far the workflow's wall clock is ahead of UTC at `now`.
    pub utc_offset: Offset,
    /// Whose devices these are.
    pub token: TokenName,
    /// What made the plan.
    pub workflow: WorkflowName,
    /// Where it may look things up.
    pub tables: Arc<Tables>,
}

/// What one run would do to the devices of one token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// All devices of the token: the sum of the counts that follow.
    pub devices: u64,
    /// Devices that would get their first profile.
    pub first_assignments: u64,
    /// Devices that would be moved from one profile to another.
    pub reassignments: u64,
    /// Devices that have the profile they should have.
    pub already_right: u64,
    /// Devices that the policy wants left as they are.
    pub held: u64,
    /// Devices that the policy failed on.
    pub faults: u64,
    /// Devices that are none of the policy's business.
    pub ignored: u64,
    /// Devices left alone for any other reason.
    pub waiting: u64,
    /// The actions by what they change, the largest first.
    pub moves: Vec<Move>,
    /// The actions themselves, at most [`ACTIONS`], reassignments first.
    pub actions: Vec<Action>,
}

/// How many devices go from where to where, by our names or else Apple's ids.
pub type Moves = BTreeMap<(Option<String>, String), u64>;

impl Plan {
    /// A plan with these numbers, as a review is shown it.
    pub fn new(totals: &Totals, moves: Moves, actions: Vec<Action>) -> Self {
        let skipped = |skip| totals.skipped(skip);
        let waiting = [Skip::Waiting, Skip::InFlight, Skip::Undecided, Skip::NotNamed];
        let waiting = waiting.map(skipped).iter().sum();
        let moves = Move::largest_first(moves);
        Self {
            devices: totals.devices,
            first_assignments: totals.first_assignments,
            reassignments: totals.reassignments,
            already_right: skipped(Skip::AlreadyRight),
            held: skipped(Skip::Held),
            faults: skipped(Skip::Fault),
            ignored: skipped(Skip::Ignored),
            waiting,
            moves,
            actions,
        }
    }
}

/// How many actions of a plan a review is shown.
pub const ACTIONS: usize = 1_000;

/// How many devices would go from one profile to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The profile they have, by our name or else Apple's id; none for a first assignment.
    pub from: Option<String>,
    /// The profile they would get.
    pub to: String,
    /// How many.
    pub devices: u64,
}

impl Move {
    /// The profile they have, in words; of one name with the other, and yet not the same, it is an older one.
    pub fn has(&self) -> String {
        match &self.from {
            None => "nothing".to_owned(),
            Some(from) if *from == self.to => older(from),
            Some(from) => from.clone(),
        }
    }

    /// All of them, the one of the most devices first.
    pub fn largest_first(moves: Moves) -> Vec<Self> {
        let moves = moves.into_iter().map(|((from, to), devices)| Self { from, to, devices });
        let mut moves: Vec<Self> = moves.collect();
        moves.sort_by_key(|it| std::cmp::Reverse(it.devices));
        moves
    }
}

/// One device that would get a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Which device.
    pub serial_number: SerialNumber,
    /// The profile it has, by our name or else Apple's id; none for a first assignment.
    pub from: Option<String>,
    /// The profile it would get.
    pub to: String,
    /// The reason of the policy that decided so.
    pub reason: Arc<str>,
}

/// The answer, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opinion {
    /// Whether the plan may go ahead.
    pub decision: Decision,
    /// Why, for the person who reads the report.
    pub reason: String,
}

/// Whether a plan may go ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// It may.
    Approve,
    /// A person has to look at it first.
    Ask,
    /// It may not.
    Refuse,
}

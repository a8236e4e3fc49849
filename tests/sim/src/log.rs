//! Every call to Apple's side, for tests and people to look at afterwards.
//!
//! Kept apart from the state it speaks of: clearing the log changes nothing that a client could notice.
//! Only the latest 100,000 calls are kept; the counters count them all.

use crate::endpoint::Endpoint;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

const KEPT: usize = 100_000;

/// One call, as it was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Counts from 1, and goes on when the log is cleared.
    pub seq: u64,
    /// When it came, by the simulator's clock.
    pub time: Timestamp,
    /// The server whose token or session was used, as far as it was recognised.
    pub server: Option<String>,
    /// Which of Apple's endpoints it was for.
    pub endpoint: Endpoint,
    /// The HTTP method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// What was answered; nothing if the connection was closed without an answer.
    pub status: Option<u16>,
    /// The code in the body of an error, for example `EXPIRED_CURSOR`, or what OAuth found wrong.
    pub error: Option<String>,
    /// Whether it was carried out, also if the answer was spoilt or never sent.
    #[serde(default)]
    pub done: bool,
    /// How many devices the request named.
    pub devices_in: usize,
    /// How many devices the answer spoke of.
    pub devices_out: usize,
    /// The page size that was asked for.
    pub limit: Option<i64>,
    /// The cursor that was asked for.
    pub cursor: Option<String>,
    /// The protocol version that was asked for.
    pub version: u32,
    /// The fault that was played, if one was.
    pub fault: Option<String>,
}

/// Sums over all calls since the start, or since the log was cleared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Calls in all.
    pub calls: u64,
    /// Calls per endpoint.
    pub per_endpoint: BTreeMap<Endpoint, u64>,
    /// Calls per server.
    pub per_server: BTreeMap<String, u64>,
    /// Calls that were not answered with 200.
    pub failed: u64,
    /// Faults that were played.
    pub faults: u64,
    /// Successful assignments, counted per device; not reset with the log.
    pub assignments: u64,
    /// The most assignments that any one device got; not reset with the log.
    pub most_assignments_of_one_device: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    calls: VecDeque<Call>,
    counters: Counters,
    seq: u64,
}

impl Log {
    pub(crate) fn push(&mut self, mut call: Call) {
        self.seq += 1;
        call.seq = self.seq;
        let counters = &mut self.counters;
        counters.calls += 1;
        *counters.per_endpoint.entry(call.endpoint).or_default() += 1;
        if let Some(server) = &call.server {
            match counters.per_server.get_mut(server) {
                Some(count) => *count += 1,
                None => _ = counters.per_server.insert(server.clone(), 1),
            }
        }
        counters.failed += u64::from(call.status != Some(200));
        counters.faults += u64::from(call.fault.is_some());
        if self.calls.len() == KEPT {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    pub(crate) fn calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter()
    }

    pub(crate) fn counters(&self) -> Counters {
        self.counters.clone()
    }

    pub(crate) fn clear(&mut self) {
        self.calls.clear();
        self.counters = Counters::default();
    }
}

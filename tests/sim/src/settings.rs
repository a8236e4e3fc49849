//! How the whole service behaves: everything about it that Apple does not fix.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How the whole service behaves; can be changed at any time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How many milliseconds every answer of Apple's side takes.
    pub latency_ms: u64,
    /// A session gets a new key every so many calls; never if 0.
    pub rotate_every: u32,
    /// How long a session's key is good for.
    pub session_lifetime_seconds: i64,
    /// How many calls a session is good for, whatever becomes of its key; without end if 0.
    pub session_calls: u32,
    /// How the code of an error is written in a body.
    pub error_style: ErrorStyle,
    /// A bad, expired or revoked token and a bad signature are 401, as Apple documents, and not 403, as was
    /// seen.
    pub documented_401: bool,
    /// `GET /device/replacementDetails` answers 404 for a device that replaced none, as Apple documents it,
    /// and not 400, as was seen.
    pub documented_404: bool,
    /// How far Apple's clock is ahead of this machine's, for signatures and in `Date`; behind, if negative.
    pub clock_offset_seconds: i64,
    /// Assigning a device to different profiles more often than this within the window throttles it; never
    /// if 0.
    pub throttle_after: u32,
    /// How long an assignment counts.
    pub throttle_window_seconds: i64,
    /// How long a throttled device is refused after the last attempt.
    pub throttle_seconds: i64,
    /// A throttled device is in neither list.
    pub hide_throttled: bool,
    /// Pages after the first list something again, and may have an older record after a newer one.
    pub duplicates: bool,
    /// Between two pages comes one with nothing on it that says more follows.
    pub empty_pages: bool,
    /// A sync with nothing to tell is 400 `EXHAUSTED_CURSOR` and not an empty page.
    pub exhausted_cursor: bool,
    /// How many seconds the two lists take to know of a change.
    pub visible_after_seconds: i64,
    /// No device that leaves, unless it is moved or replaced, leaves a `deleted` record.
    pub release_without_record: bool,
    /// Where the dice begin that decide on faults with a probability.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            latency_ms: 0,
            rotate_every: 10,
            session_lifetime_seconds: 180,
            session_calls: 0,
            error_style: ErrorStyle::Bare,
            documented_401: false,
            documented_404: false,
            clock_offset_seconds: 0,
            throttle_after: 0,
            throttle_window_seconds: 3600,
            throttle_seconds: 86_400,
            hide_throttled: false,
            duplicates: false,
            empty_pages: false,
            exhausted_cursor: false,
            visible_after_seconds: 0,
            release_without_record: false,
            seed: 1,
        }
    }
}

impl Settings {
    /// These settings with some changed, by their names; a name or a value that cannot be is an error.
    pub fn with(&self, changes: Map<String, Value>) -> Result<Self, serde_json::Error> {
        let mut all = serde_json::to_value(self)?;
        if let Some(all) = all.as_object_mut() {
            all.extend(changes);
        }
        serde_json::from_value(all)
    }
}

/// How the code of an error is written in a body; all were met in the wild.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorStyle {
    /// `INVALID_CURSOR`
    Bare,
    /// `"INVALID_CURSOR"`
    Quoted,
    /// `INVALID_CURSOR` and a line end.
    Newline,
    /// `{"code":"INVALID_CURSOR"}`
    Json,
}

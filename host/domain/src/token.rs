//! What is known of a server token (never the secret), and how far away a moment is, in words.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::TokenName;

/// What is known of a token, besides its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Our label for it.
    pub name: TokenName,
    /// The name of our server entry in Apple's portal.
    pub server_name: String,
    /// What stays the same when the token is renewed: 32 hexadecimal digits.
    pub server_uuid: String,
    /// Whose devices these are.
    pub org_name: String,
    /// Apple's number for the organisation, where it was told.
    pub org_id: Option<String>,
    /// The Apple Account that made the token. The token dies with it.
    pub admin_id: String,
    /// When Apple stops taking it.
    pub expires_at: Timestamp,
    /// When it was imported.
    pub imported_at: Timestamp,
}

/// How urgent a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should act soon.
    Warning,
    /// Somebody must act now.
    Critical,
}

/// A span of time in the one or two words that matter: `9 days`, `5 hours`.
pub fn in_words(span: Duration) -> String {
    let days = span.as_secs() / 86_400;
    let (number, unit) = match span.as_secs() {
        0..60 => (span.as_secs(), "second"),
        60..3_600 => (span.as_secs() / 60, "minute"),
        3_600..172_800 => (span.as_secs() / 3_600, "hour"),
        _ => (days, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// How far away an instant is, to be read after a table's heading: `in 9 days`, `2 hours ago`.
pub fn from_now(instant: Timestamp, now: Timestamp) -> String {
    let rounded = instant.duration_since(now);
    match Duration::try_from(rounded) {
        Ok(ahead) => format!("in {}", in_words(ahead)),
        Err(_) => format!("{} ago", in_words(rounded.unsigned_abs())),
    }
}

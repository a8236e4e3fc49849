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

/// As [`from_now`], to the nearest: what is to come in three days less a moment comes in 3 days, not in 2.
pub fn about_from_now(instant: Timestamp, now: Timestamp) -> String {
    let seconds = instant.duration_since(now).unsigned_abs().as_secs();
    let half = match seconds {
        0..60 => 0,
        60..3_600 => 30,
        3_600..171_000 => 1_800,
        _ => 43_200,
    };
    let rounded = Duration::from_secs(seconds + half);
    from_now(if instant < now { now - rounded } else { now + rounded }, now)
}

/// How far away an instant is, to be read after a table's heading: `in 9 days`, `2 hours ago`.
pub fn from_now(instant: Timestamp, now: Timestamp) -> String {
    let rounded = instant.duration_since(now);
    match Duration::try_from(rounded) {
        Ok(ahead) => format!("in {}", in_words(ahead)),
        Err(_) => format!("{} ago", in_words(rounded.unsigned_abs())),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn what_is_to_come_is_told_to_the_nearest() {
        let now = Timestamp::UNIX_EPOCH;
        let seconds = [5, 89, 91, 3_599, 7_199, 171_100, 259_199, 300_000, -259_199];
        let lines = seconds.map(|seconds| {
            let at = Timestamp::from_second(seconds).unwrap();
            format!("{seconds}: {}, cut off {}\n", about_from_now(at, now), from_now(at, now))
        });
        expect![[r#"
            5: in 5 seconds, cut off in 5 seconds
            89: in 1 minute, cut off in 1 minute
            91: in 2 minutes, cut off in 1 minute
            3599: in 1 hour, cut off in 59 minutes
            7199: in 2 hours, cut off in 1 hour
            171100: in 2 days, cut off in 47 hours
            259199: in 3 days, cut off in 2 days
            300000: in 3 days, cut off in 3 days
            -259199: 3 days ago, cut off 2 days ago
        "#]]
        .assert_eq(&lines.concat());
    }
}

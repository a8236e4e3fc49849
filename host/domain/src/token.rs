//! What is known of a server token (never the secret), and which reminder is due for it.
//!
//! A reminder belongs to a threshold before the end and to that end: a renewed token starts anew.
//! We compare what is due with what was sent, so a daemon that slept through several thresholds
//! sends one message, not one for each. Delivery is `engine::outbox`'s business.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::duration::Span;
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

/// A notice that a token runs out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reminder {
    /// Which token.
    pub token: TokenName,
    /// The threshold it belongs to, in whole milliseconds before the end; zero: it has ended.
    #[serde(skip)]
    pub threshold: Span,
    /// The end it speaks of.
    pub expires_at: Timestamp,
    /// How urgent.
    pub severity: Severity,
    /// One line.
    pub subject: String,
    /// What stops working and when, and what to do.
    pub text: String,
}

/// The reminder due for a token now, if any: that of the smallest threshold already passed, unless
/// it or a smaller one was sent.
pub fn due_reminder(
    token: &Token,
    thresholds: &[Span],
    sent: &BTreeSet<Span>,
    now: Timestamp,
) -> Option<Reminder> {
    let left = Duration::try_from(token.expires_at.duration_since(now)).unwrap_or(Duration::ZERO);
    let ended = Span(Duration::ZERO);
    let passed = thresholds.iter().copied().filter(|threshold| left <= threshold.0);
    let threshold = if left.is_zero() { ended } else { passed.min()? };
    if sent.iter().any(|sent| *sent <= threshold) {
        return None;
    }
    Some(reminder(token, threshold, left))
}

fn reminder(token: &Token, threshold: Span, left: Duration) -> Reminder {
    const DAY: Duration = Duration::from_secs(86_400);
    let Token { name, server_name, org_name, admin_id, expires_at, .. } = token;
    let (severity, subject) = if left.is_zero() {
        (Severity::Critical, format!("the server token `{name}` of {org_name} has expired"))
    } else {
        let severity = if left <= 7 * DAY { Severity::Critical } else { Severity::Warning };
        (severity, format!("the server token `{name}` of {org_name} expires in {}", in_words(left)))
    };
    let consequence = if left.is_zero() { "Since then" } else { "From then on" };
    let text = format!(
        "Token `{name}` (server \"{server_name}\" of {org_name}) expires on {}. {consequence} new devices of this \
         server get no enrolment profile; devices already enrolled are not affected.\n\
         \n\
         To renew it:\n\
         1. Sign in to Apple Business Manager or Apple School Manager, as {admin_id} if you can: a token made by \
         another account ends when that account does.\n\
         2. Open Preferences, then the device management service \"{server_name}\", and choose Download Token.\n\
         3. Where Deputy runs, type: deputy token import {name} FILE.p7m\n\
         \n\
         Downloading a new token ends the old one at once, so do step 3 right after step 2.",
        expires_at.strftime("%Y-%m-%d %H:%M UTC"),
    );
    Reminder { token: name.clone(), threshold, expires_at: *expires_at, severity, subject, text }
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

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// Days left at each look; what was sent is remembered between looks.
    #[track_caller]
    fn check(days_left: &[f64], expected: Expect) {
        let now: Timestamp = "2026-01-09T09:00:00Z".parse().unwrap();
        let thresholds: Vec<Span> = ["30d", "14d", "7d", "1d"].map(|text| text.parse().unwrap()).to_vec();
        let mut sent = BTreeSet::new();
        let mut found = String::new();
        for days in days_left {
            let token = Token {
                name: "emea".parse().unwrap(),
                server_name: "Orchard MDM".into(),
                server_uuid: "5D3A9C0E7B1F4482A6E0C1D2F3A4B5C6".into(),
                org_name: "Orchard Tools".into(),
                org_id: None,
                admin_id: "admin@orchard.example".into(),
                expires_at: now + jiff::SignedDuration::from_secs((days * 86_400.0) as i64),
                imported_at: now,
            };
            found += &match due_reminder(&token, &thresholds, &sent, now) {
                Some(reminder) => {
                    sent.insert(reminder.threshold);
                    format!("{days}: {:?}, {}\n", reminder.severity, reminder.subject)
                }
                None => format!("{days}: nothing\n"),
            };
        }
        expected.assert_eq(&found);
    }

    #[test]
    fn each_threshold_reminds_once() {
        check(
            &[40.0, 30.0, 29.0, 14.0, 13.0, 7.0, 1.0, 0.5],
            expect![[r#"
            40: nothing
            30: Warning, the server token `emea` of Orchard Tools expires in 30 days
            29: nothing
            14: Warning, the server token `emea` of Orchard Tools expires in 14 days
            13: nothing
            7: Critical, the server token `emea` of Orchard Tools expires in 7 days
            1: Critical, the server token `emea` of Orchard Tools expires in 24 hours
            0.5: nothing
        "#]],
        );
    }

    #[test]
    fn a_daemon_that_slept_sends_one_reminder_not_three() {
        check(
            &[9.0, 8.0, 6.5],
            expect![[r#"
            9: Warning, the server token `emea` of Orchard Tools expires in 9 days
            8: nothing
            6.5: Critical, the server token `emea` of Orchard Tools expires in 6 days
        "#]],
        );
    }

    #[test]
    fn an_expired_token_is_told_once() {
        check(
            &[0.0, -1.0],
            expect![[r#"
            0: Critical, the server token `emea` of Orchard Tools has expired
            -1: nothing
        "#]],
        );
    }
}

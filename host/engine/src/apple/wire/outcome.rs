//! What became of each device in an assignment or a removal.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::id::SerialNumber;
use serde_json::Value;

use super::object;

/// The answer to an assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// An outcome for each serial number that was sent, and for no other.
    pub outcomes: BTreeMap<SerialNumber, AssignStatus>,
    /// How long Apple asks to leave the throttled ones alone. Without it: 24 hours.
    pub retry_after: Option<Duration>,
}

/// What became of one device. (Apple: "Assign a Profile", "Remove a Profile".)
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AssignStatus {
    /// Done on Apple's side, or already so. The device learns of it when it next asks Apple.
    Success,
    /// Not a device of this server: moved, released or mistyped. Do not try again; sync.
    NotAccessible,
    /// Too many assignments for this device.
    Throttled,
    /// Not done, and why, as far as Apple says.
    Failed(String),
}

/// The answer to `POST` and `DELETE /profile/devices`.
pub(in crate::apple) fn assigned(body: &[u8], sent: &[SerialNumber]) -> Result<Assigned, String> {
    let mut answer = object(body)?;
    let Some(Value::Object(devices)) = answer.remove("devices") else {
        return Err("it lacks devices".to_owned());
    };
    let answered: BTreeMap<SerialNumber, AssignStatus> = devices
        .into_iter()
        .filter_map(|(serial, status)| Some((serial.parse().ok()?, AssignStatus::from_apple(&status))))
        .collect();
    let outcome = |serial| match answered.get(serial) {
        Some(status) => status.clone(),
        None => AssignStatus::Failed("missing from Apple's answer".to_owned()),
    };
    let outcomes = sent.iter().map(|serial| (serial.clone(), outcome(serial))).collect();
    let retry_after = answer.get("retry_after_seconds").and_then(seconds);
    Ok(Assigned { outcomes, retry_after })
}

/// A word of Apple's that we do not know, for a person.
pub(super) fn said(word: &str) -> String {
    if word == "FAILED" {
        return "Apple gave no reason".to_owned();
    }
    format!("Apple answered {:?}", word.chars().take(64).collect::<String>())
}

impl AssignStatus {
    fn from_apple(status: &Value) -> Self {
        match status {
            Value::String(word) => match word.as_str() {
                "SUCCESS" => Self::Success,
                "NOT_ACCESSIBLE" | "NOT_FOUND" => Self::NotAccessible,
                "THROTTLED" => Self::Throttled,
                word => Self::Failed(said(word)),
            },
            _ => Self::Failed("Apple's answer for it is no text".to_owned()),
        }
    }
}

/// A number of seconds, however it is written. Nothing negative, and nothing that would overflow
/// what it is added to.
fn seconds(value: &Value) -> Option<Duration> {
    const LONGEST: f64 = 30.0 * 24.0 * 60.0 * 60.0;
    let seconds = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse::<f64>().ok()?,
        _ => return None,
    };
    (seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(LONGEST)))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// The outcomes of an assignment of C02AA and C02AB.
    #[track_caller]
    fn check(body: &str, expected: Expect) {
        let sent = ["C02AA".parse().unwrap(), "C02AB".parse().unwrap()];
        let found = match assigned(body.as_bytes(), &sent) {
            Ok(assigned) => {
                let lines: Vec<String> =
                    assigned.outcomes.iter().map(|(serial, status)| format!("{serial} {status:?}")).collect();
                format!("{}\nretry after {:?}\n", lines.join("\n"), assigned.retry_after)
            }
            Err(why) => format!("error: {why}"),
        };
        expected.assert_eq(&found);
    }

    #[test]
    fn every_device_gets_its_own_outcome() {
        check(
            r#"{"devices":{"C02AA":"SUCCESS","C02AB":"THROTTLED","OTHER":"SUCCESS"},"retry_after_seconds":3600}"#,
            expect![[r#"
                C02AA Success
                C02AB Throttled
                retry after Some(3600s)
            "#]],
        );
        check(
            r#"{"devices":{"c02aa":"NOT_ACCESSIBLE","C02AB":"NOT_FOUND"}}"#,
            expect![[r#"
            C02AA NotAccessible
            C02AB NotAccessible
            retry after None
        "#]],
        );
    }

    #[test]
    fn a_device_missing_from_the_answer_failed() {
        check(
            r#"{"devices":{"C02AA":"FAILED"}}"#,
            expect![[r#"
            C02AA Failed("Apple gave no reason")
            C02AB Failed("missing from Apple's answer")
            retry after None
        "#]],
        );
    }

    #[test]
    fn a_word_of_tomorrow_is_a_failure_that_quotes_it() {
        check(
            r#"{"devices":{"C02AA":"POSTPONED\n","C02AB":7}}"#,
            expect![[r#"
            C02AA Failed("Apple answered \"POSTPONED\\n\"")
            C02AB Failed("Apple's answer for it is no text")
            retry after None
        "#]],
        );
    }

    #[test]
    fn a_wait_that_makes_no_sense_is_none() {
        for wait in ["-1", "null", "\"soon\"", "[]", "\"NaN\""] {
            let body = format!(r#"{{"devices":{{}},"retry_after_seconds":{wait}}}"#);
            assert_eq!(assigned(body.as_bytes(), &[]).unwrap().retry_after, None, "{wait}");
        }
        for (wait, expected) in [("0", 0), ("1.0", 1), ("\"60\"", 60), ("1e300", 2_592_000)] {
            let body = format!(r#"{{"devices":{{}},"retry_after_seconds":{wait}}}"#);
            let expected = Some(Duration::from_secs(expected));
            assert_eq!(assigned(body.as_bytes(), &[]).unwrap().retry_after, expected, "{wait}");
        }
    }

    #[test]
    fn an_answer_without_devices_is_none() {
        check("{}", expect!["error: it lacks devices"]);
        check(r#"{"devices":[]}"#, expect!["error: it lacks devices"]);
    }
}

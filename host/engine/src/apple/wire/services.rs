//! The smaller services: replaced devices, beta enrolment, and the discovery of our MDM.

use domain::id::SerialNumber;
use jiff::Timestamp;
use jiff::civil::Date;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Map, Value};

use super::object;

/// Which device Apple replaced by another. (Apple: "Get Replacement Details".)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// The device that is gone.
    pub original: SerialNumber,
    /// When, as far as Apple says.
    pub on: Option<Date>,
}

/// Which beta versions the organisation's devices may enrol in. (Apple: "Get Beta Enrollment
/// Tokens".)
#[derive(Clone, Debug)]
pub enum BetaTokens {
    /// The organisation does not take part in AppleSeed for IT.
    TurnedOff,
    /// These.
    Tokens(Vec<BetaToken>),
}

/// What lets a device enrol in a beta.
#[derive(Clone, Debug)]
pub struct BetaToken {
    /// Goes into a profile or a declaration.
    pub token: SecretString,
    /// For people.
    pub title: Option<String>,
    /// Apple's word for the system; `OSX` and `macOS` both occur.
    pub os: Option<String>,
}

/// Where devices whose own domain does not say so find our MDM. (Apple: "Get Account-Driven
/// Enrollment Service Discovery".)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// The address.
    pub url: String,
    /// When it was set, as far as Apple says.
    pub updated_at: Option<Timestamp>,
}

/// Body of `POST /account-driven-enrollment/profile`.
#[derive(Serialize)]
pub(in crate::apple) struct DiscoveryRequest<'a> {
    pub(in crate::apple) mdm_service_discovery_url: &'a str,
}

/// The answer to `GET /device/replacementDetails`.
pub(in crate::apple) fn replacement(body: &[u8]) -> Result<Replacement, String> {
    let answer = object(body)?;
    let original = text(&answer, "original_device_serial_number").and_then(|serial| serial.parse().ok());
    Ok(Replacement {
        original: original.ok_or("its original_device_serial_number is missing or is none")?,
        on: text(&answer, "replacement_date").and_then(|date| date.parse().ok()),
    })
}

/// The answer to `GET /os-beta-enrollment/tokens`. The same list stands under two names, of which
/// one is documented.
pub(in crate::apple) fn beta_tokens(body: &[u8]) -> Result<BetaTokens, String> {
    let answer = object(body)?;
    let list = |name| answer.get(name).and_then(Value::as_array);
    let Some(list) = list("betaEnrollmentTokens").or_else(|| list("seedBuildTokens")) else {
        return Err("it lacks betaEnrollmentTokens".to_owned());
    };
    let read = |entry: &Value| {
        let entry = entry.as_object()?;
        let owned = |name| text(entry, name).map(str::to_owned);
        Some(BetaToken { token: owned("token")?.into(), title: owned("title"), os: owned("os") })
    };
    Ok(BetaTokens::Tokens(list.iter().filter_map(read).collect()))
}

/// The answer to `GET /account-driven-enrollment/profile`.
pub(in crate::apple) fn discovery(body: &[u8]) -> Result<Discovery, String> {
    let answer = object(body)?;
    let url = text(&answer, "mdm_service_discovery_url").ok_or("it lacks mdm_service_discovery_url")?;
    let updated_at = text(&answer, "last_updated_timestamp").and_then(|time| time.parse().ok());
    Ok(Discovery { url: url.to_owned(), updated_at })
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// What each reader makes of an answer.
    #[track_caller]
    fn check(body: &str, expected: Expect) {
        let body = body.as_bytes();
        let found = [
            format!("{:?}", replacement(body)),
            format!("{:?}", beta_tokens(body)),
            format!("{:?}", discovery(body)),
        ];
        expected.assert_eq(&(found.join("\n") + "\n"));
    }

    #[test]
    fn each_answer_gives_what_it_is_for() {
        check(
            r#"{"serial_number":"DMPXR3TESTQ2","original_device_serial_number":"DMPWQ1OLDK7P",
                "replacement_date":"2026-01-05",
                "betaEnrollmentTokens":[{"token":"hush","title":"iOS 27 Beta","os":"iOS"},{"title":"x"},7],
                "seedBuildTokens":[{"token":"hush","title":"iOS 27 Beta","os":"iOS"}],
                "mdm_service_discovery_url":"https://mdm.example.com/x","last_updated_timestamp":"2026-01-09T10:00:00Z"}"#,
            expect![[r#"
                Ok(Replacement { original: SerialNumber("DMPWQ1OLDK7P"), on: Some(2026-01-05) })
                Ok(Tokens([BetaToken { token: SecretBox<str>([REDACTED]), title: Some("iOS 27 Beta"), os: Some("iOS") }]))
                Ok(Discovery { url: "https://mdm.example.com/x", updated_at: Some(2026-01-09T10:00:00Z) })
            "#]],
        );
    }

    #[test]
    fn what_is_missing_is_missing_and_what_is_needed_is_named() {
        check(
            r#"{"original_device_serial_number":"C1","replacement_date":"soon","seedBuildTokens":[],
                "mdm_service_discovery_url":"x","last_updated_timestamp":7}"#,
            expect![[r#"
                Ok(Replacement { original: SerialNumber("C1"), on: None })
                Ok(Tokens([]))
                Ok(Discovery { url: "x", updated_at: None })
            "#]],
        );
        check(
            r#"{"original_device_serial_number":7,"betaEnrollmentTokens":null,"mdm_service_discovery_url":" "}"#,
            expect![[r#"
                Err("its original_device_serial_number is missing or is none")
                Err("it lacks betaEnrollmentTokens")
                Err("it lacks mdm_service_discovery_url")
            "#]],
        );
    }
}

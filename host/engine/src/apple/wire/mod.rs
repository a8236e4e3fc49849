//! What goes over the wire: requests, and answers turned into `domain`'s types.
//!
//! Lenient where Apple may change its mind, strict where a decision stands on a value: a field
//! more, less or of another type costs that field; a device whose state cannot be told is set
//! aside by name; only what is not JSON loses the whole answer.

pub(super) mod page;

pub(super) mod account;
pub(super) mod device;
pub(super) mod lock;
pub(super) mod outcome;
pub(super) mod services;

use std::borrow::Cow;

use domain::id::{ProfileId, SerialNumber};
use serde::Serialize;
use serde_json::Value;

/// Body of `POST /server/devices` and `POST /devices/sync`.
#[derive(Serialize)]
pub(super) struct PageRequest<'a> {
    /// Left out on the first page of a fetch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cursor: Option<&'a str>,
    pub(super) limit: u32,
}

/// Body of every request that is about certain devices.
#[derive(Serialize)]
pub(super) struct DevicesRequest<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) profile_uuid: Option<&'a ProfileId>,
    pub(super) devices: &'a [SerialNumber],
}

/// The session in the answer to `GET /session`. An empty one is none.
pub(super) fn session(body: &[u8]) -> Result<String, String> {
    match object(body)?.remove("auth_session_token") {
        Some(Value::String(session)) if !session.is_empty() => Ok(session),
        _ => Err("it lacks auth_session_token".to_owned()),
    }
}

/// The id in the answer to `POST /profile`.
pub(super) fn defined(body: &[u8]) -> Result<ProfileId, String> {
    match object(body)?.get("profile_uuid") {
        Some(Value::String(id)) => id.parse().map_err(|_| "its profile_uuid is no profile id".to_owned()),
        _ => Err("it lacks profile_uuid".to_owned()),
    }
}

/// Any answer that is a JSON object, whole.
pub(super) fn object(body: &[u8]) -> Result<serde_json::Map<String, Value>, String> {
    let body = text(body);
    serde_json::from_str(&body).map_err(|error| bad_json(&body, &error))
}

/// The body as text. A byte that is no UTF-8 costs one letter of one field, not a page.
fn text(body: &[u8]) -> Cow<'_, str> {
    // Checking is much quicker than looking for what to replace.
    str::from_utf8(body).map_or_else(|_| String::from_utf8_lossy(body), Cow::Borrowed)
}

/// What is wrong with some JSON and where, without quoting it: an answer may hold a session.
fn bad_json(body: &str, error: &serde_json::Error) -> String {
    if body.trim_start_matches('\u{feff}').trim_ascii_start().starts_with('<') {
        return "it is a web page: a proxy or the sign-in page of a network answers in Apple's place"
            .to_owned();
    }
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "it is JSON of another shape",
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "it is not JSON",
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Expect) {
        let body = body.as_bytes();
        expected.assert_eq(&format!("session: {:?}\ndefined: {:?}\n", session(body), defined(body)));
    }

    #[test]
    fn each_answer_gives_the_one_thing_it_is_for() {
        check(
            r#"{"auth_session_token":"4d1f","profile_uuid":"7c1e88d0-a4b9-4b6e-9c3f-2a5d6e7f8091"}"#,
            expect![[r#"
                session: Ok("4d1f")
                defined: Ok(ProfileId("7C1E88D0A4B94B6E9C3F2A5D6E7F8091"))
            "#]],
        );
    }

    #[test]
    fn an_answer_of_another_shape_is_not_quoted() {
        check(
            r#"{"auth_session_token":"","profile_uuid":"secret"}"#,
            expect![[r#"
            session: Err("it lacks auth_session_token")
            defined: Err("its profile_uuid is no profile id")
        "#]],
        );
        check(
            r#"{"auth_session_token":["secret"]}"#,
            expect![[r#"
            session: Err("it lacks auth_session_token")
            defined: Err("it lacks profile_uuid")
        "#]],
        );
        check(
            r#"["secret"]"#,
            expect![[r#"
            session: Err("it is JSON of another shape (line 1, column 0)")
            defined: Err("it is JSON of another shape (line 1, column 0)")
        "#]],
        );
        check(
            "<html>secret",
            expect![[r#"
                session: Err("it is a web page: a proxy or the sign-in page of a network answers in Apple's place")
                defined: Err("it is a web page: a proxy or the sign-in page of a network answers in Apple's place")
            "#]],
        );
        check(
            r#"{"auth_session_token":"secr"#,
            expect![[r#"
            session: Err("it ends too early (line 1, column 27)")
            defined: Err("it ends too early (line 1, column 27)")
        "#]],
        );
    }

    #[test]
    fn a_first_page_is_asked_for_without_a_cursor() {
        let body = |cursor| serde_json::to_string(&PageRequest { cursor, limit: 100 }).unwrap();
        expect![[r#"
            {"limit":100}
            {"cursor":"a","limit":100}"#]]
        .assert_eq(&format!("{}\n{}", body(None), body(Some("a"))));
    }
}

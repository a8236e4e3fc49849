//! Faults by the names that Apple's own simulator (`depsim`) has for them.
//!
//! Names of its configuration: `bad_request_invalid_cursor`, `forbidden_t_c_not_signed`, `not_accessible`, …
//! Which endpoint they are for is up to who asks; nothing stops a session from being `bad_request_invalid_cursor`.

use crate::faults::Fault;
use serde_json::{Map, Value};

impl Fault {
    /// The fault of this name at Apple's simulator.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "success" | "not_accessible" | "failed" | "not_found" => {
                Self::device_status(&name.to_uppercase())
            }
            "unauthorized" => Self::status(401, "UNAUTHORIZED"),
            "invalid_method" => Self::status(405, ""),
            "too_many_requests" => Self::status(429, "TOO_MANY_REQUESTS"),
            "bad_request" => Self::status(400, ""),
            "forbidden" => Self::status(403, "FORBIDDEN"),
            "server_error" => Self::status(500, "Internal Server Error"),
            _ => match (name.strip_prefix("bad_request_"), name.strip_prefix("forbidden_")) {
                (Some(code), _) if is_code(code) => Self::status(400, &code.to_uppercase()),
                (_, Some(code)) if is_code(code) => Self::status(403, &code.to_uppercase()),
                _ => return None,
            },
        })
    }

    /// Reads a fault: its members, or a `name` and the members that differ.
    pub fn from_json(mut members: Map<String, Value>) -> Result<Self, String> {
        let Some(name) = members.remove("name") else {
            return serde_json::from_value(Value::Object(members)).map_err(|error| error.to_string());
        };
        let name = name.as_str().ok_or("`name` is a text")?;
        let named = Self::named(name).ok_or_else(|| {
            format!(
                "there is no fault named `{name}`; there are bad_request_CODE, forbidden_CODE, bad_request, \
                 forbidden, unauthorized, invalid_method, too_many_requests, server_error, and of devices \
                 success, not_accessible, failed and not_found"
            )
        })?;
        let mut all = serde_json::to_value(named).map_err(|error| error.to_string())?;
        if let Some(all) = all.as_object_mut() {
            all.extend(members);
        }
        serde_json::from_value(all).map_err(|error| error.to_string())
    }
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(json: &str, expect: Expect) {
        let read = Fault::from_json(serde_json::from_str(json).unwrap());
        expect.assert_eq(&match read {
            Err(why) => why,
            Ok(fault) => format!("{:?} {} {} x{}", fault.kind, fault.status, fault.body, fault.times),
        });
    }

    #[test]
    fn a_name_is_a_status_and_a_body_and_the_rest_can_be_said() {
        check(
            r#"{"name":"bad_request_invalid_cursor","endpoint":"sync"}"#,
            expect!["Status 400 INVALID_CURSOR x1"],
        );
        check(r#"{"name":"forbidden_t_c_not_signed","times":3}"#, expect!["Status 403 T_C_NOT_SIGNED x3"]);
        check(
            r#"{"name":"too_many_requests","endpoint":"session"}"#,
            expect!["Status 429 TOO_MANY_REQUESTS x1"],
        );
        check(
            r#"{"name":"not_accessible","endpoint":"assign"}"#,
            expect!["DeviceStatus 503 NOT_ACCESSIBLE x1"],
        );
        check(r#"{"kind":"hang"}"#, expect!["Hang 503  x1"]);
    }

    #[test]
    fn a_name_that_is_none_is_told_what_there_is() {
        check(
            r#"{"name":"bad_day"}"#,
            expect![
                "there is no fault named `bad_day`; there are bad_request_CODE, forbidden_CODE, bad_request, forbidden, unauthorized, invalid_method, too_many_requests, server_error, and of devices success, not_accessible, failed and not_found"
            ],
        );
        check(
            r#"{"name":"failed","time":3}"#,
            expect![
                "unknown field `time`, expected one of `kind`, `endpoint`, `server`, `status`, `body`, `retry_after`, `ms`, `fields`, `times`, `after`, `probability`"
            ],
        );
    }
}

//! What a fault does to the body of an answer: still 200, and not what was promised.
//!
//! Each takes the bytes of a good answer and returns the bytes of a bad one. What is no JSON stays as it is.

use crate::faults::{Fault, FaultKind};
use serde_json::{Map, Value, json};

/// The body as the fault has it; `cursor` is the one that was asked for.
pub(crate) fn distort(body: &mut Vec<u8>, fault: &Fault, cursor: Option<&str>) {
    if fault.kind == FaultKind::Truncate {
        body.truncate(body.len() / 2);
        return;
    }
    if fault.kind == FaultKind::WrongJson && !fault.body.is_empty() {
        *body = fault.body.clone().into_bytes();
        return;
    }
    let Ok(mut answer) = serde_json::from_slice::<Value>(body) else { return };
    match fault.kind {
        FaultKind::SameCursor => claim_more(&mut answer, cursor),
        FaultKind::WrongJson => answer = another_shape(&answer),
        FaultKind::UnknownFields => each_object(&mut answer, Level::Answer, &mut add_unknown),
        FaultKind::MissingFields => each_object(&mut answer, Level::Answer, &mut |level, members| {
            members.retain(|name, _| !is_hit(fault, level, name));
        }),
        FaultKind::NullFields => each_object(&mut answer, Level::Answer, &mut |level, members| {
            let hit = members.iter_mut().filter(|(name, _)| is_hit(fault, level, name));
            hit.for_each(|(_, value)| *value = Value::Null);
        }),
        _ => return,
    }
    *body = answer.to_string().into_bytes();
}

fn claim_more(answer: &mut Value, cursor: Option<&str>) {
    let Some(page) = answer.as_object_mut().filter(|page| page.contains_key("cursor")) else { return };
    if let Some(cursor) = cursor {
        page.insert("cursor".into(), cursor.into());
    }
    page.insert("more_to_follow".into(), true.into());
}

fn another_shape(answer: &Value) -> Value {
    if answer.get("devices").is_some() { json!({ "devices": "none" }) } else { json!([]) }
}

/// Where an object stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Answer,
    /// A device among `devices`, with its serial number.
    Device,
    Deeper,
}

/// Visits every object that has members with names of Apple's; a map from serial numbers has not.
fn each_object(value: &mut Value, level: Level, visit: &mut impl FnMut(Level, &mut Map<String, Value>)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| each_object(item, level, visit)),
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                match member {
                    Value::Object(devices) if name == "devices" && level == Level::Answer => {
                        devices.values_mut().for_each(|device| each_object(device, Level::Device, visit));
                    }
                    _ if name == "devices" => each_object(member, Level::Device, visit),
                    _ => each_object(member, Level::Deeper, visit),
                }
            }
            visit(level, members);
        }
        _ => {}
    }
}

fn add_unknown(_: Level, members: &mut Map<String, Value>) {
    let unknown = json!({
        "future_flag": true,
        "future_number": 9_007_199_254_740_993_u64,
        "future_fraction": -0.5,
        "future_text": "né après 2030 \u{1f34f}",
        "future_nothing": null,
        "future_list": [1, "two", { "three": [] }],
        "future_object": { "inner": { "flag": false }, "serial_number": "NOTASERIAL" },
    });
    if let Value::Object(unknown) = unknown {
        members.extend(unknown);
    }
}

/// What an answer must have: whatever Apple requires, or the call would be pointless without.
const REQUIRED: [&str; 17] = [
    "auth_session_token",
    "server_name",
    "server_uuid",
    "admin_id",
    "cursor",
    "more_to_follow",
    "devices",
    "profile_uuid",
    "profile_name",
    "url",
    "serial_number",
    "response_status",
    "original_device_serial_number",
    "replacement_date",
    "betaEnrollmentTokens",
    "mdm_service_discovery_url",
    "code",
];
const REQUIRED_OF_A_DEVICE: [&str; 2] = ["serial_number", "model"];

fn is_hit(fault: &Fault, level: Level, name: &str) -> bool {
    if !fault.fields.is_empty() {
        return fault.fields.iter().any(|field| field == name);
    }
    match level {
        Level::Answer => !REQUIRED.contains(&name),
        Level::Device => !REQUIRED_OF_A_DEVICE.contains(&name),
        Level::Deeper => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    const PAGE: &str = r#"{"cursor":"c2","fetched_until":"t","more_to_follow":false,"devices":[{"serial_number":"A","model":"M","os":"iOS"}]}"#;
    const DETAILS: &str =
        r#"{"devices":{"A":{"serial_number":"A","model":"M","response_status":"SUCCESS"}}}"#;
    const STATUSES: &str = r#"{"profile_uuid":"U","devices":{"A":"SUCCESS"},"retry_after_seconds":9}"#;

    fn check(fault: Fault, answer: &str, expect: Expect) {
        let mut body = answer.as_bytes().to_vec();
        distort(&mut body, &fault, Some("c1"));
        let text = String::from_utf8(body).unwrap();
        // Members in order, whatever order the build keeps them in.
        let shown = serde_json::from_str::<Value>(&text).map_or(text, |mut value| {
            value.sort_all_objects();
            value.to_string()
        });
        expect.assert_eq(&shown);
    }

    #[test]
    fn the_same_cursor_comes_back_and_more_is_claimed() {
        check(
            Fault::new(FaultKind::SameCursor),
            PAGE,
            expect![[
                r#"{"cursor":"c1","devices":[{"model":"M","os":"iOS","serial_number":"A"}],"fetched_until":"t","more_to_follow":true}"#
            ]],
        );
        check(
            Fault::new(FaultKind::SameCursor),
            STATUSES,
            expect![[r#"{"devices":{"A":"SUCCESS"},"profile_uuid":"U","retry_after_seconds":9}"#]],
        );
    }

    #[test]
    fn wrong_json_is_json_of_another_shape_or_what_was_given() {
        check(Fault::wrong_json(), PAGE, expect![[r#"{"devices":"none"}"#]]);
        check(Fault::wrong_json(), r#"{"auth_session_token":"k"}"#, expect!["[]"]);
        check(Fault::answer(r#"{"cursor":7}"#), PAGE, expect![[r#"{"cursor":7}"#]]);
    }

    #[test]
    fn unknown_members_are_in_every_object_and_not_among_the_serial_numbers() {
        check(
            Fault::unknown_fields(),
            r#"{"devices":{"A":{"model":"M"}}}"#,
            expect![[
                r#"{"devices":{"A":{"future_flag":true,"future_fraction":-0.5,"future_list":[1,"two",{"three":[]}],"future_nothing":null,"future_number":9007199254740993,"future_object":{"inner":{"flag":false},"serial_number":"NOTASERIAL"},"future_text":"né après 2030 🍏","model":"M"}},"future_flag":true,"future_fraction":-0.5,"future_list":[1,"two",{"three":[]}],"future_nothing":null,"future_number":9007199254740993,"future_object":{"inner":{"flag":false},"serial_number":"NOTASERIAL"},"future_text":"né après 2030 🍏"}"#
            ]],
        );
    }

    #[test]
    fn what_is_optional_is_missing() {
        check(
            Fault::missing_fields(),
            PAGE,
            expect![[
                r#"{"cursor":"c2","devices":[{"model":"M","serial_number":"A"}],"more_to_follow":false}"#
            ]],
        );
        check(
            Fault::missing_fields(),
            DETAILS,
            expect![[r#"{"devices":{"A":{"model":"M","serial_number":"A"}}}"#]],
        );
        check(
            Fault::missing_fields(),
            STATUSES,
            expect![[r#"{"devices":{"A":"SUCCESS"},"profile_uuid":"U"}"#]],
        );
    }

    #[test]
    fn what_is_named_is_missing_or_null_wherever_it_is() {
        check(
            Fault::without_fields(&["cursor", "os"]),
            PAGE,
            expect![[
                r#"{"devices":[{"model":"M","serial_number":"A"}],"fetched_until":"t","more_to_follow":false}"#
            ]],
        );
        check(
            Fault::null_fields(&["model", "devices"]),
            PAGE,
            expect![[r#"{"cursor":"c2","devices":null,"fetched_until":"t","more_to_follow":false}"#]],
        );
        check(
            Fault::null_fields(&["response_status"]),
            DETAILS,
            expect![[r#"{"devices":{"A":{"model":"M","response_status":null,"serial_number":"A"}}}"#]],
        );
    }
}

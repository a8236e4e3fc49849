use expect_test::{Expect, expect};

use super::*;

/// What a page says; what is seen of it at a glance must be the same, or nothing.
#[track_caller]
fn check(body: impl AsRef<[u8]>, expected: Expect) {
    let found = match page(body.as_ref()) {
        Ok(PageAnswer { page: Page { changes, cursor, more_to_follow }, unreadable }) => {
            if let Some((next, is_more)) = next(body.as_ref()) {
                assert_eq!((Some(next), is_more), (cursor.clone(), more_to_follow));
            }
            let mut lines =
                vec![format!("cursor {:?}, more to follow {more_to_follow}", cursor.map(|cursor| cursor.0))];
            lines.extend(
                changes.iter().map(|change| format!("{:?} {}", change.kind, change.device.serial_number)),
            );
            lines.extend(
                unreadable.iter().map(|problem| format!("unreadable {:?}: {}", problem.serial, problem.why)),
            );
            lines.join("\n")
        }
        Err(why) => format!("error: {why}"),
    };
    expected.assert_eq(&found);
}

/// What a lookup of C02AA and C02AB comes to.
#[track_caller]
fn check_lookup(body: &str, expected: Expect) {
    let found = match lookups(body.as_bytes(), &["C02AA".parse().unwrap(), "C02AB".parse().unwrap()]) {
        Ok(lookups) => lookups
            .iter()
            .map(|(serial, lookup)| match lookup {
                Lookup::Found(device) => format!("{serial} found, {}\n", device.profile_status.as_str()),
                other => format!("{serial} {other:?}\n"),
            })
            .collect(),
        Err(why) => format!("error: {why}"),
    };
    expected.assert_eq(&found);
}

#[test]
fn a_page_goes_on_past_a_device_that_cannot_be_read() {
    check(
        r#"{"cursor":"MDow","fetched_until":"2026-01-09T09:13:20Z","more_to_follow":true,
            "devices":[{"serial_number":"C02AA"},{"serial_number":"C02AB","op_type":7},null,{"serial_number":"C02AC","op_type":"added"}]}"#,
        expect![[r#"
            cursor Some("MDow"), more to follow true
            Listed C02AA
            Added C02AC
            unreadable Some(SerialNumber("C02AB")): its op_type is no text
            unreadable None: it is not a JSON object"#]],
    );
}

/// How it goes on, as it is seen at a glance.
#[track_caller]
fn check_next(body: &str, expected: Expect) {
    let found = next(body.as_bytes());
    let found = found.map_or("unseen".to_owned(), |(cursor, is_more)| format!("{} {is_more}", cursor.0));
    expected.assert_eq(&found);
}

#[test]
fn where_the_next_page_begins_is_seen_without_reading_the_devices() {
    check_next(
        r#"{"devices":[{"asset_tag":"]}, [\"},{"extra":[[]]},"broken \ud800",1e999],"cursor":"MDow","more_to_follow":true}"#,
        expect!["MDow true"],
    );
    check_next(r#"{"cursor":"MDow","more_to_follow":true,"devices":[]}"#, expect!["MDow true"]);
    check_next(r#"{"cursor":"MDow","more_to_follow":false,"devices":[]}"#, expect!["MDow false"]);
    check_next(r#"{"more_to_follow":true,"devices":[]}"#, expect!["unseen"]);
    // Rather none than another.
    check_next(r#"{"cursor":"M[D","more_to_follow":true,"devices":[{}]}"#, expect!["unseen"]);
    check_next(r#"{"devices":[{}],"cursor":"M]D","more_to_follow":true}"#, expect!["unseen"]);
    check_next("][", expect!["unseen"]);
    check_next("", expect!["unseen"]);
}

#[test]
fn a_broken_escape_or_number_costs_one_device_and_not_the_page() {
    check(
        r#"{"cursor":"c","more_to_follow":false,"devices":[{"serial_number":"C02AA"},{"\ud800":1},1e999,{"serial_number":"C02AB"}]}"#,
        expect![[r#"
            cursor Some("c"), more to follow false
            Listed C02AA
            Listed C02AB
            unreadable None: its JSON is broken
            unreadable None: its JSON is broken"#]],
    );
}

#[test]
fn a_byte_that_is_no_text_costs_one_letter() {
    check(
        b"{\"cursor\":\"c\",\"more_to_follow\":false,\"devices\":[{\"serial_number\":\"C02AA\",\"color\":\"\xff\"}]}",
        expect![[r#"
            cursor Some("c"), more to follow false
            Listed C02AA"#]],
    );
}

#[test]
fn a_page_may_be_empty_and_may_lack_its_cursor() {
    check(
        r#"{"cursor":"c","devices":[],"more_to_follow":false}"#,
        expect![[r#"cursor Some("c"), more to follow false"#]],
    );
    check(
        r#"{"cursor":"","devices":[],"more_to_follow":false}"#,
        expect!["cursor None, more to follow false"],
    );
    check(
        r#"{"cursor":null,"devices":[],"more_to_follow":"true"}"#,
        expect!["cursor None, more to follow true"],
    );
}

#[test]
fn what_cannot_be_gone_on_from_is_refused() {
    check(r#"{"cursor":7,"devices":[]}"#, expect!["error: its cursor is no text"]);
    check(
        r#"{"cursor":"c","devices":[],"more_to_follow":"perhaps"}"#,
        expect!["error: its more_to_follow is neither true nor false"],
    );
    check(
        r#"{"cursor":"c","devices":{"C02AA":{}}}"#,
        expect!["error: it is JSON of another shape (line 1, column 24)"],
    );
    check(
        format!(r#"{{"cursor":"{}","devices":[]}}"#, "x".repeat(10 << 20)),
        expect!["error: its cursor has 10485760 characters"],
    );
    check("{}", expect!["error: it lacks devices"]);
    // Taken for an empty page it would end a fetch, and the whole fleet would look gone.
    check(r#"{"cursor":"c","devices":null}"#, expect!["error: it lacks devices"]);
    check(r#"{"cursor":"c","more_to_follow":false}"#, expect!["error: it lacks devices"]);
    check(r#"{"cursor":"c","devices":[]}"#, expect!["error: it lacks more_to_follow"]);
    check(r#"{"cursor":"c","devices":[],"more_to_follow":null}"#, expect!["error: it lacks more_to_follow"]);
    check("", expect!["error: it ends too early (line 1, column 0)"]);
    check(
        "<html>",
        expect!["error: it is a web page: a proxy or the sign-in page of a network answers in Apple's place"],
    );
    check(
        r#"{"cursor":"c","devices":[{"serial_number":"C02AA""#,
        expect!["error: it ends too early (line 1, column 49)"],
    );
}

#[test]
fn a_lookup_answers_for_every_device_asked_for_and_no_other() {
    check_lookup(
        r#"{"devices":{"C02AA":{"serial_number":"C02AA","profile_status":"assigned","profile_uuid":"7C1E88D0A4B94B6E9C3F2A5D6E7F8091",
            "response_status":"SUCCESS"},"C02AB":{"response_status":"NOT_ACCESSIBLE"},"C02AC":{"response_status":"SUCCESS"}}}"#,
        expect![[r#"
            C02AA found, assigned
            C02AB NotAccessible
        "#]],
    );
    check_lookup(
        r#"{"devices":{"c02aa":{"model":"iPad","profile_status":"empty"}}}"#,
        expect![[r#"
        C02AA found, empty
        C02AB Failed("missing from Apple's answer")
    "#]],
    );
}

#[test]
fn a_device_without_a_profile_status_is_not_one_without_a_profile() {
    check_lookup(
        r#"{"devices":{"C02AA":{"model":"iPad","response_status":"SUCCESS"}}}"#,
        expect![[r#"
        C02AA Failed("Apple does not say whether it has a profile")
        C02AB Failed("missing from Apple's answer")
    "#]],
    );
}

#[test]
fn a_lookup_that_makes_no_sense_failed() {
    check_lookup(
        r#"{"devices":{"C02AA":{"serial_number":"C02AB","response_status":"SUCCESS"},"C02AB":{"response_status":"POSTPONED"}}}"#,
        expect![[r#"
            C02AA Failed("Apple answered with another device")
            C02AB Failed("Apple answered \"POSTPONED\"")
        "#]],
    );
    check_lookup(
        r#"{"devices":{"C02AA":null,"C02AB":{"response_status":"FAILED"}}}"#,
        expect![[r#"
        C02AA Failed("it is not a JSON object")
        C02AB Failed("Apple gave no reason")
    "#]],
    );
    check_lookup(
        r#"{"devices":{"C02AA":{},"C02AB":{"response_status":7,"model":"iPad"}}}"#,
        expect![[r#"
        C02AA Failed("Apple says nothing of it")
        C02AB Failed("its response_status is no text")
    "#]],
    );
    check_lookup("{}", expect!["error: it lacks devices"]);
}

//! Answers that nobody sends by mistake: what each reader makes of them, in bounded time.

use domain::id::SerialNumber;
use expect_test::{Expect, expect};

use super::{account, defined, lock, object, outcome, page, services, session};

/// What each reader makes of a body: read, or why not.
#[track_caller]
fn check(body: impl AsRef<[u8]>, expected: Expect) {
    let body = body.as_ref();
    let asked: [SerialNumber; 1] = ["C02AA".parse().unwrap()];
    let said = [
        ("session", session(body).err()),
        ("defined", defined(body).err()),
        ("profile", object(body).err()),
        ("account", account::account(body).err()),
        ("page", page::page(&listed(body)).err()),
        ("lookup", page::lookups(body, &asked).err()),
        ("assigned", outcome::assigned(body, &asked).err()),
        ("locked", lock::locked(body).err()),
        ("replacement", services::replacement(body).err()),
        ("beta", services::beta_tokens(body).err()),
        ("discovery", services::discovery(body).err()),
    ];
    let line =
        |(reader, why): &(&str, Option<String>)| format!("{reader}: {}\n", why.as_deref().unwrap_or("read"));
    expected.assert_eq(&said.iter().map(line).collect::<String>());
}

/// The same with a list of devices, as a page has it.
fn listed(body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    if let Some(at) = body.windows(12).position(|window| window == b"\"devices\":{}") {
        body[at + 10..at + 12].copy_from_slice(b"[]");
    }
    body
}

/// An answer to everything at once.
const GOOD: &str = r#""auth_session_token":"4d1f","profile_uuid":"7C1E88D0A4B94B6E9C3F2A5D6E7F8091","server_name":"x",
    "cursor":"a","more_to_follow":false,"devices":{},"response_status":"SUCCESS","original_device_serial_number":"C1",
    "betaEnrollmentTokens":[],"mdm_service_discovery_url":"https://x""#;

#[test]
fn ten_thousand_unknown_fields_are_passed_over() {
    let unknown: String = (0..10_000).map(|nth| format!(",\"field{nth}\":[{nth}]")).collect();
    check(
        format!("{{{GOOD}{unknown}}}"),
        expect![[r#"
            session: read
            defined: read
            profile: read
            account: read
            page: read
            lookup: read
            assigned: read
            locked: read
            replacement: read
            beta: read
            discovery: read
        "#]],
    );
}

#[test]
fn an_unknown_text_of_ten_megabytes_is_passed_over() {
    check(
        format!("{{{GOOD},\"new\":\"{}\"}}", "é".repeat(5 << 20)),
        expect![[r#"
            session: read
            defined: read
            profile: read
            account: read
            page: read
            lookup: read
            assigned: read
            locked: read
            replacement: read
            beta: read
            discovery: read
        "#]],
    );
}

#[test]
fn of_a_member_that_comes_twice_one_counts() {
    check(
        format!("{{{GOOD},\"auth_session_token\":\"5e2a\",\"server_name\":null}}"),
        expect![[r#"
            session: read
            defined: read
            profile: read
            account: it names neither the server nor the person behind the token
            page: read
            lookup: read
            assigned: read
            locked: read
            replacement: read
            beta: read
            discovery: read
        "#]],
    );
}

#[test]
fn a_byte_that_is_no_text_costs_one_letter() {
    check(
        [b"{\"new\":\"\xff\xfe\",", GOOD.as_bytes(), b"}"].concat(),
        expect![[r#"
            session: read
            defined: read
            profile: read
            account: read
            page: read
            lookup: read
            assigned: read
            locked: read
            replacement: read
            beta: read
            discovery: read
        "#]],
    );
}

#[test]
fn endless_depth_is_refused_or_passed_over() {
    check(
        "[".repeat(10 << 20),
        expect![[r#"
        session: it is JSON of another shape (line 1, column 0)
        defined: it is JSON of another shape (line 1, column 0)
        profile: it is JSON of another shape (line 1, column 0)
        account: it is JSON of another shape (line 1, column 0)
        page: it ends too early (line 1, column 10485760)
        lookup: it is JSON of another shape (line 1, column 1)
        assigned: it is JSON of another shape (line 1, column 0)
        locked: it is JSON of another shape (line 1, column 0)
        replacement: it is JSON of another shape (line 1, column 0)
        beta: it is JSON of another shape (line 1, column 0)
        discovery: it is JSON of another shape (line 1, column 0)
    "#]],
    );
    check(
        format!("{{{GOOD},\"new\":{}{}}}", "[".repeat(1 << 20), "]".repeat(1 << 20)),
        expect![[r#"
            session: it is not JSON (line 3, column 203)
            defined: it is not JSON (line 3, column 203)
            profile: it is not JSON (line 3, column 203)
            account: it is not JSON (line 3, column 203)
            page: read
            lookup: read
            assigned: it is not JSON (line 3, column 203)
            locked: it is not JSON (line 3, column 203)
            replacement: it is not JSON (line 3, column 203)
            beta: it is not JSON (line 3, column 203)
            discovery: it is not JSON (line 3, column 203)
        "#]],
    );
}

#[test]
fn nulls_and_numbers_in_place_of_texts_are_refused_or_none() {
    let nulls = GOOD.split(',').map(|member| member.split(':').next().unwrap().to_owned() + ":null");
    check(
        format!("{{{}}}", nulls.collect::<Vec<_>>().join(",")),
        expect![[r#"
            session: it lacks auth_session_token
            defined: it lacks profile_uuid
            profile: read
            account: it names neither the server nor the person behind the token
            page: it lacks devices
            lookup: it lacks devices
            assigned: it lacks devices
            locked: it lacks response_status
            replacement: its original_device_serial_number is missing or is none
            beta: it lacks betaEnrollmentTokens
            discovery: it lacks mdm_service_discovery_url
        "#]],
    );
    let numbers = GOOD.split(',').map(|member| member.split(':').next().unwrap().to_owned() + ":7");
    check(
        format!("{{{}}}", numbers.collect::<Vec<_>>().join(",")),
        expect![[r#"
            session: it lacks auth_session_token
            defined: it lacks profile_uuid
            profile: read
            account: read
            page: it is JSON of another shape (line 2, column 45)
            lookup: it is JSON of another shape (line 2, column 45)
            assigned: it lacks devices
            locked: it lacks response_status
            replacement: its original_device_serial_number is missing or is none
            beta: it lacks betaEnrollmentTokens
            discovery: it lacks mdm_service_discovery_url
        "#]],
    );
}

#[test]
fn what_is_no_object_is_refused() {
    for body in ["", "null", "7", "\"a\"", "[]", "\u{feff}{}", "{} {}"] {
        assert!(object(body.as_bytes()).is_err(), "{body}");
    }
    check(
        "<!DOCTYPE html><html>Sign in to the Wi-Fi</html>",
        expect![[r#"
        session: it is a web page: a proxy or the sign-in page of a network answers in Apple's place
        defined: it is a web page: a proxy or the sign-in page of a network answers in Apple's place
        profile: it is a web page: a proxy or the sign-in page of a network answers in Apple's place
        account: it is a web page: a proxy or the sign-in page of a network answers in Apple's place
        page: it is a web page: a proxy or the sign-in page of a network answers in Apple's place
        lookup: it is a web page: a proxy or the sign-in page of a network answers in Apple's place
        assigned: it is a web page: a proxy or the sign-in page of a network answers in Apple's place
        locked: it is a web page: a proxy or the sign-in page of a network answers in Apple's place
        replacement: it is a web page: a proxy or the sign-in page of a network answers in Apple's place
        beta: it is a web page: a proxy or the sign-in page of a network answers in Apple's place
        discovery: it is a web page: a proxy or the sign-in page of a network answers in Apple's place
    "#]],
    );
}

use expect_test::{Expect, expect};

use super::super::error::Next;
use super::*;

fn attempt(call: Call) -> Attempt {
    let profile = matches!(call, Call::Profile | Call::Assign);
    Attempt {
        call,
        token: "emea".parse().unwrap(),
        host: "mdmenrollment.apple.com".to_owned(),
        profile: profile.then(|| "7C1E88D0A4B94B6E9C3F2A5D6E7F8091".parse().unwrap()),
    }
}

/// What a refusal of this call comes to.
#[track_caller]
fn check(call: Call, status: u16, body: &str, expected: Expect) {
    let attempt = attempt(call);
    let again = if call != Call::Session && refuses_session(status, body.as_bytes()) {
        "first, once more with a new session\n"
    } else {
        ""
    };
    let error = classify(&attempt, status, body.as_bytes(), Some(Duration::from_secs(60)));
    let next = match error.next() {
        Next::Operator(advice) => format!("hint: {advice}"),
        next => format!("next: {next:?}"),
    };
    expected.assert_eq(&format!("{again}{error}\n{next}\n"));
}

/// The code in each of these bodies.
#[track_caller]
fn check_codes(bodies: &[&[u8]], expected: Expect) {
    let codes: Vec<String> = bodies
        .iter()
        .map(|body| {
            format!("{} -> {}\n", body.escape_ascii(), code(body).unwrap_or_else(|| "none".to_owned()))
        })
        .collect();
    expected.assert_eq(&codes.concat());
}

#[test]
fn a_code_is_found_in_every_shape() {
    check_codes(
        &[
            b"INVALID_CURSOR",
            b"\"INVALID_CURSOR\"",
            b"\xef\xbb\xbf INVALID_CURSOR\r\n",
            b"\" INVALID_CURSOR\"\n",
            b"{\"code\":\"INVALID_CURSOR\",\"message\":\"x\"}",
            b"token_expiredForbidden",
            b"oauth_problem_adviceBad Request",
            b"oauth_problem_adviceUnauthorized",
            b"\"token_rejected Forbidden\"",
            b"T_C_NOT_SIGNED",
            b"Internal Server Error",
            b"PROFILE_NOT_FOUNDNot Found",
            b"DEVICE_NOT_FOUNDBad Request",
        ],
        expect![[r#"
            INVALID_CURSOR -> INVALID_CURSOR
            \"INVALID_CURSOR\" -> INVALID_CURSOR
            \xef\xbb\xbf INVALID_CURSOR\r\n -> INVALID_CURSOR
            \" INVALID_CURSOR\"\n -> INVALID_CURSOR
            {\"code\":\"INVALID_CURSOR\",\"message\":\"x\"} -> INVALID_CURSOR
            token_expiredForbidden -> token_expired
            oauth_problem_adviceBad Request -> oauth_problem_advice
            oauth_problem_adviceUnauthorized -> oauth_problem_advice
            \"token_rejected Forbidden\" -> token_rejected
            T_C_NOT_SIGNED -> T_C_NOT_SIGNED
            Internal Server Error -> Internal Server Error
            PROFILE_NOT_FOUNDNot Found -> PROFILE_NOT_FOUND
            DEVICE_NOT_FOUNDBad Request -> DEVICE_NOT_FOUND
        "#]],
    );
}

#[test]
fn a_reason_phrase_stays_on_a_word_we_do_not_know() {
    check_codes(
        &[b"something_elseForbidden", b"Forbidden", b"FORBIDDEN"],
        expect![[r#"
        something_elseForbidden -> something_elseForbidden
        Forbidden -> Forbidden
        FORBIDDEN -> FORBIDDEN
    "#]],
    );
}

#[test]
fn what_is_not_shaped_like_a_code_is_not_quoted() {
    check_codes(
        &[
            b"",
            b"\"",
            b"\"\"",
            b"{}",
            b"{\"code\":7}",
            b"{\"code\":null}",
            b"{\"code\"",
            b"[\"FORBIDDEN\"]",
            b"<html>no</html>",
            b"CS_0123456789abcdef",
            b"4d1f8a02c7b96e35",
            b"\xff\xfe",
            "VERBOTEN_ä".as_bytes(),
        ],
        expect![[r#"
             -> none
            \" -> none
            \"\" -> none
            {} -> none
            {\"code\":7} -> none
            {\"code\":null} -> none
            {\"code\" -> none
            [\"FORBIDDEN\"] -> none
            <html>no</html> -> none
            CS_0123456789abcdef -> none
            4d1f8a02c7b96e35 -> none
            \xff\xfe -> none
            VERBOTEN_\xc3\xa4 -> none
        "#]],
    );
}

#[test]
fn a_refusal_of_ten_megabytes_or_endless_depth_is_survived() {
    assert_eq!(code(&vec![b'A'; 10 << 20]), None);
    assert_eq!(code(&vec![b'"'; 10 << 20]), None);
    assert_eq!(code("{\"code\":".repeat(1 << 20).as_bytes()), None);
    assert_eq!(code(format!("{{\"code\":\"{}\"}}", "A".repeat(10 << 20)).as_bytes()), None);
    assert!(!refuses_session(403, &vec![b'F'; 10 << 20]));
}

#[test]
fn a_rejected_token_needs_a_new_one() {
    check(
        Call::Session,
        403,
        "token_rejectedForbidden",
        expect![[r#"
        could not open a session for `emea`: Apple does not accept the server token (403 token_rejected)
        hint: download a new token from Apple's portal, then run `deputy token import emea FILE`
    "#]],
    );
    check(
        Call::Session,
        401,
        "",
        expect![[r#"
        could not open a session for `emea`: Apple does not accept the server token (401 without a code)
        hint: download a new token from Apple's portal, then run `deputy token import emea FILE`
    "#]],
    );
    check(
        Call::Session,
        403,
        "FORBIDDEN",
        expect![[r#"
            could not open a session for `emea`: who made the server token is gone, or may no longer use it
            hint: sign in to Apple's portal with an account that stays and may manage device management services, download a new token, then run `deputy token import emea FILE`
        "#]],
    );
    check(
        Call::Sync,
        403,
        "signature_invalid",
        expect![[r#"
        could not sync the devices for `emea`: Apple does not accept the server token (403 signature_invalid)
        hint: download a new token from Apple's portal, then run `deputy token import emea FILE`
    "#]],
    );
    check(
        Call::Sync,
        401,
        "token_rejectedUnauthorized",
        expect![[r#"
        could not sync the devices for `emea`: Apple does not accept the server token (401 token_rejected)
        hint: download a new token from Apple's portal, then run `deputy token import emea FILE`
    "#]],
    );
}

#[test]
fn a_badly_signed_request_points_at_the_clock() {
    check(
        Call::Session,
        400,
        "oauth_problem_adviceBad Request",
        expect![[r#"
        could not open a session for `emea`: Apple does not accept the server token (400 oauth_problem_advice)
        hint: check this machine's clock; if it is right, download a new token from Apple's portal and run `deputy token import emea FILE`
    "#]],
    );
}

#[test]
fn an_expired_token_needs_a_new_one() {
    check(
        Call::Session,
        403,
        "token_expiredForbidden",
        expect![[r#"
        could not open a session for `emea`: the server token has expired
        hint: download a new token from Apple's portal, then run `deputy token import emea FILE`
    "#]],
    );
    check(
        Call::Sync,
        401,
        "token_expiredUnauthorized",
        expect![[r#"
        could not sync the devices for `emea`: the server token has expired
        hint: download a new token from Apple's portal, then run `deputy token import emea FILE`
    "#]],
    );
}

#[test]
fn a_refused_session_is_renewed_once() {
    check(
        Call::Sync,
        401,
        "",
        expect![[r#"
        first, once more with a new session
        could not sync the devices for `emea`: Apple refused the session it had just given (401 without a code)
        next: Retry { after: None }
    "#]],
    );
    check(
        Call::Sync,
        401,
        "UNAUTHORIZED",
        expect![[r#"
        first, once more with a new session
        could not sync the devices for `emea`: Apple refused the session it had just given (401 UNAUTHORIZED)
        next: Retry { after: None }
    "#]],
    );
    check(
        Call::Assign,
        403,
        "\"FORBIDDEN\"",
        expect![[r#"
        first, once more with a new session
        could not assign a profile for `emea`: Apple refused the session it had just given (403 FORBIDDEN)
        next: Retry { after: None }
    "#]],
    );
}

#[test]
fn other_refusals_leave_the_session_alone() {
    check(
        Call::Sync,
        403,
        "Forbidden",
        expect![[r#"
        could not sync the devices for `emea`: Apple answered 403 Forbidden
        hint: try again later; if it stays, Apple's service has changed and Deputy needs an update
    "#]],
    );
    check(
        Call::Sync,
        403,
        "T_C_NOT_SIGNED",
        expect![[r#"
        could not sync the devices for `emea`: the organisation has not accepted Apple's new terms
        hint: sign in to business.apple.com or school.apple.com as an administrator and accept the new terms; the next call that succeeds shows that it worked
    "#]],
    );
    check(
        Call::Sync,
        403,
        "ACCESS_DENIED",
        expect![[r#"
        could not sync the devices for `emea`: Apple does not let this device management service do that
        hint: look up in Apple's portal what the device management service may do
    "#]],
    );
    check(
        Call::Sync,
        403,
        "SERVER_INACTIVE",
        expect![[r#"
        could not sync the devices for `emea`: the device management service is gone from Apple's portal
        hint: run `deputy token request emea`, create a device management service in Apple's portal with the certificate, download its token, then run `deputy token import emea FILE`
    "#]],
    );
}

#[test]
fn every_trouble_with_a_cursor_heals_itself() {
    check(
        Call::Sync,
        400,
        "EXPIRED_CURSOR",
        expect![[r#"
        could not sync the devices for `emea`: the sync cursor is too old
        next: FetchEverything
    "#]],
    );
    check(
        Call::Sync,
        400,
        "\"INVALID_CURSOR\"",
        expect![[r#"
        could not sync the devices for `emea`: Apple does not know the sync cursor
        next: FetchEverything
    "#]],
    );
    check(
        Call::Sync,
        400,
        "CURSOR_REQUIRED",
        expect![[r#"
        could not sync the devices for `emea`: Apple asks for a sync cursor
        next: FetchEverything
    "#]],
    );
    check(
        Call::Fetch,
        400,
        "EXHAUSTED_CURSOR",
        expect![[r#"
        could not fetch the devices for `emea`: the sync cursor has returned everything
        next: Done
    "#]],
    );
}

#[test]
fn an_unknown_profile_is_defined_again() {
    check(
        Call::Assign,
        404,
        "NOT_FOUND",
        expect![[r#"
        could not assign a profile for `emea`: Apple does not know the profile 7C1E88D0A4B94B6E9C3F2A5D6E7F8091
        next: DefineProfile
    "#]],
    );
    check(
        Call::Assign,
        400,
        "\"PROFILE_NOT_FOUND\"",
        expect![[r#"
        could not assign a profile for `emea`: Apple does not know the profile 7C1E88D0A4B94B6E9C3F2A5D6E7F8091
        next: DefineProfile
    "#]],
    );
    check(
        Call::Profile,
        404,
        "",
        expect![[r#"
        could not read a profile for `emea`: Apple does not know the profile 7C1E88D0A4B94B6E9C3F2A5D6E7F8091
        next: DefineProfile
    "#]],
    );
    check(
        Call::Sync,
        404,
        "NOT_FOUND",
        expect![[r#"
        could not sync the devices for `emea`: Apple answered 404 NOT_FOUND
        hint: try again later; if it stays, Apple's service has changed and Deputy needs an update
    "#]],
    );
}

#[test]
fn a_refused_profile_says_why() {
    check(
        Call::DefineProfile,
        400,
        "FLAGS_INVALID",
        expect![[r#"
        could not define a profile for `emea`: Apple refused the profile (FLAGS_INVALID)
        hint: correct the profile's file
    "#]],
    );
    check(
        Call::DefineProfile,
        400,
        "A_RULE_OF_TOMORROW",
        expect![[r#"
        could not define a profile for `emea`: Apple refused the profile (A_RULE_OF_TOMORROW)
        hint: correct the profile's file
    "#]],
    );
    check(
        Call::DefineProfile,
        400,
        "MALFORMED_REQUEST_BODY",
        expect![[r#"
        could not define a profile for `emea`: Apple answered 400 MALFORMED_REQUEST_BODY
        hint: try again later; if it stays, Apple's service has changed and Deputy needs an update
    "#]],
    );
    check(
        Call::DefineProfile,
        500,
        "Internal Server Error",
        expect![[r#"
        could not define a profile for `emea`: Apple's service is not available (500 Internal Server Error)
        next: Retry { after: Some(60s) }
    "#]],
    );
}

#[test]
fn trouble_at_apple_is_waited_out() {
    check(
        Call::Session,
        429,
        "TOO_MANY_REQUESTS",
        expect![[r#"
        could not open a session for `emea`: Apple asks for fewer requests
        next: Retry { after: Some(60s) }
    "#]],
    );
    check(
        Call::Sync,
        429,
        "<html>",
        expect![[r#"
        could not sync the devices for `emea`: Apple asks for fewer requests
        next: Retry { after: Some(60s) }
    "#]],
    );
    check(
        Call::Sync,
        503,
        "",
        expect![[r#"
        could not sync the devices for `emea`: Apple's service is not available (503 without a code)
        next: Retry { after: Some(60s) }
    "#]],
    );
    check(
        Call::Session,
        500,
        "",
        expect![[r#"
        could not open a session for `emea`: Apple's service is not available (500 without a code)
        next: Retry { after: Some(60s) }
    "#]],
    );
}

#[test]
fn what_has_no_name_is_told_as_it_came() {
    check(
        Call::Assign,
        405,
        "",
        expect![[r#"
        could not assign a profile for `emea`: Apple answered 405 without a code
        hint: try again later; if it stays, Apple's service has changed and Deputy needs an update
    "#]],
    );
    check(
        Call::Sync,
        302,
        "<html>",
        expect![[r#"
            could not sync the devices for `emea`: the answer makes no sense: it points elsewhere, as the sign-in page of a network does and Apple does not
            next: Retry { after: None }
        "#]],
    );
    check(
        Call::Account,
        400,
        "USER_AGENT_INVALID",
        expect![[r#"
        could not read the account for `emea`: Apple answered 400 USER_AGENT_INVALID
        hint: try again later; if it stays, Apple's service has changed and Deputy needs an update
    "#]],
    );
}

#[test]
fn what_others_answer_in_apples_place_is_told_apart() {
    check(
        Call::Sync,
        407,
        "<html>",
        expect![[r#"
        could not sync the devices for `emea`: the proxy on the way to mdmenrollment.apple.com does not let us in
        hint: correct the user name and the password in `proxy` under `[apple]`, or in HTTPS_PROXY
    "#]],
    );
    check(
        Call::Session,
        302,
        "<html>",
        expect![[r#"
        could not open a session for `emea`: the answer makes no sense: it points elsewhere, as the sign-in page of a network does and Apple does not
        next: Retry { after: None }
    "#]],
    );
}

#[test]
fn a_clock_far_from_apples_is_to_blame_for_refused_credentials_alone() {
    let refused = |body: &str, minutes: Option<i64>| {
        let attempt = attempt(Call::Session);
        let error = classify(&attempt, 403, body.as_bytes(), None);
        let error = or_clock(error, minutes.map(SignedDuration::from_mins));
        format!("{error}\nhint: {}\n", error.advice().unwrap())
    };
    let bodies = ["token_rejectedForbidden", "T_C_NOT_SIGNED"];
    let said: Vec<String> = bodies.iter().map(|body| refused(body, Some(-12))).collect();
    expect![[r#"
        could not open a session for `emea`: Apple does not accept the server token, and this machine's clock is 12 minutes behind Apple's
        hint: set this machine's clock (it is 12 minutes behind Apple's)
        could not open a session for `emea`: the organisation has not accepted Apple's new terms
        hint: sign in to business.apple.com or school.apple.com as an administrator and accept the new terms; the next call that succeeds shows that it worked
    "#]].assert_eq(&said.concat());
    let said = [Some(90), Some(5), None].map(|minutes| refused("signature_invalid", minutes));
    expect![[r#"
        could not open a session for `emea`: Apple does not accept the server token, and this machine's clock is 1 hour ahead of Apple's
        hint: set this machine's clock (it is 1 hour ahead of Apple's)
        could not open a session for `emea`: Apple does not accept the server token (403 signature_invalid)
        hint: download a new token from Apple's portal, then run `deputy token import emea FILE`
        could not open a session for `emea`: Apple does not accept the server token (403 signature_invalid)
        hint: download a new token from Apple's portal, then run `deputy token import emea FILE`
    "#]].assert_eq(&said.concat());
}

//! `deputy token check`: everything that can be wrong with a token, each with what to do about it.

use expect_test::{Expect, expect};
use jiff::{SignedDuration, Timestamp};
use sim::{Endpoint, Fault, TokenOptions};

use crate::env::TestEnv;
use crate::net::{answering, json};
use crate::network::{check, check_elsewhere};

/// The first call to an endpoint answered like this.
#[track_caller]
fn check_fault(fault: Fault, code: i32, expected: Expect) {
    let env = TestEnv::new();
    env.apple().fault(fault);
    check(&env, code, expected);
}

#[test]
fn tokens_that_work_say_until_when_and_one_that_does_not_stops_no_other() {
    let env = TestEnv::with_tokens(&["north", "south"]);
    check(
        &env,
        0,
        expect![[r#"
            north: fine
              Apple accepts it; it expires in NNN days
              server "north" of north Ltd, made by enroll-admin@north.example; pages of up to 1000 devices
            south: fine
              Apple accepts it; it expires in NNN days
              server "south" of south Ltd, made by enroll-admin@south.example; pages of up to 1000 devices
        "#]],
    );
    env.apple().sign_terms("north", false).unwrap();
    check(
        &env,
        4,
        expect![[r#"
            north: terms not signed
              could not open a session for `north`: the organisation has not accepted Apple's new terms
              hint: sign in to business.apple.com or school.apple.com as an administrator and accept the new terms; the next call that succeeds shows that it worked
            south: fine
              Apple accepts it; it expires in NNN days
              server "south" of south Ltd, made by enroll-admin@south.example; pages of up to 1000 devices
        "#]],
    );
    env.run(&["token", "check", "south"]).ends_with(0);
}

#[test]
fn a_token_that_was_never_imported_says_what_to_type() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.run(&["token", "check"]).fails(
        4,
        expect![[r#"
        error: no token is imported
        hint: `deputy token request NAME` begins the exchange with Apple's portal
    "#]],
    );
    env.run(&["token", "check", "main"]).fails(
        4,
        expect![[r#"
            main: not imported
              no token was ever imported under this name
              hint: type `deputy token request main` and follow what it says
        "#]],
    );
    env.run(&["token", "request", "main"]).is_done();
    env.run(&["token", "check", "main"]).fails(
        4,
        expect![[r#"
            main: not imported
              no token was ever imported under this name
              hint: download the token from Apple's portal, then run `deputy token import main FILE`
        "#]],
    );
    env.run(&["token", "check", "mian"]).fails(
        2,
        expect![[r#"
        error: there is no token `mian`
        hint: did you mean `main`?
    "#]],
    );
}

#[test]
fn the_result_as_json_has_the_shape_that_help_tells() {
    let env = TestEnv::with_tokens(&["north", "south"]);
    env.apple().fault(Fault::status(403, "SERVER_INACTIVE").on(Endpoint::Session).of_server("south"));
    let mut result = env.json(&["token", "check"]);
    result["tokens"][0]["days_left"] = "DAYS".into();
    result["tokens"][1]["days_left"] = "DAYS".into();
    expect![[r#"
        {
          "tokens": [
            {
              "admin_id": "enroll-admin@north.example",
              "days_left": "DAYS",
              "expires_at": "TIME",
              "hint": null,
              "name": "north",
              "org_name": "north Ltd",
              "page_limit": 1000,
              "server_name": "north",
              "server_uuid": "ID",
              "state": "fine",
              "summary": "Apple accepts it; it expires in NNN days"
            },
            {
              "admin_id": "enroll-admin@south.example",
              "days_left": "DAYS",
              "expires_at": "TIME",
              "hint": "run `deputy token request south`, create a device management service in Apple's portal with the certificate, download its token, then run `deputy token import south FILE`",
              "name": "south",
              "org_name": "south Ltd",
              "page_limit": null,
              "server_name": "south",
              "server_uuid": "ID",
              "state": "server-inactive",
              "summary": "could not open a session for `south`: the device management service is gone from Apple's portal"
            }
          ],
          "version": 1
        }"#]].assert_eq(&env.normal(&format!("{result:#}")));
    assert_eq!(env.calls(Endpoint::Fetch), []);
}

#[test]
fn each_refusal_of_apples_says_who_has_to_do_what() {
    let refused = |status, body: &str| Fault::status(status, body).on(Endpoint::Session);
    check_fault(
        refused(403, "token_expiredForbidden"),
        4,
        expect![[r#"
            main: expired
              could not open a session for `main`: the server token has expired
              hint: download a new token from Apple's portal, then run `deputy token import main FILE`
        "#]],
    );
    check_fault(
        refused(403, "token_rejectedForbidden"),
        4,
        expect![[r#"
            main: rejected
              could not open a session for `main`: Apple does not accept the server token (403 token_rejected)
              hint: it was revoked, or somebody downloaded a newer one, which ends it: import the newest file, or download a new one from Apple's portal and run `deputy token import main FILE`
        "#]],
    );
    check_fault(
        refused(403, "FORBIDDEN"),
        4,
        expect![[r#"
            main: creator gone
              could not open a session for `main`: who made the server token is gone, or may no longer use it (it was enroll-admin@main.example)
              hint: sign in to Apple's portal with an account that stays and may manage device management services, download a new token, then run `deputy token import main FILE`
        "#]],
    );
    check_fault(
        refused(403, "\"SERVER_INACTIVE\""),
        4,
        expect![[r#"
            main: server inactive
              could not open a session for `main`: the device management service is gone from Apple's portal
              hint: run `deputy token request main`, create a device management service in Apple's portal with the certificate, download its token, then run `deputy token import main FILE`
        "#]],
    );
    check_fault(
        refused(403, "{\"code\":\"ACCESS_DENIED\"}"),
        4,
        expect![[r#"
            main: access denied
              could not open a session for `main`: Apple does not let this device management service do that
              hint: look up in Apple's portal what the device management service may do
        "#]],
    );
    check_fault(
        refused(400, "oauth_problem_adviceBad Request"),
        4,
        expect![[r#"
            main: rejected
              could not open a session for `main`: Apple does not accept the server token (400 oauth_problem_advice)
              hint: check this machine's clock; if it is right, download a new token from Apple's portal and run `deputy token import main FILE`
        "#]],
    );
}

#[test]
fn trouble_at_apple_passes() {
    let busy = Fault::status(429, "TOO_MANY_REQUESTS").on(Endpoint::Session).retry_after("300");
    check_fault(
        busy,
        5,
        expect![[r#"
            main: too many requests
              could not open a session for `main`: Apple asks for fewer requests
              hint: nothing to mend here; Apple asks to be left alone for 5 minutes
        "#]],
    );
    check_fault(
        Fault::status(503, "<html>").on(Endpoint::Account),
        5,
        expect![[r#"
            main: unavailable
              could not read the account for `main`: Apple's service is not available (503 without a code)
              hint: nothing to mend here; try again later
        "#]],
    );
    check_fault(
        Fault::status(200, "<html>Sign in</html>").on(Endpoint::Session),
        5,
        expect![[r#"
            main: bad answer
              could not open a session for `main`: the answer makes no sense: it is a web page: a proxy or the sign-in page of a network answers in Apple's place
              hint: if it stays, look whether a proxy or the sign-in page of a network answers in Apple's place
        "#]],
    );
    check_fault(
        Fault::hang_up().on(Endpoint::Session),
        5,
        expect![[r#"
            main: no answer
              could not open a session for `main`: no answer from 127.0.0.1:PORT
              hint: try again later
        "#]],
    );
}

#[test]
fn a_session_that_is_refused_with_401_is_asked_for_once_more() {
    let env = TestEnv::new();
    let refused = Fault::status(401, "oauth_problem_adviceUnauthorized").on(Endpoint::Session);
    env.apple().clear_calls();
    env.apple().fault(refused.clone());
    env.run(&["token", "check"]).ends_with(0);
    assert_eq!(env.calls(Endpoint::Session).len(), 2);
    env.apple().clear_calls();
    env.apple().fault(refused.times(9));
    check(
        &env,
        4,
        expect![[r#"
            main: rejected
              could not open a session for `main`: Apple does not accept the server token (401 oauth_problem_advice)
              hint: check this machine's clock; if it is right, download a new token from Apple's portal and run `deputy token import main FILE`
        "#]],
    );
    assert_eq!(env.calls(Endpoint::Session).len(), 2);
}

#[test]
fn a_token_that_another_download_ended_says_which_file_to_import() {
    let env = TestEnv::new();
    env.run(&["token", "request", "main"]).is_done();
    env.download_token("main", &TokenOptions::default());
    check(
        &env,
        4,
        expect![[r#"
            main: replaced
              could not open a session for `main`: Apple does not accept the server token (403 token_rejected)
              hint: a new token was asked for on DATE and never imported; downloading it ended this one: run `deputy token import main FILE` with the newest file from Apple's portal
        "#]],
    );
}

#[test]
fn a_token_of_another_server_is_told() {
    let other = r#"{"server_name":"Test","server_uuid":"00000000000000000000000000000000"}"#;
    check_fault(
        Fault::status(200, other).on(Endpoint::Account),
        4,
        expect![[r#"
            main: other server
              it is a token of the server "Test", and not of "main"
              hint: download a token of the server "main" from Apple's portal, then run `deputy token import main FILE`
        "#]],
    );
}

#[test]
fn a_clock_far_from_apples_is_told_and_not_the_token() {
    let date =
        (Timestamp::now() + SignedDuration::from_secs(12 * 60 + 30)).strftime("%a, %d %b %Y %H:%M:%S GMT");
    let refusal = json("401 Unauthorized", "oauth_problem_adviceUnauthorized");
    let refusal = refusal.replacen("\r\n", &format!("\r\nDate: {date}\r\n"), 1);
    check_elsewhere(
        "http",
        &answering(move |_| refusal.clone()),
        "",
        4,
        expect![[r#"
            main: clock wrong
              could not open a session for `main`: Apple does not accept the server token, and this machine's clock is 12 minutes behind Apple's
              hint: set this machine's clock (it is 12 minutes behind Apple's)
        "#]],
    );
}

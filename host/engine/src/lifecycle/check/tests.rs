use expect_test::{Expect, expect};

use super::*;
use crate::apple::{Answer, Call};

fn token() -> Token {
    Token {
        name: "emea".parse().unwrap(),
        server_name: "Orchard MDM".into(),
        server_uuid: "5D3A9C0E7B1F4482A6E0C1D2F3A4B5C6".into(),
        org_name: "Orchard Tools".into(),
        org_id: None,
        admin_id: "admin@orchard.example".into(),
        expires_at: "2027-01-09T09:00:00Z".parse().unwrap(),
        imported_at: "2026-01-09T09:00:00Z".parse().unwrap(),
    }
}

fn account() -> Account {
    let token = token();
    Account {
        server_name: Some(token.server_name),
        server_uuid: Some(token.server_uuid),
        org_name: Some(token.org_name),
        ..Account::default()
    }
}

/// What an answer comes to on a day. A key was made for the token on the other day.
#[track_caller]
fn check(now: &str, requested: Option<&str>, answer: Result<Account, Error>, expected: Expect) {
    let day = |day: &str| format!("{day}T09:00:00Z").parse::<Timestamp>().unwrap();
    let token = token();
    let known = Known { name: &token.name, token: Some(&token), requested_at: requested.map(day) };
    let Finding { state, summary, hint, outcome } = judge(known, &token, answer.as_ref(), day(now));
    let hint = hint.map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    expected.assert_eq(&format!("{state}, {outcome:?}: {summary}{hint}\n"));
}

fn rejected() -> Error {
    let answer = Answer { status: 403, code: Some("token_rejected".into()) };
    Error::TokenRejected { call: Call::Session, token: token().name, answer }
}

#[test]
fn a_token_that_works_says_until_when() {
    check(
        "2026-02-01",
        None,
        Ok(account()),
        expect![[r#"
        fine, Succeeded: Apple accepts it; it expires in 342 days
    "#]],
    );
    check(
        "2026-12-20",
        None,
        Ok(account()),
        expect![[r#"
        fine, Succeeded: Apple accepts it; it expires in 20 days
        hint: download a new token from Apple's portal, then run `deputy token import emea FILE`
    "#]],
    );
}

#[test]
fn new_names_are_told_and_change_nothing() {
    let (server_name, org_name) = (Some("MDM".to_owned()), Some("Orchard".to_owned()));
    check(
        "2026-02-01",
        None,
        Ok(Account { server_name, org_name, ..account() }),
        expect![[r#"
        fine, Succeeded: Apple accepts it; it expires in 342 days; the server is now called "MDM"; the organisation is now called "Orchard"
    "#]],
    );
    check(
        "2026-02-01",
        None,
        Ok(Account::default()),
        expect![[r#"
        fine, Succeeded: Apple accepts it; it expires in 342 days
    "#]],
    );
}

#[test]
fn a_token_of_another_server_is_not_fine() {
    let server_uuid = Some("00000000000000000000000000000000".to_owned());
    let other = Account { server_uuid, server_name: Some("Test".to_owned()), ..account() };
    check(
        "2026-02-01",
        None,
        Ok(other),
        expect![[r#"
        other-server, NeedsPerson: it is a token of the server "Test", and not of "Orchard MDM"
        hint: download a token of the server "Orchard MDM" from Apple's portal, then run `deputy token import emea FILE`
    "#]],
    );
}

#[test]
fn a_token_past_its_end_is_not_fine_whatever_apple_says() {
    check(
        "2027-01-09",
        None,
        Ok(account()),
        expect![[r#"
        ended, NeedsPerson: it ended on 2027-01-09 by its own word, though Apple still accepts it
        hint: download a new token from Apple's portal, then run `deputy token import emea FILE`
    "#]],
    );
    check(
        "2027-01-09",
        None,
        Err(rejected()),
        expect![[r#"
        expired, NeedsPerson: could not open a session for `emea`: Apple does not accept the server token (403 token_rejected)
        hint: download a new token from Apple's portal, then run `deputy token import emea FILE`
    "#]],
    );
}

#[test]
fn a_rejected_token_was_replaced_if_another_was_asked_for_since() {
    check(
        "2026-02-01",
        Some("2026-01-08"),
        Err(rejected()),
        expect![[r#"
        rejected, NeedsPerson: could not open a session for `emea`: Apple does not accept the server token (403 token_rejected)
        hint: it was revoked, or somebody downloaded a newer one, which ends it: import the newest file, or download a new one from Apple's portal and run `deputy token import emea FILE`
    "#]],
    );
    check(
        "2026-02-01",
        Some("2026-01-20"),
        Err(rejected()),
        expect![[r#"
        replaced, NeedsPerson: could not open a session for `emea`: Apple does not accept the server token (403 token_rejected)
        hint: a new token was asked for on 2026-01-20 and never imported; downloading it ended this one: run `deputy token import emea FILE` with the newest file from Apple's portal
    "#]],
    );
}

#[test]
fn a_creator_who_is_gone_is_named() {
    let error = Error::CreatorGone { call: Call::Session, token: token().name };
    check(
        "2026-02-01",
        None,
        Err(error),
        expect![[r#"
        creator-gone, NeedsPerson: could not open a session for `emea`: who made the server token is gone, or may no longer use it (it was admin@orchard.example)
        hint: sign in to Apple's portal with an account that stays and may manage device management services, download a new token, then run `deputy token import emea FILE`
    "#]],
    );
}

#[test]
fn trouble_that_passes_needs_nobody() {
    let (call, name) = (Call::Session, token().name);
    let retry_after = Some(Duration::from_secs(300));
    let busy = Error::TooManyRequests { call, token: name.clone(), retry_after };
    check(
        "2026-02-01",
        None,
        Err(busy),
        expect![[r#"
        too-many-requests, Unavailable: could not open a session for `emea`: Apple asks for fewer requests
        hint: nothing to mend here; Apple asks to be left alone for 5 minutes
    "#]],
    );
    let bad = Error::BadAnswer { call, token: name, why: "it is not JSON".to_owned() };
    check(
        "2026-02-01",
        None,
        Err(bad),
        expect![[r#"
            bad-answer, Unavailable: could not open a session for `emea`: the answer makes no sense: it is not JSON
            hint: if it stays, look whether a proxy or the sign-in page of a network answers in Apple's place
        "#]],
    );
}

//! Tokens that are no good any more, and clocks that disagree.

use crate::client::Client;
use crate::{check, client, sim};
use expect_test::{Expect, expect};
use jiff::Timestamp;
use serde_json::json;
use sim::{ErrorStyle, TokenState};

/// What a session with a token in each state is answered.
async fn states(documented_401: bool, expect: Expect) {
    let sim = sim("").await;
    sim.change_settings(|settings| settings.documented_401 = documented_401);
    let client = client(&sim).await;
    let mut shown = String::new();
    for state in [TokenState::Expired, TokenState::Revoked, TokenState::CreatorGone, TokenState::Good] {
        let change = json!({ "token_state": state }).to_string();
        assert_eq!(client.control("PATCH", "/servers/emea", &change).await.short(), "200");
        let call = client.get("/account").await.short();
        shown.push_str(&format!("{state:?}: {call}, then {}\n", client.log_in().await.short()));
    }
    let forged = client.sign("n", Timestamp::now().as_second()).replace("\"n\"", "\"m\"");
    shown.push_str(&format!("forged: {}\n", client.log_in_with(&forged).await.short()));
    check(shown, expect);
}

#[tokio::test]
async fn a_token_that_is_no_good_ends_the_session_and_opens_no_other() {
    states(
        false,
        expect![[r#"
        Expired: 401 UNAUTHORIZED, then 403 token_expiredForbidden
        Revoked: 401 UNAUTHORIZED, then 403 token_rejectedForbidden
        CreatorGone: 401 UNAUTHORIZED, then 403 FORBIDDEN
        Good: 401 UNAUTHORIZED, then 200
        forged: 403 signature_invalidForbidden
    "#]],
    )
    .await;
}

#[tokio::test]
async fn the_documented_status_can_be_had_instead_of_the_one_that_was_seen() {
    states(
        true,
        expect![[r#"
        Expired: 401 UNAUTHORIZED, then 401 oauth_problem_adviceUnauthorized
        Revoked: 401 UNAUTHORIZED, then 401 oauth_problem_adviceUnauthorized
        CreatorGone: 401 UNAUTHORIZED, then 403 FORBIDDEN
        Good: 401 UNAUTHORIZED, then 200
        forged: 401 oauth_problem_adviceUnauthorized
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_revoked_token_is_replaced_by_a_new_one_of_the_same_consumer() {
    let sim = sim("").await;
    let old = client(&sim).await;
    assert_eq!(old.control("DELETE", "/servers/emea/token", "").await.status, 204);
    check(old.log_in().await.short(), expect!["403 token_rejectedForbidden"]);
    let new = Client::new(&sim, "emea").await;
    assert_eq!(
        (new.log_in().await.short().as_str(), &new.token["consumer_key"]),
        ("200", &old.token["consumer_key"])
    );
}

#[tokio::test]
async fn apples_clock_can_be_off_and_the_date_header_tells_so() {
    let sim = sim("").await;
    sim.change_settings(|settings| settings.clock_offset_seconds = -3600);
    let client = Client::new(&sim, "emea").await;
    check(client.log_in().await.short(), expect!["401 oauth_problem_adviceUnauthorized"]);
    let apples = Timestamp::now().as_second() - 3600;
    let signed = client.sign("once", apples);
    check(client.log_in_with(&signed).await.short(), expect!["200"]);
    check(client.log_in_with(&signed).await.short(), expect!["401 oauth_problem_adviceUnauthorized"]);
    let response = reqwest::get(format!("{}/session", sim.url())).await.unwrap();
    let date = jiff::fmt::rfc2822::parse(response.headers()["date"].to_str().unwrap()).unwrap();
    assert!((date.timestamp().as_second() - apples).abs() < 60, "{date}");
}

#[tokio::test]
async fn after_the_clock_was_moved_a_client_may_sign_with_either_time() {
    let sim = sim("").await;
    let client = Client::new(&sim, "emea").await;
    let moved = sim.advance_clock(jiff::SignedDuration::from_hours(48)).as_second();
    check(client.log_in().await.short(), expect!["200"]);
    check(client.log_in_with(&client.sign("moved", moved)).await.short(), expect!["200"]);
    check(
        client.log_in_with(&client.sign("between", moved - 86_400)).await.short(),
        expect!["401 oauth_problem_adviceUnauthorized"],
    );
}

#[tokio::test]
async fn an_error_comes_in_every_style_that_was_met() {
    let sim = sim("").await;
    let client = client(&sim).await;
    let mut shown = String::new();
    for style in [ErrorStyle::Bare, ErrorStyle::Quoted, ErrorStyle::Newline, ErrorStyle::Json] {
        sim.change_settings(|settings| settings.error_style = style);
        shown.push_str(&format!("{:?}\n", client.post("/devices/sync", json!({})).await.short()));
    }
    check(
        shown,
        expect![[r#"
        "400 CURSOR_REQUIRED"
        "400 \"CURSOR_REQUIRED\""
        "400 CURSOR_REQUIRED\n"
        "400 {\"code\":\"CURSOR_REQUIRED\"}"
    "#]],
    );
}

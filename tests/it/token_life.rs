//! What is known of a token, and what Apple says of it, since when.

use expect_test::expect;
use serde_json::Value;
use sim::{ServerChange, TokenOptions, TokenState};

use crate::env::TestEnv;

fn standing(env: &TestEnv) -> Value {
    env.json(&["token", "show", "main"])["token"]["standing"].clone()
}

#[test]
fn everything_known_of_a_token_is_shown() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.run(&["token", "show", "main"]).succeeds(expect![[r#"
        main
          never imported
    "#]]);
    env.exchange("main", &TokenOptions::default());
    env.add("main", &["MAC1", "MAC2"]);
    env.run(&["run", "auto-assign"]).is_done();
    env.run(&["token", "request", "main"]).is_done();
    env.run(&["token", "show", "main"]).succeeds(expect![[r#"
        main
          server        "main" (ID)
          organisation  main Ltd (ORG)
          made by       enroll-admin@main.example; the token ends when that account does
          imported      TIME
          devices       2, 2 with a profile
          synced        TIME
          last worked   TIME
          key           of the certificate "deputy main", serial number ID
        what ends
          TIME  the certificate of the token in use, in NNN days: the token goes on; make a new request for the next one
          TIME  the certificate of an open request, in NNN days: a token downloaded for it before can still be imported
          TIME  the token, in NNN days: from then on new devices get no enrolment profile; devices already enrolled are not affected
        open requests: a token for one of them can be imported
          TIME  certificate ID
    "#]]);
    env.download_token("main", &TokenOptions::default());
    env.run(&["token", "import", "main", "main.p7m"]).is_done();
    env.run(&["token", "show", "main"]).succeeds(expect![[r#"
        main
          server        "main" (ID)
          organisation  main Ltd (ORG)
          made by       enroll-admin@main.example; the token ends when that account does
          imported      TIME
          devices       2, 2 with a profile
          synced        TIME
          last worked   TIME
          key           of the certificate "deputy main", serial number ID
        what ends
          TIME  the certificate of the token in use, in NNN days: the token goes on; make a new request for the next one
          TIME  the token, in NNN days: from then on new devices get no enrolment profile; devices already enrolled are not affected
        the token before, kept until this one has worked in a run or a check
          TIME  its end; made by enroll-admin@main.example, imported TIME, replaced TIME; to go back: deputy token restore main
    "#]]);
    let shown = without_times(env.json(&["token", "show", "main"]));
    expect![[r#"
        {
          "token": {
            "certificate": {
              "common_name": "deputy main",
              "not_after": "TIME",
              "not_before": "TIME",
              "serial_number": "ID"
            },
            "configured": true,
            "devices": 2,
            "ends": [
              {
                "at": "TIME",
                "what": "certificate"
              },
              {
                "at": "TIME",
                "what": "token"
              }
            ],
            "facts": [
              {
                "acknowledged": false,
                "ends": "TIME",
                "kind": "token",
                "name": "",
                "note": null,
                "snoozed_until": null,
                "told": null,
                "trouble": null
              },
              {
                "acknowledged": false,
                "ends": "TIME",
                "kind": "certificate",
                "name": "",
                "note": null,
                "snoozed_until": null,
                "told": null,
                "trouble": null
              },
              {
                "acknowledged": false,
                "ends": null,
                "kind": "terms",
                "name": "",
                "note": null,
                "snoozed_until": null,
                "told": null,
                "trouble": null
              },
              {
                "acknowledged": false,
                "ends": null,
                "kind": "account",
                "name": "",
                "note": null,
                "snoozed_until": null,
                "told": null,
                "trouble": null
              },
              {
                "acknowledged": false,
                "ends": null,
                "kind": "server",
                "name": "",
                "note": null,
                "snoozed_until": null,
                "told": null,
                "trouble": null
              },
              {
                "acknowledged": false,
                "ends": null,
                "kind": "session",
                "name": "",
                "note": null,
                "snoozed_until": null,
                "told": null,
                "trouble": null
              },
              {
                "acknowledged": false,
                "ends": null,
                "kind": "mdm-certificate",
                "name": "mdm.example.com:443",
                "note": null,
                "snoozed_until": null,
                "told": null,
                "trouble": null
              }
            ],
            "name": "main",
            "open_requests": [],
            "previous": {
              "admin_id": "enroll-admin@main.example",
              "expires_at": "TIME",
              "imported_at": "TIME",
              "replaced_at": "TIME"
            },
            "standing": {
              "refusal": null,
              "worked_at": "TIME"
            },
            "synced_at": "TIME",
            "token": {
              "admin_id": "enroll-admin@main.example",
              "expires_at": "TIME",
              "imported_at": "TIME",
              "name": "main",
              "org_id": "ORG",
              "org_name": "main Ltd",
              "server_name": "main",
              "server_uuid": "ID"
            },
            "with_profile": 2
          },
          "version": 1
        }
    "#]]
    .assert_eq(&env.normal(&format!("{shown:#}\n")));
    env.run(&["token", "show", "mian"]).fails(
        2,
        expect![[r#"
        error: there is no token `mian`
        hint: did you mean `main`?
    "#]],
    );
}

/// Times of ours have fractions of a second, and so no fixed width.
fn without_times(value: Value) -> Value {
    match value {
        Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => "TIME".into(),
        Value::Array(items) => items.into_iter().map(without_times).collect(),
        Value::Object(entries) => {
            Value::Object(entries.into_iter().map(|(key, value)| (key, without_times(value))).collect())
        }
        other => other,
    }
}

#[test]
fn what_apple_says_of_a_token_is_on_record_since_when_it_is_so() {
    let env = TestEnv::new();
    assert!(standing(&env)["worked_at"].is_string());
    env.apple().sign_terms("main", false).unwrap();
    env.run(&["sync"]).ends_with(4);
    let first = standing(&env);
    assert_eq!(first["refusal"]["why"], "terms-not-signed");
    env.run(&["token", "check"]).ends_with(4);
    let second = standing(&env);
    assert_eq!(second["refusal"]["since"], first["refusal"]["since"]);
    assert_ne!(second["refusal"]["seen_at"], first["refusal"]["seen_at"]);
    env.run(&["token", "list"]).succeeds(expect![[r#"
        TOKEN  SERVER  ORGANISATION  DEVICES  SYNCED  EXPIRES      NOTES
        main   main    main Ltd      0        never   in NNN days  terms not signed
    "#]]);
    env.run(&["status"]).fails(
        4,
        expect![[r#"
        TOKEN  ORGANISATION  DEVICES  WITHOUT PROFILE  SYNCED  EXPIRES
        main   main Ltd      0        0                never   in NNN days

        WORKFLOW         LAST RUN   NEXT RUN
        auto-assign      never run  TIME
        sync             never run  TIME
        token-reminders  never run  TIME

        needs a person:
          token `main`: Apple's new terms are not accepted, since TIME: deputy token check main
    "#]],
    );
    env.run(&["token", "show", "main"]).succeeds(expect![[r#"
        main
          server        "main" (ID)
          organisation  main Ltd (ORG)
          made by       enroll-admin@main.example; the token ends when that account does
          imported      TIME
          devices       0, 0 with a profile
          synced        never
          last worked   TIME
          refused       Apple's new terms are not accepted, since TIME; last heard TIME; what to do: deputy token check main
          key           of the certificate "deputy main", serial number ID
        what ends
          TIME  the certificate of the token in use, in NNN days: the token goes on; make a new request for the next one
          TIME  the token, in NNN days: from then on new devices get no enrolment profile; devices already enrolled are not affected
    "#]]);
    env.apple().sign_terms("main", true).unwrap();
    env.run(&["sync"]).is_done();
    assert_eq!(standing(&env)["refusal"], Value::Null);
}

#[test]
fn every_way_in_which_apple_refuses_a_token_is_told_apart() {
    let env = TestEnv::new();
    let why = |change: ServerChange| {
        env.apple().change_server("main", change).unwrap();
        env.run(&["token", "check"]).ends_with(4);
        standing(&env)["refusal"]["why"].as_str().unwrap().to_owned()
    };
    let state = |state| ServerChange { token_state: Some(state), ..ServerChange::default() };
    let found = [
        why(state(TokenState::Expired)),
        why(state(TokenState::Revoked)),
        why(state(TokenState::CreatorGone)),
        why(ServerChange { active: Some(false), ..state(TokenState::Good) }),
    ];
    assert_eq!(found, ["expired", "rejected", "creator-gone", "server-inactive"]);
}

#[test]
fn what_keeps_us_from_apple_says_nothing_about_the_token() {
    let mut env = TestEnv::new();
    let before = standing(&env);
    env.stop_apple();
    env.run(&["token", "check"]).ends_with(5);
    env.run(&["sync"]).ends_with(5);
    assert_eq!(standing(&env), before);
}

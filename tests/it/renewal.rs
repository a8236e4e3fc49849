//! A token taken over or refused: whichever request it answers, whatever the file is, and whenever the
//! process dies.

use std::time::Instant;

use expect_test::{Expect, expect};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sim::{Endpoint, Fault, TokenOptions};

use crate::env::TestEnv;
use crate::net::{self, answering};

/// Imports a file for `main` that cannot be, and looks whether the token in use is still there.
#[track_caller]
fn check(env: &TestEnv, content: impl AsRef<[u8]>, code: i32, expected: Expect) {
    env.write("wrong.p7m", content);
    let before = env.json(&["token", "show", "main"]);
    env.run(&["token", "import", "main", "wrong.p7m"]).fails(code, expected);
    assert_eq!(env.json(&["token", "show", "main"]), before);
}

fn ends_in(days: i64) -> TokenOptions {
    let expires = Some(Timestamp::now() + SignedDuration::from_hours(24 * days));
    TokenOptions { expires, ..TokenOptions::default() }
}

#[test]
fn a_second_request_leaves_the_first_one_open() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.run(&["token", "request", "main", "--out", "first.pem"]).is_done();
    env.run(&["token", "request", "main"]).succeeds(expect![[r#"
        Wrote the certificate to main.pem; its key stays here, sealed.

        In Apple Business Manager or Apple School Manager:
          1. open Preferences, then Your MDM Servers, and choose Add;
          2. give the server a name and upload main.pem;
          3. save, and choose Download Token.

        Then type
          deputy token import main FILE.p7m

        Requests made before are still open, and a token for one of them can be imported as well:
          TIME  certificate ID
        `deputy token forget main --pending` forgets all of them, this one too.
    "#]]);
    // The portal has the first certificate.
    let first = env.apple().token("main", env.read("first.pem").as_bytes(), &TokenOptions::default());
    env.write("first.p7m", first.unwrap().content);
    env.run(&["token", "import", "main", "first.p7m"]).is_done();
    env.run(&["token", "list"]).succeeds(expect![[r#"
        TOKEN  SERVER  ORGANISATION  DEVICES  SYNCED  EXPIRES      NOTES
        main   main    main Ltd      0        never   in NNN days  1 open request
    "#]]);
    // And then the second.
    env.download_token("main", &TokenOptions::default());
    env.run(&["token", "import", "main", "main.p7m"]).is_done();
    env.run(&["sync"]).is_done();
    env.run(&["token", "list"]).succeeds(expect![[r#"
        TOKEN  SERVER  ORGANISATION  DEVICES  SYNCED                EXPIRES      NOTES
        main   main    main Ltd      0        TIME  in NNN days
    "#]]);
}

#[test]
fn what_is_no_token_file_is_told_what_it_is() {
    let env = TestEnv::new();
    let file = env.read("main.p7m");
    check(
        &env,
        "",
        4,
        expect![[r#"
        error: the token file of `main` cannot be read
          caused by: the file is no token from Apple's portal, but an empty one
        hint: download the token from Apple's portal again, and import that file as it is
    "#]],
    );
    check(
        &env,
        env.read("main.pem"),
        4,
        expect![[r#"
        error: the token file of `main` cannot be read
          caused by: the file is no token from Apple's portal, but a certificate: the one to upload, perhaps; the token is what the portal gives in return
        hint: download the token from Apple's portal again, and import that file as it is
    "#]],
    );
    check(
        &env,
        &file[..file.len() / 2],
        4,
        expect![[r#"
        error: the token file of `main` cannot be read
          caused by: the token file is damaged: its structure is broken
        hint: download the token from Apple's portal again, and import that file as it is
    "#]],
    );
    check(
        &env,
        &file[..200],
        4,
        expect![[r#"
        error: the token file of `main` cannot be read
          caused by: the token file is damaged: its headers are there, its content is not
        hint: download the token from Apple's portal again, and import that file as it is
    "#]],
    );
    check(
        &env,
        "<!DOCTYPE html><title>Sign in</title>",
        4,
        expect![[r#"
        error: the token file of `main` cannot be read
          caused by: the file is no token from Apple's portal, but a web page: the portal's sign-in page, perhaps
        hint: download the token from Apple's portal again, and import that file as it is
    "#]],
    );
    check(
        &env,
        env.read("state/deputy.key"),
        4,
        expect![[r#"
        error: the token file of `main` cannot be read
          caused by: the file is no token from Apple's portal, but something else
        hint: download the token from Apple's portal again, and import that file as it is
    "#]],
    );
    check(
        &env,
        vec![b'x'; 2 << 20],
        2,
        expect![[r#"
        error: wrong.p7m has 2097152 bytes; a token file has some 2,000
        hint: name the `…_smime.p7m` file from Apple's portal
    "#]],
    );
    check(
        &env,
        r#"{"consumer_key":"CK_1","consumer_secret":"CS_2"}"#,
        4,
        expect![[r#"
        error: wrong.p7m holds no server token
          caused by: it lacks access_token, access_secret, access_token_expiry
        hint: a token as JSON has consumer_key, consumer_secret, access_token, access_secret and access_token_expiry; the file from Apple's portal, as it is, will do as well
    "#]],
    );
    check(
        &env,
        r#"{"consumer_key":"CK_1""#,
        4,
        expect![[r#"
        error: wrong.p7m holds no server token
          caused by: it holds no JSON object
        hint: a token as JSON has consumer_key, consumer_secret, access_token, access_secret and access_token_expiry; the file from Apple's portal, as it is, will do as well
    "#]],
    );
    check(
        &env,
        r#"{"dep_tokens":[]}"#,
        4,
        expect![[r#"
            error: wrong.p7m holds no server token
            hint: name MicroMDM's micromdm.db, or import the answer of its `GET /v1/dep-tokens`
        "#]],
    );
    env.run(&["token", "import", "main", "nothing.p7m"]).fails(
        2,
        expect![[r#"
        error: cannot read nothing.p7m
          caused by: No such file or directory (os error 2)
    "#]],
    );
    env.run(&["sync"]).is_done();
}

#[test]
fn a_token_for_a_key_that_nobody_has_says_for_which() {
    let env = TestEnv::new();
    let other = TestEnv::before_the_exchange(&["elsewhere"]);
    other.run(&["token", "request", "elsewhere"]).is_done();
    let pem = other.read("elsewhere.pem");
    let token = env.apple().token("main", pem.as_bytes(), &TokenOptions::default()).unwrap();
    check(
        &env,
        token.content,
        4,
        expect![[r#"
        error: the token file of `main` cannot be read
          caused by: the token file was made for another certificate: "deputy elsewhere", serial number ID; this key belongs to "deputy main", serial number ID
        hint: if another program made the certificate, import the file with its key (`--certificate` and `--private-key`); else upload the certificate of `deputy token request main` to Apple's portal once more, download the token again, and import that file
    "#]],
    );
}

#[test]
fn an_older_token_does_not_take_the_place_of_a_newer_one() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.run(&["token", "request", "main"]).is_done();
    let older = env.download_token("main", &ends_in(100));
    env.download_token("main", &ends_in(200));
    env.run(&["token", "import", "main", "main.p7m"]).is_done();
    check(
        &env,
        older.content,
        4,
        expect![[r#"
        error: it is an older token of `main`: it ends on TIME, and the one in use on TIME
        hint: the one in use stays; if it does not work (`deputy token check main`), download a new token from Apple's portal, and import that file
    "#]],
    );
    let ended = env.apple().token("main", env.read("main.pem").as_bytes(), &ends_in(-3)).unwrap();
    check(
        &env,
        ended.content,
        4,
        expect![[r#"
        error: the token for `main` ended on DATE
        hint: download a new token from Apple's portal, then run `deputy token import main FILE`
    "#]],
    );
}

#[test]
fn a_token_that_was_replaced_in_the_portal_is_refused_with_what_to_do() {
    let env = TestEnv::new();
    let older = env.download_token("main", &ends_in(370));
    env.apple().token("main", env.read("main.pem").as_bytes(), &ends_in(380)).unwrap();
    check(
        &env,
        older.content,
        4,
        expect![[r#"
        error: the token of `main` can be read, but could not be checked with Apple
          caused by: could not open a session for `main`: Apple does not accept the server token (403 token_rejected)
        hint: it was revoked, or somebody has downloaded a newer one since, which ends it: download a token from Apple's portal, then run `deputy token import main FILE` with that file
    "#]],
    );
}

#[test]
fn a_token_of_another_organisation_is_refused_although_the_server_is_the_same() {
    let env = TestEnv::new();
    env.store().execute("UPDATE token SET org_id = '12345'", []).unwrap();
    let token = env.apple().token("main", env.read("main.pem").as_bytes(), &ends_in(370)).unwrap();
    let text = token.content;
    check(
        &env,
        text,
        4,
        expect![[r#"
            error: the file holds a token of the organisation main Ltd (ORG), and `main` is of main Ltd (12345)
            hint: import it under another name, or download the token of the right organisation; `main` is unchanged
        "#]],
    );
}

#[test]
fn one_server_is_not_taken_under_two_names() {
    let env = TestEnv::with_tokens(&["north", "south"]);
    env.run(&["token", "forget", "south", "--force", "--yes"]).is_done();
    env.run(&["token", "request", "south"]).is_done();
    let token = env.apple().token("north", env.read("south.pem").as_bytes(), &TokenOptions::default());
    env.write("south.p7m", token.unwrap().content);
    env.run(&["token", "import", "south", "south.p7m"]).fails(4, expect![[r#"
        error: the server "north" is here already, as `north`
        hint: run `deputy token import north FILE` to renew it there; or `deputy token rename north south` first, if it is to have the other name
    "#]]);
}

#[test]
fn a_token_that_is_in_use_already_is_left_as_it_is() {
    let env = TestEnv::new();
    let before = env.json(&["token", "show", "main"]);
    env.run(&["token", "import", "main", "main.p7m"]).succeeds(expect![[r#"
        Unchanged: `main`: server "main" of main Ltd, made by enroll-admin@main.example.
        Apple accepts it; it expires in NNN days (TIME).
        It is the token in use already.
    "#]]);
    assert_eq!(env.json(&["token", "show", "main"]), before);
}

#[test]
fn the_token_before_is_kept_until_the_new_one_has_worked() {
    let env = TestEnv::new();
    env.run(&["token", "check"]).is_done();
    env.run(&["token", "request", "main"]).is_done();
    env.download_token("main", &ends_in(366));
    env.run(&["token", "import", "main", "main.p7m"]).is_done();
    let previous = || env.json(&["token", "show", "main"])["token"]["previous"].clone();
    let keys =
        || -> u64 { env.store().query_row("SELECT count(*) FROM token_key", [], |row| row.get(0)).unwrap() };
    assert!(previous().is_object());
    assert_eq!(keys(), 2);
    // Apple does not take it any more: it stays where it is.
    env.run(&["token", "restore", "main"]).fails(4, expect![[r#"
        error: the token of `main` can be read, but could not be checked with Apple
          caused by: could not open a session for `main`: Apple does not accept the server token (403 token_rejected)
        hint: it was revoked, or somebody has downloaded a newer one since, which ends it: download a token from Apple's portal, then run `deputy token import main FILE` with that file
    "#]]);
    assert!(previous().is_object());
    env.run(&["sync"]).is_done();
    assert!(previous().is_null());
    assert_eq!(keys(), 1);
    env.run(&["token", "restore", "main"]).fails(4, expect![[r#"
        error: no token before the one in use is kept for `main`
        hint: one is kept only until the one in use has worked in a run or a check; to replace that one, download a new token from Apple's portal and run `deputy token import main FILE`
    "#]]);
}

#[test]
fn a_token_that_apple_takes_after_all_is_put_back_and_can_be_changed_again() {
    let env = TestEnv::new();
    env.run(&["token", "check"]).is_done();
    env.download_token("main", &ends_in(366));
    env.run(&["token", "import", "main", "main.p7m"]).is_done();
    let in_use = || env.json(&["token", "show", "main"])["token"]["token"]["expires_at"].clone();
    let new = in_use();
    // The simulator knows one token of a server. Somebody else takes every one.
    let uuid = env.apple().server("main").unwrap().server_uuid;
    let account =
        json!({ "server_name": "main", "server_uuid": uuid, "admin_id": "enroll-admin@main.example" });
    let kind = answering(move |request| {
        let session = r#"{"auth_session_token":"good"}"#.to_owned();
        net::json("200 OK", &if request.contains("/session") { session } else { account.to_string() })
    });
    let (apple, kind) = (env.apple().url(), format!("http://{kind}"));
    env.edit("deputy.toml", &apple, &kind);
    env.run(&["token", "restore", "main"]).succeeds(expect![[r#"
        Restored `main`: server "main" of main Ltd, made by enroll-admin@main.example.
        Apple accepts it; it expires in NNN days (TIME).
    "#]]);
    assert_ne!(in_use(), new);
    env.run(&["token", "restore", "main"]).is_done();
    env.edit("deputy.toml", &kind, &apple);
    assert_eq!(in_use(), new);
    env.run(&["sync"]).is_done();
}

#[test]
fn an_import_that_is_killed_while_apple_thinks_has_changed_nothing_and_can_be_typed_again() {
    let env = TestEnv::new();
    env.download_token("main", &ends_in(370));
    for endpoint in [Endpoint::Session, Endpoint::Account] {
        let before = env.json(&["token", "show", "main"]);
        env.apple().clear_calls();
        env.apple().fault(Fault::slow(600_000).on(endpoint));
        let import = env.start(&["token", "import", "main", "main.p7m"], "killed.log");
        env.until("Apple is asked", || !env.calls(endpoint).is_empty() || env.apple().faults().is_empty());
        env.kill(import);
        env.apple().clear_faults();
        assert_eq!(env.json(&["token", "show", "main"]), before);
    }
    env.run(&["token", "import", "main", "main.p7m"]).is_done();
    env.run(&["sync"]).is_done();
}

#[test]
fn an_import_killed_at_any_moment_has_happened_or_has_not() {
    const MOMENTS: u32 = 12;
    let env = TestEnv::new();
    env.run(&["token", "request", "main"]).is_done();
    env.download_token("main", &ends_in(400));
    let began = Instant::now();
    env.run(&["token", "import", "main", "main.p7m"]).is_done();
    let usual = began.elapsed();
    let (mut new, mut old) = (0, 0);
    for nth in 0..MOMENTS {
        env.run(&["token", "request", "main"]).is_done();
        env.download_token("main", &ends_in(401 + i64::from(nth)));
        let in_use = || env.json(&["token", "show", "main"])["token"]["token"]["expires_at"].clone();
        let before = in_use();
        env.kill_after(usual * (nth + 1) / MOMENTS, &["token", "import", "main", "main.p7m"]);
        *(if in_use() == before { &mut old } else { &mut new }) += 1;
        env.run(&["token", "import", "main", "main.p7m"]).is_done();
        assert_ne!(in_use(), before);
        env.run(&["token", "check"]).is_done();
    }
    println!("{new} were done, {old} were not");
    assert_eq!(env.json(&["token", "show", "main"])["token"]["open_requests"], json!([]));
}

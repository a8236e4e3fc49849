//! Server tokens: the exchange, what can be wrong with a file, and reminders before the end.

use expect_test::expect;
use jiff::{SignedDuration, Timestamp};
use sim::{Endpoint, TokenOptions};

use crate::env::TestEnv;
use crate::hook::Hook;

#[test]
fn the_exchange_tells_what_to_do_next_at_every_step() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.run(&["token", "list"]).succeeds(expect![[r#"
        TOKEN  SERVER  ORGANISATION  DEVICES  SYNCED  EXPIRES  NOTES
        main   -       -             -        -       -        not requested
    "#]]);
    env.run(&["token", "request", "main"]).succeeds(expect![[r#"
        Wrote the certificate to main.pem; its key stays here, sealed.

        In Apple Business Manager or Apple School Manager:
          1. open Preferences, then Your MDM Servers, and choose Add;
          2. give the server a name and upload main.pem;
          3. save, and choose Download Token.

        Then type
          deputy token import main FILE.p7m
    "#]]);
    env.run(&["token", "list"]).succeeds(expect![[r#"
        TOKEN  SERVER  ORGANISATION  DEVICES  SYNCED  EXPIRES  NOTES
        main   -       -             -        -       -        requested, not imported
    "#]]);
    env.download_token("main", &TokenOptions::default());
    env.run(&["token", "import", "main", "main.p7m"]).succeeds(expect![[r#"
        Imported `main`: server "main" of main Ltd, made by enroll-admin@main.example.
        Apple accepts it; it expires in NNN days (TIME).
        Next: `deputy sync` fetches its devices, `deputy plan` shows what would be done.
    "#]]);
    env.run(&["token", "list"]).succeeds(expect![[r#"
        TOKEN  SERVER  ORGANISATION  DEVICES  SYNCED  EXPIRES      NOTES
        main   main    main Ltd      0        never   in NNN days
    "#]]);
}

#[test]
fn a_token_is_renewed_by_the_same_exchange() {
    let env = TestEnv::new();
    env.run(&["token", "request", "main"]).succeeds(expect![[r#"
        Wrote the certificate to main.pem; its key stays here, sealed.

        In Apple Business Manager or Apple School Manager, signed in as enroll-admin@main.example if you can:
          1. open Preferences, then the server "main", and choose Edit;
          2. upload main.pem;
          3. save, and choose Download Token. That ends the old token: import the new one at once.

        Then type
          deputy token import main FILE.p7m
    "#]]);
    env.download_token("main", &TokenOptions::default());
    env.run(&["token", "import", "main", "main.p7m"]).succeeds(expect![[r#"
        Renewed `main`: server "main" of main Ltd, made by enroll-admin@main.example.
        Apple accepts it; it expires in NNN days (TIME).
        The token before is kept until this one has worked in a run or a check: deputy token check main
    "#]]);
    env.run(&["sync"]).is_done();
}

#[test]
fn a_token_is_renewed_as_the_reminder_says_with_the_key_there_is() {
    let env = TestEnv::new();
    env.download_token("main", &TokenOptions::default());
    env.run(&["sync"]).ends_with(4);
    env.run(&["token", "import", "main", "main.p7m"]).is_done();
    env.run(&["sync"]).is_done();
}

#[test]
fn a_file_that_is_no_token_is_refused() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.run(&["token", "request", "main"]).is_done();
    env.run(&["token", "import", "main", "main.pem"]).fails(4, expect![[r#"
        error: the token file of `main` cannot be read
          caused by: the file is no token from Apple's portal, but a certificate: the one to upload, perhaps; the token is what the portal gives in return
        hint: download the token from Apple's portal again, and import that file as it is
    "#]]);
    env.run(&["token", "import", "main", "nothing.p7m"]).fails(
        2,
        expect![[r#"
        error: cannot read nothing.p7m
          caused by: No such file or directory (os error 2)
    "#]],
    );
}

#[test]
fn a_token_for_another_key_is_refused() {
    let env = TestEnv::before_the_exchange(&["north", "south"]);
    env.run(&["token", "request", "north"]).is_done();
    env.run(&["token", "request", "south"]).is_done();
    env.download_token("south", &TokenOptions::default());
    env.run(&["token", "import", "north", "south.p7m"]).fails(4, expect![[r#"
        error: the file was made for the request of `south`, and not for one of `north`
        hint: run `deputy token import south FILE`; or, if it is the server that is to be `north`, upload the certificate of `deputy token request north` for it and download the token again
    "#]]);
}

#[test]
fn a_token_that_nobody_asked_for_is_refused() {
    let env = TestEnv::before_the_exchange(&["main", "other"]);
    env.exchange("main", &TokenOptions::default());
    env.run(&["token", "import", "other", "main.p7m"]).fails(
        4,
        expect![[r#"
            error: the file was made for the request of `main`, and not for one of `other`
            hint: run `deputy token import main FILE`; or, if it is the server that is to be `other`, upload the certificate of `deputy token request other` for it and download the token again
        "#]],
    );
}

#[test]
fn a_token_that_has_expired_is_refused() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.run(&["token", "request", "main"]).is_done();
    env.download_token("main", &expires_in(SignedDuration::from_hours(-49)));
    env.run(&["token", "import", "main", "main.p7m"]).fails(
        4,
        expect![[r#"
            error: the token for `main` ended on DATE
            hint: download a new token from Apple's portal, then run `deputy token import main FILE`
        "#]],
    );
}

#[test]
fn a_token_of_another_server_does_not_take_the_place_of_this_one() {
    let env = TestEnv::with_tokens(&["north", "south"]);
    env.run(&["token", "request", "north"]).is_done();
    let other = env.apple().token("south", env.read("north.pem").as_bytes(), &TokenOptions::default());
    env.write("north.p7m", other.unwrap().content);
    env.run(&["token", "import", "north", "north.p7m"]).fails(4, expect![[r#"
        error: the file holds a token of the server "south", and `north` is the server "north"
        hint: import it under another name, or download the token of the right server; `north` is unchanged, but downloading ended the token of "south" that was in use
    "#]]);
    env.run(&["sync", "north"]).is_done();
}

#[test]
fn a_token_name_that_is_not_configured_is_refused_with_the_nearest() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.run(&["token", "request", "mian"]).fails(
        2,
        expect![[r#"
            error: there is no token `mian`
            hint: did you mean `main`?; otherwise add a table `[tokens.mian]` to deputy.toml
        "#]],
    );
}

#[test]
fn a_token_whose_terms_nobody_accepted_does_not_stop_the_others() {
    let env = TestEnv::with_tokens(&["north", "south", "west"]);
    env.add("north", &["MAC1"]);
    env.add("south", &["MAC2"]);
    env.add("west", &["MAC3"]);
    env.apple().sign_terms("south", false).unwrap();
    let ran = env.run(&["run", "auto-assign"]);
    ran.ends_with(4);
    // Which token ends first is up to the day.
    let text = ran.text();
    let of = |token: &str| -> String {
        let lines = text.lines().filter(|line| line.contains(token));
        lines.map(|line| format!("{}\n", line.trim_start())).collect()
    };
    expect![[r#"
        sync     south: failed: could not open a session for `south`: the organisation has not accepted Apple's new terms
    "#]].assert_eq(&of("south:"));
    expect![[r#"
        sync     north: 1 device: 1 new, 0 changed, 0 gone (every device, 2 pages)
        decide   north: 1 device by rules: standard 1
        plan     north: define standard, 1 first assignment
        apply    north: defined standard, 1 assigned, 1 call
    "#]]
    .assert_eq(&of("north:"));
    assert_eq!(of("west:"), of("north:").replace("north:", "west:"));
    expect![[r#"
        hint: sign in to business.apple.com or school.apple.com as an administrator and accept the new terms; the next call that succeeds shows that it worked
    "#]].assert_eq(&of("hint:"));
    let with_profile = || ["north", "south", "west"].map(|token| env.with_profile(token));
    assert_eq!(with_profile(), [1, 0, 1]);
    env.apple().sign_terms("south", true).unwrap();
    env.run(&["run", "auto-assign"]).is_done();
    assert_eq!(with_profile(), [1, 1, 1]);
    assert_eq!(env.apple().most_assignments_of_one_device(), 1);
}

#[test]
fn a_token_that_was_never_imported_says_what_to_type() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.run(&["run", "auto-assign"]).fails(
        4,
        expect![[r#"
        run RUN of auto-assign, by hand: needs a person
          sync     failed: the token `main` is not imported
                   hint: type `deputy token request main` and follow what it says
    "#]],
    );
    assert_eq!(env.calls(Endpoint::Session), []);
}

#[test]
fn a_reminder_is_sent_once_to_every_channel() {
    let (env, hook) = ending_in_nine_days();
    env.run(&["run", "token-reminders"]).succeeds(expect![[r#"
        run RUN of token-reminders, by hand: succeeded
          remind   1 token, 1 reminder sent
                   the server token `main` of main Ltd ends in 9 days (to log, ops)
        TIME  WARN the server token `main` of main Ltd ends in 9 days
        The server token `main` of main Ltd ends on DAY, in 9 days.
        From then on, new devices of "main" get no enrolment profile; devices that are enrolled are not affected. Depending on this token: 0 devices.

        What to do:
        1. Sign in at https://business.apple.com or https://school.apple.com, as enroll-admin@main.example if you can: a token made by another account ends with that account.
        2. Open Preferences, then the device management service "main", and choose Download Token.
        3. Where Deputy runs, at once, since downloading a new token ends the old one: deputy token import main FILE.p7m
    "#]]);
    expect![[r#"
        {
          "contacts": [],
          "created_at": "TIME",
          "data": {
            "devices": 0,
            "expires_at": "TIME",
            "fact": {
              "ends_at": "TIME",
              "kind": "token",
              "name": "",
              "trouble": null
            },
            "recovered": false,
            "threshold": "14d",
            "token": "main"
          },
          "ends_at": "TIME",
          "id": "RUN",
          "kind": "reminder",
          "severity": "warning",
          "subject": "the server token `main` of main Ltd ends in 9 days",
          "text": "The server token `main` of main Ltd ends on DAY, in 9 days.\nFrom then on, new devices of \"main\" get no enrolment profile; devices that are enrolled are not affected. Depending on this token: 0 devices.\n\nWhat to do:\n1. Sign in at https://business.apple.com or https://school.apple.com, as enroll-admin@main.example if you can: a token made by another account ends with that account.\n2. Open Preferences, then the device management service \"main\", and choose Download Token.\n3. Where Deputy runs, at once, since downloading a new token ends the old one: deputy token import main FILE.p7m",
          "version": 1
        }
    "#]].assert_eq(&env.normal(&hook.got()));
    env.run(&["run", "token-reminders"]).succeeds(expect![[r#"
        run RUN of token-reminders, by hand: succeeded
          remind   1 token, nothing due
    "#]]);
    assert_eq!(hook.count(), 1);
}

#[test]
fn a_reminder_that_could_not_be_delivered_arrives_later_and_once() {
    let (env, hook) = ending_in_nine_days();
    hook.is_down(true);
    let down = env.run(&["run", "token-reminders"]);
    down.is_done();
    assert!(!down.raw().contains("secret-path"), "{}", down.raw());
    expect![[r#"
        run RUN of token-reminders, by hand: succeeded
          remind   1 token, 1 reminder sent
                   the server token `main` of main Ltd ends in 9 days (to log, ops)
        TIME  WARN the server token `main` of main Ltd ends in 9 days
        The server token `main` of main Ltd ends on DAY, in 9 days.
        From then on, new devices of "main" get no enrolment profile; devices that are enrolled are not affected. Depending on this token: 0 devices.

        What to do:
        1. Sign in at https://business.apple.com or https://school.apple.com, as enroll-admin@main.example if you can: a token made by another account ends with that account.
        2. Open Preferences, then the device management service "main", and choose Download Token.
        3. Where Deputy runs, at once, since downloading a new token ends the old one: deputy token import main FILE.p7m
        waiting: 1 message for ops: 127.0.0.1:PORT answered 503 Service Unavailable
    "#]].assert_eq(&down.text());
    assert_eq!(hook.count(), 0);
    hook.is_down(false);
    env.run(&["run", "token-reminders"]).succeeds(expect![[r#"
        run RUN of token-reminders, by hand: succeeded
          remind   1 token, nothing due
    "#]]);
    assert_eq!(hook.count(), 1);
    env.run(&["run", "token-reminders"]).is_done();
    assert_eq!(hook.count(), 1);
}

pub(crate) fn expires_in(time: SignedDuration) -> TokenOptions {
    TokenOptions { expires: Some(Timestamp::now() + time), ..TokenOptions::default() }
}

fn ending_in_nine_days() -> (TestEnv, Hook) {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.exchange("main", &expires_in(SignedDuration::from_hours(9 * 24 + 1)));
    let hook = Hook::start();
    env.append("deputy.toml", &format!("\n[channels.ops]\nkind = \"webhook\"\nurl = \"{}\"\n", hook.url));
    (env, hook)
}

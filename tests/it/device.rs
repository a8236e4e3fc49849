//! What is known of one device: its history, and why it waits.

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use sim::{AssignStatus, Endpoint, Fault, ServerChange};

use crate::env::TestEnv;

#[test]
fn a_device_has_a_history_of_what_changed_and_what_was_done() {
    let env = TestEnv::new();
    env.add("main", &["MAC1"]);
    env.run(&["run", "auto-assign"]).is_done();
    let changes = json!({ "color": "SILVER", "asset_tag": "POOL-2", "profile_status": "pushed" });
    env.apple().change_device("main", "MAC1", &changes).unwrap();
    env.run(&["sync"]).is_done();
    env.apple().remove_device("main", "MAC1", true).unwrap();
    env.run(&["sync"]).is_done();
    // So that it comes back at another second than it came.
    env.apple().advance_clock(jiff::SignedDuration::from_secs(2));
    env.apple().add_devices("main", &[json!({ "serial_number": "MAC1", "color": "SILVER" })]).unwrap();
    env.run(&["sync"]).is_done();
    env.run(&["device", "history", "MAC1"]).succeeds(expect![[r#"
        MAC1 of token main
          TIME  run RUN: listed for the first time
          TIME  run RUN: rules says standard: everybody else
          TIME  run RUN: assignment of standard: succeeded
          TIME  run RUN: changed at Apple
              asset_tag: POOL-1 -> POOL-2
              color: nothing -> SILVER
              profile_push_time: nothing -> TIME
              profile_status: empty -> pushed
          TIME  run RUN: left this server
          TIME  run RUN: came back to this server
              asset_tag: POOL-2 -> nothing
              device_assigned_date: TIME -> TIME
              profile_assign_time: TIME -> nothing
              profile_push_time: TIME -> nothing
              profile_status: pushed -> empty
              profile_uuid: standard -> nothing
    "#]]);
    let history = env.json(&["device", "history", "MAC1", "--limit", "1"]);
    assert_eq!(history["history"][0]["changes"][0]["kind"], "returned");
}

#[test]
fn what_a_full_fetch_does_not_list_any_more_has_left() {
    let env = TestEnv::new();
    env.add("main", &["MAC1", "MAC2"]);
    env.run(&["sync"]).is_done();
    env.apple().remove_device("main", "MAC1", false).unwrap();
    env.run(&["sync"]).succeeds(expect![[r#"
        run RUN of sync-by-hand, by hand: succeeded
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
    "#]]);
    env.run(&["sync", "--full"]).succeeds(expect![[r#"
        run RUN of sync-by-hand, by hand: succeeded
          sync     1 device: 0 new, 0 changed, 1 gone (every device, 2 pages)
    "#]]);
    env.run(&["device", "history", "MAC1"]).succeeds(expect![[r#"
        MAC1 of token main
          TIME  run RUN: listed for the first time
          TIME  run RUN: left this server
    "#]]);
}

#[test]
fn a_device_that_apple_refused_tells_why_it_waits_and_until_when() {
    let env = TestEnv::new();
    let serials = ["MAC1", "MAC2", "MAC3"];
    env.add("main", &serials);
    for (serial, status) in
        serials.iter().zip([AssignStatus::Failed, AssignStatus::Throttled, AssignStatus::NotAccessible])
    {
        env.apple().answer_assignments("main", &[serial], status, 1, 7_200).unwrap();
    }
    env.run(&["run", "auto-assign"]).ends_with(1);
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     3 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   3 devices by rules: standard 3
          plan     nothing to do, 3 waiting, after a refusal
          apply    nothing to do
    "#]]);
    let next = |serial: &str| {
        let text = env.run(&["device", "explain", serial]).text();
        text.lines().filter(|line| line.contains("next ")).map(|line| format!("{}\n", line.trim())).collect()
    };
    let waits: String = serials.iter().map(|serial| -> String { next(serial) }).collect();
    expect![[r#"
        next      nothing before TIME: Apple would not assign it and gave no reason; then at the next run of auto-assign, TIME
        next      nothing before TIME: Apple wants it left alone for so long; then at the next run of auto-assign, TIME
        next      nothing before TIME: Apple says it is not this server's, or until it is added again; then at the next run of auto-assign, TIME
    "#]]
    .assert_eq(&waits);
    // Each for its own time: an hour, what Apple asked for, a day.
    let hours = |serial: &str| {
        let found = env.json(&["device", "explain", serial]);
        let time = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let device = &found["device"][0];
        let (until, sent) = (time(&device["pause"]["until"]), time(&device["actions"][0]["answered_at"]));
        until.duration_since(sent).as_hours()
    };
    assert_eq!(serials.map(hours), [1, 2, 24]);
    // Taken from the server and given back, it is somebody else's device no more.
    env.apple().remove_device("main", "MAC3", true).unwrap();
    env.add("main", &["MAC3"]);
    env.run(&["run", "auto-assign"]).is_done();
    assert_eq!(env.with_profile("main"), 1);
}

#[test]
fn successes_are_read_back_if_the_workflow_asks_for_it() {
    let env = TestEnv::new();
    env.edit("workflows/auto-assign.toml", "uses = \"apply\"", "uses = \"apply\"\nread_back = true");
    env.add("main", &["LIB1", "MAC1", "MAC2"]);
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     3 devices: 3 new, 0 changed, 0 gone (every device, 2 pages)
          decide   3 devices by rules: lab-ipad 1, standard 2
          plan     define lab-ipad, standard, 3 first assignments
          apply    defined lab-ipad, standard, 3 assigned, 2 calls, 3 read back
    "#]]);
    assert_eq!(env.calls(Endpoint::Details).len(), 2);
    let device = &env.json(&["device", "explain", "MAC1"])["device"][0]["device"];
    assert_eq!(device["profile_status"], "assigned");
    assert!(device["profile_assign_time"].is_string());
}

#[test]
fn a_full_list_comes_by_itself_when_the_last_is_old() {
    let env = TestEnv::new();
    env.add("main", &["MAC1"]);
    env.run(&["sync"]).is_done();
    let full_fetches = || env.calls(Endpoint::Fetch).len();
    assert_eq!(full_fetches(), 1);
    env.run(&["sync"]).is_done();
    assert_eq!(full_fetches(), 1);
    // As if it had been yesterday.
    env.store().execute_batch("UPDATE token SET full_at = full_at - 90000000").unwrap();
    env.run(&["sync"]).succeeds(expect![[r#"
        run RUN of sync-by-hand, by hand: succeeded
          sync     1 device: 0 new, 0 changed, 0 gone (every device, 2 pages)
    "#]]);
    assert_eq!(full_fetches(), 2);
}

#[test]
fn a_full_list_every_minute_is_refused_in_the_workflow() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.edit("workflows/sync.toml", "uses = \"sync\"", "uses = \"sync\"\nfull_every = \"1m\"");
    env.run(&["workflow", "check"]).fails(
        2,
        expect![[r#"
            error: a full list more than once an hour is more than Apple wants
              --> workflows/sync.toml:14:14
               |
            14 | full_every = "1m"
               |              ^^^^
               |
               = help: write `1h` or more
        "#]],
    );
}

#[test]
fn the_devices_of_another_server_are_not_taken_for_ours() {
    let env = TestEnv::new();
    env.add("main", &["MAC1"]);
    env.run(&["sync"]).is_done();
    env.store().execute_batch("UPDATE token SET server_uuid = '00000000000000000000000000000000'").unwrap();
    env.run(&["sync", "--full"]).fails(4, expect![[r#"
        run RUN of sync-by-hand, by hand: needs a person
          sync     failed: Apple answers for the server "main" (ID), and `main` was imported for "main" (ID); nothing was fetched
                   hint: look at `apple_url` of `[tokens.main]`; if the server is meant to be another one, configure it under a name of its own and import its token there
    "#]]);
    env.run(&["device", "list"]).succeeds(expect![[r#"
        SERIAL  TOKEN  MODEL        ASSET TAG  PROFILE
        MAC1    main   MacBook Pro  POOL-1     none
    "#]]);
}

/// A filled inventory, and a full fetch under this fault; then what the next one says.
#[track_caller]
fn a_full_fetch_is_not_complete(faults: &[Fault], expected: Expect) {
    let env = TestEnv::new();
    env.apple()
        .change_server("main", ServerChange { page_limit: Some(2), ..ServerChange::default() })
        .unwrap();
    env.add("main", &["MAC1", "MAC2", "MAC3", "MAC4", "MAC5"]);
    env.run(&["sync"]).is_done();
    for fault in faults {
        env.apple().fault(fault.clone());
    }
    let first = env.run(&["sync", "--full"]).text();
    let next = env.run(&["sync"]).text();
    let lines = |text: &str| -> String {
        text.lines().filter(|line| line.contains("sync  ")).map(|line| format!("{}\n", line.trim())).collect()
    };
    expected.assert_eq(&format!("{}{}", lines(&first), lines(&next)));
}

#[test]
fn a_fetch_of_which_every_page_is_stored_is_only_completed() {
    let env = TestEnv::new();
    env.add("main", &["MAC1", "MAC2"]);
    env.run(&["sync"]).is_done();
    // As it is when the process dies after the last page.
    let dies = "UPDATE token SET phase = 'fetch', fetched = 1, full_at = NULL";
    env.store().execute(dies, []).unwrap();
    env.add("main", &["MAC3"]);
    env.apple().clear_calls();
    env.run(&["sync"]).succeeds(expect![[r#"
        run RUN of sync-by-hand, by hand: succeeded
          sync     3 devices: 1 new, 0 changed, 0 gone (every device, 1 page)
    "#]]);
    assert_eq!((env.calls(Endpoint::Fetch).len(), env.calls(Endpoint::Sync).len()), (0, 1));
    let phase = "SELECT concat_ws(' ', phase, fetched, full_at > 0) FROM token";
    assert_eq!(env.store().query_row(phase, [], |row| row.get::<_, String>(0)).unwrap(), "sync 0 1");
}

#[test]
fn a_page_that_does_not_say_whether_more_follows_takes_nobody_for_gone() {
    a_full_fetch_is_not_complete(
        &[Fault::without_fields(&["more_to_follow"]).on(Endpoint::Fetch).times(3)],
        expect![[r#"
            sync     failed: could not fetch the devices for `main`: the answer makes no sense: it lacks more_to_follow
            sync     5 devices: 0 new, 0 changed, 0 gone (every device, 4 pages)
        "#]],
    );
}

#[test]
fn a_fetch_that_goes_on_after_a_break_does_not_believe_that_nothing_is_left() {
    a_full_fetch_is_not_complete(
        &[
            Fault::status(500, "").on(Endpoint::Fetch).after(1).times(3),
            Fault::status(400, "EXHAUSTED_CURSOR").on(Endpoint::Fetch).after(1),
        ],
        expect![[r#"
            sync     failed: could not fetch the devices for `main`: Apple's service is not available (500 without a code)
            sync     5 devices: 0 new, 0 changed, 0 gone (every device, 3 pages)
        "#]],
    );
}

#[test]
fn a_cursor_that_apple_never_takes_costs_one_full_fetch_an_hour() {
    let env = TestEnv::new();
    env.add("main", &["MAC1"]);
    env.run(&["sync"]).is_done();
    env.apple().fault(Fault::status(400, "INVALID_CURSOR").on(Endpoint::Sync).always());
    env.run(&["sync"]).ends_with(5);
    env.run(&["sync"]).fails(5, expect![[r#"
        run RUN of sync-by-hand, by hand: Apple did not answer as it should; the next run tries again
          sync     failed: could not sync the devices for `main`: Apple does not know the sync cursor
                   hint: Apple refuses a cursor of its own; a later run fetches every device anew, at most once an hour
    "#]]);
    assert_eq!(env.calls(Endpoint::Fetch).len(), 2);
    env.apple().clear_faults();
    env.run(&["sync"]).is_done();
}

/// What is said after this word of an explanation.
fn said(env: &TestEnv, serial: &str, word: &str) -> String {
    let text = env.run(&["device", "explain", serial]).text();
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with(word));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn what_happens_next_to_a_device_is_told_with_what_keeps_it() {
    let env = TestEnv::new();
    env.add("main", &["MAC1"]);
    env.run(&["sync"]).is_done();
    let mut told = said(&env, "MAC1", "next");
    let pause = ["workflow", "pause", "auto-assign", "--reason", "we move house"];
    env.run_with(&[("USER", "anna"), ("SUDO_USER", "")], &pause).is_done();
    told += &said(&env, "MAC1", "next");
    env.run(&["workflow", "resume", "auto-assign"]).is_done();
    let config = env.read("deputy.toml");
    env.append(
        "deputy.toml",
        "\n[[freezes]]\nreason = \"stocktaking\"\nfrom = 2020-01-01\nuntil = \"2099-01-01\"\n",
    );
    env.run(&["run", "auto-assign", "--dry-run"]).is_done();
    told += &said(&env, "MAC1", "next");
    env.write("deputy.toml", config);
    told += &said(&env, "MAC1", "next");
    env.edit("workflows/auto-assign.toml", "version = 1", "version = 1\nenabled = false");
    told += &said(&env, "MAC1", "next");
    env.apple().remove_device("main", "MAC1", true).unwrap();
    env.run(&["sync"]).is_done();
    told += &said(&env, "MAC1", "next");
    expect![[r#"
        next      the policy is asked again at the next run of auto-assign, TIME
        next      the policy is asked again when auto-assign runs again, which anna paused: we move house; `deputy workflow resume auto-assign` ends that
        next      frozen until TIME: stocktaking; then gets standard at the next run of auto-assign, TIME
        next      gets standard at the next run of auto-assign, TIME
        next      gets standard at the next run by hand
        next      nothing, unless Apple lists it again
    "#]].assert_eq(&told);
}

#[test]
fn a_profile_that_is_not_ours_is_told_by_apples_id_also_when_it_is_given_back() {
    let env = TestEnv::new();
    env.add("main", &["MAC1"]);
    let foreign = json!({ "profile_uuid": "ABABABABABABABABABABABABABABABAB", "profile_status": "assigned" });
    env.apple().change_device("main", "MAC1", &foreign).unwrap();
    env.run(&["sync"]).is_done();
    expect![[r#"
        profile   ID (not defined by us)
    "#]]
    .assert_eq(&said(&env, "MAC1", "profile"));
    env.run(&["run", "auto-assign"]).is_done();
    env.run(&["runs", "rollback", "last", "--yes"]).fails(1, expect![[r#"
        changes 1 device of main:
        SERIAL  HAS       GETS
        MAC1    standard  ID (not defined by us)
        note: auto-assign would move 1 device on at its next run, TIME: MAC1 to standard, since rules says: everybody else
        hint: change the policy, or `deputy workflow pause auto-assign --reason TEXT` first
        run RUN of rollback-by-hand, by hand: failed
          sync     1 device: 0 new, 0 changed, 0 gone (the changes, 1 page)
          plan     run RUN taken back: 1 reassignment
          apply    1 call
                   Apple did not take the profile `ID`: it does not know it any more

        SERIAL  TOKEN  GETS  HAS       BECAUSE
        MAC1    main   -     standard  takes run RUN back
    "#]]);
    expect![[r#"
        done      run RUN: assignment of a profile: not carried out; the next run looks again
    "#]]
    .assert_eq(&said(&env, "MAC1", "done"));
    // One that Apple knows, and we do not any more.
    env.edit("profiles/standard.toml", "department = \"IT\"", "department = \"Workplace\"");
    env.run(&["run", "auto-assign"]).is_done();
    let forgotten =
        "DELETE FROM profile WHERE name = 'standard' AND defined_at = (SELECT min(defined_at) FROM profile)";
    assert_eq!(env.store().execute(forgotten, []).unwrap(), 1);
    env.run(&["runs", "rollback", "last", "--yes"]).succeeds(expect![[r#"
        changes 1 device of main:
        SERIAL  HAS       GETS
        MAC1    standard  ID (not defined by us)
        note: auto-assign would move 1 device on at its next run, TIME: MAC1 to standard, since rules says: everybody else
        hint: change the policy, or `deputy workflow pause auto-assign --reason TEXT` first
        run RUN of rollback-by-hand, by hand: succeeded
          sync     1 device: 0 new, 0 changed, 0 gone (the changes, 1 page)
          plan     run RUN taken back: 1 reassignment
          apply    1 assigned, 1 call

        SERIAL  TOKEN  GETS                                                  HAS       BECAUSE
        MAC1    main   ID (not defined by us)  standard  takes run RUN back
    "#]]);
    let done = said(&env, "MAC1", "done");
    expect![[r#"
        done      run RUN: to ID (not defined by us): sent TIME, succeeded, TIME
    "#]]
    .assert_eq(&done);
}

#[test]
fn an_explanation_tells_what_the_policy_saw_from_what_it_did_not() {
    let env = TestEnv::new();
    env.add("main", &["LIB1"]);
    env.run(&["run", "auto-assign"]).is_done();
    let told =
        || said(&env, "LIB1", "it saw") + &said(&env, "LIB1", "unseen") + &said(&env, "LIB1", "then was");
    expect![[r#"
        it saw    asset_tag = LIB-1, device_family = iPad, profile_status = empty
        unseen    device_assigned_by = enroll-admin@main.example, device_assigned_date = TIME, model = MacBook Pro, os = OSX, serial_number = LIB1
    "#]].assert_eq(&told());
    let asked = &env.json(&["device", "explain", "LIB1"])["device"][0]["asked"];
    expect![[r#"["asset_tag","device_family"]"#]].assert_eq(&asked["fields"].to_string());
    // What was recorded before that was written down.
    env.store().execute("UPDATE step SET outcome = json_remove(outcome, '$.fields')", []).unwrap();
    expect![[r#"
        then was  asset_tag = LIB-1, device_assigned_by = enroll-admin@main.example, device_assigned_date = TIME, device_family = iPad, model = MacBook Pro, os = OSX, profile_status = empty, serial_number = LIB1
    "#]].assert_eq(&told());
}

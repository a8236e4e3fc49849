//! What only a person takes away: a device's profile, and a device from the organisation.

use expect_test::expect;
use sim::{Endpoint, Fault, ProfileStatus};

use crate::env::TestEnv;

/// How many devices at Apple are on a profile. One whose profile was removed goes on naming it.
fn on_a_profile(env: &TestEnv) -> usize {
    let devices = env.apple().devices("main").unwrap();
    devices
        .iter()
        .filter(|it| matches!(it.profile_status, ProfileStatus::Assigned | ProfileStatus::Pushed))
        .count()
}

#[test]
fn a_profile_is_taken_away_only_when_that_is_confirmed() {
    let env = TestEnv::new();
    env.add("main", &["MAC1", "MAC2", "MAC3"]);
    env.run(&["run", "auto-assign"]).is_done();
    env.run(&["unassign", "MAC1", "MAC2", "--token", "main"]).fails(4, expect![[r#"
        takes the profile from 2 devices of main:
        SERIAL  MODEL        ASSET TAG  PROFILE   FETCHED
        MAC1    MacBook Pro  POOL-1     standard  no
        MAC2    MacBook Pro  POOL-1     standard  no
        They get no profile when they are set up. A device that has fetched its profile keeps it until it is erased. A workflow whose policy wants them on a profile assigns it again at its next run.
        error: it was not confirmed, so nothing was changed
        hint: `--yes` confirms it
    "#]]);
    env.run(&["unassign", "MAC1", "NONE", "--token", "main", "--yes"]).fails(
        2,
        expect![[r#"
        error: the token main has no device NONE; nothing was changed
        hint: if it is new, `deputy sync main` fetches it
    "#]],
    );
    assert_eq!(env.calls(Endpoint::Clear), []);
    env.run(&["unassign", "MAC1", "MAC2", "MAC1", "--token", "main", "--yes"]).succeeds(expect![[r#"
        takes the profile from 2 devices of main:
        SERIAL  MODEL        ASSET TAG  PROFILE   FETCHED
        MAC1    MacBook Pro  POOL-1     standard  no
        MAC2    MacBook Pro  POOL-1     standard  no
        They get no profile when they are set up. A device that has fetched its profile keeps it until it is erased. A workflow whose policy wants them on a profile assigns it again at its next run.
        run RUN of unassign-by-hand, by hand: succeeded
          unassign 2 without a profile now, 1 call
        SERIAL  CAME TO    NOTE
        MAC1    succeeded  by hand
        MAC2    succeeded  by hand
    "#]]);
    assert_eq!(on_a_profile(&env), 1);
    env.run(&["device", "history", "MAC1"]).succeeds(expect![[r#"
        MAC1 of token main
          TIME  run RUN: listed for the first time
          TIME  run RUN: rules says standard: everybody else
          TIME  run RUN: assignment of standard: succeeded
          TIME  run RUN: removal of its profile: succeeded
    "#]]);
    env.run(&["sync"]).is_done();
    env.run(&["device", "explain", "MAC1"]).succeeds(expect![[r#"
        MAC1 of token main
          is        MacBook Pro, Mac, OSX
          asset tag POOL-1
          at Apple  on this server since TIME by enroll-admin@main.example; profile removed
          profile   none
          policy    rules says standard: everybody else
                    since run RUN of TIME, by the component DIGEST…
          asked     last in run RUN of auto-assign, TIME: component DIGEST…, settings DIGEST…
          it saw    asset_tag = POOL-1, device_family = Mac, profile_status = empty
          unseen    device_assigned_by = enroll-admin@main.example, device_assigned_date = TIME, model = MacBook Pro, os = OSX, serial_number = MAC1
          done      run RUN: removal of its profile: sent TIME, succeeded, TIME
                    run RUN: to standard: sent TIME, succeeded, TIME
          next      gets standard at the next run of auto-assign, TIME
    "#]]);
    env.run(&["runs", "list"]).is_done();
    // The policy still wants them on it.
    env.run(&["run", "auto-assign"]).is_done();
    assert_eq!(on_a_profile(&env), 3);
}

#[test]
fn a_device_that_is_not_ours_any_more_is_told_apart() {
    let env = TestEnv::new();
    env.add("main", &["MAC1", "MAC2"]);
    env.run(&["run", "auto-assign"]).is_done();
    env.apple().remove_device("main", "MAC1", false).unwrap();
    env.run(&["unassign", "MAC1", "MAC2", "--token", "main", "--yes"]).fails(1, expect![[r#"
        takes the profile from 2 devices of main:
        SERIAL  MODEL        ASSET TAG  PROFILE   FETCHED
        MAC1    MacBook Pro  POOL-1     standard  no
        MAC2    MacBook Pro  POOL-1     standard  no
        They get no profile when they are set up. A device that has fetched its profile keeps it until it is erased. A workflow whose policy wants them on a profile assigns it again at its next run.
        run RUN of unassign-by-hand, by hand: failed
          unassign 1 without a profile now, 1 not this server's, 1 call
        SERIAL  CAME TO         NOTE
        MAC1    not-accessible  by hand
        MAC2    succeeded       by hand
    "#]]);
    let run = env.json(&["unassign", "MAC2", "--token", "main", "--yes"]);
    assert_eq!(run["run"]["actions"][0]["state"], "succeeded");
}

#[test]
fn a_removal_whose_answer_is_lost_is_read_back_and_not_sent_twice() {
    let env = TestEnv::new();
    env.add("main", &["MAC1", "MAC2"]);
    env.run(&["run", "auto-assign"]).is_done();
    env.apple().fault(Fault::hang_up_after().on(Endpoint::Clear));
    env.run(&["unassign", "MAC1", "--token", "main", "--yes"]).is_done();
    // Not carried out, and so not done: a person has to want it again.
    env.apple().fault(Fault::status(500, "").on(Endpoint::Clear));
    env.run(&["unassign", "MAC2", "--token", "main", "--yes"]).fails(1, expect![[r#"
        takes the profile from 1 device of main:
        SERIAL  MODEL        ASSET TAG  PROFILE   FETCHED
        MAC2    MacBook Pro  POOL-1     standard  no
        They get no profile when they are set up. A device that has fetched its profile keeps it until it is erased. A workflow whose policy wants them on a profile assigns it again at its next run.
        run RUN of unassign-by-hand, by hand: failed
          unassign 1 failed, 1 call
        SERIAL  CAME TO  NOTE
        MAC2    dropped  by hand; Apple did not carry it out
    "#]]);
    assert_eq!(env.calls(Endpoint::Clear).len(), 2);
    // Nobody can say: it stays in flight until the next run.
    env.apple().fault(Fault::hang_up_after().on(Endpoint::Disown));
    env.apple().fault(Fault::status(500, "").on(Endpoint::Details).times(9));
    env.run(&["device", "disown", "MAC2", "--token", "main", "--confirm", "MAC2"]).ends_with(5);
    env.apple().clear_faults();
    env.run(&["sync"]).is_done();
    assert_eq!(env.calls(Endpoint::Disown).len(), 1);
    env.run(&["device", "history", "MAC2"]).succeeds(expect![[r#"
        MAC2 of token main
          TIME  run RUN: listed for the first time
          TIME  run RUN: rules says standard: everybody else
          TIME  run RUN: assignment of standard: succeeded
          TIME  run RUN: Apple shows what was assigned
          TIME  run RUN: removal of its profile: dropped
          TIME  run RUN: left this server
          TIME  run RUN: release from the organisation: succeeded
    "#]]);
}

#[test]
fn a_process_killed_while_it_takes_a_profile_away_is_read_back_by_the_next_run() {
    let env = TestEnv::new();
    env.add("main", &["MAC1"]);
    env.run(&["run", "auto-assign"]).is_done();
    env.apple().fault(Fault::hang().on(Endpoint::Clear));
    let nth = env.start(&["unassign", "MAC1", "--token", "main", "--yes"], "log");
    env.until("the call is there", || !env.calls(Endpoint::Clear).is_empty());
    env.kill(nth);
    env.apple().clear_faults();
    env.run(&["sync"]).is_done();
    let history = env.run(&["device", "explain", "MAC1"]).text();
    assert!(history.contains("removal of its profile: not carried out"), "{history}");
    assert_eq!((on_a_profile(&env), env.calls(Endpoint::Clear).len()), (1, 1));
}

#[test]
fn a_device_is_released_only_when_it_is_named_twice() {
    let env = TestEnv::new();
    env.add("main", &["MAC1", "MAC2", "MAC3"]);
    env.run(&["run", "auto-assign"]).is_done();
    env.run(&["device", "disown", "MAC1", "--token", "main"]).fails(4, expect![[r#"
        releases 1 device of main from the organisation:
        SERIAL  MODEL        ASSET TAG  PROFILE   FETCHED
        MAC1    MacBook Pro  POOL-1     standard  no
        They leave the organisation for good, and no later sync brings them back. Only their seller or Apple Configurator can add them again; then their user may leave management for 30 days.
        error: it was not confirmed, so nothing was changed
        hint: in a terminal it is asked for; a script repeats each device with `--confirm SERIAL`
    "#]]);
    env.run(&["device", "disown", "MAC1", "--token", "main", "--confirm", "MAC2"]).fails(
        2,
        expect![[r#"
        error: `--confirm` does not name the same devices; nothing was changed
        hint: name each device once as an argument and once with `--confirm`
    "#]],
    );
    env.run(&["device", "disown", "MAC1", "MAC2", "--token", "main", "--confirm", "MAC1"]).ends_with(2);
    assert_eq!(env.calls(Endpoint::Disown), []);
    env.run(&["device", "disown", "MAC1", "--token", "main", "--confirm", "mac1"]).succeeds(expect![[r#"
        releases 1 device of main from the organisation:
        SERIAL  MODEL        ASSET TAG  PROFILE   FETCHED
        MAC1    MacBook Pro  POOL-1     standard  no
        They leave the organisation for good, and no later sync brings them back. Only their seller or Apple Configurator can add them again; then their user may leave management for 30 days.
        run RUN of disown-by-hand, by hand: succeeded
          disown   1 released from the organisation, 1 call
        SERIAL  CAME TO    NOTE
        MAC1    succeeded  by hand
    "#]]);
    env.run(&["device", "list"]).succeeds(expect![[r#"
        SERIAL  TOKEN  MODEL        ASSET TAG  PROFILE
        MAC2    main   MacBook Pro  POOL-1     standard
        MAC3    main   MacBook Pro  POOL-1     standard
    "#]]);
    env.run(&["device", "history", "MAC1"]).succeeds(expect![[r#"
        MAC1 of token main
          TIME  run RUN: listed for the first time
          TIME  run RUN: rules says standard: everybody else
          TIME  run RUN: assignment of standard: succeeded
          TIME  run RUN: left this server
          TIME  run RUN: release from the organisation: succeeded
    "#]]);
    // It went to another server meanwhile.
    env.apple().remove_device("main", "MAC2", false).unwrap();
    let both =
        ["device", "disown", "MAC2", "MAC3", "--token", "main", "--confirm", "MAC3", "--confirm", "MAC2"];
    env.run(&both).fails(1, expect![[r#"
        releases 2 devices of main from the organisation:
        SERIAL  MODEL        ASSET TAG  PROFILE   FETCHED
        MAC2    MacBook Pro  POOL-1     standard  no
        MAC3    MacBook Pro  POOL-1     standard  no
        They leave the organisation for good, and no later sync brings them back. Only their seller or Apple Configurator can add them again; then their user may leave management for 30 days.
        run RUN of disown-by-hand, by hand: failed
          disown   1 released from the organisation, 1 not this server's, 1 call
        SERIAL  CAME TO         NOTE
        MAC2    not-accessible  by hand
        MAC3    succeeded       by hand
    "#]]);
    env.run(&["device", "disown", "MAC3", "--token", "main", "--confirm", "MAC3"]).ends_with(2);
}

#[test]
fn as_many_are_taken_away_in_one_call_as_apple_allows() {
    let env = TestEnv::new();
    let serials = env.apple().generate_devices("main", 1_200, 1).unwrap();
    env.run(&["sync"]).is_done();
    let mut arguments = vec!["unassign", "--token", "main", "--yes", "--removals=100%"];
    arguments.extend(serials.iter().map(|serial| &**serial));
    let run = env.json(&arguments);
    assert_eq!(run["run"]["actions"].as_array().unwrap().len(), 1_200);
    let calls: Vec<usize> = env.calls(Endpoint::Clear).iter().map(|call| call.devices_in).collect();
    assert_eq!(calls, [1_000, 200]);
    drop(arguments.splice(0..5, ["device", "disown", "--token", "main"]));
    env.run(&arguments).ends_with(2);
    assert_eq!(env.calls(Endpoint::Disown), []);
}

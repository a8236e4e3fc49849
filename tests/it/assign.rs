//! From devices without a profile to devices with the right one, on good and on bad days.

use expect_test::expect;
use serde_json::json;
use sim::{Endpoint, Fault};

use crate::env::{NOTIFY, TestEnv};

const FIVE: [&str; 5] = ["EXEC1", "LIB1", "LIB2", "MAC1", "MAC2"];

#[test]
fn a_first_run_gives_every_device_the_profile_its_rule_says() {
    let env = TestEnv::new();
    env.append("workflows/auto-assign.toml", NOTIFY);
    env.add("main", &FIVE);
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     5 devices: 5 new, 0 changed, 0 gone (every device, 2 pages)
          decide   5 devices by rules: executive-mac 1, lab-ipad 2, standard 2
          plan     define executive-mac, lab-ipad, standard, 5 first assignments
          apply    defined executive-mac, lab-ipad, standard, 5 assigned, 3 calls
          notify   told log
        TIME  INFO run RUN of auto-assign, by hand: succeeded
          sync     5 devices: 5 new, 0 changed, 0 gone (every device, 2 pages)
          decide   5 devices by rules: executive-mac 1, lab-ipad 2, standard 2
          plan     define executive-mac, lab-ipad, standard, 5 first assignments
          apply    defined executive-mac, lab-ipad, standard, 5 assigned, 3 calls
    "#]]);
    expect![[r#"
        EXEC1: Executive Mac
        LIB1: Lab iPad
        LIB2: Lab iPad
        MAC1: Standard
        MAC2: Standard
    "#]]
    .assert_eq(&env.at_apple("main"));
    env.run(&["runs", "show", "last"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     5 devices: 5 new, 0 changed, 0 gone (every device, 2 pages)
          decide   5 devices by rules: executive-mac 1, lab-ipad 2, standard 2
          plan     define executive-mac, lab-ipad, standard, 5 first assignments
          apply    defined executive-mac, lab-ipad, standard, 5 assigned, 3 calls
          notify   told log

        SERIAL  TOKEN  PROFILE        CAME TO    BECAUSE
        EXEC1   main   executive-mac  succeeded  a Mac of the executive pool
        LIB1    main   lab-ipad       succeeded  an iPad bought by the library
        LIB2    main   lab-ipad       succeeded  an iPad bought by the library
        MAC1    main   standard       succeeded  everybody else
        MAC2    main   standard       succeeded  everybody else
    "#]]);
    env.run(&["device", "explain", "exec1"]).succeeds(expect![[r#"
        EXEC1 of token main
          is        MacBook Pro, Mac, OSX
          asset tag EXEC-1
          at Apple  on this server since TIME by enroll-admin@main.example; profile empty
          profile   executive-mac
          policy    rules says executive-mac: a Mac of the executive pool
                    since run RUN of TIME, by the component DIGEST…
          asked     last in run RUN of auto-assign, TIME: component DIGEST…, settings DIGEST…
          it saw    asset_tag = EXEC-1, device_family = Mac, profile_status = empty
          unseen    device_assigned_by = enroll-admin@main.example, device_assigned_date = TIME, model = MacBook Pro, os = OSX, serial_number = EXEC1
          done      run RUN: to executive-mac: sent TIME, succeeded, TIME
          next      nothing, it has the profile it should have; looked at again at the next run of auto-assign, TIME
    "#]]);
}

#[test]
fn a_plan_shows_what_a_run_would_do_and_changes_nothing() {
    let env = TestEnv::new();
    env.add("main", &FIVE);
    env.run(&["plan"]).succeeds(expect![[r#"
        run RUN of auto-assign (dry run), by hand: succeeded
          sync     5 devices: 5 new, 0 changed, 0 gone (every device, 2 pages)
          decide   5 devices by rules: executive-mac 1, lab-ipad 2, standard 2
          plan     define executive-mac, lab-ipad, standard, 5 first assignments
          apply    a dry run ends with the plan

        SERIAL  TOKEN  GETS           HAS  BECAUSE
        EXEC1   main   executive-mac  -    a Mac of the executive pool
        LIB1    main   lab-ipad       -    an iPad bought by the library
        LIB2    main   lab-ipad       -    an iPad bought by the library
        MAC1    main   standard       -    everybody else
        MAC2    main   standard       -    everybody else
    "#]]);
    assert_eq!(env.with_profile("main"), 0);
    assert_eq!(env.calls(Endpoint::Assign), []);
}

#[test]
fn a_second_run_with_nothing_new_sends_nothing() {
    let env = TestEnv::new();
    env.add("main", &FIVE);
    env.run(&["run", "auto-assign"]).is_done();
    env.apple().clear_calls();
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     5 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   5 devices by rules: executive-mac 1, lab-ipad 2, standard 2
          plan     nothing to do, 5 already right
          apply    nothing to do
    "#]]);
    assert_eq!(env.calls(Endpoint::Assign), []);
    assert_eq!(env.apple().most_assignments_of_one_device(), 1);
}

#[test]
fn a_run_follows_devices_that_come_change_and_go() {
    let env = TestEnv::new();
    env.add("main", &FIVE);
    env.run(&["run", "auto-assign"]).is_done();
    env.add("main", &["MAC3"]);
    env.apple().change_device("main", "MAC1", &json!({ "asset_tag": "EXEC-9" })).unwrap();
    env.apple().remove_device("main", "MAC2", true).unwrap();
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     5 devices: 1 new, 1 changed, 1 gone (the changes, 1 page)
          decide   5 devices by rules: executive-mac 2, lab-ipad 2, standard 1
          plan     1 first assignment, 1 reassignment, 3 already right
          apply    2 assigned, 2 calls
    "#]]);
    expect![[r#"
        EXEC1: Executive Mac
        LIB1: Lab iPad
        LIB2: Lab iPad
        MAC1: Executive Mac
        MAC3: Standard
    "#]]
    .assert_eq(&env.at_apple("main"));
}

#[test]
fn a_profile_whose_content_changed_moves_the_devices_that_had_it_once_the_rail_allows() {
    let env = TestEnv::new();
    env.add("main", &FIVE);
    env.run(&["run", "auto-assign"]).is_done();
    env.edit("profiles/standard.toml", "department = \"IT\"", "department = \"Workplace\"");
    env.run(&["run", "auto-assign", "--reassignments", "1"]).fails(4, expect![[r#"
        run RUN of auto-assign, by hand: waits for a person
          sync     5 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   5 devices by rules: executive-mac 1, lab-ipad 2, standard 2
          plan     waits for a person: define standard, 2 reassignments, 3 already right
                   rail: 2 reassignments, 1 allowed
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
        TIME ERROR run RUN of auto-assign, by hand: waits for a person
          sync     5 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   5 devices by rules: executive-mac 1, lab-ipad 2, standard 2
          plan     waits for a person: define standard, 2 reassignments, 3 already right
                   rail: 2 reassignments, 1 allowed
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
    "#]]);
    env.run(&["run", "auto-assign", "--reassignments", "2"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     5 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   5 devices by rules: executive-mac 1, lab-ipad 2, standard 2
          plan     define standard, 2 reassignments, 3 already right
          apply    defined standard, 2 assigned, 1 call
    "#]]);
    let standard = env.apple().profiles("main").unwrap().pop().unwrap();
    assert_eq!((standard.content["department"].as_str(), standard.devices), (Some("Workplace"), 2));
}

#[test]
fn a_broken_rail_changes_nothing() {
    let env = TestEnv::new();
    env.add("main", &FIVE);
    env.run(&["run", "auto-assign", "--first-assignments", "4"]).fails(4, expect![[r#"
        run RUN of auto-assign, by hand: waits for a person
          sync     5 devices: 5 new, 0 changed, 0 gone (every device, 2 pages)
          decide   5 devices by rules: executive-mac 1, lab-ipad 2, standard 2
          plan     waits for a person: define executive-mac, lab-ipad, standard, 5 first assignments
                   rail: 5 first assignments, 4 allowed
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
        TIME ERROR run RUN of auto-assign, by hand: waits for a person
          sync     5 devices: 5 new, 0 changed, 0 gone (every device, 2 pages)
          decide   5 devices by rules: executive-mac 1, lab-ipad 2, standard 2
          plan     waits for a person: define executive-mac, lab-ipad, standard, 5 first assignments
                   rail: 5 first assignments, 4 allowed
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
    "#]]);
    assert_eq!(env.with_profile("main"), 0);
    assert_eq!(env.calls(Endpoint::Assign), []);
}

#[test]
fn a_large_fleet_goes_in_batches_and_each_device_is_assigned_once() {
    let env = TestEnv::new();
    env.apple().generate_devices("main", 2_500, 1).unwrap();
    env.run(&["run", "auto-assign"]).is_done();
    let batches: Vec<usize> = env.calls(Endpoint::Assign).iter().map(|call| call.devices_in).collect();
    assert!(batches.iter().all(|size| *size <= 1_000), "{batches:?}");
    assert_eq!(batches.iter().sum::<usize>(), 2_500);
    assert_eq!(env.with_profile("main"), 2_500);
    assert_eq!(env.apple().most_assignments_of_one_device(), 1);
}

#[test]
fn an_assignment_whose_answer_is_lost_is_read_back_and_not_sent_twice() {
    let env = TestEnv::new();
    env.add("main", &["MAC1", "MAC2"]);
    env.apple().fault(Fault::hang_up_after().on(Endpoint::Assign));
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     2 devices: 2 new, 0 changed, 0 gone (every device, 2 pages)
          decide   2 devices by rules: standard 2
          plan     define standard, 2 first assignments
          apply    defined standard, 2 assigned, 1 call
    "#]]);
    assert_eq!(env.calls(Endpoint::Assign).len(), 1);
    expect![[r#"
        MAC1: Standard
        MAC2: Standard
    "#]]
    .assert_eq(&env.at_apple("main"));
    assert_eq!(env.apple().most_assignments_of_one_device(), 1);
}

#[test]
fn a_day_on_which_apple_fails_is_healed_by_the_next_run() {
    let env = TestEnv::new();
    env.add("main", &FIVE);
    env.apple().fault(Fault::status(500, "").on(Endpoint::Fetch).times(20));
    env.run(&["run", "auto-assign"]).fails(5, expect![[r#"
        run RUN of auto-assign, by hand: Apple did not answer as it should; the next run tries again
          sync     failed: could not fetch the devices for `main`: Apple's service is not available (500 without a code)
    "#]]);
    env.apple().clear_faults();
    env.run(&["run", "auto-assign"]).is_done();
    assert_eq!(env.with_profile("main"), FIVE.len());
}

#[test]
fn an_apple_that_cannot_be_reached_is_named_with_its_address() {
    let mut env = TestEnv::new();
    env.stop_apple();
    env.run(&["run", "auto-assign"]).fails(5, expect![[r#"
        run RUN of auto-assign, by hand: Apple did not answer as it should; the next run tries again
          sync     failed: could not open a session for `main`: 127.0.0.1:PORT refuses the connection: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)
                   hint: look whether a firewall is in between; if this machine gets out through a proxy only, name it as `proxy` under `[apple]`
    "#]]);
}

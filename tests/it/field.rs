//! What goes wrong in the field, one test for each failure that operators of such programs have met.
//!
//! Some are told elsewhere: a crash while an assignment is under way and a stop signal in `daemon`, an
//! assignment that comes back as a change in `assign`, the token of another server and terms that nobody
//! accepted in `tokens`, and single calls that fail in `faults`.

use expect_test::expect;
use jiff::SignedDuration;
use serde_json::{Value, json};
use sim::{AssignStatus, Endpoint, Fault, ServerChange};

use crate::env::TestEnv;

/// One token with these devices, pages of two, and everything assigned.
fn assigned(serials: &[&str]) -> TestEnv {
    let env = TestEnv::new();
    pages_of(&env, 2);
    env.add("main", serials);
    env.run(&["run", "auto-assign"]).is_done();
    env.apple().clear_calls();
    env
}

fn pages_of(env: &TestEnv, page_limit: usize) {
    let change = ServerChange { page_limit: Some(page_limit), ..ServerChange::default() };
    env.apple().change_server("main", change).expect("the server is there");
}

/// The endpoints called since the log was cleared, in order.
fn endpoints(env: &TestEnv) -> String {
    let calls = env.apple().calls();
    let names = calls.iter().map(|call| format!("{:?}", call.endpoint).to_lowercase());
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn killed_between_two_pages_the_next_run_goes_on_at_the_page_after_the_last_it_stored() {
    let env = TestEnv::new();
    pages_of(&env, 2);
    env.add("main", &["MAC1", "MAC2", "MAC3", "MAC4", "MAC5"]);
    env.apple().fault(Fault::hang().on(Endpoint::Fetch).after(1));
    let run = env.start(&["run", "auto-assign"], "run.log");
    env.until("the first page is stored", || {
        let devices = env.store().query_row("SELECT count(*) FROM device_record", [], |row| row.get(0));
        devices.unwrap_or(0) == 2
    });
    env.until("the second page is asked for", || env.calls(Endpoint::Fetch).len() == 2);
    assert_eq!(env.end(run, "-KILL"), None);
    env.apple().clear_calls();
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     5 devices: 3 new, 0 changed, 0 gone (every device, 3 pages)
          decide   5 devices by rules: standard 5
          plan     define standard, 5 first assignments
          apply    defined standard, 5 assigned, 1 call
        note: run RUN of auto-assign was interrupted in sync for main; the next run goes on
    "#]]);
    expect!["session fetch fetch sync define assign"].assert_eq(&endpoints(&env));
    assert_eq!(env.with_profile("main"), 5);
}

#[test]
fn one_batch_that_apple_answers_with_500_is_assigned_by_the_next_run() {
    let env = TestEnv::new();
    env.add("main", &["EXEC1", "LIB1", "MAC1", "MAC2"]);
    env.apple().fault(Fault::status(500, "").on(Endpoint::Assign).after(1).times(5));
    env.run(&["run", "auto-assign"]).fails(5, expect![[r#"
        run RUN of auto-assign, by hand: Apple did not answer as it should; the next run tries again
          sync     4 devices: 4 new, 0 changed, 0 gone (every device, 2 pages)
          decide   4 devices by rules: executive-mac 1, lab-ipad 1, standard 2
          plan     define executive-mac, lab-ipad, standard, 4 first assignments
          apply    failed: 1 of 4 devices assigned; then: could not assign a profile for `main`: Apple's service is not available (500 without a code)
    "#]]);
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     4 devices: 0 new, 0 changed, 0 gone (the changes, 1 page); 1 in flight read back
          decide   4 devices by rules: executive-mac 1, lab-ipad 1, standard 2
          plan     define standard, 3 first assignments, 1 already right
          apply    defined standard, 3 assigned, 2 calls
    "#]]);
    assert_eq!(env.with_profile("main"), 4);
    assert_eq!(env.apple().most_assignments_of_one_device(), 1);
}

#[test]
fn a_throttled_device_is_left_alone_for_as_long_as_apple_says_and_it_is_told_why() {
    let env = TestEnv::new();
    env.add("main", &["MAC1", "MAC2"]);
    env.apple().answer_assignments("main", &["MAC1"], AssignStatus::Throttled, 1, 3_600).unwrap();
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     2 devices: 2 new, 0 changed, 0 gone (every device, 2 pages)
          decide   2 devices by rules: standard 2
          plan     define standard, 2 first assignments
          apply    defined standard, 1 assigned, 1 throttled, 1 call
    "#]]);
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by rules: standard 2
          plan     nothing to do, 1 already right, 1 waiting, after a refusal
          apply    nothing to do
    "#]]);
    assert_eq!(env.calls(Endpoint::Assign).len(), 1);
    env.run(&["device", "explain", "MAC1"]).succeeds(expect![[r#"
        MAC1 of token main
          is        MacBook Pro, Mac, OSX
          asset tag POOL-1
          at Apple  on this server since TIME by enroll-admin@main.example; profile empty
          profile   none
          policy    rules says standard: everybody else
                    since run RUN of TIME, by the component DIGEST…
          asked     last in run RUN of auto-assign, TIME: component DIGEST…, settings DIGEST…
          it saw    asset_tag = POOL-1, device_family = Mac, profile_status = empty
          unseen    device_assigned_by = enroll-admin@main.example, device_assigned_date = TIME, model = MacBook Pro, os = OSX, serial_number = MAC1
          done      run RUN: to standard: sent TIME, throttled, TIME
          next      nothing before TIME: Apple wants it left alone for so long; then at the next run of auto-assign, TIME
    "#]]);
}

#[test]
fn a_throttled_device_is_assigned_once_its_time_has_come() {
    let env = TestEnv::new();
    env.add("main", &["MAC1", "MAC2"]);
    env.apple().answer_assignments("main", &["MAC1"], AssignStatus::Throttled, 1, 1).unwrap();
    env.until("the throttled device has its profile too", || {
        env.run(&["run", "auto-assign"]).is_done();
        env.with_profile("main") == 2
    });
    assert_eq!(env.calls(Endpoint::Assign).len(), 2);
    assert_eq!(env.apple().most_assignments_of_one_device(), 1);
}

#[test]
fn a_cursor_older_than_a_week_leads_to_a_full_fetch_that_finds_what_came_meanwhile() {
    let env = assigned(&["MAC1", "MAC2"]);
    env.add("main", &["LIB1"]);
    env.apple().advance_clock(SignedDuration::from_hours(8 * 24));
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     3 devices: 1 new, 0 changed, 0 gone (every device, 3 pages)
          decide   3 devices by rules: lab-ipad 1, standard 2
          plan     define lab-ipad, 1 first assignment, 2 already right
          apply    defined lab-ipad, 1 assigned, 1 call
    "#]]);
    expect!["session sync account fetch fetch sync define assign"].assert_eq(&endpoints(&env));
    assert_eq!(env.with_profile("main"), 3);
    assert_eq!(env.apple().most_assignments_of_one_device(), 1);
}

#[test]
fn a_cursor_that_apple_repeats_for_ever_ends_the_run_and_what_came_with_it_is_kept() {
    let env = assigned(&["MAC1"]);
    env.add("main", &["MAC2"]);
    env.apple().fault(Fault::new(sim::FaultKind::SameCursor).on(Endpoint::Sync).always());
    env.run(&["run", "auto-assign"]).fails(5, expect![[r#"
        run RUN of auto-assign, by hand: Apple did not answer as it should; the next run tries again
          sync     failed: Apple repeats the sync cursor of `main` and says there is more; what it sent is stored
                   hint: the next run goes on from there
    "#]]);
    expect!["session sync account fetch sync"].assert_eq(&endpoints(&env));
    env.apple().clear_faults();
    env.run(&["run", "auto-assign"]).is_done();
    assert_eq!(env.with_profile("main"), 2);
}

#[test]
fn an_invalid_cursor_where_none_was_sent_does_not_go_round_in_circles() {
    let env = TestEnv::new();
    env.add("main", &["MAC1"]);
    env.apple().clear_calls();
    env.apple().fault(Fault::status(400, "INVALID_CURSOR").on(Endpoint::Fetch).always());
    env.run(&["run", "auto-assign"]).fails(5, expect![[r#"
        run RUN of auto-assign, by hand: Apple did not answer as it should; the next run tries again
          sync     failed: could not fetch the devices for `main`: Apple does not know the sync cursor
                   hint: Apple refuses a cursor of its own; a later run fetches every device anew, at most once an hour
    "#]]);
    expect!["session account fetch"].assert_eq(&endpoints(&env));
    env.apple().clear_faults();
    env.run(&["run", "auto-assign"]).is_done();
    assert_eq!(env.with_profile("main"), 1);
}

#[test]
fn an_invalid_cursor_is_thrown_away_and_everything_fetched() {
    let env = assigned(&["MAC1"]);
    env.add("main", &["MAC2"]);
    env.apple().fault(Fault::status(400, "INVALID_CURSOR").on(Endpoint::Sync));
    env.run(&["run", "auto-assign"]).is_done();
    expect!["session sync account fetch sync assign"].assert_eq(&endpoints(&env));
    assert_eq!(env.with_profile("main"), 2);
}

#[test]
fn a_device_added_deleted_and_added_over_two_pages_is_there_and_assigned() {
    let env = assigned(&["MAC1"]);
    env.add("main", &["MAC2"]);
    env.apple().remove_device("main", "MAC2", true).unwrap();
    env.add("main", &["MAC2"]);
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     2 devices: 2 new, 0 changed, 1 gone (the changes, 2 pages)
          decide   2 devices by rules: standard 2
          plan     1 first assignment, 1 already right
          apply    1 assigned, 1 call
    "#]]);
    expect!["session sync sync assign"].assert_eq(&endpoints(&env));
    expect![[r#"
        MAC1: Standard
        MAC2: Standard
    "#]]
    .assert_eq(&env.at_apple("main"));
}

#[test]
fn a_device_added_and_deleted_over_two_pages_is_not_assigned() {
    let env = assigned(&["MAC1", "MAC3"]);
    env.add("main", &["MAC2"]);
    env.apple().remove_device("main", "MAC2", true).unwrap();
    env.run(&["run", "auto-assign"]).is_done();
    assert_eq!(env.calls(Endpoint::Assign), []);
}

#[test]
fn a_device_that_is_modified_because_its_profile_was_removed_is_assigned_again() {
    let env = assigned(&["MAC1", "MAC2"]);
    env.apple().change_device("main", "MAC1", &json!({ "profile_status": "removed" })).unwrap();
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     2 devices: 0 new, 1 changed, 0 gone (the changes, 2 pages)
          decide   2 devices by rules: standard 2
          plan     1 first assignment, 1 already right
          apply    1 assigned, 1 call
    "#]]);
    assert_eq!(env.calls(Endpoint::Assign).iter().map(|call| call.devices_in).sum::<usize>(), 1);
    expect![[r#"
        MAC1: Standard
        MAC2: Standard
    "#]]
    .assert_eq(&env.at_apple("main"));
}

#[test]
fn a_connection_that_hangs_has_an_end_and_other_tokens_do_not_wait_for_it() {
    let env = TestEnv::with_tokens(&["north", "south"]);
    env.append("deputy.toml", "\n[apple]\nread_timeout = \"1s\"\n");
    env.add("north", &["MAC1"]);
    env.add("south", &["MAC2"]);
    env.apple().fault(Fault::hang().of_server("north").on(Endpoint::Fetch).always());
    let run = env.start(&["run", "auto-assign"], "run.log");
    env.until("the other token has its devices assigned", || env.with_profile("south") == 1);
    assert_eq!(env.ended(run), Some(5));
    expect![[r#"
        run RUN of auto-assign, by hand: Apple did not answer as it should; the next run tries again
          sync     north: failed: could not fetch the devices for `north`: no answer from 127.0.0.1:PORT in time: error sending request: operation timed out
          sync     south: 1 device: 1 new, 0 changed, 0 gone (every device, 2 pages)
          decide   south: 1 device by rules: standard 1
          plan     south: define standard, 1 first assignment
          apply    south: defined standard, 1 assigned, 1 call
    "#]].assert_eq(&env.normal(&env.read("run.log")));
    env.apple().clear_faults();
    env.run(&["run", "auto-assign"]).is_done();
    assert_eq!((env.with_profile("north"), env.with_profile("south")), (1, 1));
    assert_eq!(env.apple().most_assignments_of_one_device(), 1);
}

#[test]
fn a_disk_that_is_full_at_any_moment_is_told_and_costs_nothing_but_the_run() {
    let env = TestEnv::new();
    env.run(&["run", "auto-assign"]).is_done();
    let mut failed = 0;
    for (round, blocks) in [16, 64, 160, 320, 480, 640, 960, 1_280, 1_920, 4_000].into_iter().enumerate() {
        let serials: Vec<String> = (0..100).map(|nth| format!("MAC{round}N{nth:03}")).collect();
        env.add("main", &serials.iter().map(String::as_str).collect::<Vec<_>>());
        let ran = env.run_with_file_limit(blocks, &["run", "auto-assign"]);
        if ran.output.status.code() != Some(0) {
            ran.ends_with(1);
            assert!(ran.text().contains("the store"), "{}", ran.text());
            // Where a run was begun, its report also says what to do.
            let is_report = ran.text().starts_with("run ");
            assert!(!is_report || ran.text().contains("has room"), "{}", ran.text());
            assert!(!ran.text().contains("panicked"), "{}", ran.text());
            failed += 1;
        }
        env.run(&["run", "auto-assign"]).is_done();
        assert_eq!(env.with_profile("main"), (round + 1) * 100);
        assert_eq!(env.apple().most_assignments_of_one_device(), 1);
    }
    assert!(failed > 2, "the disk was never full");
}

#[test]
fn an_interrupt_in_the_middle_of_a_run_by_hand_ends_it_after_the_call() {
    let env = TestEnv::new();
    env.add("main", &["EXEC1", "LIB1", "MAC1"]);
    // Less than the patience that a stop has with a call.
    env.apple().fault(Fault::slow(500).on(Endpoint::Assign));
    let run = env.start(&["run", "auto-assign"], "run.log");
    env.until("a run is assigning", || env.with_profile("main") > 0);
    assert_eq!(env.end(run, "-INT"), Some(1));
    expect![[r#"
        stopping at the end of the page or call; what is done is stored
        run RUN of auto-assign, by hand: stopped before its end; the next run goes on
          sync     3 devices: 3 new, 0 changed, 0 gone (every device, 2 pages)
          decide   3 devices by rules: executive-mac 1, lab-ipad 1, standard 1
          plan     define executive-mac, lab-ipad, standard, 3 first assignments
          apply    failed: 1 of 3 devices assigned; then: stopped before the end
    "#]]
    .assert_eq(&env.normal(&env.read("run.log")));
    env.run(&["run", "auto-assign"]).is_done();
    assert_eq!(env.with_profile("main"), 3);
    assert_eq!(env.apple().most_assignments_of_one_device(), 1);
}

#[test]
fn two_runs_that_cron_starts_at_the_same_time_assign_every_device_once() {
    let env = TestEnv::new();
    pages_of(&env, 2);
    env.add("main", &["EXEC1", "LIB1", "MAC1", "MAC2", "MAC3"]);
    env.apple().set_latency_ms(10);
    let runs = ["one.log", "two.log"].map(|file| (env.start(&["run", "auto-assign"], file), file));
    for (run, file) in runs {
        assert_eq!(env.ended(run), Some(0), "{}", env.read(file));
    }
    assert_eq!(env.with_profile("main"), 5);
    assert_eq!(env.apple().most_assignments_of_one_device(), 1);
}

#[test]
fn a_first_import_of_50_000_devices_makes_no_call_too_many() {
    let env = TestEnv::new();
    env.apple().generate_devices("main", 50_000, 1).unwrap();
    env.apple().clear_calls();
    env.run(&["run", "auto-assign", "--first-assignments", "50000"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     50000 devices: 50000 new, 0 changed, 0 gone (every device, 51 pages)
          decide   50000 devices by rules: executive-mac 1030, lab-ipad 4652, standard 44318
          plan     define executive-mac, lab-ipad, standard, 50000 first assignments
          apply    defined executive-mac, lab-ipad, standard, 50000 assigned, 52 calls
    "#]]);
    let counters = env.apple().counters();
    let calls = counters.per_endpoint.iter().map(|(endpoint, calls)| format!("{endpoint:?} {calls}\n"));
    expect![[r#"
        Session 1
        Account 1
        Fetch 50
        Sync 1
        Define 3
        Assign 52
    "#]]
    .assert_eq(&calls.collect::<String>());
    assert_eq!((counters.assignments, counters.most_assignments_of_one_device), (50_000, 1));
}

#[test]
fn a_device_that_cannot_be_read_is_set_aside_and_named_and_the_rest_go_on() {
    let env = assigned(&["MAC1"]);
    env.add("main", &["MAC2"]);
    env.run(&["sync"]).is_done();
    let cursor = env.calls(Endpoint::Sync).last().and_then(|call| call.cursor.clone()).expect("a cursor");
    let odd = |serial: &str, op_date: Value, model: Value| {
        json!({
            "serial_number": serial, "model": model, "device_family": "Mac", "profile_status": "empty",
            "op_type": "added", "op_date": op_date,
        })
    };
    let page = json!({
        "cursor": cursor, "more_to_follow": false,
        "devices": [
            odd("MAC3", json!("yesterday"), json!("MacBook Air")),
            odd("MAC4", json!("2026-01-01T00:00:00Z"), json!(["MacBook Air"])),
            odd("MAC5", json!("2026-01-01T00:00:00Z"), json!("MacBook Air")),
            "MAC6",
        ],
    });
    env.add("main", &["MAC3", "MAC4", "MAC5", "MAC6"]);
    env.apple().fault(Fault::answer(&page.to_string()).on(Endpoint::Sync));
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     4 devices: 2 new, 0 changed, 0 gone (the changes, 1 page)
                   set aside: MAC3: its op_date is not a time
                   set aside: a device without serial number: it is not a JSON object
          decide   4 devices by rules: standard 4
          plan     3 first assignments, 1 already right
          apply    3 assigned, 1 call
    "#]]);
    expect![[r#"
        MAC1: Standard
        MAC2: Standard
        MAC3: nothing
        MAC4: Standard
        MAC5: Standard
        MAC6: nothing
    "#]]
    .assert_eq(&env.at_apple("main"));
    env.run(&["sync", "--full"]).is_done();
    env.run(&["run", "auto-assign"]).is_done();
    assert_eq!(env.with_profile("main"), 6);
}

#[test]
fn pages_are_as_large_as_the_account_allows_without_being_told() {
    let env = TestEnv::new();
    pages_of(&env, 250);
    env.apple().generate_devices("main", 600, 1).unwrap();
    env.run(&["sync"]).is_done();
    let limits: Vec<_> = env.calls(Endpoint::Fetch).iter().map(|call| call.limit).collect();
    assert_eq!(limits, [Some(250); 3]);
}

#[test]
fn two_thousand_five_hundred_assignments_of_one_profile_are_three_calls() {
    let env = TestEnv::new();
    let serials: Vec<String> = (0..2_500).map(|nth| format!("MAC{nth:05}")).collect();
    env.add("main", &serials.iter().map(String::as_str).collect::<Vec<_>>());
    env.run(&["run", "auto-assign"]).is_done();
    let batches: Vec<usize> = env.calls(Endpoint::Assign).iter().map(|call| call.devices_in).collect();
    assert_eq!(batches, [1_000, 1_000, 500]);
}

//! The daemon: on its schedule, told to stop, and killed.

use expect_test::expect;
use sim::{Endpoint, Fault};

use crate::env::TestEnv;

/// `auto-assign` every second.
fn every_second(env: &TestEnv) {
    env.edit("workflows/auto-assign.toml", "cron = \"*/15 * * * *\"", "cron = \"*/1 * * * * *\"");
}

/// Waits until the daemon is in the middle of a slow assignment: Apple has done it and not answered.
fn in_the_middle(env: &TestEnv) {
    env.until("a run is assigning", || env.with_profile("main") > 0);
}

#[test]
fn devices_that_arrive_get_their_profile_on_schedule_and_sigterm_ends_it_cleanly() {
    let env = TestEnv::new();
    every_second(&env);
    let daemon = env.start(&["serve"], "serve.log");
    env.add("main", &["MAC1", "LIB1"]);
    env.until("the devices have a profile", || env.with_profile("main") == 2);
    env.add("main", &["EXEC1"]);
    env.until("the device that came later has one too", || env.with_profile("main") == 3);
    assert_eq!(env.end(daemon, "-TERM"), Some(0), "{}", env.read("serve.log"));
    expect![[r#"
        MAC1: Standard
        LIB1: Lab iPad
        EXEC1: Executive Mac
    "#]]
    .assert_eq(&env.at_apple("main"));
    assert_eq!(env.apple().most_assignments_of_one_device(), 1);
}

#[test]
fn sigterm_in_the_middle_of_a_run_loses_nothing() {
    let env = TestEnv::new();
    every_second(&env);
    env.apple().generate_devices("main", 2_500, 1).unwrap();
    env.apple().fault(Fault::slow(2_000).on(Endpoint::Assign));
    let daemon = env.start(&["serve"], "serve.log");
    in_the_middle(&env);
    assert_eq!(env.end(daemon, "-TERM"), Some(0), "{}", env.read("serve.log"));
    let runs = env.json(&["runs", "list"]);
    // Seconds that came while the run was going on are on record too, as skipped.
    let run = runs["runs"].as_array().unwrap().iter().find(|run| run["state"] != "skipped").unwrap();
    assert_eq!(run["state"], "stopped", "{run:#}");
    assert!(env.with_profile("main") < 2_500, "the stop waited for the whole run");
    env.run(&["run", "auto-assign"]).is_done();
    assert_eq!(env.with_profile("main"), 2_500);
    assert_eq!(env.apple().most_assignments_of_one_device(), 1);
}

#[test]
fn after_a_kill_in_the_middle_the_next_run_reads_back_and_assigns_the_rest_once() {
    let env = TestEnv::new();
    env.apple().generate_devices("main", 2_500, 1).unwrap();
    env.apple().fault(Fault::slow(30_000).on(Endpoint::Assign));
    let run = env.start(&["run", "auto-assign"], "run.log");
    in_the_middle(&env);
    assert_eq!(env.end(run, "-KILL"), None);
    env.apple().clear_faults();
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     2500 devices: 0 new, 0 changed, 0 gone (the changes, 1 page); 54 in flight read back
          decide   2500 devices by rules: executive-mac 54, lab-ipad 263, standard 2183
          plan     define lab-ipad, standard, 2446 first assignments, 54 already right
          apply    defined lab-ipad, standard, 2446 assigned, 4 calls
        note: run RUN of auto-assign was interrupted in apply for main; the next run asks first what became of what was sent for 54 devices
    "#]]);
    let runs = env.json(&["runs", "list"]);
    let states: Vec<_> = runs["runs"].as_array().unwrap().iter().map(|run| &run["state"]).collect();
    assert_eq!(states, ["succeeded", "interrupted"]);
    assert_eq!(env.with_profile("main"), 2_500);
    assert_eq!(env.apple().most_assignments_of_one_device(), 1);
}

#[test]
fn a_stop_does_not_wait_for_an_answer_that_does_not_come() {
    let env = TestEnv::new();
    env.add("main", &["MAC1", "MAC2"]);
    env.apple().fault(Fault::hang().on(Endpoint::Fetch).always());
    let run = env.start(&["run", "auto-assign"], "run.log");
    env.until("it waits for a page", || !env.calls(Endpoint::Fetch).is_empty());
    assert_eq!(env.end(run, "-INT"), Some(1));
    expect![[r#"
        stopping at the end of the page or call; what is done is stored
        run RUN of auto-assign, by hand: stopped before its end; the next run goes on
          sync     failed: stopped while waiting for Apple's answer to `main`
                   hint: if that happens again, look for what swallows packets on the way to Apple: a proxy, a firewall
    "#]]
    .assert_eq(&env.normal(&env.read("run.log")));
    env.apple().clear_faults();
    env.run(&["run", "auto-assign"]).is_done();
    assert_eq!(env.with_profile("main"), 2);
}

#[test]
fn an_assignment_that_a_stop_did_not_wait_for_is_read_back_and_not_sent_twice() {
    let env = TestEnv::new();
    env.add("main", &["MAC1", "MAC2"]);
    env.apple().fault(Fault::slow(600_000).on(Endpoint::Assign));
    let run = env.start(&["run", "auto-assign"], "run.log");
    in_the_middle(&env);
    assert_eq!(env.end(run, "-INT"), Some(1));
    expect![[r#"
        stopping at the end of the page or call; what is done is stored
        run RUN of auto-assign, by hand: stopped before its end; the next run goes on
          sync     2 devices: 2 new, 0 changed, 0 gone (every device, 2 pages)
          decide   2 devices by rules: standard 2
          plan     define standard, 2 first assignments
          apply    failed: 0 of 2 devices assigned; then: stopped while waiting for Apple's answer to `main`
                   hint: if that happens again, look for what swallows packets on the way to Apple: a proxy, a firewall
    "#]].assert_eq(&env.normal(&env.read("run.log")));
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page); 2 in flight read back
          decide   2 devices by rules: standard 2
          plan     nothing to do, 2 already right
          apply    nothing to do
    "#]]);
    assert_eq!(env.with_profile("main"), 2);
    assert_eq!(env.apple().most_assignments_of_one_device(), 1);
}

#[test]
fn a_second_daemon_on_the_same_store_is_refused() {
    let env = TestEnv::new();
    let daemon = env.start(&["serve"], "serve.log");
    env.until("the daemon serves", || env.read("serve.log").contains("serving"));
    env.run(&["serve"]).fails(
        1,
        expect![[r#"
        error: another `deputy serve` works with this store
        hint: stop it first, or leave the work to it
    "#]],
    );
    assert_eq!(env.end(daemon, "-TERM"), Some(0));
    expect![[r#"
        TIME  INFO serving; tokens: 1, workflows: 3
        TIME  INFO stopped
    "#]]
    .assert_eq(&env.normal(&env.read("serve.log")));
}

#[test]
fn a_reload_with_a_mistake_leaves_the_daemon_with_what_it_had() {
    let env = TestEnv::new();
    every_second(&env);
    let daemon = env.start(&["serve"], "serve.log");
    env.until("the daemon serves", || env.read("serve.log").contains("serving"));
    env.edit("deputy.toml", "[secrets]", "[secrtes]");
    env.signal(daemon, "-HUP");
    env.until("the mistake is told", || env.read("serve.log").contains("secrtes"));
    env.add("main", &["MAC1"]);
    env.until("it goes on", || env.with_profile("main") == 1);
    assert_eq!(env.end(daemon, "-TERM"), Some(0));
    env.edit("deputy.toml", "[secrtes]", "[secrets]");
}

#[test]
fn a_store_that_fails_lets_the_runs_come_to_the_end_of_their_call() {
    let env = TestEnv::new();
    every_second(&env);
    env.apple().generate_devices("main", 2_500, 1).unwrap();
    env.apple().fault(Fault::slow(3_000).on(Endpoint::Assign));
    let daemon = env.start(&["serve"], "serve.log");
    in_the_middle(&env);
    env.store().execute_batch("ALTER TABLE schedule RENAME TO away").unwrap();
    assert_eq!(env.ended(daemon), Some(1), "{}", env.read("serve.log"));
    env.store().execute_batch("ALTER TABLE away RENAME TO schedule").unwrap();
    let runs = env.json(&["runs", "list"]);
    let run = runs["runs"].as_array().unwrap().iter().find(|run| run["state"] != "skipped").unwrap();
    assert_eq!(run["state"], "stopped", "{run:#}");
    env.run(&["run", "auto-assign"]).is_done();
    assert_eq!(env.with_profile("main"), 2_500);
    assert_eq!(env.apple().most_assignments_of_one_device(), 1);
}

#[test]
fn a_run_that_was_killed_is_shown_as_interrupted_by_whoever_looks_first() {
    let env = TestEnv::new();
    env.add("main", &["MAC1"]);
    env.apple().fault(Fault::slow(600_000).on(Endpoint::Assign));
    let run = env.start(&["run", "auto-assign"], "run.log");
    in_the_middle(&env);
    assert_eq!(env.json(&["runs", "list"])["runs"][0]["state"], "running");
    assert_eq!(env.end(run, "-KILL"), None);
    assert_eq!(env.json(&["runs", "list"])["runs"][0]["state"], "interrupted");
}

#[test]
fn a_run_that_reaches_its_limit_says_so_and_how_to_give_it_more() {
    let env = TestEnv::new();
    env.edit("workflows/auto-assign.toml", "timeout = \"20m\"", "timeout = \"2s\"");
    env.add("main", &["MAC1"]);
    env.apple().fault(Fault::slow(600_000).on(Endpoint::Assign));
    env.run(&["run", "auto-assign"]).fails(1, expect![[r#"
        run RUN of auto-assign, by hand: stopped at its time limit; the next run goes on
          sync     1 device: 1 new, 0 changed, 0 gone (every device, 2 pages)
          decide   1 device by rules: standard 1
          plan     define standard, 1 first assignment
          apply    failed: 0 of 1 devices assigned; then: stopped while waiting for Apple's answer to `main`
                   hint: if that happens again, look for what swallows packets on the way to Apple: a proxy, a firewall
          limit    failed: the run has reached its limit of 2s
                   hint: the next run goes on from there; if it takes that long, give auto-assign a longer `timeout` in its `[schedule]`
    "#]]);
}

#[test]
fn a_daemon_that_starts_while_somebody_looks_whether_one_serves_tries_again() {
    let env = TestEnv::new();
    env.run(&["status"]).is_done();
    let held = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(env.path().join("state/deputy.locks/daemon"));
    let held = held.unwrap();
    held.try_lock().unwrap();
    let daemon = env.start(&["serve"], "serve.log");
    drop(held);
    env.until("the daemon serves", || env.read("serve.log").contains("serving"));
    assert_eq!(env.end(daemon, "-TERM"), Some(0));
}

#[test]
fn a_run_that_waits_for_the_token_of_another_says_which() {
    let env = TestEnv::new();
    env.add("main", &["MAC1"]);
    env.apple().fault(Fault::slow(600_000).on(Endpoint::Assign));
    let first = env.start(&["run", "auto-assign"], "first.log");
    in_the_middle(&env);
    let id = env.json(&["runs", "list"])["runs"][0]["id"].as_str().unwrap().to_owned();
    let second = env.start(&["sync"], "second.log");
    let says = format!("waiting for run {id} to finish with token main");
    env.until("it says what it waits for", || env.read("second.log").contains(&says));
    assert_eq!(env.end(first, "-INT"), Some(1));
    assert_eq!(env.ended(second), Some(0));
    assert_eq!(env.read("second.log").matches("waiting for").count(), 1);
}

/// A run is killed when Apple has assigned its devices and not answered; nothing else is due for months.
fn in_flight() -> TestEnv {
    let env = TestEnv::new();
    env.edit("workflows/auto-assign.toml", "cron = \"*/15 * * * *\"", "cron = \"0 0 1 1 *\"");
    env.add("main", &["MAC1", "MAC2"]);
    env.apple().fault(Fault::slow(600_000).on(Endpoint::Assign));
    let run = env.start(&["run", "auto-assign"], "killed.log");
    in_the_middle(&env);
    env.kill(run);
    env.apple().clear_faults();
    env
}

/// Actions that were sent and of which nobody knows what became.
fn sent(env: &TestEnv) -> i64 {
    env.store().query_row("SELECT count(*) FROM action WHERE state = 'sent'", [], |row| row.get(0)).unwrap()
}

#[test]
fn what_was_in_flight_is_asked_about_when_the_daemon_starts() {
    let env = in_flight();
    assert_eq!(sent(&env), 2);
    let daemon = env.start(&["serve"], "serve.log");
    env.until("it is on record", || env.read("serve.log").contains("found in flight"));
    assert_eq!((sent(&env), env.end(daemon, "-TERM")), (0, Some(0)), "{}", env.read("serve.log"));
    let runs = env.json(&["runs", "list"])["runs"].as_array().unwrap().len();
    assert_eq!(runs, 1, "settled without another run");
    env.run(&["runs", "show", "last"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: interrupted; the next run goes on
          sync     2 devices: 2 new, 0 changed, 0 gone (every device, 2 pages)
          decide   2 devices by rules: standard 2
          plan     define standard, 2 first assignments
          apply    broken off
          read-back found in flight: 2 devices; 2 done

        SERIAL  TOKEN  PROFILE   CAME TO    BECAUSE
        MAC1    main   standard  succeeded  everybody else
        MAC2    main   standard  succeeded  everybody else
    "#]]);
    let log = env.normal(&env.read("serve.log"));
    expect!["TIME  INFO main: found in flight: 2 devices; 2 done token=main run=RUN"]
        .assert_eq(&log.lines().filter(|line| line.contains("in flight")).collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_daemon_that_cannot_ask_about_what_was_in_flight_serves_and_the_next_run_asks() {
    let env = in_flight();
    env.apple().fault(Fault::status(503, "").on(Endpoint::Details).always());
    let daemon = env.start(&["serve"], "serve.log");
    env.until("it has asked", || env.read("serve.log").contains("is not known yet"));
    assert!(env.read("serve.log").contains("serving; tokens: 1"), "{}", env.read("serve.log"));
    assert_eq!((sent(&env), env.end(daemon, "-TERM")), (2, Some(0)), "{}", env.read("serve.log"));
    env.apple().clear_faults();
    env.run(&["run", "auto-assign"]).is_done();
    assert_eq!((sent(&env), env.apple().most_assignments_of_one_device()), (0, 1));
}

//! A process that is killed at every boundary between two steps, and in the middle of each: the next start
//! says what it found and goes on right.
//!
//! Where exactly is not left to chance. The process is stopped at a write to its store, by a trigger that
//! computes for ever: it can go no further, and what it wrote before is there to see. Then it is killed.

use expect_test::expect;
use jiff::SignedDuration;
use rusqlite::Connection;

use crate::env::{Ran, TestEnv};
use crate::tokens::expires_in;

const DEVICES: usize = 1_200;

const WORKFLOW: &str = r#"version = 1
name = "everything"
[[steps]]
uses = "sync"
[[steps]]
uses = "decide"
policy = "rules"
[[steps]]
uses = "plan"
[[steps]]
uses = "apply"
[[steps]]
uses = "remind"
look_at_servers = false
[[steps]]
uses = "notify"
when = "always"
"#;

/// Where the process is stopped: at which write, and how it is known to have come that far.
struct Place {
    name: &'static str,
    /// What the trigger waits for.
    write: &'static str,
    /// True in the store when the writes before are there.
    reached: &'static str,
}

const fn place(name: &'static str, write: &'static str, reached: &'static str) -> Place {
    Place { name, write, reached }
}

const BEGUN: &str = "SELECT count(*) FROM step WHERE uses = '?' AND ended_at IS NULL";

const PLACES: [Place; 20] = [
    place(
        "before the first step",
        "BEFORE INSERT ON step",
        "SELECT count(*) FROM run WHERE state = 'running'",
    ),
    place(
        "in the middle of sync",
        "BEFORE INSERT ON device_record WHEN (SELECT count(*) FROM device_record) >= 1000",
        "SELECT count(*) >= 1000 FROM device_record",
    ),
    place(
        "in sync, when all devices are there and none can be found",
        "BEFORE INSERT ON serial",
        "SELECT count(*) = 1200 FROM device_record",
    ),
    place(
        "at the end of sync",
        "BEFORE UPDATE OF outcome ON step WHEN NEW.uses = 'sync'",
        "SELECT count(*) FROM token WHERE synced_at IS NOT NULL",
    ),
    place(
        "between sync and decide",
        "BEFORE INSERT ON step WHEN NEW.uses = 'decide'",
        "SELECT count(*) FROM step WHERE uses = 'sync' AND outcome IS NOT NULL",
    ),
    place(
        "in the middle of decide",
        "BEFORE UPDATE OF asking ON device_state WHEN (SELECT count(*) FROM verdict) >= 1000",
        "SELECT count(*) >= 1000 FROM verdict",
    ),
    place(
        "at the end of decide",
        "BEFORE UPDATE OF outcome ON step WHEN NEW.uses = 'decide'",
        "SELECT count(*) = 1200 FROM verdict",
    ),
    place(
        "between decide and plan",
        "BEFORE INSERT ON step WHEN NEW.uses = 'plan'",
        "SELECT count(*) FROM step WHERE uses = 'decide' AND outcome IS NOT NULL",
    ),
    place(
        "in the middle of plan",
        "BEFORE INSERT ON action_record WHEN (SELECT count(*) FROM action_record) >= 1000",
        "plan",
    ),
    place(
        "at the end of plan",
        "BEFORE UPDATE OF outcome ON step WHEN NEW.uses = 'plan'",
        "SELECT count(*) = 1200 FROM action",
    ),
    place(
        "between plan and apply",
        "BEFORE INSERT ON step WHEN NEW.uses = 'apply'",
        "SELECT count(*) FROM step WHERE uses = 'plan' AND outcome IS NOT NULL",
    ),
    place(
        "in apply, before the second call is on record",
        "BEFORE INSERT ON outcome WHEN NEW.state = 'sent' AND EXISTS (SELECT 1 FROM outcome WHERE state = 'succeeded')",
        // The next profile is defined as well: this is the last write before the call.
        "SELECT count(*) > 0 AND (SELECT count(*) FROM profile) = 2 FROM action WHERE state = 'succeeded'",
    ),
    place(
        "in apply, when Apple has done it and nobody has noted it",
        "BEFORE UPDATE OF state ON outcome WHEN NEW.state = 'succeeded'",
        "SELECT count(*) FROM action WHERE state = 'sent'",
    ),
    place(
        "at the end of apply",
        "BEFORE UPDATE OF outcome ON step WHEN NEW.uses = 'apply'",
        "SELECT count(*) = 1200 FROM action WHERE state = 'succeeded'",
    ),
    place(
        "between apply and remind",
        "BEFORE INSERT ON step WHEN NEW.uses = 'remind'",
        "SELECT count(*) FROM step WHERE uses = 'apply' AND outcome IS NOT NULL",
    ),
    place("in the middle of remind", "BEFORE INSERT ON message", "remind"),
    place(
        "at the end of remind",
        "BEFORE UPDATE OF outcome ON step WHEN NEW.uses = 'remind'",
        "SELECT count(*) FROM message",
    ),
    place(
        "between remind and notify",
        "BEFORE INSERT ON step WHEN NEW.uses = 'notify'",
        "SELECT count(*) FROM step WHERE uses = 'remind' AND outcome IS NOT NULL",
    ),
    place(
        "in the middle of notify",
        "BEFORE INSERT ON message WHEN EXISTS (SELECT 1 FROM message)",
        "notify",
    ),
    place(
        "after the last step, before the run is closed",
        "BEFORE UPDATE OF state ON run",
        "SELECT count(*) FROM step WHERE uses = 'notify' AND outcome IS NOT NULL",
    ),
];

#[test]
fn killed_at_every_boundary_and_in_the_middle_of_each_step_the_next_start_goes_on_right() {
    let env = TestEnv::before_the_exchange(&["main"]);
    // The reminder of a token that ends soon is what `remind` has to say.
    env.exchange("main", &expires_in(SignedDuration::from_hours(9 * 24 + 2)));
    env.write("workflows/everything.toml", WORKFLOW);
    let imported = std::fs::read(env.file("state/deputy.db")).unwrap();
    // The policy is compiled once, and not at every place.
    env.run(&["plan", "everything"]).is_done();
    let mut found = String::new();
    for place in &PLACES {
        begin_again(&env, &imported);
        kill_at(&env, place);
        let next = env.run(&["run", "everything"]);
        next.is_done();
        found += &format!("{}\n{}", place.name, summary(&next));

        // The run is found, and closed as what it is; the next has done the rest, and nothing twice.
        assert_eq!(count(&env, "run WHERE state = 'interrupted'"), 1, "{}", place.name);
        assert_eq!(count(&env, "run WHERE state = 'running'"), 0, "{}", place.name);
        assert_eq!(count(&env, "action WHERE state IN ('planned', 'sent')"), 0, "{}", place.name);
        assert_eq!(env.with_profile("main"), DEVICES, "{}", place.name);
        assert_eq!(env.apple().most_assignments_of_one_device(), 1, "{}", place.name);
        let reminders = count(&env, "message WHERE json_extract(body, '$.kind') = 'reminder'");
        assert_eq!(reminders, 1, "{}: reminded once", place.name);
    }
    expect![[r#"
        before the first step
          note: run RUN of everything was interrupted between two steps; the next run goes on
          sync     1200 devices: 1200 new, 0 changed, 0 gone (every device, 3 pages)
          plan     define executive-mac, lab-ipad, standard, 1200 first assignments
          apply    defined executive-mac, lab-ipad, standard, 1200 assigned, 4 calls
          remind   1 token, 1 reminder sent
        in the middle of sync
          note: run RUN of everything was interrupted in sync for main; the next run goes on
          sync     1200 devices: 200 new, 0 changed, 0 gone (every device, 2 pages)
          plan     define executive-mac, lab-ipad, standard, 1200 first assignments
          apply    defined executive-mac, lab-ipad, standard, 1200 assigned, 4 calls
          remind   1 token, 1 reminder sent
        in sync, when all devices are there and none can be found
          note: run RUN of everything was interrupted in sync for main; the next run goes on
          sync     1200 devices: 0 new, 0 changed, 0 gone (every device, 1 page)
          plan     define executive-mac, lab-ipad, standard, 1200 first assignments
          apply    defined executive-mac, lab-ipad, standard, 1200 assigned, 4 calls
          remind   1 token, 1 reminder sent
        at the end of sync
          note: run RUN of everything was interrupted in sync for main; the next run goes on
          sync     1200 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          plan     define executive-mac, lab-ipad, standard, 1200 first assignments
          apply    defined executive-mac, lab-ipad, standard, 1200 assigned, 4 calls
          remind   1 token, 1 reminder sent
        between sync and decide
          note: run RUN of everything was interrupted between two steps; the next run goes on
          sync     1200 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          plan     define executive-mac, lab-ipad, standard, 1200 first assignments
          apply    defined executive-mac, lab-ipad, standard, 1200 assigned, 4 calls
          remind   1 token, 1 reminder sent
        in the middle of decide
          note: run RUN of everything was interrupted in decide for main; the next run goes on
          sync     1200 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          plan     define executive-mac, lab-ipad, standard, 1200 first assignments
          apply    defined executive-mac, lab-ipad, standard, 1200 assigned, 4 calls
          remind   1 token, 1 reminder sent
        at the end of decide
          note: run RUN of everything was interrupted in decide for main; the next run goes on
          sync     1200 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          plan     define executive-mac, lab-ipad, standard, 1200 first assignments
          apply    defined executive-mac, lab-ipad, standard, 1200 assigned, 4 calls
          remind   1 token, 1 reminder sent
        between decide and plan
          note: run RUN of everything was interrupted between two steps; the next run goes on
          sync     1200 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          plan     define executive-mac, lab-ipad, standard, 1200 first assignments
          apply    defined executive-mac, lab-ipad, standard, 1200 assigned, 4 calls
          remind   1 token, 1 reminder sent
        in the middle of plan
          note: run RUN of everything was interrupted in plan for main; the next run goes on
          sync     1200 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          plan     define executive-mac, lab-ipad, standard, 1200 first assignments
          apply    defined executive-mac, lab-ipad, standard, 1200 assigned, 4 calls
          remind   1 token, 1 reminder sent
        at the end of plan
          note: run RUN of everything was interrupted in plan for main; the next run goes on
          sync     1200 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          plan     define executive-mac, lab-ipad, standard, 1200 first assignments
          apply    defined executive-mac, lab-ipad, standard, 1200 assigned, 4 calls
          remind   1 token, 1 reminder sent
        between plan and apply
          note: run RUN of everything was interrupted between two steps; the next run goes on
          sync     1200 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          plan     define executive-mac, lab-ipad, standard, 1200 first assignments
          apply    defined executive-mac, lab-ipad, standard, 1200 assigned, 4 calls
          remind   1 token, 1 reminder sent
        in apply, before the second call is on record
          note: run RUN of everything was interrupted in apply for main; the next run goes on
          sync     1200 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          plan     define standard, 1178 first assignments, 22 already right
          apply    defined standard, 1178 assigned, 3 calls
          remind   1 token, 1 reminder sent
        in apply, when Apple has done it and nobody has noted it
          note: run RUN of everything was interrupted in apply for main; the next run asks first what became of what was sent for 23 devices
          sync     1200 devices: 0 new, 0 changed, 0 gone (the changes, 1 page); 23 in flight read back
          plan     define lab-ipad, standard, 1177 first assignments, 23 already right
          apply    defined lab-ipad, standard, 1177 assigned, 3 calls
          remind   1 token, 1 reminder sent
        at the end of apply
          note: run RUN of everything was interrupted in apply for main; the next run goes on
          sync     1200 devices: 0 new, 0 changed, 0 gone (the changes, 2 pages)
          plan     nothing to do, 1200 already right
          apply    nothing to do
          remind   1 token, 1 reminder sent
        between apply and remind
          note: run RUN of everything was interrupted between two steps; the next run goes on
          sync     1200 devices: 0 new, 0 changed, 0 gone (the changes, 2 pages)
          plan     nothing to do, 1200 already right
          apply    nothing to do
          remind   1 token, 1 reminder sent
        in the middle of remind
          note: run RUN of everything was interrupted in remind; the next run goes on
          sync     1200 devices: 0 new, 0 changed, 0 gone (the changes, 2 pages)
          plan     nothing to do, 1200 already right
          apply    nothing to do
          remind   1 token, 1 reminder sent
        at the end of remind
          note: run RUN of everything was interrupted in remind; the next run goes on
          sync     1200 devices: 0 new, 0 changed, 0 gone (the changes, 2 pages)
          plan     nothing to do, 1200 already right
          apply    nothing to do
          remind   1 token, nothing due
        between remind and notify
          note: run RUN of everything was interrupted between two steps; the next run goes on
          sync     1200 devices: 0 new, 0 changed, 0 gone (the changes, 2 pages)
          plan     nothing to do, 1200 already right
          apply    nothing to do
          remind   1 token, nothing due
        in the middle of notify
          note: run RUN of everything was interrupted in notify; the next run goes on
          sync     1200 devices: 0 new, 0 changed, 0 gone (the changes, 2 pages)
          plan     nothing to do, 1200 already right
          apply    nothing to do
          remind   1 token, nothing due
        after the last step, before the run is closed
          note: run RUN of everything was interrupted between two steps; the next run goes on
          sync     1200 devices: 0 new, 0 changed, 0 gone (the changes, 2 pages)
          plan     nothing to do, 1200 already right
          apply    nothing to do
          remind   1 token, nothing due
    "#]].assert_eq(&found);
}

/// The world of before the first run.
fn begin_again(env: &TestEnv, imported: &[u8]) {
    for device in env.apple().devices("main").unwrap() {
        env.apple().remove_device("main", &device.serial_number, false).unwrap();
    }
    env.apple().generate_devices("main", DEVICES, 1).unwrap();
    for beside in ["state/deputy.db-wal", "state/deputy.db-shm"] {
        let _ = std::fs::remove_file(env.file(beside));
    }
    env.write("state/deputy.db", imported);
}

/// Starts a run and kills it when it has come to the place.
fn kill_at(env: &TestEnv, place: &Place) {
    store(env)
        .execute_batch(&format!(
            "CREATE VIEW for_ever AS WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n;
             CREATE TRIGGER stop_here {} BEGIN SELECT max(x) FROM for_ever; END;",
            place.write
        ))
        .unwrap();
    let reached = if place.reached.starts_with("SELECT") {
        place.reached.to_owned()
    } else {
        BEGUN.replace('?', place.reached)
    };
    let run = env.start(&["run", "everything"], "killed.log");
    env.until(place.name, || {
        assert!(!env.has_ended(run), "it was not stopped {}: {}", place.name, env.read("killed.log"));
        let is_written = store(env).query_row(&reached, [], |row| row.get::<_, i64>(0)).unwrap() > 0;
        // What was sent is at Apple a moment after it is written that it is sent.
        let is_done = count(env, "action WHERE state = 'sent'") == 0 || env.with_profile("main") > 0;
        is_written && is_done
    });
    env.kill(run);
    store(env).execute_batch("DROP TRIGGER stop_here; DROP VIEW for_ever;").unwrap();
}

/// Of what the next run says, what differs from place to place: what it found, fetched, planned and did.
fn summary(ran: &Ran<'_>) -> String {
    let said = ran.text();
    let (notes, report): (Vec<&str>, Vec<&str>) = said.lines().partition(|line| line.starts_with("note:"));
    let steps = report.iter().filter(|line| line.starts_with("  ")).take(5);
    let told = steps.filter(|line| !line.starts_with("  decide"));
    notes.iter().chain(told).map(|line| format!("  {}\n", line.trim_start())).collect()
}

fn count(env: &TestEnv, what: &str) -> i64 {
    store(env).query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0)).unwrap()
}

fn store(env: &TestEnv) -> Connection {
    let store = env.store();
    store.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
    store
}

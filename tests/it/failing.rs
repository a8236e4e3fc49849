//! Plugins that fail: what their devices get, when they rest, and what is kept of one that cannot be loaded.

use domain::id::Digest;
use expect_test::{Expect, expect};

use crate::env::TestEnv;
use crate::plugins::{GRANTED, that_looks, that_looks_and, with_guest, with_guest_in};

/// A run in which the policy fails on one device of three.
#[track_caller]
fn check_fault(on_fault: &str, code: i32, expected: Expect, at_apple: Expect) {
    let env = with_guest("trap-on-bad", "");
    let asked = format!("policy = \"guest\"\non_fault = {on_fault}");
    env.edit("workflows/auto-assign.toml", "policy = \"rules\"", &asked);
    env.add("main", &["MAC1", "MAC2", "MACBAD"]);
    env.run(&["run", "auto-assign"]).fails(code, expected);
    at_apple.assert_eq(&env.at_apple("main"));
}

#[test]
fn a_fault_falls_to_the_default_of_the_workflow() {
    check_fault(
        "{ assign = \"standard\" }",
        0,
        expect![[r#"
            run RUN of auto-assign, by hand: succeeded
              sync     3 devices: 3 new, 0 changed, 0 gone (every device, 2 pages)
              decide   3 devices by guest: held 3
                       1 device held, or given standard if without a profile, such as MACBAD: plugin `guest` trapped: wasm `unreachable` instruction executed
              plan     define standard, 1 first assignment, 2 held by the policy
              apply    defined standard, 1 assigned, 1 call
        "#]],
        expect![[r#"
        MAC1: nothing
        MAC2: nothing
        MACBAD: Standard
    "#]],
    );
}

#[test]
fn a_fault_fails_the_run_if_the_workflow_wants_that() {
    check_fault(
        "\"fail\"",
        1,
        expect![[r#"
            run RUN of auto-assign, by hand: failed
              sync     3 devices: 3 new, 0 changed, 0 gone (every device, 2 pages)
              decide   failed: the policy `guest` failed on 1 device, such as MACBAD: plugin `guest` trapped: wasm `unreachable` instruction executed
                       hint: nothing was done for this token, as `on_fault = "fail"` wants
        "#]],
        expect![[r#"
        MAC1: nothing
        MAC2: nothing
        MACBAD: nothing
    "#]],
    );
}

#[test]
fn a_default_that_is_no_profile_is_a_mistake() {
    check_fault(
        "{ assign = \"standrad\" }",
        2,
        expect![[r#"
            error: no profile is called `standrad`
              --> workflows/auto-assign.toml:23:23
               |
            23 | on_fault = { assign = "standrad" }
               |                       ^^^^^^^^^^
               |
               = help: did you mean `standard`?
        "#]],
        expect![[r#"
        MAC1: nothing
        MAC2: nothing
        MACBAD: nothing
    "#]],
    );
}

#[test]
fn a_plugin_that_fails_on_everything_rests_says_so_in_every_run_and_can_be_woken() {
    let env = with_guest("trap", "");
    env.edit("workflows/auto-assign.toml", "policy = \"rules\"", "policy = \"guest\"");
    env.add("main", &["MAC1", "MAC2"]);
    env.run(&["run", "auto-assign"]).fails(4, expect![[r#"
        run RUN of auto-assign, by hand: needs a person
          sync     2 devices: 2 new, 0 changed, 0 gone (every device, 2 pages)
          decide   2 devices by guest: held 2
                   2 devices held, such as MAC1: plugin `guest` trapped: wasm `unreachable` instruction executed
                   hint: guest fails on most devices: mend the plugin, its settings or its tables
          plan     nothing to do, 2 held because the policy failed
          apply    nothing to do
    "#]]);
    expect![[r#"["run RUN of auto-assign: guest failed on 2 of 2 devices: plugin `guest` trapped: wasm `unreachable` instruction executed; mend the plugin, its settings or its tables"]"#]].assert_eq(&env.normal(&env.json(&["status"])["status"]["needs_a_person"].to_string()));
    env.run(&["run", "auto-assign"]).ends_with(4);
    env.run(&["run", "auto-assign"]).fails(4, expect![[r#"
        run RUN of auto-assign, by hand: needs a person
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by guest: held 2
                   2 devices held, such as MAC1: plugin `guest` trapped: wasm `unreachable` instruction executed
                   guest rests until TIME
                   hint: mend the plugin, its settings or its tables, which wakes it, or type `deputy plugin rest guest --end`
          plan     nothing to do, 2 held because the policy failed
          apply    nothing to do
    "#]]);
    env.run(&["run", "auto-assign"]).fails(4, expect![[r#"
        run RUN of auto-assign, by hand: needs a person
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by guest: held 2
                   2 devices held, such as MAC1: plugin `guest` trapped: wasm `unreachable` instruction executed; it rests, having failed on everything
                   guest rests until TIME
                   hint: mend the plugin, its settings or its tables, which wakes it, or type `deputy plugin rest guest --end`
          plan     nothing to do, 2 held because the policy failed
          apply    nothing to do
    "#]]);
    let status = env.json(&["status"]);
    expect!["plugin `guest` fails on everything and rests until TIME: plugin `guest` trapped: wasm `unreachable` instruction executed; mend it, its settings or its tables, or type `deputy plugin rest guest --end`"].assert_eq(&env.normal(status["status"]["needs_a_person"][0].as_str().unwrap()));
    let plugins = env.json(&["plugin", "list"]);
    assert_eq!(plugins["plugins"][0]["state"], "resting");
    assert_eq!(plugins["plugins"][0]["work"][0]["devices"], 6);
    env.run(&["plugin", "rest", "guest", "--end"]).succeeds(expect![[r#"
        guest is awake: the next run asks it again
    "#]]);
    // Other settings make another policy of it.
    env.run(&["run", "auto-assign"]).ends_with(4);
    env.edit("deputy.toml", "behaviour = \"trap\"", "behaviour = \"none\"");
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by guest: held 2
          plan     nothing to do, 2 held by the policy
          apply    nothing to do
    "#]]);
    env.run(&["plugin", "rest", "guest"]).succeeds(expect![[r#"
        guest does not rest
    "#]]);
}

#[test]
fn a_cell_that_a_plugin_fails_on_is_mended_and_ends_its_rest() {
    let env = that_looks_and(GRANTED, "look-and-trap");
    env.write("tables/assets.csv", "serial,site,room\nMAC1,trap,1\nMAC2,trap,2\n");
    env.add("main", &["MAC1", "MAC2"]);
    for _ in 0..4 {
        env.run(&["run", "auto-assign"]).ends_with(4);
    }
    assert!(env.json(&["plugin", "rest", "guest"])["rest"]["rests_until"].is_string());
    env.write("tables/assets.csv", "serial,site,room\nMAC1,Rome,1\nMAC2,Rome,2\n");
    env.run(&["plugin", "rest", "guest"]).succeeds(expect![[r#"
        guest does not rest
    "#]]);
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by guest: held 2
          plan     nothing to do, 2 held by the policy
          apply    nothing to do
    "#]]);
    // It has worked since, so this is its first failure, and it is asked again.
    env.write("tables/assets.csv", "serial,site,room\nMAC1,trap,1\nMAC2,trap,2\n");
    env.run(&["run", "auto-assign"]).fails(4, expect![[r#"
        run RUN of auto-assign, by hand: needs a person
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by guest: held 2
                   2 devices held, such as MAC1: plugin `guest` trapped: wasm `unreachable` instruction executed
                   hint: guest fails on most devices: mend the plugin, its settings or its tables
          plan     nothing to do, 2 held because the policy failed
          apply    nothing to do
    "#]]);
    expect!["run RUN of auto-assign: guest failed on 2 of 2 devices: plugin `guest` trapped: wasm `unreachable` instruction executed; mend the plugin, its settings or its tables"]
        .assert_eq(&env.normal(env.json(&["status"])["status"]["needs_a_person"][0].as_str().unwrap()));
    // While it rested it was not asked, and so did not fail.
    let work = &env.json(&["plugin", "list"])["plugins"][0]["work"][0];
    assert_eq!((&work["devices"], &work["faults"]), (&10.into(), &8.into()), "{work}");
}

#[test]
fn a_plugin_that_fails_on_the_devices_of_one_token_rests_for_no_other() {
    let env = with_guest_in(TestEnv::with_tokens(&["main", "other"]), "trap-on-bad", "");
    env.edit("workflows/auto-assign.toml", "policy = \"rules\"", "policy = \"guest\"");
    env.add("main", &["MAC1BAD", "MAC2BAD"]);
    env.add("other", &["MAC3", "MAC4"]);
    for code in [4, 4, 4, 4] {
        env.run(&["run", "auto-assign"]).ends_with(code);
    }
    let decided = env.run(&["run", "auto-assign"]).text();
    let decided = decided
        .lines()
        .map(str::trim)
        .filter(|line| line.contains("decide ") || line.contains("rests until"));
    expect![[r#"
        decide   main: 2 devices by guest: held 2
        guest rests until TIME
        decide   other: 2 devices by guest: held 2"#]]
    .assert_eq(&decided.collect::<Vec<_>>().join("\n"));
    let rests = env.json(&["plugin", "rest", "guest"]);
    assert!(rests["rest"]["rests_until"].is_string(), "{rests}");
}

#[test]
fn a_daemon_that_reloads_keeps_a_plugin_whose_file_is_broken_and_names_it() {
    let env = with_guest("none", "");
    let daemon = env.start(&["serve"], "log");
    env.until("it serves", || env.read("log").contains("serving;"));
    env.write("plugins/guest.wasm", "broken");
    env.signal(daemon, "-HUP");
    env.until("it has read its files again", || env.read("log").contains("configuration read again"));
    let log = env.read("log");
    assert!(log.contains("plugin `guest` cannot be used: "), "{log}");
    assert!(log.contains("what was loaded before is used on"), "{log}");
    assert_eq!(env.end(daemon, "-TERM"), Some(0));
}

#[test]
fn a_daemon_that_reloads_keeps_a_table_together_with_the_plugin_that_needs_its_column() {
    let env = that_looks(GRANTED);
    let daemon = env.start(&["serve"], "log");
    env.until("it serves", || env.read("log").contains("serving;"));
    env.write("tables/assets.csv", "serial,site\nMAC1,Rome\n");
    env.signal(daemon, "-HUP");
    env.until("it has read its files again", || env.read("log").contains("configuration read again"));
    assert_eq!(env.end(daemon, "-TERM"), Some(0));
    let log = env.normal(&env.read("log"));
    let said: Vec<&str> = log.lines().filter(|line| line.contains("guest")).collect();
    expect!["TIME ERROR plugin `guest` cannot be used: plugin `guest` looks at the column `room` of the table `assets`, which has `serial`, `site`; what was loaded before is used on, with `assets` as it was then plugin=guest"].assert_eq(&said.join("\n"));
}

#[test]
fn a_command_compiles_the_plugins_that_its_workflow_asks_and_no_other() {
    let env = with_guest("none", "");
    let compiled = || {
        let files = std::fs::read_dir(env.file("state/plugin-cache")).into_iter().flatten();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".cwasm")).count()
    };
    env.run(&["status"]).is_done();
    assert_eq!(compiled(), 0);
    env.run(&["run", "sync"]).is_done();
    assert_eq!(compiled(), 0);
    env.run(&["run", "auto-assign"]).is_done();
    assert_eq!(compiled(), 1, "the rules");
    env.run(&["workflow", "check"]).is_done();
    assert_eq!(compiled(), 3, "the rules, the guest, and the reminders that ship");
}

#[test]
fn a_component_that_cannot_be_compiled_is_tried_once_an_hour_and_when_somebody_asks() {
    let env = with_guest("none", "");
    env.write("plugins/guest.wasm", b"\0asm\x0d\0\x01\0 and no component");
    let digest = Digest::of(b"\0asm\x0d\0\x01\0 and no component");
    env.edit("deputy.toml", Digest::of(artifacts::THREE_QUESTIONS).as_str(), digest.as_str());
    env.edit("workflows/auto-assign.toml", "policy = \"rules\"", "policy = \"guest\"");
    let first = expect![[r#"
        error: plugin `guest` cannot be used: the component cannot be compiled: failed to parse WebAssembly module: unexpected end-of-file (at offset 0xa)
    "#]];
    env.run(&["workflow", "check"]).fails(2, first);
    env.run(&["run", "auto-assign"]).fails(4, expect![[r#"
        run RUN of auto-assign, by hand: needs a person
          sync     0 devices: 0 new, 0 changed, 0 gone (every device, 2 pages)
          decide   failed: plugin `guest` cannot be used: the component cannot be compiled: failed to parse WebAssembly module: unexpected end-of-file (at offset 0xa) (found out at TIME; it is tried again after an hour, or at once by `deputy workflow check`)
    "#]]);
}

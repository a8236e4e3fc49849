//! What authors of policies do with `deputy plugin`: check, try, test, compare and measure, before anybody
//! runs what they wrote.

mod cases;
mod checks;

use expect_test::{Expect, expect};
use serde_json::Value;

use crate::env::TestEnv;

/// Four devices as Apple lists them, one of which has left.
const PAGE: &str = r#"{ "cursor": "x", "more_to_follow": false, "devices": [
    { "serial_number": "EXEC1", "device_family": "Mac", "asset_tag": "EXEC-1", "profile_status": "empty" },
    { "serial_number": "LIB1", "device_family": "iPad", "asset_tag": "LIB-1", "profile_status": "empty" },
    { "serial_number": "GONE1", "op_type": "deleted", "op_date": "2026-01-09T00:00:00Z" },
    { "serial_number": "MAC1", "device_family": "Mac", "profile_status": "empty" }
] }"#;

/// A folder as `deputy init` leaves it, with these files in it.
fn with_files(files: &[(&str, &str)]) -> TestEnv {
    let env = TestEnv::before_the_exchange(&["main"]);
    for (name, text) in files {
        let folder = env.file(name).parent().expect("a folder").to_owned();
        std::fs::create_dir_all(folder).expect("a new folder");
        env.write(name, text);
    }
    env
}

/// Settings for the policy that misbehaves.
fn misbehaving(behaviour: &str) -> (TestEnv, Vec<&'static str>) {
    let settings = format!("{{ \"behaviour\": \"{behaviour}\" }}");
    let env = with_files(&[("bad.json", &settings), ("devices.json", &PAGE.replace("MAC1", "MACBAD"))]);
    env.write("bad.wasm", artifacts::MISBEHAVE);
    (env, vec!["bad.wasm", "--settings", "bad.json", "--devices", "devices.json"])
}

/// The guest that answers all questions of the contract, as the plugin `guest`, with these keys and settings.
fn with_guest(keys: &str, settings: &str) -> TestEnv {
    let env = TestEnv::new();
    env.write("plugins/guest.wasm", artifacts::THREE_QUESTIONS);
    let digest = domain::id::Digest::of(artifacts::THREE_QUESTIONS);
    let table = format!(
        "\n[plugins.guest]\npath = \"plugins/guest.wasm\"\nsha256 = \"{digest}\"\n{keys}\nsettings = {settings}\n"
    );
    env.append("deputy.toml", &table);
    env
}

/// What a command said when it ended with this code, without what depends on the compiler: fuel, sizes and times.
#[track_caller]
fn check(env: &TestEnv, arguments: &[&str], code: i32, expected: Expect) {
    let ran = env.run(arguments);
    ran.ends_with(code);
    let mut text = String::new();
    for line in ran.text().lines() {
        match line.split_once(" fuel a device").or(line.split_once(" fuel, in")) {
            Some((_, rest)) => text += &format!("FUEL{rest}\n"),
            None if line.contains(" compiled in ") => {}
            // Where in the component, depends on the compiler, too.
            None if line.contains(" at 0x") => {
                if !text.ends_with("PLACES\n") {
                    text += "         PLACES\n";
                }
            }
            None => text += &format!("{line}\n"),
        }
    }
    expected.assert_eq(&text);
}

fn plugin<'a>(verb: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    ["plugin", verb].into_iter().chain(arguments.iter().copied()).collect()
}

#[test]
fn a_policy_is_tried_on_devices_of_a_file_with_the_settings_it_has() {
    let env = with_files(&[("devices.json", PAGE)]);
    check(
        &env,
        &["plugin", "try", "rules", "--devices", "devices.json"],
        0,
        expect![[r#"
            SERIAL         VERDICT              REASON
            EXEC1          assign executive-mac a Mac of the executive pool
            LIB1           assign lab-ipad      an iPad bought by the library
            MAC1           assign standard      everybody else

            rules of 3 devices (devices.json): 1 assign executive-mac, 1 assign lab-ipad, 1 assign standard
            FUEL, in 1 call
        "#]],
    );
}

#[test]
fn a_policy_is_tried_on_the_inventory_and_on_what_it_was_saved_to() {
    let env = TestEnv::new();
    env.add("main", &["MAC1", "LIB1"]);
    env.run(&["sync"]).is_done();
    check(
        &env,
        &["plugin", "try", "rules", "--serial", "lib1"],
        0,
        expect![[r#"
            SERIAL         VERDICT              REASON
            LIB1           assign lab-ipad      an iPad bought by the library

            rules of 1 device (the inventory): 1 assign lab-ipad
            FUEL, in 1 call
        "#]],
    );
    let list = env.json(&["device", "list"]);
    env.write("saved.json", list.to_string());
    let verdicts = |arguments: &[&str]| env.json(&plugin("try", arguments))["tried"]["verdicts"].clone();
    let inventory = verdicts(&["rules"]);
    let mut saved = verdicts(&["rules", "--devices", "saved.json"]);
    // A file is in the order of its lines, the inventory in that of arrival.
    let by_serial = |verdict: &Value| verdict["serial_number"].to_string();
    let mut all = inventory.as_array().expect("a list").clone();
    all.sort_by_key(by_serial);
    saved.as_array_mut().expect("a list").sort_by_key(by_serial);
    assert_eq!(Value::from(all), saved);
    assert_eq!(env.with_profile("main"), 0);
}

#[test]
fn a_simulated_fleet_is_the_same_every_time_and_long_lists_are_cut() {
    let env = with_files(&[]);
    check(
        &env,
        &["plugin", "try", "rules", "--simulated", "2500", "--limit", "2"],
        0,
        expect![[r#"
            SERIAL         VERDICT              REASON
            C17DK2QMMD6V   assign standard      everybody else
            DLX0MEQTSTQ5   assign standard      everybody else
            … and 2,498 more; `--all` shows them

            rules of 2,500 devices (the simulated fleet): 2,224 assign standard, 233 assign lab-ipad, 43 assign executive-mac
            FUEL, in 3 calls
        "#]],
    );
}

#[test]
fn what_devices_cost_is_shown_for_each_alone() {
    let env = with_files(&[("devices.json", PAGE)]);
    let tried = env.json(&["plugin", "try", "rules", "--devices", "devices.json", "--alone"]);
    let verdicts = tried["tried"]["verdicts"].as_array().expect("a list");
    assert_eq!((verdicts.len(), &tried["tried"]["calls"]), (3, &Value::from(3)));
    assert!(verdicts.iter().all(|verdict| verdict["fuel"].as_u64() > Some(1_000)), "{verdicts:?}");
}

#[test]
fn a_fault_names_the_device_and_leaves_the_others_their_verdicts() {
    let (env, arguments) = misbehaving("trap-on-bad");
    check(
        &env,
        &plugin("try", &arguments),
        1,
        expect![[r#"
            SERIAL         VERDICT              REASON
            EXEC1          hold                 fine
            LIB1           hold                 fine
            MACBAD         fault                plugin `bad` trapped: wasm `unreachable` instruction executed

            bad.wasm of 3 devices (devices.json): 2 hold, 1 fault
            FUEL, in 5 calls
            fault: plugin `bad` trapped: wasm `unreachable` instruction executed; 1 held, such as MACBAD
            trace: trapped: wasm `unreachable` instruction executed
                     PLACES
        "#]],
    );
}

#[test]
fn without_devices_it_says_where_to_take_some_from() {
    let env = with_files(&[]);
    check(
        &env,
        &["plugin", "try", "rules"],
        2,
        expect![[r#"
        error: there are no devices: the inventory has none
        hint: `deputy sync` fetches the inventory; `--devices FILE` takes devices from a file, `--simulated 1000` makes some up
    "#]],
    );
    check(
        &env,
        &["plugin", "try", "rules", "--simulated", "5", "--serial", "XYZ"],
        2,
        expect![[r#"
            error: there is no device XYZ in the simulated fleet
        "#]],
    );
    env.write("devices.json", "serial,model\n");
    check(
        &env,
        &["plugin", "try", "rules", "--devices", "devices.json"],
        2,
        expect![[r#"
        error: devices.json cannot be read: it is not JSON: expected value at line 1 column 1
        hint: a file of devices is Apple's answer to a request for devices, or what `deputy device list --json` prints
    "#]],
    );
    check(
        &env,
        &["plugin", "try", "rulez", "--simulated", "5"],
        2,
        expect![[r#"
        error: there is no file or plugin `rulez`
        hint: did you mean `rules`?
    "#]],
    );
}

#[test]
fn mistakes_in_a_file_of_settings_are_shown_where_they_stand() {
    let env = with_files(&[]);
    env.write("s.toml", "[[rules]]\nwhen = { os = \"iOS\" }\nasign = \"standard\"\n");
    check(
        &env,
        &["plugin", "try", "plugins/rules.wasm", "--settings", "s.toml", "--simulated", "1"],
        2,
        expect![[r#"
            error: plugins/rules.wasm does not accept its settings
            error: rule 1: nothing says what to do
             --> s.toml:1:1
              |
            1 | [[rules]]
              | ^^^^^^^^^
              |
              = help: add one of `assign = "PROFILE"`, `hold = true` and `ignore = true`

            error: rule 1: unknown key `asign`
             --> s.toml:3:9
              |
            3 | asign = "standard"
              |         ^^^^^^^^^^
              |
              = help: did you mean `assign`?
        "#]],
    );
    env.write("s.json", r#"{ "rules": [{ "when": {}, "assign": "standart" }] }"#);
    check(
        &env,
        &["plugin", "try", "plugins/rules.wasm", "--settings", "s.json", "--simulated", "1"],
        2,
        expect![[r#"
            error: plugins/rules.wasm does not accept its settings
            error: rule 1: there is no profile `standart` at /rules/0/assign in s.json (did you mean `standard`?)
        "#]],
    );
}

/// Two tokens: one ends soon, and of the other something is wrong.
const TOKENS: &str = r#"version = 1

[[tokens]]
name = "emea"
devices = 1200
facts = [{ kind = "token", ends = 2026-01-12T09:00:00Z }]

[[tokens]]
name = "amer"
facts = [{ kind = "terms", trouble = { code = "terms-not-signed", message = "the terms are not signed", since = 2026-01-08 } }]
"#;

#[test]
fn a_policy_about_tokens_is_tried_on_those_of_a_file() {
    let env = with_files(&[]);
    env.write("reminders.wasm", shipped::REMINDERS);
    env.write("tokens.toml", TOKENS);
    let now = ["--now", "2026-01-09T09:00:00Z"];
    let tries = [&["plugin", "try", "reminders.wasm", "--tokens", "tokens.toml"], &now[..]].concat();
    check(
        &env,
        &tries,
        0,
        expect![[r#"
            emea token 3d before, critical, everywhere: the server token `emea` of your organisation ends in 3 days
              The server token `emea` of your organisation ends on DAY, in 3 days.
              From then on, new devices of "your server" get no enrolment profile; devices that are enrolled are not affected. Depending on this token: 1200 devices.

              What to do:
              1. Sign in at https://business.apple.com or https://school.apple.com, as the account that made it (Deputy does not know which) if you can: a token made by another account ends with that account.
              2. Open Preferences, then the device management service "your server", and choose Download Token.
              3. Where Deputy runs, at once, since downloading a new token ends the old one: deputy token import emea FILE.p7m
            amer terms 1d on, critical, everywhere: Apple's terms for your organisation: somebody has to agree to new terms
              Apple's terms for your organisation: somebody has to agree to new terms, since DAY.
              Until this is put right, Apple answers nothing about the devices of your organisation: none is seen, none gets a profile. Depending on this token: 0 devices.
              What Deputy saw: the terms are not signed

              What to do:
              1. Somebody with the role Administrator signs in at https://business.apple.com or https://school.apple.com for your organisation, reads the new terms that are shown there, and agrees.
              2. To see whether Apple knows it yet: deputy token check amer

            reminders.wasm of 2 tokens (tokens.toml)
            FUEL 1 call
        "#]],
    );
    let tried = env.json(&tries);
    assert_eq!(tried["tried"]["about"], "2 tokens (tokens.toml)");
    check(
        &env,
        &["plugin", "try", "reminders.wasm"],
        2,
        expect![[r#"
        error: there are no tokens: none was imported for `main`
        hint: `deputy token import` does; `--tokens FILE` takes them from a file:

        version = 1

        [[tokens]]
        name = "main"
        devices = 1200
        facts = [{ kind = "token", ends = DATE }]
    "#]],
    );
    env.write("tokens.toml", TOKENS.replace("devices =", "device ="));
    check(
        &env,
        &tries,
        2,
        expect![[r#"
        error: tokens.toml cannot be read: TOML parse error at line 5, column 1
          |
        5 | device = 1200
          | ^^^^^^
        unknown field `device`, expected one of `name`, `server_name`, `org_name`, `admin_id`, `contacts`, `devices`, `facts`
    "#]],
    );
    check(
        &env,
        &["plugin", "try", "rules", "--tokens", "tokens.toml"],
        2,
        expect![[r#"
        error: rules does not say who hears about tokens: it answers `assignment`
    "#]],
    );
}

#[test]
fn a_policy_that_reviews_is_tried_on_the_last_plan_and_on_one_of_a_file() {
    let env = with_guest("", "{ behaviour = \"none\" }");
    let review = ["plugin", "try", "guest", "--question", "review"];
    check(
        &env,
        &review,
        2,
        expect![[r#"
        error: there is no plan: none of the last runs made one
        hint: `--plan FILE` takes a plan from a file; `deputy plan` makes one and changes nothing
    "#]],
    );
    env.add("main", &["MAC1", "LIB1"]);
    env.run(&["plan", "auto-assign"]).is_done();
    check(
        &env,
        &review,
        0,
        expect![[r#"
        approve: only first assignments

        guest of the plan of run RUN for main
        FUEL 1 call
    "#]],
    );
    // Carried out, it is a plan all the same.
    env.run(&["run", "auto-assign"]).is_done();
    check(
        &env,
        &review,
        0,
        expect![[r#"
        approve: only first assignments

        guest of the plan of run RUN for main
        FUEL 1 call
    "#]],
    );
    env.write(
        "plan.toml",
        "version = 1\nplan = { reassignments = 7, moves = [{ to = \"standard\", devices = 7 }] }\n",
    );
    check(
        &env,
        &["plugin", "try", "guest", "--plan", "plan.toml"],
        0,
        expect![[r#"
        ask: 7 devices change:
          [31msee

        guest of the plan of plan.toml
        FUEL 1 call
    "#]],
    );
    env.write("plan.toml", "version = 1\n[plan]\nreasignments = 7\n");
    check(
        &env,
        &["plugin", "try", "guest", "--plan", "plan.toml"],
        2,
        expect![[r#"
        error: plan.toml cannot be read: TOML parse error at line 3, column 1
          |
        3 | reasignments = 7
          | ^^^^^^^^^^^^
        unknown field `reasignments`, expected one of `devices`, `first_assignments`, `reassignments`, `already_right`, `held`, `faults`, `ignored`, `waiting`, `moves`, `actions`
    "#]],
    );
    env.edit("deputy.toml", "behaviour = \"none\"", "behaviour = \"trap\"");
    check(
        &env,
        &review,
        1,
        expect![[r#"

            guest of the plan of run RUN for main
            FUEL 1 call
            fault: plugin `guest` trapped: wasm `unreachable` instruction executed
            trace: trapped: wasm `unreachable` instruction executed
                     PLACES
        "#]],
    );
}

#[test]
fn a_file_that_carries_an_interpreter_is_looked_at_within_larger_limits() {
    let env = with_files(&[]);
    // A good policy with so much in it that nobody reads.
    let policy = artifacts::guest::Guest::default();
    let large = policy.clone().declarations(&format!("(data (i32.const 8192) \"{}\")", "x".repeat(20 << 20)));
    env.write("small.wasm", policy.component());
    env.write("large.wasm", large.memory("400").component());
    let limits = |file: &str, more: &[&str]| {
        let ran = env.run(&[&["plugin", "inspect", file], more].concat());
        let text = ran.text();
        let told = text.lines().filter(|line| ["limits", "error", "hint"].iter().any(|it| line.contains(it)));
        told.map(|line| format!("{file}: {}\n", line.trim())).collect::<String>()
    };
    let said = [
        limits("small.wasm", &[]),
        limits("large.wasm", &[]),
        limits("small.wasm", &["--preset", "interpreter"]),
        limits("large.wasm", &["--preset", "compiled"]),
    ];
    expect![[r#"
        small.wasm: limits     the preset `compiled`, which is the default
        large.wasm: limits     the preset `interpreter`, for its size; in deputy.toml: limits = { preset = "interpreter" }
        small.wasm: limits     the preset `interpreter`, as you say
        large.wasm: error: large.wasm: the component has 20975529 bytes, more than the 16777216 allowed; one that carries an interpreter, as those of JavaScript and Python do, needs `limits = { preset = "interpreter" }`
    "#]].assert_eq(&said.concat());
    env.run(&["plugin", "try", "large.wasm", "--simulated", "3"]).is_done();
}

#[test]
fn the_shipped_rules_hold_what_every_policy_must() {
    let env = with_files(&[]);
    check(
        &env,
        &["plugin", "test", "rules"],
        0,
        expect![[r#"
            rules

            what every policy must hold
              ok    it fails on no device, however odd
              ok    it answers the same when it is asked twice
              ok    it answers the same about each device alone
              ok    it answers the same in batches of 7
              ok    it answers the same in another order
              ok    its verdicts last for as long as it says

            all 6 are well
        "#]],
    );
}

#[test]
fn a_policy_that_fails_on_some_devices_does_not_hold_it() {
    let (env, arguments) = misbehaving("trap-on-bad");
    check(
        &env,
        &plugin("test", &arguments),
        1,
        expect![[r#"
            bad.wasm

            what every policy must hold
              FAIL  it fails on no device, however odd
                      broken for 1 device
                      MACBAD: plugin `bad` trapped: wasm `unreachable` instruction executed
              ok    it answers the same when it is asked twice
              ok    it answers the same about each device alone
              ok    it answers the same in batches of 7
              ok    it answers the same in another order

            1 of 5 failed
        "#]],
    );
}

#[test]
fn other_settings_are_compared_over_the_devices_they_would_change() {
    let env = with_files(&[("devices.json", PAGE)]);
    env.write("s.toml", "[[rules]]\nwhen = { device_family = \"Mac\" }\nassign = \"executive-mac\"\n");
    let diff = ["plugin", "diff", "rules", "rules", "--devices", "devices.json"];
    check(
        &env,
        &diff,
        0,
        expect![[r#"
        no verdict changes, of 3 devices
    "#]],
    );
    let other: Vec<&str> = diff.into_iter().chain(["--settings-new", "s.toml"]).collect();
    check(
        &env,
        &other,
        0,
        expect![[r#"
        the verdict changes for 2 of 3 devices; 1 gets the same verdict for another reason
                1  assign lab-ipad -> hold: LIB1
                1  assign standard -> assign executive-mac: MAC1
    "#]],
    );
    let all: Vec<&str> = other.iter().copied().chain(["--all", "--exit-code"]).collect();
    check(
        &env,
        &all,
        1,
        expect![[r#"
        LIB1: assign lab-ipad (an iPad bought by the library) -> hold (no rule matched)
        MAC1: assign standard (everybody else) -> assign executive-mac (rule 1)
        the verdict changes for 2 of 3 devices; 1 gets the same verdict for another reason
                1  assign lab-ipad -> hold: LIB1
                1  assign standard -> assign executive-mac: MAC1
    "#]],
    );
    let difference = env.json(&other);
    expect![[r#"
        [
          {
            "devices": 1,
            "examples": [
              "LIB1"
            ],
            "new": "hold",
            "old": "assign lab-ipad"
          },
          {
            "devices": 1,
            "examples": [
              "MAC1"
            ],
            "new": "assign executive-mac",
            "old": "assign standard"
          }
        ]"#]]
    .assert_eq(&format!("{:#}", difference["difference"]["moves"]));
    let lines: Vec<&str> = all.iter().copied().chain(["--json"]).collect();
    let ran = env.run(&lines);
    ran.ends_with(1);
    let lines = ran
        .raw()
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect::<Vec<Value>>();
    assert_eq!((lines.len(), &lines[2]["difference"]["changed"]), (3, &Value::from(2)));
}

#[test]
fn another_component_gets_the_settings_of_the_old_one() {
    let env = with_files(&[]);
    check(
        &env,
        &["plugin", "diff", "rules", "plugins/rules.wasm", "--simulated", "3000"],
        0,
        expect![[r#"
        no verdict changes, of 3000 devices
    "#]],
    );
}

#[test]
fn a_measurement_tells_fuel_for_every_size_of_batch() {
    let env = with_files(&[]);
    let bench = env.json(&["plugin", "bench", "rules", "--runs", "1"]);
    let batches = bench["bench"]["batches"].as_array().expect("a list");
    let fuel: Vec<u64> = batches.iter().filter_map(|row| row["fuel_per_device"].as_u64()).collect();
    assert_eq!(fuel.len(), 4);
    assert!(fuel.is_sorted_by(|one, next| one > next), "a call costs something by itself: {fuel:?}");
    assert!(batches.iter().all(|row| row["decisions_per_second"].as_f64() > Some(1.0)));
}

#[test]
fn a_policy_about_tokens_is_tried_on_those_that_were_imported() {
    let env = TestEnv::with_tokens(&["emea", "amer"]);
    env.write("reminders.wasm", shipped::REMINDERS);
    env.apple().sign_terms("amer", false).expect("the server is there");
    env.run(&["sync", "amer"]).ends_with(4);
    let tries = ["plugin", "try", "reminders.wasm"];
    let tried = env.json(&tries);
    assert_eq!(tried["tried"]["about"], "2 tokens (the store)");
    let first =
        |tried: &Value| tried["tried"]["answer"].as_str().and_then(|it| it.lines().next()).map(str::to_owned);
    expect!["amer terms at once, critical, everywhere: Apple's terms for amer Ltd: somebody has to agree to new terms"].assert_eq(&first(&tried).expect("the terms are not signed"));
    // One that is well hears of nothing.
    check(
        &env,
        &[&tries[..], &["--token", "emea"]].concat(),
        0,
        expect![[r#"
        nobody hears of anything

        reminders.wasm of 1 token (the store)
        FUEL 1 call
    "#]],
    );
}

#[test]
fn a_policy_is_told_the_wall_clock_of_its_workflow_or_of_the_command() {
    let env = with_files(&[
        ("plan.toml", "version = 1\nplan = { reassignments = 1 }\n"),
        ("guard.toml", "hours = { from = \"08:00\", to = \"18:00\" }\n"),
    ]);
    env.write("guard.wasm", shipped::GUARD);
    let tries = ["plugin", "try", "guard.wasm", "--plan", "plan.toml", "--now", "2026-01-09T07:30:00Z"];
    let opinion = |env: &TestEnv, more: &[&str]| {
        let tried = env.json(&[&tries[..], &["--settings", "guard.toml"], more].concat());
        tried["tried"]["answer"].as_str().expect("an answer").to_owned()
    };
    expect![[r#"
        ask: it is Fri 07:30: changes are for every day, 08:00–18:00
    "#]]
    .assert_eq(&opinion(&env, &[]));
    expect![[r#"
        approve: 0 first assignments and 1 reassignment are within the limits
    "#]]
    .assert_eq(&opinion(&env, &["--timezone", "Europe/Paris"]));
    check(
        &env,
        &[&tries[..], &["--timezone", "Europe/Pari"]].concat(),
        2,
        expect![[r#"
        error: invalid value 'Europe/Pari' for '--timezone <ZONE>': no such time zone; one is called `Europe/Paris` or `UTC`

        For more information, try '--help'.
    "#]],
    );

    // In deputy.toml, it is that of the workflow that asks it.
    let digest = domain::id::Digest::of(shipped::GUARD);
    let plugin = format!("\n[plugins.guard]\npath = \"guard.wasm\"\nsha256 = \"{digest}\"\n");
    env.append("deputy.toml", &(plugin + "settings = { hours = { from = \"08:00\", to = \"18:00\" } }\n"));
    env.edit("workflows/auto-assign.toml", "cron = ", "timezone = \"Europe/Paris\"\ncron = ");
    env.edit("workflows/auto-assign.toml", "rails = ", "review = \"guard\"\nrails = ");
    let tries = ["plugin", "try", "guard", "--plan", "plan.toml", "--now", "2026-01-09T07:30:00Z"];
    let tried = env.json(&tries);
    assert_eq!(tried["tried"]["answer"], opinion(&env, &["--timezone", "Europe/Paris"]));
}

#[test]
fn a_file_that_looks_things_up_is_given_tables_by_the_command() {
    let env = with_files(&[
        ("look.toml", "behaviour = \"look\"\n"),
        ("assets.csv", "serial,site,room\nMAC1,Lyon,12\n"),
        ("people.csv", "serial,mail\nMAC1,ann@example.com\n"),
        ("devices.json", PAGE),
    ]);
    env.write("guest.wasm", artifacts::THREE_QUESTIONS);
    let tries = ["plugin", "try", "guest.wasm", "--settings", "look.toml", "--devices", "devices.json"];
    check(
        &env,
        &tries,
        2,
        expect![[r#"
        error: guest.wasm looks things up in `assets`, `people`, and there is no such table here
        hint: `--table assets=assets.csv --table people=people.csv` takes a CSV file that has the key in its first column
    "#]],
    );
    let checked = env.run(&["plugin", "check", "guest.wasm", "--settings", "look.toml"]);
    checked.ends_with(2);
    let tables = checked
        .text()
        .lines()
        .skip_while(|line| !line.contains(" tables "))
        .take(2)
        .fold(String::new(), |all, line| all + line.trim_start() + "\n");
    expect![[r#"
        error    tables     guest.wasm looks things up in `assets`, `people`, and there is no such table here
        hint: `--table assets=assets.csv --table people=people.csv` takes a CSV file that has the key in its first column
    "#]].assert_eq(&tables);
    let given = ["--table", "assets=assets.csv", "--table", "people=people.csv"];
    check(
        &env,
        &[&tries[..], &given].concat(),
        0,
        expect![[r#"
        SERIAL         VERDICT              REASON
        EXEC1          hold                 no row; None
        LIB1           hold                 no row; None
        MAC1           hold                 12|Lyon|12

        guest.wasm of 3 devices (devices.json): 3 hold
        FUEL, in 1 call
    "#]],
    );
    check(
        &env,
        &[&tries[..], &["--table", "assets"]].concat(),
        2,
        expect![[r#"
        error: invalid value 'assets' for '--table <NAME=FILE>': this is NAME=FILE, such as `assets=assets.csv`

        For more information, try '--help'.
    "#]],
    );
    check(
        &env,
        &[&tries[..], &["--table", "assets=nowhere.csv"]].concat(),
        2,
        expect![[r#"
        error: cannot read nowhere.csv
          caused by: No such file or directory (os error 2)
    "#]],
    );
    env.write("assets.csv", "serial,site\nMAC1\n");
    check(
        &env,
        &[&tries[..], &given].concat(),
        2,
        expect![[r#"
        error: the table `assets` cannot be used
        error: 1 cell, and the first line names 2 columns
         --> assets.csv:2
          = help: an empty cell needs its delimiter all the same
    "#]],
    );
}

#[test]
fn of_very_many_mistakes_in_settings_the_first_are_told_and_the_others_counted() {
    let rule = r#"{ "when": { "device_famly": "Mac" }, "assign": "standart" }"#;
    let rules = vec![rule; 1_000].join(",");
    let env = with_files(&[("s.json", &format!("{{ \"rules\": [{rules}] }}"))]);
    let tries = ["plugin", "try", "plugins/rules.wasm", "--simulated", "1", "--settings", "s.json"];
    let ran = env.run(&tries);
    ran.ends_with(2);
    let text = ran.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 22, "{text}");
    expect![[r#"
        error: plugins/rules.wasm does not accept its settings
        error: rule 1: devices have no field `device_famly` at /rules/0/when/device_famly in s.json (did you mean `device_family`?)
        error: rule 10: there is no profile `standart` at /rules/9/assign in s.json (did you mean `standard`?)
        error: and 1980 more mistakes in s.json (mend those above, then check again)
    "#]]
        .assert_eq(&[lines[0], lines[1], lines[20], lines[21]].map(|line| format!("{line}\n")).concat());
    // As many that are right are no trouble.
    env.write("s.json", env.read("s.json").replace("famly", "family").replace("standart", "standard"));
    env.run(&tries).is_done();
}

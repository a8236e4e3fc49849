//! What authors of policies do with `deputy plugin`: check, try, test, compare and measure, before anybody
//! runs what they wrote.

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

/// Settings for the policy that misbehaves.
fn misbehaving(behaviour: &str) -> (TestEnv, Vec<&'static str>) {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.write("bad.wasm", artifacts::MISBEHAVE);
    env.write("bad.json", format!("{{ \"behaviour\": \"{behaviour}\" }}"));
    env.write("devices.json", PAGE.replace("MAC1", "MACBAD"));
    (env, vec!["bad.wasm", "--settings", "bad.json", "--devices", "devices.json"])
}

/// What a command said when it ended with this code, without what depends on the compiler: fuel, sizes and times.
#[track_caller]
fn check(env: &TestEnv, arguments: &[&str], code: i32, expected: Expect) {
    let ran = env.run(arguments);
    ran.ends_with(code);
    let mut text = String::new();
    for line in ran.text().lines() {
        match line.split_once(" fuel a device") {
            Some((_, rest)) => text += &format!("FUEL fuel a device{rest}\n"),
            None if line.contains(" compiled in ") => {}
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
    let env = TestEnv::before_the_exchange(&["main"]);
    env.write("devices.json", PAGE);
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
            FUEL fuel a device, in 1 call
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
            FUEL fuel a device, in 1 call
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
    let env = TestEnv::before_the_exchange(&["main"]);
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
            FUEL fuel a device, in 3 calls
        "#]],
    );
}

#[test]
fn what_devices_cost_is_shown_for_each_alone() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.write("devices.json", PAGE);
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
            FUEL fuel a device, in 5 calls
            fault: plugin `bad` trapped: wasm `unreachable` instruction executed; 1 held, such as MACBAD
        "#]],
    );
}

#[test]
fn without_devices_it_says_where_to_take_some_from() {
    let env = TestEnv::before_the_exchange(&["main"]);
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
    let env = TestEnv::before_the_exchange(&["main"]);
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

#[test]
fn a_check_says_that_a_policy_could_be_run() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.run(&["plugin", "check", "rules"]).ends_with(0);
    let check = env.json(&["plugin", "check", "rules"]);
    let text: Vec<String> = check["check"]["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|finding| finding["what"] != "component" && finding["what"] != "pinned")
        .map(|finding| format!("{} {}: {}\n", finding["is"], finding["what"], finding["text"]))
        .collect();
    expect![[r#"
        "ok" "contract": "deputy:policy@1.0.0"
        "ok" "answers": "assignment"
        "ok" "imports": "deputy:policy/tables@1.0.0"
        "ok" "describes": "ordered rules over a device's fields; the first that matches decides (1.0.0)"
        "ok" "schema": "its settings have a JSON Schema"
        "ok" "settings": "accepted"
        "ok" "reads": "asset_tag, device_family"
    "#]]
    .assert_eq(&text.concat());
}

#[test]
fn a_check_tells_everything_that_is_wrong_at_once() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.write("bad.wasm", artifacts::UNGRANTED_IMPORTS);
    check(
        &env,
        &["plugin", "check", "bad.wasm"],
        2,
        expect![[r#"
            bad.wasm
              error    contract   it keeps to no version of the contract
              error    answers    none of the questions that this Deputy asks; it exports nothing
                                 hint: export `plugin` of deputy:policy and one of `assignment`, `reminder` and `review`
              error    imports    acme:directory/people@1.0.0 is granted to no policy
                                 hint: a policy gets all it needs as arguments: take this import out of its world
              -        settings   not asked
              -        reads      not asked
            it cannot be run: 3 errors
        "#]],
    );
    env.write("bad.wasm", artifacts::TEXT);
    check(
        &env,
        &["plugin", "check", "bad.wasm"],
        2,
        expect![[r#"
        bad.wasm
          error    component  this is some other kind of file, not a WebAssembly component; give the path of the component that the build made
          -        contract   not looked at
          -        answers    not looked at
          -        imports    not looked at
          -        settings   not looked at
          -        reads      not looked at
        it cannot be run: 1 error
    "#]],
    );
}

#[test]
fn a_check_of_a_configured_plugin_looks_at_its_digest_and_its_settings() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.edit("deputy.toml", "assign = \"lab-ipad\"", "assign = \"lab-ipda\"");
    let text = env.read("deputy.toml");
    let pinned = text.lines().find(|line| line.starts_with("sha256")).expect("it is pinned");
    env.edit("deputy.toml", pinned, &format!("sha256 = \"{}\"", "0".repeat(64)));
    check(
        &env,
        &["plugin", "check", "rules"],
        2,
        expect![[r#"
            rules
              error    pinned     it is not the file it was pinned to
                                 hint: if the change is meant, write under [plugins.rules]: sha256 = "DIGEST"
              ok       contract   deputy:policy@1.0.0
              ok       answers    assignment
              ok       imports    deputy:policy/tables@1.0.0
              ok       describes  ordered rules over a device's fields; the first that matches decides (1.0.0)
              ok       schema     its settings have a JSON Schema
              error    settings   error: rule `library`: there is no profile `lab-ipda`
                                   --> deputy.toml:39:10
                                    |
                                 39 | assign = "lab-ipda"
                                    |          ^^^^^^^^^^
                                    |
                                    = help: did you mean `lab-ipad`?
              warning  schema     its own schema accepts these settings, so editors will too
              -        reads      not asked
            it cannot be run: 2 errors
        "#]],
    );
}

#[test]
fn the_shipped_rules_hold_what_every_policy_must() {
    let env = TestEnv::before_the_exchange(&["main"]);
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

            all 5 are well
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

/// Cases for the shipped rules; the second expects what is not so.
const CASES: &str = r#"# Who gets what.
version = 1

[common]
setup = { profiles = ["lab", "standard"] }
settings = { default = { hold = true }, rules = [{ when = { device_family = "iPad" }, assign = "lab" }] }

[[cases]]
name = "an iPad goes to the lab"
devices = [{ serial_number = "A", device_family = "iPad" }]
expect = """
A assign lab: rule 1
"""

[[cases]]
name = "everything else gets the standard"   # not yet
devices = [{ serial_number = "B", device_family = "Mac" }, { serial_number = "C", device_family = "iPad" }]
expect = """
B assign standard: the rest
C assign lab: rule 1
"""

[[cases]]
name = "a mistyped key is a mistake"
settings = { rulez = [] }
"#;

#[test]
fn cases_that_fail_are_shown_line_by_line_and_written_anew_on_request() {
    let env = TestEnv::before_the_exchange(&["main"]);
    std::fs::create_dir(env.file("plugins/cases")).expect("a new folder");
    env.write("plugins/cases/who.toml", CASES);
    let test = ["plugin", "test", "plugins/rules.wasm"];
    check(
        &env,
        &test,
        1,
        expect![[r#"
        plugins/rules.wasm

        who.toml
          ok    an iPad goes to the lab
          FAIL  everything else gets the standard
                  - B assign standard: the rest
                  + B hold: no rule matched
                    C assign lab: rule 1
          FAIL  a mistyped key is a mistake
                  + /rulez: unknown key `rulez` (did you mean `rules`?)

        what every policy must hold, as set in "an iPad goes to the lab" of who.toml
          ok    it fails on no device, however odd
          ok    it answers the same when it is asked twice
          ok    it answers the same about each device alone
          ok    it answers the same in batches of 7
          ok    it answers the same in another order

        2 of 8 failed
    "#]],
    );
    let update = ["plugin", "test", "plugins/rules.wasm", "--update", "--filter", "everything"];
    check(
        &env,
        &update,
        0,
        expect![[r#"
        plugins/rules.wasm

        who.toml
          new   everything else gets the standard
                  - B assign standard: the rest
                  + B hold: no rule matched
                    C assign lab: rule 1

        it is well; 1 written anew, look at the diff
    "#]],
    );
    let text = env.read("plugins/cases/who.toml");
    expect![[r##"
        # Who gets what.
        version = 1

        [common]
        setup = { profiles = ["lab", "standard"] }
        settings = { default = { hold = true }, rules = [{ when = { device_family = "iPad" }, assign = "lab" }] }

        [[cases]]
        name = "an iPad goes to the lab"
        devices = [{ serial_number = "A", device_family = "iPad" }]
        expect = """
        A assign lab: rule 1
        """

        [[cases]]
        name = "everything else gets the standard"   # not yet
        devices = [{ serial_number = "B", device_family = "Mac" }, { serial_number = "C", device_family = "iPad" }]
        expect = """
        B hold: no rule matched
        C assign lab: rule 1
        """

        [[cases]]
        name = "a mistyped key is a mistake"
        settings = { rulez = [] }
    "##]].assert_eq(&text);
    check(
        &env,
        &["plugin", "test", "plugins/rules.wasm", "--filter", "everything"],
        0,
        expect![[r#"
        plugins/rules.wasm

        who.toml
          ok    everything else gets the standard

        it is well
    "#]],
    );
    check(
        &env,
        &["plugin", "test", "plugins/rules.wasm", "--filter", "nobody"],
        2,
        expect![[r#"
        error: no case in plugins/cases fits the filter
    "#]],
    );
}

#[test]
fn a_case_that_takes_more_fuel_than_it_did_fails() {
    let env = TestEnv::before_the_exchange(&["main"]);
    std::fs::create_dir(env.file("plugins/cases")).expect("a new folder");
    env.write("plugins/cases/who.toml", CASES);
    env.run(&["plugin", "test", "plugins/rules.wasm", "--update"]).is_done();
    env.run(&["plugin", "test", "plugins/rules.wasm", "--filter", "who"]).is_done();
    let fuel = env.read("plugins/cases/fuel.toml");
    let line = fuel.lines().find(|line| line.contains("iPad")).expect("it is recorded").to_owned();
    let name = line.split(" = ").next().expect("a key");
    env.edit("plugins/cases/fuel.toml", &line, &format!("{name} = 1000"));
    let ran = env.run(&["plugin", "test", "plugins/rules.wasm", "--filter", "iPad"]);
    ran.ends_with(1);
    assert!(ran.text().contains("% more than the 1000 recorded in fuel.toml"), "{}", ran.text());
}

#[test]
fn what_is_no_case_file_is_said_with_its_place() {
    let env = TestEnv::before_the_exchange(&["main"]);
    std::fs::create_dir(env.file("plugins/cases")).expect("a new folder");
    env.write("plugins/cases/who.toml", CASES.replace("devices =", "device ="));
    check(
        &env,
        &["plugin", "test", "plugins/rules.wasm"],
        2,
        expect![[r#"
        error: plugins/cases/who.toml is no case file: TOML parse error at line 10, column 1
           |
        10 | device = [{ serial_number = "A", device_family = "iPad" }]
           | ^^^^^^
        unknown field `device`, expected one of `name`, `settings`, `setup`, `now`, `utc_offset`, `token`, `workflow`, `tables`, `devices`, `tokens`, `plan`, `texts`, `expect`
    "#]],
    );
    env.write("plugins/cases/who.toml", CASES.replace("\"lab\", \"standard\"", "\"La B\""));
    check(
        &env,
        &["plugin", "test", "plugins/rules.wasm"],
        2,
        expect![[r#"
        error: who.toml, case "an iPad goes to the lab": `La B` is not a profile name: lower-case letters, digits, `-`, `_` and `.`, starting with a letter or digit, at most 64
    "#]],
    );
}

#[test]
fn other_settings_are_compared_over_the_devices_they_would_change() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.write("devices.json", PAGE);
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
    let env = TestEnv::before_the_exchange(&["main"]);
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
    let env = TestEnv::before_the_exchange(&["main"]);
    let bench = env.json(&["plugin", "bench", "rules", "--runs", "1"]);
    let batches = bench["bench"]["batches"].as_array().expect("a list");
    let fuel: Vec<u64> = batches.iter().filter_map(|row| row["fuel_per_device"].as_u64()).collect();
    assert_eq!(fuel.len(), 4);
    assert!(fuel.is_sorted_by(|one, next| one > next), "a call costs something by itself: {fuel:?}");
    assert!(batches.iter().all(|row| row["decisions_per_second"].as_f64() > Some(1.0)));
}

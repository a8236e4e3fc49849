//! Policies that fail, and policies that were never going to work: devices are held, nothing is lost.

use domain::id::Digest;
use expect_test::{Expect, expect};

use crate::env::TestEnv;

/// `auto-assign` asks the plugin `bad`, which misbehaves in this way.
fn with_misbehaving(behaviour: &str) -> TestEnv {
    let env = TestEnv::new();
    let digest = Digest::of(artifacts::MISBEHAVE);
    with_plugin(&env, artifacts::MISBEHAVE, &format!("sha256 = \"{digest}\"\nlimits = {{ time = \"1s\" }}"));
    env.append("deputy.toml", &format!("[plugins.bad.settings]\nbehaviour = \"{behaviour}\"\n"));
    env
}

fn with_plugin(env: &TestEnv, component: &[u8], keys: &str) {
    env.write("plugins/bad.wasm", component);
    env.append("deputy.toml", &format!("\n[plugins.bad]\npath = \"plugins/bad.wasm\"\n{keys}\n"));
    env.edit("workflows/auto-assign.toml", "policy = \"rules\"", "policy = \"bad\"");
}

/// A run over three devices, one of them with a poisoned record: what it says, and what
/// `device explain` says of that one.
#[track_caller]
fn check_misbehaving(behaviour: &str, exit: i32, run: Expect, explained: Expect) {
    let env = with_misbehaving(behaviour);
    env.add("main", &["MAC1", "MAC2", "MACBAD"]);
    let ran = env.run(&["run", "auto-assign"]);
    ran.ends_with(exit);
    run.assert_eq(&ran.text());
    env.run(&["device", "explain", "MACBAD"]).succeeds(explained);
    assert_eq!(env.with_profile("main"), 0);
}

#[test]
fn a_policy_that_traps_holds_every_device_and_is_named() {
    check_misbehaving(
        "trap",
        4,
        expect![[r#"
            run RUN of auto-assign, by hand: needs a person
              sync     3 devices: 3 new, 0 changed, 0 gone (every device, 2 pages)
              decide   3 devices by bad: held 3
                       3 devices held, such as MAC1: plugin `bad` trapped: wasm `unreachable` instruction executed
                       hint: bad fails on most devices: mend the plugin, its settings or its tables
              plan     nothing to do, 3 held because the policy failed
              apply    nothing to do
        "#]],
        expect![[r#"
            MACBAD of token main
              is        MacBook Pro, Mac, OSX
              asset tag POOL-1
              at Apple  on this server since TIME by enroll-admin@main.example; profile empty
              profile   none
              policy    bad failed on it: plugin `bad` trapped: wasm `unreachable` instruction executed
                        since run RUN of TIME, by the component DIGEST…
              asked     last in run RUN of auto-assign, TIME: component DIGEST…, settings DIGEST…
              it saw    asset_tag = POOL-1, device_assigned_by = enroll-admin@main.example, device_assigned_date = TIME, device_family = Mac, model = MacBook Pro, os = OSX, profile_status = empty, serial_number = MACBAD
              next      the policy is asked again at the next run of auto-assign, TIME
        "#]],
    );
}

#[test]
fn a_policy_that_traps_on_one_device_holds_that_one_alone() {
    check_misbehaving(
        "trap-on-bad",
        0,
        expect![[r#"
            run RUN of auto-assign, by hand: succeeded
              sync     3 devices: 3 new, 0 changed, 0 gone (every device, 2 pages)
              decide   3 devices by bad: held 3
                       1 device held, such as MACBAD: plugin `bad` trapped: wasm `unreachable` instruction executed
              plan     nothing to do, 2 held by the policy, 1 held because the policy failed
              apply    nothing to do
        "#]],
        expect![[r#"
            MACBAD of token main
              is        MacBook Pro, Mac, OSX
              asset tag POOL-1
              at Apple  on this server since TIME by enroll-admin@main.example; profile empty
              profile   none
              policy    bad failed on it: plugin `bad` trapped: wasm `unreachable` instruction executed
                        since run RUN of TIME, by the component DIGEST…
              asked     last in run RUN of auto-assign, TIME: component DIGEST…, settings DIGEST…
              it saw    asset_tag = POOL-1, device_assigned_by = enroll-admin@main.example, device_assigned_date = TIME, device_family = Mac, model = MacBook Pro, os = OSX, profile_status = empty, serial_number = MACBAD
              next      the policy is asked again at the next run of auto-assign, TIME
        "#]],
    );
}

#[test]
fn other_ways_to_fail_hold_the_same_devices_and_are_named() {
    let mut found = String::new();
    for (behaviour, exit) in [("loop", 4), ("loop-on-bad", 0), ("eat-memory", 4), ("eat-memory-on-bad", 0)] {
        let env = with_misbehaving(behaviour);
        env.add("main", &["MAC1", "MAC2", "MACBAD"]);
        let ran = env.run(&["run", "auto-assign"]);
        ran.ends_with(exit);
        let text = ran.text() + &env.run(&["device", "explain", "MACBAD"]).text();
        let told = |line: &&str| line.contains("held, such as") || line.contains("failed on it");
        for line in text.lines().map(str::trim).filter(told) {
            found += &format!("{behaviour}: {line}\n");
        }
        assert_eq!(env.with_profile("main"), 0);
    }
    expect![[r#"
        loop: 3 devices held, such as MAC1: plugin `bad` ran out of fuel (N for one device)
        loop: policy    bad failed on it: plugin `bad` ran out of fuel (N for one device)
        loop-on-bad: 1 device held, such as MACBAD: plugin `bad` ran out of fuel (N for one device)
        loop-on-bad: policy    bad failed on it: plugin `bad` ran out of fuel (N for one device)
        eat-memory: 3 devices held, such as MAC1: plugin `bad` wanted more than its 64 MiB of memory
        eat-memory: policy    bad failed on it: plugin `bad` wanted more than its 64 MiB of memory
        eat-memory-on-bad: 1 device held, such as MACBAD: plugin `bad` wanted more than its 64 MiB of memory
        eat-memory-on-bad: policy    bad failed on it: plugin `bad` wanted more than its 64 MiB of memory
    "#]]
    .assert_eq(&found);
}

#[test]
fn a_policy_that_refuses_its_settings_is_not_asked() {
    let env = with_misbehaving("refuse-settings");
    env.run(&["workflow", "check"]).fails(
        2,
        expect![[r#"
            error: plugin `bad` cannot be used: it does not accept its settings
            error: nor is[31m the rest
               --> deputy.toml:118:14
                |
            118 | [plugins.bad.settings]
                |              ^^^^^^^^
                |
                = help: did you mean `none`?

            error: never good enough
               --> deputy.toml:119:13
                |
            119 | behaviour = "refuse-settings"
                |             ^^^^^^^^^^^^^^^^^
        "#]],
    );
    env.run(&["run", "auto-assign"]).fails(
        4,
        expect![[r#"
            run RUN of auto-assign, by hand: needs a person
              sync     0 devices: 0 new, 0 changed, 0 gone (every device, 2 pages)
              decide   failed: plugin `bad` cannot be used: it does not accept its settings
            error: nor is[31m the rest
               --> deputy.toml:118:14
                |
            118 | [plugins.bad.settings]
                |              ^^^^^^^^
                |
                = help: did you mean `none`?

            error: never good enough
               --> deputy.toml:119:13
                |
            119 | behaviour = "refuse-settings"
                |             ^^^^^^^^^^^^^^^^^
        "#]],
    );
}

/// A file as plugin, pinned: what `workflow check` says.
#[track_caller]
fn check_file(component: &[u8], expected: Expect) {
    let env = TestEnv::before_the_exchange(&["main"]);
    with_plugin(&env, component, &format!("sha256 = \"{}\"", Digest::of(component)));
    env.run(&["workflow", "check"]).fails(2, expected);
}

#[test]
fn a_core_module_is_no_component() {
    check_file(
        artifacts::CORE_MODULE,
        expect![[r#"
        error: plugin `bad` cannot be used: this is a core module, not a WebAssembly component; wrap it as a component, as `wasm-tools component new` does
    "#]],
    );
}

#[test]
fn a_text_is_no_component() {
    check_file(
        artifacts::TEXT,
        expect![[r#"
        error: plugin `bad` cannot be used: this is some other kind of file, not a WebAssembly component; give the path of the component that the build made
    "#]],
    );
}

#[test]
fn a_component_that_imports_what_nobody_grants_is_refused() {
    check_file(
        artifacts::UNGRANTED_IMPORTS,
        expect![[r#"
            error: plugin `bad` cannot be used: the component imports what no plugin is granted: `acme:directory/people@1.0.0`; a policy gets everything it needs as arguments, so build it without them
        "#]],
    );
}

#[test]
fn a_component_of_a_later_contract_is_refused() {
    check_file(
        artifacts::FUTURE_CONTRACT,
        expect![[r#"
            error: plugin `bad` cannot be used: the component keeps to version 9.0.0 of the contract, and this Deputy knows 0.1, 1.0 and 1.1; if that is a later one, a later Deputy knows it
        "#]],
    );
}

#[test]
fn a_component_that_answers_no_question_is_refused() {
    check_file(
        artifacts::NO_QUESTION,
        expect![[r#"
            error: plugin `bad` cannot be used: the component answers none of the questions Deputy asks; it exports `acme:weather/forecast@1.0.0`, and a policy exports `plugin` of `deputy:policy@1.1.0` and one of `assignment`, `reminder` and `review`
        "#]],
    );
}

#[test]
fn a_component_that_is_not_the_pinned_one_is_refused_and_nothing_is_assigned() {
    let env = TestEnv::new();
    env.add("main", &["MAC1"]);
    env.write("plugins/rules.wasm", artifacts::MISBEHAVE);
    env.run(&["workflow", "check"]).fails(
        2,
        expect![[r#"
            error: plugin `rules` cannot be used: plugins/rules.wasm is not the file it was pinned to
            hint: `deputy plugin trust rules` shows what changed, and pins it if that is meant
        "#]],
    );
    env.run(&["run", "auto-assign"]).fails(
        4,
        expect![[r#"
            run RUN of auto-assign, by hand: needs a person
              sync     1 device: 1 new, 0 changed, 0 gone (every device, 2 pages)
              decide   failed: plugin `rules` cannot be used: plugins/rules.wasm is not the file it was pinned to
                       hint: `deputy plugin trust rules` shows what changed, and pins it if that is meant
        "#]],
    );
    assert_eq!(env.with_profile("main"), 0);
}

#[test]
fn a_component_that_is_not_pinned_is_refused() {
    let env = TestEnv::before_the_exchange(&["main"]);
    with_plugin(&env, artifacts::MISBEHAVE, "");
    env.run(&["workflow", "check"]).fails(
        2,
        expect![[r#"
            error: plugin `bad` cannot be used: it is not pinned to a digest
            hint: `deputy plugin trust bad` shows what it is, and pins it if it is the one you mean
        "#]],
    );
}

#[test]
fn a_component_that_is_not_there_is_named() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.edit("deputy.toml", "plugins/rules.wasm", "plugins/rulez.wasm");
    env.run(&["workflow", "check"]).fails(2, expect![[r#"
        error: plugin `rules` cannot be used: cannot read plugins/rulez.wasm: No such file or directory (os error 2)
    "#]]);
}

#[test]
fn a_profile_that_no_rule_can_assign_is_found_where_it_stands() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.edit("deputy.toml", "assign = \"lab-ipad\"", "assign = \"lab-ipda\"");
    env.run(&["workflow", "check"]).fails(
        2,
        expect![[r#"
            error: plugin `rules` cannot be used: it does not accept its settings
            error: rule `library`: there is no profile `lab-ipda`
              --> deputy.toml:40:10
               |
            40 | assign = "lab-ipda"
               |          ^^^^^^^^^^
               |
               = help: did you mean `lab-ipad`?
        "#]],
    );
}

#[test]
fn a_typo_in_a_rule_is_found_where_it_stands() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.edit("deputy.toml", "asset_tag = \"EXEC-*\"", "aset_tag = \"EXEC-*\"");
    env.run(&["workflow", "check"]).fails(
        2,
        expect![[r#"
            error: plugin `rules` cannot be used: it does not accept its settings
            error: rule `executives`: devices have no field `aset_tag`
              --> deputy.toml:33:44
               |
            33 | when = { device_family = "Mac", aset_tag = "EXEC-*" }
               |                                            ^^^^^^^^
               |
               = help: did you mean `asset_tag`?
        "#]],
    );
}

#[test]
fn an_inspection_shows_what_the_shipped_rules_are() {
    let env = TestEnv::before_the_exchange(&["main"]);
    let ran = env.run(&["plugin", "inspect", "plugins/rules.wasm"]);
    ran.ends_with(0);
    let text: String = ran
        .text()
        .lines()
        .filter(|line| !line.contains(" size "))
        .fold(String::new(), |text, line| text + line + "\n");
    expect![[r#"
        plugins/rules.wasm
          is         ordered rules over a device's fields; the first that matches decides
          version    1.0.0
          sha256     DIGEST
          contract   1.1.0
          answers    assignment
          lasting    it says for how long its verdicts last
          imports    deputy:policy/tables@1.1.0
          exports    deputy:policy/lasting@1.1.0, deputy:policy/plugin@1.1.0, deputy:policy/assignment@1.1.0
          limits     the preset `compiled`, which is the default
          a call     at most 64MiB of memory and 10s
          fuel       5000000 a call and 200000 a device
          made of    16 instances, 20000 table elements
          says       4MiB an answer, 8KiB of log
          compiles   in 1GiB of memory and 30s
    "#]]
    .assert_eq(&text);
}

#[test]
fn an_inspection_says_what_is_not_granted() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.write("bad.wasm", artifacts::UNGRANTED_IMPORTS);
    env.run(&["plugin", "inspect", "bad.wasm"]).fails(2, expect![[r#"
        bad.wasm
          sha256     DIGEST
          size       141 bytes of 16MiB
          contract   none
          answers    none
          imports    wasi:cli/environment@0.2.0, acme:directory/people@1.0.0 (not granted)
          exports    none
          limits     the preset `compiled`, which is the default
          a call     at most 64MiB of memory and 10s
          fuel       5000000 a call and 200000 a device
          made of    16 instances, 20000 table elements
          says       4MiB an answer, 8KiB of log
          compiles   in 1GiB of memory and 30s
        error: bad.wasm: the component imports what no plugin is granted: `acme:directory/people@1.0.0`; a policy gets everything it needs as arguments, so build it without them
    "#]]);
}

#[test]
fn an_inspection_by_name_shows_the_limits_that_deputy_toml_gives() {
    let env = TestEnv::before_the_exchange(&["main"]);
    let digest = Digest::of(artifacts::MISBEHAVE);
    let limits = "limits = { preset = \"interpreter\", memory = \"96MiB\", fuel_per_device = 7 }";
    with_plugin(&env, artifacts::MISBEHAVE, &format!("sha256 = \"{digest}\"\n{limits}"));
    let shown = env.json(&["plugin", "inspect", "bad"]);
    expect![[r#"
        {
          "compile_memory": 3221225472,
          "compile_time_ms": 180000,
          "fuel_per_call": 50000000,
          "fuel_per_device": 7,
          "instances": 64,
          "log": 8192,
          "memory": 100663296,
          "output": 4194304,
          "size": 67108864,
          "table_elements": 50000,
          "time_ms": 60000
        }"#]]
    .assert_eq(&format!("{:#}", shown["plugin"]["limits"]));
    env.run(&["plugin", "inspect", "bda"]).fails(
        2,
        expect![[r#"
        error: there is no file or plugin `bda`
        hint: one of `bad`, `rules`
    "#]],
    );
}

#[test]
fn limits_that_make_no_sense_are_found_where_they_stand() {
    let env = TestEnv::before_the_exchange(&["main"]);
    let limits = "[plugins.bad.limits]\npreset = \"python\"\n";
    with_plugin(&env, artifacts::MISBEHAVE, limits);
    env.run(&["workflow", "check"]).fails(
        2,
        expect![[r#"
            error: unknown value `python`
               --> deputy.toml:117:10
                |
            117 | preset = "python"
                |          ^^^^^^^^
                |
                = help: one of `compiled`, `interpreter`
        "#]],
    );
    env.edit(
        "deputy.toml",
        "preset = \"python\"",
        "memory = \"1GiB\"\ntime = \"2h\"\ninstances = 65\nfuel_per_call = 0\ncompile_time = \"10ms\"\nlog = \"8\"",
    );
    env.run(&["workflow", "check"]).fails(
        2,
        expect![[r#"
            error: `1GiB` is not an amount of memory up to 512MiB
               --> deputy.toml:117:10
                |
            117 | memory = "1GiB"
                |          ^^^^^^
                |
                = help: write a number and KiB, MiB or GiB, such as `64MiB`

            error: `2h` is not between 1ms and 1h
               --> deputy.toml:118:8
                |
            118 | time = "2h"
                |        ^^^^
                |
                = help: write `30s`

            error: 65 is not between 1 and 64
               --> deputy.toml:119:13
                |
            119 | instances = 65
                |             ^^
                |
                = help: without this key, the preset's number holds

            error: 0 is not between 1 and 1000000000000
               --> deputy.toml:120:17
                |
            120 | fuel_per_call = 0
                |                 ^
                |
                = help: without this key, the preset's number holds

            error: `10ms` is not between 1s and 1h
               --> deputy.toml:121:16
                |
            121 | compile_time = "10ms"
                |                ^^^^^^
                |
                = help: write `30s`

            error: `8` is not an amount of memory up to 1MiB
               --> deputy.toml:122:7
                |
            122 | log = "8"
                |       ^^^
                |
                = help: write a number and KiB, MiB or GiB, such as `1MiB`
        "#]],
    );
}

#[test]
fn a_policy_that_keeps_devices_on_their_profile_sees_what_a_run_gave_them_since_apples_last_list() {
    let env = TestEnv::new();
    env.write(
        "workflows/again.toml",
        "version = 1\nname = \"again\"\n\n[[steps]]\nuses = \"decide\"\npolicy = \"rules\"\n\n[[steps]]\nuses = \"plan\"\n",
    );
    env.append(
        "deputy.toml",
        "\n[[plugins.rules.settings.rules]]\nwhen = { current_profile = \"?*\" }\nhold = true\n",
    );
    env.add("main", &["MAC1"]);
    env.run(&["run", "auto-assign"]).is_done();
    // No sync comes between; without the rule, the device would be moved.
    env.edit("deputy.toml", "\ndefault = { assign = \"standard\"", "\ndefault = { assign = \"lab-ipad\"");
    env.run(&["run", "again"]).succeeds(expect![[r#"
        run RUN of again, by hand: succeeded
          decide   1 device by rules: held 1
          plan     nothing to do, 1 held by the policy
    "#]]);
}

#[test]
fn settings_that_cost_too_much_to_check_say_so() {
    let env = TestEnv::before_the_exchange(&["main"]);
    let config = env.read("deputy.toml");
    let from = config.find("[plugins.rules.settings]").unwrap();
    let to = config.find("# Three more policies").unwrap();
    let rule =
        |nth| format!("[[plugins.rules.settings.rules]]\nname = \"r{nth}\"\nassign = \"none-{nth}\"\n");
    let rules: String = (0..5_000).map(rule).collect();
    env.write("deputy.toml", format!("{}{rules}{}", &config[..from], &config[to..]));
    env.run(&["workflow", "check"]).fails(2, expect![[r#"
        error: plugin `rules` cannot be used: checking its settings takes more than it may use: it ran out of fuel (98,895,500)
        hint: they are very large, or very much is wrong with them: try a part of them, or write a larger `fuel_per_call` under [plugins.rules.limits]
    "#]]);
}

//! For how long verdicts last: what the author of a policy that says it hears of whether it is so.

use expect_test::{Expect, expect};

use crate::env::TestEnv;

/// A folder with the policy that behaves like this, and a case of the ninth of January with a device or two.
fn with_policy(behaviour: &str) -> TestEnv {
    let env = TestEnv::before_the_exchange(&["main"]);
    let settings = format!("behaviour = \"{behaviour}\"\nend = 1769904000 # 1 February 2026\n");
    env.write("settings.toml", settings);
    env.write("guest.wasm", artifacts::LASTING);
    std::fs::create_dir_all(env.file("cases")).unwrap();
    let case = format!(
        "version = 1\n[[cases]]\nname = \"a case\"\nnow = 2026-01-09T09:00:00Z\nsettings = {{ behaviour = \"{behaviour}\", \
         end = 1769904000 }}\ndevices = [{{ serial_number = \"A\" }}]\nexpect = \"\"\n"
    );
    env.write("cases/a.toml", case);
    env
}

/// What a test says of how long the verdicts of a policy that behaves like this last.
#[track_caller]
fn tested(behaviour: &str, expected: Expect) {
    let env = with_policy(behaviour);
    let devices: Vec<String> = ["A", "B"].map(|it| format!("{{ \"serial_number\": \"{it}\" }}")).into();
    env.write("devices.json", format!("{{ \"devices\": [{}] }}", devices.join(",")));
    let ran = env.run(&["plugin", "test", "guest.wasm", "--devices", "devices.json"]);
    let text = ran.text();
    let said: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.contains("what every policy must hold"))
        .skip_while(|line| !line.contains("in another order"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  "))
        .collect();
    expected.assert_eq(&said.join("\n"));
}

#[test]
fn a_policy_that_says_the_truth_is_well() {
    tested("always", expect!["ok    its verdicts last for as long as it says"]);
    tested("until", expect!["ok    its verdicts last for as long as it says"]);
    // A hold ends by itself, whatever is said of verdicts.
    tested("holds", expect!["ok    its verdicts last for as long as it says"]);
}

#[test]
fn a_policy_whose_verdicts_do_not_last_as_long_as_it_says_is_found_out() {
    tested(
        "too-long",
        expect![[r#"
          FAIL  its verdicts last for as long as it says
                  broken for 302 devices
                  A: at DATE 23:59:59 UTC: first ignore (before), then ignore (after)
                  B: at DATE 23:59:59 UTC: first ignore (before), then ignore (after)
                  ODD0000K.&O.'8^CY5VZJDHSB'Z#V*ZTGJN-%Y\ITIFR: at DATE 23:59:59 UTC: first ignore (before), then ignore (after)"#]],
    );
    tested(
        "wrong-by-the-day",
        expect![[r#"
          FAIL  its verdicts last for as long as it says
                  broken for 302 devices
                  A: at DATE 09:00:00 UTC: first ignore (day 1 of the week), then ignore (day 2 of the week)
                  B: at DATE 09:00:00 UTC: first ignore (day 1 of the week), then ignore (day 2 of the week)
                  ODD0000K.&O.'8^CY5VZJDHSB'Z#V*ZTGJN-%Y\ITIFR: at DATE 09:00:00 UTC: first ignore (day 1 of the week), then ignore (day 2 of the week)"#]],
    );
}

#[test]
fn a_policy_that_says_nothing_has_nothing_to_hold_and_one_that_fails_to_say_has_failed() {
    tested("not-said", expect![[""]]);
    tested(
        "trap",
        expect![[r#"
          FAIL  it can say for how long its verdicts last
                  plugin `guest` trapped: wasm `unreachable` instruction executed"#]],
    );
}

/// What a check finds of it.
#[track_caller]
fn checked(behaviour: &str, expected: Expect) {
    let env = with_policy(behaviour);
    let ran = env.run(&["plugin", "check", "guest.wasm", "--settings", "settings.toml"]);
    ran.ends_with(0);
    let text = ran.text();
    let found = text.lines().skip_while(|line| !line.contains(" lasting ")).collect::<Vec<_>>();
    expected.assert_eq(&found.join("\n"));
}

#[test]
fn a_check_tells_for_how_long_verdicts_last() {
    checked(
        "always",
        expect![[r#"
          ok       lasting    its verdicts do not look at the time
        it can be run"#]],
    );
    checked(
        "too-long",
        expect![[r#"
          ok       lasting    its verdicts are the same until DATE 00:00:00 UTC
        it can be run"#]],
    );
    checked(
        "not-said",
        expect![[r#"
          ok       lasting    with these settings, its verdicts may be others at any time
        it can be run"#]],
    );
    checked(
        "no-calendar",
        expect![[r#"
          warning  lasting    asked for how long its verdicts last, plugin `guest` broke the contract: its verdicts last until second 18446744073709551615, which no calendar has
                             hint: it is asked about every device in every run instead
        it can be run; 1 warning"#]],
    );
}

#[test]
fn a_check_tells_what_does_not_say_it_or_says_it_of_nothing() {
    let env = TestEnv::before_the_exchange(&["main"]);
    let found = |interfaces: &[&str]| {
        env.write("small.wasm", artifacts::versions::policy(interfaces, None));
        let text = env.run(&["plugin", "check", "small.wasm"]).text().to_owned();
        let inspected = env.run(&["plugin", "inspect", "small.wasm"]).text().to_owned();
        let lines = text.lines().chain(inspected.lines()).filter(|line| line.contains(" lasting "));
        let hint = text.lines().skip_while(|line| !line.contains(" lasting ")).nth(1);
        lines.chain(hint).map(|line| format!("{}\n", line.trim())).collect::<String>()
    };
    let (plugin, lasting) = ("deputy:policy/plugin@1.1.0", "deputy:policy/lasting@1.1.0");
    expect![[r#"
        warning  lasting    it says for how long its verdicts last, and gives none
        lasting    it says for how long its verdicts last, and gives none
        hint: export `assignment` as well, or leave `lasting` out
    "#]]
    .assert_eq(&found(&[plugin, "deputy:policy/review@1.1.0", lasting]));
    expect![[r#"
        info     lasting    it does not say for how long its verdicts last: it is asked about every device in every run
        lasting    it does not say for how long its verdicts last
        hint: version 1.1 of the contract has a question for that, `lasting`, which is asked besides
    "#]].assert_eq(&found(&[plugin, "deputy:policy/assignment@1.1.0"]));
    expect![[""]].assert_eq(&found(&[plugin, "deputy:policy/review@1.1.0"]));
}

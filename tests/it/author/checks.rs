//! `deputy plugin check`: whether a component can be run at all, and everything that is wrong with it at once.

use super::*;

#[test]
fn a_check_says_that_a_policy_could_be_run() {
    let env = with_files(&[]);
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
        "info" "limits": "those of [plugins.rules] in deputy.toml"
        "info" "a call": "at most 64MiB of memory and 10s"
        "info" "fuel": "5000000 a call and 200000 a device"
        "info" "made of": "16 instances, 20000 table elements"
        "info" "says": "4MiB an answer, 8KiB of log"
        "info" "compiles": "in 1GiB of memory and 30s"
        "ok" "contract": "deputy:policy@1.1.0"
        "ok" "answers": "assignment"
        "ok" "imports": "deputy:policy/tables@1.1.0"
        "ok" "describes": "ordered rules over a device's fields; the first that matches decides (1.0.0)"
        "ok" "schema": "its settings have a JSON Schema"
        "ok" "settings": "accepted"
        "ok" "reads": "asset_tag, device_family"
        "ok" "lasting": "its verdicts do not look at the time"
    "#]]
    .assert_eq(&text.concat());
}

#[test]
fn a_check_tells_everything_that_is_wrong_at_once() {
    let env = with_files(&[]);
    env.write("bad.wasm", artifacts::UNGRANTED_IMPORTS);
    check(
        &env,
        &["plugin", "check", "bad.wasm"],
        2,
        expect![[r#"
            bad.wasm
              info     limits     the preset `compiled`, which is the default
              info     a call     at most 64MiB of memory and 10s
              info     fuel       5000000 a call and 200000 a device
              info     made of    16 instances, 20000 table elements
              info     says       4MiB an answer, 8KiB of log
              info     compiles   in 1GiB of memory and 30s
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
    let env = with_files(&[]);
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
                                 hint: if the change is meant: `deputy plugin trust rules` shows what it is and writes sha256 = "DIGEST"
              info     limits     those of [plugins.rules] in deputy.toml
              info     a call     at most 64MiB of memory and 10s
              info     fuel       5000000 a call and 200000 a device
              info     made of    16 instances, 20000 table elements
              info     says       4MiB an answer, 8KiB of log
              info     compiles   in 1GiB of memory and 30s
              ok       contract   deputy:policy@1.1.0
              ok       answers    assignment
              ok       imports    deputy:policy/tables@1.1.0
              ok       describes  ordered rules over a device's fields; the first that matches decides (1.0.0)
              ok       schema     its settings have a JSON Schema
              error    settings   error: rule `library`: there is no profile `lab-ipda`
                                   --> deputy.toml:40:10
                                    |
                                 40 | assign = "lab-ipda"
                                    |          ^^^^^^^^^^
                                    |
                                    = help: did you mean `lab-ipad`?
              warning  schema     its own schema accepts these settings, so editors will too
              -        reads      not asked
            it cannot be run: 2 errors
        "#]],
    );
}

/// What a check finds of what version 1.0 of the contract has, and 0.1 had not.
#[track_caller]
fn check_finds(env: &TestEnv, usable: bool, expected: Expect) {
    let check = env.run(&["plugin", "check", "guest", "--json"]);
    check.ends_with(if usable { 0 } else { 2 });
    let check: Value = serde_json::from_str(&check.raw()).expect("JSON");
    assert_eq!(check["check"]["usable"], usable);
    let findings = check["check"]["findings"].as_array().expect("a list").iter();
    let told = findings.filter(|finding| {
        ["describes", "schema", "settings", "tables"].iter().any(|what| finding["what"] == *what)
    });
    let lines: Vec<String> = told
        .map(|it| {
            let text = |key: &str| it[key].as_str().unwrap_or_default().to_owned();
            format!("{} {}: {}\n", text("is"), text("what"), text("text"))
        })
        .collect();
    expected.assert_eq(&lines.concat());
}

#[test]
fn a_check_tells_what_a_policy_says_of_itself_and_of_its_settings() {
    check_finds(
        &with_guest("", "{ behaviour = \"none\" }"),
        true,
        expect![[r#"
        ok describes: answers every question, also as it should not (1.2.3)
        ok schema: its settings have a JSON Schema
        ok settings: accepted
    "#]],
    );
    // The component takes it, and its schema does not.
    check_finds(
        &with_guest("", "{ behaviour = 7 }"),
        true,
        expect![[r#"
        ok describes: answers every question, also as it should not (1.2.3)
        ok schema: its settings have a JSON Schema
        ok settings: accepted
        warning schema: its own schema refuses settings that it accepts: /behaviour: want string, but got number
    "#]],
    );
    // The other way round.
    check_finds(
        &with_guest("", "{ behaviour = \"refuse-settings\" }"),
        false,
        expect![[r#"
            ok describes: answers every question, also as it should not (1.2.3)
            ok schema: its settings have a JSON Schema
            error settings: error: not that
               --> deputy.toml:118:26
                |
            118 | settings = { behaviour = "refuse-settings" }
                |                          ^^^^^^^^^^^^^^^^^
                |
                = help: something else
            warning schema: its own schema accepts these settings, so editors will too
        "#]],
    );
}

#[test]
fn a_check_tells_which_tables_are_missing_and_which_columns() {
    let tables = "\n[tables.assets]\ncsv = \"assets.csv\"\nkey = \"serial\"\n\n[tables.people]\ncsv = \"people.csv\"\nkey = \"serial\"\n";
    let with_tables = |grants: &str, assets: &str| {
        let env = with_guest(grants, "{ behaviour = \"look\" }");
        env.append("deputy.toml", tables);
        env.write("assets.csv", assets);
        env.write("people.csv", "serial,mail\nMAC1,ann@example.com\n");
        env
    };
    let assets = "serial,site,room\nMAC1,Lyon,12\n";
    let granted = "grants = { tables = [\"assets\", \"people\"] }";
    check_finds(
        &with_tables(granted, assets),
        true,
        expect![[r#"
        ok describes: answers every question, also as it should not (1.2.3)
        ok schema: its settings have a JSON Schema
        ok settings: accepted
        ok tables: assets (room, site, room)
        ok tables: people (mail)
    "#]],
    );
    check_finds(
        &with_tables("", assets),
        false,
        expect![[r#"
        ok describes: answers every question, also as it should not (1.2.3)
        ok schema: its settings have a JSON Schema
        ok settings: accepted
        error tables: plugin `guest` looks into the tables `assets`, `people` and was not granted that; if it may, write under [plugins.guest]: grants = { tables = ["assets", "people"] }
    "#]],
    );
    check_finds(
        &with_tables(granted, "serial,site\nMAC1,Lyon\n"),
        false,
        expect![[r#"
        ok describes: answers every question, also as it should not (1.2.3)
        ok schema: its settings have a JSON Schema
        ok settings: accepted
        error tables: plugin `guest` looks at the column `room` of the table `assets`, which has `serial`, `site`
    "#]],
    );
}

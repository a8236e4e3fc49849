//! `deputy plugin test`: cases in files, held against what a policy answers.

use super::*;

#[test]
fn the_cases_of_the_shipped_policies_get_the_same_answers_in_the_sandbox() {
    let env = with_files(&[]);
    let mut said = String::new();
    for (file, component) in shipped::ALL {
        env.write(file, component);
        let name = file.trim_end_matches(".wasm");
        let cases = format!("{}/../../plugins/{name}/cases", env!("CARGO_MANIFEST_DIR"));
        let ran = env.run(&["plugin", "test", file, "--cases", &cases]);
        ran.ends_with(0);
        let text = ran.text();
        let well = text.lines().filter(|line| line.starts_with("  ok ")).count();
        assert!(well > 5, "{text}");
        said += &format!("{name}: {}\n", if text.contains("FAIL") { "FAIL" } else { "well" });
    }
    expect![[r#"
        rules: well
        rollout: well
        reminders: well
        guard: well
    "#]]
    .assert_eq(&said);
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
    let env = with_files(&[("plugins/cases/who.toml", CASES)]);
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
              ok    its verdicts last for as long as it says

            2 of 9 failed
            - was expected, + was found. Where that is right: `deputy plugin test plugins/rules.wasm --update`
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
    let env = with_files(&[("plugins/cases/who.toml", CASES)]);
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
    let env = with_files(&[("plugins/cases/who.toml", &CASES.replace("devices =", "device ="))]);
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
fn a_case_that_fails_says_how_its_answer_is_accepted_and_what_was_not_tried() {
    let cases = "version = 1\n[common]\nsetup = { profiles = [\"lab\"] }\nsettings = { rulez = [] }\n\n\
        [[cases]]\nname = \"an iPad\"\ndevices = [{ serial_number = \"A\" }]\nexpect = \"A assign lab: rule 1\"\n";
    let env = with_files(&[("plugins/cases/who.toml", cases)]);
    check(
        &env,
        &["plugin", "test", "plugins/rules.wasm"],
        1,
        expect![[r#"
        plugins/rules.wasm

        who.toml
          FAIL  an iPad
                  - A assign lab: rule 1
                  + /rulez: unknown key `rulez` (did you mean `rules`?)

        1 of 1 failed
        what every policy must hold was not tried: it accepts the settings of no case; `--settings FILE --profile NAME` gives it others
        - was expected, + was found. Where that is right: `deputy plugin test plugins/rules.wasm --update`
    "#]],
    );
}

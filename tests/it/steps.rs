//! Workflows of more than the usual five steps: several of a kind, conditions, limits of time, and what
//! `deputy.toml` says for all of them.

use domain::id::Digest;
use expect_test::expect;
use sim::{Endpoint, Fault};

use crate::env::TestEnv;

/// One token, and the policies `rules` and `kiosk`, of which the latter knows about iPads alone and
/// ignores the rest.
fn with_kiosk() -> TestEnv {
    let env = TestEnv::new();
    let digest = Digest::of(&std::fs::read(env.file("plugins/rules.wasm")).unwrap());
    env.append(
        "deputy.toml",
        &format!(
            "\n[plugins.kiosk]\npath = \"plugins/rules.wasm\"\nsha256 = \"{digest}\"\n\
             [plugins.kiosk.settings]\ndefault = {{ ignore = true }}\n\
             rules = [{{ name = \"kiosk\", when = {{ device_family = \"iPad\" }}, assign = \"lab-ipad\" }}]\n"
        ),
    );
    env
}

/// The workflow `w` with these steps.
fn workflow(env: &TestEnv, steps: &str) {
    env.write("workflows/w.toml", format!("version = 1\nname = \"w\"\n{steps}"));
}

const SYNC: &str = "[[steps]]\nuses = \"sync\"\nretry = { attempts = 1 }\n";

#[test]
fn of_two_policies_the_first_that_does_not_ignore_a_device_decides() {
    let env = with_kiosk();
    workflow(
        &env,
        &format!(
            "{SYNC}[[steps]]\nuses = \"decide\"\npolicy = \"kiosk\"\n[[steps]]\nuses = \"decide\"\nid = \"rest\"\n\
             policy = \"rules\"\n[[steps]]\nuses = \"plan\"\n[[steps]]\nuses = \"apply\"\n"
        ),
    );
    env.add("main", &["EXEC1", "LIB1", "MAC1"]);
    env.run(&["run", "w"]).succeeds(expect![[r#""#]]);
    expect![[r#""#]].assert_eq(&env.at_apple("main"));
    env.run(&["device", "explain", "LIB1"]).succeeds(expect![[r#""#]]);
    // What the second says of a device is not undone by the first, in this run or the next.
    env.run(&["run", "w"]).succeeds(expect![[r#""#]]);
    env.run(&["device", "explain", "MAC1"]).succeeds(expect![[r#""#]]);
}

#[test]
fn each_plan_is_about_the_devices_of_its_own_policies_and_has_its_own_rails() {
    let env = with_kiosk();
    let steps = |most: u32| {
        format!(
            "{SYNC}[[steps]]\nuses = \"decide\"\npolicy = \"kiosk\"\n\
             [[steps]]\nuses = \"plan\"\nrails = {{ first_assignments = {most} }}\n[[steps]]\nuses = \"apply\"\n\
             [[steps]]\nuses = \"decide\"\npolicy = \"rules\"\nwhen = \"always\"\n\
             [[steps]]\nuses = \"plan\"\nwhen = \"always\"\n[[steps]]\nuses = \"apply\"\nwhen = \"always\"\n"
        )
    };
    env.add("main", &["LIB1", "LIB2", "MAC1"]);
    workflow(&env, &steps(1));
    // The first plan is refused. Its devices do not slip through the second.
    env.run(&["run", "w"]).fails(3, expect![[r#""#]]);
    expect![[r#""#]].assert_eq(&env.at_apple("main"));
    workflow(&env, &steps(2));
    env.run(&["run", "w"]).succeeds(expect![[r#""#]]);
    expect![[r#""#]].assert_eq(&env.at_apple("main"));
    env.run(&["plan", "w"]).succeeds(expect![[r#""#]]);
}

#[test]
fn a_policy_that_fails_can_be_stood_in_for() {
    let env = with_kiosk();
    env.write("plugins/bad.wasm", artifacts::MISBEHAVE);
    let digest = Digest::of(artifacts::MISBEHAVE);
    env.append(
        "deputy.toml",
        &format!(
            "\n[plugins.bad]\npath = \"plugins/bad.wasm\"\nsha256 = \"{digest}\"\n[plugins.bad.settings]\nbehaviour = \"trap\"\n"
        ),
    );
    let steps = |first: &str| {
        format!(
            "{SYNC}[[steps]]\nuses = \"decide\"\nid = \"main\"\npolicy = \"{first}\"\non_fault = \"fail\"\n\
             [[steps]]\nuses = \"decide\"\nid = \"fallback\"\npolicy = \"rules\"\nwhen = {{ failed = \"main\" }}\n\
             [[steps]]\nuses = \"plan\"\nwhen = {{ succeeded = [\"main\", \"fallback\"] }}\n\
             [[steps]]\nuses = \"apply\"\nwhen = {{ succeeded = \"plan\" }}\n\
             [[steps]]\nuses = \"notify\"\nwhen = {{ failed = \"main\" }}\n"
        )
    };
    env.add("main", &["MAC1"]);
    workflow(&env, &steps("bad"));
    env.run(&["run", "w"]).fails(1, expect![[r#""#]]);
    expect![[r#""#]].assert_eq(&env.at_apple("main"));
    workflow(&env, &steps("kiosk"));
    env.run(&["run", "w"]).succeeds(expect![[r#""#]]);
}

#[test]
fn a_step_is_left_out_for_the_token_for_which_nothing_changed() {
    let env = TestEnv::with_tokens(&["north", "south"]);
    workflow(
        &env,
        &format!(
            "{SYNC}[[steps]]\nuses = \"decide\"\npolicy = \"rules\"\nwhen = {{ changed = \"sync\" }}\n\
             [[steps]]\nuses = \"plan\"\n[[steps]]\nuses = \"apply\"\n"
        ),
    );
    env.add("north", &["MAC1"]);
    env.run(&["run", "w"]).succeeds(expect![[r#""#]]);
}

#[test]
fn a_step_that_takes_too_long_is_stopped_for_its_token_and_what_it_has_is_kept() {
    let env = TestEnv::with_tokens(&["north", "south"]);
    env.add("north", &["MAC1"]);
    env.add("south", &["MAC2"]);
    env.apple().fault(Fault::hang().on(Endpoint::Fetch).of_server("north"));
    workflow(
        &env,
        &format!(
            "[schedule]\ncron = \"@daily\"\n{SYNC}timeout = \"300ms\"\n[[steps]]\nuses = \"decide\"\npolicy = \"rules\"\n\
             [[steps]]\nuses = \"plan\"\n[[steps]]\nuses = \"apply\"\n"
        ),
    );
    env.run(&["run", "w"]).fails(1, expect![[r#""#]]);
    env.run(&["run", "w"]).succeeds(expect![[r#""#]]);
}

#[test]
fn a_disabled_workflow_runs_by_nothing_but_a_persons_will() {
    let env = TestEnv::new();
    env.edit(
        "workflows/auto-assign.toml",
        "name = \"auto-assign\"",
        "name = \"auto-assign\"\nenabled = false",
    );
    env.add("main", &["MAC1"]);
    env.run(&["run", "auto-assign"]).fails(2, expect![[r#""#]]);
    env.run(&["workflow", "list"]).succeeds(expect![[r#""#]]);
    env.run(&["plan", "auto-assign"]).succeeds(expect![[r#""#]]);
    env.run(&["run", "auto-assign", "--despite-disabled"]).is_done();
    assert_eq!(env.with_profile("main"), 1);
}

#[test]
fn what_deputy_toml_says_for_all_workflows_holds_where_one_says_nothing() {
    let env = TestEnv::new();
    env.add("main", &["MAC1", "MAC2"]);
    env.append("deputy.toml", "\n[defaults]\nrails = { first_assignments = 1 }\nchannels = [\"lgo\"]\n");
    env.run(&["workflow", "check"]).fails(2, expect![[r#""#]]);
    env.edit("deputy.toml", "[\"lgo\"]", "[\"log\"]");
    workflow(
        &env,
        &format!("{SYNC}[[steps]]\nuses = \"decide\"\npolicy = \"rules\"\n[[steps]]\nuses = \"plan\"\n"),
    );
    env.run(&["run", "w"]).fails(3, expect![[r#""#]]);
    // `auto-assign` has rails of its own.
    env.run(&["run", "auto-assign"]).is_done();
}

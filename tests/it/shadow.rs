//! Shadow mode: decides and records, sends nothing.

use expect_test::expect;
use sim::Endpoint;

use crate::env::{NOTIFY, TestEnv};

#[test]
fn a_workflow_in_shadow_mode_says_what_it_would_have_done_and_sends_nothing() {
    let env = TestEnv::new();
    env.add("main", &["EXEC1", "LIB1", "MAC1", "MAC2"]);
    env.run(&["run", "auto-assign"]).is_done();
    env.apple().change_device("main", "MAC1", &serde_json::json!({ "asset_tag": "EXEC-9" })).unwrap();
    env.add("main", &["LIB2"]);
    env.edit("workflows/auto-assign.toml", "version = 1", "version = 1\nmode = \"shadow\"");
    env.append("workflows/auto-assign.toml", NOTIFY);
    env.apple().clear_calls();
    let before = env.run(&["device", "explain", "MAC1"]).text();
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign (shadow), by hand: succeeded
          sync     5 devices: 1 new, 1 changed, 0 gone (the changes, 1 page)
          decide   5 devices by rules: executive-mac 2, lab-ipad 2, standard 1
          plan     1 first assignment, 1 reassignment, 3 already right
          apply    shadow, nothing is sent: would change 2 devices; of 5 devices 3 are where it wants them
                   1 device on nothing, it wants lab-ipad
                   1 device on standard, it wants executive-mac
                   hint: to do it, take `mode = "shadow"` out of the workflow
          notify   in shadow mode nobody is told
    "#]]);
    assert_eq!(env.calls(Endpoint::Assign), []);
    // What a shadow says is no reason for what is there.
    let policy = |text: &str| {
        text.lines().filter(|line| line.contains("policy")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(policy(&env.run(&["device", "explain", "MAC1"]).text()), policy(&before));
    env.run(&["runs", "list"]).succeeds(expect![[r#"
        RUN                     WORKFLOW     BY            DUE  STARTED               STATE
        RUN  auto-assign  hand, shadow  -    TIME  succeeded
        RUN  auto-assign  hand          -    TIME  succeeded
    "#]]);
    // The very same plan is not written twice, and shown all the same.
    env.run(&["run", "auto-assign"]).is_done();
    env.run(&["runs", "show", "last"]).succeeds(expect![[r#"
        run RUN of auto-assign (shadow), by hand: succeeded
          sync     5 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   5 devices by rules: executive-mac 2, lab-ipad 2, standard 1
          plan     1 first assignment, 1 reassignment, 3 already right
          apply    shadow, nothing is sent: would change 2 devices; of 5 devices 3 are where it wants them
                   1 device on nothing, it wants lab-ipad
                   1 device on standard, it wants executive-mac
                   hint: to do it, take `mode = "shadow"` out of the workflow
          notify   in shadow mode nobody is told

        the same plan as that of run RUN, which has its devices:
        SERIAL  TOKEN  PROFILE        CAME TO  BECAUSE
        LIB2    main   lab-ipad       planned  an iPad bought by the library
        MAC1    main   executive-mac  planned  a Mac of the executive pool
    "#]]);
    env.run(&["status"]).is_done();
    let status = env.json(&["status"]);
    assert_eq!(status["status"]["workflows"][0]["mode"], "shadow");
    // One line less, and it is done.
    env.edit("workflows/auto-assign.toml", "\nmode = \"shadow\"", "");
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     5 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   5 devices by rules: executive-mac 2, lab-ipad 2, standard 1
          plan     1 first assignment, 1 reassignment, 3 already right
          apply    2 assigned, 2 calls
          notify   told log
        TIME  INFO run RUN of auto-assign, by hand: succeeded
          sync     5 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   5 devices by rules: executive-mac 2, lab-ipad 2, standard 1
          plan     1 first assignment, 1 reassignment, 3 already right
          apply    2 assigned, 2 calls
    "#]]);
    assert_eq!(env.with_profile("main"), 5);
}

#[test]
fn a_plan_of_a_workflow_in_shadow_mode_is_shown_and_written_like_any_other() {
    let env = TestEnv::new();
    env.add("main", &["MAC1"]);
    env.edit("workflows/auto-assign.toml", "version = 1", "version = 1\nmode = \"shadow\"");
    env.run(&["run", "auto-assign"]).is_done();
    env.run(&["plan", "--out", "plan.json"]).succeeds(expect![[r#"
        run RUN of auto-assign (dry run), by hand: succeeded
          sync     1 device: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   1 device by rules: standard 1
          plan     define standard, 1 first assignment
          apply    a dry run ends with the plan

        SERIAL  TOKEN  GETS      HAS  BECAUSE
        MAC1    main   standard  -    everybody else
        wrote 1 action to plan.json
    "#]]);
    // It is a person who applies it.
    env.run(&["apply", "plan.json"]).is_done();
    assert_eq!(env.with_profile("main"), 1);
    env.run(&["workflow", "list"]).succeeds(expect![[r#"
        WORKFLOW         SCHEDULE      NEXT                           STEPS
        auto-assign      */15 * * * *  TIME (shadow)  sync, decide, plan, apply
        sync             7 * * * *     TIME           sync, notify
        token-reminders  0 9 * * *     TIME           remind
    "#]]);
}

#[test]
fn in_shadow_mode_a_rail_keeps_nobody_waiting() {
    let env = TestEnv::new();
    env.add("main", &["MAC1", "MAC2"]);
    env.edit("workflows/auto-assign.toml", "first_assignments = 5000", "first_assignments = 1");
    env.edit("workflows/auto-assign.toml", "version = 1", "version = 1\nmode = \"shadow\"");
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign (shadow), by hand: succeeded
          sync     2 devices: 2 new, 0 changed, 0 gone (every device, 2 pages)
          decide   2 devices by rules: standard 2
          plan     define standard, 2 first assignments
                   rail: 2 first assignments, 1 allowed
          apply    shadow, nothing is sent: would change 2 devices; of 2 devices 0 are where it wants them
                   2 devices on nothing, it wants standard
                   in earnest the plan would have waited for a person
    "#]]);
    env.run(&["approve"]).succeeds(expect![[r#"
        nothing waits for a person
    "#]]);
    env.run(&["approve", "last"]).fails(
        2,
        expect![[r#"
        error: run RUN of auto-assign has no plan that waits for a person
        hint: `deputy runs show RUN` shows what came of it
    "#]],
    );
    env.run(&["runs", "rollback", "last"]).fails(
        2,
        expect![[r#"
        error: run RUN was a run in shadow mode: there is nothing to take back
    "#]],
    );
    assert_eq!(env.calls(Endpoint::Assign), []);
}

#[test]
fn another_word_for_the_mode_is_a_mistake() {
    let env = TestEnv::new();
    env.edit("workflows/auto-assign.toml", "version = 1", "version = 1\nmode = \"shadwo\"");
    env.run(&["workflow", "check"]).fails(
        2,
        expect![[r#"
            error: unknown value `shadwo`
             --> workflows/auto-assign.toml:7:8
              |
            7 | mode = "shadwo"
              |        ^^^^^^^^
              |
              = help: did you mean `shadow`?
        "#]],
    );
}

#[test]
fn in_shadow_mode_each_of_two_plans_tells_its_own_moves_the_second_time_too() {
    let env = TestEnv::new();
    env.add("main", &["EXEC1", "LIB1", "MAC1"]);
    env.write("expected.csv", "serial_number,profile\nMAC1,lab-ipad\n");
    env.append("deputy.toml", "\n[expected.spring]\ncsv = \"expected.csv\"\n");
    env.write(
        "workflows/twice.toml",
        r#"version = 1
name = "twice"
mode = "shadow"
[[steps]]
uses = "sync"
[[steps]]
uses = "decide"
policy = "expected.spring"
[[steps]]
uses = "plan"
[[steps]]
uses = "apply"
[[steps]]
uses = "decide"
policy = "rules"
[[steps]]
uses = "plan"
[[steps]]
uses = "apply"
"#,
    );
    let moves = || {
        let shown = env.run(&["run", "twice"]).text();
        let lines =
            shown.lines().filter(|line| line.contains("shadow, nothing") || line.contains("it wants"));
        lines.map(|line| format!("{}\n", line.trim())).collect::<String>()
    };
    let first = moves();
    expect![[r#"
        apply    shadow, nothing is sent: would change 1 device; of 3 devices 0 are where it wants them
        1 device on nothing, it wants lab-ipad
        apply-2  shadow, nothing is sent: would change 2 devices; of 3 devices 0 are where it wants them
        1 device on nothing, it wants executive-mac
        1 device on nothing, it wants lab-ipad
    "#]]
    .assert_eq(&first);
    assert_eq!(moves(), first);
}

//! A plan as a file: written, looked at, and carried out as it was seen, or not at all.

use expect_test::expect;
use serde_json::{Value, json};
use sim::Endpoint;

use crate::env::TestEnv;

/// Three devices, and the plan for them in `plan.json`.
fn with_a_plan() -> TestEnv {
    let env = TestEnv::new();
    env.add("main", &["EXEC1", "LIB1", "MAC1"]);
    env.run(&["plan", "--out", "plan.json"]).is_done();
    env
}

#[test]
fn a_plan_is_written_shown_and_carried_out_later() {
    let env = TestEnv::new();
    env.add("main", &["EXEC1", "LIB1", "MAC1"]);
    env.run(&["plan", "--out", "plan.json"]).succeeds(expect![[r#"
        run RUN of auto-assign (dry run), by hand: succeeded
          sync     3 devices: 3 new, 0 changed, 0 gone (every device, 2 pages)
          decide   3 devices by rules: executive-mac 1, lab-ipad 1, standard 1
          plan     define executive-mac, lab-ipad, standard, 3 first assignments
          apply    a dry run ends with the plan

        SERIAL  TOKEN  GETS           HAS  BECAUSE
        EXEC1   main   executive-mac  -    a Mac of the executive pool
        LIB1    main   lab-ipad       -    an iPad bought by the library
        MAC1    main   standard       -    everybody else
        wrote 3 actions to plan.json
    "#]]);
    expect![[r#"
        {
        "version": 1,
        "kind": "deputy-plan",
        "run": "RUN",
        "workflow": "auto-assign",
        "made_at": TIME
        "plans": [
        {
        "token": "main",
        "server": "ID",
        "synced_at": TIME
        "cursor": "DIGEST",
        "plan": "DIGEST",
        "totals": {"devices":3,"first_assignments":3,"reassignments":0,"skips":{},"by_profile":{"executive-mac":1,"lab-ipad":1,"standard":1},"defines":["executive-mac","lab-ipad","standard"]},
        "breaches": [],
        "profiles": {"executive-mac":"DIGEST","lab-ipad":"DIGEST","standard":"DIGEST"},
        "actions": [
        {"serial_number":"EXEC1","from":null,"to":"executive-mac","reason":"a Mac of the executive pool"},
        {"serial_number":"LIB1","from":null,"to":"lab-ipad","reason":"an iPad bought by the library"},
        {"serial_number":"MAC1","from":null,"to":"standard","reason":"everybody else"}
        ]
        }
        ],
        "digest": "DIGEST"
        }
    "#]].assert_eq(&env.normal(&timeless(&env.read("plan.json"))));
    assert_eq!(env.calls(Endpoint::Assign), []);
    env.run(&["apply", "plan.json"]).succeeds(expect![[r#"
        run RUN of apply-by-hand, by hand: succeeded
          sync     3 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          plan     the plan of run RUN of auto-assign: define executive-mac, lab-ipad, standard, 3 first assignments
          apply    defined executive-mac, lab-ipad, standard, 3 assigned, 3 calls

        SERIAL  TOKEN  GETS           HAS  BECAUSE
        EXEC1   main   executive-mac  -    a Mac of the executive pool
        LIB1    main   lab-ipad       -    an iPad bought by the library
        MAC1    main   standard       -    everybody else
    "#]]);
    expect![[r#"
        EXEC1: Executive Mac
        LIB1: Lab iPad
        MAC1: Standard
    "#]]
    .assert_eq(&env.at_apple("main"));
    // Again: all of it is there, which does not matter.
    env.apple().clear_calls();
    env.run(&["apply", "plan.json"]).succeeds(expect![[r#"
        run RUN of apply-by-hand, by hand: succeeded
          sync     3 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          plan     the plan of run RUN of auto-assign: nothing to do, 3 already right
          apply    nothing to do
    "#]]);
    assert_eq!(env.calls(Endpoint::Assign), []);
}

#[test]
fn what_moved_on_in_a_way_that_matters_refuses_all_of_it_with_examples() {
    let env = TestEnv::new();
    env.add("main", &["EXEC1", "LIB1", "LIB2", "MAC1", "MAC2"]);
    env.run(&["run", "auto-assign"]).is_done();
    env.apple().change_device("main", "LIB1", &json!({ "asset_tag": "POOL-9" })).unwrap();
    env.apple().change_device("main", "LIB2", &json!({ "asset_tag": "POOL-9" })).unwrap();
    env.apple().change_device("main", "MAC1", &json!({ "asset_tag": "EXEC-9" })).unwrap();
    env.add("main", &["MAC3"]);
    env.run(&["plan", "--out", "plan.json"]).is_done();
    env.apple().remove_device("main", "LIB1", true).unwrap();
    env.run(&["assign", "executive-mac", "LIB2", "MAC3", "--yes"]).is_done();
    env.run(&["unassign", "--token", "main", "MAC1", "--yes"]).is_done();
    env.apple().clear_calls();
    env.run(&["apply", "plan.json"]).fails(
        3,
        expect![[r#"
            run RUN of apply-by-hand, by hand: refused, since the world has moved on; nothing was changed
              sync     5 devices: 0 new, 1 changed, 0 gone (the changes, 1 page)
              plan     refused: the world is not the one the plan was made for
                       1 device not the token's any more: LIB1
                       1 device given a profile by somebody since: MAC3
                       1 device on another profile than the plan says: LIB2
                       1 device without the profile that the plan says: MAC1
                       hint: `deputy plan auto-assign --out FILE` makes the plan anew; look at it, then `deputy apply FILE`
        "#]],
    );
    assert_eq!(env.calls(Endpoint::Assign), []);
    env.run(&["runs", "list"]).succeeds(expect![[r#"
        RUN                     WORKFLOW          BY         DUE  STARTED               STATE
        RUN  apply-by-hand     hand       -    TIME  refused
        RUN  unassign-by-hand  hand       -    TIME  succeeded
        RUN  assign-by-hand    hand       -    TIME  succeeded
        RUN  auto-assign       hand, dry  -    TIME  succeeded
        RUN  auto-assign       hand       -    TIME  succeeded
    "#]]);
}

#[test]
fn a_profile_that_says_something_else_refuses_the_plan() {
    let env = with_a_plan();
    env.edit("profiles/lab-ipad.toml", "department = ", "department = \"New \" # ");
    env.run(&["apply", "plan.json"]).fails(
        3,
        expect![[r#"
            run RUN of apply-by-hand, by hand: refused, since the world has moved on; nothing was changed
              sync     3 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
              plan     refused: the world is not the one the plan was made for
                       the profile `lab-ipad` says something else now
                       hint: `deputy plan auto-assign --out FILE` makes the plan anew; look at it, then `deputy apply FILE`
        "#]],
    );
    assert_eq!(env.with_profile("main"), 0);
}

#[test]
fn what_does_not_matter_is_told_and_the_rest_is_done() {
    let env = with_a_plan();
    env.add("main", &["MAC2", "MAC3"]);
    env.run(&["assign", "standard", "MAC1", "--yes"]).is_done();
    env.run(&["apply", "plan.json"]).succeeds(expect![[r#"
        run RUN of apply-by-hand, by hand: succeeded
          sync     5 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          plan     the plan of run RUN of auto-assign: define executive-mac, lab-ipad, 2 first assignments, 1 already right
                   2 devices came since it was made, and it does not know them
          apply    defined executive-mac, lab-ipad, 2 assigned, 2 calls

        SERIAL  TOKEN  GETS           HAS  BECAUSE
        EXEC1   main   executive-mac  -    a Mac of the executive pool
        LIB1    main   lab-ipad       -    an iPad bought by the library
    "#]]);
    expect![[r#"
        EXEC1: Executive Mac
        LIB1: Lab iPad
        MAC1: Standard
        MAC2: nothing
        MAC3: nothing
    "#]]
    .assert_eq(&env.at_apple("main"));
}

#[test]
fn the_rails_of_the_workflow_hold_for_a_file_too() {
    let env = with_a_plan();
    env.edit("workflows/auto-assign.toml", "first_assignments = 5000", "first_assignments = \"50%\"");
    env.run(&["apply", "plan.json"]).fails(
        3,
        expect![[r#"
        run RUN of apply-by-hand, by hand: refused by a rail; nothing was changed
          sync     3 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          plan     refused: define executive-mac, lab-ipad, standard, 3 first assignments
                   rail: 3 first assignments, 1 allowed (50% of 3 devices)
                   hint: if it is right, `--first-assignments 3` lets it through, this once
    "#]],
    );
    assert_eq!(env.with_profile("main"), 0);
    env.run(&["apply", "plan.json", "--first-assignments", "100%"]).is_done();
    assert_eq!(env.with_profile("main"), 3);
}

#[test]
fn a_file_that_was_changed_or_is_none_is_refused_before_anything_is_asked() {
    let env = with_a_plan();
    env.apple().clear_calls();
    let text = env.read("plan.json");
    let check = |content: &str, expected: expect_test::Expect| {
        env.write("other.json", content);
        env.run(&["apply", "other.json"]).fails(2, expected);
    };
    check(
        &text.replace("\"MAC1\"", "\"MAC7\""),
        expect![[r#"
            error: cannot carry out other.json
              caused by: it was changed since Deputy wrote it: its digest is that of another plan
            hint: `deputy plan WORKFLOW --out FILE` makes it anew; `deputy assign` is for other devices
        "#]],
    );
    check(
        &text.replace("\"version\": 1", "\"version\": 2"),
        expect![[r#"
        error: cannot carry out other.json
          caused by: it is of version 2 of the format, which this Deputy does not know
        hint: use the Deputy that wrote it, or a newer one
    "#]],
    );
    check(
        &text.replace("\"made_at\"", "\"maid_at\""),
        expect![[r#"
            error: cannot carry out other.json
              caused by: not a plan of Deputy's: unknown field `maid_at`, expected one of `version`, `kind`, `run`, `workflow`, `made_at`, `plans`, `digest` at line 6 column 9
            hint: `deputy plan WORKFLOW --out FILE` writes such a file
        "#]],
    );
    check(
        // In the middle of a word: half of the file is now here, now there, as times have more digits or fewer.
        &text[..text.find("plans").unwrap() + 2],
        expect![[r#"
            error: cannot carry out other.json
              caused by: not a plan of Deputy's: EOF while parsing a string at line 7 column 3
            hint: `deputy plan WORKFLOW --out FILE` writes such a file
        "#]],
    );
    check(
        "",
        expect![[r#"
            error: cannot carry out other.json
              caused by: not a plan of Deputy's: EOF while parsing a value at line 1 column 0
            hint: `deputy plan WORKFLOW --out FILE` writes such a file
        "#]],
    );
    check(
        "{}",
        expect![[r#"
            error: cannot carry out other.json
              caused by: not a plan of Deputy's: missing field `version` at line 1 column 2
            hint: `deputy plan WORKFLOW --out FILE` writes such a file
        "#]],
    );
    check(
        "PK\u{3}\u{4}",
        expect![[r#"
            error: cannot carry out other.json
              caused by: not a plan of Deputy's: expected value at line 1 column 1
            hint: `deputy plan WORKFLOW --out FILE` writes such a file
        "#]],
    );
    env.run(&["apply", "nowhere.json"]).fails(
        2,
        expect![[r#"
        error: cannot read nowhere.json
          caused by: No such file or directory (os error 2)
    "#]],
    );
    env.run(&["apply", "."]).fails(
        1,
        expect![[r#"
        error: cannot read .
          caused by: Is a directory (os error 21)
    "#]],
    );
    env.run(&["apply", "plan.json", "--token", "other"]).fails(
        2,
        expect![[r#"
        error: the plan says nothing of the token `other`
        hint: it is for main
    "#]],
    );
    assert_eq!(env.apple().calls(), []);
}

#[test]
fn a_plan_of_several_tokens_is_refused_for_each_apart() {
    let env = TestEnv::with_tokens(&["amer", "emea"]);
    env.add("amer", &["MAC1"]);
    env.add("emea", &["MAC2"]);
    env.run(&["plan", "--out", "plan.json"]).is_done();
    env.apple().remove_device("emea", "MAC2", true).unwrap();
    env.run(&["apply", "plan.json"]).fails(
        3,
        expect![[r#"
            run RUN of apply-by-hand, by hand: refused in part
              sync     amer: 1 device: 0 new, 0 changed, 0 gone (the changes, 1 page)
              plan     amer: the plan of run RUN of auto-assign: define standard, 1 first assignment
              apply    amer: defined standard, 1 assigned, 1 call
              sync     emea: 0 devices: 0 new, 0 changed, 1 gone (the changes, 1 page)
              plan     emea: refused: the world is not the one the plan was made for
                       1 device not the token's any more: MAC2
                       hint: `deputy plan auto-assign --out FILE` makes the plan anew; look at it, then `deputy apply FILE`

            SERIAL  TOKEN  GETS      HAS  BECAUSE
            MAC1    amer   standard  -    everybody else
        "#]],
    );
    assert_eq!((env.with_profile("amer"), env.with_profile("emea")), (1, 0));
    env.run(&["apply", "plan.json", "--token", "amer"]).is_done();
}

#[test]
fn the_plan_for_another_server_of_the_same_name_is_refused() {
    let env = with_a_plan();
    let mut plan: Value = serde_json::from_str(&env.read("plan.json")).unwrap();
    plan["plans"][0]["server"] = "ANOTHER".into();
    plan["digest"] = "".into();
    // Whoever can work out a digest still meets the world as it is.
    let digest = domain::id::Digest::of(in_order(&plan).as_bytes());
    plan["digest"] = digest.as_str().into();
    env.write("other.json", plan.to_string());
    env.run(&["apply", "other.json"]).fails(
        3,
        expect![[r#"
            run RUN of apply-by-hand, by hand: refused, since the world has moved on; nothing was changed
              sync     3 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
              plan     refused: the world is not the one the plan was made for
                       the token is of another server than the plan was made for
                       hint: `deputy plan auto-assign --out FILE` makes the plan anew; look at it, then `deputy apply FILE`
        "#]],
    );
}

/// A time has as many digits as it happens to need.
fn timeless(text: &str) -> String {
    let line = |line: &str| match line.split_once(':') {
        Some((key @ ("\"made_at\"" | "\"synced_at\""), _)) => format!("{key}: TIME\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// The document as its digest is taken: compact, with its keys in the order of the format.
fn in_order(plan: &Value) -> String {
    let keys = |value: &Value, keys: &[&str]| -> String {
        let one = |key: &&str| format!("\"{key}\":{}", value[*key]);
        keys.iter().filter(|key| value.get(**key).is_some()).map(one).collect::<Vec<_>>().join(",")
    };
    let action = |action: &Value| {
        format!("{{{}}}", keys(action, &["serial_number", "from", "from_name", "to", "reason"]))
    };
    let totals = ["devices", "first_assignments", "reassignments", "skips", "by_profile", "defines"];
    let plans = plan["plans"].as_array().unwrap().iter().map(|plan| {
        let actions: Vec<String> = plan["actions"].as_array().unwrap().iter().map(action).collect();
        format!(
            "{{{},\"totals\":{{{}}},{},\"actions\":[{}]}}",
            keys(plan, &["token", "server", "synced_at", "cursor", "plan"]),
            keys(&plan["totals"], &totals),
            keys(plan, &["breaches", "profiles"]),
            actions.join(",")
        )
    });
    format!(
        "{{{},\"plans\":[{}],{}}}",
        keys(plan, &["version", "kind", "run", "workflow", "made_at"]),
        plans.collect::<Vec<_>>().join(","),
        keys(plan, &["digest"])
    )
}

#[test]
fn a_plan_goes_where_it_is_sent_and_nothing_else_is_touched() {
    let env = TestEnv::new();
    env.add("main", &["EXEC1"]);
    env.write("victim.txt", "precious");
    std::os::unix::fs::symlink(env.file("victim.txt"), env.file("plan.json.new")).unwrap();
    env.run(&["plan", "--out", "plan.json"]).is_done();
    assert_eq!(env.read("victim.txt"), "precious");
    let file = env.json(&["plan", "--out", "-"]);
    assert_eq!(file["kind"], "deputy-plan");
    env.run(&["plan", "--out", "/dev/null"]).is_done();
    env.apple().clear_calls();
    env.run(&["plan", "--out", "no/such/plan.json"]).fails(
        2,
        expect![[r#"
        error: cannot write no/such/plan.json
          caused by: No such file or directory (os error 2)
    "#]],
    );
    assert!(env.apple().calls().is_empty(), "found before the run");
}

#[test]
fn a_workflow_that_plans_nothing_has_nothing_to_write() {
    let env = TestEnv::new();
    env.write("workflows/fetch.toml", "version = 1\nname = \"fetch\"\n[[steps]]\nuses = \"sync\"\n");
    env.run(&["plan", "fetch", "--out", "plan.json"]).fails(
        2,
        expect![[r#"
        error: fetch plans nothing, so there is nothing to write
        hint: `deputy workflow list` shows which workflows have a step `plan`
    "#]],
    );
    assert!(!env.file("plan.json").exists());
}

#[test]
fn a_plan_file_fits_its_schema_and_one_with_another_key_does_not() {
    let env = TestEnv::new();
    env.add("main", &["EXEC1", "LIB1"]);
    env.run(&["run", "auto-assign"]).is_done();
    env.add("main", &["MAC1"]);
    env.edit("profiles/lab-ipad.toml", "department = ", "department = \"New \" # ");
    env.edit("workflows/auto-assign.toml", "reassignments = 25", "reassignments = \"0%\"");
    env.run(&["plan", "--out", "plan.json"]).ends_with(4);
    let mut plan: Value = serde_json::from_str(&env.read("plan.json")).unwrap();
    let schema: Value = serde_json::from_str(&env.run(&["schema", "plan"]).raw()).unwrap();
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("plan.json", schema).unwrap();
    let schema = compiler.compile("plan.json", &mut schemas).unwrap();
    let fits = |plan: &Value| schemas.validate(plan, schema).map_err(|error| error.to_string());
    assert_eq!(fits(&plan), Ok(()));
    let first = &plan["plans"][0];
    let from: Vec<_> =
        first["actions"].as_array().unwrap().iter().map(|it| it["from_name"].as_str()).collect();
    expect![[
        r#"[{"reassignments":{"allowed":0,"part":["0%",3],"wanted":1}}] [Some("an older lab-ipad"), None]"#
    ]]
    .assert_eq(&format!("{} {from:?}", first["breaches"]));
    plan["plans"][0]["actions"][0]["too"] = "lab-ipad".into();
    assert!(fits(&plan).is_err());
}

#[test]
fn a_profile_that_changed_is_told_from_what_it_was() {
    let env = TestEnv::new();
    env.add("main", &["LIB1"]);
    env.run(&["run", "auto-assign"]).is_done();
    env.edit("profiles/lab-ipad.toml", "department = ", "department = \"New \" # ");
    env.edit("workflows/auto-assign.toml", "version = 1", "version = 1\nmode = \"shadow\"");
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign (shadow), by hand: succeeded
          sync     1 device: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   1 device by rules: lab-ipad 1
          plan     define lab-ipad, 1 reassignment
          apply    shadow, nothing is sent: would change 1 device; of 1 device 0 are where it wants them
                   1 device on an older lab-ipad, it wants lab-ipad
                   hint: to do it, take `mode = "shadow"` out of the workflow
    "#]]);
    env.edit("workflows/auto-assign.toml", "\nmode = \"shadow\"", "");
    env.run(&["plan", "--out", "plan.json"]).succeeds(expect![[r#"
        run RUN of auto-assign (dry run), by hand: succeeded
          sync     1 device: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   1 device by rules: lab-ipad 1
          plan     define lab-ipad, 1 reassignment
          apply    a dry run ends with the plan

        SERIAL  TOKEN  GETS      HAS                BECAUSE
        LIB1    main   lab-ipad  an older lab-ipad  an iPad bought by the library
        wrote 1 action to plan.json
    "#]]);
    let plan: Value = serde_json::from_str(&env.read("plan.json")).unwrap();
    assert_eq!(plan["plans"][0]["actions"][0]["from_name"], "an older lab-ipad");
    let explained = |what: &str| {
        let text = env.run(&["device", "explain", "LIB1"]).text();
        text.lines().filter(|line| line.trim_start().starts_with(what)).collect::<Vec<_>>().join("\n")
    };
    expect!["  profile   an older lab-ipad"].assert_eq(&explained("profile"));
    env.run(&["apply", "plan.json"]).is_done();
    expect!["  profile   lab-ipad"].assert_eq(&explained("profile"));
    env.run(&["runs", "rollback", "last"]).fails(4, expect![[r#"
        changes 1 device of main:
        SERIAL  HAS       GETS
        LIB1    lab-ipad  an older lab-ipad
        note: auto-assign would move 1 device on at its next run, TIME: LIB1 to lab-ipad, since rules says: an iPad bought by the library
        hint: change the policy, or `deputy workflow pause auto-assign --reason TEXT` first
        error: it was not confirmed, so nothing was changed
        hint: `--yes` confirms it
    "#]]);
    env.run(&["runs", "rollback", "last", "--yes"]).is_done();
    env.run(&["runs", "show", "last"]).succeeds(expect![[r#"
        run RUN of rollback-by-hand, by hand: succeeded
          sync     1 device: 0 new, 0 changed, 0 gone (the changes, 1 page)
          plan     run RUN taken back: 1 reassignment
          apply    1 assigned, 1 call

        SERIAL  TOKEN  PROFILE            CAME TO    BECAUSE
        LIB1    main   an older lab-ipad  succeeded  takes run RUN back
    "#]]);
    env.run(&["device", "history", "LIB1"]).succeeds(expect![[r#"
        LIB1 of token main
          TIME  run RUN: listed for the first time
          TIME  run RUN: rules says lab-ipad: an iPad bought by the library
          TIME  run RUN: assignment of an older lab-ipad: succeeded
          TIME  run RUN: Apple shows what was assigned
          TIME  run RUN: assignment of lab-ipad: succeeded
          TIME  run RUN: Apple shows what was assigned
          TIME  run RUN: assignment of an older lab-ipad: succeeded
    "#]]);
}

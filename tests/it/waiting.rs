//! Plans that wait for a person: asked once, approved by their digest, refused, replaced, lapsed.

use expect_test::expect;
use sim::Endpoint;

use crate::env::TestEnv;

/// Two devices on `standard`, whose file has changed since, and a rail that lets one of them move.
fn that_waits() -> TestEnv {
    let env = TestEnv::new();
    env.add("main", &["MAC1", "MAC2"]);
    env.run(&["run", "auto-assign"]).is_done();
    env.edit("workflows/auto-assign.toml", "reassignments = 25", "reassignments = 1");
    env.edit("profiles/standard.toml", "department = \"IT\"", "department = \"Workplace\"");
    env.apple().clear_calls();
    env
}

/// What people were told so far, without the rest of it.
fn messages(env: &TestEnv) -> String {
    let outbox = env.json(&["outbox", "list", "--all"]);
    let subjects = outbox["deliveries"].as_array().unwrap().iter().map(|it| it["subject"].as_str().unwrap());
    env.normal(&subjects.map(|subject| format!("{subject}\n")).collect::<String>())
}

/// What `deputy status` says a person has to see to.
fn needs_a_person(env: &TestEnv) -> String {
    let status = env.json(&["status"]);
    let lines = status["status"]["needs_a_person"].as_array().unwrap().iter().map(|it| it.as_str().unwrap());
    env.normal(&lines.map(|line| format!("{line}\n")).collect::<String>())
}

#[test]
fn a_plan_that_breaks_a_rail_waits_and_goes_ahead_when_a_person_approves_it() {
    let env = that_waits();
    env.run(&["run", "auto-assign"]).fails(4, expect![[r#"
        run RUN of auto-assign, by hand: waits for a person
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by rules: standard 2
          plan     waits for a person: define standard, 2 reassignments
                   rail: 2 reassignments, 1 allowed
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
        TIME ERROR run RUN of auto-assign, by hand: waits for a person
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by rules: standard 2
          plan     waits for a person: define standard, 2 reassignments
                   rail: 2 reassignments, 1 allowed
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
    "#]]);
    assert_eq!(env.calls(Endpoint::Assign), []);
    env.run(&["runs", "show", "last"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: waits for a person
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by rules: standard 2
          plan     waits for a person: define standard, 2 reassignments
                   rail: 2 reassignments, 1 allowed
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME

        SERIAL  TOKEN  PROFILE   CAME TO  BECAUSE
        MAC1    main   standard  waits    everybody else
        MAC2    main   standard  waits    everybody else
    "#]]);
    env.run(&["approve"]).succeeds(expect![[r#"
        RUN                     WORKFLOW     TOKEN  SINCE                 LAPSES     BECAUSE
        RUN  auto-assign  main   TIME  in 3 days  rail: 2 reassignments, 1 allowed; define standard, 2 reassignments
    "#]]);
    env.run(&["status"]).ends_with(4);
    expect![[r#"
        run RUN of auto-assign waits for a word on its plan for main, lapses in 3 days: rail: 2 reassignments, 1 allowed; define standard, 2 reassignments: deputy approve RUN
    "#]].assert_eq(&needs_a_person(&env));
    env.run(&["approve", "last", "--yes"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by rules: standard 2
          plan     define standard, 2 reassignments
                   rail: 2 reassignments, 1 allowed
                   approved by anna, after run RUN had asked
          apply    defined standard, 2 assigned, 1 call
    "#]]);
    assert_eq!(env.apple().most_assignments_of_one_device(), 2);
    env.run(&["runs", "list"]).succeeds(expect![[r#"
        RUN                     WORKFLOW     BY    DUE  STARTED               STATE
        RUN  auto-assign  hand  -    TIME  succeeded
        RUN  auto-assign  hand  -    TIME  approved
        RUN  auto-assign  hand  -    TIME  succeeded
    "#]]);
    env.run(&["status"]).is_done();
}

#[test]
fn the_same_plan_waits_on_and_nobody_is_asked_again() {
    let env = that_waits();
    env.run(&["run", "auto-assign"]).ends_with(4);
    env.run(&["run", "auto-assign"]).fails(4, expect![[r#"
        run RUN of auto-assign, by hand: needs a person
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by rules: standard 2
          plan     waits for a person: define standard, 2 reassignments
                   rail: 2 reassignments, 1 allowed
                   it is the plan that run RUN asked about
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
    "#]]);
    env.run(&["runs", "list"]).succeeds(expect![[r#"
        RUN                     WORKFLOW     BY    DUE  STARTED               STATE
        RUN  auto-assign  hand  -    TIME  needs-person
        RUN  auto-assign  hand  -    TIME  waiting
        RUN  auto-assign  hand  -    TIME  succeeded
    "#]]);
    // The message of the first run, and none of the second.
    expect![[r#"
        run RUN of auto-assign, by hand: waits for a person
    "#]]
    .assert_eq(&messages(&env));
    // The run that was not asked leads to the one that was.
    env.run(&["approve", "last", "--yes"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by rules: standard 2
          plan     define standard, 2 reassignments
                   rail: 2 reassignments, 1 allowed
                   approved by anna, after run RUN had asked
          apply    defined standard, 2 assigned, 1 call
    "#]]);
    assert_eq!(env.calls(Endpoint::Assign).len(), 1);
}

#[test]
fn another_plan_takes_its_place_and_says_how_it_differs() {
    let env = that_waits();
    env.run(&["run", "auto-assign"]).ends_with(4);
    let first = env.json(&["runs", "list"])["runs"][0]["id"].as_str().unwrap().to_owned();
    env.add("main", &["MAC3"]);
    env.run(&["approve", &first, "--yes"]).fails(4, expect![[r#"
        run RUN of auto-assign, by hand: waits for a person
          sync     3 devices: 1 new, 0 changed, 0 gone (the changes, 1 page)
          decide   3 devices by rules: standard 3
          plan     waits for a person: define standard, 1 first assignment, 2 reassignments
                   rail: 2 reassignments, 1 allowed
                   it is not the plan of run RUN, which it takes the place of: 1 device more, such as MAC3
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
        TIME ERROR run RUN of auto-assign, by hand: waits for a person
          sync     3 devices: 1 new, 0 changed, 0 gone (the changes, 1 page)
          decide   3 devices by rules: standard 3
          plan     waits for a person: define standard, 1 first assignment, 2 reassignments
                   rail: 2 reassignments, 1 allowed
                   it is not the plan of run RUN, which it takes the place of: 1 device more, such as MAC3
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
    "#]]);
    assert_eq!(env.calls(Endpoint::Assign), []);
    env.run(&["runs", "list"]).succeeds(expect![[r#"
        RUN                     WORKFLOW     BY    DUE  STARTED               STATE
        RUN  auto-assign  hand  -    TIME  waiting
        RUN  auto-assign  hand  -    TIME  replaced
        RUN  auto-assign  hand  -    TIME  succeeded
    "#]]);
    env.run(&["approve", &first, "--yes"]).fails(
        2,
        expect![[r#"
        error: the plan of run RUN is over: approved by anna, and replaced by the plan of run RUN before it was carried out, TIME
        hint: `deputy approve` shows what waits
    "#]],
    );
    env.edit("profiles/standard.toml", "department = \"Workplace\"", "department = \"Work\"");
    env.run(&["run", "auto-assign"]).fails(4, expect![[r#"
        run RUN of auto-assign, by hand: waits for a person
          sync     3 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   3 devices by rules: standard 3
          plan     waits for a person: define standard, 1 first assignment, 2 reassignments
                   rail: 2 reassignments, 1 allowed
                   it is not the plan of run RUN, which it takes the place of: the profile standard says something else
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
        TIME ERROR run RUN of auto-assign, by hand: waits for a person
          sync     3 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   3 devices by rules: standard 3
          plan     waits for a person: define standard, 1 first assignment, 2 reassignments
                   rail: 2 reassignments, 1 allowed
                   it is not the plan of run RUN, which it takes the place of: the profile standard says something else
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
    "#]]);
    env.run(&["approve", "last", "--yes"]).is_done();
    assert_eq!(env.with_profile("main"), 3);
}

#[test]
fn a_person_can_refuse_and_change_their_mind() {
    let env = that_waits();
    env.run(&["run", "auto-assign"]).ends_with(4);
    env.run(&["approve", "last", "--refuse"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: refused by anna; nothing was changed
    "#]]);
    env.run(&["approve"]).succeeds(expect![[r#"
        nothing waits for a person
    "#]]);
    // The very same plan is not asked about again.
    env.run(&["run", "auto-assign"]).fails(
        3,
        expect![[r#"
        run RUN of auto-assign, by hand: refused by anna; nothing was changed
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by rules: standard 2
          plan     refused: define standard, 2 reassignments
                   anna has refused this very plan, of run RUN
                   hint: `deputy approve RUN` lets it through after all
    "#]],
    );
    assert_eq!(env.calls(Endpoint::Assign), []);
    env.run(&["approve", "last", "--refuse"]).fails(
        2,
        expect![[r#"
        error: the plan of run RUN was refused by anna before
    "#]],
    );
    env.run(&["approve", "last", "--yes"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by rules: standard 2
          plan     define standard, 2 reassignments
                   rail: 2 reassignments, 1 allowed
                   approved by anna, after run RUN had asked
          apply    defined standard, 2 assigned, 1 call
    "#]]);
    env.run(&["runs", "list"]).succeeds(expect![[r#"
        RUN                     WORKFLOW     BY    DUE  STARTED               STATE
        RUN  auto-assign  hand  -    TIME  succeeded
        RUN  auto-assign  hand  -    TIME  refused
        RUN  auto-assign  hand  -    TIME  approved
        RUN  auto-assign  hand  -    TIME  succeeded
    "#]]);
}

#[test]
fn a_plan_that_nobody_approves_lapses_and_says_so() {
    let env = that_waits();
    env.edit("workflows/auto-assign.toml", "uses = \"plan\"", "uses = \"plan\"\napprove_within = \"2h\"");
    env.run(&["run", "auto-assign"]).ends_with(4);
    let run = env.json(&["runs", "list"])["runs"][0]["id"].as_str().unwrap().to_owned();
    let moved = "UPDATE waiting SET since = since - 7200000, until = until - 7200000";
    assert_eq!(env.store().execute(moved, []).unwrap(), 1);
    env.run(&["approve", &run, "--yes"]).fails(
        2,
        expect![[r#"
        error: the plan of run RUN is over: lapsed, since nobody approved it in time, TIME
        hint: `deputy run auto-assign` asks again, if it is still so
    "#]],
    );
    env.run(&["runs", "show", &run]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: waited for a person; lapsed, since nobody approved it in time; nothing was changed
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by rules: standard 2
          plan     lapsed, since nobody approved it in time: define standard, 2 reassignments
                   rail: 2 reassignments, 1 allowed

        SERIAL  TOKEN  PROFILE   CAME TO  BECAUSE
        MAC1    main   standard  lapsed   everybody else
        MAC2    main   standard  lapsed   everybody else
    "#]]);
    expect![[r#"
        run RUN of auto-assign, by hand: waits for a person
        run RUN of auto-assign: nobody approved its plan for main in time
    "#]]
    .assert_eq(&messages(&env));
    // The next run asks anew.
    env.run(&["run", "auto-assign"]).ends_with(4);
    env.run(&["approve", "last", "--yes"]).is_done();
}

#[test]
fn what_a_dry_run_asks_is_not_carried_out_in_passing() {
    let env = that_waits();
    env.run(&["plan"]).fails(4, expect![[r#"
        run RUN of auto-assign (dry run), by hand: needs a person
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by rules: standard 2
          plan     would wait for a person: define standard, 2 reassignments
                   rail: 2 reassignments, 1 allowed
                   hint: `deputy run auto-assign` asks in earnest; `deputy approve RUN --yes` carries out this very plan

        SERIAL  TOKEN  GETS      HAS                BECAUSE
        MAC1    main   standard  an older standard  everybody else
        MAC2    main   standard  an older standard  everybody else
    "#]]);
    env.run(&["approve"]).succeeds(expect![[r#"
        nothing waits for a person
    "#]]);
    env.run(&["approve", "last"]).fails(
        4,
        expect![[r#"
            auto-assign for main: define standard, 2 reassignments
              rail: 2 reassignments, 1 allowed
              2 devices: an older standard -> standard
            SERIAL  HAS                GETS      BECAUSE
            MAC1    an older standard  standard  everybody else
            MAC2    an older standard  standard  everybody else
            note: run RUN was a dry run, only to see: nothing waits for an answer
            error: it was not confirmed, so nothing was changed
            hint: `deputy approve RUN --yes` confirms it
        "#]],
    );
    assert_eq!(env.calls(Endpoint::Assign), []);
    env.run(&["approve", "last", "--yes"]).is_done();
    assert_eq!(env.calls(Endpoint::Assign).len(), 1);
}

#[test]
fn a_run_by_hand_with_other_rails_settles_what_waits() {
    let env = that_waits();
    env.run(&["run", "auto-assign"]).ends_with(4);
    env.run(&["run", "auto-assign", "--reassignments", "100%"]).is_done();
    env.run(&["approve"]).succeeds(expect![[r#"
        nothing waits for a person
    "#]]);
    env.run(&["runs", "list"]).succeeds(expect![[r#"
        RUN                     WORKFLOW     BY    DUE  STARTED               STATE
        RUN  auto-assign  hand  -    TIME  succeeded
        RUN  auto-assign  hand  -    TIME  approved
        RUN  auto-assign  hand  -    TIME  succeeded
    "#]]);
}

#[test]
fn each_token_waits_for_itself() {
    let env = TestEnv::with_tokens(&["amer", "emea"]);
    env.add("amer", &["MAC1"]);
    env.add("emea", &["MAC2", "MAC3"]);
    env.edit("workflows/auto-assign.toml", "first_assignments = 5000", "first_assignments = 1");
    env.run(&["run", "auto-assign"]).fails(4, expect![[r#"
        run RUN of auto-assign, by hand: waits for a person
          sync     amer: 1 device: 1 new, 0 changed, 0 gone (every device, 2 pages)
          decide   amer: 1 device by rules: standard 1
          plan     amer: define standard, 1 first assignment
          apply    amer: defined standard, 1 assigned, 1 call
          sync     emea: 2 devices: 2 new, 0 changed, 0 gone (every device, 2 pages)
          decide   emea: 2 devices by rules: standard 2
          plan     emea: waits for a person: define standard, 2 first assignments
                   rail: 2 first assignments, 1 allowed
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
        TIME ERROR run RUN of auto-assign, by hand: waits for a person
          sync     amer: 1 device: 1 new, 0 changed, 0 gone (every device, 2 pages)
          decide   amer: 1 device by rules: standard 1
          plan     amer: define standard, 1 first assignment
          apply    amer: defined standard, 1 assigned, 1 call
          sync     emea: 2 devices: 2 new, 0 changed, 0 gone (every device, 2 pages)
          decide   emea: 2 devices by rules: standard 2
          plan     emea: waits for a person: define standard, 2 first assignments
                   rail: 2 first assignments, 1 allowed
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
    "#]]);
    assert_eq!((env.with_profile("amer"), env.with_profile("emea")), (1, 0));
    env.run(&["approve", "last", "--yes"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by rules: standard 2
          plan     define standard, 2 first assignments
                   rail: 2 first assignments, 1 allowed
                   approved by anna, after run RUN had asked
          apply    defined standard, 2 assigned, 1 call
    "#]]);
    assert_eq!(env.with_profile("emea"), 2);
}

#[test]
fn approving_what_is_not_there_says_so() {
    let env = TestEnv::new();
    env.run(&["approve"]).succeeds(expect![[r#"
        nothing waits for a person
    "#]]);
    env.run(&["approve", "last", "--yes"]).fails(
        2,
        expect![[r#"
        error: there is no run `last`
        hint: `deputy runs list` shows them
    "#]],
    );
    env.run(&["approve", "--refuse"]).fails(
        2,
        expect![[r#"
        error: say which run is meant
        hint: `deputy approve` shows what waits
    "#]],
    );
    env.add("main", &["MAC1"]);
    env.run(&["run", "auto-assign"]).is_done();
    env.run(&["approve", "last", "--yes"]).fails(
        2,
        expect![[r#"
        error: run RUN of auto-assign has no plan that waits for a person
        hint: `deputy runs show RUN` shows what came of it
    "#]],
    );
    env.run(&["approve", "20260101-000000-aaaaaa"]).fails(
        2,
        expect![[r#"
        error: there is no run `RUN`
        hint: `deputy runs list` shows them
    "#]],
    );
}

#[test]
fn a_run_that_is_killed_after_it_has_asked_waits_all_the_same() {
    let env = that_waits();
    env.run(&["run", "auto-assign"]).ends_with(4);
    // As if the process had ended before it could close its run.
    env.store()
        .execute("UPDATE run SET state = 'running', ended_at = NULL WHERE state = 'waiting'", [])
        .unwrap();
    env.run(&["runs", "list"]).is_done();
    env.run(&["sync"]).is_done();
    env.run(&["approve"]).succeeds(expect![[r#"
        RUN                     WORKFLOW     TOKEN  SINCE                 LAPSES     BECAUSE
        RUN  auto-assign  main   TIME  in 3 days  rail: 2 reassignments, 1 allowed; define standard, 2 reassignments
    "#]]);
    let runs = env.json(&["runs", "list", "--workflow", "auto-assign"]);
    assert_eq!(runs["runs"][0]["state"], "waiting");
    env.run(&["approve", runs["runs"][0]["id"].as_str().unwrap(), "--yes"]).is_done();
}

#[test]
fn two_plans_of_one_token_wait_and_are_approved_together() {
    let env = TestEnv::new();
    env.add("main", &["EXEC1", "LIB1", "LIB2", "MAC1"]);
    let plan = "[[steps]]\nuses = \"plan\"\nwhen = \"always\"\nrails = { first_assignments = 1 }\n[[steps]]\nuses = \"apply\"\n";
    env.append(
        "deputy.toml",
        "\n[plugins.libraries]\npath = \"plugins/rules.wasm\"\nsha256 = \"SHA\"\n\
         [plugins.libraries.settings]\ndefault = { ignore = true }\n\
         [[plugins.libraries.settings.rules]]\nname = \"lib\"\nwhen = { device_family = \"iPad\" }\nassign = \"lab-ipad\"\n",
    );
    let config = env.read("deputy.toml");
    let sha = config
        .lines()
        .find_map(|line| line.strip_prefix("sha256 = \""))
        .unwrap()
        .trim_end_matches('"')
        .to_owned();
    env.edit("deputy.toml", "\"SHA\"", &format!("\"{sha}\""));
    let decide =
        |policy: &str| format!("[[steps]]\nuses = \"decide\"\nwhen = \"always\"\npolicy = \"{policy}\"\n");
    let steps = format!("[[steps]]\nuses = \"sync\"\n{}{plan}{}{plan}", decide("libraries"), decide("rules"));
    env.write("workflows/two.toml", format!("version = 1\nname = \"two\"\n{steps}"));
    env.run(&["run", "two"]).ends_with(4);
    assert_eq!(env.with_profile("main"), 0);
    env.run(&["approve", "last", "--yes"]).succeeds(expect![[r#"
        run RUN of two, by hand: succeeded
          sync     4 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   4 devices by libraries: lab-ipad 2, ignored 2
          plan     define lab-ipad, 2 first assignments, 2 ignored by the policy
                   rail: 2 first assignments, 1 allowed
                   approved by anna, after run RUN had asked
          apply    defined lab-ipad, 2 assigned, 1 call
          decide-2 2 devices by rules: executive-mac 1, standard 1
          plan-2   define executive-mac, standard, 2 first assignments, 2 of an earlier plan
                   rail: 2 first assignments, 1 allowed
                   approved by anna, after run RUN had asked
          apply-2  defined executive-mac, standard, 2 assigned, 2 calls
    "#]]);
    assert_eq!(env.with_profile("main"), 4);
}

#[test]
fn approving_one_plan_carries_out_no_other_even_if_the_rails_let_it_pass() {
    let env = that_waits();
    env.run(&["run", "auto-assign"]).ends_with(4);
    let asked = env.json(&["runs", "list"])["runs"][0]["id"].as_str().unwrap().to_owned();
    // Now it would be another plan, which the rails let pass; nobody has approved that.
    env.edit("workflows/auto-assign.toml", "reassignments = 1", "reassignments = 25");
    env.edit("profiles/standard.toml", "department = \"Workplace\"", "department = \"Work\"");
    env.run(&["approve", &asked, "--yes"]).fails(4, expect![[r#"
        run RUN of auto-assign, by hand: waits for a person
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by rules: standard 2
          plan     waits for a person: define standard, 2 reassignments
                   it is not the plan of run RUN, which it takes the place of: the profile standard says something else
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
        TIME ERROR run RUN of auto-assign, by hand: waits for a person
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by rules: standard 2
          plan     waits for a person: define standard, 2 reassignments
                   it is not the plan of run RUN, which it takes the place of: the profile standard says something else
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
    "#]]);
    assert_eq!(env.calls(Endpoint::Assign), []);
    env.run(&["approve"]).succeeds(expect![[r#"
        RUN                     WORKFLOW     TOKEN  SINCE                 LAPSES     BECAUSE
        RUN  auto-assign  main   TIME  in 3 days  it is not the plan of run RUN, which a person approved; define standard, 2 reassignments
    "#]]);
    env.run(&["approve", "last", "--yes"]).is_done();
    assert_eq!(env.calls(Endpoint::Assign).len(), 1);
}

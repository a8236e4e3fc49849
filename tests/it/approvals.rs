//! A person's word on a plan: it is shown before they give it, kept with who gave it and why, and holds until the
//! plan has been carried out.

use expect_test::expect;
use sim::{Endpoint, Fault};

use crate::env::TestEnv;

/// Devices for two profiles, which no rail lets get their first.
fn that_waits() -> TestEnv {
    let env = TestEnv::new();
    env.add("main", &["LIB1", "MAC1", "MAC2"]);
    env.edit("workflows/auto-assign.toml", "first_assignments = 5000", "first_assignments = 0");
    env.run(&["run", "auto-assign"]).ends_with(4);
    env.apple().clear_calls();
    env
}

/// The newest run.
fn last(env: &TestEnv) -> String {
    env.json(&["runs", "list"])["runs"][0]["id"].as_str().unwrap().to_owned()
}

/// What `deputy status` says of plans, and of what a person has to see to.
fn status(env: &TestEnv) -> String {
    let text = env.run(&["status"]).text();
    text.find("\nplans:").or(text.find("\nneeds a person:")).map_or(String::new(), |at| text[at..].to_owned())
}

/// What waits of the store, as it is.
fn waiting(env: &TestEnv) -> String {
    let sql =
        "SELECT coalesce(answered_by, '-') || ' ' || coalesce(came_to, 'open') FROM waiting ORDER BY number";
    let store = env.store();
    let mut statement = store.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.map(Result::unwrap).collect::<Vec<_>>().join(", ")
}

#[test]
fn without_a_terminal_the_plan_is_shown_and_nothing_is_done() {
    let env = that_waits();
    env.run(&["approve", "last"]).fails(
        4,
        expect![[r#"
            auto-assign for main: define lab-ipad, standard, 3 first assignments
              rail: 3 first assignments, 0 allowed
              2 devices: nothing -> standard
              1 device: nothing -> lab-ipad
            SERIAL  HAS  GETS      BECAUSE
            LIB1    -    lab-ipad  an iPad bought by the library
            MAC1    -    standard  everybody else
            MAC2    -    standard  everybody else
            error: it was not confirmed, so nothing was changed
            hint: `deputy approve RUN --yes` confirms it
        "#]],
    );
    assert_eq!(env.calls(Endpoint::Assign), []);
    assert_eq!(waiting(&env), "- open");
    let shown = env.run(&["approve", "last", "--json"]);
    shown.ends_with(4);
    let shown: serde_json::Value = serde_json::from_slice(&shown.output.stdout).unwrap();
    assert_eq!(shown["plan"]["plans"][0]["devices"].as_array().unwrap().len(), 3);
    assert_eq!(shown["plan"]["plans"][0]["moves"][0]["devices"], 2);
}

#[test]
fn an_approval_that_apple_keeps_from_being_carried_out_holds_and_the_next_run_does_it() {
    let env = that_waits();
    let asked = last(&env);
    env.apple().fault(Fault::status(503, "").on(Endpoint::Assign).times(50));
    env.run(&["approve", &asked, "--yes", "--reason", "the library opens"]).ends_with(5);
    env.run(&["approve"]).succeeds(expect![[r#"
        RUN                     WORKFLOW     TOKEN  SINCE                 LAPSES     BECAUSE
        RUN  auto-assign  main   TIME  in 3 days  approved by anna (the library opens), not carried out in full yet; the next run goes on
    "#]]);
    expect![[r#"

        plans:
          run RUN of auto-assign, for main: approved by anna (the library opens), not carried out in full yet; the next run goes on, lapses in 3 days
    "#]].assert_eq(&status(&env));
    env.run(&["device", "explain", "MAC1"]).succeeds(expect![[r#"
        MAC1 of token main
          is        MacBook Pro, Mac, OSX
          asset tag POOL-1
          at Apple  on this server since TIME by enroll-admin@main.example; profile empty
          profile   none
          policy    rules says standard: everybody else
                    since run RUN of TIME, by the component DIGEST…
          asked     last in run RUN of auto-assign, TIME: component DIGEST…, settings DIGEST…
          it saw    asset_tag = POOL-1, device_family = Mac, profile_status = empty
          unseen    device_assigned_by = enroll-admin@main.example, device_assigned_date = TIME, model = MacBook Pro, os = OSX, serial_number = MAC1
          done      run RUN: to standard: not carried out; the next run looks again
                    run RUN: to standard: not sent yet: approved by anna (the library opens), not carried out in full yet; the next run goes on
          next      is in the plan of run RUN, approved by anna (the library opens): the next run tries to carry it out
    "#]]);
    env.apple().clear_faults();
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     3 devices: 0 new, 0 changed, 0 gone (the changes, 1 page); 1 in flight read back
          decide   3 devices by rules: lab-ipad 1, standard 2
          plan     define standard, 3 first assignments
                   rail: 3 first assignments, 0 allowed
                   approved by anna (the library opens), after run RUN had asked
          apply    defined standard, 3 assigned, 2 calls
    "#]]);
    assert_eq!(env.with_profile("main"), 3);
    assert_eq!(waiting(&env), "anna approved");
    env.run(&["approve"]).succeeds(expect![[r#"
        nothing waits for a person
    "#]]);
    env.run(&["runs", "show", &asked]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: waited for a person; approved by anna (the library opens), and carried out by run RUN
          sync     3 devices: 3 new, 0 changed, 0 gone (every device, 2 pages)
          decide   3 devices by rules: lab-ipad 1, standard 2
          plan     approved by anna (the library opens), and carried out by run RUN: define lab-ipad, standard, 3 first assignments
                   rail: 3 first assignments, 0 allowed

        SERIAL  TOKEN  PROFILE   CAME TO                                BECAUSE
        LIB1    main   lab-ipad  carried out by RUN  an iPad bought by the library
        MAC1    main   standard  carried out by RUN  everybody else
        MAC2    main   standard  carried out by RUN  everybody else
    "#]]);
    let history = env.run(&["device", "history", "MAC1"]).text();
    expect![[r#"
          TIME  run RUN: assignment of standard: not sent by this run: approved by anna (the library opens), and carried out by run RUN
          TIME  run RUN: assignment of standard: dropped
          TIME  run RUN: assignment of standard: succeeded"#]].assert_eq(
        &history.lines().map(str::trim).filter(|line| line.contains("assignment")).collect::<Vec<_>>().join("\n"),
    );
}

#[test]
fn a_run_by_schedule_carries_out_what_a_person_has_approved() {
    let env = that_waits();
    env.apple().fault(Fault::status(503, "").on(Endpoint::Assign).times(50));
    env.run(&["approve", "last", "--yes"]).ends_with(5);
    env.apple().clear_faults();
    env.edit("workflows/auto-assign.toml", "cron = \"*/15 * * * *\"", "cron = \"*/1 * * * * *\"");
    let daemon = env.start(&["serve"], "serve.log");
    env.until("it is carried out", || waiting(&env) == "anna approved");
    assert_eq!(env.end(daemon, "-TERM"), Some(0), "{}", env.read("serve.log"));
    assert_eq!((env.with_profile("main"), env.apple().most_assignments_of_one_device()), (3, 1));
}

#[test]
fn the_run_that_could_not_carry_it_out_leads_to_the_one_that_asked() {
    let env = that_waits();
    env.apple().fault(Fault::status(503, "").on(Endpoint::Assign).times(50));
    env.run(&["approve", "last", "--yes"]).ends_with(5);
    env.apple().clear_faults();
    env.run(&["approve", "last", "--refuse"]).is_done();
    assert_eq!(waiting(&env), "anna refused");
}

#[test]
fn what_is_left_of_an_approved_plan_needs_no_other_word() {
    let env = that_waits();
    // The first of two profiles is assigned, the second is not.
    env.apple().fault(Fault::status(503, "").on(Endpoint::Assign).after(1).times(50));
    env.run(&["approve", "last", "--yes"]).ends_with(5);
    assert_eq!(env.with_profile("main"), 1);
    expect![[r#"

        plans:
          run RUN of auto-assign, for main: approved by anna, not carried out in full yet; the next run goes on, lapses in 3 days
    "#]].assert_eq(&status(&env));
    env.apple().clear_faults();
    // A device more is more than was approved.
    env.add("main", &["MAC3"]);
    env.run(&["plan", "auto-assign"]).ends_with(4);
    env.apple().remove_device("main", "MAC3", true).unwrap();
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     3 devices: 0 new, 0 changed, 1 gone (the changes, 1 page)
          decide   3 devices by rules: lab-ipad 1, standard 2
          plan     2 first assignments, 1 already right
                   rail: 2 first assignments, 0 allowed
                   the rest of the plan approved by anna, after run RUN had asked
          apply    2 assigned, 1 call
    "#]]);
    assert_eq!(env.with_profile("main"), 3);
    assert_eq!(waiting(&env), "anna approved");
}

#[test]
fn another_plan_is_not_approved_with_it() {
    let env = that_waits();
    env.apple().fault(Fault::status(503, "").on(Endpoint::Assign).times(50));
    env.run(&["approve", "last", "--yes"]).ends_with(5);
    env.apple().clear_faults();
    env.add("main", &["MAC3"]);
    env.run(&["run", "auto-assign"]).ends_with(4);
    assert_eq!((env.with_profile("main"), waiting(&env).as_str()), (0, "anna replaced, - open"));
    expect![[r#"

        needs a person:
          run RUN of auto-assign waits for a word on its plan for main, lapses in 3 days: rail: 4 first assignments, 0 allowed; define standard, 4 first assignments: deputy approve RUN
    "#]].assert_eq(&status(&env));
}

#[test]
fn an_approval_in_a_freeze_is_carried_out_after_it() {
    let env = that_waits();
    let config = env.read("deputy.toml");
    env.append(
        "deputy.toml",
        "\n[[freezes]]\nreason = \"stocktaking\"\nfrom = 2020-01-01\nuntil = \"2099-01-01\"\ntimezone = \"UTC\"\n",
    );
    env.run(&["approve", "last", "--yes"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: approved by anna, not carried out yet; the next run tries again
        nothing is changed at Apple now; frozen until TIME: stocktaking
    "#]]);
    assert_eq!(env.calls(Endpoint::Assign), []);
    env.write("deputy.toml", config);
    env.run(&["run", "auto-assign"]).is_done();
    assert_eq!((env.with_profile("main"), waiting(&env).as_str()), (3, "anna approved"));
}

#[test]
fn an_approval_counts_its_time_from_when_it_was_given_and_lapses_if_it_was_in_vain() {
    let env = that_waits();
    let asked = last(&env);
    let day = 24 * 3_600_000;
    let back = |days: i64| {
        let by = days * day;
        let sql = format!(
            "UPDATE waiting SET since = since - {by}, until = until - {by}, answered_at = answered_at - {by}"
        );
        env.store().execute(&sql, []).unwrap();
    };
    back(2);
    env.apple().fault(Fault::status(503, "").on(Endpoint::Assign).times(50));
    env.run(&["approve", &asked, "--yes"]).ends_with(5);
    env.apple().clear_faults();
    back(2);
    expect![[r#"

        plans:
          run RUN of auto-assign, for main: approved by anna, not carried out in full yet; the next run goes on, lapses in 24 hours
    "#]].assert_eq(&status(&env));
    back(1);
    env.run(&["approve", &asked, "--yes"]).fails(
        2,
        expect![[r#"
        error: the plan of run RUN is over: approved by anna, and lapsed before it was carried out, TIME
        hint: `deputy run auto-assign` asks again, if it is still so
    "#]],
    );
    let messages = env.json(&["outbox", "list", "--all"]);
    let subjects =
        messages["deliveries"].as_array().unwrap().iter().map(|it| it["subject"].as_str().unwrap());
    expect![[r#"
        run RUN of auto-assign, by hand: waits for a person
        run RUN of auto-assign: its plan for main, approved by anna, was not carried out in time"#]]
    .assert_eq(&env.normal(&subjects.collect::<Vec<_>>().join("\n")));
}

#[test]
fn who_refused_and_why_is_told_and_can_be_taken_back() {
    let env = that_waits();
    let asked = last(&env);
    env.run(&["approve", &asked, "--refuse", "--reason", "not before the audit"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: refused by anna (not before the audit); nothing was changed
    "#]]);
    env.run(&["run", "auto-assign"]).fails(
        3,
        expect![[r#"
        run RUN of auto-assign, by hand: refused by anna (not before the audit); nothing was changed
          sync     3 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   3 devices by rules: lab-ipad 1, standard 2
          plan     refused: define lab-ipad, standard, 3 first assignments
                   anna (not before the audit) has refused this very plan, of run RUN
                   hint: `deputy approve RUN` lets it through after all
    "#]],
    );
    expect![[r#"

        plans:
          run RUN of auto-assign, for main: refused by anna (not before the audit), TIME; every run of the same plan ends so: deputy approve RUN lets it go ahead
    "#]].assert_eq(&status(&env));
    let refused = &env.json(&["status"])["status"]["refused"][0];
    assert_eq!(
        (&refused["refused"]["who"], &refused["refused"]["reason"]),
        (&"anna".into(), &"not before the audit".into())
    );
    env.run(&["runs", "show", &asked]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: refused by anna (not before the audit); nothing was changed
          sync     3 devices: 3 new, 0 changed, 0 gone (every device, 2 pages)
          decide   3 devices by rules: lab-ipad 1, standard 2
          plan     refused by anna (not before the audit): define lab-ipad, standard, 3 first assignments
                   rail: 3 first assignments, 0 allowed

        SERIAL  TOKEN  PROFILE   CAME TO  BECAUSE
        LIB1    main   lab-ipad  refused  an iPad bought by the library
        MAC1    main   standard  refused  everybody else
        MAC2    main   standard  refused  everybody else
    "#]]);
    env.run(&["approve", &asked, "--refuse"]).fails(
        2,
        expect![[r#"
        error: the plan of run RUN was refused by anna (not before the audit) before
    "#]],
    );
    // It goes ahead after all, and if Apple is away, at the next run.
    env.apple().fault(Fault::status(503, "").on(Endpoint::Assign).times(50));
    env.run(&["approve", &asked, "--yes"]).ends_with(5);
    env.apple().clear_faults();
    expect![[r#"

        plans:
          run RUN of auto-assign, for main: approved by anna, not carried out in full yet; the next run goes on, lapses in 3 days
    "#]].assert_eq(&status(&env));
    env.run(&["run", "auto-assign"]).is_done();
    assert_eq!((env.with_profile("main"), waiting(&env).as_str()), (3, "anna approved"));
    assert_eq!(status(&env), "");
}

#[test]
fn a_refusal_that_no_plan_is_like_any_more_is_not_listed() {
    let env = that_waits();
    env.run(&["approve", "last", "--refuse"]).is_done();
    env.edit("workflows/auto-assign.toml", "first_assignments = 0", "first_assignments = 10");
    env.add("main", &["MAC3"]);
    env.run(&["run", "auto-assign"]).ends_with(0);
    assert_eq!(status(&env), "");
}

#[test]
fn a_plan_waits_for_its_step_wherever_that_is_in_the_workflow() {
    let env = that_waits();
    let asked = last(&env);
    env.edit("workflows/auto-assign.toml", "uses = \"plan\"", "uses = \"sync\"\n[[steps]]\nuses = \"plan\"");
    env.run(&["run", "auto-assign"]).ends_with(4);
    assert_eq!(waiting(&env), "- open");
    env.run(&["approve", &asked, "--yes"]).is_done();
    assert_eq!((env.with_profile("main"), waiting(&env).as_str()), (3, "anna approved"));
}

#[test]
fn a_plan_whose_step_workflow_or_token_is_gone_says_so_and_can_only_be_refused() {
    for what in ["step", "workflow", "token"] {
        let env = that_waits();
        let asked = last(&env);
        match what {
            "step" => {
                env.edit("workflows/auto-assign.toml", "uses = \"plan\"", "uses = \"plan\"\nid = \"draft\"")
            }
            "workflow" => std::fs::remove_file(env.file("workflows/auto-assign.toml")).unwrap(),
            _ => env.edit("deputy.toml", "[tokens.main]", "[tokens.other]"),
        }
        let (said, approved) = (status(&env), env.run(&["approve", &asked, "--yes"]));
        approved.ends_with(2);
        let told = format!("{said}{}", approved.text());
        match what {
            "step" => expect![[r#"

                needs a person:
                  run RUN of auto-assign waits with a plan for main that cannot be carried out: auto-assign has no step `plan` any more that plans: deputy approve RUN --refuse
                error: the plan of run RUN for main cannot be carried out: auto-assign has no step `plan` any more that plans
                hint: `deputy approve RUN --refuse` ends it
            "#]],
            "workflow" => expect![[r#"

                needs a person:
                  run RUN of auto-assign waits with a plan for main that cannot be carried out: there is no workflow auto-assign any more: deputy approve RUN --refuse
                error: the plan of run RUN for main cannot be carried out: there is no workflow auto-assign any more
                hint: `deputy approve RUN --refuse` ends it
            "#]],
            _ => expect![[r#"

                needs a person:
                  token `other` is not imported: deputy token request other
                  run RUN of auto-assign waits with a plan for main that cannot be carried out: the token main is not configured any more: deputy approve RUN --refuse
                error: the plan of run RUN for main cannot be carried out: the token main is not configured any more
                hint: `deputy approve RUN --refuse` ends it
            "#]],
        }
        .assert_eq(&told);
        env.run(&["approve", &asked, "--refuse"]).is_done();
        assert!(!status(&env).contains(&asked), "{}", status(&env));
    }
}

#[test]
fn a_disabled_workflow_is_not_run_in_passing() {
    let env = that_waits();
    env.edit(
        "workflows/auto-assign.toml",
        "name = \"auto-assign\"",
        "name = \"auto-assign\"\nenabled = false",
    );
    let asked = env.run(&["approve", "last"]);
    asked.ends_with(4);
    assert!(asked.text().contains("note: auto-assign is disabled"), "{}", asked.text());
    assert_eq!((env.with_profile("main"), waiting(&env).as_str()), (0, "- open"));
    env.run(&["approve", "last", "--yes"]).is_done();
    assert_eq!(env.with_profile("main"), 3);
}

#[test]
fn a_plan_that_waits_on_lends_its_rows_to_no_other() {
    let env = that_waits();
    // Two plans of one run: the first is the one that waits, and forgotten again; the second goes ahead.
    let plan = "uses = \"plan\"\nrails = { first_assignments = 0 }\n[[steps]]\nuses = \"apply\"\n[[steps]]\nuses = \"decide\"\nwhen = \"always\"\npolicy = \"rest\"\n\
                [[steps]]\nuses = \"plan\"\nwhen = \"always\"\n[[steps]]\nuses = \"apply\"\nwhen = \"always\"\n";
    let sha = env.read("deputy.toml");
    let sha = sha.lines().find(|line| line.starts_with("sha256 = ")).unwrap();
    env.append(
        "deputy.toml",
        &format!(
            "\n[plugins.rest]\npath = \"plugins/rules.wasm\"\n{sha}\n[plugins.rest.settings]\ndefault = {{ assign = \"standard\" }}\n\
             [plugins.libraries]\npath = \"plugins/rules.wasm\"\n{sha}\n[plugins.libraries.settings]\ndefault = {{ ignore = true }}\n\
             [[plugins.libraries.settings.rules]]\nname = \"lib\"\nwhen = {{ device_family = \"iPad\" }}\nassign = \"lab-ipad\"\n"
        ),
    );
    env.write(
        "workflows/two.toml",
        format!(
            "version = 1\nname = \"two\"\n[[steps]]\nuses = \"sync\"\n[[steps]]\nuses = \"decide\"\npolicy = \"libraries\"\n[[steps]]\n{plan}"
        ),
    );
    env.run(&["run", "two"]).ends_with(4);
    assert_eq!(env.with_profile("main"), 2);
    env.add("main", &["MAC3", "MAC4"]);
    env.run(&["run", "two"]).ends_with(4);
    expect![[r#"
        LIB1: nothing
        MAC1: Standard
        MAC2: Standard
        MAC3: Standard
        MAC4: Standard
    "#]]
    .assert_eq(&env.at_apple("main"));
    env.run(&["approve", "last", "--yes"]).is_done();
    assert_eq!(env.with_profile("main"), 5);
}

#[test]
fn killed_while_one_plan_takes_the_place_of_another_the_first_still_waits() {
    let env = that_waits();
    let asked = last(&env);
    env.add("main", &["MAC3"]);
    let run = stopped_at(
        &env,
        "BEFORE INSERT ON waiting",
        "SELECT count(*) FROM action WHERE run <> (SELECT run FROM waiting)",
    );
    env.kill(run);
    go_on(&env);
    assert_eq!(waiting(&env), "- open");
    assert_eq!(env.json(&["approve"])["waiting"][0]["run"], asked.as_str());
    env.run(&["run", "auto-assign"]).ends_with(4);
    assert_eq!(waiting(&env), "- replaced, - open");
    env.run(&["approve", "last", "--yes"]).is_done();
    assert_eq!((env.with_profile("main"), env.apple().most_assignments_of_one_device()), (4, 1));
}

#[test]
fn killed_after_all_was_assigned_the_next_run_notes_that_the_approved_plan_is_done() {
    let env = that_waits();
    // As `approve` leaves it that Apple has kept from its work.
    env.apple().fault(Fault::status(503, "").on(Endpoint::Assign).times(50));
    env.run(&["approve", "last", "--yes"]).ends_with(5);
    env.apple().clear_faults();
    let run = stopped_at(
        &env,
        "BEFORE UPDATE OF came_to ON waiting",
        "SELECT count(*) = 3 FROM action WHERE state = 'succeeded'",
    );
    env.kill(run);
    go_on(&env);
    assert_eq!(waiting(&env), "anna open");
    env.run(&["run", "auto-assign"]).is_done();
    assert_eq!(waiting(&env), "anna approved");
    assert_eq!((env.with_profile("main"), env.apple().most_assignments_of_one_device()), (3, 1));
}

/// A run that can go no further than this write to its store, once it is there.
fn stopped_at(env: &TestEnv, write: &str, reached: &str) -> usize {
    env.store()
        .execute_batch(&format!(
            "CREATE VIEW for_ever AS WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n;
             CREATE TRIGGER stop_here {write} BEGIN SELECT max(x) FROM for_ever; END;"
        ))
        .unwrap();
    let run = env.start(&["run", "auto-assign"], "killed.log");
    let is_there = || env.store().query_row(reached, [], |row| row.get::<_, i64>(0)).unwrap() > 0;
    env.until("the run is at the write", || {
        assert!(!env.has_ended(run), "it was not stopped: {}", env.read("killed.log"));
        is_there()
    });
    run
}

fn go_on(env: &TestEnv) {
    env.store().execute_batch("DROP TRIGGER stop_here; DROP VIEW for_ever;").unwrap();
}

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
    env.run(&["run", "w"]).succeeds(expect![[r#"
        run RUN of w, by hand: succeeded
          sync     3 devices: 3 new, 0 changed, 0 gone (every device, 2 pages)
          decide   3 devices by kiosk: lab-ipad 1, ignored 2
          rest     2 devices by rules: executive-mac 1, standard 1
          plan     define executive-mac, lab-ipad, standard, 3 first assignments
          apply    defined executive-mac, lab-ipad, standard, 3 assigned, 3 calls
    "#]]);
    expect![[r#"
        EXEC1: Executive Mac
        LIB1: Lab iPad
        MAC1: Standard
    "#]]
    .assert_eq(&env.at_apple("main"));
    env.run(&["device", "explain", "LIB1"]).succeeds(expect![[r#"
        LIB1 of token main
          is        MacBook Pro, iPad, OSX
          asset tag LIB-1
          at Apple  on this server since TIME by enroll-admin@main.example; profile empty
          profile   lab-ipad
          policy    kiosk says lab-ipad: rule `kiosk`
                    since run RUN of TIME, by the component DIGEST…
          asked     last in run RUN of w, TIME: component DIGEST…, settings DIGEST…
          it saw    device_family = iPad, profile_status = empty
          unseen    asset_tag = LIB-1, device_assigned_by = enroll-admin@main.example, device_assigned_date = TIME, model = MacBook Pro, os = OSX, serial_number = LIB1
          done      run RUN: to lab-ipad: sent TIME, succeeded, TIME
          next      nothing, it has the profile it should have; looked at again at the next run of auto-assign, TIME
    "#]]);
    // What the second says of a device is not undone by the first, in this run or the next.
    env.run(&["run", "w"]).succeeds(expect![[r#"
        run RUN of w, by hand: succeeded
          sync     3 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   3 devices by kiosk: lab-ipad 1, ignored 2
          rest     2 devices by rules: executive-mac 1, standard 1
          plan     nothing to do, 3 already right
          apply    nothing to do
    "#]]);
    env.run(&["device", "explain", "MAC1"]).succeeds(expect![[r#"
        MAC1 of token main
          is        MacBook Pro, Mac, OSX
          asset tag POOL-1
          at Apple  on this server since TIME by enroll-admin@main.example; profile assigned
          profile   standard
          policy    rules says standard: everybody else
                    since run RUN of TIME, by the component DIGEST…
          asked     last in run RUN of w, TIME: component DIGEST…, settings DIGEST…
          it saw    asset_tag = POOL-1, device_family = Mac, profile_status = assigned
          unseen    device_assigned_by = enroll-admin@main.example, device_assigned_date = TIME, model = MacBook Pro, os = OSX, profile_assign_time = TIME, profile_uuid = standard, serial_number = MAC1
          done      run RUN: to standard: sent TIME, succeeded, TIME
          since     TIME: Apple shows what was assigned
          next      nothing, it has the profile it should have; looked at again at the next run of auto-assign, TIME
    "#]]);
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
    // The first plan waits. Its devices do not slip through the second.
    env.run(&["run", "w"]).fails(4, expect![[r#"
        run RUN of w, by hand: waits for a person
          sync     3 devices: 3 new, 0 changed, 0 gone (every device, 2 pages)
          decide   3 devices by kiosk: lab-ipad 2, ignored 1
          plan     waits for a person: define lab-ipad, 2 first assignments, 1 ignored by the policy
                   rail: 2 first assignments, 1 allowed
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
          decide-2 1 device by rules: standard 1
          plan-2   define standard, 1 first assignment, 2 of an earlier plan
          apply-2  defined standard, 1 assigned, 1 call
        TIME ERROR run RUN of w, by hand: waits for a person
          sync     3 devices: 3 new, 0 changed, 0 gone (every device, 2 pages)
          decide   3 devices by kiosk: lab-ipad 2, ignored 1
          plan     waits for a person: define lab-ipad, 2 first assignments, 1 ignored by the policy
                   rail: 2 first assignments, 1 allowed
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
          decide-2 1 device by rules: standard 1
          plan-2   define standard, 1 first assignment, 2 of an earlier plan
          apply-2  defined standard, 1 assigned, 1 call
    "#]]);
    expect![[r#"
        LIB1: nothing
        LIB2: nothing
        MAC1: Standard
    "#]]
    .assert_eq(&env.at_apple("main"));
    workflow(&env, &steps(2));
    env.run(&["run", "w"]).succeeds(expect![[r#"
        run RUN of w, by hand: succeeded
          sync     3 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   3 devices by kiosk: lab-ipad 2, ignored 1
          plan     define lab-ipad, 2 first assignments, 1 ignored by the policy
          apply    defined lab-ipad, 2 assigned, 1 call
          decide-2 1 device by rules: standard 1
          plan-2   nothing to do, 1 already right, 2 of an earlier plan
          apply-2  nothing to do
    "#]]);
    expect![[r#"
        LIB1: Lab iPad
        LIB2: Lab iPad
        MAC1: Standard
    "#]]
    .assert_eq(&env.at_apple("main"));
    env.run(&["plan", "w"]).succeeds(expect![[r#"
        run RUN of w (dry run), by hand: succeeded
          sync     3 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   3 devices by kiosk: lab-ipad 2, ignored 1
          plan     nothing to do, 2 already right, 1 ignored by the policy
          apply    a dry run ends with the plan
          decide-2 1 device by rules: standard 1
          plan-2   nothing to do, 1 already right, 2 of an earlier plan
          apply-2  a dry run ends with the plan
    "#]]);
    env.run(&["plan", "w", "--out", "plan.json"]).fails(2, expect![[r#"
        error: w plans 2 times, and a file holds one plan
        hint: copy its file for each step `plan`, under a `name` of its own, and leave the other steps `plan` and `apply` and what only they need out of it; then `deputy plan NAME --out FILE` for each. `deputy plan w` shows all
    "#]]);
    assert!(!env.file("plan.json").exists());
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
    env.run(&["run", "w"]).fails(1, expect![[r#"
        run RUN of w, by hand: failed
          sync     1 device: 1 new, 0 changed, 0 gone (every device, 2 pages)
          main     failed: the policy `bad` failed on 1 device, such as MAC1: plugin `bad` trapped: wasm `unreachable` instruction executed
                   hint: nothing was done for this token, as `on_fault = "fail"` wants
          fallback 1 device by rules: standard 1
          plan     define standard, 1 first assignment
          apply    defined standard, 1 assigned, 1 call
          notify   told log
        TIME  WARN run RUN of w, by hand: failed
          sync     1 device: 1 new, 0 changed, 0 gone (every device, 2 pages)
          main     failed: the policy `bad` failed on 1 device, such as MAC1: plugin `bad` trapped: wasm `unreachable` instruction executed
                   hint: nothing was done for this token, as `on_fault = "fail"` wants
          fallback 1 device by rules: standard 1
          plan     define standard, 1 first assignment
          apply    defined standard, 1 assigned, 1 call
    "#]]);
    expect![[r#"
        MAC1: Standard
    "#]]
    .assert_eq(&env.at_apple("main"));
    workflow(&env, &steps("kiosk"));
    env.run(&["run", "w"]).succeeds(expect![[r#"
        run RUN of w, by hand: succeeded
          sync     1 device: 0 new, 0 changed, 0 gone (the changes, 1 page)
          main     1 device by kiosk: ignored 1
          fallback left out: nothing went wrong in `main`
          plan     nothing to do, 1 ignored by the policy
          apply    nothing to do
          notify   left out: nothing went wrong in `main`
    "#]]);
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
    env.run(&["run", "w"]).succeeds(expect![[r#"
        run RUN of w, by hand: succeeded
          sync     north: 1 device: 1 new, 0 changed, 0 gone (every device, 2 pages)
          decide   north: 1 device by rules: standard 1
          plan     north: define standard, 1 first assignment
          apply    north: defined standard, 1 assigned, 1 call
          sync     south: 0 devices: 0 new, 0 changed, 0 gone (every device, 2 pages)
          decide   south: left out: `sync` changed nothing
          plan     south: no policy has decided
          apply    south: there is no plan
    "#]]);
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
    env.run(&["run", "w"]).fails(1, expect![[r#"
        run RUN of w, by hand: stopped at the time limit of a step; the next run goes on
          sync     north: failed: stopped at its limit of 300ms: stopped while waiting for Apple's answer to `north`
                   hint: the next run goes on from there; if it takes that long, give the step a longer `timeout`
          sync     south: 1 device: 1 new, 0 changed, 0 gone (every device, 2 pages)
          decide   south: 1 device by rules: standard 1
          plan     south: define standard, 1 first assignment
          apply    south: defined standard, 1 assigned, 1 call
    "#]]);
    env.run(&["run", "w"]).succeeds(expect![[r#"
        run RUN of w, by hand: succeeded
          sync     north: 1 device: 1 new, 0 changed, 0 gone (every device, 2 pages)
          decide   north: 1 device by rules: standard 1
          plan     north: define standard, 1 first assignment
          apply    north: defined standard, 1 assigned, 1 call
          sync     south: 1 device: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   south: 1 device by rules: standard 1
          plan     south: nothing to do, 1 already right
          apply    south: nothing to do
    "#]]);
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
    env.run(&["run", "auto-assign"]).fails(2, expect![[r#"
        error: the workflow `auto-assign` is disabled; nothing was done
        hint: its file says `enabled = false`; `deputy run auto-assign --despite-disabled` runs it all the same, `deputy plan auto-assign` only shows what it would do
    "#]]);
    env.run(&["workflow", "list"]).succeeds(expect![[r#"
        WORKFLOW         SCHEDULE      NEXT                  STEPS
        auto-assign      */15 * * * *  disabled              sync, decide, plan, apply
        sync             7 * * * *     TIME  sync, notify
        token-reminders  0 9 * * *     TIME  remind
    "#]]);
    env.run(&["plan", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign (dry run), by hand: succeeded
          sync     1 device: 1 new, 0 changed, 0 gone (every device, 2 pages)
          decide   1 device by rules: standard 1
          plan     define standard, 1 first assignment
          apply    a dry run ends with the plan

        SERIAL  TOKEN  GETS      HAS  BECAUSE
        MAC1    main   standard  -    everybody else
    "#]]);
    env.run(&["run", "auto-assign", "--despite-disabled"]).is_done();
    assert_eq!(env.with_profile("main"), 1);
}

#[test]
fn what_deputy_toml_says_for_all_workflows_holds_where_one_says_nothing() {
    let env = TestEnv::new();
    env.add("main", &["MAC1", "MAC2"]);
    env.append("deputy.toml", "\n[defaults]\nrails = { first_assignments = 1 }\nchannels = [\"lgo\"]\n");
    env.run(&["workflow", "check"]).fails(
        2,
        expect![[r#"
            error: deputy.toml has no channel `lgo`
               --> deputy.toml:116:13
                |
            116 | channels = ["lgo"]
                |             ^^^^^
                |
                = help: one of `log`
        "#]],
    );
    env.edit("deputy.toml", "[\"lgo\"]", "[\"log\"]");
    workflow(
        &env,
        &format!("{SYNC}[[steps]]\nuses = \"decide\"\npolicy = \"rules\"\n[[steps]]\nuses = \"plan\"\n"),
    );
    env.run(&["run", "w"]).fails(4, expect![[r#"
        run RUN of w, by hand: waits for a person
          sync     2 devices: 2 new, 0 changed, 0 gone (every device, 2 pages)
          decide   2 devices by rules: standard 2
          plan     waits for a person: define standard, 2 first assignments
                   rail: 2 first assignments, 1 allowed
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
        TIME ERROR run RUN of w, by hand: waits for a person
          sync     2 devices: 2 new, 0 changed, 0 gone (every device, 2 pages)
          decide   2 devices by rules: standard 2
          plan     waits for a person: define standard, 2 first assignments
                   rail: 2 first assignments, 1 allowed
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
    "#]]);
    // `auto-assign` has rails of its own.
    env.run(&["run", "auto-assign"]).is_done();
}

#[test]
fn the_check_tells_what_would_silently_do_nothing() {
    let env = TestEnv::new();
    env.run(&["sync"]).is_done();
    env.write(
        "expected.csv",
        "serial_number,profile,note\nC02AA,standard,\"two\nlines\"\nC02AB,standrad,\nC02 AC,,\n",
    );
    env.append("deputy.toml", "\n[expected.spring]\ncsv = \"expected.csv\"\n");
    env.write(
        "workflows/odd.toml",
        r#"version = 1
name = "odd"
ping = { url_from = { file = "ping-url" } }
[[steps]]
uses = "sync"
[[steps]]
uses = "decide"
policy = "rules"
[[steps]]
uses = "plan"
review = "rules"
rails = { protect_profiles = ["standard", "standart", "boardroom"] }
"#,
    );
    env.run(&["workflow", "check"]).fails(
        2,
        expect![[r#"
            warning[unasked]: no workflow asks this list, so no device gets its profile from it
               --> deputy.toml:114:11
                |
            114 | [expected.spring]
                |           ^^^^^^
                |
                = help: write `policy = "expected.spring"` into a step `decide`; what is late is told all the same

            error: cannot read ping-url: No such file or directory (os error 2)
             --> workflows/odd.toml:3:10
              |
            3 | ping = { url_from = { file = "ping-url" } }
              |          ^^^^^^^^
              |
              = help: look at the path in deputy.toml, and whether Deputy's user may read the file

            error: `rules` does not answer the question `review`
              --> workflows/odd.toml:11:10
               |
            11 | review = "rules"
               |          ^^^^^^^
               |
               = help: it answers `assignment`; name a plugin that answers this one

            error: no profile is or was called `standart`, so this protects nothing
              --> workflows/odd.toml:12:43
               |
            12 | rails = { protect_profiles = ["standard", "standart", "boardroom"] }
               |                                           ^^^^^^^^^^
               |
               = help: did you mean `standard`?

            warning[protects-nothing]: no profile is or was called `boardroom`, so this protects nothing
              --> workflows/odd.toml:12:55
               |
            12 | rails = { protect_profiles = ["standard", "standart", "boardroom"] }
               |                                                       ^^^^^^^^^^^
               |
               = help: write the name of a file in profiles/ without `.toml`, or take it out

            error: C02AB: no profile is called `standrad`
             --> expected.csv:4
              = help: did you mean `standard`?

            error: `C02 AC` is not a serial number: letters and digits, at most 64
             --> expected.csv:5
        "#]],
    );
    env.write("expected.csv", "serial_number,profile\nC02AA,standard\n");
    env.edit("workflows/odd.toml", "ping = { url_from = { file = \"ping-url\" } }\n", "");
    env.edit("workflows/odd.toml", "review = \"rules\"\n", "");
    env.edit("workflows/odd.toml", "\"standart\", ", "");
    env.run(&["workflow", "check"]).succeeds(expect![[r#"
        no mistakes; tokens: 1, profiles: 3, workflows: 4, plugins: 1, lists of expected devices: 1
        warning[unasked]: no workflow asks this list, so no device gets its profile from it
           --> deputy.toml:114:11
            |
        114 | [expected.spring]
            |           ^^^^^^
            |
            = help: write `policy = "expected.spring"` into a step `decide`; what is late is told all the same

        warning[protects-nothing]: no profile is or was called `boardroom`, so this protects nothing
          --> workflows/odd.toml:10:43
           |
        10 | rails = { protect_profiles = ["standard", "boardroom"] }
           |                                           ^^^^^^^^^^^
           |
           = help: write the name of a file in profiles/ without `.toml`, or take it out

    "#]]);
    assert_eq!(env.json(&["workflow", "check"])["checked"]["warnings"].as_array().map(Vec::len), Some(2));
}

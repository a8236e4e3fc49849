//! What Deputy remembers: every decision, also an earlier one; what people were told; and what is forgotten.

use std::sync::{Arc, Mutex};

use expect_test::expect;
use serde_json::{Value, json};
use sim::{AssignStatus, Endpoint, Fault};

use crate::channels::secret;
use crate::env::{NOTIFY, TestEnv};
use crate::hook::Hook;
use crate::net;

/// The id of the newest run.
fn last_run(env: &TestEnv) -> String {
    env.json(&["runs", "list", "--limit", "1"])["runs"][0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn an_earlier_decision_is_explained_with_what_the_policy_saw_then() {
    let env = TestEnv::new();
    env.add("main", &["MAC1"]);
    env.run(&["run", "auto-assign"]).is_done();
    let first = last_run(&env);
    let changes = json!({ "asset_tag": "EXEC-7", "color": "SILVER" });
    env.apple().change_device("main", "MAC1", &changes).unwrap();
    env.run(&["run", "auto-assign"]).is_done();
    env.run(&["run", "auto-assign"]).is_done();
    env.run(&["device", "explain", "MAC1"]).succeeds(expect![[r#"
        MAC1 of token main
          is        MacBook Pro, Mac, OSX, SILVER
          asset tag EXEC-7
          at Apple  on this server since TIME by enroll-admin@main.example; profile assigned
          profile   executive-mac
          policy    rules says executive-mac: a Mac of the executive pool
                    since run RUN of TIME, by the component DIGEST…
          asked     last in run RUN of auto-assign, TIME: component DIGEST…, settings DIGEST…
          it saw    asset_tag = EXEC-7, device_family = Mac, profile_status = assigned
          unseen    color = SILVER, device_assigned_by = enroll-admin@main.example, device_assigned_date = TIME, model = MacBook Pro, os = OSX, profile_assign_time = TIME, profile_uuid = executive-mac, serial_number = MAC1
          done      run RUN: to executive-mac: sent TIME, succeeded, TIME
                    run RUN: to standard: sent TIME, succeeded, TIME
          since     TIME: Apple shows what was assigned
          next      nothing, it has the profile it should have; looked at again at the next run of auto-assign, TIME
    "#]]);
    env.run(&["device", "explain", "MAC1", "--run", &first]).succeeds(expect![[r#"
        MAC1 of token main
          policy    rules says standard: everybody else
                    since run RUN of TIME, by the component DIGEST…
          asked     in run RUN of auto-assign, TIME: component DIGEST…, settings DIGEST…
          it saw    asset_tag = POOL-1, device_family = Mac, profile_status = empty
          unseen    device_assigned_by = enroll-admin@main.example, device_assigned_date = TIME, model = MacBook Pro, os = OSX, serial_number = MAC1
          done      run RUN: to standard: sent TIME, succeeded, TIME
          since     TIME: changed at Apple
                    asset_tag: POOL-1 -> EXEC-7
                    color: nothing -> SILVER
                    TIME: Apple shows what was assigned
    "#]]);
    env.run(&["device", "history", "MAC1"]).succeeds(expect![[r#"
        MAC1 of token main
          TIME  run RUN: listed for the first time
          TIME  run RUN: rules says standard: everybody else
          TIME  run RUN: assignment of standard: succeeded
          TIME  run RUN: changed at Apple
              asset_tag: POOL-1 -> EXEC-7
              color: nothing -> SILVER
          TIME  run RUN: rules says executive-mac: a Mac of the executive pool
          TIME  run RUN: assignment of executive-mac: succeeded
          TIME  run RUN: Apple shows what was assigned
    "#]]);
    // The same by time: before the first run nothing was known of it.
    let run = env.json(&["runs", "show", &first]);
    let ended = run["run"]["ended_at"].as_str().unwrap();
    let explained = env.json(&["device", "explain", "MAC1", "--at", ended]);
    assert_eq!(explained["device"][0]["asked"]["run"], first.as_str());
    assert_eq!(explained["device"][0]["saw"]["asset_tag"], "POOL-1");
    assert_eq!(explained["device"][0]["verdict"]["profile"], Value::Null);
    assert_eq!(explained["device"][0]["verdict"]["decision"]["profile"], "standard");
    let began = run["run"]["started_at"].as_str().unwrap();
    env.run(&["device", "explain", "MAC1", "--at", began]).succeeds(expect![[r#"
        MAC1 of token main
          policy    was not asked: the device was not on this server then
    "#]]);
    env.run(&["device", "explain", "MAC1", "--at", "yesterday"]).fails(2, expect![[r#"
        error: invalid value 'yesterday' for '--at <TIME>': `yesterday` is no time; write one such as TIME, a day such as DATE, or how long before now or after it, such as 90m or 2d

        For more information, try '--help'.
    "#]]);
}

#[test]
fn a_device_in_a_plan_that_waits_says_so() {
    let env = TestEnv::new();
    env.edit("workflows/auto-assign.toml", "first_assignments = 5000", "first_assignments = 0");
    env.add("main", &["MAC1"]);
    env.run(&["run", "auto-assign"]).ends_with(4);
    let text = env.run(&["device", "explain", "MAC1"]).text();
    expect![[r#"
        done      run RUN: to standard: not sent yet: waits for a person
          next      waits for a person until TIME: `deputy runs show RUN --actions 1000` shows the plan it is in, `deputy approve RUN` lets that go ahead
    "#]]
    .assert_eq(&text[text.find("done").unwrap()..]);
}

#[test]
fn what_comes_next_knows_of_freezes_and_of_paused_workflows() {
    let env = TestEnv::new();
    env.add("main", &["MAC1"]);
    env.run(&["plan", "auto-assign"]).is_done();
    let next = |env: &TestEnv| {
        let next = &env.json(&["device", "explain", "MAC1"])["device"][0];
        format!("{}: {}\n", next["next_run_of"], env.normal(next["next"].as_str().unwrap()))
    };
    let mut found = next(&env);
    env.run(&["workflow", "pause", "auto-assign", "--reason", "an audit"]).is_done();
    found += &next(&env);
    env.run(&["workflow", "resume", "auto-assign"]).is_done();
    env.append("deputy.toml", "\n[[freezes]]\nreason = \"stocktaking\"\nfrom = \"2020-01-01\"\nuntil = \"2099-01-01\"\ntimezone = \"UTC\"\n");
    found += &next(&env);
    let who = found.split("which ").nth(1).and_then(|rest| rest.split(" paused").next()).unwrap_or("?");
    expect![[r#"
        "auto-assign": gets standard at the next run of auto-assign, TIME
        "auto-assign": gets standard when auto-assign runs again, which SOMEBODY paused: an audit; `deputy workflow resume auto-assign` ends that
        "auto-assign": frozen until TIME: stocktaking; then gets standard at the next run of auto-assign, TIME
    "#]].assert_eq(&found.replace(who, "SOMEBODY"));
}

#[test]
fn a_run_that_asked_nobody_explains_nothing() {
    let env = TestEnv::new();
    env.add("main", &["MAC1"]);
    env.run(&["sync"]).is_done();
    env.run(&["device", "explain", "MAC1", "--run", "last"]).fails(
        2,
        expect![[r#"
        error: run RUN asked no policy about MAC1
        hint: `deputy runs show RUN` tells what it did; `deputy device history MAC1` has all decisions
    "#]],
    );
}

#[test]
fn a_device_that_moved_is_explained_for_the_token_that_a_run_asked_about() {
    let env = TestEnv::with_tokens(&["emea", "amer"]);
    env.add("emea", &["MAC1"]);
    env.run(&["run", "auto-assign", "--token", "emea"]).is_done();
    let first = last_run(&env);
    env.apple().remove_device("emea", "MAC1", true).unwrap();
    env.add("amer", &["MAC1"]);
    env.run(&["run", "auto-assign"]).is_done();
    let tokens = |arguments: &[&str]| -> Vec<Value> {
        let all = [&["device", "explain", "MAC1"], arguments].concat();
        let found = env.json(&all)["device"].as_array().unwrap().clone();
        found.iter().map(|it| json!([it["token"], it["verdict"]["decision"]["profile"]])).collect()
    };
    assert_eq!(tokens(&[]), [json!(["amer", "standard"]), json!(["emea", "standard"])]);
    assert_eq!(tokens(&["--run", &first]), [json!(["emea", "standard"])]);
}

/// `auto-assign` tells the log what its runs come to.
fn telling(when: &str) -> TestEnv {
    let env = TestEnv::new();
    env.append("workflows/auto-assign.toml", &NOTIFY.replace("changed", when));
    env.append(
        "deputy.toml",
        "\n[channels.told]\nkind = \"command\"\ncommand = [\"tee\", \"-a\", \"told.json\"]\n",
    );
    env.write("told.json", "");
    env
}

/// The subjects of what was told so far.
fn told(env: &TestEnv) -> String {
    let text = env.read("told.json");
    let messages = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    // The last may just be being written.
    let messages = messages.map_while(Result::ok);
    let lines = messages.map(|it| format!("{}\n", it["subject"].as_str().unwrap()));
    env.normal(&lines.collect::<String>())
}

#[test]
fn a_failure_is_told_once_and_so_is_that_it_is_over() {
    let env = telling("changed");
    env.add("main", &["MAC1"]);
    env.run(&["run", "auto-assign"]).is_done();
    env.apple().sign_terms("main", false).unwrap();
    for _ in 0..3 {
        env.run(&["run", "auto-assign"]).ends_with(4);
    }
    // Something else goes wrong.
    env.apple().fault(Fault::status(503, "").on(Endpoint::Session).times(8));
    env.run(&["run", "auto-assign"]).ends_with(5);
    env.run(&["run", "auto-assign"]).ends_with(5);
    env.apple().clear_faults();
    env.apple().sign_terms("main", true).unwrap();
    env.run(&["run", "auto-assign"]).is_done();
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     1 device: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   1 device by rules: standard 1
          plan     nothing to do, 1 already right
          apply    nothing to do
          notify   nothing to tell
    "#]]);
    expect![[r#"
        run RUN of auto-assign, by hand: succeeded
        run RUN of auto-assign, by hand: needs a person
        run RUN of auto-assign, by hand: Apple did not answer as it should; the next run tries again
        run RUN of auto-assign, by hand: succeeded; works again
    "#]]
    .assert_eq(&told(&env));
}

#[test]
fn a_rail_is_told_once_and_always_keeps_saying() {
    for (when, times) in [("needs-attention", 1), ("always", 3)] {
        let env = telling(when);
        env.edit("workflows/auto-assign.toml", "first_assignments = 5000", "first_assignments = 1");
        env.add("main", &["MAC1", "MAC2"]);
        for _ in 0..3 {
            env.run(&["run", "auto-assign"]).ends_with(4);
        }
        assert_eq!(told(&env).lines().count(), times, "{when}");
    }
}

#[test]
fn old_runs_and_histories_are_forgotten_as_deputy_toml_says_and_what_is_needed_stays() {
    let env = TestEnv::new();
    env.append(
        "deputy.toml",
        "\n[keep]\nruns = { days = 30 }\nactions = { days = 60 }\ndevice_history = { days = 60 }\n",
    );
    env.add("main", &["MAC1"]);
    env.run(&["run", "auto-assign"]).is_done();
    let first = last_run(&env);
    env.run(&["run", "auto-assign"]).is_done();
    env.run(&["run", "auto-assign"]).is_done();
    // All of it was a hundred days ago.
    env.store()
        .execute_batch(
            "UPDATE run SET started_at = started_at - 8640000000, ended_at = ended_at - 8640000000;
             UPDATE step SET started_at = started_at - 8640000000, ended_at = ended_at - 8640000000;
             UPDATE device_history SET seen_at = seen_at - 8640000000;
             UPDATE keeping SET ended_at = 0 WHERE place = 0",
        )
        .unwrap();
    env.run(&["run", "auto-assign"]).is_done();
    let runs = env.json(&["runs", "list"]);
    let ids: Vec<&str> =
        runs["runs"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap()).collect();
    // The newest, and the one that gave the device its profile.
    assert_eq!((ids.len(), ids[1]), (2, first.as_str()));
    env.run(&["device", "history", "MAC1"]).succeeds(expect![[r#"
        MAC1 of token main
          TIME  run RUN: rules says standard: everybody else
          TIME  run RUN: Apple shows what was assigned at TIME
          TIME  run RUN: listed for the first time
          TIME  run RUN: assignment of standard: succeeded
    "#]]);
}

#[test]
fn what_is_kept_is_checked_when_the_file_is_read() {
    let env = TestEnv::new();
    env.append(
        "deputy.toml",
        "\n[keep]\nruns = { days = 0 }\nverdicts = { count = 0 }\noutbox = { day = 3 }\n",
    );
    env.run(&["status"]).fails(
        2,
        expect![[r#"
            error: must be at least 1
               --> deputy.toml:115:17
                |
            115 | runs = { days = 0 }
                |                 ^

            error: must be at least 1
               --> deputy.toml:116:22
                |
            116 | verdicts = { count = 0 }
                |                      ^

            error: unknown key `day`
               --> deputy.toml:117:12
                |
            117 | outbox = { day = 3 }
                |            ^^^
                |
                = help: did you mean `days`?
        "#]],
    );
    env.edit("deputy.toml", "outbox = { day = 3 }\n", "");
    env.run(&["status"]).fails(
        2,
        expect![[r#"
            error: must be at least 1
               --> deputy.toml:115:17
                |
            115 | runs = { days = 0 }
                |                 ^

            error: must be at least 1
               --> deputy.toml:116:22
                |
            116 | verdicts = { count = 0 }
                |                      ^
        "#]],
    );
}

#[test]
fn a_disk_that_is_nearly_full_stops_a_run_before_it_begins() {
    let env = telling("changed");
    env.edit("deputy.toml", "[store]", "[store]\nmin_free = \"900000000GiB\"");
    env.add("main", &["MAC1"]);
    let text = env.run(&["run", "auto-assign"]).text();
    let free = text.split(" has ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or("?");
    expect![[r#"
        run RUN of auto-assign, by hand: needs a person
          room     failed: the disk of state has SOME MiB free, and a run wants 921600000000 MiB; nothing was done
                   hint: make room there; what Deputy forgets, and when, `[keep]` in deputy.toml says; `min_free` of `[store]` is how much a run wants
          notify   told log, told
        TIME ERROR run RUN of auto-assign, by hand: needs a person
          room     failed: the disk of state has SOME MiB free, and a run wants 921600000000 MiB; nothing was done
                   hint: make room there; what Deputy forgets, and when, `[keep]` in deputy.toml says; `min_free` of `[store]` is how much a run wants
    "#]].assert_eq(&text.replace(free, "SOME"));
    assert_eq!(env.calls(Endpoint::Fetch).len(), 0);
    assert_eq!(told(&env).lines().count(), 1);
    env.edit("deputy.toml", "900000000GiB", "1MiB");
    env.run(&["run", "auto-assign"]).is_done();
    assert_eq!(env.with_profile("main"), 1);
}

#[test]
fn a_run_is_replayed_with_what_it_was_told_then() {
    let env = TestEnv::new();
    env.add("main", &["MAC1", "MAC2", "EXEC1"]);
    env.run(&["run", "auto-assign"]).is_done();
    let first = last_run(&env);
    // The world moves on: another tag, a device that leaves, one that comes, other settings.
    env.apple().change_device("main", "MAC1", &json!({ "asset_tag": "EXEC-7" })).unwrap();
    env.apple().remove_device("main", "MAC2", true).unwrap();
    env.add("main", &["LIB1"]);
    env.run(&["run", "auto-assign"]).is_done();
    env.run(&["runs", "replay", &first]).succeeds(expect![[r#"
        run RUN of auto-assign, TIME: rules DIGEST… beside rules DIGEST…
        no verdict changes, of 3 devices
    "#]]);
    env.run(&["runs", "replay", "last"]).succeeds(expect![[r#"
        run RUN of auto-assign, TIME: rules DIGEST… beside rules DIGEST…
        no verdict changes, of 3 devices
    "#]]);
    env.edit(
        "deputy.toml",
        "default = { assign = \"standard\", reason = \"everybody else\" }",
        "default = { assign = \"lab-ipad\", reason = \"the lab has more\" }",
    );
    env.run(&["runs", "replay", &first]).is_done();
    env.run(&["runs", "replay", &first, "--policy", "rules", "--all", "--exit-code"]).fails(
        1,
        expect![[r#"
            MAC1: assign standard (everybody else) -> assign lab-ipad (the lab has more)
            MAC2: assign standard (everybody else) -> assign lab-ipad (the lab has more)
            run RUN of auto-assign, TIME: rules DIGEST… beside rules DIGEST…
            the verdict changes for 2 of 3 devices
                    2  assign standard -> assign lab-ipad: MAC1, MAC2
        "#]],
    );
    let replayed = env.json(&["runs", "replay", &first, "--policy", "plugins/rules.wasm"]);
    assert_eq!(replayed["replay"]["changed"], 0, "a file gets the settings of the run");
    assert_eq!(replayed["replay"]["devices"], 3);
    env.run(&["runs", "replay", &first, "--policy", "rulez"]).fails(
        2,
        expect![[r#"
        error: there is no file or plugin `rulez`
        hint: did you mean `rules`?
    "#]],
    );
    // Nothing of this was stored, sent or told.
    assert_eq!(last_run(&env).len(), first.len());
    assert_eq!(env.json(&["runs", "list"])["runs"].as_array().unwrap().len(), 2);
}

#[test]
fn what_a_replay_needs_and_is_not_kept_any_more_is_said() {
    let env = TestEnv::new();
    env.add("main", &["MAC1"]);
    env.run(&["run", "auto-assign"]).is_done();
    std::fs::remove_dir_all(env.file("state/plugin-copies")).unwrap();
    let rules = std::fs::read(env.file("plugins/rules.wasm")).unwrap();
    env.write("plugins/rules.wasm", b"another");
    env.run(&["runs", "replay", "last"]).fails(
        2,
        expect![[r#"
        error: the component DIGEST… of `rules` is not kept any more
        hint: `--policy rules` asks the one of today, `--policy FILE` any other
    "#]],
    );
    env.write("plugins/rules.wasm", rules);
    env.run(&["runs", "replay", "last"]).is_done();
    env.store().execute_batch("DELETE FROM text_copy").unwrap();
    env.run(&["runs", "replay", "last"]).fails(
        2,
        expect![[r#"
        error: the list of profiles of then is not kept any more
        hint: how long they are kept, `[keep]` in deputy.toml says
    "#]],
    );
    env.run(&["sync"]).is_done();
    env.run(&["runs", "replay", "last"]).fails(
        2,
        expect![[r#"
        error: run RUN asked no policy about devices
        hint: `deputy runs show RUN` tells what it did
    "#]],
    );
    let at =
        env.store().execute_batch("UPDATE keeping SET place = place + 1000000 WHERE what = 'whole-since'");
    at.unwrap();
    let first = env.json(&["runs", "list"])["runs"][1]["id"].as_str().unwrap().to_owned();
    env.run(&["runs", "replay", &first]).fails(
        2,
        expect![[r#"
        error: run RUN is of before TIME: what devices were then was not kept whole
        hint: a run since then can be replayed: `deputy runs list`
    "#]],
    );
}

#[test]
fn runs_are_found_by_what_they_are() {
    let env = TestEnv::with_tokens(&["emea", "amer"]);
    env.add("emea", &["MAC1"]);
    env.run(&["run", "auto-assign", "--token", "emea"]).is_done();
    env.run(&["sync", "amer"]).is_done();
    env.apple().sign_terms("amer", false).unwrap();
    env.run(&["sync", "amer"]).ends_with(4);
    let found = |arguments: &[&str]| {
        let all = [&["runs", "list"], arguments].concat();
        env.json(&all)["runs"].as_array().unwrap().len()
    };
    assert_eq!(found(&[]), 3);
    assert_eq!(found(&["--workflow", "auto-assign"]), 1);
    assert_eq!(found(&["--state", "succeeded"]), 2);
    assert_eq!(found(&["--state", "needs-person", "--state", "failed"]), 1);
    assert_eq!(found(&["--token", "amer"]), 2);
    assert_eq!(found(&["--since", "1h"]), 3);
    assert_eq!(found(&["--since", "1970-01-02", "--limit", "2"]), 2);
    env.store()
        .execute_batch("UPDATE run SET started_at = started_at - 7200000 WHERE workflow = 'auto-assign'")
        .unwrap();
    assert_eq!(found(&["--since", "1h"]), 2);
    env.run(&["runs", "list", "--state", "good"]).fails(2, expect![[r#"
        error: invalid value 'good' for '--state <STATE>': `good` is no state of a run; one of `running`, `skipped`, `succeeded`, `approved`, `replaced`, `unavailable`, `stopped`, `interrupted`, `failed`, `refused`, `lapsed`, `needs-person`, `waiting`

        For more information, try '--help'.
    "#]]);
    env.run(&["runs", "list", "--state", "refused"]).succeeds(expect![[r#"
        no such runs
    "#]]);
}

#[test]
fn a_device_that_is_expected_gets_its_profile_the_moment_it_appears_and_is_told_when_late() {
    let env = telling("changed");
    std::fs::create_dir_all(env.file("tables")).unwrap();
    env.write(
        "tables/spring.csv",
        "serial_number,profile,due,note\nMAC7,lab-ipad,2020-01-02,order 7\nMAC8,lab-ipad,2999-01-02,\nMAC9,,,by hand\n",
    );
    env.append("deputy.toml", "\n[expected.spring]\ncsv = \"tables/spring.csv\"\nchannels = [\"told\"]\n");
    env.edit(
        "workflows/auto-assign.toml",
        "[[steps]]\nuses = \"decide\"",
        "[[steps]]\nuses = \"decide\"\npolicy = \"expected.spring\"\n\n[[steps]]\nuses = \"decide\"",
    );
    env.add("main", &["MAC1"]);
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     1 device: 1 new, 0 changed, 0 gone (every device, 2 pages)
          decide   1 device by expected.spring: ignored 1
          decide-2 1 device by rules: standard 1
          plan     define standard, 1 first assignment
          apply    defined standard, 1 assigned, 1 call
          notify   told log, told
        TIME  INFO run RUN of auto-assign, by hand: succeeded
          sync     1 device: 1 new, 0 changed, 0 gone (every device, 2 pages)
          decide   1 device by expected.spring: ignored 1
          decide-2 1 device by rules: standard 1
          plan     define standard, 1 first assignment
          apply    defined standard, 1 assigned, 1 call
    "#]]);
    env.run(&["run", "auto-assign"]).is_done();
    let days = env.json(&["expected", "list", "--late"])["expected"][0]["late_by_days"].to_string();
    let listed = env.run(&["expected", "list"]).text().replace(&days, "MANY");
    expect![[r#"
        SERIAL  LIST    PROFILE   DUE         STATE              NOTE
        MAC7    spring  lab-ipad  DATE  late by MANY days  order 7
        MAC8    spring  lab-ipad  DATE  awaited            -
        MAC9    spring  -         -           awaited            by hand
    "#]]
    .assert_eq(&listed);
    env.add("main", &["MAC7", "MAC9"]);
    env.run(&["run", "auto-assign"]).is_done();
    expect![[r#"
        run RUN of auto-assign, by hand: succeeded
        1 of the expected devices `spring` did not come
        run RUN of auto-assign, by hand: succeeded
        1 late of the expected devices `spring` came
    "#]]
    .assert_eq(&told(&env));
    expect![[r#"
        MAC1: Standard
        MAC7: Lab iPad
        MAC9: Standard
    "#]]
    .assert_eq(&env.at_apple("main"));
    env.run(&["expected", "list", "spring", "--missing"]).succeeds(expect![[r#"
        SERIAL  LIST    PROFILE   DUE         STATE    NOTE
        MAC8    spring  lab-ipad  DATE  awaited  -
    "#]]);
    assert_eq!(env.json(&["expected", "list", "--late"])["expected"], json!([]));
    env.run(&["expected", "list", "summer"]).fails(
        2,
        expect![[r#"
        error: there is no list of expected devices `summer`
        hint: one of `spring`
    "#]],
    );
    let explained = env.json(&["device", "explain", "MAC7"]);
    assert_eq!(explained["device"][0]["verdict"]["policy"], "expected.spring");
    assert_eq!(explained["device"][0]["asked"]["policy"], "expected.spring");
    // A row that changes afterwards changes nothing of what was decided.
    env.write("tables/spring.csv", "serial_number,profile\nMAC7,standard\n");
    env.run(&["runs", "replay", "last"]).succeeds(expect![[r#"
        run RUN of auto-assign, TIME: expected.spring DIGEST…, rules DIGEST… beside expected.spring DIGEST…, rules DIGEST…
        no verdict changes, of 3 devices
    "#]]);
    env.run(&["runs", "replay", "last", "--policy", "rules"]).succeeds(expect![[r#"
        run RUN of auto-assign, TIME: rules DIGEST… beside rules DIGEST…
        the verdict changes for 1 of 3 devices
                1  assign lab-ipad -> assign standard: MAC7
    "#]]);
    let explained = env.json(&["device", "explain", "MAC1", "--run", &last_run(&env)]);
    assert_eq!(explained["device"][0]["asked"]["policy"], "rules");
}

#[test]
fn a_list_that_is_wrong_is_told_before_anything_is_done() {
    let env = TestEnv::new();
    env.append("deputy.toml", "\n[expected.spring]\ncsv = \"spring.csv\"\ntoken = \"mian\"\n");
    env.run(&["status"]).fails(
        2,
        expect![[r#"
            error: deputy.toml has no token `mian`
               --> deputy.toml:116:9
                |
            116 | token = "mian"
                |         ^^^^^^
                |
                = help: did you mean `main`?
        "#]],
    );
    env.edit("deputy.toml", "token = \"mian\"\n", "");
    env.edit("workflows/auto-assign.toml", "policy = \"rules\"", "policy = \"expected.spring\"");
    env.add("main", &["MAC1", "MAC2"]);
    env.run(&["run", "auto-assign"]).fails(
        4,
        expect![[r#"
        run RUN of auto-assign, by hand: needs a person
          sync     2 devices: 2 new, 0 changed, 0 gone (every device, 2 pages)
          decide   failed: the list `expected.spring` cannot be read
        error: cannot be read: No such file or directory (os error 2)
         --> spring.csv
          = help: put it there, or change `csv` of the table in deputy.toml
                   hint: mend the file; a daemon looks again when it reloads, on SIGHUP
    "#]],
    );
    env.write("spring.csv", "serial_number,profile\nMAC1,kiosk\n");
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by expected.spring: held 1, ignored 1
                   1 device held, such as MAC1: the list `expected.spring` names `kiosk`, and no profile is called so
          plan     nothing to do, 1 held because the policy failed, 1 ignored by the policy
          apply    nothing to do
    "#]]);
}

#[test]
fn a_promise_that_is_broken_is_told_once_and_so_is_that_it_is_kept_again() {
    let env = telling("failed");
    env.edit(
        "workflows/auto-assign.toml",
        "name = \"auto-assign\"",
        "name = \"auto-assign\"\nfresh_within = \"4h\"",
    );
    env.add("main", &["MAC1", "MAC2"]);
    env.apple().answer_assignments("main", &["MAC1"], AssignStatus::Throttled, 1, 60).unwrap();
    env.run(&["run", "auto-assign"]).is_done();
    assert_eq!(told(&env), "", "it has just come");
    env.store().execute_batch("UPDATE arrival SET seen_at = seen_at - 18000000").unwrap();
    env.run(&["run", "auto-assign"]).is_done();
    env.run(&["run", "auto-assign"]).is_done();
    let status = env.run(&["status"]);
    status.ends_with(4);
    let text = status.text();
    expect![[r#"
        needs a person:
          auto-assign: a device of `main` is without its profile for more than 4h: MAC1, since TIME: deputy device list --without-profile
    "#]].assert_eq(&text[text.find("needs a person").unwrap()..]);
    env.store().execute_batch("UPDATE pause SET wait_until = 1").unwrap();
    env.run(&["run", "auto-assign"]).is_done();
    env.run(&["status"]).is_done();
    // Nobody has looked for so long that nobody can know.
    env.store().execute_batch("UPDATE token SET synced_at = synced_at - 18000000").unwrap();
    env.run(&["status"]).ends_with(4);
    expect![[r#"
        auto-assign: a device of `main` is without its profile for more than 4h: MAC1, since TIME
        auto-assign: every device has its profile within 4h again
    "#]]
    .assert_eq(&told(&env));
}

#[test]
fn while_nothing_runs_the_daemon_watches_what_is_promised() {
    let env = telling("failed");
    env.edit(
        "workflows/auto-assign.toml",
        "name = \"auto-assign\"",
        "name = \"auto-assign\"\nfresh_within = \"4h\"",
    );
    env.edit("workflows/auto-assign.toml", "cron = \"*/15 * * * *\"", "cron = \"0 0 1 1 *\"");
    env.run(&["sync"]).is_done();
    env.store().execute_batch("UPDATE token SET synced_at = synced_at - 18000000").unwrap();
    let daemon = env.start(&["serve"], "serve.log");
    env.until("it is told", || !told(&env).is_empty());
    assert_eq!(env.end(daemon, "-TERM"), Some(0));
    expect![[r#"
        auto-assign: the devices of `main` were not fetched for more than 4h, but last TIME
    "#]]
    .assert_eq(&told(&env));
}

#[test]
fn after_an_outage_nobody_is_told_of_what_the_first_run_makes_up_for() {
    let env = telling("failed");
    env.edit(
        "workflows/auto-assign.toml",
        "name = \"auto-assign\"",
        "name = \"auto-assign\"\nfresh_within = \"4h\"",
    );
    env.add("main", &["MAC1"]);
    let serve_until = |what: &str, found: &dyn Fn() -> bool| {
        let daemon = env.start(&["serve"], "serve.log");
        env.until(what, found);
        assert_eq!(env.end(daemon, "-TERM"), Some(0));
    };
    // What was never fetched was not there to be fetched for long.
    serve_until("it serves", &|| env.read("serve.log").contains("serving"));
    env.run(&["run", "auto-assign"]).is_done();
    env.store()
        .execute_batch(
            "UPDATE token SET synced_at = synced_at - 18000000, imported_at = imported_at - 18000000;
             UPDATE schedule SET upto = upto - 18000000;",
        )
        .unwrap();
    env.add("main", &["MAC2"]);
    serve_until("the run that makes up for it has ended", &|| {
        env.with_profile("main") == 2 && env.read("serve.log").contains("succeeded")
    });
    assert_eq!(told(&env), "");
    // While it rests, it keeps no promise and breaks none.
    env.store().execute_batch("UPDATE token SET synced_at = synced_at - 18000000").unwrap();
    env.edit("workflows/auto-assign.toml", "fresh_within", "enabled = false\nfresh_within");
    serve_until("it serves", &|| env.read("serve.log").contains("serving"));
    assert_eq!(told(&env), "");
    let status = env.run(&["status"]);
    status.is_done();
    assert!(status.text().contains("disabled; `fresh_within` of 4h is not watched"), "{}", status.text());
}

#[test]
fn a_good_run_pings_and_a_bad_one_only_says_so_if_that_is_wanted() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let address = net::answering(move |first| {
        log.lock().unwrap().push(first.to_owned());
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned()
    });
    let env = telling("failed");
    secret(&env, "state/ping-url", &format!("http://{address}/a-secret"));
    env.edit(
        "workflows/auto-assign.toml",
        "[schedule]",
        "[ping]\nurl_from = { file = \"state/ping-url\" }\nfailures = true\n\n[schedule]",
    );
    env.run(&["run", "auto-assign"]).is_done();
    env.run(&["plan", "auto-assign"]).is_done();
    env.apple().sign_terms("main", false).unwrap();
    env.run(&["run", "auto-assign"]).ends_with(4);
    env.edit("workflows/auto-assign.toml", "failures = true\n", "");
    env.run(&["run", "auto-assign"]).ends_with(4);
    let asked = asked.lock().unwrap().join("\n");
    expect![[r#"
        GET /a-secret HTTP/1.1
        GET /a-secret/fail HTTP/1.1"#]]
    .assert_eq(&asked);
    env.edit(
        "workflows/auto-assign.toml",
        "url_from = {",
        "url = \"https://hc.example.com/a-secret\"\nurl_from = {",
    );
    env.run(&["workflow", "check"]).fails(
        2,
        expect![[r#"
            error: unknown key `url`
              --> workflows/auto-assign.toml:11:1
               |
            11 | url = "https://hc.example.com/********"
               | ^^^
               |
               = help: did you mean `url_from`?
        "#]],
    );
}

#[test]
fn a_ping_that_does_not_get_through_fails_no_run_and_is_told_once() {
    let env = telling("failed");
    secret(&env, "state/ping-url", &format!("http://{}/a-secret", net::nowhere()));
    env.edit(
        "workflows/auto-assign.toml",
        "[schedule]",
        "[ping]\nurl_from = { file = \"state/ping-url\" }\n\n[schedule]",
    );
    env.run(&["run", "auto-assign"]).is_done();
    env.run(&["run", "auto-assign"]).is_done();
    let hook = Hook::start();
    secret(&env, "state/ping-url", &hook.url);
    env.run(&["run", "auto-assign"]).is_done();
    assert_eq!(hook.count(), 1);
    expect![[r#"
        the ping of auto-assign does not get through
        the ping of auto-assign gets through again
    "#]]
    .assert_eq(&told(&env));
    let all = env.read("told.json") + &env.run(&["runs", "show", "last"]).text();
    assert!(!all.contains("secret-path") && !all.contains("a-secret"), "{all}");
}

//! A person keeps a workflow from running, or everything from being changed; and what `status` says of a
//! daemon that cannot do what the files say.

use expect_test::expect;
use sim::{Endpoint, Fault};

use crate::env::TestEnv;

/// `auto-assign` every second.
fn every_second(env: &TestEnv) {
    env.edit("workflows/auto-assign.toml", "cron = \"*/15 * * * *\"", "cron = \"* * * * * *\"");
}

const ALWAYS: &str = "\n[[freezes]]\nreason = \"stocktaking\"\nfrom = 2020-01-01\nuntil = \"2099-01-01\"\ntimezone = \"UTC\"\n";

#[test]
fn a_paused_workflow_does_not_run_until_it_is_resumed_and_its_times_are_one_row() {
    let env = TestEnv::new();
    every_second(&env);
    env.add("main", &["MAC1"]);
    let pause = ["workflow", "pause", "auto-assign", "--reason", "we move house"];
    env.run_with(&[("USER", "anna"), ("SUDO_USER", "")], &pause).succeeds(expect![[r#"
        auto-assign does not run on its schedule until `deputy workflow resume auto-assign`.
    "#]]);
    let daemon = env.start(&["serve"], "serve.log");
    let paused = || {
        let runs = env.json(&["runs", "list"]);
        let runs = runs["runs"].as_array().unwrap().clone();
        runs.iter().filter(|run| run["skipped"]["why"] == "paused").cloned().collect::<Vec<_>>()
    };
    env.until("times went by", || paused().iter().any(|run| run["skipped"]["times"].as_u64() > Some(2)));
    assert_eq!(paused().len(), 1, "one row for all of them");
    assert_eq!(paused()[0]["skipped"]["note"], "anna: we move house");
    assert_eq!(env.with_profile("main"), 0);
    let list = env.run(&["workflow", "list"]).text();
    expect!["auto-assign      * * * * * *  paused by anna: we move house  sync, decide, plan, apply"]
        .assert_eq(list.lines().find(|line| line.starts_with("auto-assign")).unwrap());
    let status = env.run(&["status"]).text();
    expect!["auto-assign      never run  paused by anna: we move house"]
        .assert_eq(status.lines().find(|line| line.starts_with("auto-assign")).unwrap());
    // A person may want it now all the same.
    env.run(&["run", "auto-assign", "--dry-run"]).succeeds(expect![[r#"
        run RUN of auto-assign (dry run), by hand: succeeded
          sync     1 device: 1 new, 0 changed, 0 gone (every device, 2 pages)
          decide   1 device by rules: standard 1
          plan     define standard, 1 first assignment
          apply    a dry run ends with the plan
        note: auto-assign is paused by anna: we move house; its schedule rests, and this run is yours
    "#]]);
    env.run(&["workflow", "resume", "auto-assign"]).is_done();
    env.until("it runs again", || env.with_profile("main") == 1);
    assert_eq!(env.end(daemon, "-TERM"), Some(0), "{}", env.read("serve.log"));
}

#[test]
fn what_is_paused_while_nobody_serves_is_on_record_when_it_is_resumed() {
    let env = TestEnv::new();
    let daemon = env.start(&["serve"], "serve.log");
    env.until("the daemon serves", || env.read("serve.log").contains("serving"));
    env.until("the workflows are known", || !env.json(&["status"])["status"]["serving"].is_null());
    assert_eq!(env.end(daemon, "-TERM"), Some(0), "{}", env.read("serve.log"));
    env.run(&["workflow", "pause", "auto-assign", "--reason", "we move house", "--until", "3d"]).is_done();
    env.store()
        .execute_batch(
            "UPDATE schedule SET upto = upto / 900000 * 900000 - 2 * 900000;
             UPDATE workflow_pause SET since = since - 7200000;",
        )
        .unwrap();
    env.run(&["workflow", "resume", "auto-assign"]).is_done();
    let runs = env.json(&["runs", "list", "--workflow", "auto-assign"]);
    assert_eq!(runs["runs"][0]["skipped"]["why"], "paused", "{runs:#}");
    assert!(runs["runs"][0]["skipped"]["times"].as_u64() >= Some(2), "{runs:#}");
}

#[test]
fn a_pause_that_cannot_be_meant_is_refused() {
    let env = TestEnv::new();
    env.run(&["workflow", "pause", "auto-asign", "--reason", "x"]).fails(
        2,
        expect![[r#"
        error: there is no workflow `auto-asign`
        hint: did you mean `auto-assign`?
    "#]],
    );
    env.run(&["workflow", "pause", "auto-assign", "--reason", " "]).fails(
        2,
        expect![[r#"
        error: a pause without a reason puzzles whoever finds it
        hint: `--reason TEXT`
    "#]],
    );
    env.run(&["workflow", "pause", "auto-assign", "--reason", "x", "--until", "2020-01-01"]).fails(
        2,
        expect![[r#"
            error: that moment has passed
            hint: `deputy workflow resume auto-assign` ends a pause
        "#]],
    );
    env.run(&["workflow", "pause", "auto-assign", "--reason", "x", "--until", "soon"]).fails(2, expect![[r#"
        error: invalid value 'soon' for '--until <TIME>': `soon` is no time; write one such as TIME, a day such as DATE, or how long before now or after it, such as 90m or 2d

        For more information, try '--help'.
    "#]]);
    env.run(&["workflow", "resume", "auto-assign"]).fails(
        2,
        expect![[r#"
        error: auto-assign is not paused
        hint: `deputy workflow list` shows what is, and when each runs next
    "#]],
    );
}

#[test]
fn in_a_freeze_everything_goes_on_but_nothing_is_changed_at_apple() {
    let env = TestEnv::new();
    every_second(&env);
    env.append("deputy.toml", ALWAYS);
    env.add("main", &["MAC1", "MAC2"]);
    let daemon = env.start(&["serve"], "serve.log");
    env.until("a run has a plan that waits", || {
        env.json(&["runs", "list"])["runs"].as_array().unwrap().iter().any(|run| {
            let steps = run["steps"].as_array().unwrap();
            steps.iter().any(|step| step["outcome"]["outcome"] == "frozen")
        })
    });
    assert_eq!(env.end(daemon, "-TERM"), Some(0), "{}", env.read("serve.log"));
    assert_eq!(env.with_profile("main"), 0);
    assert_eq!(env.calls(Endpoint::Define).len(), 0);
    let runs = env.json(&["runs", "list"]);
    let run = runs["runs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|run| run["steps"].as_array().unwrap().len() > 3)
        .unwrap();
    env.run(&["runs", "show", run["id"].as_str().unwrap(), "--actions", "0"]).succeeds(expect![[r#"
        run RUN of auto-assign: succeeded
          sync     2 devices: 2 new, 0 changed, 0 gone (every device, 2 pages)
          decide   2 devices by rules: standard 2
          plan     define standard, 2 first assignments
          apply    not done, frozen until TIME: stocktaking; 2 devices to be changed then
    "#]]);
    let status = env.run(&["status"]).text();
    expect![[r#"
        frozen:
          nothing is changed at Apple until TIME: stocktaking"#]]
    .assert_eq(&status.lines().skip_while(|line| *line != "frozen:").take(2).collect::<Vec<_>>().join("\n"));

    env.run(&["run", "auto-assign"]).fails(3, expect![[r#"
        error: nothing is changed at Apple now; frozen until TIME: stocktaking
        hint: wait until then, or do it all the same with `--despite-freeze`; `deputy plan` shows what it would be
    "#]]);
    env.run(&["unassign", "MAC1", "--token", "main", "--yes"]).fails(3, expect![[r#"
        error: nothing is changed at Apple now; frozen until TIME: stocktaking
        hint: wait until then, or do it all the same with `--despite-freeze`; `deputy plan` shows what it would be
    "#]]);
    env.run(&["device", "disown", "MAC1", "--token", "main", "--confirm", "MAC1"]).fails(3, expect![[r#"
        error: nothing is changed at Apple now; frozen until TIME: stocktaking
        hint: wait until then, or do it all the same with `--despite-freeze`; `deputy plan` shows what it would be
    "#]]);
    env.run(&["profile", "push"]).fails(3, expect![[r#"
        error: nothing is changed at Apple now; frozen until TIME: stocktaking
        hint: wait until then, or do it all the same with `--despite-freeze`; `deputy plan` shows what it would be
    "#]]);
    env.run(&["plan", "auto-assign"]).is_done();
    env.run(&["sync"]).is_done();
    assert_eq!(env.with_profile("main"), 0);
    env.run(&["run", "auto-assign", "--despite-freeze"]).is_done();
    assert_eq!(env.with_profile("main"), 2);
}

#[test]
fn a_freeze_of_one_token_leaves_the_others_alone() {
    let env = TestEnv::with_tokens(&["amer", "emea"]);
    env.append("deputy.toml", &format!("{ALWAYS}tokens = [\"emea\"]\n"));
    env.add("amer", &["MAC1"]);
    env.add("emea", &["MAC2"]);
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     amer: 1 device: 1 new, 0 changed, 0 gone (every device, 2 pages)
          decide   amer: 1 device by rules: standard 1
          plan     amer: define standard, 1 first assignment
          apply    amer: defined standard, 1 assigned, 1 call
          sync     emea: 1 device: 1 new, 0 changed, 0 gone (every device, 2 pages)
          decide   emea: 1 device by rules: standard 1
          plan     emea: define standard, 1 first assignment
          apply    emea: not done, frozen until TIME: stocktaking; 1 device to be changed then
    "#]]);
    assert_eq!((env.with_profile("amer"), env.with_profile("emea")), (1, 0));
    env.run(&["run", "auto-assign", "--token", "emea"]).fails(3, expect![[r#"
        error: nothing is changed at Apple now; frozen until TIME: stocktaking
        hint: wait until then, or do it all the same with `--despite-freeze`; `deputy plan` shows what it would be
    "#]]);
}

#[test]
fn a_freeze_that_says_nothing_clear_is_a_mistake() {
    let env = TestEnv::new();
    env.append(
        "deputy.toml",
        r#"
[[freezes]]
reason = "a"
from = "2026-12-20"

[[freezes]]
reason = " "
from = "2026-12-20"
until = "2026-12-20"
tokens = ["mian"]

[[freezes]]
reason = "c"
cron = "0 18 * * fri"
lasts = "0s"
timezone = "Europe/Pariss"

[[freezes]]
reason = "d"
from = 5
until = "Christmas"
"#,
    );
    env.run(&["workflow", "check"]).fails(
        2,
        expect![[r#"
            error: it is not said when nothing is to be changed
               --> deputy.toml:114:1
                |
            114 | [[freezes]]
                | ^^^^^^^^^^^
                |
                = help: write `from` and `until` for one window, or `cron` and `lasts` for one that comes back

            error: whoever is refused wants to know why
               --> deputy.toml:119:10
                |
            119 | reason = " "
                |          ^^^

            error: it ends before it begins
               --> deputy.toml:121:9
                |
            121 | until = "DATE"
                |         ^^^^^^^^^^^^

            error: deputy.toml has no token `mian`
               --> deputy.toml:122:11
                |
            122 | tokens = ["mian"]
                |           ^^^^^^
                |
                = help: did you mean `main`?

            error: a window of no time is none
               --> deputy.toml:127:9
                |
            127 | lasts = "0s"
                |         ^^^^

            error: no time zone is called `Europe/Pariss`
               --> deputy.toml:128:12
                |
            128 | timezone = "Europe/Pariss"
                |            ^^^^^^^^^^^^^^^
                |
                = help: an IANA name, such as `Europe/Paris` or `UTC`

            error: this is no time
               --> deputy.toml:132:8
                |
            132 | from = 5
                |        ^
                |
                = help: write a day such as `DATE`, or a time such as `2026-12-20T18:00`

            error: this is no time
               --> deputy.toml:133:9
                |
            133 | until = "Christmas"
                |         ^^^^^^^^^^^
                |
                = help: write a day such as `DATE`, or a time such as `2026-12-20T18:00`
        "#]],
    );
}

#[test]
fn a_daemon_that_goes_on_with_what_it_had_is_told_by_status() {
    let env = TestEnv::new();
    let daemon = env.start(&["serve"], "serve.log");
    env.until("the daemon serves", || env.read("serve.log").contains("serving"));
    env.edit("workflows/sync.toml", "[schedule]", "[shedule]");
    env.signal(daemon, "-HUP");
    env.until("the mistake is told", || env.read("serve.log").contains("shedule"));
    let status = env.run(&["status"]);
    status.ends_with(2);
    let status = status.text();
    expect!["hint: `deputy serve` goes on with what it read TIME; mend the files, then send it SIGHUP"]
        .assert_eq(status.lines().find(|line| line.contains("`deputy serve`")).unwrap_or(&status));
    env.edit("workflows/auto-assign.toml", "missed = \"run-once\"", "mised = \"run-once\"");
    let told = env.read("serve.log").len();
    env.signal(daemon, "-HUP");
    env.until("both are told", || env.read("serve.log")[told..].contains("shedule"));
    env.edit("workflows/auto-assign.toml", "mised = \"run-once\"", "missed = \"run-once\"");
    // Right again, but the daemon does not know yet.
    env.edit("workflows/sync.toml", "[shedule]", "[schedule]");
    let status = env.run(&["status"]).text();
    expect!["  the daemon goes on with the configuration it read TIME: the files have mistakes since TIME: workflows/auto-assign.toml:12:1: unknown key `mised` (and 1 more): deputy workflow check"].assert_eq(status.lines().find(|line| line.contains("the daemon goes on")).unwrap_or(&status));
    env.signal(daemon, "-HUP");
    env.until("the files are taken up", || env.read("serve.log").contains("read again"));
    assert!(!env.run(&["status"]).text().contains("the daemon goes on"));
    assert_eq!(env.end(daemon, "-TERM"), Some(0));
}

#[test]
fn times_that_go_by_because_nobody_serves_need_a_person() {
    let env = TestEnv::new();
    let daemon = env.start(&["serve"], "serve.log");
    env.until("the daemon serves", || env.read("serve.log").contains("serving"));
    env.until("it is known", || {
        env.store().query_row("SELECT count(*) FROM schedule", [], |row| row.get::<_, u32>(0)).unwrap() == 3
    });
    assert_eq!(env.end(daemon, "-TERM"), Some(0));
    env.run(&["status"]).is_done();
    env.store()
        .execute("UPDATE schedule SET upto = upto - 3600000 WHERE workflow = 'auto-assign'", [])
        .unwrap();
    let status = env.run(&["status"]);
    status.ends_with(4);
    let status = status.text();
    expect!["  auto-assign should have run at TIME, and no `deputy serve` is running: start it"]
        .assert_eq(status.lines().find(|line| line.contains("should have run")).unwrap_or(&status));
}

#[test]
fn a_run_over_a_token_that_hangs_ends_at_its_timeout() {
    let env = TestEnv::with_tokens(&["amer", "emea"]);
    env.edit("workflows/auto-assign.toml", "timeout = \"20m\"", "timeout = \"3s\"");
    env.add("amer", &["MAC1"]);
    env.add("emea", &["MAC2"]);
    env.apple().fault(Fault::hang().of_server("emea").always());
    env.run(&["run", "auto-assign"]).fails(1, expect![[r#"
        run RUN of auto-assign, by hand: stopped at its time limit; the next run goes on
          sync     amer: 1 device: 1 new, 0 changed, 0 gone (every device, 2 pages)
          decide   amer: 1 device by rules: standard 1
          plan     amer: define standard, 1 first assignment
          apply    amer: defined standard, 1 assigned, 1 call
          sync     emea: failed: stopped while waiting for Apple's answer to `emea`
                   hint: if that happens again, look for what swallows packets on the way to Apple: a proxy, a firewall
          limit    failed: the run has reached its limit of 3s
                   hint: the next run goes on from there; if it takes that long, give auto-assign a longer `timeout` in its `[schedule]`
    "#]]);
    assert_eq!((env.with_profile("amer"), env.with_profile("emea")), (1, 0));
}

#[test]
fn a_pause_says_what_it_takes_the_place_of_and_a_reason_is_one_line() {
    let env = TestEnv::new();
    let pause = |more: &[&str]| {
        let typed = [&["workflow", "pause", "auto-assign", "--reason"], more].concat();
        env.run_with(&[("USER", "anna"), ("SUDO_USER", "")], &typed)
    };
    pause(&["a\u{1b}[2Jb"]).fails(
        2,
        expect![[r#"
        error: the reason is to be one line of at most 1,000 bytes
    "#]],
    );
    pause(&["two\nlines"]).ends_with(2);
    pause(&["we move house", "--until", "3d"]).is_done();
    let next = || env.json(&["workflow", "list"])["workflows"][0]["next"].clone();
    assert!(next().is_string());
    pause(&["longer"]).succeeds(expect![[r#"
        auto-assign does not run on its schedule until `deputy workflow resume auto-assign`.
        This takes the place of an earlier one: paused until TIME by anna: we move house.
    "#]]);
    assert!(next().is_null(), "{}", next());
    let file = env.read("workflows/auto-assign.toml");
    env.write(
        "workflows/auto-assign.toml",
        file.replacen("version = 1\n", "version = 1\nenabled = false\n", 1),
    );
    env.run(&["workflow", "resume", "auto-assign"]).succeeds(expect![[r#"
        auto-assign is not paused any more. It still does not run on its schedule: its file says `enabled = false`.
    "#]]);
}

#[test]
fn runs_of_what_there_never_was_are_asked_for_by_mistake() {
    let env = TestEnv::new();
    env.run(&["runs", "list", "--workflow", "auto-asign"]).fails(
        2,
        expect![[r#"
        error: there is no workflow `auto-asign`
        hint: did you mean `auto-assign`?
    "#]],
    );
    env.run(&["runs", "list", "--token", "mian"]).fails(
        2,
        expect![[r#"
        error: there is no token `mian`
        hint: did you mean `main`?
    "#]],
    );
    env.run(&["runs", "list", "--workflow", "auto-assign"]).is_done();
    env.run(&["runs", "list", "--limit", "0"]).fails(
        2,
        expect![[r#"
        error: invalid value '0' for '--limit <N>': 0 is not in 1..=4294967295

        For more information, try '--help'.
    "#]],
    );
}

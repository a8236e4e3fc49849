//! Cases of workflow files: what they mean, or what is wrong with them.

use expect_test::{Expect, expect};

use jiff::tz::TimeZone;

use super::*;
use crate::document::{Findings, Source};
use crate::duration::Span;

#[track_caller]
fn check(text: &str, expected: Expect) {
    let source = Source { path: "workflows/w.toml", text };
    let found = match Workflow::parse(source, &Defaults::of_machine(TimeZone::UTC)) {
        Ok(workflow) => workflow.steps.iter().map(in_short).collect(),
        Err(mistakes) => format!("{mistakes}\n"),
    };
    expected.assert_eq(&found);
}

fn in_short(step: &Step) -> String {
    let timeout = step.timeout.map_or(String::new(), |limit| format!(", at most {}", Span(limit)));
    format!("{}, {}{timeout}: {:#?}\n", step.id, step.when, step.uses)
}

#[test]
fn steps_get_their_defaults() {
    check(
        "version = 1\nname = \"w\"\nsteps = [{ uses = \"sync\" }, { uses = \"remind\" }]\n",
        expect![[r#"
            sync, unless a step before it broke off: Sync {
                full: Every(
                    86400s,
                ),
                retry: Retry {
                    attempts: 3,
                    backoff: 5s,
                },
            }
            remind, whatever came before: Remind {
                policy: None,
                channels: None,
                look_at_servers: true,
            }
        "#]],
    );
}

#[test]
fn all_mistakes_are_told_at_once_with_their_lines() {
    check(
        r#"version = 1
name = "Auto Assign"
[schedule]
cron = "*/15 * * *"
timezone = "Europe/Pariss"
jiter = "60s"
[[steps]]
uses = "snyc"
[[steps]]
uses = "plan"
rails = { first_assigments = 5 }
"#,
        expect![[r#"
            error: `Auto Assign` is not a workflow name: lower-case letters, digits, `-`, `_` and `.`, starting with a letter or digit, at most 64
             --> workflows/w.toml:2:8
              |
            2 | name = "Auto Assign"
              |        ^^^^^^^^^^^^^

            error: a cron expression has five fields, and this one has 4
             --> workflows/w.toml:4:8
              |
            4 | cron = "*/15 * * *"
              |        ^^^^^^^^^^^^
              |
              = help: minute hour day month weekday; six with seconds in front, seven with years behind as well

            error: no time zone is called `Europe/Pariss`
             --> workflows/w.toml:5:12
              |
            5 | timezone = "Europe/Pariss"
              |            ^^^^^^^^^^^^^^^
              |
              = help: did you mean `Europe/Paris`?

            error: unknown key `jiter`
             --> workflows/w.toml:6:1
              |
            6 | jiter = "60s"
              | ^^^^^
              |
              = help: did you mean `jitter`?

            error: unknown `uses` value `snyc`
             --> workflows/w.toml:8:8
              |
            8 | uses = "snyc"
              |        ^^^^^^
              |
              = help: did you mean `sync`?

            error: unknown key `first_assigments`
              --> workflows/w.toml:11:11
               |
            11 | rails = { first_assigments = 5 }
               |           ^^^^^^^^^^^^^^^^
               |
               = help: did you mean `first_assignments`?
        "#]],
    );
}

#[test]
fn what_concerns_devices_comes_before_people_are_told() {
    check(
        r#"version = 1
name = "w"
[[steps]]
uses = "decide"
policy = "rules"
[[steps]]
uses = "plan"
[[steps]]
uses = "notify"
[[steps]]
uses = "apply"
"#,
        expect![[r#"
                error: this step concerns devices, and comes after one that tells people
                  --> workflows/w.toml:11:8
                   |
                11 | uses = "apply"
                   |        ^^^^^^^
                   |
                   = help: put `remind` and `notify` at the end
            "#]],
    );
}

#[test]
fn what_the_shape_allows_is_checked_for_its_meaning() {
    check(
        r#"version = 1
name = "Auto Assign"
[schedule]
cron = "*/15 * * *"
timezone = "Europe/Pariss"
jitter = "60"
[[steps]]
uses = "plan"
[[steps]]
uses = "decide"
policy = "Rules"
"#,
        expect![[r#"
            error: `Auto Assign` is not a workflow name: lower-case letters, digits, `-`, `_` and `.`, starting with a letter or digit, at most 64
             --> workflows/w.toml:2:8
              |
            2 | name = "Auto Assign"
              |        ^^^^^^^^^^^^^

            error: a cron expression has five fields, and this one has 4
             --> workflows/w.toml:4:8
              |
            4 | cron = "*/15 * * *"
              |        ^^^^^^^^^^^^
              |
              = help: minute hour day month weekday; six with seconds in front, seven with years behind as well

            error: no time zone is called `Europe/Pariss`
             --> workflows/w.toml:5:12
              |
            5 | timezone = "Europe/Pariss"
              |            ^^^^^^^^^^^^^^^
              |
              = help: did you mean `Europe/Paris`?

            error: `60` is not a span of time: write `90s`, `15m`, `24h`, `30d` or `1h30m`
             --> workflows/w.toml:6:10
              |
            6 | jitter = "60"
              |          ^^^^

            error: `plan` has no verdicts to plan from
             --> workflows/w.toml:8:8
              |
            8 | uses = "plan"
              |        ^^^^^^
              |
              = help: put a step `uses = "decide"` with a `policy` before it

            error: `Rules` is not a plugin name: lower-case letters, digits, `-`, `_` and `.`, starting with a letter or digit, at most 64
              --> workflows/w.toml:11:10
               |
            11 | policy = "Rules"
               |          ^^^^^^^
        "#]],
    );
}

#[test]
fn a_name_for_what_people_do_themselves_is_taken() {
    check(
        "version = 1\nname = \"sync-by-hand\"\nsteps = [{ uses = \"sync\" }]\n",
        expect![[r#"
        error: names that end in `-by-hand` are for what people do themselves
         --> workflows/w.toml:2:8
          |
        2 | name = "sync-by-hand"
          |        ^^^^^^^^^^^^^^
          |
          = help: choose another name
    "#]],
    );
}

#[test]
fn what_becomes_of_faults_and_who_reviews_the_plan_is_the_workflows_choice() {
    let with = |decide: &str, plan: &str| {
        format!(
            "version = 1\nname = \"w\"\n[[steps]]\nuses = \"decide\"\npolicy = \"p\"\n{decide}\n[[steps]]\nuses = \"plan\"\n{plan}\n"
        )
    };
    check(
        &with("on_fault = { assign = \"standard\" }", "review = \"guard\""),
        expect![[r#"
            decide, unless a step before it broke off: Decide {
                policy: PluginName(
                    "p",
                ),
                on_fault: Assign(
                    ProfileName(
                        "standard",
                    ),
                ),
            }
            plan, unless a step before it broke off: Plan {
                rails: Rails {
                    first_assignments: 5000,
                    reassignments: 25,
                    removals: 25,
                    protect_profiles: {},
                    protect_serials: {},
                    protect_file: None,
                },
                review: Some(
                    PluginName(
                        "guard",
                    ),
                ),
                approve_within: 259200s,
            }
        "#]],
    );
    check(
        &with("on_fault = \"fail\"", ""),
        expect![[r#"
            decide, unless a step before it broke off: Decide {
                policy: PluginName(
                    "p",
                ),
                on_fault: Fail,
            }
            plan, unless a step before it broke off: Plan {
                rails: Rails {
                    first_assignments: 5000,
                    reassignments: 25,
                    removals: 25,
                    protect_profiles: {},
                    protect_serials: {},
                    protect_file: None,
                },
                review: None,
                approve_within: 259200s,
            }
        "#]],
    );
    check(
        &with("on_fault = \"hodl\"", "reveiw = \"guard\""),
        expect![[r#"
        error: unknown value `hodl`
         --> workflows/w.toml:6:12
          |
        6 | on_fault = "hodl"
          |            ^^^^^^
          |
          = help: did you mean `hold`?

        error: unknown key `reveiw`
         --> workflows/w.toml:9:1
          |
        9 | reveiw = "guard"
          | ^^^^^^
          |
          = help: did you mean `review`?
    "#]],
    );
    check(
        &with("on_fault = { asign = \"standard\" }", ""),
        expect![[r#"
        error: missing key `assign`
         --> workflows/w.toml:6:12
          |
        6 | on_fault = { asign = "standard" }
          |            ^^^^^^^^^^^^^^^^^^^^^^

        error: unknown key `asign`
         --> workflows/w.toml:6:14
          |
        6 | on_fault = { asign = "standard" }
          |              ^^^^^
          |
          = help: did you mean `assign`?
    "#]],
    );
    check(
        &with("on_fault = { assign = \"Not A Name\" }", "review = \"Guard!\""),
        expect![[r#"
        error: `Not A Name` is not a profile name: lower-case letters, digits, `-`, `_` and `.`, starting with a letter or digit, at most 64
         --> workflows/w.toml:6:23
          |
        6 | on_fault = { assign = "Not A Name" }
          |                       ^^^^^^^^^^^^

        error: `Guard!` is not a plugin name: lower-case letters, digits, `-`, `_` and `.`, starting with a letter or digit, at most 64
         --> workflows/w.toml:9:10
          |
        9 | review = "Guard!"
          |          ^^^^^^^^
    "#]],
    );
}

#[test]
fn steps_have_names_conditions_and_limits() {
    check(
        r#"version = 1
name = "w"
[[steps]]
uses = "sync"
id = "fetch"
timeout = "10m"
[[steps]]
uses = "decide"
id = "main"
policy = "p"
on_fault = "fail"
[[steps]]
uses = "decide"
id = "fallback"
policy = "q"
when = { failed = "main" }
[[steps]]
uses = "plan"
when = { succeeded = ["main", "fallback"] }
[[steps]]
uses = "apply"
[[steps]]
uses = "sync"
when = "changed"
[[steps]]
uses = "notify"
when = { failed = "main" }
[[steps]]
uses = "notify"
when = "needs-attention"
"#,
        expect![[r#"
            fetch, unless a step before it broke off, at most 10m: Sync {
                full: Every(
                    86400s,
                ),
                retry: Retry {
                    attempts: 3,
                    backoff: 5s,
                },
            }
            main, unless a step before it broke off: Decide {
                policy: PluginName(
                    "p",
                ),
                on_fault: Fail,
            }
            fallback, only if `main` went wrong: Decide {
                policy: PluginName(
                    "q",
                ),
                on_fault: Hold,
            }
            plan, only if `main` or `fallback` came to its end: Plan {
                rails: Rails {
                    first_assignments: 5000,
                    reassignments: 25,
                    removals: 25,
                    protect_profiles: {},
                    protect_serials: {},
                    protect_file: None,
                },
                review: None,
                approve_within: 259200s,
            }
            apply, unless a step before it broke off: Apply {
                retry: Retry {
                    attempts: 3,
                    backoff: 5s,
                },
                read_back: false,
            }
            sync, only if a step before it changed something and none broke off: Sync {
                full: Every(
                    86400s,
                ),
                retry: Retry {
                    attempts: 3,
                    backoff: 5s,
                },
            }
            notify, only if `main` went wrong: Notify {
                when: Always,
                channels: None,
            }
            notify-2, whatever came before: Notify {
                when: NeedsAttention,
                channels: None,
            }
        "#]],
    );
}

#[test]
fn a_workflow_may_plan_and_apply_more_than_once() {
    check(
        r#"version = 1
name = "w"
[[steps]]
uses = "decide"
policy = "p"
[[steps]]
uses = "plan"
[[steps]]
uses = "apply"
[[steps]]
uses = "plan"
[[steps]]
uses = "apply"
[[steps]]
uses = "apply"
[[steps]]
uses = "decide"
policy = "p"
"#,
        expect![[r#"
            error: `plan` has no verdicts to plan from
              --> workflows/w.toml:11:8
               |
            11 | uses = "plan"
               |        ^^^^^^
               |
               = help: put a step `uses = "decide"` with a `policy` before it

            error: `apply` has no plan to carry out
              --> workflows/w.toml:15:8
               |
            15 | uses = "apply"
               |        ^^^^^^^
               |
               = help: put a step `uses = "plan"` before it

            error: this policy was asked by a step before
              --> workflows/w.toml:18:10
               |
            18 | policy = "p"
               |          ^^^
               |
               = help: a second `decide` is asked about the devices that those before it ignored: name another policy
        "#]],
    );
}

#[test]
fn a_condition_is_about_steps_before_and_an_id_is_one_steps_own() {
    check(
        r#"version = 1
name = "w"
[[steps]]
uses = "sync"
id = "fetch"
timeout = "0s"
[[steps]]
uses = "sync"
id = "fetch"
when = { changed = "fecth" }
[[steps]]
uses = "sync"
id = "My Sync"
when = { changed = "fetch", failed = "fetch" }
[[steps]]
uses = "notify"
when = { succeeded = [], chnged = "fetch" }
"#,
        expect![[r#"
            error: nothing is done in no time
             --> workflows/w.toml:6:11
              |
            6 | timeout = "0s"
              |           ^^^^
              |
              = help: leave the key out for no limit of its own

            error: another step has the id `fetch`
             --> workflows/w.toml:9:6
              |
            9 | id = "fetch"
              |      ^^^^^^^
              |
              = help: conditions and reports tell steps apart by it

            error: no step before this one is called `fecth`
              --> workflows/w.toml:10:20
               |
            10 | when = { changed = "fecth" }
               |                    ^^^^^^^
               |
               = help: did you mean `fetch`?

            error: `My Sync` is not a step id: lower-case letters, digits, `-`, `_` and `.`, starting with a letter or digit, at most 64
              --> workflows/w.toml:13:6
               |
            13 | id = "My Sync"
               |      ^^^^^^^^^

            error: must have one key
              --> workflows/w.toml:14:1
               |
            14 | when = { changed = "fetch", failed = "fetch" }
               | ^^^^
               |
               = help: one of `succeeded`, `changed`, `failed` and `needs-attention`, and the `id` of a step

            error: must have at least 1 entry
              --> workflows/w.toml:17:22
               |
            17 | when = { succeeded = [], chnged = "fetch" }
               |                      ^^

            error: unknown key `chnged`
              --> workflows/w.toml:17:26
               |
            17 | when = { succeeded = [], chnged = "fetch" }
               |                          ^^^^^^
               |
               = help: did you mean `changed`?
        "#]],
    );
    check(
        r#"version = 1
name = "w"
[[steps]]
uses = "sync"
id = "fetch"
[[steps]]
uses = "notify"
when = "chnged"
[[steps]]
uses = "notify"
when = true
"#,
        expect![[r#"
            error: unknown value `chnged`
             --> workflows/w.toml:8:8
              |
            8 | when = "chnged"
              |        ^^^^^^^^
              |
              = help: did you mean `changed`?

            error: must be one of `always`, `changed`, `failed`, `needs-attention` or a table, not true or false
              --> workflows/w.toml:11:8
               |
            11 | when = true
               |        ^^^^
        "#]],
    );
    check(
        r#"version = 1
name = "w"
[[steps]]
uses = "sync"
id = "fetch"
[[steps]]
uses = "notify"
when = { failed = ["fetch", "later"] }
[[steps]]
uses = "remind"
id = "later"
"#,
        expect![[r#"
            error: no step before this one is called `later`
             --> workflows/w.toml:8:29
              |
            8 | when = { failed = ["fetch", "later"] }
              |                             ^^^^^^^
              |
              = help: one of `fetch`
        "#]],
    );
}

#[test]
fn what_a_workflow_does_not_say_comes_from_the_defaults() {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Config {
        defaults: DefaultsTable,
    }
    let text = r#"
[defaults]
timezone = "Europe/Paris"
missed = "skip"
timeout = "2h"
jitter = "1m"
retry = { attempts = 7 }
rails = { reassignments = 3, protect_profiles = ["executive"] }
channels = ["ops"]
"#;
    let source = Source { path: "deputy.toml", text };
    let config: Config = source.read().unwrap();
    let mut findings = Findings::new(source);
    let defaults = config.defaults.meant(TimeZone::UTC, &mut findings);
    findings.finish().unwrap();
    let workflow = |text: &str| {
        let workflow = Workflow::parse(Source { path: "w.toml", text }, &defaults).unwrap();
        let timing = workflow.timing.as_ref().unwrap();
        let head = format!(
            "{:?} {:?} {:?}, jitter {}, at most {}\n",
            timing.schedule.timezone().iana_name(),
            timing.missed,
            timing.overlap,
            Span(timing.jitter),
            Span(workflow.timeout)
        );
        head + &workflow.steps.iter().map(in_short).collect::<String>()
    };
    let steps = "[[steps]]\nuses = \"sync\"\n[[steps]]\nuses = \"decide\"\npolicy = \"p\"\n[[steps]]\nuses = \"plan\"\n[[steps]]\nuses = \"notify\"\n";
    let silent = format!("version = 1\nname = \"w\"\n[schedule]\ncron = \"@daily\"\n{steps}");
    expect![[r#"
        Some("Europe/Paris") Skip Skip, jitter 1m, at most 2h
        sync, unless a step before it broke off: Sync {
            full: Every(
                86400s,
            ),
            retry: Retry {
                attempts: 7,
                backoff: 5s,
            },
        }
        decide, unless a step before it broke off: Decide {
            policy: PluginName(
                "p",
            ),
            on_fault: Hold,
        }
        plan, unless a step before it broke off: Plan {
            rails: Rails {
                first_assignments: 5000,
                reassignments: 3,
                removals: 25,
                protect_profiles: {
                    ProfileName(
                        "executive",
                    ),
                },
                protect_serials: {},
                protect_file: None,
            },
            review: None,
            approve_within: 259200s,
        }
        notify, whatever came before: Notify {
            when: Changed,
            channels: Some(
                [
                    ChannelName(
                        "ops",
                    ),
                ],
            ),
        }
    "#]]
    .assert_eq(&workflow(&silent));
    let own = r#"version = 1
name = "w"
[schedule]
cron = "@daily"
timezone = "UTC"
missed = "run-once"
overlap = "queue"
timeout = "5m"
jitter = "0s"
[[steps]]
uses = "sync"
retry = { backoff = "1s" }
[[steps]]
uses = "decide"
policy = "p"
[[steps]]
uses = "plan"
rails = { first_assignments = 1, protect_profiles = [] }
[[steps]]
uses = "notify"
channels = ["log"]
"#;
    expect![[r#"
        Some("UTC") RunOnce Queue, jitter 0s, at most 5m
        sync, unless a step before it broke off: Sync {
            full: Every(
                86400s,
            ),
            retry: Retry {
                attempts: 7,
                backoff: 1s,
            },
        }
        decide, unless a step before it broke off: Decide {
            policy: PluginName(
                "p",
            ),
            on_fault: Hold,
        }
        plan, unless a step before it broke off: Plan {
            rails: Rails {
                first_assignments: 1,
                reassignments: 3,
                removals: 25,
                protect_profiles: {},
                protect_serials: {},
                protect_file: None,
            },
            review: None,
            approve_within: 259200s,
        }
        notify, whatever came before: Notify {
            when: Changed,
            channels: Some(
                [
                    ChannelName(
                        "log",
                    ),
                ],
            ),
        }
    "#]]
    .assert_eq(&workflow(own));
}

#[test]
fn a_run_takes_some_time_and_starts_on_its_day() {
    check(
        r#"version = 1
name = "w"
schedule = { cron = "@daily", timeout = "0s", jitter = "25h" }
[[steps]]
uses = "sync"
"#,
        expect![[r#"
            error: nothing is done in no time
             --> workflows/w.toml:3:41
              |
            3 | schedule = { cron = "@daily", timeout = "0s", jitter = "25h" }
              |                                         ^^^^
              |
              = help: write how long a run may take, such as `1h`, or leave the key out

            error: a run that much later is none of its time any more
             --> workflows/w.toml:3:56
              |
            3 | schedule = { cron = "@daily", timeout = "0s", jitter = "25h" }
              |                                                        ^^^^^
              |
              = help: write at most `1d`; a few minutes spread the load
        "#]],
    );
}

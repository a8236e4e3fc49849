//! Mistakes in files: found where they stand, with the nearest right word, before anything is done.

use expect_test::{Expect, expect};

use crate::env::TestEnv;

/// One typing mistake in one file: what a run says. Nothing is asked of Apple.
#[track_caller]
fn check(file: &str, from: &str, to: &str, expected: Expect) {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.edit(file, from, to);
    let config = env.read("deputy.toml");
    env.run(&["run", "auto-assign"]).fails(2, expected);
    env.run(&["workflow", "check"]).ends_with(2);
    assert!(env.apple().calls().is_empty());
    assert!(!env.file("state/deputy.db").exists(), "a store was made for a wrong configuration");
    assert_eq!(env.read("deputy.toml"), config);
    env.edit(file, to, from);
}

#[test]
fn a_misspelt_table_of_the_configuration() {
    check(
        "deputy.toml",
        "[secrets]",
        "[secrtes]",
        expect![[r#"
            error: unknown key `secrtes`
             --> deputy.toml:9:2
              |
            9 | [secrtes]
              |  ^^^^^^^
              |
              = help: did you mean `secrets`?
        "#]],
    );
}

#[test]
fn a_misspelt_key_of_the_configuration() {
    check(
        "deputy.toml",
        "contacts = []",
        "contcats = []",
        expect![[r#"
            error: unknown key `contcats`
              --> deputy.toml:18:1
               |
            18 | contcats = []                       # whom reminders are for: ["it@example.com"]
               | ^^^^^^^^
               |
               = help: did you mean `contacts`?
        "#]],
    );
}

#[test]
fn a_misspelt_kind_of_channel() {
    check(
        "deputy.toml",
        "kind = \"log\"",
        "kind = \"lgo\"",
        expect![[r#"
            error: unknown `kind` value `lgo`
              --> deputy.toml:73:8
               |
            73 | kind = "lgo"
               |        ^^^^^
               |
               = help: one of `log`, `email`, `slack`, `teams`, `webhook`, `command`
        "#]],
    );
}

#[test]
fn a_misspelt_key_of_a_workflow() {
    check(
        "workflows/auto-assign.toml",
        "missed = \"run-once\"",
        "mised = \"run-once\"",
        expect![[r#"
            error: unknown key `mised`
              --> workflows/auto-assign.toml:12:1
               |
            12 | mised = "run-once"       # after a night switched off: once, now
               | ^^^^^
               |
               = help: did you mean `missed`?
        "#]],
    );
}

#[test]
fn a_misspelt_rail() {
    check(
        "workflows/auto-assign.toml",
        "reassignments = 25",
        "reasignments = 25",
        expect![[r#"
            error: unknown key `reasignments`
              --> workflows/auto-assign.toml:28:37
               |
            28 | rails = { first_assignments = 5000, reasignments = 25 }
               |                                     ^^^^^^^^^^^^
               |
               = help: did you mean `reassignments`?
        "#]],
    );
}

#[test]
fn a_misspelt_step() {
    check(
        "workflows/auto-assign.toml",
        "uses = \"apply\"",
        "uses = \"aply\"",
        expect![[r#"
            error: unknown `uses` value `aply`
              --> workflows/auto-assign.toml:31:8
               |
            31 | uses = "aply"
               |        ^^^^^^
               |
               = help: did you mean `apply`?
        "#]],
    );
}

#[test]
fn a_policy_that_is_not_configured() {
    check(
        "workflows/auto-assign.toml",
        "policy = \"rules\"",
        "policy = \"rulse\"",
        expect![[r#"
            error: deputy.toml has no plugin `rulse`
              --> workflows/auto-assign.toml:22:10
               |
            22 | policy = "rulse"
               |          ^^^^^^^
               |
               = help: did you mean `rules`?
        "#]],
    );
}

#[test]
fn a_misspelt_key_of_a_profile() {
    check(
        "profiles/standard.toml",
        "department =",
        "departement =",
        expect![[r#"
            error: unknown key `departement`
             --> profiles/standard.toml:7:1
              |
            7 | departement = "IT"
              | ^^^^^^^^^^^
              |
              = help: did you mean `department`?
        "#]],
    );
}

#[test]
fn a_pane_that_setup_assistant_does_not_have() {
    check(
        "profiles/standard.toml",
        "\"Siri\"",
        "\"Siry\"",
        expect![[r#"
            error[pane-unknown]: Apple knows no pane `Siry`
              --> profiles/standard.toml:11:9
               |
            11 | skip = ["Siry", "Diagnostics"]
               |         ^^^^^^
               |
               = help: did you mean `Siri`?
        "#]],
    );
}

#[test]
fn a_version_from_the_future() {
    check(
        "deputy.toml",
        "version = 1",
        "version = 2",
        expect![[r#"
            error: this file is for a newer Deputy: its format has version 2, and this one knows version 1
             --> deputy.toml:4:11
              |
            4 | version = 2
              |           ^
              |
              = help: use the Deputy it was written for, or a newer one
        "#]],
    );
}

#[test]
fn mistakes_of_several_files_are_told_together() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.edit("deputy.toml", "[secrets]", "[secrtes]");
    env.edit("profiles/standard.toml", "department =", "departement =");
    env.edit("workflows/sync.toml", "jitter =", "jiter =");
    env.run(&["workflow", "check"]).fails(
        2,
        expect![[r#"
            error: unknown key `secrtes`
             --> deputy.toml:9:2
              |
            9 | [secrtes]
              |  ^^^^^^^
              |
              = help: did you mean `secrets`?

            error: unknown key `departement`
             --> profiles/standard.toml:7:1
              |
            7 | departement = "IT"
              | ^^^^^^^^^^^
              |
              = help: did you mean `department`?

            error: unknown key `jiter`
              --> workflows/sync.toml:10:1
               |
            10 | jiter = "5m"             # not in the same second as everybody else's
               | ^^^^^
               |
               = help: did you mean `jitter`?
        "#]],
    );
}

#[test]
fn a_folder_that_has_a_configuration_is_not_initialised_again() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.append("deputy.toml", "# mine\n");
    let (config, key) = (env.read("deputy.toml"), env.read("state/deputy.key"));
    env.run(&["init"]).fails(
        2,
        expect![[r#"
        error: ./deputy.toml is there already; nothing was changed
        hint: choose another folder: `deputy init DIR`
    "#]],
    );
    assert_eq!((env.read("deputy.toml"), env.read("state/deputy.key")), (config, key));
}

#[test]
fn a_configuration_that_is_missing_is_named() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.run(&["status", "--config", "elsewhere.toml"]).fails(
        2,
        expect![[r#"
        error: there is no elsewhere.toml
        hint: `deputy init` writes one; with `--config FILE` or in another folder, Deputy finds yours
    "#]],
    );
}

#[test]
fn a_workflow_that_is_not_there_is_refused_with_the_nearest() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.run(&["run", "auto-asign"]).fails(
        2,
        expect![[r#"
        error: there is no workflow `auto-asign`
        hint: did you mean `auto-assign`?
    "#]],
    );
}

#[test]
fn what_init_writes_has_no_mistakes() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.run(&["init", "fresh"]).succeeds(expect![[r#"
        Wrote a configuration to fresh. Look at deputy.toml and profiles/ first, then type
          cd fresh
          deputy token request main
    "#]]);
    env.run(&["workflow", "check", "--config", "fresh/deputy.toml"]).succeeds(expect![[r#"
        no mistakes; tokens: 1, profiles: 3, workflows: 3, plugins: 1
    "#]]);
}

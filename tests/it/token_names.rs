//! A token under another name, and forgotten.

use expect_test::expect;
use serde_json::json;
use sim::TokenOptions;

use crate::env::TestEnv;

#[test]
fn a_token_gets_another_name_with_all_that_belongs_to_it() {
    let env = TestEnv::new();
    env.edit("workflows/auto-assign.toml", "[schedule]", "tokens = [\"main\"]\n\n[schedule]");
    env.add("main", &["MAC1", "LIB1"]);
    env.run(&["run", "auto-assign"]).is_done();
    env.run(&["token", "request", "main"]).is_done();
    env.download_token("main", &TokenOptions::default());
    env.run(&["token", "import", "main", "main.p7m"]).is_done();
    env.run(&["token", "rename", "main", "emea"]).succeeds(expect![[r#"
        Renamed `main` to `emea`, with its keys, devices and history.
        Now write the new name in these lines; until then runs say that the old one is not imported:
          deputy.toml:16: [tokens.main]
          workflows/auto-assign.toml:10: tokens = ["main"]
        Then, if `deputy serve` is running, send it SIGHUP. Reports of past runs keep the name in their text.
    "#]]);
    let left: Vec<String> = tables_that_say(&env, "main");
    assert_eq!(left, Vec::<String>::new());
    env.run(&["run", "auto-assign"]).fails(
        4,
        expect![[r#"
            run RUN of auto-assign, by hand: needs a person
              sync     failed: the token `main` is not imported
                       hint: if it was renamed, write the name it has now in deputy.toml (here, and not there: `emea`); else type `deputy token request main` and follow what it says
        "#]],
    );
    env.edit("deputy.toml", "[tokens.main]", "[tokens.emea]");
    env.edit("workflows/auto-assign.toml", "tokens = [\"main\"]", "tokens = [\"emea\"]");
    env.run(&["device", "history", "MAC1"]).is_done();
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by rules: lab-ipad 1, standard 1
          plan     nothing to do, 2 already right
          apply    nothing to do
    "#]]);
    assert_eq!(env.apple().most_assignments_of_one_device(), 1);
    env.run(&["token", "rename", "main", "other"]).fails(
        2,
        expect![[r#"
        error: there is no token `main`
        hint: one of `emea`
    "#]],
    );
    env.run(&["token", "rename", "emea", "emea"]).fails(
        2,
        expect![[r#"
        error: `emea` has that name already
    "#]],
    );
}

/// Every table in which a column `token` still has this value.
fn tables_that_say(env: &TestEnv, name: &str) -> Vec<String> {
    let store = env.store();
    let mut tables = store
        .prepare(
            "SELECT t.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
             WHERE t.type = 'table' AND c.name = 'token'",
        )
        .unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(tables.len() > 5, "{tables:?}");
    let says = |table: &String| {
        let sql = format!("SELECT count(*) FROM {table} WHERE token = ?1");
        store.query_row(&sql, [name], |row| row.get::<_, u64>(0)).unwrap() > 0
    };
    tables.into_iter().filter(says).collect()
}

#[test]
fn a_name_that_is_taken_is_refused() {
    let env = TestEnv::with_tokens(&["north", "south"]);
    env.run(&["token", "rename", "north", "south"]).fails(
        2,
        expect![[r#"
        error: something is kept under the name `south` already; nothing was changed
        hint: look at it with `deputy token show south`; choose another name, or forget that one
    "#]],
    );
    env.run(&["token", "check"]).is_done();
}

#[test]
fn a_token_is_forgotten_after_saying_what_is_lost() {
    let env = TestEnv::with_tokens(&["main", "other"]);
    env.add("main", &["MAC1", "LIB1"]);
    env.run(&["run", "auto-assign"]).is_done();
    env.run(&["token", "forget", "main", "--yes"]).fails(2, expect![[r#"
        To be forgotten with `main`:
          - the token of the server "main" of main Ltd, which ends TIME
          - 1 private key, 0 open requests
          - 2 devices with 0 changes in their history and 2 actions on record
          - which of Apple's profiles are ours (2 definitions)
        At Apple nothing changes: the token is good until its end, and devices keep their profiles. Reports of past runs stay.
        error: `main` is in deputy.toml, so it is in use; nothing was forgotten
        hint: remove `[tokens.main]` there first, or add --force
    "#]]);
    env.edit("deputy.toml", "[tokens.main]", "[tokens.spare]");
    env.run(&["token", "list"]).succeeds(expect![[r#"
        TOKEN  SERVER  ORGANISATION  DEVICES  SYNCED                EXPIRES      NOTES
        main   main    main Ltd      2        TIME  in NNN days  not in deputy.toml
        other  other   other Ltd     0        TIME  in NNN days
        spare  -       -             -        -                     -            not requested
    "#]]);
    env.run(&["token", "forget", "main"]).fails(4, expect![[r#"
        To be forgotten with `main`:
          - the token of the server "main" of main Ltd, which ends TIME
          - 1 private key, 0 open requests
          - 2 devices with 0 changes in their history and 2 actions on record
          - which of Apple's profiles are ours (2 definitions)
        At Apple nothing changes: the token is good until its end, and devices keep their profiles. Reports of past runs stay.
        error: it was not confirmed, so nothing was forgotten
        hint: in a terminal it is asked for; a script adds --yes
    "#]]);
    env.run(&["token", "forget", "main", "--yes"]).is_done();
    assert_eq!(tables_that_say(&env, "main"), ["step"]);
    env.run(&["token", "forget", "main", "--yes"]).fails(
        2,
        expect![[r#"
        error: there is no token `main`
        hint: one of `other`
    "#]],
    );
    env.run(&["token", "forget", "spare", "--yes"]).fails(
        2,
        expect![[r#"
        error: nothing is kept of `spare`: it was never requested or imported
        hint: if it is not wanted, remove `[tokens.spare]` from deputy.toml
    "#]],
    );
    env.run(&["token", "check", "other"]).is_done();
    env.run(&["runs", "show", "last"]).is_done();
}

#[test]
fn a_token_that_a_run_works_with_is_neither_renamed_nor_forgotten() {
    let env = TestEnv::new();
    env.apple().fault(sim::Fault::slow(600_000).on(sim::Endpoint::Account));
    env.apple().clear_calls();
    let run = env.start(&["run", "auto-assign"], "run.log");
    env.until("the run has the token", || !env.calls(sim::Endpoint::Session).is_empty());
    env.run(&["token", "rename", "main", "emea"]).fails(
        5,
        expect![[r#"
        error: a run works with `main`; nothing was changed
        hint: type it again when the run has ended
    "#]],
    );
    env.run(&["token", "forget", "main", "--force", "--yes"]).fails(
        5,
        expect![[r#"
        error: a run works with `main`; nothing was forgotten
        hint: type it again when the run has ended
    "#]],
    );
    env.run(&["secrets", "rotate"]).fails(
        5,
        expect![[r#"
        error: a run works with the token `main`; nothing was changed
        hint: try again when it has ended
    "#]],
    );
    env.kill(run);
    env.apple().clear_faults();
    env.run(&["sync"]).is_done();
}

#[test]
fn open_requests_are_forgotten_alone() {
    let env = TestEnv::new();
    env.run(&["token", "forget", "main", "--pending"]).fails(
        2,
        expect![[r#"
        error: `main` has no open request
    "#]],
    );
    env.run(&["token", "request", "main"]).is_done();
    env.run(&["token", "forget", "main", "--pending"]).fails(
        4,
        expect![[r#"
        A token that was downloaded for one of these certificates cannot be imported any more:
          TIME  certificate ID
        error: it was not confirmed, so nothing was forgotten
        hint: in a terminal it is asked for; a script adds --yes
    "#]],
    );
    env.run(&["token", "forget", "main", "--pending", "--yes"]).succeeds(expect![[r#"
        A token that was downloaded for one of these certificates cannot be imported any more:
          TIME  certificate ID
        Forgot 1 open request.
    "#]]);
    env.download_token("main", &TokenOptions::default());
    env.run(&["token", "import", "main", "main.p7m"]).ends_with(4);
    assert_eq!(env.json(&["token", "show", "main"])["token"]["open_requests"], json!([]));
}

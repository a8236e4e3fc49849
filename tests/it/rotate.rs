//! Another key for all secrets: what it says, what a thief has of a backup, and death at any moment.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Instant;

use expect_test::expect;
use sim::TokenOptions;

use crate::env::TestEnv;

const KEY: &str = "state/deputy.key";
const NEXT: &str = "state/deputy.key.new";

/// Every secret opens: of the token in use, of the one before, of a request.
#[track_caller]
fn all_opens(env: &TestEnv) {
    env.run(&["token", "check"]).is_done();
    env.download_token("main", &TokenOptions::default());
    env.run(&["token", "import", "main", "main.p7m"]).is_done();
    env.run(&["token", "check"]).is_done();
}

/// The names of the key files.
fn key_files(env: &TestEnv) -> Vec<String> {
    let files = fs::read_dir(env.file("state")).unwrap();
    let mut names: Vec<String> =
        files.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.contains(".key"));
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_new_key_takes_the_place_of_the_old_one_which_is_kept() {
    let env = TestEnv::new();
    env.run(&["token", "request", "main"]).is_done();
    let old = env.read(KEY);
    env.run(&["secrets", "rotate"]).succeeds(expect![[r#"
        Sealed 3 secrets with the new key KEY.
        It is in DIR/state/deputy.key; keep a copy of it somewhere else.
        The old key KEY is kept in DIR/state/deputy.key.KEY: backups of the database made until now open with it alone. Delete it together with the last of them.
    "#]]);
    assert_ne!(env.read(KEY), old);
    let files = key_files(&env);
    assert_eq!(files.len(), 2, "{files:?}");
    for file in files {
        assert_eq!(mode(&env.file("state").join(file)), 0o600);
    }
    all_opens(&env);
    // The old key opens nothing any more.
    let new = env.read(KEY);
    env.write(KEY, old);
    env.run(&["status"]).ends_with(4);
    env.write(KEY, new);
    let again = env.json(&["secrets", "rotate"]);
    assert_eq!(again["rotated"]["secrets"], 2);
    all_opens(&env);
}

#[test]
fn nothing_that_the_old_key_opens_stays_in_the_database() {
    let env = TestEnv::new();
    env.run(&["token", "request", "main"]).is_done();
    let sealed: Vec<u8> =
        env.store().query_row("SELECT sealed FROM key_check", [], |row| row.get(0)).unwrap();
    // A version and the name of the key, with which everything sealed begins.
    let begins = &sealed[..9];
    let has =
        |name: &str| fs::read(env.file(name)).is_ok_and(|content| content.windows(9).any(|it| it == begins));
    assert!(has("state/deputy.db"));
    env.run(&["secrets", "rotate"]).is_done();
    assert!(!has("state/deputy.db") && !has("state/deputy.db-wal"));
}

#[test]
fn a_rotation_that_was_interrupted_goes_on() {
    let env = TestEnv::new();
    let old = env.read(KEY);
    // Before anything was sealed, in the middle of writing the new key.
    env.write(NEXT, "0123");
    env.run(&["token", "check"]).is_done();
    env.run(&["secrets", "rotate"]).is_done();
    assert!(!env.file(NEXT).exists());
    all_opens(&env);
    // After everything was sealed, before the new key was in its place.
    let new = env.read(KEY);
    env.write(NEXT, &new);
    fs::set_permissions(env.file(NEXT), fs::Permissions::from_mode(0o600)).unwrap();
    env.write(KEY, &old);
    env.run(&["token", "list"]).succeeds(expect![[r#"
        TOKEN  SERVER  ORGANISATION  DEVICES  SYNCED  EXPIRES      NOTES
        main   main    main Ltd      0        never   in NNN days
        note: `deputy secrets rotate` was interrupted; going on with the new key in state/deputy.key.new: type it again to end it
    "#]]);
    all_opens(&env);
    env.run(&["secrets", "rotate"]).succeeds(expect![[r#"
        Went on where it was interrupted: everything is sealed with the new key KEY.
        It is in DIR/state/deputy.key; keep a copy of it somewhere else.
        The old key KEY is kept in DIR/state/deputy.key.KEY: backups of the database made until now open with it alone. Delete it together with the last of them.
        note: `deputy secrets rotate` was interrupted; going on with the new key in state/deputy.key.new: type it again to end it
    "#]]);
    assert_eq!(env.read(KEY), new);
    assert!(!env.file(NEXT).exists());
    all_opens(&env);
}

#[test]
fn a_rotation_killed_at_any_moment_leaves_a_key_that_opens_everything() {
    const MOMENTS: u32 = 12;
    let env = TestEnv::new();
    env.run(&["token", "request", "main"]).is_done();
    let began = Instant::now();
    env.run(&["secrets", "rotate"]).is_done();
    let usual = began.elapsed();
    for nth in 0..MOMENTS {
        env.kill_after(usual * (nth + 1) / MOMENTS, &["secrets", "rotate"]);
        env.run(&["token", "check"]).is_done();
        if nth % 2 == 0 {
            env.run(&["secrets", "rotate"]).is_done();
            assert!(!env.file(NEXT).exists());
        }
    }
    env.run(&["secrets", "rotate"]).is_done();
    all_opens(&env);
}

#[test]
fn two_rotations_at_once_lose_no_key() {
    let env = TestEnv::new();
    for nth in 0..6 {
        let rotations =
            [0, 1].map(|which| env.start(&["secrets", "rotate"], &format!("rotate{nth}{which}.log")));
        for rotation in rotations {
            env.until("it has ended", || env.has_ended(rotation));
        }
        assert!(!env.file(NEXT).exists());
        env.run(&["token", "check"]).is_done();
    }
    all_opens(&env);
}

#[test]
fn a_daemon_that_knows_the_old_key_only_is_stopped_first() {
    let env = TestEnv::new();
    let daemon = env.start(&["serve"], "serve.log");
    env.until("it serves", || env.file("state/deputy.locks/daemon").exists());
    env.until("it is refused", || {
        let ran = env.run(&["secrets", "rotate"]);
        ran.output.status.code() == Some(1)
    });
    env.run(&["secrets", "rotate"]).fails(
        1,
        expect![[r#"
        error: `deputy serve` works with this store; nothing was changed
        hint: stop it, type this again, and start it with the new key
    "#]],
    );
    env.end(daemon, "-TERM");
    env.run(&["secrets", "rotate"]).is_done();
}

#[test]
fn a_key_of_the_environment_is_replaced_by_one_that_is_named() {
    let env = TestEnv::new();
    let old = env.read(KEY).trim().to_owned();
    let new = "0123456789abcdef".repeat(4);
    fs::rename(env.file(KEY), env.file("elsewhere")).unwrap();
    env.edit("deputy.toml", "key_file = \"state/deputy.key\"", "env = \"DEPUTY_TEST_KEY\"");
    let with = |key: &str, arguments: &[&str], code, expected: expect_test::Expect| {
        env.run_with(&[("DEPUTY_TEST_KEY", key), ("NEW", &new)], arguments).fails(code, expected);
    };
    with(
        &old,
        &["secrets", "rotate"],
        2,
        expect![[r#"
        error: the key does not come from a file, so the new one has to be named
        hint: make one with `openssl rand -hex 32`, then name it with --new-key-file or --new-key-env
    "#]],
    );
    with(
        &old,
        &["secrets", "rotate", "--new-key-env", "DEPUTY_TEST_KEY"],
        2,
        expect![[r#"
        error: the new key is the one in use (KEY)
        hint: make another with `openssl rand -hex 32`
    "#]],
    );
    env.write("new.key", &new);
    fs::set_permissions(env.file("new.key"), fs::Permissions::from_mode(0o644)).unwrap();
    with(
        &old,
        &["secrets", "rotate", "--new-key-file", "new.key"],
        4,
        expect![[r#"
        error: the key file new.key can be read by others (mode 644)
        hint: chmod 600 new.key
    "#]],
    );
    with(
        &old,
        &["secrets", "rotate", "--new-key-env", "NEW"],
        0,
        expect![[r#"
        Sealed 2 secrets with the new key KEY.
        Now put the new key into $DEPUTY_TEST_KEY: with the old one, KEY, no command opens the store any more.
        Keep the old key as long as backups of the database made until now: they open with it alone.
    "#]],
    );
    // The operator was interrupted before the new key was in its place.
    with(
        &old,
        &["status"],
        4,
        expect![[r#"
        error: a secret in the store cannot be opened
          caused by: the store was sealed with the key KEY, and this is the key KEY
        hint: name the key KEY under `[secrets]` in deputy.toml; if it is lost, request and import the server tokens again
    "#]],
    );
    with(
        &old,
        &["secrets", "rotate", "--new-key-env", "NEW"],
        0,
        expect![[r#"
        Everything is sealed with the new key KEY already.
        Now put the new key into $DEPUTY_TEST_KEY: with the old one, KEY, no command opens the store any more.
        Keep the old key as long as backups of the database made until now: they open with it alone.
    "#]],
    );
    with(
        &new,
        &["token", "list"],
        0,
        expect![[r#"
        TOKEN  SERVER  ORGANISATION  DEVICES  SYNCED  EXPIRES      NOTES
        main   main    main Ltd      0        never   in NNN days
    "#]],
    );
    env.edit("deputy.toml", "env = \"DEPUTY_TEST_KEY\"", "key_file = \"new.key\"");
    fs::set_permissions(env.file("new.key"), fs::Permissions::from_mode(0o600)).unwrap();
    env.run(&["secrets", "rotate", "--new-key-env", "HOME"]).fails(
        4,
        expect![[r#"
        error: $HOME holds no key of 32 bytes, as 64 hexadecimal digits or 44 characters of Base64
        hint: restore the key from a backup; for a new one, openssl rand -hex 32 makes a good key
    "#]],
    );
    env.run(&["token", "check"]).is_done();
}

#[test]
fn a_systemd_credential_opens_the_store() {
    let env = TestEnv::new();
    fs::create_dir(env.file("credentials")).unwrap();
    fs::rename(env.file(KEY), env.file("credentials/deputy-key")).unwrap();
    env.edit("deputy.toml", "key_file = \"state/deputy.key\"", "credential = \"deputy-key\"");
    let folder = env.file("credentials").display().to_string();
    env.run_with(&[("CREDENTIALS_DIRECTORY", &folder)], &["token", "check"]).is_done();
    env.run_with(&[("CREDENTIALS_DIRECTORY", "/nowhere")], &["token", "check"]).fails(
        4,
        expect![[r#"
        error: the key that opens Deputy's secrets is not there: no credential `deputy-key`
        hint: put the key back; `deputy init` makes one for a new folder, and a new key opens nothing old
    "#]],
    );
    env.run(&["status"]).ends_with(4);
    env.edit("deputy.toml", "\ncredential = \"deputy-key\"", "\nkey_file = \"credentials/deputy-key\"");
}

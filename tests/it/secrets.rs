//! Secrets are in the key file and, sealed, in the store; nowhere else, whatever goes wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use expect_test::expect;
use sim::{Endpoint, Fault, TokenOptions};

use crate::certificates::Pair;
use crate::env::TestEnv;

#[test]
fn no_secret_of_a_token_is_in_any_file_log_or_output() {
    let env = TestEnv::before_the_exchange(&["main"]);
    let key = env.read("state/deputy.key").trim().to_owned();
    let mut said = String::new();
    let mut say = |arguments: &[&str]| said += &env.run(arguments).raw();
    say(&["-vv", "token", "request", "main"]);
    let token = env.download_token("main", &TokenOptions::default());
    say(&["-vv", "token", "import", "main", "main.p7m"]);
    env.add("main", &["MAC1", "LIB1"]);
    say(&["-vv", "run", "auto-assign"]);
    env.apple().fault(Fault::status(403, "FORBIDDEN").on(Endpoint::Sync).times(3));
    say(&["-vv", "run", "auto-assign"]);
    env.apple().clear_faults();
    env.apple().end_session("main").unwrap();
    for command in [
        vec!["-vv", "run", "auto-assign", "--json"],
        vec!["-vv", "token", "list", "--json"],
        vec!["-vv", "status", "--json"],
        vec!["-vv", "runs", "show", "last", "--json"],
        vec!["-vv", "device", "list", "--json"],
    ] {
        say(&command);
    }
    // A daemon that is killed leaves its write-ahead log behind: that is looked at too.
    env.edit("workflows/auto-assign.toml", "cron = \"*/15 * * * *\"", "cron = \"*/1 * * * * *\"");
    let daemon = env.start(&["-vv", "serve"], "state/serve.log");
    env.add("main", &["MAC2"]);
    env.until("the daemon has assigned", || env.with_profile("main") == 3);
    env.end(daemon, "-KILL");
    said += &env.read("state/serve.log");
    let sim::Credentials { consumer_key, consumer_secret, access_token, access_secret, .. } =
        token.credentials;
    let secrets = [consumer_key, consumer_secret, access_token, access_secret];
    let private = ["PRIVATE KEY".to_owned(), "MIIEv".to_owned(), "MIIEp".to_owned(), "MIIEo".to_owned()];
    for secret in secrets.iter().chain(&private).chain([&key]) {
        assert!(!said.contains(secret.as_str()), "{secret} was said:\n{said}");
    }
    // PKCS #8 and PKCS #1 as DER: how a private key would begin.
    let pkcs8 = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x04\x82".to_vec();
    let pkcs1 = b"\x02\x01\x00\x02\x82\x01\x01\x00".to_vec();
    let texts = secrets.iter().chain(&private).map(|text| text.as_bytes().to_vec());
    let forbidden: Vec<Vec<u8>> = texts.chain([pkcs8, pkcs1]).collect();
    let files = state_files(&env.file("state"));
    assert!(files.iter().any(|(name, _)| name.ends_with("deputy.db")), "there is no store to look at");
    assert!(files.iter().any(|(name, _)| name.ends_with("-wal")), "there is no write-ahead log to look at");
    for (name, content) in files {
        let is_key = name.ends_with("deputy.key");
        for secret in &forbidden {
            let found = content.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{} is in {name}", String::from_utf8_lossy(secret));
        }
        let has_key = content.windows(key.len()).any(|window| window == key.as_bytes());
        assert_eq!(has_key, is_key, "the key is in {name}");
    }
    env.run(&["run", "auto-assign"]).is_done();
}

/// Every file of the state folder but compiled plugins, which were there before any secret.
fn state_files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the entry is there").path();
        if path.is_dir() {
            if !path.ends_with("plugin-cache") {
                files.extend(state_files(&path));
            }
        } else {
            files.push((path.display().to_string(), fs::read(&path).expect("the file is ours")));
        }
    }
    files
}

#[test]
fn no_secret_comes_out_in_the_whole_life_of_a_token() {
    let env = TestEnv::before_the_exchange(&["main", "moved"]);
    let mut secrets = vec![env.read("state/deputy.key").trim().to_owned()];
    let mut said = String::new();
    let mut remember = |token: &sim::Credentials| {
        let sim::Credentials { consumer_key, consumer_secret, access_token, access_secret, .. } =
            token.clone();
        secrets.extend([consumer_key, consumer_secret, access_token, access_secret]);
    };
    let mut say = |arguments: &[&str]| said += &env.run(&[&["-vv"], arguments].concat()).raw();
    for _ in 0..2 {
        say(&["token", "request", "main"]);
        say(&["token", "request", "main", "--json"]);
        let token = env.download_token("main", &TokenOptions::default());
        remember(&token.credentials);
        say(&["token", "import", "main", "main.p7m"]);
        say(&["token", "import", "main", "main.p7m", "--json"]);
    }
    let pair = Pair::new("depserver");
    let token = env.apple().token("moved", pair.certificate.as_bytes(), &TokenOptions::default()).unwrap();
    remember(&token.credentials);
    env.write("moved.p7m", &token.content);
    env.write("key.pem", &pair.private_key);
    env.write("cert.pem", &pair.certificate);
    say(&["token", "decrypt", "moved.p7m", "--key", "key.pem"]);
    say(&["token", "decrypt", "moved.p7m", "--key", "key.pem", "--json"]);
    say(&["token", "decrypt", "moved.p7m", "--key", "cert.pem"]);
    let json = serde_json::to_string(&token.credentials).unwrap();
    env.write("wrong.json", json.replace("access_secret", "other"));
    say(&["token", "import", "moved", "wrong.json"]);
    env.write("broken.json", &json[..json.len() - 9]);
    say(&["token", "import", "moved", "broken.json"]);
    env.write("moved.json", json);
    let keys = ["--certificate", "cert.pem", "--private-key", "key.pem"];
    say(&[&["token", "import", "moved", "moved.json"], &keys[..]].concat());
    say(&["token", "show", "moved"]);
    say(&["token", "show", "main", "--json"]);
    env.apple().sign_terms("main", false).unwrap();
    say(&["sync", "main"]);
    say(&["run", "token-reminders"]);
    say(&["token", "acknowledge", "main", "terms", "--json"]);
    say(&["token", "snooze", "main", "--for", "1d"]);
    say(&["status", "--json"]);
    env.apple().sign_terms("main", true).unwrap();
    say(&["sync", "main"]);
    say(&["run", "token-reminders", "--json"]);
    say(&["outbox", "list", "--json"]);
    say(&["token", "restore", "main"]);
    say(&["secrets", "rotate"]);
    say(&["token", "rename", "moved", "emea"]);
    say(&["token", "check", "--json"]);
    say(&["token", "forget", "main", "--pending", "--yes", "--json"]);
    say(&["token", "forget", "emea", "--yes"]);
    secrets.push(env.read("state/deputy.key").trim().to_owned());
    let files = state_files(&env.file("state"));
    assert!(secrets.len() == 14 && files.len() > 3, "{} secrets, {} files", secrets.len(), files.len());
    for secret in secrets.iter().map(String::as_str).chain(["PRIVATE KEY", "MIIEv", "MIIEp", "MIIEo"]) {
        assert!(!said.contains(secret), "{secret} was said:\n{said}");
        for (name, content) in &files {
            let found = content.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found || name.contains("deputy.key"), "{secret} is in {name}");
        }
    }
}

#[test]
fn every_command_that_needs_the_key_says_at_once_that_it_is_the_wrong_one() {
    let env = TestEnv::new();
    let key = env.read("state/deputy.key");
    env.write("state/deputy.key", "0".repeat(64));
    for command in [
        &["status"][..],
        &["serve"],
        &["sync"],
        &["plan"],
        &["run", "auto-assign"],
        &["token", "request", "main"],
        &["token", "import", "main", "main.p7m"],
        &["token", "list"],
        &["token", "show", "main"],
        &["token", "check"],
        &["token", "rename", "main", "emea"],
        &["token", "restore", "main"],
        &["token", "forget", "main", "--force", "--yes"],
        &["secrets", "rotate"],
        &["device", "list"],
        &["profile", "push"],
    ] {
        let ran = env.run(command);
        ran.ends_with(4);
        let text = ran.text();
        assert!(text.contains("the store was sealed with the key KEY, and this is the key KEY"), "{text}");
    }
    env.write("state/deputy.key", key);
    env.run(&["token", "check"]).is_done();
}

#[test]
fn the_key_and_the_store_are_for_their_owner_alone() {
    let env = TestEnv::new();
    for file in ["state/deputy.key", "state/deputy.db"] {
        let mode = fs::metadata(env.file(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn when_a_command_has_ended_everything_is_in_the_one_file() {
    let env = TestEnv::new();
    assert!(!env.file("state/deputy.db-wal").exists());
}

#[test]
fn a_key_of_another_folder_opens_nothing() {
    let env = TestEnv::new();
    env.run(&["init", "other"]).is_done();
    let key = env.read("state/deputy.key");
    env.write("state/deputy.key", env.read("other/state/deputy.key"));
    env.run(&["run", "auto-assign"]).fails(4, expect![[r#"
        error: a secret in the store cannot be opened
          caused by: the store was sealed with the key KEY, and this is the key KEY
        hint: name the key KEY under `[secrets]` in deputy.toml; if it is lost, request and import the server tokens again
    "#]]);
    env.write("state/deputy.key", key);
}

#[test]
fn a_key_that_is_missing_is_not_made_anew() {
    let env = TestEnv::new();
    fs::rename(env.file("state/deputy.key"), env.file("state/saved")).unwrap();
    env.run(&["run", "auto-assign"]).fails(
        4,
        expect![[r#"
            error: the key that opens Deputy's secrets is not there: no file state/deputy.key
            hint: put the key back; `deputy init` makes one for a new folder, and a new key opens nothing old
        "#]],
    );
    assert!(!env.file("state/deputy.key").exists());
    fs::rename(env.file("state/saved"), env.file("state/deputy.key")).unwrap();
}

#[test]
fn a_key_that_is_no_key_is_refused() {
    let env = TestEnv::new();
    let key = env.read("state/deputy.key");
    env.write("state/deputy.key", "hunter2\n");
    env.run(&["run", "auto-assign"]).fails(
        4,
        expect![[r#"
        error: state/deputy.key holds no key of 32 bytes, as 64 hexadecimal digits or 44 characters of Base64
        hint: restore the key from a backup; for a new one, openssl rand -hex 32 makes a good key
    "#]],
    );
    env.write("state/deputy.key", key);
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let env = TestEnv::new();
    let mode = |mode| fs::set_permissions(env.file("state/deputy.key"), fs::Permissions::from_mode(mode));
    mode(0o644).unwrap();
    env.run(&["run", "auto-assign"]).fails(
        4,
        expect![[r#"
            error: the key file state/deputy.key can be read by others (mode 644)
            hint: chmod 600 state/deputy.key
        "#]],
    );
    mode(0o600).unwrap();
    env.run(&["status"]).is_done();
}

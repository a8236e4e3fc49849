//! Tokens that another program has kept; and a file of the portal looked into without any store.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use expect_test::{Expect, expect};
use serde_json::json;
use sim::{Credentials, TokenOptions};

use crate::certificates::Pair;
use crate::env::TestEnv;

/// A key pair of another program, and what the portal gave for it.
struct Elsewhere {
    env: TestEnv,
    pair: Pair,
    credentials: Credentials,
}

fn elsewhere() -> Elsewhere {
    let env = TestEnv::before_the_exchange(&["main"]);
    let pair = Pair::new("depserver");
    env.write("cert.pem", &pair.certificate);
    env.write("key.pem", &pair.private_key);
    let token = env.apple().token("main", pair.certificate.as_bytes(), &TokenOptions::default()).unwrap();
    env.write("main.p7m", &token.content);
    Elsewhere { env, pair, credentials: token.credentials }
}

fn token_json(credentials: &Credentials) -> String {
    serde_json::to_string(credentials).unwrap()
}

/// Imports it, and then a token that the portal makes for the key that came along, if one did.
#[track_caller]
fn moves_in(it: &Elsewhere, arguments: &[&str], has_key: bool, expected: Expect) {
    let env = &it.env;
    let arguments = [&["token", "import", "main"], arguments].concat();
    env.run(&arguments).succeeds(expected);
    env.run(&["sync"]).is_done();
    let next = env.apple().token("main", it.pair.certificate.as_bytes(), &TokenOptions::default()).unwrap();
    env.write("next.p7m", next.content);
    let code = if has_key { 0 } else { 4 };
    env.run(&["token", "import", "main", "next.p7m"]).ends_with(code);
}

#[test]
fn a_token_as_json_moves_in_with_its_key_or_without() {
    let it = elsewhere();
    it.env.write("token.json", token_json(&it.credentials));
    moves_in(
        &it,
        &["token.json"],
        false,
        expect![[r#"
            Imported `main`: server "main" of main Ltd, made by enroll-admin@main.example.
            Apple accepts it; it expires in NNN days (TIME).
            It was a token as JSON, without a key pair. If another program still uses it, stop that: two with one token end each other's sessions.
            Next: `deputy sync` fetches its devices, `deputy plan` shows what would be done.
        "#]],
    );
    it.env.run(&["token", "show", "main"]).succeeds(expect![[r#"
        main
          server        "main" (ID)
          organisation  main Ltd (ORG)
          made by       enroll-admin@main.example; the token ends when that account does
          imported      TIME
          devices       0, 0 with a profile
          synced        TIME
          last worked   TIME
          key           none: the token was moved in without one
        what ends
          TIME  the token, in NNN days: from then on new devices get no enrolment profile; devices already enrolled are not affected
    "#]]);

    let it = elsewhere();
    it.env.write("token.json", format!("\n {}\n", token_json(&it.credentials)));
    let arguments = ["token.json", "--certificate", "cert.pem", "--private-key", "key.pem"];
    moves_in(
        &it,
        &arguments,
        true,
        expect![[r#"
            Imported `main`: server "main" of main Ltd, made by enroll-admin@main.example.
            Apple accepts it; it expires in NNN days (TIME).
            It was a token as JSON, with its key pair. If another program still uses it, stop that: two with one token end each other's sessions.
            Next: `deputy sync` fetches its devices, `deputy plan` shows what would be done.
        "#]],
    );
}

#[test]
fn a_key_that_comes_with_a_token_that_is_here_already_is_kept() {
    let it = elsewhere();
    it.env.write("token.json", token_json(&it.credentials));
    it.env.run(&["token", "import", "main", "token.json"]).is_done();
    let again =
        ["token", "import", "main", "token.json", "--certificate", "cert.pem", "--private-key", "key.pem"];
    it.env.run(&again).is_done();
    let certificate = it.pair.certificate.as_bytes();
    let next = it.env.apple().token("main", certificate, &TokenOptions::default()).unwrap();
    it.env.write("next.p7m", next.content);
    it.env.run(&["token", "import", "main", "next.p7m"]).is_done();
}

#[test]
fn a_file_of_the_portal_moves_in_with_the_key_of_another_program() {
    let it = elsewhere();
    it.env.run(&["token", "import", "main", "main.p7m"]).fails(
        4,
        expect![[r#"
            error: no key was made for `main`, so its token cannot be read
            hint: type `deputy token request main`, and upload the certificate it makes to Apple's portal; if another program made the certificate, import the file with its key (`--certificate` and `--private-key`)
        "#]],
    );
    let arguments = ["main.p7m", "--certificate", "cert.pem", "--private-key", "key.pem"];
    moves_in(
        &it,
        &arguments,
        true,
        expect![[r#"
        Imported `main`: server "main" of main Ltd, made by enroll-admin@main.example.
        Apple accepts it; it expires in NNN days (TIME).
        Next: `deputy sync` fetches its devices, `deputy plan` shows what would be done.
    "#]],
    );
}

#[test]
fn the_answer_of_micromdm_moves_in() {
    let it = elsewhere();
    let mut other = it.credentials.clone();
    other.access_token_expiry += jiff::SignedDuration::from_hours(24);
    let answer = json!({ "dep_tokens": [it.credentials, other], "public_key": "" });
    it.env.write("answer.json", answer.to_string());
    it.env.run(&["token", "import", "main", "answer.json"]).fails(
        2,
        expect![[r#"
        error: answer.json holds several tokens: TIME, TIME
        hint: choose one with `--entry`
    "#]],
    );
    let entry = it.credentials.access_token_expiry.to_string();
    moves_in(
        &it,
        &["answer.json", "--entry", &entry],
        false,
        expect![[r#"
            Imported `main`: server "main" of main Ltd, made by enroll-admin@main.example.
            Apple accepts it; it expires in NNN days (TIME).
            It was a token as JSON, without a key pair. If another program still uses it, stop that: two with one token end each other's sessions.
            Next: `deputy sync` fetches its devices, `deputy plan` shows what would be done.
        "#]],
    );
}

/// A folder of nanodep in which files are called so.
fn nanodep(layout: &str) -> Elsewhere {
    let it = elsewhere();
    fs::create_dir_all(it.env.file("dbkv/dep_names")).unwrap();
    let put = |key: &str, value: &str| {
        let file = layout.replace("KEY", key).replace("NAME", "mdm1");
        it.env.write(&format!("dbkv/dep_names/{file}"), value);
    };
    put("consumer_key", &it.credentials.consumer_key);
    put("consumer_secret", &it.credentials.consumer_secret);
    put("access_token", &it.credentials.access_token);
    put("access_secret", &it.credentials.access_secret);
    put("access_token_expiry", &it.credentials.access_token_expiry.to_string());
    put("config", r#"{"base_url":""}"#);
    put("cursor", "MTY1NzIy");
    for kind in ["", "_staging"] {
        put(&format!("cert{kind}"), &it.pair.certificate);
        put(&format!("key{kind}"), &it.pair.private_key);
    }
    it
}

#[test]
fn the_folder_of_nanodep_moves_in_with_its_keys() {
    moves_in(
        &nanodep("KEY.NAME"),
        &["dbkv"],
        true,
        expect![[r#"
            Imported `main`: server "main" of main Ltd, made by enroll-admin@main.example.
            Apple accepts it; it expires in NNN days (TIME).
            It was `mdm1` of nanodep, with its key pair. If another program still uses it, stop that: two with one token end each other's sessions.
            Next: `deputy sync` fetches its devices, `deputy plan` shows what would be done.
        "#]],
    );
    moves_in(
        &nanodep("NAME.KEY"),
        &["dbkv/dep_names", "--entry", "mdm1"],
        true,
        expect![[r#"
            Imported `main`: server "main" of main Ltd, made by enroll-admin@main.example.
            Apple accepts it; it expires in NNN days (TIME).
            It was `mdm1` of nanodep, with its key pair. If another program still uses it, stop that: two with one token end each other's sessions.
            Next: `deputy sync` fetches its devices, `deputy plan` shows what would be done.
        "#]],
    );
}

#[test]
fn of_several_tokens_of_nanodep_one_is_chosen_whatever_is_wrong_with_the_others() {
    let it = nanodep("KEY.NAME");
    it.env.write("dbkv/dep_names/consumer_key.mdm2", "CK_2");
    it.env.write("dbkv/dep_names/consumer_secret.mdm2", "CS_2");
    it.env.run(&["token", "import", "main", "dbkv"]).fails(4, expect![[r#"
        error: dbkv/dep_names/consumer_key.mdm2 holds no server token
          caused by: it lacks access_token, access_secret, access_token_expiry
        hint: a token as JSON has consumer_key, consumer_secret, access_token, access_secret and access_token_expiry; the file from Apple's portal, as it is, will do as well
    "#]]);
    it.env.run(&["token", "import", "main", "dbkv", "--entry", "mdm1"]).is_done();
}

#[test]
fn the_older_files_of_nanodep_move_in_with_an_open_request() {
    let it = elsewhere();
    fs::create_dir_all(it.env.file("db")).unwrap();
    it.env.write("db/mdm1.tokens.json", token_json(&it.credentials));
    let next = Pair::new("depserver");
    it.env.write("db/mdm1.tokenpki.cert.txt", &it.pair.certificate);
    it.env.write("db/mdm1.tokenpki.key.txt", &it.pair.private_key);
    it.env.write("db/mdm1.tokenpki.staging.cert.txt", &next.certificate);
    it.env.write("db/mdm1.tokenpki.staging.key.txt", &next.private_key);
    moves_in(
        &it,
        &["db"],
        true,
        expect![[r#"
            Imported `main`: server "main" of main Ltd, made by enroll-admin@main.example.
            Apple accepts it; it expires in NNN days (TIME).
            It was `mdm1` of nanodep, with its key pair and one of an open request. If another program still uses it, stop that: two with one token end each other's sessions.
            Next: `deputy sync` fetches its devices, `deputy plan` shows what would be done.
        "#]],
    );
    let staged = it.env.apple().token("main", next.certificate.as_bytes(), &TokenOptions::default()).unwrap();
    it.env.write("staged.p7m", staged.content);
    it.env.run(&["token", "import", "main", "staged.p7m"]).is_done();
}

#[test]
fn the_database_of_micromdm_moves_in_with_its_key() {
    let it = elsewhere();
    // Written by MicroMDM's own library; its key and certificate are those of the file.
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/micromdm/micromdm.db");
    let mut content = fs::read(data).unwrap();
    let mut put = |from: String, to: &str| {
        assert_eq!(from.len(), to.len(), "{to}");
        let found: Vec<usize> = content
            .windows(from.len())
            .enumerate()
            .filter(|it| it.1 == from.as_bytes())
            .map(|it| it.0)
            .collect();
        assert!(!found.is_empty(), "{from}");
        for at in found {
            content[at..at + from.len()].copy_from_slice(to.as_bytes());
        }
    };
    let Credentials { consumer_key, consumer_secret, access_token, access_secret, access_token_expiry } =
        &it.credentials;
    put(format!("CK_{}", "0c".repeat(48)), consumer_key);
    put(format!("CS_{}", "1c".repeat(20)), consumer_secret);
    put(format!("AT_O1234567890O{}O1767225600000", "2a".repeat(20)), access_token);
    put(format!("AS_{}", "3a".repeat(20)), access_secret);
    put("2027-01-01T00:00:00Z".to_owned(), &access_token_expiry.to_string());
    it.env.write("micromdm.db", &content);
    moves_in(
        &it,
        &["micromdm.db"],
        false,
        expect![[r#"
            Imported `main`: server "main" of main Ltd, made by enroll-admin@main.example.
            Apple accepts it; it expires in NNN days (TIME).
            It was `TIME` of MicroMDM, with its key pair. If another program still uses it, stop that: two with one token end each other's sessions.
            Next: `deputy sync` fetches its devices, `deputy plan` shows what would be done.
        "#]],
    );
    let shown = it.env.json(&["token", "show", "main"]);
    assert_eq!(shown["token"]["certificate"]["common_name"], "micromdm-dep-token");

    it.env.write("cut.db", &content[..9_000]);
    it.env.run(&["token", "import", "main", "cut.db"]).fails(4, expect![[r#"
        error: cut.db cannot be read as a Bolt database: it is damaged, or was copied while it was written to
        hint: stop MicroMDM first, copy the whole file, and import the copy; or import the answer of its `GET /v1/dep-tokens`
    "#]]);
}

#[test]
fn what_cannot_move_in_says_why() {
    let it = elsewhere();
    let check = |arguments: &[&str], code, expected: Expect| {
        let arguments = [&["token", "import", "main"], arguments].concat();
        it.env.run(&arguments).fails(code, expected);
    };
    fs::create_dir(it.env.file("empty")).unwrap();
    check(
        &["empty"],
        4,
        expect![[r#"
        error: empty is no storage folder of nanodep: it has neither `consumer_key.NAME` nor `NAME.tokens.json`
        hint: name the folder that nanodep was given with `-storage-dsn`; for its MySQL and PostgreSQL storage, import what `GET /v1/tokens/NAME` answers
    "#]],
    );
    it.env.write("token.json", token_json(&it.credentials));
    let keys = |key| ["token.json", "--certificate", "cert.pem", "--private-key", key];
    it.env.write("other.pem", Pair::new("other").private_key);
    check(
        &keys("other.pem"),
        4,
        expect![[r#"
        error: the key pair cert.pem and other.pem cannot be used
          caused by: the private key does not belong to the certificate
        hint: name the private key and the certificate that were made together
    "#]],
    );
    it.env.write("locked.pem", it.pair.locked());
    check(
        &keys("locked.pem"),
        4,
        expect![[r#"
            error: the key pair cert.pem and locked.pem cannot be used
              caused by: the private key is locked with a password
            hint: a key with a password is opened with `openssl pkey -in KEY.pem -out OPEN.pem`
        "#]],
    );
    check(
        &keys("cert.pem"),
        4,
        expect![[r#"
            error: the key pair cert.pem and cert.pem cannot be used
              caused by: the private key cannot be used: the file holds no private key (PEM)
            hint: name the private key and the certificate that were made together
        "#]],
    );
    check(
        &keys("none.pem"),
        2,
        expect![[r#"
        error: cannot read none.pem
          caused by: No such file or directory (os error 2)
    "#]],
    );
    check(
        &["token.json", "--entry", "mdm2"],
        2,
        expect![[r#"
        error: token.json holds no `mdm2`, but TIME
    "#]],
    );
    let store = it.env.json(&["token", "list"]);
    assert_eq!(store["tokens"]["imported"], json!([]));
}

#[test]
fn a_file_is_looked_into_without_any_configuration_and_without_showing_a_secret() {
    let it = elsewhere();
    let env = &it.env;
    fs::remove_file(env.file("deputy.toml")).unwrap();
    let decrypt = |more: &[&str]| env.run(&[&["token", "decrypt", "main.p7m", "--key"], more].concat());
    let shown = decrypt(&["key.pem"]);
    shown.succeeds(expect![[r#"
        main.p7m: a server token
          made for  the certificate "depserver", serial number 0
          expires   in NNN days (TIME)
          holds     all five members; their secrets are not shown
        `--out FILE` writes it as JSON, secrets and all; `--print-secrets` prints that.
    "#]]);
    assert!(!shown.raw().contains(&it.credentials.access_secret));
    let written = decrypt(&["key.pem", "--out", "token.json"]);
    written.succeeds(expect![[r#"
        main.p7m: a server token
          made for  the certificate "depserver", serial number 0
          expires   in NNN days (TIME)
          holds     all five members; their secrets are not shown
        Wrote all of it to token.json, which only you may read.
    "#]]);
    assert!(!written.raw().contains(&it.credentials.access_secret));
    let mode = fs::metadata(env.file("token.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let content: serde_json::Value = serde_json::from_str(&env.read("token.json")).unwrap();
    assert_eq!(content, serde_json::to_value(&it.credentials).unwrap());
    decrypt(&["key.pem", "--out", "token.json"]).fails(
        1,
        expect![[r#"
        error: cannot write token.json
          caused by: File exists (os error 17)
    "#]],
    );
    let printed = decrypt(&["key.pem", "--print-secrets"]);
    printed.is_done();
    assert!(printed.raw().contains(&it.credentials.access_secret));

    env.write("other.pem", Pair::new("other").private_key);
    env.write("locked.pem", it.pair.locked());
    decrypt(&["other.pem"]).fails(1, expect![[r#"
        error: cannot decrypt main.p7m
          caused by: the private key does not open the token file, which was made for the certificate "depserver", serial number 0
        hint: name the key of that certificate
    "#]]);
    decrypt(&["locked.pem"]).fails(
        1,
        expect![[r#"
            error: cannot decrypt locked.pem
              caused by: the private key is locked with a password
            hint: open it with `openssl pkey -in locked.pem -out OPEN.pem`
        "#]],
    );
    decrypt(&["cert.pem"]).fails(
        1,
        expect![[r#"
        error: cannot decrypt cert.pem
          caused by: the private key cannot be used: the file holds no private key (PEM)
        hint: name the private key that belongs to the certificate
    "#]],
    );
    decrypt(&["none.pem"]).fails(
        2,
        expect![[r#"
        error: cannot read none.pem
          caused by: No such file or directory (os error 2)
    "#]],
    );
    env.run(&["token", "decrypt", "cert.pem", "--key", "key.pem"]).fails(1, expect![[r#"
        error: cannot decrypt cert.pem
          caused by: the file is no token from Apple's portal, but a certificate: the one to upload, perhaps; the token is what the portal gives in return
        hint: download the token from Apple's portal again
    "#]]);
    env.write("deputy.toml", "version = 1\n");
}

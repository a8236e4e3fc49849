//! Enrolment profiles: every mistake and every doubt with its words, and every field as Apple has it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use expect_test::{expect, expect_file};
use serde_json::{Value, json};
use sim::TokenOptions;

use crate::certificates::{Spec, identity};
use crate::env::{TestEnv, masked};
use crate::net;

/// A folder of profiles with every file of `tests/data/profiles`, and certificates of all kinds.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let profiles = folder.path().join("profiles");
    std::fs::create_dir_all(profiles.join("certs")).expect("a folder");
    for kind in ["wrong", "doubtful", "bases"] {
        for file in cases(kind) {
            let name = file.file_name().expect("a file").to_owned();
            std::fs::copy(&file, profiles.join(name)).expect("the file is copied");
        }
    }
    write_certificates(&profiles.join("certs"));
    folder
}

fn write_certificates(folder: &Path) {
    let write = |name: &str, content: Vec<u8>| std::fs::write(folder.join(name), content).expect("a file");
    let authority = |name, from, to| identity(Spec { name, from, to, authority: true });
    write("good.pem", authority("Example Root", -1, 400).0.to_pem().expect("PEM"));
    write("old.pem", authority("Old Root", -100, -1).0.to_pem().expect("PEM"));
    write("soon.pem", authority("Old Root", -100, 10).0.to_pem().expect("PEM"));
    write("future.pem", authority("New Root", 5, 400).0.to_pem().expect("PEM"));
    let (leaf, key) = identity(Spec { name: "mdm.example.com", from: -1, to: 400, authority: false });
    write("leaf.der", leaf.to_der().expect("DER"));
    let sealed =
        openssl::pkcs12::Pkcs12::builder().name("host").pkey(&key).cert(&leaf).build2("s3cret-horse");
    write("host.p12", sealed.and_then(|sealed| sealed.to_der()).expect("PKCS#12"));
    write("readme.txt", b"certificates of our computers\n".to_vec());
}

fn cases(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/profiles").join(kind);
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|it| it == "toml"));
    files.sort();
    files
}

#[test]
fn every_wrong_and_every_doubtful_profile_is_told_in_these_words() {
    let (folder, mut told) = (folder(), String::new());
    let mut count = 0;
    for (kind, code, ending) in [("wrong", 2, "err"), ("doubtful", 0, "out")] {
        for case in cases(kind) {
            let name = case.file_stem().and_then(|stem| stem.to_str()).expect("a name");
            let output = Command::new(env!("CARGO_BIN_EXE_deputy"))
                .args(["profile", "check", name])
                .current_dir(folder.path())
                .env("HOST_PASSWORD", "s3cret-horse")
                .env("WRONG_PASSWORD", "s3cret-mule")
                .env_remove("UNSET_PASSWORD")
                .env_remove("DEPUTY_CONFIG")
                .output()
                .expect("the program starts");
            let text =
                [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            let text = masked(&text.concat());
            assert_eq!(output.status.code(), Some(code), "{name}\n{text}");
            assert!(!text.contains("s3cret"), "{name} tells a password");
            expect_file![case.with_extension(ending)].assert_eq(&text);
            told += &text;
            count += 1;
        }
    }
    assert!(count >= 40, "only {count}");
    let elsewhere = ["no-effect", "url-unreachable", "url-answer"];
    for (rule, ..) in domain::profile::RULES.iter().filter(|(rule, ..)| !elsewhere.contains(rule)) {
        assert!(told.contains(&format!("[{rule}]")), "no case breaks the rule {rule}");
    }
}

/// Every key that a file can have; only what excludes something else is not what is rare.
const EVERYTHING: &str = r#"
version = 1
name = "Everything"
description = "Stays here"
url = "https://mdm.example.com/enroll?site=lab"
user_affinity = "required"
web_url = "https://mdm.example.com/sign-in"
anchor_certificates = ["certs/good.pem"]
department = "Médiathèque"
support_phone = "+33 1 23 45 67 89"
support_email = "it@example.com"
organization_magic = "0f6b2f7e-3f35-4d2f-9f0e-2f1f3a4b5c6d"
supervised = true
mandatory = false
removable = false
await_configured = true
shared_ipad = false
return_to_service = true
profile_from_backup = false
auto_advance = true
language = "fr"
region = "FR"

[usb_pairing]
mode = "certificate"
certificates = ["certs/leaf.der", "certs/good.pem"]

[setup_assistant]
skip = ["Zoom", "privacy"]
show = ["Siri"]
"#;

#[test]
fn every_field_reaches_apple_as_apple_documents_it() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.exchange("main", &TokenOptions::default());
    std::fs::create_dir_all(env.file("profiles/certs")).expect("a folder");
    write_certificates(&env.file("profiles/certs"));
    env.write("profiles/everything.toml", EVERYTHING);
    env.write(
        "profiles/shared.toml",
        "version = 1\nname = \"Shared\"\nurl = \"https://mdm.example.com/\"\nshared_ipad = true\n",
    );
    env.run(&["profile", "push", "everything", "shared"]).is_done();
    let stored = env.apple().profiles("main").expect("the server is there");
    let content = |title: &str| {
        let profile = stored.iter().find(|profile| profile.content["profile_name"] == title);
        let mut content = serde_json::to_value(&profile.expect("it was pushed").content).expect("JSON");
        for list in ["anchor_certs", "supervising_host_certs"] {
            for certificate in content.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                *certificate = json!(subject(certificate.as_str().expect("text")));
            }
        }
        content
    };
    expect![[r#"
        {
          "allow_pairing": false,
          "anchor_certs": [
            "DER of Example Root"
          ],
          "auto_advance_setup": true,
          "await_device_configured": true,
          "configuration_web_url": "https://mdm.example.com/sign-in",
          "department": "Médiathèque",
          "do_not_use_profile_from_backup": true,
          "is_mandatory": false,
          "is_mdm_removable": false,
          "is_return_to_service": true,
          "is_supervised": true,
          "language": "fr",
          "org_magic": "0f6b2f7e-3f35-4d2f-9f0e-2f1f3a4b5c6d",
          "profile_name": "Everything",
          "region": "FR",
          "skip_setup_items": [
            "Zoom",
            "Diagnostics",
            "iCloudDiagnostics",
            "Intelligence",
            "Location",
            "Privacy",
            "SpokenLanguage"
          ],
          "supervising_host_certs": [
            "DER of mdm.example.com",
            "DER of Example Root"
          ],
          "support_email_address": "it@example.com",
          "support_phone_number": "+33 1 23 45 67 89",
          "url": "https://mdm.example.com/enroll?site=lab"
        }
    "#]]
    .assert_eq(&format!("{:#}\n", content("Everything")));
    expect![[r#"
        {
          "allow_pairing": true,
          "await_device_configured": false,
          "is_mandatory": true,
          "is_mdm_removable": false,
          "is_multi_user": true,
          "is_supervised": true,
          "profile_name": "Shared",
          "url": "https://mdm.example.com/"
        }
    "#]]
    .assert_eq(&format!("{:#}\n", content("Shared")));
}

/// The name in a certificate: Base64 of DER, as Apple wants it, without line breaks.
fn subject(text: &str) -> String {
    let der = openssl::base64::decode_block(text).expect("Base64");
    let certificate = openssl::x509::X509::from_der(&der).expect("DER");
    let name = certificate.subject_name().entries().next().expect("a name");
    format!("DER of {}", name.data().to_string().expect("text"))
}

#[test]
fn what_has_no_effect_on_any_device_there_is_a_doubt() {
    let env = TestEnv::new();
    env.add("main", &["MAC1"]);
    env.run(&["sync"]).is_done();
    env.append("profiles/standard.toml", "show = []\n");
    env.edit("profiles/standard.toml", "department =", "shared_ipad = true\ndepartment =");
    env.edit("profiles/standard.toml", "\"Siri\", ", "\"Siri\", \"TVRoom\", ");
    env.run(&["profile", "check", "standard"]).succeeds(expect![[r#"
        warning[no-effect]: has no effect: it is for iOS, and the inventory has only macOS
         --> profiles/standard.toml:7:15
          |
        7 | shared_ipad = true
          |               ^^^^

        warning[no-effect]: has no effect: it is for tvOS, and the inventory has only macOS
          --> profiles/standard.toml:12:17
           |
        12 | skip = ["Siri", "TVRoom", "Diagnostics"]
           |                 ^^^^^^^^

        errors: 0, warnings: 2; profiles: 1
    "#]]);
}

#[test]
fn findings_are_there_for_machines_too() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.edit("profiles/standard.toml", "\"Siri\"", "\"Siry\"");
    env.run(&["profile", "check", "standard", "--json"]).fails(
        2,
        expect![[r#"
            {
              "checked": {
                "errors": 1,
                "findings": [
                  {
                    "column": 9,
                    "field": "setup_assistant.skip.0",
                    "file": "profiles/standard.toml",
                    "help": "did you mean `Siri`?",
                    "line": 11,
                    "message": "Apple knows no pane `Siry`",
                    "profile": "standard",
                    "rule": "pane-unknown",
                    "severity": "error"
                  }
                ],
                "misnamed": [],
                "profiles": [
                  "standard"
                ],
                "warnings": 0
              },
              "version": 1
            }
        "#]],
    );
}

#[test]
fn a_mistake_in_a_base_is_told_once_however_many_extend_it() {
    let env = TestEnv::before_the_exchange(&["main"]);
    let base = "version = 1\nbase = true\nurl = \"http://mdm.example.com/\"\n";
    env.write("profiles/base.toml", base);
    for name in ["one", "two"] {
        let text = format!("version = 1\nextends = \"base\"\nname = \"{name}\"\n");
        env.write(&format!("profiles/{name}.toml"), text);
    }
    env.run(&["workflow", "check"]).fails(
        2,
        expect![[r#"
            error[url-https]: must be an https URL
             --> profiles/base.toml:3:7
              |
            3 | url = "http://mdm.example.com/"
              |       ^^^^^^^^^^^^^^^^^^^^^^^^^
              |
              = help: https://mdm.example.com/enroll
        "#]],
    );
    env.run(&["profile", "check"]).fails(
        2,
        expect![[r#"
        error[url-https]: must be an https URL
         --> profiles/base.toml:3:7
          |
        3 | url = "http://mdm.example.com/"
          |       ^^^^^^^^^^^^^^^^^^^^^^^^^
          |
          = help: https://mdm.example.com/enroll

        errors: 1, warnings: 0; profiles: 6
    "#]],
    );
    env.write("profiles/base.toml", base.replace("http:", "https:"));
    // The base is no profile: nothing is defined for it.
    env.run(&["profile", "list"]).succeeds(expect![[r#"
        PROFILE        NAME AT APPLE  DEFINED FOR TOKENS  DEVICES  ON AN OLDER ONE
        executive-mac  Executive Mac  0 of 1              0        0
        lab-ipad       Lab iPad       0 of 1              0        0
        one            one            0 of 1              0        0
        standard       Standard       0 of 1              0        0
        two            two            0 of 1              0        0
    "#]]);
}

#[test]
fn a_certificate_that_expired_stops_a_push_but_not_the_rest() {
    let env = TestEnv::before_the_exchange(&["main"]);
    std::fs::create_dir_all(env.file("profiles/certs")).expect("a folder");
    write_certificates(&env.file("profiles/certs"));
    env.edit(
        "profiles/standard.toml",
        "department =",
        "anchor_certificates = [\"certs/old.pem\"]\ndepartment =",
    );
    env.run(&["workflow", "check"]).is_done();
    env.run(&["profile", "push", "standard"]).fails(
        2,
        expect![[r#"
            error[certificate-expired]: the certificate `Old Root` expired on DATE
             --> profiles/standard.toml:7:24
              |
            7 | anchor_certificates = ["certs/old.pem"]
              |                        ^^^^^^^^^^^^^^^
        "#]],
    );
    assert!(env.apple().calls().is_empty());
}

#[test]
fn a_url_is_looked_at_as_a_device_would_when_that_is_asked() {
    let env = TestEnv::before_the_exchange(&["main"]);
    let (server, pem) = net::answering_tls(|head| {
        let status = if head.starts_with("HEAD /gone ") { "404 Not Found" } else { "200 OK" };
        net::json(status, "")
    });
    std::fs::create_dir_all(env.file("profiles/certs")).expect("a folder");
    env.write("profiles/certs/server.pem", pem);
    write_certificates(&env.file("profiles/certs"));
    let profile = |name: &str, path: &str, more: &str| {
        let text = format!("version = 1\nname = \"{name}\"\nurl = \"https://{server}{path}\"\n{more}");
        env.write(&format!("profiles/{name}.toml"), text);
    };
    profile("anchored", "/enroll", "anchor_certificates = [\"certs/server.pem\"]\n");
    profile("gone", "/gone", "anchor_certificates = [\"certs/server.pem\"]\n");
    profile("strange", "/enroll", "anchor_certificates = [\"certs/good.pem\"]\n");
    profile("unknown", "/enroll", "");
    let rules = |name: &str, online: &[&str]| {
        let arguments = [&["profile", "check", name], online].concat();
        let found = env.json(&arguments)["checked"]["findings"].clone();
        let found =
            found.as_array().expect("a list").iter().map(|it| format!("{}: {}", it["rule"], it["message"]));
        found.filter(|line| line.contains("url-") && !line.contains("url-address")).collect::<BTreeSet<_>>()
    };
    let all = ["anchored", "gone", "strange", "unknown"];
    assert!(all.iter().all(|name| rules(name, &[]).is_empty()), "nobody asked to look");
    let told = all.map(|name| format!("{name}: {:?}\n", rules(name, &["--online"]))).concat();
    expect![[r#"
        anchored: {}
        gone: {"\"url-answer\": \"the server answers with 404\""}
        strange: {"\"url-unreachable\": \"a device would not trust its certificate: self-signed certificate\""}
        unknown: {"\"url-unreachable\": \"a device would not trust its certificate: self-signed certificate\""}
    "#]].assert_eq(&told);
}

#[test]
fn anchors_are_taken_from_a_server_with_a_warning_and_no_file_is_overwritten() {
    let env = TestEnv::before_the_exchange(&["main"]);
    let (server, pem) = net::answering_tls(|_| net::json("200 OK", ""));
    let url = format!("https://{server}");
    env.run(&["profile", "anchors", &url, "--out", "anchor.pem"]).succeeds(expect![[r#"
        SUBJECT    ISSUER     VALID UNTIL           SHA-256
        127.0.0.1  127.0.0.1  TIME  DIGEST

        127.0.0.1 is not trusted by this system: self-signed certificate.
        Wrote `127.0.0.1` to anchor.pem.
        warning: this trusts whoever answers as 127.0.0.1 now; compare the last SHA-256 with one you got another way
        warning: the server shows no authority, only its own certificate; a renewed one would not be trusted
    "#]]);
    assert_eq!(env.read("anchor.pem").as_bytes(), pem);
    env.run(&["profile", "anchors", &url, "--out", "anchor.pem"]).fails(
        2,
        expect![[r#"
        error: anchor.pem is there already; nothing was changed
    "#]],
    );
    env.run(&["profile", "anchors", "http://mdm.example.com"]).fails(
        2,
        expect![[r#"
        error: http://mdm.example.com/ is no https URL
    "#]],
    );
}

#[test]
fn panes_are_listed_by_platform() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.run(&["profile", "panes", "--platform", "tvos"]).succeeds(expect![[r#"
        PANE              TVOS   NO LONGER SEEN
        AppleID           10.2   the sign-in with an Apple Account
        Diagnostics       10.2   the question whether to send analytics to Apple and app developers
        Location          10.2   the question whether to use Location Services
        Privacy           11.3   the explanation of how Apple treats personal data
        ScreenSaver       10.2   the choice of aerial screen savers
        Siri              10.2   the offer of Siri
        TapToSetup        10.2*  the setup with a device nearby (Apple's sources disagree on iOS)
        TOS               10.2   Apple's terms and conditions
        TVHomeScreenSync  11.0   the choice to keep the Home Screen the same on every Apple TV
        TVProviderSignIn  11.0   the sign-in with a TV provider
        TVRoom            11.4   the choice of the room the Apple TV is in

        * may come before the device has its profile, and is shown then
        Groups that `skip` may name:
          all: every pane Apple lists today. A newer Deputy may know more panes; the profile is then a new one
          privacy: panes that ask the user to share something with Apple or to let it be used: what is skipped stays off
    "#]]);
    assert_eq!(env.json(&["profile", "panes"])["panes"].as_array().map(Vec::len), Some(57));
    assert_eq!(
        env.json(&["profile", "panes", "--platform", "visionos"])["panes"].as_array().map(Vec::len),
        Some(15)
    );
    env.run(&["profile", "panes", "--platform", "windows"]).ends_with(2);
}

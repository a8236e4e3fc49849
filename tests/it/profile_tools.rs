//! Profiles compared, fetched, brought from elsewhere, and held against what a device got.

use std::fs;

use expect_test::expect;
use serde_json::{Value, json};
use sim::Endpoint;

use crate::env::TestEnv;

/// Every field a file can say, under Apple's names.
fn everything() -> Value {
    json!({
        "profile_name": "Lab \"iPad\"", "url": "https://mdm.example.com/enroll",
        "configuration_web_url": "https://mdm.example.com/sign-in", "department": "Bibliothèque",
        "support_phone_number": "+33 1", "support_email_address": "it@example.com", "org_magic": "magic",
        "is_supervised": true, "is_mandatory": false, "is_mdm_removable": false,
        "await_device_configured": true, "allow_pairing": false, "skip_setup_items": ["Zoom", "AppleID", "Siri"],
    })
}

/// A world in which the profiles are defined; Apple's id of one.
fn pushed(name: &str) -> (TestEnv, String) {
    let env = TestEnv::new();
    env.run(&["profile", "push"]).is_done();
    let id = id_of(&env, name);
    (env, id)
}

fn id_of(env: &TestEnv, name: &str) -> String {
    let shown = env.json(&["profile", "show", name]);
    let definitions = shown["profile"]["definitions"].as_array().unwrap();
    let current = definitions.iter().find(|it| it["current"] == true).unwrap();
    current["id"].as_str().unwrap().to_owned()
}

/// What Apple has under an id.
fn at_apple(env: &TestEnv, id: &str) -> Value {
    let profiles = env.apple().profiles("main").unwrap();
    let found = profiles.into_iter().find(|it| it.profile_uuid == id).expect("Apple has it");
    json!(found.content)
}

fn list(value: &Value) -> plist::Value {
    match value {
        Value::Object(members) => {
            plist::Value::Dictionary(members.iter().map(|(key, value)| (key.clone(), list(value))).collect())
        }
        Value::Array(values) => plist::Value::Array(values.iter().map(list).collect()),
        Value::Bool(is) => plist::Value::Boolean(*is),
        Value::Number(number) => number.as_i64().unwrap().into(),
        Value::String(text) => plist::Value::String(text.clone()),
        Value::Null => panic!("no property list has a null"),
    }
}

fn xml(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    list(value).to_writer_xml(&mut bytes).unwrap();
    bytes
}

fn binary(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    list(value).to_writer_binary(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_changed_file_is_a_new_definition_and_the_old_one_is_remembered() {
    let env = TestEnv::new();
    env.add("main", &["MAC1", "MAC2"]);
    env.run(&["run", "auto-assign"]).is_done();
    env.edit("profiles/standard.toml", "department = \"IT\"", "department = \"Workplace\"");
    env.run(&["profile", "push", "standard"]).is_done();
    env.run(&["profile", "push", "standard"]).succeeds(expect![[r#"
        main: standard unchanged, ID
    "#]]);
    assert_eq!(env.calls(Endpoint::Define).len(), 2);
    env.apple().change_device("main", "MAC2", &json!({ "profile_status": "pushed" })).unwrap();
    env.run(&["sync"]).is_done();
    env.run(&["profile", "show", "standard"]).succeeds(expect![[r#"
        standard: "Standard"
          Supervised, enrolment cannot be skipped
          enrols at https://mdm.example.com/enroll, without anybody signing in
          supervised, enrolment cannot be skipped, management cannot be removed
          pairs with every computer
          shows Workplace, +33 1 23 45 67 00
          skips 2 panes: Diagnostics, Siri

        FIELD                    SENT AS
        allow_pairing            true
        await_device_configured  false
        department               Workplace
        is_mandatory             true
        is_mdm_removable         false
        is_supervised            true
        profile_name             Standard
        skip_setup_items         Siri, Diagnostics
        support_phone_number     +33 1 23 45 67 00
        url                      https://mdm.example.com/enroll

        TOKEN  APPLE'S ID                        CONTENT  DEFINED               EMPTY  ASSIGNED  PUSHED  REMOVED
        main   ID  current  TIME  0      0         0       0
        main   ID  older    TIME  0      1         1       0
    "#]]);
    env.run(&["run", "auto-assign"]).is_done();
    let shown = env.json(&["profile", "show", "standard"]);
    let definitions = shown["profile"]["definitions"].as_array().unwrap();
    assert_eq!(definitions.len(), 2);
    assert_eq!(definitions[0]["devices"]["assigned"], 2);
    assert_eq!(definitions[1]["recorded"]["department"], "IT");
}

#[test]
fn what_was_pushed_and_is_pulled_is_unchanged_when_it_is_pushed_again() {
    let env = TestEnv::new();
    for name in ["executive-mac", "lab-ipad", "standard"] {
        env.run(&["profile", "push", name]).is_done();
        let id = id_of(&env, name);
        let file = format!("profiles/{name}.toml");
        env.run(&["profile", "pull", &id, "--token", "main", "--out", &file]).ends_with(2);
        env.run(&["profile", "pull", &id, "--token", "main", "--out", &file, "--force"]).is_done();
        assert!(env.read(&file).starts_with("# Apple's copy of"));
    }
    env.run(&["profile", "push"]).succeeds(expect![[r#"
        main: executive-mac unchanged, ID
        main: lab-ipad unchanged, ID
        main: standard unchanged, ID
    "#]]);
}

#[test]
fn each_field_comes_back_unchanged_through_pull() {
    let env = TestEnv::new();
    let mut profile = everything();
    profile["supervising_host_certs"] = json!([certificate(&env)]);
    env.write("kiosk.json", profile.to_string());
    env.run(&["profile", "import", "kiosk.json", "--out", "profiles/kiosk.toml"]).is_done();
    env.run(&["profile", "push", "kiosk"]).is_done();
    let id = id_of(&env, "kiosk");
    assert_eq!(at_apple(&env, &id), profile);
    fs::remove_dir_all(env.file("profiles/certs")).unwrap();
    fs::remove_file(env.file("profiles/kiosk.toml")).unwrap();
    env.run(&["profile", "pull", &id, "--token", "main", "--out", "profiles/kiosk.toml", "--force"])
        .is_done();
    env.run(&["profile", "push", "kiosk"]).succeeds(expect![[r#"
        main: kiosk unchanged, ID
    "#]]);
    env.run(&["profile", "diff", "kiosk"]).succeeds(expect![[r#"
        main: kiosk, defined as ID on TIME: file, record and Apple's copy are the same
    "#]]);
}

/// A certificate as Base64 of its DER: the one made for Apple's portal.
fn certificate(env: &TestEnv) -> String {
    env.read("main.pem").lines().filter(|line| !line.starts_with("-----")).collect()
}

#[test]
fn a_profile_nobody_knows_cannot_be_pulled_and_a_file_is_not_overwritten() {
    let (env, id) = pushed("standard");
    env.run(&["profile", "pull", &"A".repeat(32), "--token", "main"]).fails(
        2,
        expect![[r#"
        error: Apple knows no profile ID for the token main
        hint: a profile belongs to the server it was defined for; look at another token
    "#]],
    );
    env.write("mine.toml", "mine");
    env.run(&["profile", "pull", &id, "--token", "main", "--out", "mine.toml"]).fails(
        2,
        expect![[r#"
        error: mine.toml is there already; nothing was changed
        hint: `--force` puts the new file in its place; `--out -` only shows it
    "#]],
    );
    assert_eq!(env.read("mine.toml"), "mine");
    env.run(&["profile", "pull", &id, "--token", "main"]).succeeds(expect![[r##"
        # Apple's copy of ID, from the token main.
        version = 1
        name = "Standard"
        url = "https://mdm.example.com/enroll"
        department = "IT"
        support_phone = "+33 1 23 45 67 00"
        supervised = true
        mandatory = true
        removable = false
        await_configured = false

        [setup_assistant]
        skip = [
            "Siri",
            "Diagnostics",
        ]
    "##]]);
}

#[test]
fn a_change_in_the_file_is_shown_beside_what_was_sent_and_what_apple_has() {
    let (env, _) = pushed("standard");
    env.run(&["profile", "diff", "standard"]).is_done();
    env.edit("profiles/standard.toml", "department = \"IT\"", "department = \"Workplace\"");
    env.run(&["profile", "diff", "standard"]).fails(
        1,
        expect![[r#"
        main: standard, defined as ID on TIME
        FIELD       FILE       RECORDED  APPLE
        department  Workplace  IT        IT
    "#]],
    );
    let diff = env.json(&["profile", "diff", "standard", "--token", "main"]);
    let fields = diff["diff"][0]["fields"].as_array().unwrap();
    let changed: Vec<_> = fields.iter().filter(|it| it["differs"] == true).collect();
    assert_eq!(changed.len(), 1);
    assert_eq!((&changed[0]["file"], &changed[0]["apple"]), (&json!("Workplace"), &json!("IT")));
    env.run(&["profile", "diff", "nonesuch"]).ends_with(2);
}

#[test]
fn a_difference_at_apples_side_is_shown_although_file_and_record_agree() {
    let (env, first) = pushed("standard");
    env.edit("profiles/standard.toml", "department = \"IT\"", "department = \"Workplace\"");
    env.run(&["profile", "push", "standard"]).is_done();
    let second = id_of(&env, "standard");
    env.edit("profiles/standard.toml", "department = \"Workplace\"", "department = \"IT\"");
    // As if Apple had something else under the id than what was sent.
    let swap = format!(
        "UPDATE profile SET (digest, body) = (SELECT digest, body FROM profile WHERE uuid = '{first}')
             WHERE uuid = '{second}';
         DELETE FROM profile WHERE uuid = '{first}';"
    );
    env.store().execute_batch(&swap).unwrap();
    env.run(&["profile", "diff", "standard"]).fails(
        1,
        expect![[r#"
        main: standard, defined as ID on TIME
        FIELD       FILE  RECORDED  APPLE
        department  IT    IT        Workplace
    "#]],
    );
    // What an older Deputy sent is not on record.
    env.store().execute_batch("UPDATE profile SET body = NULL").unwrap();
    env.run(&["profile", "diff", "standard"]).fails(
        1,
        expect![[r#"
        main: standard, defined as ID on TIME
          what was sent then is not on record: an older Deputy defined it
        FIELD       FILE  RECORDED  APPLE
        department  IT    -         Workplace
    "#]],
    );
    env.store()
        .execute_batch(&format!("UPDATE profile SET uuid = '{}' WHERE uuid = '{second}'", "B".repeat(32)))
        .unwrap();
    env.run(&["profile", "diff", "standard"]).fails(
        1,
        expect![[r#"
        main: standard, defined as ID on TIME
          what was sent then is not on record: an older Deputy defined it
          Apple does not know it any more; the next run that assigns it defines it again
    "#]],
    );
    env.store().execute_batch("DELETE FROM profile").unwrap();
    env.run(&["profile", "diff", "standard"]).fails(
        1,
        expect![[r#"
        main: standard is not defined at Apple yet; `deputy profile push standard --token main` does it
    "#]],
    );
}

#[test]
fn a_profile_of_another_tool_becomes_a_file_whatever_it_is_written_in() {
    let env = TestEnv::new();
    let profile = everything();
    for (name, bytes) in [
        ("a.json", profile.to_string().into_bytes()),
        ("b.plist", xml(&profile)),
        ("c.plist", binary(&profile)),
    ] {
        env.write(name, bytes);
        env.run(&["profile", "import", name, "--out", "profiles/imported.toml", "--force"]).is_done();
        env.run(&["profile", "push", "imported"]).is_done();
    }
    // The same content three times is one definition.
    assert_eq!(env.calls(Endpoint::Define).len(), 1);
    assert_eq!(at_apple(&env, &id_of(&env, "imported")), profile);
}

#[test]
fn what_has_no_counterpart_is_told_when_a_profile_is_imported() {
    let env = TestEnv::new();
    let profile = json!({
        "profile_name": "Old", "url": "https://mdm.example.com/enroll", "is_supervised": true,
        "devices": ["MAC1"], "tomorrow": [1, 2], "skip_setup_items": ["Siri", "Nonesuch"],
    });
    env.write("old.json", profile.to_string());
    env.run(&["profile", "import", "old.json"]).succeeds(expect![[r##"
        # Imported from old.json.
        version = 1
        name = "Old"
        url = "https://mdm.example.com/enroll"
        supervised = true
        mandatory = false
        removable = true
        await_configured = false

        # Without a counterpart here, so not sent:
        #   tomorrow = [1, 2]

        [setup_assistant]
        skip = [
            "Siri",
            # "Nonesuch",
        ]
        left out: devices: which device gets which profile is for a policy to say
        left out: tomorrow: not a field of Apple's that is known
        left out: skip_setup_items: Apple knows no pane "Nonesuch"
    "##]]);
    env.write("http.json", json!({ "profile_name": "Old", "url": "http://mdm.example.com" }).to_string());
    env.run(&["profile", "import", "http.json", "--out", "profiles/old.toml"]).fails(2, expect![[r#"
        error[url-https]: must be an https URL
         --> profiles/old.toml:4:7
          |
        4 | url = "http://mdm.example.com"
          |       ^^^^^^^^^^^^^^^^^^^^^^^^
          |
          = help: https://mdm.example.com/enroll

        warning[ignored]: ignored since iOS 13: devices that enrol this way are supervised
         --> profiles/old.toml:5:14
          |
        5 | supervised = false
          |              ^^^^^

        warning[ignored]: ignored since iOS 13: enrolment can no longer be skipped
         --> profiles/old.toml:6:13
          |
        6 | mandatory = false
          |             ^^^^^
        hint: nothing was written, since Deputy would refuse the file; `--out -` shows it, to be corrected by hand
    "#]]);
    assert!(!env.file("profiles/old.toml").exists());
    env.write("no.json", "{\"serial_number\": \"MAC1\"}");
    env.run(&["profile", "import", "no.json"]).fails(
        2,
        expect![[r#"
        error: no.json holds no profile: it has none of Apple's fields
        hint: it should be the object that Apple is sent, as JSON or as a property list
    "#]],
    );
    env.write("deep.json", "[".repeat(1 << 19));
    env.run(&["profile", "import", "deep.json"]).ends_with(2);
    env.write("large.plist", "<plist>".repeat(1 << 18));
    env.run(&["profile", "import", "large.plist"]).ends_with(2);
}

/// The record of a Mac on `standard`, as that ships.
fn mac_record(env: &TestEnv) -> Value {
    let fields = &env.json(&["profile", "show", "standard"])["profile"]["fields"];
    json!({
        "CloudConfigProfile": {
            "AllowPairing": 1, "AwaitDeviceConfigured": fields["await_device_configured"],
            "ConfigurationURL": fields["url"], "IsMDMUnremovable": fields["is_mdm_removable"] == false,
            "IsMandatory": fields["is_mandatory"], "IsSupervised": fields["is_supervised"],
            "OrganizationDepartment": fields["department"], "OrganizationName": "Orchard",
            "OrganizationSupportPhone": fields.get("support_phone_number").cloned().unwrap_or(json!("")),
            "SkipSetup": fields["skip_setup_items"], "Tomorrow": [],
        },
        "CloudConfigRecordFound": true,
    })
}

#[test]
fn a_macs_own_record_is_held_against_what_it_should_have() {
    let env = TestEnv::new();
    env.add("main", &["MAC1"]);
    env.run(&["run", "auto-assign"]).is_done();
    let mut record = mac_record(&env);
    env.write("right.plist", binary(&record));
    env.run(&["profile", "record", "right.plist", "--device", "MAC1"]).succeeds(expect![[r#"
        the record says the same as profile standard, which its policy wants for MAC1
          OrganizationName: Orchard
        not looked at: Tomorrow
    "#]]);
    env.run(&["profile", "record", "right.plist"]).is_done();
    record["CloudConfigProfile"]["ConfigurationURL"] = json!("https://old.example.com");
    record["CloudConfigProfile"]["IsMDMUnremovable"] = json!(0);
    env.write("wrong.plist", xml(&record));
    env.run(&["profile", "record", "wrong.plist", "--profile", "standard"]).fails(
        1,
        expect![[r#"
        the record differs from profile standard
        FIELD             SHOULD HAVE                     RECORD HAS
        is_mdm_removable  false                           true
        url               https://mdm.example.com/enroll  https://old.example.com
        a device takes over a new profile when it is erased, or with `profiles renew -type enrollment`
          OrganizationName: Orchard
        not looked at: Tomorrow
    "#]],
    );
    let found = env.json(&["profile", "record", "wrong.plist", "--profile", "standard"]);
    assert_eq!(found["record"]["same"], false);
    env.write("other.plist", xml(&json!({ "SERIAL": "MAC1" })));
    env.run(&["profile", "record", "other.plist"]).fails(2, expect![[r#"
        error: other.plist: it holds no activation record: none of its keys is one of a record
        hint: on the Mac, as root: cp /var/db/ConfigurationProfiles/Settings/.cloudConfigRecordFound record.plist
    "#]]);
    env.write("broken.plist", &binary(&record)[..40]);
    env.run(&["profile", "record", "broken.plist"]).ends_with(2);
}

#[test]
fn a_file_that_would_keep_everything_from_being_read_is_not_written() {
    let env = TestEnv::new();
    let profile =
        json!({ "profile_name": "Old", "url": "https://mdm.example.com/e", "anchor_certs": ["AQID"] });
    env.write("old.json", profile.to_string());
    env.run(&["profile", "import", "old.json", "--out", "profiles/old.toml"]).fails(
        1,
        expect![[r#"
        error: the certificate for profiles/certs/old-anchor-1.cer is none: Deputy would refuse the file
        hint: nothing was written; `--out -` shows the file without it
    "#]],
    );
    env.run(&["profile", "import", "old.json", "--out", "profiles/Old one.toml"]).fails(2, expect![[r#"
        error: no profile can be called `Old one`: `Old one` is not a profile name: lower-case letters, digits, `-`, `_` and `.`, starting with a letter or digit, at most 64
    "#]]);
    env.run(&["profile", "import", "old.json", "--out", "profiles/old"]).fails(
        2,
        expect![[r#"
        error: profiles/old does not end in .toml, as profiles do
    "#]],
    );
    env.run(&["profile", "list"]).is_done();
}

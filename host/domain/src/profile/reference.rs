//! `host/PROFILES.md`: written from the types, so that it cannot say something else than they do.

use std::fmt::Write as _;

use expect_test::expect_file;
use serde_json::{Map, Value};

use super::panes::{GROUPS, PANES, Pane, Platform};
use super::{ProfileFile, RULES};

#[test]
fn the_reference_page_says_what_the_types_say() {
    expect_file!["../../../PROFILES.md"].assert_eq(&page());
}

fn page() -> String {
    let schema = schemars::schema_for!(ProfileFile);
    let schema = schema.as_value();
    let mut page = INTRODUCTION.to_owned();
    page += "| key | type | default | at Apple | meaning |\n|---|---|---|---|---|\n";
    keys(schema, schema, "", &mut page);
    page += EXTENDING;
    page += CERTIFICATES;
    page += PANES_BEGIN;
    for group in GROUPS {
        let panes: Vec<String> = group.panes().map(|pane| format!("`{}`", pane.key)).collect();
        let which = if panes.len() > 20 { format!("{} panes", panes.len()) } else { panes.join(", ") };
        let _ = writeln!(page, "- `{}`: {}. {which}.", group.name, group.meaning);
    }
    page += PANES_TABLE;
    for pane in PANES.iter().filter(|pane| pane.former.is_none()) {
        page += &row(pane, pane.note.unwrap_or_default());
    }
    page += FORMER_TABLE;
    for pane in PANES {
        if let Some(why) = pane.former {
            page += &row(pane, why);
        }
    }
    page += RULES_BEGIN;
    for (rule, error, meaning) in RULES {
        let _ = writeln!(page, "| `{rule}` | {} | {meaning} |", if *error { "error" } else { "warning" });
    }
    page
}

/// A row for every key of a table, and for the keys of the tables in it.
fn keys(root: &Value, table: &Value, path: &str, page: &mut String) {
    let nothing = Map::new();
    let properties = table.get("properties").and_then(Value::as_object).unwrap_or(&nothing);
    let required: Vec<&str> =
        table["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut ordered: Vec<&str> = ORDER.iter().copied().filter(|key| properties.contains_key(*key)).collect();
    ordered.extend(properties.keys().map(String::as_str).filter(|key| !ORDER.contains(key)));
    for key in ordered {
        let schema = &properties[key];
        let inner = resolve(root, schema);
        let default = match schema.get("default") {
            _ if required.contains(&key) => "**required**".to_owned(),
            None | Some(Value::Null) => String::new(),
            Some(Value::Array(list)) if list.is_empty() => String::new(),
            Some(value) => format!("`{value}`"),
        };
        let apple = schema.get("x-apple").and_then(Value::as_str);
        let apple = apple.map(|name| format!("`{name}`")).unwrap_or_default();
        let apple = if key == "profile_from_backup" { format!("{apple}, the opposite") } else { apple };
        let meaning = schema["description"].as_str().unwrap_or_default().replace('\n', " ");
        let kind = kind(root, inner);
        let _ = writeln!(page, "| `{path}{key}` | {kind} | {default} | {apple} | {meaning} |");
        if inner.get("properties").is_some() {
            keys(root, inner, &format!("{path}{key}."), page);
        }
    }
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(to) = schema.get("$ref").and_then(Value::as_str) {
        return root.pointer(to.trim_start_matches('#')).map_or(schema, |it| resolve(root, it));
    }
    let branches = schema.get("anyOf").and_then(Value::as_array);
    let other: Vec<&Value> =
        branches.into_iter().flatten().filter(|branch| branch["type"] != "null").collect();
    if let [only] = other.as_slice() { resolve(root, only) } else { schema }
}

fn kind(root: &Value, schema: &Value) -> String {
    if let Some(list) = schema.get("oneOf").and_then(Value::as_array) {
        return words(list.iter().filter_map(|branch| branch["const"].as_str()));
    }
    if let Some(list) = schema.get("enum").and_then(Value::as_array) {
        return words(list.iter().filter_map(Value::as_str));
    }
    if let Some(branches) = schema.get("anyOf").and_then(Value::as_array) {
        let kinds: Vec<String> = branches.iter().map(|branch| kind(root, resolve(root, branch))).collect();
        return kinds.join(" or ");
    }
    let one = match &schema["type"] {
        Value::Array(kinds) => kinds.first().and_then(Value::as_str),
        other => other.as_str(),
    };
    match one {
        Some("boolean") => "true or false".to_owned(),
        Some("string") => "text".to_owned(),
        Some("array") => format!("list of {}", kind(root, resolve(root, &schema["items"]))),
        Some("object") => "table".to_owned(),
        _ => schema.get("const").map(|value| format!("`{value}`")).unwrap_or_default(),
    }
}

fn words<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ")
}

fn row(pane: &Pane, note: &str) -> String {
    let on = |platform| pane.on(platform).map(|it| it.in_words()).unwrap_or_default();
    let cells: Vec<String> = Platform::ALL.into_iter().map(on).collect();
    let note = if note.is_empty() { String::new() } else { format!("; {note}") };
    format!("| `{}` | {} | {}{note} |\n", pane.key, cells.join(" | "), pane.unseen)
}

/// How a reader wants the keys: what every profile has first.
const ORDER: &[&str] = &[
    "version",
    "extends",
    "base",
    "name",
    "description",
    "url",
    "user_affinity",
    "web_url",
    "anchor_certificates",
    "department",
    "support_phone",
    "support_email",
    "organization_magic",
    "supervised",
    "mandatory",
    "removable",
    "await_configured",
    "shared_ipad",
    "return_to_service",
    "profile_from_backup",
    "auto_advance",
    "language",
    "region",
    "usb_pairing",
    "mode",
    "certificates",
    "setup_assistant",
    "skip",
    "show",
];

const INTRODUCTION: &str = "\
# Enrolment profiles

Every key of a file in `profiles/`, what Apple calls it, every pane of Setup Assistant, and every check. A test of
`host/domain` writes this page from the types that read the files; `UPDATE_EXPECT=1 cargo test -p domain` renews it.

A profile's name in rules, plans and reports is the name of its file. Apple cannot change a profile, only define another: a
file whose content for Apple has changed is a new profile, and the devices on the old one move to it within the limits of
your rails. `description`, comments and the order of keys are not part of that content.

```toml
# profiles/lab-ipad.toml
version = 1
extends = \"base\"                      # url, department, support_phone are in profiles/base.toml
name = \"Lab iPad\"
description = \"iPads in the computer lab\"

[setup_assistant]
skip = \"all\"
show = [\"Passcode\"]
```

`deputy profile check` tells every mistake and every doubt in these files, with its place; `deputy profile push` sends them.

## Keys

Two fields of Apple's have no key: `devices`, for who gets a profile is said by a policy, and `profile_uuid`, which Apple
gives. `is_supervised`, `is_mandatory`, `is_mdm_removable`, `await_device_configured` and `allow_pairing` are always sent; of the
others, what is not Apple's default.

Apple groups the services of one organisation by `org_magic` and once required it: write the same `organization_magic`, such as
a UUID, into all your profiles. Adding it makes them new profiles.

";

const EXTENDING: &str = "
## One profile extends another

With `extends = \"NAME\"` the keys of `profiles/NAME.toml` count where the file has none of its own, and so on up the chain. The
tables `usb_pairing` and `setup_assistant` are joined key by key; everything else is replaced as a whole, lists too: a `skip` of
the file's own stands instead of the other's, not beside it. `extends`, `base` and `description` are not handed down. A file
with `base = true` is only there to be extended: it is not sent, no rule can assign it, and keys may be missing in it. A mistake
is told where the key stands, in whichever file that is.
";

const CERTIFICATES: &str = "
## Certificates

`anchor_certificates` and `usb_pairing.certificates` are lists of files, relative to the folder of the profiles. A file is
PEM, with one certificate or several, or DER. PKCS#12 files, such as a supervision identity exported from Apple Configurator,
are written with the environment variable that holds their password, which no file and no message of Deputy's has:

```toml
[usb_pairing]
mode = \"certificate\"
certificates = [\"certs/desk.cer\", { file = \"certs/configurator.p12\", password_env = \"CONFIGURATOR_P12_PASSWORD\" }]
```

Every command that reads the configuration needs that variable, the daemon too. Where that is a burden, take the certificate
out once (`openssl pkcs12 -in FILE -clcerts -nokeys -out FILE.pem`; with OpenSSL 3 and a file that macOS
wrote, add `-legacy`) and name the PEM file. Deputy does not open files sealed with RC2, which macOS uses.

Of a PKCS#12 file the certificate of its key is sent as a host that may pair, and all certificates as anchors; the private key
is never used. With `anchor_certificates` a device trusts those and no others for `url` and `web_url`.
`deputy profile anchors URL --out FILE` fetches them from a server that runs, and so trusts whoever answers at that moment:
compare the fingerprint it shows with one you got another way.
";

const PANES_BEGIN: &str = "
## Panes of Setup Assistant

`skip` names the panes to leave out, by Apple's names, and groups of them; `skip = \"all\"` is short for a list of one. `show`
names exceptions from the groups. Groups:

";

const PANES_TABLE: &str = "
Each pane with the versions that have it, and what the user no longer sees. \"Not always\": it may come before the device has
its profile. `deputy profile panes` prints the same.

| pane | iOS, iPadOS | macOS | tvOS | visionOS | the user no longer sees |
|---|---|---|---|---|---|
";

const FORMER_TABLE: &str = "
Accepted with a warning, for Apple no longer lists them:

| pane | iOS, iPadOS | macOS | tvOS | visionOS | the user no longer saw |
|---|---|---|---|---|---|
";

const RULES_BEGIN: &str = "
## Checks

An error keeps every command from working with the files; a warning is only shown. The shape of a file (unknown keys, wrong
types, missing keys) is checked as well. A certificate that expires while Deputy runs does not stop it: a profile that was right
goes on being assigned, and `deputy profile check` and `deputy profile push` tell.

| rule | | what it asks |
|---|---|---|
";

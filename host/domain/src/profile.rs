//! An enrolment profile: a file of the operator's, and what Apple is sent for it.
//!
//! Apple cannot change a profile; it can only define another. So the content decides: two files
//! with the same content are the same profile, and a changed file is a new one. Combinations that
//! Apple refuses, or answers with a bare 500, are mistakes in the file and never sent.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::document::{Findings, Mistakes, Source, Version1, suggestion};
use crate::id::{Digest, ProfileName};

/// An enrolment profile as the operator wrote it, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Our label for it.
    pub name: ProfileName,
    /// Its name at Apple.
    pub title: String,
    /// What it is for. Stays here; Apple has no field for it.
    pub description: String,
    /// Certificate files, relative to the profile's folder, of the hosts that may pair over USB.
    pub certificates: Vec<String>,
    fields: Map<String, Value>,
}

/// What Apple is sent to define a profile, and the digest that tells when it has changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// The body of `POST /profile`.
    pub body: Value,
    /// The digest of that body.
    pub digest: Digest,
}

/// An enrolment profile: what a device is told in Setup Assistant.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Deputy enrolment profile")]
#[allow(missing_docs, reason = "documented by the format's own schema")]
pub struct ProfileFile {
    #[allow(dead_code, reason = "read for its check alone")]
    version: Version1,
    /// The profile's name at Apple, 1 to 125 characters.
    #[schemars(example = "Lab iPad")]
    name: String,
    /// What it is for. Not sent to Apple.
    #[serde(default)]
    description: Option<String>,
    /// Where the device enrols: the MDM's enrolment URL, https.
    #[schemars(example = "https://mdm.example.com/enroll")]
    url: String,
    /// A page where the user signs in before enrolling, https. Needs `user_affinity = "required"`.
    #[serde(default)]
    web_url: Option<String>,
    /// The department shown during activation, at most 125 characters.
    #[serde(default)]
    department: Option<String>,
    /// The phone number shown during activation, at most 50 characters.
    #[serde(default)]
    support_phone: Option<String>,
    /// The e-mail address shown during activation, at most 250 characters.
    #[serde(default)]
    support_email: Option<String>,
    /// Groups several services of one organisation; at most 256 characters.
    #[serde(default)]
    organization_magic: Option<String>,
    /// Whether a person signs in when the device enrols.
    #[serde(default)]
    user_affinity: UserAffinity,
    /// The device is supervised. Always so from iOS 13 on.
    #[serde(default = "yes")]
    supervised: bool,
    /// The user cannot skip enrolment.
    #[serde(default = "yes")]
    mandatory: bool,
    /// The user may remove management later. `false` needs `supervised = true`.
    #[serde(default)]
    removable: bool,
    /// Hold Setup Assistant until the MDM says the device is configured.
    #[serde(default)]
    await_configured: bool,
    /// Which computers the device pairs with over USB.
    #[serde(default)]
    usb_pairing: Option<UsbPairing>,
    /// What Setup Assistant leaves out.
    #[serde(default)]
    setup_assistant: Option<SetupAssistant>,
}

#[derive(Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum UserAffinity {
    /// Nobody signs in.
    #[default]
    None,
    /// A user signs in at `web_url`.
    Required,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UsbPairing {
    /// `allow` every computer, `forbid` all, or only those with a `certificate`.
    mode: PairingMode,
    /// Files with the certificates of the computers that may pair, PEM or DER, relative to this
    /// file. For mode `certificate`.
    #[serde(default)]
    certificates: Vec<String>,
}

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum PairingMode {
    Allow,
    Forbid,
    Certificate,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SetupAssistant {
    /// The panes not to show, by Apple's names.
    #[serde(default)]
    skip: Vec<String>,
}

fn yes() -> bool {
    true
}

impl Profile {
    /// The profile in a file called `name`, or all that is wrong with it.
    pub fn parse(name: ProfileName, source: Source<'_>) -> Result<Self, Mistakes> {
        let file: ProfileFile = source.read()?;
        let mut findings = Findings::new(source);
        check(&file, &mut findings);
        findings.finish()?;
        Ok(Self {
            name,
            fields: fields(&file),
            title: file.name,
            description: file.description.unwrap_or_default(),
            certificates: file.usb_pairing.map(|pairing| pairing.certificates).unwrap_or_default(),
        })
    }

    /// What Apple is sent, given the certificates of [`Self::certificates`] as Base64 of their DER.
    pub fn definition(&self, certificates: &[String]) -> Definition {
        let mut body = self.fields.clone();
        if !certificates.is_empty() {
            body.insert("supervising_host_certs".to_owned(), json!(certificates));
        }
        let body = Value::Object(body);
        let digest = Digest::of(body.to_string().as_bytes());
        Definition { body, digest }
    }
}

fn check(file: &ProfileFile, findings: &mut Findings<'_>) {
    let mut length = |pointer: &str, text: Option<&String>, most: usize| {
        let Some(text) = text else { return };
        if text.trim().is_empty() {
            findings.at(pointer, "must not be empty", Some("leave the key out instead".to_owned()));
        } else if text.chars().count() > most {
            findings.at(pointer, format!("Apple takes at most {most} characters"), None);
        }
    };
    length("/name", Some(&file.name), 125);
    length("/url", Some(&file.url), 2000);
    length("/web_url", file.web_url.as_ref(), 2000);
    length("/department", file.department.as_ref(), 125);
    length("/support_phone", file.support_phone.as_ref(), 50);
    length("/support_email", file.support_email.as_ref(), 250);
    length("/organization_magic", file.organization_magic.as_ref(), 256);

    check_url("/url", &file.url, findings);
    match (&file.user_affinity, &file.web_url) {
        (_, Some(url)) => check_url("/web_url", url, findings),
        (UserAffinity::Required, None) => findings.at(
            "/user_affinity",
            "`required` needs a `web_url` where the user signs in",
            Some("web_url = \"https://mdm.example.com/sign-in\"".to_owned()),
        ),
        (UserAffinity::None, None) => {}
    }
    if file.user_affinity == UserAffinity::None && file.web_url.is_some() {
        let help = "set `user_affinity = \"required\"` or leave `web_url` out";
        findings.at("/web_url", "nobody signs in with `user_affinity = \"none\"`", Some(help.to_owned()));
    }
    if !file.removable && !file.supervised {
        let help = "set `supervised = true` or `removable = true`";
        findings.at(
            "/supervised",
            "a profile that cannot be removed needs a supervised device",
            Some(help.to_owned()),
        );
    }
    if let Some(pairing) = &file.usb_pairing {
        let with_certificate = pairing.mode == PairingMode::Certificate;
        if with_certificate && pairing.certificates.is_empty() {
            findings.at(
                "/usb_pairing/mode",
                "`certificate` needs the certificates of the computers that may pair",
                Some("certificates = [\"certs/configurator.cer\"]".to_owned()),
            );
        }
        if !with_certificate && !pairing.certificates.is_empty() {
            findings.at(
                "/usb_pairing/certificates",
                "the certificates have no effect in this mode",
                Some("set `mode = \"certificate\"`".to_owned()),
            );
        }
        if with_certificate && !file.supervised {
            findings.at("/usb_pairing/mode", "`certificate` needs `supervised = true`", None);
        }
    }
    for (index, pane) in panes(file).iter().enumerate() {
        if !PANES.contains(&pane.as_str()) {
            let pointer = format!("/setup_assistant/skip/{index}");
            findings.at(&pointer, format!("Apple knows no pane `{pane}`"), suggestion(pane, PANES));
        }
    }
}

/// A URL the device can enrol at. Apple answers a host under `.local` with a bare 500.
fn check_url(pointer: &str, url: &str, findings: &mut Findings<'_>) {
    let Some(rest) = url.strip_prefix("https://") else {
        return findings.at(
            pointer,
            "must be an https URL",
            Some("https://mdm.example.com/enroll".to_owned()),
        );
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default().split(':').next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if host.is_empty() || !host.chars().all(plain) || url.contains(char::is_whitespace) {
        findings.at(pointer, format!("`{host}` is not a host name"), None);
    } else if host.to_ascii_lowercase().ends_with(".local") {
        findings.at(pointer, "Apple refuses hosts under `.local`", None);
    }
}

fn panes(file: &ProfileFile) -> &[String] {
    file.setup_assistant.as_ref().map_or(&[], |assistant| assistant.skip.as_slice())
}

/// Apple's names for what was written. Keys that were left out stay out: for Apple an empty string
/// is a mistake, not an absence.
fn fields(file: &ProfileFile) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |key: &str, value: Value| {
        fields.insert(key.to_owned(), value);
    };
    put("profile_name", json!(file.name));
    put("url", json!(file.url));
    put("is_supervised", json!(file.supervised));
    put("is_mandatory", json!(file.mandatory));
    put("is_mdm_removable", json!(file.removable));
    put("await_device_configured", json!(file.await_configured));
    let pairing = file.usb_pairing.as_ref().map_or(&PairingMode::Allow, |pairing| &pairing.mode);
    put("allow_pairing", json!(*pairing == PairingMode::Allow));
    let texts = [
        ("configuration_web_url", &file.web_url),
        ("department", &file.department),
        ("support_phone_number", &file.support_phone),
        ("support_email_address", &file.support_email),
        ("org_magic", &file.organization_magic),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            put(key, json!(text));
        }
    }
    if !panes(file).is_empty() {
        put("skip_setup_items", json!(panes(file)));
    }
    fields
}

/// The panes of Setup Assistant that Apple lists as skippable (SkipKeys, state of August 2026).
pub const PANES: &[&str] = &[
    "Accessibility",
    "AccessibilityAppearance",
    "ActionButton",
    "Android",
    "AppStore",
    "Appearance",
    "AppleID",
    "Biometric",
    "CameraButton",
    "DeviceToDeviceMigration",
    "Diagnostics",
    "DisplayTone",
    "EnableLockdownMode",
    "FileVault",
    "HomeButtonSensitivity",
    "Intelligence",
    "Keyboard",
    "LiquidGlass",
    "Location",
    "MessagingActivationUsingPhoneNumber",
    "Multitasking",
    "OSShowcase",
    "OnBoarding",
    "Passcode",
    "Payment",
    "Privacy",
    "Restore",
    "RestoreCompleted",
    "SIMSetup",
    "Safety",
    "SafetyAndHandling",
    "ScreenSaver",
    "ScreenTime",
    "Siri",
    "SoftwareUpdate",
    "SpokenLanguage",
    "TOS",
    "TVHomeScreenSync",
    "TVProviderSignIn",
    "TVRoom",
    "TapToSetup",
    "TermsOfAddress",
    "Tips",
    "UnlockWithWatch",
    "UpdateCompleted",
    "WatchMigration",
    "Welcome",
    "Zoom",
    "iCloudDiagnostics",
    "iCloudStorage",
    "iMessageAndFaceTime",
];

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Expect) {
        let name = "lab-ipad".parse().unwrap();
        let found = match Profile::parse(name, Source { path: "profiles/lab-ipad.toml", text }) {
            Ok(profile) => format!("{:#}\n", profile.definition(&[]).body),
            Err(mistakes) => format!("{mistakes}\n"),
        };
        expected.assert_eq(&found);
    }

    #[test]
    fn a_short_file_gets_the_safe_defaults() {
        check(
            "version = 1\nname = \"Lab\"\nurl = \"https://mdm.example.com/enroll\"\n",
            expect![[r#"
            {
              "allow_pairing": true,
              "await_device_configured": false,
              "is_mandatory": true,
              "is_mdm_removable": false,
              "is_supervised": true,
              "profile_name": "Lab",
              "url": "https://mdm.example.com/enroll"
            }
        "#]],
        );
    }

    #[test]
    fn every_key_has_its_name_at_apple() {
        check(
            r#"
version = 1
name = "Lab iPad"
description = "iPads in the computer lab"
url = "https://mdm.example.com/enroll"
department = "Library"
support_phone = "+33 1 23 45 67 89"
usb_pairing = { mode = "forbid" }
[setup_assistant]
skip = ["Siri", "Zoom"]
"#,
            expect![[r#"
                {
                  "allow_pairing": false,
                  "await_device_configured": false,
                  "department": "Library",
                  "is_mandatory": true,
                  "is_mdm_removable": false,
                  "is_supervised": true,
                  "profile_name": "Lab iPad",
                  "skip_setup_items": [
                    "Siri",
                    "Zoom"
                  ],
                  "support_phone_number": "+33 1 23 45 67 89",
                  "url": "https://mdm.example.com/enroll"
                }
            "#]],
        );
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_their_lines() {
        check(
            r#"version = 1
nam = "Lab"
url = "https://printer.local/enroll"
supervised = "yes"
usb_pairing = { mode = "certificat" }
"#,
            expect![[r#"
                error: missing key `name`
                 --> profiles/lab-ipad.toml:1:1
                  |
                1 | version = 1
                  | ^
                  |
                  = help: for example `name = "Lab iPad"`

                error: unknown key `nam`
                 --> profiles/lab-ipad.toml:2:1
                  |
                2 | nam = "Lab"
                  | ^^^
                  |
                  = help: did you mean `name`?

                error: must be true or false, not a string
                 --> profiles/lab-ipad.toml:4:14
                  |
                4 | supervised = "yes"
                  |              ^^^^^

                error: unknown value `certificat`
                 --> profiles/lab-ipad.toml:5:24
                  |
                5 | usb_pairing = { mode = "certificat" }
                  |                        ^^^^^^^^^^^^
                  |
                  = help: did you mean `certificate`?
            "#]],
        );
    }

    #[test]
    fn combinations_that_cannot_work_are_refused_with_the_reason() {
        check(
            r#"version = 1
name = "Lab"
url = "http://printer.local/enroll"
supervised = false
user_affinity = "required"
usb_pairing = { mode = "certificate" }
[setup_assistant]
skip = ["Siry"]
"#,
            expect![[r#"
                error: must be an https URL
                 --> profiles/lab-ipad.toml:3:7
                  |
                3 | url = "http://printer.local/enroll"
                  |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
                  |
                  = help: https://mdm.example.com/enroll

                error: a profile that cannot be removed needs a supervised device
                 --> profiles/lab-ipad.toml:4:14
                  |
                4 | supervised = false
                  |              ^^^^^
                  |
                  = help: set `supervised = true` or `removable = true`

                error: `required` needs a `web_url` where the user signs in
                 --> profiles/lab-ipad.toml:5:17
                  |
                5 | user_affinity = "required"
                  |                 ^^^^^^^^^^
                  |
                  = help: web_url = "https://mdm.example.com/sign-in"

                error: `certificate` needs the certificates of the computers that may pair
                 --> profiles/lab-ipad.toml:6:24
                  |
                6 | usb_pairing = { mode = "certificate" }
                  |                        ^^^^^^^^^^^^^
                  |
                  = help: certificates = ["certs/configurator.cer"]

                error: `certificate` needs `supervised = true`
                 --> profiles/lab-ipad.toml:6:24
                  |
                6 | usb_pairing = { mode = "certificate" }
                  |                        ^^^^^^^^^^^^^

                error: Apple knows no pane `Siry`
                 --> profiles/lab-ipad.toml:8:9
                  |
                8 | skip = ["Siry"]
                  |         ^^^^^^
                  |
                  = help: did you mean `Siri`?
            "#]],
        );
    }

    #[test]
    fn a_file_that_is_no_toml_says_where() {
        check(
            "version = 1\nname = Lab\n",
            expect![[r#"
            error: not TOML: string values must be quoted, expected literal string
             --> profiles/lab-ipad.toml:2:8
              |
            2 | name = Lab
              |        ^^^
        "#]],
        );
    }
}

//! An enrolment profile: a file of the operator's, and what Apple is sent for it.
//!
//! Apple cannot change a profile; it can only define another. So the content decides: two files
//! with the same content are the same profile, and a changed file is a new one. Combinations that
//! Apple refuses, or answers with a bare 500, are mistakes in the file and never sent.
//!
//! A profile is read in two steps, for nothing is read from disk here: a [`Draft`] says which
//! certificate files it wants, and [`Draft::check`] is given them.

use serde_json::Value;

use crate::document::{Findings, Mistakes, Severity, Source};
use crate::id::{Digest, ProfileName};

mod file;

mod extend;

mod checks;

mod codes;

mod definition;

mod certificate;

pub mod panes;

#[cfg(test)]
mod reference;

pub use certificate::Certificate;
pub use checks::{Given, RULES, Rule};
pub use extend::{File, Files};
pub use file::{CertificateFile, ProfileFile};

/// An enrolment profile as the operator wrote it, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Our label for it.
    pub name: ProfileName,
    /// Its name at Apple.
    pub title: String,
    /// What it is for. Stays here; Apple has no field for it.
    pub description: String,
}

/// What Apple is sent to define a profile, and the digest that tells when it has changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// The body of `POST /profile`.
    pub body: Value,
    /// The digest of that body.
    pub digest: Digest,
}

/// A profile's file, of the right shape, with what it extends; not checked yet.
#[derive(Clone, Debug)]
pub struct Draft {
    name: ProfileName,
    file: ProfileFile,
    chain: Vec<File>,
}

/// What came of a check.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The profile, unless something is wrong with it or it is only a base for others.
    pub profile: Option<(Profile, Definition)>,
    /// What is wrong or doubtful.
    pub found: Mistakes,
}

impl Draft {
    /// The profile in the file of this name, with what it extends, or what keeps it from being one.
    pub fn read(name: &ProfileName, files: &Files) -> Result<Self, Mistakes> {
        let (chain, file) = extend::read(name.as_str(), files)?;
        Ok(Self { name: name.clone(), file, chain })
    }

    /// Whether it is only there to be extended.
    pub fn is_base(&self) -> bool {
        self.file.base
    }

    /// The certificate files it names.
    pub fn certificate_files(&self) -> Vec<CertificateFile> {
        let entries = self.file.anchor_certificates.iter().chain(self.file.host_certificates());
        entries.map(|entry| entry.file()).collect()
    }

    /// Where devices are sent, each with the key that says so.
    pub fn urls(&self) -> Vec<(&'static str, &str)> {
        let web_url = self.file.web_url.as_deref().map(|url| ("/web_url", url));
        [("/url", self.file.url.as_str())].into_iter().chain(web_url).filter(|_| !self.file.base).collect()
    }

    /// The certificates a device would trust for them instead of its own, as Base64 of their DER.
    pub fn anchors(&self, given: &Given) -> Vec<String> {
        let anchors = checks::certificates(&self.file.anchor_certificates, given, true);
        anchors.into_iter().map(|certificate| certificate.base64).collect()
    }

    /// What Apple is sent, and all that is wrong or doubtful with it.
    pub fn check(&self, given: &Given) -> Checked {
        let mut findings = self.findings();
        if !self.file.base {
            checks::check(&self.file, given, &mut findings);
        }
        let found = findings.into_mistakes();
        let stops = found.list().iter().any(|mistake| {
            mistake.severity == Severity::Error
                && !mistake.rule.is_some_and(|rule| checks::RULES_OF_TIME.contains(&rule))
        });
        let profile = (!stops && !self.file.base).then(|| (self.profile(), self.definition(given)));
        Checked { profile, found }
    }

    /// A list for what others find in these files.
    pub fn findings(&self) -> Findings<'_> {
        Findings::of_all(self.chain.iter().map(File::source).collect::<Vec<Source<'_>>>())
    }

    fn profile(&self) -> Profile {
        let description = self.file.description.clone().unwrap_or_default();
        Profile { name: self.name.clone(), title: self.file.name.clone(), description }
    }

    fn definition(&self, given: &Given) -> Definition {
        let anchors = checks::certificates(&self.file.anchor_certificates, given, true);
        let hosts = checks::certificates(self.file.host_certificates(), given, false);
        definition::definition(&self.file, &anchors, &hosts)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<Draft, Mistakes> {
        let file = |(name, text): &(&str, &str)| {
            let path = format!("profiles/{name}.toml");
            ((*name).to_owned(), File { path, text: (*text).to_owned() })
        };
        Draft::read(&files[0].0.parse().unwrap(), &files.iter().map(file).collect())
    }

    #[track_caller]
    fn check(text: &str, expected: Expect) {
        let checked = read(&[("lab-ipad", text)]).map(|draft| draft.check(&Given::default()));
        let found = match checked {
            Ok(Checked { profile: Some((_, definition)), .. }) => format!("{:#}\n", definition.body),
            Ok(Checked { found, .. }) | Err(found) => format!("{found}\n"),
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
                error[url-https]: must be an https URL
                 --> profiles/lab-ipad.toml:3:7
                  |
                3 | url = "http://printer.local/enroll"
                  |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
                  |
                  = help: https://mdm.example.com/enroll

                warning[ignored]: ignored since iOS 13: devices that enrol this way are supervised
                 --> profiles/lab-ipad.toml:4:14
                  |
                4 | supervised = false
                  |              ^^^^^

                error[locked-unsupervised]: a profile that cannot be removed needs a supervised device
                 --> profiles/lab-ipad.toml:4:14
                  |
                4 | supervised = false
                  |              ^^^^^
                  |
                  = help: set `supervised = true` or `removable = true`

                error[affinity-without-page]: `required` needs a `web_url` where the user signs in
                 --> profiles/lab-ipad.toml:5:17
                  |
                5 | user_affinity = "required"
                  |                 ^^^^^^^^^^
                  |
                  = help: web_url = "https://mdm.example.com/sign-in"

                error[pairing-without-certificates]: `certificate` needs the certificates of the computers that may pair
                 --> profiles/lab-ipad.toml:6:24
                  |
                6 | usb_pairing = { mode = "certificate" }
                  |                        ^^^^^^^^^^^^^
                  |
                  = help: certificates = ["certs/configurator.cer"]

                error[pairing-unsupervised]: `certificate` needs `supervised = true`
                 --> profiles/lab-ipad.toml:6:24
                  |
                6 | usb_pairing = { mode = "certificate" }
                  |                        ^^^^^^^^^^^^^

                warning[deprecated]: Apple has deprecated `allow_pairing` since iOS 13
                 --> profiles/lab-ipad.toml:6:24
                  |
                6 | usb_pairing = { mode = "certificate" }
                  |                        ^^^^^^^^^^^^^
                  |
                  = help: let the MDM restrict pairing as well (`allowHostPairing`)

                error[pane-unknown]: Apple knows no pane `Siry`
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
                error: not TOML: there is no value, or a text without quotes
                 --> profiles/lab-ipad.toml:2:8
                  |
                2 | name = Lab
                  |        ^^^
            "#]],
        );
    }

    #[test]
    fn a_file_keeps_the_digest_it_always_had() {
        // Another digest would move every device that is on the profile.
        let text = "version = 1\nname = \"Lab\"\nurl = \"https://mdm.example.com/enroll\"\nweb_url = \"https://mdm.example.com/\"\n\
            user_affinity = \"required\"\norganization_magic = \"m\"\nsetup_assistant = { skip = [\"Zoom\", \"Siri\", \"Zoom\"] }\n";
        let checked = read(&[("lab", text)]).unwrap().check(&Given::default());
        let digest = checked.profile.unwrap().1.digest;
        expect!["d125a6b47276c35f0f3334ccdff17fdf88e6534fe116d69796006935b66f1b50"]
            .assert_eq(digest.as_str());
    }

    #[test]
    fn the_keys_of_a_file_count_over_those_it_extends_and_lists_are_replaced() {
        let own = r#"
version = 1
extends = "base"
name = "Lab"
usb_pairing = { mode = "forbid" }
[setup_assistant]
show = ["Passcode"]
"#;
        let base = r#"
version = 1
extends = "root"
base = true
description = "not handed down"
department = "IT"
setup_assistant = { skip = ["privacy", "Passcode"] }
"#;
        let root = r#"
version = 1
base = true
url = "https://mdm.example.com/enroll"
department = "Headquarters"
setup_assistant = { skip = ["Zoom"], show = ["Siri"] }
"#;
        let files = [("lab", own), ("base", base), ("root", root)];
        let found = read(&files).unwrap().check(&Given::default()).found;
        // Both lists are the nearest there are, so a pane is in both; it stands in the file itself.
        expect![[r#"
            error[pane-both]: `Passcode` is both skipped and shown
             --> profiles/lab.toml:7:9
              |
            7 | show = ["Passcode"]
              |         ^^^^^^^^^^"#]]
        .assert_eq(&found.only(|it| it.severity == Severity::Error).to_string());
        let base = base.replace(", \"Passcode\"", "");
        let files = [("lab", own), ("base", &base), ("root", root)];
        let (profile, definition) = read(&files).unwrap().check(&Given::default()).profile.unwrap();
        assert_eq!(profile.description, "");
        expect![[r#"
            {
              "allow_pairing": false,
              "await_device_configured": false,
              "department": "IT",
              "is_mandatory": true,
              "is_mdm_removable": false,
              "is_supervised": true,
              "profile_name": "Lab",
              "skip_setup_items": [
                "Diagnostics",
                "iCloudDiagnostics",
                "Intelligence",
                "Location",
                "Privacy",
                "Siri",
                "SpokenLanguage"
              ],
              "url": "https://mdm.example.com/enroll"
            }
        "#]]
        .assert_eq(&format!("{:#}\n", definition.body));
    }

    #[test]
    fn no_beginning_of_any_file_is_too_strange_to_be_checked() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/profiles");
        let mut count = 0;
        for kind in ["wrong", "doubtful"] {
            for entry in std::fs::read_dir(format!("{folder}/{kind}")).unwrap() {
                let Ok(text) = std::fs::read_to_string(entry.unwrap().path()) else { continue };
                for (end, _) in text.char_indices().step_by(11) {
                    // Told or not, it is not a panic.
                    let found =
                        read(&[("lab", &text[..end])]).map(|draft| draft.check(&Given::default()).found);
                    let (Ok(found) | Err(found)) = found;
                    count += found.to_string().len().min(1);
                }
            }
        }
        assert!(count > 1000, "only {count} beginnings");
    }

    #[test]
    fn of_an_identity_only_its_own_certificate_may_pair_but_all_are_anchors() {
        let text = r#"
version = 1
name = "Lab"
url = "https://mdm.example.com/enroll"
anchor_certificates = [{ file = "host.p12", password_env = "PASSWORD" }]
usb_pairing = { mode = "certificate", certificates = [{ file = "host.p12", password_env = "PASSWORD" }] }
"#;
        let certificate = |base64: &str| Certificate {
            base64: base64.to_owned(),
            subject: base64.to_owned(),
            not_before: jiff::Timestamp::MIN,
            not_after: jiff::Timestamp::MAX,
            authority: true,
        };
        let draft = read(&[("lab", text)]).unwrap();
        let mut given = Given::default();
        for file in draft.certificate_files() {
            given.certificates.insert(file, Ok(vec![certificate("HOST"), certificate("ROOT")]));
        }
        let body = draft.check(&given).profile.unwrap().1.body;
        assert_eq!(body["supervising_host_certs"], serde_json::json!(["HOST"]));
        assert_eq!(body["anchor_certs"], serde_json::json!(["HOST", "ROOT"]));
    }
}

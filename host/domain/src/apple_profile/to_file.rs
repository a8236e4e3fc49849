//! From a profile as Apple or another tool has it to a file of ours.
//!
//! Nothing is lost in silence: what a file of ours cannot say stands in it as a comment, and is
//! handed back to be told. Whether the file would be accepted is for its own check to say.

use std::fmt::Write as _;
use std::sync::LazyLock;

use jiff::Timestamp;
use schemars::Schema;
use serde_json::{Map, Value};

use super::{BESIDE, Kind, compare, kind};
use crate::document::Mistakes;
use crate::profile::panes::PANES;
use crate::profile::{Certificate, CertificateFile, Definition, Draft, File, Files, Given, ProfileFile};

/// What a profile became.
#[derive(Clone, Debug, PartialEq)]
pub struct Converted {
    /// The file.
    pub text: String,
    /// The certificates it names: relative to it, and Base64 of their DER.
    pub certificates: Vec<(String, String)>,
    /// What has no counterpart, a line each.
    pub left_out: Vec<String>,
}

/// What the profile does not say of itself.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Where it comes from: a comment at the head of the file.
    pub from: &'a str,
    /// What the file is called, without `.toml`: for the certificates, and if the profile has no name.
    pub stem: &'a str,
}

/// Apple's fields that are one key of a file, if its format has that key.
const KEYS: &[(&str, &str)] = &[
    ("url", "url"),
    ("configuration_web_url", "web_url"),
    ("department", "department"),
    ("support_phone_number", "support_phone"),
    ("support_email_address", "support_email"),
    ("org_magic", "organization_magic"),
    ("is_supervised", "supervised"),
    ("is_mandatory", "mandatory"),
    ("is_mdm_removable", "removable"),
    ("await_device_configured", "await_configured"),
    ("is_multi_user", "shared_ipad"),
    ("is_return_to_service", "return_to_service"),
    ("auto_advance_setup", "auto_advance"),
    ("language", "language"),
    ("region", "region"),
    ("do_not_use_profile_from_backup", FROM_BACKUP),
    ("anchor_certs", "anchor_certificates"),
];

/// Here true means what false means in Apple's field.
const FROM_BACKUP: &str = "profile_from_backup";

/// Flags that are always sent, and whose default in a file is not Apple's: they are always written.
const ALWAYS: [&str; 4] = ["is_supervised", "is_mandatory", "is_mdm_removable", "await_device_configured"];

/// Apple's fields that are part of something else in a file.
const WOVEN: [&str; 4] = ["profile_name", "allow_pairing", "supervising_host_certs", "skip_setup_items"];

/// The profile as a file.
pub fn to_file(profile: &Map<String, Value>, origin: Origin<'_>) -> Converted {
    let mut made = Converted { text: String::new(), certificates: Vec::new(), left_out: Vec::new() };
    let get = |name: &str| {
        let value = kind(name)?.read(profile.get(name)?)?;
        (!matches!(&value, Value::String(text) if text.is_empty())).then_some(value)
    };
    let _ = write!(made.text, "# {}\nversion = 1\n", one_line(origin.from));
    made.key("name", &get("profile_name").unwrap_or_else(|| origin.stem.into()));
    if get("profile_name").is_none() {
        made.left_out.push("the profile has no name; it got that of its file".to_owned());
    }
    for (field, key) in KEYS.iter().filter(|(_, key)| has_key(key)) {
        match (kind(field), get(field)) {
            (Some(Kind::Flag(unset)), value) => {
                let is = value.and_then(|value| value.as_bool()).unwrap_or(unset);
                if ALWAYS.contains(field) || is != unset {
                    made.key(key, &Value::Bool(is != (*key == FROM_BACKUP)));
                }
            }
            (Some(Kind::Certificates), _) => {
                let names = made.files(&in_order(profile.get(*field)), &format!("{}-anchor", origin.stem));
                if !names.is_empty() {
                    let _ = writeln!(made.text, "{key} = [{names}]");
                }
            }
            (_, Some(value)) => made.key(key, &value),
            (_, None) => {}
        }
    }
    if get("configuration_web_url").is_some() {
        made.key("user_affinity", &"required".into());
    }
    made.pairing(get("allow_pairing") != Some(Value::Bool(false)), profile, origin.stem);
    let unknown = made.rest(profile);
    made.comments(&unknown);
    made.panes(profile);
    made
}

impl Converted {
    /// What Apple would be sent for the file, or all that is wrong with it. `path` is for words.
    pub fn check(&self, path: &str) -> Result<Definition, Mistakes> {
        let name = "imported";
        let file = File { path: path.to_owned(), text: self.text.clone() };
        let files = Files::from([(name.to_owned(), file)]);
        let draft = Draft::read(&name.parse().expect("a good name"), &files)?;
        let certificates = self.certificates.iter().map(|(file, content)| {
            // Nobody has looked into it yet; that is done when the file is used.
            let certificate = Certificate {
                base64: content.clone(),
                subject: file.clone(),
                not_before: Timestamp::MIN,
                not_after: Timestamp::MAX,
                authority: true,
            };
            (CertificateFile { file: file.clone(), password_env: None }, Ok(vec![certificate]))
        });
        let given = Given { certificates: certificates.collect(), ..Given::default() };
        let checked = draft.check(&given);
        checked.profile.map(|(_, definition)| definition).ok_or(checked.found)
    }

    fn key(&mut self, key: &str, value: &Value) {
        let value = match value {
            Value::String(text) => toml::Value::String(text.clone()).to_string(),
            other => other.to_string(),
        };
        let _ = writeln!(self.text, "{key} = {value}");
    }

    /// Which computers may pair, and the files of their certificates.
    fn pairing(&mut self, allowed: bool, profile: &Map<String, Value>, stem: &str) {
        let certificates = in_order(profile.get("supervising_host_certs"));
        if allowed {
            if !certificates.is_empty() {
                let what = "supervising_host_certs: they have no effect while every computer may pair";
                self.left_out.push(what.to_owned());
            }
            return;
        }
        if certificates.is_empty() {
            self.text.push_str("usb_pairing = { mode = \"forbid\" }\n");
            return;
        }
        let names = self.files(&certificates, stem);
        let _ = writeln!(self.text, "usb_pairing = {{ mode = \"certificate\", certificates = [{names}] }}");
    }

    /// Puts certificates into files of their own; the files' names, for a list.
    fn files(&mut self, certificates: &[String], stem: &str) -> String {
        let mut names = Vec::new();
        for (nth, certificate) in (1..).zip(certificates) {
            let name = format!("certs/{stem}-{nth}.cer");
            names.push(toml::Value::String(name.clone()).to_string());
            self.certificates.push((name, certificate.split_whitespace().collect()));
        }
        names.join(", ")
    }

    /// What has no key of its own and no other place: each with its value, for a comment.
    fn rest(&mut self, profile: &Map<String, Value>) -> Vec<String> {
        let mut comments = Vec::new();
        for (name, value) in profile {
            let shown = format!("{} = {}", one_line(name), shortened(value));
            match kind(name) {
                Some(kind) if kind.read(value).is_none() && !value.is_null() => {
                    self.left_out.push(format!("{name}: its value makes no sense there"));
                    comments.push(shown);
                }
                Some(kind) if !placed(name) && says_something(kind, value) => {
                    self.left_out.push(format!("{name}: a file has no key for it"));
                    comments.push(shown);
                }
                Some(_) => {}
                None if name == "devices" && value.as_array().is_some_and(|list| !list.is_empty()) => {
                    self.left_out
                        .push("devices: which device gets which profile is for a policy to say".to_owned());
                }
                None if BESIDE.contains(&name.as_str()) || value.is_null() => {}
                None => {
                    self.left_out.push(format!("{}: not a field of Apple's that is known", one_line(name)));
                    comments.push(shown);
                }
            }
        }
        comments
    }

    fn comments(&mut self, comments: &[String]) {
        if !comments.is_empty() {
            self.text.push_str("\n# Without a counterpart here, so not sent:\n");
        }
        for comment in comments {
            let _ = writeln!(self.text, "#   {comment}");
        }
    }

    fn panes(&mut self, profile: &Map<String, Value>) {
        let (panes, strange): (Vec<String>, Vec<String>) =
            in_order(profile.get("skip_setup_items")).into_iter().partition(|pane| is_pane(pane));
        for pane in &strange {
            self.left_out
                .push(format!("skip_setup_items: Apple knows no pane {}", shortened(&pane[..].into())));
        }
        if panes.is_empty() && strange.is_empty() {
            return;
        }
        self.text.push_str("\n[setup_assistant]\nskip = [\n");
        for pane in panes {
            let _ = writeln!(self.text, "    {},", toml::Value::String(pane));
        }
        for pane in strange {
            let _ = writeln!(self.text, "    # {},", shortened(&pane.into()));
        }
        self.text.push_str("]\n");
    }
}

/// Whether a file may name it.
fn is_pane(name: &str) -> bool {
    PANES.iter().any(|pane| pane.key == name)
}

/// A file says it, in one way or another.
fn placed(field: &str) -> bool {
    WOVEN.contains(&field) || KEYS.iter().any(|(name, key)| *name == field && has_key(key))
}

/// Whether a file may have this key: its own schema says so.
fn has_key(key: &str) -> bool {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| schemars::schema_for!(ProfileFile));
    let properties = SCHEMA.get("properties").and_then(Value::as_object);
    properties.is_some_and(|properties| properties.contains_key(key))
}

/// It is not what Apple takes for it anyway.
fn says_something(kind: Kind, value: &Value) -> bool {
    match (kind, kind.read(value)) {
        (_, None) => false,
        (Kind::Flag(unset), Some(value)) => value != Value::Bool(unset),
        (_, Some(Value::String(text))) => !text.is_empty(),
        (_, Some(Value::Array(list))) => !list.is_empty(),
        (_, Some(_)) => true,
    }
}

/// A list of texts in the order it has, each once; nothing if it is none.
fn in_order(value: Option<&Value>) -> Vec<String> {
    let Some(Value::Array(list)) = value else { return Vec::new() };
    if list.iter().any(|text| !text.is_string()) {
        return Vec::new();
    }
    let mut texts: Vec<String> = Vec::new();
    for text in list.iter().filter_map(Value::as_str) {
        if !texts.iter().any(|known| known == text) {
            texts.push(text.to_owned());
        }
    }
    texts
}

/// For a comment: nothing that would end it, and not too long.
fn shortened(value: &Value) -> String {
    let text = match value {
        Value::Array(list) => {
            format!("[{}]", list.iter().map(shortened).collect::<Vec<_>>().join(", "))
        }
        Value::String(text) if text.len() <= 300 => value.to_string(),
        Value::String(_) => compare::plain(value),
        other => other.to_string(),
    };
    one_line(&text)
}

fn one_line(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match text.char_indices().nth(2_000) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::super::FIELDS;
    use super::*;

    const ORIGIN: Origin<'_> = Origin { from: "A test.", stem: "lab" };

    fn converted(profile: &Value) -> Converted {
        to_file(profile.as_object().unwrap(), ORIGIN)
    }

    #[track_caller]
    fn check(profile: &Value, expected: Expect) {
        let Converted { text, certificates, left_out } = converted(profile);
        let certificates = certificates.iter().map(|(name, content)| format!("file {name}: {content}\n"));
        let left_out = left_out.iter().map(|line| format!("left out {line}\n"));
        expected.assert_eq(&format!(
            "{text}----\n{}{}",
            certificates.collect::<String>(),
            left_out.collect::<String>()
        ));
    }

    /// What Apple would be sent for the file that a profile became.
    #[track_caller]
    fn back(profile: &Value) -> Value {
        converted(profile).check("lab.toml").unwrap_or_else(|error| panic!("{error}")).body
    }

    #[test]
    fn every_field_with_a_key_comes_back_as_it_was() {
        let mut profile = json!({
            "profile_name": "Lab \"iPad\" \\ é\t", "url": "https://mdm.example.com/enroll",
            "configuration_web_url": "https://mdm.example.com/sign-in", "department": "Library",
            "support_phone_number": "+33 1", "support_email_address": "it@example.com", "org_magic": "m",
            "is_supervised": true, "is_mandatory": false, "is_mdm_removable": false,
            "await_device_configured": true, "allow_pairing": false, "supervising_host_certs": ["Yg==", "YQ=="],
            "skip_setup_items": ["Zoom", "AppleID", "Siri"],
        });
        assert_eq!(back(&profile), profile);
        for field in ["is_supervised", "is_mandatory", "is_mdm_removable"] {
            profile[field] = true.into();
        }
        profile.as_object_mut().unwrap().remove("supervising_host_certs");
        assert_eq!(back(&profile), profile);
        profile["allow_pairing"] = true.into();
        profile["is_supervised"] = false.into();
        assert_eq!(back(&profile), profile);
        for field in
            ["auto_advance_setup", "do_not_use_profile_from_backup", "is_return_to_service", "is_supervised"]
        {
            profile[field] = true.into();
        }
        profile["language"] = "fr".into();
        profile["region"] = "FR".into();
        profile["anchor_certs"] = json!(["Yw==", "YQ=="]);
        assert_eq!(back(&profile), profile);
        profile.as_object_mut().unwrap().remove("is_return_to_service");
        profile["is_multi_user"] = true.into();
        assert_eq!(back(&profile), profile);
    }

    #[test]
    fn what_apple_filled_in_says_nothing_new() {
        check(
            &json!({
                "profile_uuid": "A", "profile_name": "Lab", "url": "https://mdm.example.com/enroll",
                "allow_pairing": true, "is_multi_user": false, "auto_advance_setup": false, "is_supervised": true,
                "is_mandatory": true, "is_mdm_removable": true, "await_device_configured": false, "devices": [],
            }),
            expect![[r#"
                # A test.
                version = 1
                name = "Lab"
                url = "https://mdm.example.com/enroll"
                supervised = true
                mandatory = true
                removable = true
                await_configured = false
                ----
            "#]],
        );
    }

    #[test]
    fn what_has_no_counterpart_is_a_comment_and_told() {
        check(
            &json!({
                "url": "https://mdm.example.com/enroll", "is_supervised": "yes", "tomorrow\n": { "a": "b\nc" },
                "devices": ["C02AA"], "skip_setup_items": ["Siri", "Nonesuch"],
                "supervising_host_certs": ["YQ=="],
            }),
            expect![[r##"
                # A test.
                version = 1
                name = "lab"
                url = "https://mdm.example.com/enroll"
                supervised = false
                mandatory = false
                removable = true
                await_configured = false

                # Without a counterpart here, so not sent:
                #   is_supervised = "yes"
                #   tomorrow  = {"a":"b\nc"}

                [setup_assistant]
                skip = [
                    "Siri",
                    # "Nonesuch",
                ]
                ----
                left out the profile has no name; it got that of its file
                left out supervising_host_certs: they have no effect while every computer may pair
                left out devices: which device gets which profile is for a policy to say
                left out is_supervised: its value makes no sense there
                left out tomorrow : not a field of Apple's that is known
                left out skip_setup_items: Apple knows no pane "Nonesuch"
            "##]],
        );
    }

    #[test]
    fn every_field_of_apples_has_a_place_or_is_told() {
        for (field, kind) in FIELDS {
            let value = match kind {
                Kind::Flag(unset) => json!(!unset),
                Kind::Text => json!("text"),
                Kind::Words => json!(["Siri"]),
                Kind::Certificates => json!(["YQ=="]),
            };
            let mut profile = json!({ "profile_name": "Lab", "allow_pairing": false });
            profile[*field] = value;
            let told = converted(&profile).left_out.iter().any(|line| line.starts_with(field));
            assert_ne!(placed(field), told, "{field}");
        }
    }

    #[test]
    fn nothing_in_a_profile_breaks_the_file() {
        let nasty = "\"\"\"'''\n\r\u{0}\u{7f}\u{85}# ]]\\u";
        let mut profile =
            json!({ nasty: nasty, "skip_setup_items": [nasty], "supervising_host_certs": [nasty] });
        for (field, kind) in FIELDS {
            if *kind == Kind::Text {
                profile[*field] = nasty.into();
            }
        }
        profile["allow_pairing"] = false.into();
        let made = converted(&profile);
        assert!(made.text.parse::<toml::Table>().is_ok(), "{}", made.text);
    }
}

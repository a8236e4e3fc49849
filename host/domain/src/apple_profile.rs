//! An enrolment profile as Apple has it: its fields, and what it does with those left out.
//!
//! The profile of `profile.rs` is what an operator writes. This is the other end: what Apple keeps,
//! what other tools keep, and what a device keeps of it. They are brought into one form before they
//! are compared, so that a field left out and one filled in with its default are the same.

pub mod compare;
pub mod record;
pub mod to_file;
pub mod words;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What kind of value a field of Apple's has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text. Empty is as good as left out.
    Text,
    /// True or false, and what it is when left out.
    Flag(bool),
    /// Texts in no order. Empty is as good as left out.
    Words,
    /// Certificates: Base64 of their DER.
    Certificates,
}

/// Apple's fields. (Apple: "Profile".)
pub const FIELDS: &[(&str, Kind)] = &[
    ("profile_name", Kind::Text),
    ("url", Kind::Text),
    ("configuration_web_url", Kind::Text),
    ("department", Kind::Text),
    ("support_phone_number", Kind::Text),
    ("support_email_address", Kind::Text),
    ("org_magic", Kind::Text),
    ("is_supervised", Kind::Flag(false)),
    ("is_mandatory", Kind::Flag(false)),
    ("is_mdm_removable", Kind::Flag(true)),
    ("await_device_configured", Kind::Flag(false)),
    ("allow_pairing", Kind::Flag(true)),
    ("supervising_host_certs", Kind::Certificates),
    ("anchor_certs", Kind::Certificates),
    ("is_multi_user", Kind::Flag(false)),
    ("is_return_to_service", Kind::Flag(false)),
    ("do_not_use_profile_from_backup", Kind::Flag(false)),
    ("auto_advance_setup", Kind::Flag(false)),
    ("language", Kind::Text),
    ("region", Kind::Text),
    ("skip_setup_items", Kind::Words),
];

/// Members that are about a profile and not of it: the devices to assign, and Apple's id.
const BESIDE: [&str; 2] = ["devices", "profile_uuid"];

/// What kind of value a field has, if it is one of Apple's.
pub fn kind(field: &str) -> Option<Kind> {
    FIELDS.iter().find(|(name, _)| *name == field).map(|(_, kind)| *kind)
}

/// The one form in which profiles are compared: defaults filled in, what is empty left out, lists
/// without order and certificates without line breaks. Fields we do not know stay as they are.
pub fn normal(profile: &Map<String, Value>) -> BTreeMap<String, Value> {
    let mut normal = BTreeMap::new();
    for (name, value) in profile.iter().filter(|(name, _)| !BESIDE.contains(&name.as_str())) {
        let value = match kind(name) {
            Some(kind) => kind.read(value).unwrap_or_else(|| value.clone()),
            None => value.clone(),
        };
        let empty = match &value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            _ => false,
        };
        if !empty {
            normal.insert(name.clone(), value);
        }
    }
    for (name, kind) in FIELDS {
        if let Kind::Flag(unset) = kind {
            normal.entry((*name).to_owned()).or_insert(Value::Bool(*unset));
        }
    }
    normal
}

impl Kind {
    /// A value of this kind in the one form; none if it is of another kind. Property lists have
    /// numbers for flags, and texts where a terminal was copied.
    pub fn read(self, value: &Value) -> Option<Value> {
        match (self, value) {
            (Self::Text, Value::String(_)) | (Self::Flag(_), Value::Bool(_)) => Some(value.clone()),
            (Self::Flag(_), Value::Number(number)) => match number.as_u64() {
                Some(number @ (0 | 1)) => Some(Value::Bool(number == 1)),
                _ => None,
            },
            (Self::Flag(_), Value::String(word)) => match word.as_str() {
                "0" => Some(Value::Bool(false)),
                "1" => Some(Value::Bool(true)),
                _ => None,
            },
            (Self::Words | Self::Certificates, Value::Array(list)) => {
                let plain = |text: &str| match self {
                    Self::Certificates => text.chars().filter(|c| !c.is_ascii_whitespace()).collect(),
                    _ => text.to_owned(),
                };
                let texts = list.iter().map(|text| text.as_str().map(plain));
                let mut texts: Vec<String> = texts.collect::<Option<_>>()?;
                texts.sort_unstable();
                texts.dedup();
                Some(texts.into_iter().collect())
            }
            _ => None,
        }
    }
}

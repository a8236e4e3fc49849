//! Enrolment profiles: the rules for defining one, and what is shown of it.
//!
//! A profile never changes. Rules that the service is not known to have (unknown keys, unknown panes) are
//! not invented here: it takes them in silence, and so do we.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::fmt;

/// 32 upper-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ProfileUuid([u8; 16]);

impl ProfileUuid {
    pub(crate) fn new(number: u128) -> Self {
        Self(number.to_be_bytes())
    }

    /// As strict as the service: upper case, no dashes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let good = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
        if good { u128::from_str_radix(text, 16).ok().map(Self::new) } else { None }
    }
}

impl fmt::Display for ProfileUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032X}", u128::from_be_bytes(self.0))
    }
}

impl Serialize for ProfileUuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a definition is refused: the text of the 400.
pub(crate) type Code = &'static str;

const TEXTS: [&str; 10] = [
    "profile_name",
    "url",
    "configuration_web_url",
    "department",
    "org_magic",
    "support_email_address",
    "support_phone_number",
    "language",
    "region",
    "profile_uuid",
];

const LISTS: [&str; 4] = ["skip_setup_items", "anchor_certs", "supervising_host_certs", "devices"];

/// Flags, what they are when nobody set them, and the protocol version that introduced them.
const FLAGS: [(&str, bool, u32); 9] = [
    ("allow_pairing", true, 0),
    ("auto_advance_setup", false, 2),
    ("await_device_configured", false, 2),
    ("do_not_use_profile_from_backup", false, 0),
    ("is_mandatory", false, 0),
    ("is_mdm_removable", true, 0),
    ("is_multi_user", false, 2),
    ("is_return_to_service", false, 0),
    ("is_supervised", false, 0),
];

/// Judges a definition.
pub(crate) fn validate(profile: &Map<String, Value>) -> Result<(), Code> {
    let given = |key: &str| profile.get(key).filter(|value| !value.is_null());
    let text = |key: &str| given(key).and_then(Value::as_str);
    let flag = |key: &str, unset: bool| given(key).and_then(Value::as_bool).unwrap_or(unset);
    let wrong_type = TEXTS.iter().any(|key| given(key).is_some_and(|value| !value.is_string()))
        || FLAGS.iter().any(|(key, ..)| given(key).is_some_and(|value| !value.is_boolean()))
        || LISTS.iter().any(|key| given(key).is_some_and(|value| strings(value).is_none()));
    if wrong_type {
        return Err("MALFORMED_REQUEST_BODY");
    }
    let too_long = |text: &str, most: usize| text.is_empty() || text.chars().count() > most;
    match text("profile_name") {
        None => return Err("CONFIG_NAME_REQUIRED"),
        Some(name) if too_long(name, 125) => return Err("CONFIG_NAME_INVALID"),
        Some(_) => {}
    }
    match text("url") {
        None => return Err("CONFIG_URL_REQUIRED"),
        Some(url) if !url_is_good(url) => return Err("CONFIG_URL_INVALID"),
        Some(_) => {}
    }
    let limits = [
        ("department", 125, "DEPARTMENT_INVALID"),
        ("org_magic", 256, "MAGIC_INVALID"),
        ("support_email_address", 250, "SUPPORT_EMAIL_INVALID"),
        ("support_phone_number", 50, "SUPPORT_PHONE_INVALID"),
    ];
    for (key, most, code) in limits {
        if text(key).is_some_and(|value| too_long(value, most)) {
            return Err(code);
        }
    }
    if !flag("is_mdm_removable", true) && !flag("is_supervised", false) {
        return Err("FLAGS_INVALID");
    }
    let language = text("language")
        .is_none_or(|code| matches!(code.len(), 2 | 3) && code.bytes().all(|byte| byte.is_ascii_lowercase()));
    let region = text("region")
        .is_none_or(|code| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase()));
    if !language || !region { Err("LOCALE_INVALID") } else { Ok(()) }
}

/// What `GET /profile` answers: the content as defined, flags filled in, and the UUID.
pub(crate) fn shown(uuid: ProfileUuid, content: &Map<String, Value>, version: u32) -> Map<String, Value> {
    let mut shown = content.clone();
    shown.retain(|key, value| {
        let too_new = FLAGS.iter().any(|(flag, _, since)| flag == key && version < *since)
            || (key == "support_email_address" && version < 2);
        !too_new && !value.is_null()
    });
    for (flag, unset, since) in FLAGS {
        if since <= version {
            shown.entry(flag).or_insert(Value::Bool(unset));
        }
    }
    shown.insert("profile_uuid".into(), Value::String(uuid.to_string()));
    shown
}

/// The texts of a list, if it is one and holds nothing else.
pub(crate) fn strings(value: &Value) -> Option<Vec<&str>> {
    value.as_array()?.iter().map(Value::as_str).collect()
}

/// A host is needed, and 2000 characters are the most, once encoded.
fn url_is_good(text: &str) -> bool {
    let spaces = text.chars().any(|c| c.is_whitespace() || c.is_control());
    !spaces
        && url::Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "https" | "http") && url.has_host() && url.as_str().len() <= 2000
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Judges a good definition with some keys replaced; `null` leaves a key out.
    fn check(change: Value, expected: &str) {
        let mut profile = json!({"profile_name": "Staff", "url": "https://mdm.example.com/enroll"});
        let profile = profile.as_object_mut().unwrap();
        profile.extend(change.as_object().unwrap().clone());
        assert_eq!(validate(profile).err().unwrap_or("good"), expected, "{change}");
    }

    #[test]
    fn a_name_and_a_url_are_enough() {
        check(json!({}), "good");
        check(json!({"profile_name": "é".repeat(125)}), "good");
        check(json!({"skip_setup_items": ["NoSuchPane"], "unheard_of": 1}), "good");
    }

    #[test]
    fn each_rule_has_its_code() {
        check(json!({"profile_name": null}), "CONFIG_NAME_REQUIRED");
        check(json!({"profile_name": ""}), "CONFIG_NAME_INVALID");
        check(json!({"profile_name": "n".repeat(126)}), "CONFIG_NAME_INVALID");
        check(json!({"url": null}), "CONFIG_URL_REQUIRED");
        check(json!({"url": ""}), "CONFIG_URL_INVALID");
        check(json!({"url": "mdm.example.com"}), "CONFIG_URL_INVALID");
        check(json!({"url": "https://"}), "CONFIG_URL_INVALID");
        check(json!({"url": format!("https://m/{}", "x".repeat(2000))}), "CONFIG_URL_INVALID");
        check(json!({"department": ""}), "DEPARTMENT_INVALID");
        check(json!({"department": "d".repeat(126)}), "DEPARTMENT_INVALID");
        check(json!({"org_magic": "m".repeat(257)}), "MAGIC_INVALID");
        check(json!({"support_email_address": ""}), "SUPPORT_EMAIL_INVALID");
        check(json!({"support_phone_number": "1".repeat(51)}), "SUPPORT_PHONE_INVALID");
        check(json!({"language": "FR"}), "LOCALE_INVALID");
        check(json!({"language": "fr", "region": "Frankreich"}), "LOCALE_INVALID");
        check(json!({"is_supervised": "yes"}), "MALFORMED_REQUEST_BODY");
        check(json!({"skip_setup_items": "Siri"}), "MALFORMED_REQUEST_BODY");
    }

    #[test]
    fn a_profile_can_be_locked_only_on_a_supervised_device() {
        check(json!({"is_mdm_removable": false}), "FLAGS_INVALID");
        check(json!({"is_mdm_removable": false, "is_supervised": true}), "good");
    }

    #[test]
    fn a_profile_is_shown_with_every_flag_its_reader_can_know() {
        let content = json!({"profile_name": "S", "await_device_configured": true, "department": null});
        let shown = |version| shown(ProfileUuid::new(0xA1), content.as_object().unwrap(), version);
        assert_eq!(shown(10)["await_device_configured"], true);
        assert_eq!(shown(10)["allow_pairing"], true);
        assert_eq!(shown(10)["profile_uuid"], "000000000000000000000000000000A1");
        assert!(!shown(10).contains_key("department"));
        assert!(!shown(1).contains_key("await_device_configured"));
    }

    #[test]
    fn a_uuid_is_upper_case_and_without_dashes() {
        let uuid = "7C1E88D0A4B94B6E9C3F2A5D6E7F8091";
        assert_eq!(ProfileUuid::parse(uuid).map(|uuid| uuid.to_string()).as_deref(), Some(uuid));
        assert_eq!(ProfileUuid::parse(&uuid.to_lowercase()), None);
        assert_eq!(ProfileUuid::parse("7C1E88D0-A4B9-4B6E-9C3F-2A5D6E7F8091"), None);
        assert_eq!(ProfileUuid::parse(&"+".repeat(32)), None);
    }
}

//! What Apple is sent for a profile: exactly its fields, by its names.
//!
//! The digest of this body says whether a profile has changed, and devices move when it does. So
//! what was always sent is sent for ever, with its default too, and what came later is sent only
//! where it differs from Apple's default: a file that does not use it keeps its digest. A key that
//! was left out stays out; for Apple an empty text is a mistake, not an absence.

use serde_json::{Map, Value, json};

use super::Definition;
use super::certificate::Certificate;
use super::file::{PairingMode, ProfileFile};
use super::panes;
use crate::id::Digest;

/// The body and its digest, with the certificates of the anchors and of the hosts that may pair.
pub(super) fn definition(file: &ProfileFile, anchors: &[Certificate], hosts: &[Certificate]) -> Definition {
    let mut body = Map::new();
    let mut put = |key: &str, value: Value| {
        body.insert(key.to_owned(), value);
    };
    put("profile_name", json!(file.name));
    put("url", json!(file.url));
    put("is_supervised", json!(file.supervised));
    put("is_mandatory", json!(file.mandatory));
    put("is_mdm_removable", json!(file.removable));
    put("await_device_configured", json!(file.await_configured));
    put("allow_pairing", json!(file.pairing() == PairingMode::Allow));
    let flags = [
        ("is_multi_user", file.shared_ipad),
        ("is_return_to_service", file.return_to_service),
        ("do_not_use_profile_from_backup", !file.profile_from_backup),
        ("auto_advance_setup", file.auto_advance),
    ];
    for (key, _) in flags.iter().filter(|(_, set)| *set) {
        put(key, json!(true));
    }
    let texts = [
        ("configuration_web_url", &file.web_url),
        ("department", &file.department),
        ("support_phone_number", &file.support_phone),
        ("support_email_address", &file.support_email),
        ("org_magic", &file.organization_magic),
        ("language", &file.language),
        ("region", &file.region),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            put(key, json!(text));
        }
    }
    let names: Vec<&str> = file.skip().into_iter().map(|(_, name)| name).collect();
    let skipped = panes::chosen(&names, file.show());
    let of = |certificates: &[Certificate]| {
        certificates.iter().map(|certificate| certificate.base64.clone()).collect::<Vec<_>>()
    };
    let lists =
        [("skip_setup_items", skipped), ("anchor_certs", of(anchors)), ("supervising_host_certs", of(hosts))];
    for (key, list) in lists {
        if !list.is_empty() {
            put(key, json!(list));
        }
    }
    let body = Value::Object(body);
    let digest = Digest::of(body.to_string().as_bytes());
    Definition { body, digest }
}

//! A profile in words: what a device does with it.

use serde_json::{Map, Value};

use super::normal;

/// What the profile makes a device do, a line for each thing.
pub fn words(profile: &Map<String, Value>) -> Vec<String> {
    let profile = normal(profile);
    let text = |name: &str| profile.get(name).and_then(Value::as_str);
    let is = |name: &str| profile.get(name) == Some(&Value::Bool(true));
    let number = |name: &str| profile.get(name).and_then(Value::as_array).map_or(0, Vec::len);
    let mut lines = Vec::new();
    lines.push(match (text("configuration_web_url"), text("url")) {
        (Some(page), _) => format!("a user signs in at {page}, then it enrols"),
        (None, Some(url)) => format!("enrols at {url}, without anybody signing in"),
        (None, None) => "has nowhere to enrol".to_owned(),
    });
    let supervised = if is("is_supervised") { "supervised" } else { "not supervised before iOS 13" };
    let mandatory =
        if is("is_mandatory") { "enrolment cannot be skipped" } else { "enrolment may be skipped" };
    let removable =
        if is("is_mdm_removable") { "management may be removed" } else { "management cannot be removed" };
    lines.push(format!("{supervised}, {mandatory}, {removable}"));
    if is("await_device_configured") {
        lines.push("waits in Setup Assistant until the MDM says that it is configured".to_owned());
    }
    lines.push(match (is("allow_pairing"), number("supervising_host_certs")) {
        (true, _) => "pairs with every computer".to_owned(),
        (false, 0) => "pairs with no computer".to_owned(),
        (false, 1) => "pairs with computers that have its certificate".to_owned(),
        (false, number) => format!("pairs with computers that have one of {number} certificates"),
    });
    if number("anchor_certs") > 0 {
        lines.push("trusts certificates of its own for the MDM, and no others".to_owned());
    }
    for (flag, line) in [
        ("is_multi_user", "is a Shared iPad"),
        ("is_return_to_service", "returns to service by itself when it is erased"),
        ("do_not_use_profile_from_backup", "asks for its profile anew when a backup is restored"),
        ("auto_advance_setup", "goes through Setup Assistant by itself"),
    ] {
        if is(flag) {
            lines.push(line.to_owned());
        }
    }
    let locale: Vec<&str> = ["language", "region"].into_iter().filter_map(text).collect();
    if !locale.is_empty() {
        lines.push(format!("speaks {}", locale.join("-")));
    }
    let shown: Vec<&str> = ["department", "support_phone_number", "support_email_address"]
        .into_iter()
        .filter_map(text)
        .collect();
    if !shown.is_empty() {
        lines.push(format!("shows {}", shown.join(", ")));
    }
    lines.push(match profile.get("skip_setup_items").and_then(Value::as_array) {
        None => "shows every pane of Setup Assistant".to_owned(),
        Some(panes) => {
            let panes: Vec<&str> = panes.iter().filter_map(Value::as_str).collect();
            let pane = if panes.len() == 1 { "pane" } else { "panes" };
            format!("skips {} {pane}: {}", panes.len(), panes.join(", "))
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_profile_says_what_a_device_does() {
        let profile = json!({
            "url": "https://mdm.example.com", "configuration_web_url": "https://sign.example.com",
            "is_supervised": true, "is_mdm_removable": false, "allow_pairing": false,
            "supervising_host_certs": ["YQ=="], "await_device_configured": true, "department": "IT",
            "skip_setup_items": ["Siri"], "language": "fr", "region": "FR", "is_multi_user": true,
        });
        let found = words(profile.as_object().unwrap()).join("\n") + "\n";
        expect![[r#"
            a user signs in at https://sign.example.com, then it enrols
            supervised, enrolment may be skipped, management cannot be removed
            waits in Setup Assistant until the MDM says that it is configured
            pairs with computers that have its certificate
            is a Shared iPad
            speaks fr-FR
            shows IT
            skips 1 pane: Siri
        "#]]
        .assert_eq(&found);
    }
}

//! The panes to skip and to show: known ones, once each.

use std::collections::BTreeSet;

use crate::document::{Findings, nearest};
use crate::profile::file::ProfileFile;
use crate::profile::panes::{GROUPS, Group, PANES, group, pane};

/// What people call panes that Apple calls otherwise.
const ALSO_CALLED: &[(&str, &str)] = &[
    ("AppleAccount", "AppleID"),
    ("AppleIntelligence", "Intelligence"),
    ("ApplePay", "Payment"),
    ("FaceID", "Biometric"),
    ("OpticID", "Biometric"),
    ("Terms", "TOS"),
    ("TouchID", "Biometric"),
    ("TrueTone", "DisplayTone"),
    ("eSIM", "SIMSetup"),
];

pub(super) fn check(file: &ProfileFile, findings: &mut Findings<'_>) {
    let mut skipped = BTreeSet::new();
    let mut groups: Vec<&Group> = Vec::new();
    for (pointer, name) in file.skip() {
        if !skipped.insert(name) {
            findings.warn("pane-twice", &pointer, format!("`{name}` is skipped already"), None);
        } else if let Some(group) = group(name) {
            groups.push(group);
        } else {
            check_one(&pointer, name, findings);
        }
    }
    for (index, name) in file.show().iter().enumerate() {
        let pointer = format!("/setup_assistant/show/{index}");
        if skipped.contains(name.as_str()) {
            let message = format!("`{name}` is both skipped and shown");
            findings.error("pane-both", &pointer, message, None);
        } else if group(name).is_some() {
            let message = format!("`{name}` is a group; `show` takes panes");
            findings.error("pane-unknown", &pointer, message, None);
        } else if pane(name).is_none() {
            unknown(&pointer, name, findings);
        } else if !groups.iter().any(|group| group.panes().any(|pane| pane.key == name)) {
            let message = format!("`{name}` is shown anyway: no group in `skip` has it");
            findings.warn("show-unused", &pointer, message, None);
        }
    }
}

fn check_one(pointer: &str, name: &str, findings: &mut Findings<'_>) {
    let Some(pane) = pane(name) else { return unknown(pointer, name, findings) };
    if let Some(why) = pane.former {
        findings.warn("pane-former", pointer, format!("{why}; the pane may be shown"), None);
    } else if pane.is_deprecated() {
        let message = format!("no newer system has the pane `{name}`");
        let help = "only older devices need it; `deputy profile panes` tells which";
        findings.warn("pane-deprecated", pointer, message, Some(help.to_owned()));
    }
}

fn unknown(pointer: &str, name: &str, findings: &mut Findings<'_>) {
    let called =
        ALSO_CALLED.iter().find(|(called, _)| called.eq_ignore_ascii_case(name)).map(|(_, key)| *key);
    let words = PANES.iter().map(|pane| pane.key).chain(GROUPS.iter().map(|group| group.name));
    let help = match called.or_else(|| nearest(name, words)) {
        Some(word) => format!("did you mean `{word}`?"),
        None => "`deputy profile panes` shows all there are".to_owned(),
    };
    findings.error("pane-unknown", pointer, format!("Apple knows no pane `{name}`"), Some(help));
}

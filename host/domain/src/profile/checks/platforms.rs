//! Keys and panes that have no effect on any device there is.

use std::collections::BTreeSet;

use crate::document::Findings;
use crate::profile::file::ProfileFile;
use crate::profile::panes::{Platform, pane};

pub(super) fn check(file: &ProfileFile, present: &BTreeSet<Platform>, findings: &mut Findings<'_>) {
    use Platform::{Ios, Macos, Tvos, Visionos};
    // An empty inventory says nothing.
    if present.is_empty() {
        return;
    }
    let keys: [(&str, bool, &[Platform]); 7] = [
        ("shared_ipad", file.shared_ipad, &[Ios]),
        ("return_to_service", file.return_to_service, &[Ios, Visionos]),
        ("profile_from_backup", !file.profile_from_backup, &[Ios, Visionos]),
        ("auto_advance", file.auto_advance, &[Macos, Tvos]),
        ("language", file.language.is_some() && file.auto_advance, &[Macos, Tvos]),
        ("region", file.region.is_some() && file.auto_advance, &[Macos, Tvos]),
        ("web_url", file.web_url.is_some(), &[Ios, Macos, Visionos]),
    ];
    for (key, used, platforms) in keys {
        if used && !platforms.iter().any(|platform| present.contains(platform)) {
            no_effect(&format!("/{key}"), platforms, present, findings);
        }
    }
    for (pointer, name) in file.skip() {
        let Some(pane) = pane(name) else { continue };
        let platforms: Vec<Platform> =
            Platform::ALL.into_iter().filter(|platform| pane.on(*platform).is_some()).collect();
        if !platforms.iter().any(|platform| present.contains(platform)) {
            no_effect(&pointer, &platforms, present, findings);
        }
    }
}

fn no_effect(
    pointer: &str,
    platforms: &[Platform],
    present: &BTreeSet<Platform>,
    findings: &mut Findings<'_>,
) {
    let names = |platforms: &mut dyn Iterator<Item = &Platform>| {
        platforms.map(|platform| platform.name()).collect::<Vec<_>>().join(", ")
    };
    let (its, theirs) = (names(&mut platforms.iter()), names(&mut present.iter()));
    let message = format!("has no effect: it is for {its}, and the inventory has only {theirs}");
    findings.warn("no-effect", pointer, message, None);
}

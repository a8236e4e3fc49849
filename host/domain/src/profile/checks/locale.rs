//! Languages and regions: what ISO knows, and only where they have an effect.

use crate::document::Findings;
use crate::profile::codes::{is_language, is_region};
use crate::profile::file::ProfileFile;

pub(super) fn check(file: &ProfileFile, findings: &mut Findings<'_>) {
    if let Some(code) = file.language.as_deref().filter(|code| !is_language(code)) {
        let message = format!("`{code}` is no language of ISO 639");
        findings.error("language-code", "/language", message, instead(code));
    }
    if let Some(code) = file.region.as_deref().filter(|code| !is_region(code)) {
        let message = format!("`{code}` is no region of ISO 3166-1");
        let help = if code.eq_ignore_ascii_case("uk") {
            Some("region = \"GB\"".to_owned())
        } else {
            let upper = code.to_ascii_uppercase();
            is_region(&upper).then(|| format!("region = \"{upper}\""))
        };
        findings.error("region-code", "/region", message, help);
    }
    let locale = [("language", &file.language), ("region", &file.region)];
    let missing: Vec<&str> = locale.iter().filter(|(_, code)| code.is_none()).map(|(key, _)| *key).collect();
    if file.auto_advance && !missing.is_empty() {
        findings.warn(
            "auto-advance-locale",
            "/auto_advance",
            format!("without a {} Setup Assistant stops to ask", missing.join(" and a ")),
            Some("language = \"fr\" and region = \"FR\", for example".to_owned()),
        );
    }
    if !file.auto_advance {
        for (key, _) in locale.iter().filter(|(_, code)| code.is_some()) {
            let message = "has no effect without `auto_advance = true`";
            findings.warn("locale-unused", &format!("/{key}"), message, None);
        }
    }
}

/// `fr-FR` is two keys, `FR` is `fr`.
fn instead(code: &str) -> Option<String> {
    let lower = code.to_ascii_lowercase();
    if is_language(&lower) {
        return Some(format!("language = \"{lower}\""));
    }
    let (language, region) = lower.split_once(['-', '_'])?;
    let region = region.to_ascii_uppercase();
    let known = is_language(language) && is_region(&region);
    known.then(|| format!("write language = \"{language}\" and region = \"{region}\""))
}

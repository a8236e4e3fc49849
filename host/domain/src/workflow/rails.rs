//! The rails of a plan as they are typed, in a step `plan` or for all workflows.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::document::Findings;
use crate::id::ProfileName;
use crate::plan::Rails;

/// How much one run may change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RailsTable {
    /// The most devices of a token that one run may give their first profile. Default: 5000.
    #[serde(default)]
    first_assignments: Option<u64>,
    /// The most devices of a token that one run may move from one profile to another. Default: 25.
    #[serde(default)]
    reassignments: Option<u64>,
    /// Devices on these profiles are not moved: a plan that would is refused.
    #[serde(default)]
    protect_profiles: Option<Vec<String>>,
}

impl RailsTable {
    /// What is typed in the table at `at`, and for the rest what holds without it.
    pub(super) fn over(
        typed: Option<&Self>,
        without: &Rails,
        at: &str,
        findings: &mut Findings<'_>,
    ) -> Rails {
        let Some(typed) = typed else { return without.clone() };
        let protected = typed
            .protect_profiles
            .as_ref()
            .map(|names| findings.parse_all::<ProfileName>(&format!("{at}/rails/protect_profiles"), names));
        Rails {
            first_assignments: typed.first_assignments.unwrap_or(without.first_assignments),
            reassignments: typed.reassignments.unwrap_or(without.reassignments),
            protect_profiles: protected
                .map_or_else(|| without.protect_profiles.clone(), |names| names.into_iter().collect()),
        }
    }
}

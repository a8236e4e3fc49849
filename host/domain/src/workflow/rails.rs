//! The rails of a plan as they are typed, in a step `plan` or for all workflows.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::document::Findings;
use crate::id::{ProfileName, SerialNumber};
use crate::rails::{Limit, Rails};

/// How much one run may change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RailsTable {
    /// The most devices of a token that one run may give their first profile: a number, or a part of the
    /// token's devices such as `"10%"`. Default: 5000.
    #[serde(default)]
    first_assignments: Option<LimitValue>,
    /// The most devices of a token that one run may move from one profile to another: a number, or a part of
    /// the token's devices such as `"10%"`. Default: 25.
    #[serde(default)]
    reassignments: Option<LimitValue>,
    /// The most devices of a token from which a person may take the profile, or which may be released, at
    /// once: a number, or a part of the token's devices such as `"10%"`. In `[defaults.rails]` only. Default: 25.
    #[serde(default)]
    removals: Option<LimitValue>,
    /// Devices on these profiles are neither moved nor taken from: a plan that would waits for a person.
    #[serde(default)]
    protect_profiles: Option<Vec<String>>,
    /// These devices are neither moved nor taken from: serial numbers, or the path of a file with them, a line
    /// for each or a CSV file with a column `serial_number`. The file is read when a plan is made.
    #[serde(default)]
    protect_serials: Option<SerialsValue>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum LimitValue {
    Devices(u64),
    Part(String),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum SerialsValue {
    Named(Vec<String>),
    File(String),
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
        if typed.removals.is_some() && at != "/defaults" {
            let help = "write it under `[defaults.rails]` in deputy.toml".to_owned();
            let message = "only people take something away: this limit is none of a workflow's";
            findings.at(&format!("{at}/rails/removals"), message, Some(help));
        }
        let mut limit = |key: &str, typed: &Option<LimitValue>, without: Limit| match typed {
            None => without,
            Some(LimitValue::Devices(most)) => Limit::Devices(*most),
            Some(LimitValue::Part(text)) => {
                findings.parse(&format!("{at}/rails/{key}"), text).unwrap_or(without)
            }
        };
        let mut rails = Rails {
            first_assignments: limit(
                "first_assignments",
                &typed.first_assignments,
                without.first_assignments,
            ),
            reassignments: limit("reassignments", &typed.reassignments, without.reassignments),
            removals: limit("removals", &typed.removals, without.removals),
            ..without.clone()
        };
        if let Some(names) = &typed.protect_profiles {
            let names = findings.parse_all::<ProfileName>(&format!("{at}/rails/protect_profiles"), names);
            rails.protect_profiles = names.into_iter().collect();
        }
        match &typed.protect_serials {
            None => {}
            Some(SerialsValue::File(path)) => {
                (rails.protect_serials, rails.protect_file) = (Default::default(), Some(PathBuf::from(path)));
            }
            Some(SerialsValue::Named(serials)) => {
                let serials =
                    findings.parse_all::<SerialNumber>(&format!("{at}/rails/protect_serials"), serials);
                (rails.protect_serials, rails.protect_file) = (serials.into_iter().collect(), None);
            }
        }
        rails
    }
}

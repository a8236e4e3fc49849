//! What is to become of a device, as settings say it: `assign = "kiosk"`, `hold = true`…

use crate::Setup;
use crate::assignment::Decision;
use crate::settings::{Table, Value};

/// The keys that say what is to become of a device, and `reason`.
pub const KEYS: [&str; 5] = ["assign", "hold", "hold_until", "ignore", "reason"];

/// What is to become of a device, and why.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What is to become of it.
    pub decision: Decision,
    /// Why.
    pub reason: String,
}

impl Outcome {
    /// Exactly one of `assign`, `hold`, `hold_until` and `ignore`, and perhaps a `reason`. Which keys
    /// may be there is the caller's business.
    pub fn read(table: &Table, setup: &Setup, reason: &str) -> Self {
        let mut decisions = Vec::new();
        let flag = |key: &str, decision| {
            let at = table.get(key)?;
            if *at.value() != Value::Flag(true) {
                at.problem_with_hint(
                    format!("`{key}` can only be `true`"),
                    format!("leave `{key}` out if it is not meant"),
                );
            }
            Some(decision)
        };
        if let Some(at) = table.get("assign") {
            let profile = at.name_of("profile", &setup.profiles);
            decisions.push(("`assign`", Decision::Assign(profile.unwrap_or_default())));
        }
        decisions.extend(flag("hold", Decision::Hold(None)).map(|hold| ("`hold`", hold)));
        if let Some(at) = table.get("hold_until") {
            decisions.push(("`hold_until`", Decision::Hold(Some(at.date().unwrap_or_default()))));
        }
        decisions.extend(flag("ignore", Decision::Ignore).map(|ignore| ("`ignore`", ignore)));
        match decisions[..] {
            [_] => {}
            // What is no table has been complained about already.
            [] if !matches!(table.at().value(), Value::Table(_)) => {}
            [] => table.at().problem_with_hint(
                "nothing says what to do",
                "add one of `assign = \"PROFILE\"`, `hold = true` and `ignore = true`",
            ),
            [..] => {
                let names: Vec<&str> = decisions.iter().map(|(name, _)| *name).collect();
                table.at().problem(format!("{} exclude each other", names.join(" and ")));
            }
        }
        let reason = table.get("reason").and_then(|at| at.text()).unwrap_or(reason);
        let decision = decisions.first().map_or(Decision::Ignore, |(_, decision)| *decision);
        Self { decision, reason: reason.to_owned() }
    }

    /// The table `default`, for devices that nothing else decides about.
    pub fn default(settings: &Table, setup: &Setup, otherwise: Self) -> Self {
        match settings.get("default") {
            None => otherwise,
            Some(at) => {
                let table = at.part_of("`default`").table(&["assign", "hold", "ignore", "reason"]);
                Self::read(&table, setup, &otherwise.reason)
            }
        }
    }
}

//! The glue between the contract in `wit/` and the decision in `lib.rs`. What the functions mean is
//! written in `wit/policy.wit`.

use std::sync::OnceLock;

use bindings::deputy::policy::log;
use bindings::exports::deputy::policy::{plugin, reminder};

use crate::{Fact, Policy, Severity};

mod bindings {
    wit_bindgen::generate!({ world: "{{world}}", path: "wit" });

    use super::Component;
    export!(Component);
}

struct Component;

/// Every call begins with a new instance, so what `configure` leaves here is for one call.
static POLICY: OnceLock<Policy> = OnceLock::new();

impl plugin::Guest for Component {
    fn describe() -> plugin::Description {
        plugin::Description {
            summary: "trouble at once, ends some days ahead".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            settings_schema: Some(SCHEMA.to_owned()),
        }
    }

    fn configure(settings: String, _setup: plugin::Setup) -> Result<(), Vec<plugin::SettingsProblem>> {
        // Every call begins here. Without this, nobody would hear more than that the policy failed.
        std::panic::set_hook(Box::new(|panic| log::log(log::Level::Error, &panic.to_string())));
        let policy = Policy::read(&settings).map_err(|problems| {
            let problems = problems.into_iter().map(|crate::Problem { pointer, message, hint }| {
                plugin::SettingsProblem { pointer, message, hint }
            });
            problems.collect::<Vec<_>>()
        })?;
        POLICY.get_or_init(|| policy);
        Ok(())
    }

    fn tables() -> Vec<plugin::TableUse> {
        Vec::new()
    }
}

impl reminder::Guest for Component {
    fn remind(context: reminder::Context, tokens: Vec<reminder::Token>) -> Vec<Vec<reminder::Reminder>> {
        let policy = POLICY.get_or_init(Policy::default);
        let now = seconds(context.now);
        tokens.iter().map(|token| reminders(policy, now, token)).collect()
    }
}

fn reminders(policy: &Policy, now: i64, token: &reminder::Token) -> Vec<reminder::Reminder> {
    let due = (0..).zip(&token.facts).filter_map(|(index, fact)| {
        let known = Fact {
            kind: &fact.kind,
            name: &fact.name,
            ends: fact.ends.map(seconds),
            trouble: fact.trouble.as_ref().map(|it| (it.message.as_str(), it.advice.as_str())),
            told: fact.told.is_some(),
        };
        let said = policy.remind(now, &token.name, &known)?;
        Some(reminder::Reminder {
            fact: index,
            occasion: match said.threshold {
                Some(threshold) => reminder::Occasion::Threshold(threshold),
                None => reminder::Occasion::Recovered,
            },
            severity: match said.severity {
                Severity::Info => reminder::Severity::Info,
                Severity::Warning => reminder::Severity::Warning,
                Severity::Critical => reminder::Severity::Critical,
            },
            // To all of the workflow's.
            channels: Vec::new(),
            subject: said.subject,
            text: said.text,
        })
    });
    due.collect()
}

fn seconds(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

const SCHEMA: &str = r#"{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "days": {
      "description": "How many days before something ends people are told",
      "type": "array",
      "items": { "type": "integer", "minimum": 0 }
    }
  }
}"#;

//! The glue between the contract in `wit/` and the decision in `lib.rs`. What the functions mean is
//! written in `wit/policy.wit`.

use std::sync::OnceLock;

use bindings::deputy::policy::log;
use bindings::exports::deputy::policy::{plugin, review};

use crate::{Decision, Move, Policy};

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
            summary: "a person looks at plans that move many devices".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            settings_schema: Some(SCHEMA.to_owned()),
        }
    }

    fn configure(settings: String, setup: plugin::Setup) -> Result<(), Vec<plugin::SettingsProblem>> {
        // Every call begins here. Without this, nobody would hear more than that the policy failed.
        std::panic::set_hook(Box::new(|panic| log::log(log::Level::Error, &panic.to_string())));
        let policy = Policy::read(&settings, &setup.profiles).map_err(|problems| {
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

impl review::Guest for Component {
    fn review(_context: review::Context, plan: review::Plan) -> review::Opinion {
        let moves = plan.moves.iter().map(|it| Move { from: it.from.as_deref(), devices: it.devices });
        let moves: Vec<Move<'_>> = moves.collect();
        let (decision, reason) = POLICY.get_or_init(Policy::default).review(plan.reassignments, &moves);
        let decision = match decision {
            Decision::Approve => review::Decision::Approve,
            Decision::Ask => review::Decision::Ask,
            Decision::Refuse => review::Decision::Refuse,
        };
        review::Opinion { decision, reason }
    }
}

const SCHEMA: &str = r#"{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "ask_above": {
      "description": "A plan that moves more devices than this to another profile is shown to a person first",
      "type": "integer",
      "minimum": 0
    },
    "protected": {
      "description": "Profiles that no device is moved away from",
      "type": "array",
      "items": { "type": "string" }
    }
  }
}"#;
